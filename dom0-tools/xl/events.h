/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens to guests, told by whoever makes it happen: a line of JSON in XL_EVENTS, which "xl events" follows, and a
 * message to syslog. Neither waits, and neither can fail a guest: a full disk loses lines.
 */
#ifndef XL_EVENTS_H
#define XL_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "xl.h"

#define XL_EVENTS XL_LOG_DIR "/events.jsonl"

/* The words; man/xl.1 and docs/schema/event.json list them. */
#define EVENT_CREATED "created"
#define EVENT_STARTED "started"
#define EVENT_SHUTDOWN "shutdown" /* by itself, in order */
#define EVENT_REBOOTED "rebooted"
#define EVENT_CRASHED "crashed"
#define EVENT_RESTARTING "restarting" /* the next life is held back */
#define EVENT_DESTROYED "destroyed" /* nothing is left */
#define EVENT_LOST "backend-lost"
#define EVENT_SUPERVISED "supervised" /* its supervisor was killed, and it has another one */
#define EVENT_ATTACHED "device-attached"
#define EVENT_DETACHED "device-detached"
#define EVENT_TARGET "balloon-target" /* it is to have more or less memory */
#define EVENT_BALLOON "balloon" /* and has */
#define EVENT_POOL "cpupool-migrate" /* it has been moved to another CPU pool */

/*
 * @name: NULL when it has none. @more: printf for further members of the object, each with ", " in front ("" for none);
 * strings in it come from json_quote().
 */
void xl_event(const char *event, uint32_t domid, const char *name, const char *more, ...)
	__attribute__((format(printf, 4, 5)));
/* The same, with the name looked up in xenstore. */
#define xl_event_of(xl, event, domid, ...) \
	do { \
		char *name_ = domain_name(xl, domid); \
\
		xl_event(event, domid, name_, __VA_ARGS__); \
		free(name_); \
	} while (0)
/* A line of the log in words, malloc'd; NULL: it is no event. */
char *event_text(const char *line);

#endif /* XL_EVENTS_H */
