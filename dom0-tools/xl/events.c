// SPDX-License-Identifier: BSD-2-Clause
/*
 * Telling what happens to guests (events.h).
 * Owns the words of an event, as JSON and as text, and the way to syslog that never waits.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "events.h"
#include "jsonl.h"

#ifndef XL_SYSLOG
#define XL_SYSLOG "/dev/log"
#endif

/*
 * What syslog(3) sends, but that one waits for a daemon that does not read: a datagram that nobody takes at once is lost
 * here.
 */
static void to_syslog(int priority, const char *text)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const char *path = XL_SYSLOG;
	char *message;
	int fd;

	if (!path || strlen(path) >= sizeof(un.sun_path))
		return;
	strcpy(un.sun_path, path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	message = xl_sprintf("<%d>xl[%d]: %s", LOG_DAEMON | priority, getpid(), text);
	/* No message of its own when it fails: most hosts have no syslogd, and the event is in the log. */
	if (sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&un,
		   sizeof(un)) >= 0)
		path = NULL;
	free(message);
	close(fd);
}

void xl_event(const char *event, uint32_t domid, const char *name, const char *more, ...)
{
	char now[JSON_TIME], *quoted = name ? json_quote(name) : NULL, *members, *line, *text;
	bool bad = !strcmp(event, EVENT_CRASHED) || !strcmp(event, EVENT_LOST);
	va_list ap;

	va_start(ap, more);
	if (vasprintf(&members, more, ap) < 0)
		abort();
	va_end(ap);
	json_time(json_now(), now);
	line = xl_sprintf("{\"time\": \"%s\", \"event\": \"%s\", \"domid\": %u, \"name\": %s%s}",
			  now, event, domid, quoted ? quoted : "null", members);
	jsonl_append(XL_EVENTS, line);
	text = event_text(line);
	if (text)
		to_syslog(bad ? LOG_WARNING : LOG_INFO, text + strcspn(text, " ") + 1);
	free(text);
	free(line);
	free(members);
	free(quoted);
}

/* "2026-11-28T04:55:12.123Z crashed         a (3) reason=crash" */
char *event_text(const char *line)
{
	size_t n, i, size = 0;
	struct jsonl_field *f = jsonl_parse(line, &n);
	const char *time = f ? jsonl_get(f, n, "time") : NULL;
	const char *event = f ? jsonl_get(f, n, "event") : NULL;
	const char *domid = f ? jsonl_get(f, n, "domid") : NULL;
	const char *name = f ? jsonl_get(f, n, "name") : NULL;
	char *text = NULL;
	FILE *out;

	if (!time || !event || !domid || !name) {
		jsonl_free(f, n);
		return NULL;
	}
	out = open_memstream(&text, &size);
	if (!out)
		abort();
	fprintf(out, "%s %-15s %s (%s)", time, event, name, domid);
	for (i = 0; i < n; i++)
		if (f[i].value != time && f[i].value != event && f[i].value != domid &&
		    f[i].value != name)
			fprintf(out, " %s=%s", f[i].key, f[i].value);
	fclose(out);
	jsonl_free(f, n);
	/* One event, one line, whatever somebody has put into it. */
	for (i = 0; i < size; i++)
		if (text[i] == '\n' || text[i] == '\t')
			text[i] = ' ';
	return text;
}
