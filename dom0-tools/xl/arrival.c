// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest that was saved whole with its devices, where it comes to (whole.h).
 * Owns that it does not run unless each device that it has been connected to is there, and offers what the guest goes by.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "migrate.h"
#include "offers.h"
#include "whole.h"

#include <xen/io/xenbus.h>

bool whole_comes(const struct saved *s)
{
	return s && s->in.image.options & PV_STREAM_CONNECTED;
}

void whole_keep(struct saved *s, const struct pv_record *r)
{
	uint8_t **to = r->type == PV_REC_STORE ? &s->offers : &s->connection;

	*(r->type == PV_REC_STORE ? &s->offers_size : &s->connection_size) = r->length;
	free(*to);
	*to = malloc(r->length + 1);
	if (!*to)
		abort();
	memcpy(*to, r->body, r->length);
}

void whole_forget(struct saved *s)
{
	free(s->offers);
	free(s->connection);
	s->offers = s->connection = NULL;
}

/* --- its connection ------------------------------------------------------------------------------ */

int whole_park(struct xl *xl, const struct saved *s, uint32_t domid)
{
	char number[16], *said;
	int n = snprintf(number, sizeof(number), "%u", domid);

	said = xs_control_command(xl->xs, "park-domain", number, n + 1);
	if (!said)
		return xl_error("%s: xenstored does not wait for what the guest has of its former "
				"one: %s",
				s->path, strerror(errno));
	free(said);
	return 0;
}

/* For xenstored alone. 0 or -1, with errno. */
static int write_file(const char *path, const uint8_t *body, uint32_t size)
{
	int fd, rc, saved;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	errno = EIO;
	rc = write(fd, body, size) == (ssize_t)size ? 0 : -1;
	saved = errno;
	close(fd);
	errno = saved;
	return rc;
}

static int give_connection(struct xl *xl, const struct saved *s, uint32_t domid)
{
	char *path = xl_sprintf(XL_COMES, domid), *args = NULL, *said = NULL;
	int rc = write_file(path, s->connection, s->connection_size);

	if (!rc) {
		args = xl_sprintf("%u%c%s", domid, '\0', path);
		said = xs_control_command(xl->xs, "import-domain", args,
					  strlen(args) + strlen(path) + 2);
	}
	if (!said || strcmp(said, "OK"))
		rc = xl_error(
			"%s: xenstored does not take what the guest had of its former one: %s",
			s->path, said ? said : strerror(errno));
	MIGRATE_POINT(true, "after", "import");
	unlink(path);
	free(said);
	free(args);
	free(path);
	return rc;
}

/* --- its front ends ------------------------------------------------------------------------------ */

static bool is_connected(struct xl *xl, uint32_t domid, const struct device_kind *kind, long devid)
{
	return st_read_long(xl, "/local/domain/%u/device/%s/%ld/state", domid, kind->name, devid) ==
	       XenbusStateConnected;
}

/* All of @nr that the configuration has of this kind, and none else: for a front end without a back end would wait for ever. */
static int match(struct xl *xl, const struct saved *s, const struct xl_config *cfg, uint32_t domid,
		 const struct device_kind *kind, int nr)
{
	int wanted = 0, there = 0, i;
	unsigned int n, k, devid;
	char **dev;

	for (i = 0; i < nr; i++) {
		if (!kind->net && !cfg->disk[i].target)
			continue;
		if (kind->net ? cfg->nic[i].backend : cfg->disk[i].backend)
			return xl_error(
				"%s: the configuration gives the guest a device of a driver "
				"domain, and it was connected to none",
				s->path);
		devid = kind->net ? cfg->nic[i].devid : cfg->disk[i].devid;
		if (!is_connected(xl, domid, kind, devid))
			return xl_error("%s: the configuration gives the guest %s %u, and it was "
					"not connected to that",
					s->path, kind->key, devid);
		wanted++;
	}
	dev = st_list(xl, &n, "/local/domain/%u/device/%s", domid, kind->name);
	for (k = 0; k < n; k++)
		there += is_connected(xl, domid, kind, strtol(dev[k], NULL, 10));
	free(dev);
	if (there == wanted)
		return 0;
	return xl_error("%s: the guest was connected to %d of its %s=, and the configuration gives "
			"it %d",
			s->path, there, kind->key, wanted);
}

int whole_import(struct xl *xl, const struct saved *s, const struct xl_config *cfg, uint32_t domid)
{
	return give_connection(xl, s, domid) ||
			       match(xl, s, cfg, domid, &device_vbd, cfg->nr_disks) ||
			       match(xl, s, cfg, domid, &device_vif, cfg->nr_nics) ?
		       -1 :
		       0;
}

/* --- its back ends -------------------------------------------------------------------------------- */

static uint64_t value_of(const char *text)
{
	return text ? strtoull(text, NULL, 0) : 0;
}

/* What a later version has as well is none of ours to judge. */
static const struct offer *find_offer(const char *kind, const char *node)
{
	unsigned int i;

	for (i = 0; offers[i].node; i++)
		if (!strcmp(offers[i].kind, kind) && !strcmp(offers[i].node, node))
			return &offers[i];
	return NULL;
}

static int check_offer(struct xl *xl, const struct saved *s, uint32_t domid,
		       const struct pv_node *n)
{
	char *path = xl_sprintf("%.*s", (int)n->path_length, n->path), *here;
	char *text = xl_sprintf("%.*s", (int)n->value_length, n->value);
	char kind[8] = "", node[48] = "";
	const struct offer *o = NULL;
	unsigned int devid;
	uint64_t was, is;
	int rc = 0;

	if (sscanf(path, "backend/%7[^/]/%u/%47s", kind, &devid, node) == 3)
		o = find_offer(kind, node);
	if (o) {
		here = st_read(xl, XBT_NULL, "/local/domain/0/backend/%s/%u/%u/%s", kind, domid,
			       devid, node);
		was = value_of(text);
		is = value_of(here);
		if (o->same ? is != was : is < was)
			rc = xl_error(
				"%s: the guest goes by what its %s %u was before, and here that has "
				"%s %" PRIu64 " instead of %" PRIu64
				": it can only be saved for this host if it suspends itself",
				s->path, kind, devid, node, is, was);
		free(here);
	}
	free(text);
	free(path);
	return rc;
}

int whole_land(struct xl *xl, const struct saved *s, uint32_t domid)
{
	const struct pv_record r = { PV_REC_STORE, s->offers_size, s->offers };
	struct pv_node n;
	uint32_t at = 0;

	while (at < r.length && pv_stream_node(&r, &at, &n))
		if (check_offer(xl, s, domid, &n))
			return -1;
	if (!xs_resume_domain(xl->xs, domid))
		return xl_error("%s: xenstored does not serve the guest: %s", s->path,
				strerror(errno));
	/* Of the one that was there before it could not hear. */
	if (!saved_generation(xl, XBT_NULL, domid))
		return xl_error("cannot write to xenstore: %s", strerror(errno));
	return 0;
}
