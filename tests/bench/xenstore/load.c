// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the programs of the xenstore bench share: the tree of a guest, and requests as bytes.
 * The paths are those of a guest with a console, a disk and a network interface.
 * See load.h for the interface.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "load.h"

const char *const op_names[DO_MAX] = { "read", "write", "tx10", "dir", "fan", "scatter" };

/* With the nodes on the way to them these are 60. */
static const char *const leaves[GUEST_LEAVES] = {
	"/local/domain/%u/name",
	"/local/domain/%u/vm",
	"/local/domain/%u/memory/target",
	"/local/domain/%u/memory/static-max",
	"/local/domain/%u/console/ring-ref",
	"/local/domain/%u/console/port",
	"/local/domain/%u/store/ring-ref",
	"/local/domain/%u/store/port",
	"/local/domain/%u/control/shutdown",
	"/local/domain/%u/data/a",
	"/local/domain/%u/data/b",
	"/local/domain/%u/data/c",
	"/local/domain/%u/data/d",
	"/local/domain/%u/device/vbd/51712/backend",
	"/local/domain/%u/device/vbd/51712/backend-id",
	"/local/domain/%u/device/vbd/51712/state",
	"/local/domain/%u/device/vbd/51712/ring-ref",
	"/local/domain/%u/device/vbd/51712/event-channel",
	"/local/domain/%u/device/vbd/51712/protocol",
	"/local/domain/%u/device/vif/0/backend",
	"/local/domain/%u/device/vif/0/backend-id",
	"/local/domain/%u/device/vif/0/state",
	"/local/domain/%u/device/vif/0/tx-ring-ref",
	"/local/domain/%u/device/vif/0/rx-ring-ref",
	"/local/domain/%u/device/vif/0/event-channel",
	"/local/domain/0/backend/vbd/%u/51712/frontend",
	"/local/domain/0/backend/vbd/%u/51712/frontend-id",
	"/local/domain/0/backend/vbd/%u/51712/online",
	"/local/domain/0/backend/vbd/%u/51712/state",
	"/local/domain/0/backend/vbd/%u/51712/params",
	"/local/domain/0/backend/vbd/%u/51712/mode",
	"/local/domain/0/backend/vbd/%u/51712/sectors",
	"/local/domain/0/backend/vbd/%u/51712/sector-size",
	"/local/domain/0/backend/vif/%u/0/frontend",
	"/local/domain/0/backend/vif/%u/0/frontend-id",
	"/local/domain/0/backend/vif/%u/0/online",
	"/local/domain/0/backend/vif/%u/0/state",
	"/local/domain/0/backend/vif/%u/0/mac",
	"/local/domain/0/backend/vif/%u/0/bridge",
	"/vm/5e1f-%u/name",
	"/vm/5e1f-%u/uuid",
	"/vm/5e1f-%u/start_time",
	"/libxl/%u/type",
};

static const char *const watches[GUEST_WATCHES] = {
	"/local/domain/%u/control/shutdown",
	"/local/domain/%u/memory/target",
	"/local/domain/%u/console",
	"/local/domain/%u/device/vbd",
	"/local/domain/%u/device/vif",
	"/local/domain/%u/device/vbd/51712/state",
	"/local/domain/%u/device/vif/0/state",
	"/local/domain/0/backend/vbd/%u/51712/state",
	"/local/domain/0/backend/vif/%u/0/state",
	"/libxl/%u",
};

const char *leaf_path(char *buf, unsigned int guest, unsigned int leaf)
{
	snprintf(buf, 128, leaves[leaf], guest);
	return buf;
}

const char *guest_watch(char *buf, unsigned int guest, unsigned int watch)
{
	snprintf(buf, 128, watches[watch], guest);
	return buf;
}

size_t make_msg(char *buf, uint32_t type, uint32_t tx, const void *body, size_t len)
{
	static uint32_t id;
	struct xsd_sockmsg hdr = { .type = type, .req_id = ++id, .tx_id = tx, .len = (uint32_t)len };

	memcpy(buf, &hdr, sizeof(hdr));
	memcpy(buf + sizeof(hdr), body, len);
	return sizeof(hdr) + len;
}

size_t make_path(char *buf, uint32_t type, uint32_t tx, const char *path)
{
	return make_msg(buf, type, tx, path, strlen(path) + 1);
}

size_t make_pair(char *buf, uint32_t type, uint32_t tx, const char *a, const char *b)
{
	char body[XENSTORE_PAYLOAD_MAX];
	size_t na = strlen(a) + 1, nb = strlen(b) + (type != XS_WRITE);

	memcpy(body, a, na);
	memcpy(body + na, b, nb);
	return make_msg(buf, type, tx, body, na + nb);
}

void fill_nodes(unsigned int guests, void (*request)(const char *msg, size_t len))
{
	char msg[MSG_MAX_BYTES], path[128];

	for (unsigned int g = 1; g <= guests; g++)
		for (unsigned int i = 0; i < GUEST_LEAVES; i++)
			request(msg, make_pair(msg, XS_WRITE, 0, leaf_path(path, g, i), "value"));
	for (int i = 0; i < DIR_CHILDREN; i++) {
		snprintf(path, sizeof(path), "/bench/dir/%03d", i);
		request(msg, make_pair(msg, XS_WRITE, 0, path, ""));
	}
	request(msg, make_pair(msg, XS_WRITE, 0, "/bench/fan", "x"));
}

void fill_watches(unsigned int guests, void (*watch)(int watcher, const char *msg, size_t len))
{
	char msg[MSG_MAX_BYTES], path[128], token[24];

	for (unsigned int g = 1; g <= guests; g++) {
		for (unsigned int i = 0; i < GUEST_WATCHES; i++) {
			snprintf(token, sizeof(token), "%u-%u", g, i);
			watch(-1, msg, make_pair(msg, XS_WATCH, 0, guest_watch(path, g, i), token));
		}
	}
	for (int i = 0; i < FAN_WATCHES; i++)
		watch(i, msg, make_pair(msg, XS_WATCH, 0, "/bench/fan", "fan"));
}

uint32_t next_random(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

void visit_next(struct visit *v, unsigned int guests)
{
	if (!v->left--) {
		v->guest = next_random() % guests + 1;
		v->leaf = next_random() % GUEST_LEAVES;
		v->left = VISIT - 1;
	} else {
		v->leaf = (v->leaf + 1) % GUEST_LEAVES;
	}
}

int op_find(const char *name)
{
	for (int i = 0; i < DO_MAX; i++)
		if (!strcmp(name, op_names[i]))
			return i;
	fprintf(stderr, "unknown operation \"%s\"\n", name);
	exit(2);
}
