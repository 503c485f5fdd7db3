/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Common parts of libxenstore: permissions and paths of the daemon.
 * Source- and binary-compatible with the header of the same name of Xen 4.17.
 * Included by xenstore.h.
 */
#ifndef XENSTORE_LIB_H
#define XENSTORE_LIB_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xen/io/xs_wire.h>

struct xs_permissions {
	unsigned int id;
	unsigned int perms; /* XS_PERM_* */
};

#define XS_PERM_NONE 0x00
#define XS_PERM_READ 0x01
#define XS_PERM_WRITE 0x02
/* Values that Xen's daemon uses inside. */
#define XS_PERM_ENOENT_OK 0x04
#define XS_PERM_OWNER 0x08
#define XS_PERM_IGNORE 0x10

/* Upper bound of the decimal length of an integer of this type, sign and NUL included. */
#define MAX_STRLEN(x) ((sizeof(x) * CHAR_BIT + CHAR_BIT - 1) / 10 * 3 + 2)

/* $XENSTORED_RUNDIR and $XENSTORED_PATH override. */
const char *xs_daemon_rundir(void);
const char *xs_daemon_socket(void);
const char *xs_daemon_socket_ro(void);

/* Writes all of it, or returns false with errno. */
bool xs_write_all(int fd, const void *data, unsigned int len);

/* Parses num strings ("r5", "n0", ...) that follow each other. False with EINVAL if one is wrong.
 */
bool xs_strings_to_perms(struct xs_permissions *perms, unsigned int num, const char *strings);

#endif
