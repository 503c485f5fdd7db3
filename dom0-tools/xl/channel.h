/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One channel of a guest, as xl.cfg's channel = [ '...' ] states it: a further PV console, whose other end in dom0 is a pty or
 * a UNIX socket. Owns the specification's words and limits.
 */
#ifndef XL_CHANNEL_H
#define XL_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#define CHANNELS_MAX 9 /* Linux goes by the last digit of a channel's number */
#define CHANNEL_NAME_MAX 64
#define CHANNEL_PATH_MAX 107 /* of a socket's address */

struct xl_channel {
	unsigned int devid; /* 1 and on; 0 is the console */
	char *name; /* by which the guest finds it */
	char *path; /* the socket's; NULL: a pty */
	int line; /* in the config, for messages */
};

/* 0, or -1 with a message in @msg. */
int channel_parse(const char *spec, struct xl_channel *c, char *msg, size_t size);
void channel_free(struct xl_channel *c);

#endif /* XL_CHANNEL_H */
