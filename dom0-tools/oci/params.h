/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What xl and the init of an image's guest say to each other, in xenstore, relative to the guest's own directory.
 * The guest only reads OCI_DIR; what it writes to OCI_RESULT is hostile to xl as all that a guest writes is.
 */
#ifndef OCI_PARAMS_H
#define OCI_PARAMS_H

/* Texts; a node that is not there is the image's choice, or nothing. */
#define OCI_DIR "oci"
#define OCI_REF "ref" /* the image's name in its index */
#define OCI_ENTRYPOINT "entrypoint" /* a program; "" is none */
#define OCI_ARG "arg" /* arg/0, arg/1, ...: instead of the image's Cmd */
#define OCI_ENV "env" /* env/0, ...: NAME=VALUE */
#define OCI_USER "user"
#define OCI_WORKDIR "workdir"
#define OCI_HOSTNAME "hostname"
#define OCI_READ_ONLY "read-only" /* "1" */
/* "dhcp", or "ADDRESS/BITS GATEWAY DNS ..." with - for no gateway; without it only the loopback interface */
#define OCI_NETWORK "network"
#define OCI_ROOT "root" /* a disk, whose content goes, for the root; without it that is in memory */
#define OCI_VOLUME "volume" /* volume/0, ...: "VDEV:/PATH", with ":ro" behind it or not */
#define OCI_VOLUMES 16
#define OCI_GRACE "stop-timeout" /* seconds from SIGTERM to SIGKILL */
#define OCI_TEXTS 512 /* at most of arguments, and of variables */
#define OCI_TEXT_BYTES 2048 /* of one of them at most, its NUL included */

/*
 * "tty", or "tty ROWS COLUMNS": the console is the program's terminal. "pipe": what comes from the console is its standard input, in
 * which a mark and a letter stand for the mark itself, for the end, and for the byte that Linux's console driver takes for SysRq (the
 * letter is the byte and OCI_INPUT_LETTER). Without it that is empty.
 */
#define OCI_INPUT "input"
#define OCI_INPUT_MARK 0x10
#define OCI_INPUT_END 0x04
#define OCI_INPUT_SYSRQ 0x0f
#define OCI_INPUT_LETTER 0x40

/* From the program's start on "running", at its end "exit 0" to "exit 255", "signal 9", or "error 125 what is wrong" with podman's 125, 126 and 127. */
#define OCI_RESULT "data/oci"

#define OCI_TERMINAL "hvc0"

/* The image's archive. */
#define OCI_DISK "xvda"

#endif /* OCI_PARAMS_H */
