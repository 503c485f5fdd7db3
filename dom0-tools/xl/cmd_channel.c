// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl channel-list. Owns its columns, Xen's, and its JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "show.h"

#define BACK "/local/domain/0/backend/console/%u/%u"
#define FRONT "/local/domain/%u/device/console/%u"

/* What is dom0's to say of one. The caller frees. */
struct seen {
	char *name, *connection, *path;
};

/* False: there is no such channel. */
static bool look(struct xl *xl, uint32_t domid, unsigned int devid, struct seen *s)
{
	bool is_socket;

	s->connection = devid ? st_read(xl, XBT_NULL, BACK "/connection", domid, devid) : NULL;
	if (!s->connection)
		return false;
	is_socket = !strcmp(s->connection, "socket");
	s->name = st_read(xl, XBT_NULL, BACK "/name", domid, devid);
	s->path = st_read(xl, XBT_NULL, is_socket ? BACK "/path" : BACK "/tty", domid, devid);
	return true;
}

static void forget(struct seen *s)
{
	free(s->name);
	free(s->connection);
	free(s->path);
}

static int channel_lines(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	unsigned int n, i, devid, id = info->domain;
	char **dev = st_list(xl, &n, "/local/domain/0/backend/console/%u", id);
	struct seen s;

	for (i = 0; i < n; i++) {
		devid = atoi(dev[i]);
		if (!look(xl, id, devid, &s))
			continue;
		printf("%-3u %-2d %-5ld %-6ld %-8ld %-10s %-30s\n", devid, 0,
		       st_read_long(xl, FRONT "/state", id, devid),
		       st_read_long(xl, FRONT "/port", id, devid),
		       st_read_long(xl, FRONT "/ring-ref", id, devid), s.connection,
		       s.path ? s.path : "");
		forget(&s);
	}
	free(dev);
	return 0;
}

static int channel_json(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	unsigned int n, i, devid, id = info->domain;
	char **dev = st_list(xl, &n, "/local/domain/0/backend/console/%u", id);
	struct seen s;

	json_array(&show_json, "channels");
	for (i = 0; i < n; i++) {
		devid = atoi(dev[i]);
		if (!look(xl, id, devid, &s))
			continue;
		json_object(&show_json, NULL);
		json_number(&show_json, "devid", devid);
		json_text(&show_json, "name", s.name);
		json_number(&show_json, "backend_domid", 0);
		json_known(&show_json, "state", st_read_long(xl, FRONT "/state", id, devid));
		json_known(&show_json, "event_channel", st_read_long(xl, FRONT "/port", id, devid));
		json_known(&show_json, "ring_ref", st_read_long(xl, FRONT "/ring-ref", id, devid));
		json_text(&show_json, "connection", s.connection);
		json_text(&show_json, "path", s.path);
		json_end(&show_json);
		forget(&s);
	}
	json_end(&show_json);
	free(dev);
	return 0;
}

void channels_long(struct xl *xl, struct json *j, uint32_t domid)
{
	unsigned int n, i, devid, found = 0;
	char **dev = st_list(xl, &n, "/local/domain/0/backend/console/%u", domid);
	struct seen s;

	for (i = 0; i < n; i++) {
		devid = atoi(dev[i]);
		if (!look(xl, domid, devid, &s))
			continue;
		if (!found++)
			json_array(j, "channels");
		json_object(j, NULL);
		json_number(j, "devid", devid);
		json_text(j, "name", s.name);
		if (strcmp(s.connection, "socket")) {
			json_object(j, "connection.pty");
		} else {
			json_object(j, "connection.socket");
			json_text(j, "path", s.path);
		}
		json_end(j);
		json_end(j);
		forget(&s);
	}
	if (found)
		json_end(j);
	free(dev);
}

int cmd_channel_list(int argc, char **argv)
{
	static const struct table t = {
		.header = "Idx BE state evt-ch ring-ref connection                               ",
		.guests_only = true,
		.min = 1,
		.line = channel_lines,
		.json = channel_json,
	};

	return show_table(argc, argv, &t);
}
