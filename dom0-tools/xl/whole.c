// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest that is saved whole with its devices, where it is (whole.h).
 * Owns that what was begun is undone by whoever comes: what stands for that is XL_DRAINED.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "migrate.h"
#include "offers.h"
#include "usage.h"
#include "whole.h"

/* --- may it be ---------------------------------------------------------------------------------- */

char *whole_bars(struct xl *xl, uint32_t domid)
{
	return unbind_bars(xl, domid);
}

/* How many of its own kind it has, if all of them are in @has. */
static bool same(struct xl *xl, uint32_t domid, const struct device_kind *kind,
		 const struct xl_config *cfg, int nr)
{
	unsigned int n, i, have = 0;
	char **dev = st_list(xl, &n, XL_PRIVATE "/%u/device/%s", domid, kind->name);
	int wanted = 0, k;

	for (k = 0; k < nr; k++) {
		/* A drive without a medium is no device. */
		if (!kind->net && !cfg->disk[k].target)
			continue;
		wanted++;
		for (i = 0; i < n; i++)
			have += (kind->net ? cfg->nic[k].devid : cfg->disk[k].devid) ==
				strtoul(dev[i], NULL, 10);
	}
	free(dev);
	return have == n && wanted == (int)n;
}

/* What it sends from is what its driver was told once. */
static int check_mac(const struct saving *s, struct xl_nic *n)
{
	char *text = st_read(s->xl, XBT_NULL, "/local/domain/0/backend/vif/%u/%u/mac", s->domid,
			     n->devid);
	uint8_t mac[6];
	int rc = 0;

	if (!text || nic_mac_parse(text, mac) || (n->have_mac && memcmp(mac, n->mac, sizeof(mac))))
		rc = xl_error(
			"interface %u of '%s' has the address %s, and this configuration gives it "
			"another",
			n->devid, s->guest, text ? text : "?");
	else
		memcpy(n->mac, mac, sizeof(mac));
	free(text);
	return rc;
}

int whole_check_config(const struct saving *s, struct xl_config *cfg)
{
	int rc = 0, i;

	if (same(s->xl, s->domid, &device_vbd, cfg, cfg->nr_disks) &&
	    same(s->xl, s->domid, &device_vif, cfg, cfg->nr_nics)) {
		for (i = 0; i < cfg->nr_nics && !rc; i++)
			rc = check_mac(s, &cfg->nic[i]);
		return rc;
	}
	return xl_error(
		"'%s' has other disks or interfaces than this configuration gives it, and would "
		"look for its own where it goes on: it can only be saved so if it suspends "
		"itself (-S)",
		s->guest);
}

/* --- its devices -------------------------------------------------------------------------------- */

int whole_drain(struct saving *s, const uint8_t *state, uint32_t size)
{
	/* First: who is killed behind it has it undone. */
	if (!st_write(s->xl, XBT_NULL, "1", XL_DRAINED, s->domid))
		return xl_error("cannot write to xenstore: %s", strerror(errno));
	/* Their counters go with the drivers. */
	usage_sample(s->xl, s->domid, false);
	if (unbind_all(s->xl, s->domid, s->guest, state, size))
		return -1;
	MIGRATE_POINT(false, "after", "drain");
	return 0;
}

/* --- what xenstored has of it ------------------------------------------------------------------- */

/* The file is root's, and so is who reads it. */
static int read_file(struct saving *s, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = -1;
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && st.st_size > 0 && st.st_size <= PV_STREAM_MAX) {
		s->connection_size = st.st_size;
		s->connection = malloc(st.st_size);
		if (!s->connection)
			abort();
		if (read(fd, s->connection, st.st_size) == st.st_size)
			rc = 0;
	}
	if (rc)
		xl_error(
			"'%s' cannot be saved: what xenstored has of it cannot be read, or is more "
			"than %u MiB",
			s->guest, PV_STREAM_MAX >> 20);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int export(struct saving *s)
{
	char *path = xl_sprintf(XL_LEAVES, s->domid), number[16], *args = NULL, *said;
	size_t n = snprintf(number, sizeof(number), "%u", s->domid) + 1;
	int rc;

	args = xl_sprintf("%s%c%s", number, '\0', path);
	said = xs_control_command(s->xl->xs, "export-domain", args, n + strlen(path) + 1);
	if (!said || strcmp(said, "OK"))
		rc = xl_error("'%s' cannot be saved: xenstored does not give it out: %s", s->guest,
			      said ? said : strerror(errno));
	else
		rc = read_file(s, path);
	unlink(path);
	free(said);
	free(args);
	free(path);
	return rc;
}

/* One's value; the caller frees. How many queues there may be is said anew by each driver that comes: how many there are counts. */
static char *offered(struct saving *s, const char *kind, const char *dev, const char *node)
{
	if (strcmp(node, "multi-queue-max-queues"))
		return st_read(s->xl, XBT_NULL, "/local/domain/0/backend/%s/%u/%s/%s", kind,
			       s->domid, dev, node);
	/* One is had by everybody. */
	return st_read(s->xl, XBT_NULL, "/local/domain/%u/device/%s/%s/multi-queue-num-queues",
		       s->domid, kind, dev);
}

/* What the back ends of this kind have offered to the guest. */
static int add_offers(struct saving *s, const char *kind)
{
	char **dev, *value, *path;
	unsigned int n, i, k;
	struct pv_stream_node h = { 0 };
	struct pv_err err = { "" };
	int rc = 0;

	dev = st_list(s->xl, &n, XL_PRIVATE "/%u/device/%s", s->domid, kind);
	for (i = 0; i < n; i++) {
		for (k = 0; !rc && offers[k].node; k++) {
			if (strcmp(offers[k].kind, kind))
				continue;
			path = xl_sprintf("backend/%s/%s/%s", kind, dev[i], offers[k].node);
			value = offered(s, kind, dev[i], offers[k].node);
			h.path_length = strlen(path);
			h.value_length = value ? strlen(value) : 0;
			if (value && saving_add(s, &h, path, value, &err))
				rc = xl_error("'%s' cannot be saved: %s", s->guest, err.text);
			free(value);
			free(path);
		}
	}
	free(dev);
	return rc;
}

int whole_store(struct saving *s)
{
	if (export(s) || add_offers(s, "vbd") || add_offers(s, "vif"))
		return -1;
	MIGRATE_POINT(false, "after", "export");
	return 0;
}

/* --- back --------------------------------------------------------------------------------------- */

int whole_undo(struct xl *xl, uint32_t domid)
{
	char *drained = st_read(xl, XBT_NULL, XL_DRAINED, domid);
	int rc;

	if (!drained)
		return 0;
	free(drained);
	rc = unbind_undo(xl, domid);
	/* In this order: it sees its back ends as it saw them before. Not exported is fine. */
	if (!xs_resume_domain(xl->xs, domid))
		rc = xl_error("xenstored does not serve domain %u again: %s", domid,
			      strerror(errno));
	/* What has not come back is lost from now on. */
	st_remove(xl, XBT_NULL, XL_DRAINED, domid);
	whole_clean(domid);
	return rc;
}

void whole_clean(uint32_t domid)
{
	char *leaves = xl_sprintf(XL_LEAVES, domid), *comes = xl_sprintf(XL_COMES, domid);

	unlink(leaves);
	unlink(comes);
	free(leaves);
	free(comes);
}
