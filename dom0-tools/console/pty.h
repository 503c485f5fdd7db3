/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's pty: what /local/domain/N/console/tty names, for Xen's xenconsole and everything else that expects a terminal there.
 * Owns the rule that nobody is waited for: whoever is not there, or does not read, misses output; input waits for the guest.
 */
#ifndef CONSOLE_PTY_H
#define CONSOLE_PTY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pty {
	int fd; /* the master, never blocking; -1: there is none */
	char path[64]; /* the other end */
	int watch; /* inotify's number for it, -1: none */
	bool watched; /* somebody had it open when we last looked */
};

/*
 * Makes one, raw, root's alone. @inotify: tells of IN_OPEN at the other end, -1: none. Returns 0 or -1 with errno; pty_close() is
 * right for either.
 */
int pty_open(struct pty *p, int inotify);
/* Who has it open sees a hang-up. */
void pty_close(struct pty *p, int inotify);
/* Looks whether somebody has it open now. True: he has come since the last look. */
bool pty_look(struct pty *p);
/* What there is no room for is lost: the reader is too slow. */
void pty_write(struct pty *p, const char *buf, size_t n);
/* What was typed, at most @n bytes; 0: nothing now. */
size_t pty_read(struct pty *p, char *buf, size_t n);

#endif /* CONSOLE_PTY_H */
