// SPDX-License-Identifier: BSD-2-Clause
/*
 * The terminal that a guest was created from: xl create is back as soon as the guest runs, and its supervisor tells of an early end there.
 * Owns that nothing is ever written to a terminal that somebody else has got since, and that nobody waits for one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "creator.h"
#include "minder.h"

/* A second of the guest's own may be several of ours, under emulation. */
#define EARLY_MS 3000

void creator_open(struct creator *c)
{
	c->fd = -1;
	c->session = getsid(0);
	if (c->session <= 0 || !isatty(2) || tcgetsid(2) != c->session)
		return;
	c->began = process_began(c->session);
	c->tty = process_tty(c->session);
	if (!c->began || !c->tty)
		return;
	/* An open file of our own: O_NONBLOCK on the one that the shell has would be the shell's, too. */
	c->fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	c->until = xl_now() + EARLY_MS;
}

bool creator_early(const struct creator *c)
{
	return c->fd >= 0 && xl_now() < c->until;
}

void creator_close(struct creator *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* A session that ends takes the terminal from all that have it open, so that only one that left it is looked for here. */
static bool is_theirs(const struct creator *c)
{
	return process_began(c->session) == c->began && process_tty(c->session) == c->tty;
}

void creator_tell(struct creator *c, const char *name, const struct report *r)
{
	char *text = early_end_text(name, r, "soon after its start"), *shown = xl_one_line(text),
	     *line;

	/* Somebody's program may have the terminal in raw mode. */
	line = xl_sprintf("\r\nxl: %s; its console's log is " XL_CONSOLE_LOG_DIR
			  "/guest-%s.log\r\n",
			  shown, name);
	if (c->fd >= 0 && is_theirs(c) && write(c->fd, line, strlen(line)) < 0)
		errno = 0;
	free(line);
	free(shown);
	free(text);
	creator_close(c);
}
