// SPDX-License-Identifier: BSD-2-Clause
/*
 * The stream of a guest that is being saved (saving.h, docs/save-format.md).
 * Owns which of its nodes in xenstore go along: those that are its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "rounds.h"
#include "saving.h"

#include <xen/hvm/params.h>

#define STORE_MAX (1u << 20)

/* --- what STORE will have -------------------------------------------------------------------- */

int saving_add(struct saving *s, const struct pv_stream_node *h, const char *path,
	       const char *value, struct pv_err *err)
{
	uint32_t size = (sizeof(*h) + h->path_length + h->value_length + 7) & ~7u;
	uint8_t *to;

	if (!s->store)
		s->store = calloc(1, STORE_MAX);
	if (!s->store)
		abort();
	if (STORE_MAX - s->store_size < size)
		return pv_fail(err, -E2BIG, "the guest has too many nodes and watches in xenstore");
	to = s->store + s->store_size;
	memcpy(to, h, sizeof(*h));
	memcpy(to + sizeof(*h), path, h->path_length);
	memcpy(to + sizeof(*h) + h->path_length, value, h->value_length);
	s->store_size += size;
	return 0;
}

/* What no reader would take is no file: the guest is to go on. */
static int put(struct saving *s, uint32_t type, const void *body, size_t length)
{
	int rc = pv_stream_readable(type, body, length, &s->err);

	return rc ? rc :
		    pv_stream_put(&s->out, type, &(struct iovec){ (void *)body, length }, 1,
				  &s->err);
}

int saving_read(struct saving *s, struct saving_batch *b)
{
	int rc = pv_memory_read(s->xl->pv, s->domid, b->gfn, b->n, b->page, b->kind);

	return rc ? pv_fail(&s->err, rc, "cannot read the guest's memory: %s", strerror(-rc)) : 0;
}

int saving_put(struct saving *s, const struct saving_batch *b)
{
	int rc = pv_stream_put_pages(&s->out, b->gfn, b->kind, b->n, b->page, &s->err);

	return rc || !xl_interrupted ? rc : pv_fail(&s->err, -EINTR, "interrupted");
}

static int put_memory(struct saving *s, struct progress *p)
{
	static struct saving_batch b;
	uint64_t next, end;
	unsigned int i;
	int rc;

	for (i = 0; i < s->nr_runs; i++) {
		next = s->run[i].gfn;
		end = next + s->run[i].pages;
		while (next < end) {
			for (b.n = 0; b.n < PV_STREAM_BATCH && next < end; b.n++)
				b.gfn[b.n] = next++;
			rc = saving_read(s, &b);
			/* Somebody has taken it; restore refuses holes in the map. */
			if (!rc && memchr(b.kind, PV_PAGE_HOLE, b.n))
				rc = pv_fail(&s->err, -EAGAIN,
					     "the guest's memory has changed under the copy");
			if (!rc)
				rc = saving_put(s, &b);
			if (rc)
				return rc;
			progress_add(p, b.n * PV_PAGE_SIZE);
		}
	}
	return 0;
}

static int put_params(struct saving *s)
{
	const struct pv_stream_param params[] = {
		{ HVM_PARAM_STORE_PFN, s->domain.store_pfn },
		{ HVM_PARAM_STORE_EVTCHN, s->domain.store_evtchn },
		{ HVM_PARAM_CONSOLE_PFN, s->domain.console_pfn },
		{ HVM_PARAM_CONSOLE_EVTCHN, s->domain.console_evtchn },
	};

	return put(s, PV_REC_HVM_PARAMS, params, sizeof(params));
}

/* Whose the node is, and what all others may: PV_NODE_*; 0: it is not the guest's. */
static uint32_t node_flags(struct saving *s, const char *whole)
{
	unsigned int n = 0;
	struct xs_permissions *p = xs_get_permissions(s->xl->xs, XBT_NULL, whole, &n);
	uint32_t flags = 0;

	if (p && n && p->id == s->domid)
		flags = PV_NODE_GUESTS | (p->perms & XS_PERM_READ ? PV_NODE_READ : 0) |
			(p->perms & XS_PERM_WRITE ? PV_NODE_WRITE : 0);
	free(p);
	return flags;
}

/* The guest's own nodes below @path. */
static int collect(struct saving *s, const char *path)
{
	char *whole = xl_sprintf("/local/domain/%u/%s", s->domid, path), *value, **child, *below;
	struct pv_stream_node h = { .flags = node_flags(s, whole) };
	unsigned int n = 0, length = 0, i;
	int rc = 0;

	value = xs_read(s->xl->xs, XBT_NULL, whole, &length);
	h.path_length = strlen(path);
	h.value_length = length;
	if (value && h.flags && saved_node(path, h.path_length))
		rc = saving_add(s, &h, path, value, &s->err);
	child = value && !rc ? st_list(s->xl, &n, "%s", whole) : NULL;
	for (i = 0; i < n && !rc; i++) {
		below = xl_sprintf("%s/%s", path, child[i]);
		if (saved_node(below, strlen(below)))
			rc = collect(s, below);
		free(below);
	}
	free(child);
	free(value);
	free(whole);
	return rc;
}

static int put_store(struct saving *s)
{
	static const char *const tops[] = { "data", "drivers", "feature", "attr", "control" };
	unsigned int i;
	int rc = 0;

	for (i = 0; i < pv_container_size(tops) && !rc && !s->connected; i++)
		rc = collect(s, tops[i]);
	if (!rc)
		rc = put(s, PV_REC_STORE, s->store, s->store_size);
	if (!rc && s->connected)
		rc = put(s, PV_REC_CONNECTION, s->connection, s->connection_size);
	return rc;
}

int saving_begin(struct saving *s, int fd)
{
	_Alignas(8) uint8_t host[SAVED_HOST_MAX];
	int n = saved_host(s->domain.timebase_frequency, host), rc;
	long version = pv_version(s->xl->pv, 0, NULL, 0);

	if (n < 0)
		return n;
	memcpy(&s->timebase, host + offsetof(struct pv_stream_host, timebase), sizeof(s->timebase));
	rc = pv_stream_begin(&s->out, fd,
			     (s->suspended ? PV_STREAM_SUSPENDED :
			      s->connected ? PV_STREAM_CONNECTED :
					     0) |
				     (s->packed ? PV_STREAM_PACKED : 0) |
				     (s->disks ? PV_STREAM_DISKS : 0),
			     version >> 16, version & 0xffff, &s->err);
	s->out.patience = s->patience;
	s->out.stop = &xl_interrupted;
	if (!rc)
		rc = put(s, PV_REC_HOST, host, n);
	if (!rc)
		rc = put(s, PV_REC_CONFIG, s->config, strlen(s->config));
	if (!rc)
		rc = put(s, PV_REC_MEMORY_MAP, s->run, s->nr_runs * sizeof(*s->run));
	if (!rc && s->disks)
		rc = put(s, PV_REC_DISKS, s->disks, s->disks_size);
	if (!rc)
		rc = put(s, PV_REC_STATIC_DATA_END, NULL, 0);
	return rc;
}

int saving_rest(struct saving *s, const char *what)
{
	char *text = xl_sprintf("%s %s", what, s->guest);
	struct progress p;
	int rc;

	progress_begin(&p, text, s->pages * PV_PAGE_SIZE);
	if (s->timebase != s->domain.timebase_frequency)
		rc = pv_fail(&s->err, -EINVAL,
			     "the guest's clock is not the one that the device tree tells of");
	else
		rc = s->forked ? 0 : s->rounds ? rounds_last(s->rounds) : put_memory(s, &p);
	if (!rc)
		rc = put(s, PV_REC_HVM_CONTEXT, s->state, s->state_size);
	if (!rc)
		rc = put_params(s);
	if (!rc)
		rc = put_store(s);
	if (!rc)
		rc = pv_stream_put_end(&s->out, &s->err);
	progress_end(&p);
	free(text);
	return rc;
}

int saving_write(struct saving *s, int fd)
{
	int rc = saving_begin(s, fd);

	return rc ? rc : saving_rest(s, "Saving");
}

void saving_free(struct saving *s)
{
	pv_stream_finish(&s->out);
	free(s->disks);
	free(s->config);
	free(s->state);
	free(s->store);
	free(s->connection);
	free(s->run);
}
