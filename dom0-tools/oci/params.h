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
#define OCI_NETWORK "network" /* "dhcp"; without it only the loopback interface */
#define OCI_GRACE "stop-timeout" /* seconds from SIGTERM to SIGKILL */
#define OCI_TEXTS 512 /* at most of arguments, and of variables */
#define OCI_TEXT_BYTES 2048 /* of one of them at most, its NUL included */

/* "exit 0" to "exit 255", "signal 9", or "error 125 what is wrong" with podman's 125, 126 and 127. */
#define OCI_RESULT "data/oci"

/* The image's archive. */
#define OCI_DISK "xvda"

#endif /* OCI_PARAMS_H */
