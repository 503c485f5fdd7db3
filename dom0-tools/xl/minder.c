// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who waits for a guest's end: its supervisor notes itself in XL_PRIVATE/<domid>/supervisor, which goes with the domain.
 * The node has a process's number and when it began, as the kernel counts that, since numbers are used again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "minder.h"

/* /proc/PID/stat behind its second field, a name in parentheses that may have anything in it. NULL: no such process. */
static const char *read_stat(long pid, char *text, size_t size)
{
	char path[40], *p;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return NULL;
	n = fread(text, 1, size - 1, f);
	fclose(f);
	text[n] = '\0';
	p = strrchr(text, ')');
	return p ? p + 1 : NULL;
}

/* Field 22. */
uint64_t process_began(long pid)
{
	char text[1024];
	const char *p = read_stat(pid, text, sizeof(text));
	uint64_t when = 0;

	/* A zombie waits for nothing. */
	if (!p || !strncmp(p, " Z", 2) ||
	    sscanf(p,
		   " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64,
		   &when) != 1)
		return 0;
	return when;
}

/* Field 7. */
int process_tty(long pid)
{
	char text[1024];
	const char *p = read_stat(pid, text, sizeof(text));
	int tty = 0;

	return p && sscanf(p, " %*c %*d %*d %*d %d", &tty) == 1 ? tty : 0;
}

void minder_is_me(struct xl *xl, uint32_t domid)
{
	char *text;

	if (!xl->xs)
		return;
	text = xl_sprintf("%ld %" PRIu64, (long)getpid(), process_began(getpid()));
	st_write(xl, XBT_NULL, text, XL_PRIVATE "/%u/supervisor", domid);
	free(text);
}

enum minder minder_of(struct xl *xl, uint32_t domid)
{
	char *noted = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/supervisor", domid), *kept;
	enum minder m = MINDER_NONE;
	uint64_t when;
	long pid;

	if (noted && sscanf(noted, "%ld %" SCNu64, &pid, &when) == 2)
		m = pid > 0 && when && process_began(pid) == when ? MINDER_ALIVE : MINDER_LOST;
	free(noted);
	if (m == MINDER_NONE)
		return m;
	kept = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/preserved", domid);
	free(kept);
	return kept ? MINDER_NONE : m;
}
