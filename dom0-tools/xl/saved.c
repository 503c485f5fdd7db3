// SPDX-License-Identifier: BSD-2-Clause
/*
 * A saved domain on its way back (saved.h), and what a machine must have for it.
 * Owns that nothing of a stream reaches the domain unchecked: what pvstream.h leaves to its readers is looked at here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copied.h"
#include "whole.h"

#include <xen/hvm/params.h>

#define SHOW_MS 200
#ifndef DEVICE_TREE
#define DEVICE_TREE "/proc/device-tree"
#endif

/* --- what is shown ---------------------------------------------------------------------------- */

void progress_begin(struct progress *p, const char *what, uint64_t bytes)
{
	*p = (struct progress){ what, bytes, 0, xl_now(), xl_now(), isatty(2) };
}

void progress_add(struct progress *p, uint64_t bytes)
{
	int64_t now = xl_now(), ms = now - p->began;
	double rate;

	p->done += bytes;
	if (!p->on || now < p->shown + SHOW_MS)
		return;
	p->shown = now;
	rate = (double)p->done / PV_MIB * 1000 / ms;
	fprintf(stderr, "\r%s: %llu of %llu MiB, %.0f MiB/s, %.0f s left \033[K", p->what,
		(unsigned long long)(p->done / PV_MIB), (unsigned long long)(p->all / PV_MIB), rate,
		p->done < p->all && rate > 0 ? (double)(p->all - p->done) / PV_MIB / rate : 0);
}

void progress_end(struct progress *p)
{
	if (p->on)
		fprintf(stderr, "\r\033[K");
	p->on = false;
}

/* --- the machine ------------------------------------------------------------------------------ */

static uint32_t cell(const struct pv_cpu_template *t, const char *name)
{
	const uint8_t *b;
	int i;

	for (i = 0; i < t->nr; i++) {
		b = t->prop[i].data;
		if (!strcmp(t->prop[i].name, name) && t->prop[i].len == 4)
			return (uint32_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
	}
	return 0;
}

static const char *text(const struct pv_cpu_template *t, const char *name)
{
	int i;

	for (i = 0; i < t->nr; i++)
		if (!strcmp(t->prop[i].name, name) && t->prop[i].len > 0 &&
		    memchr(t->prop[i].data, 0, t->prop[i].len))
			return t->prop[i].data;
	return "";
}

static uint32_t satp_modes(const char *mmu)
{
	return !strcmp(mmu, "riscv,sv57") ? 7 << 8 :
	       !strcmp(mmu, "riscv,sv48") ? 3 << 8 :
	       !strcmp(mmu, "riscv,sv39") ? 1 << 8 :
					    0;
}

int saved_host(uint64_t timebase, uint8_t body[SAVED_HOST_MAX])
{
	struct pv_stream_host h = { .abi = XEN_DOMCTL_INTERFACE_VERSION };
	struct pv_cpu_template t;
	struct pv_err err = { "" };
	const char *isa;

	if (pv_cpu_template_read(DEVICE_TREE, &t, &err))
		return xl_error("%s", err.text);
	isa = text(&t, "riscv,isa");
	h.timebase = timebase ?: t.timebase;
	h.satp_modes = satp_modes(text(&t, "mmu-type"));
	h.cbom = cell(&t, "riscv,cbom-block-size");
	h.cbop = cell(&t, "riscv,cbop-block-size");
	h.cboz = cell(&t, "riscv,cboz-block-size");
	h.isa_length = strnlen(isa, PV_STREAM_ISA);
	memcpy(body, &h, sizeof(h));
	memcpy(body + sizeof(h), isa, h.isa_length);
	pv_cpu_template_free(&t);
	return sizeof(h) + h.isa_length;
}

int saved_host_fits(const char *path, const struct pv_record *r)
{
	uint8_t body[SAVED_HOST_MAX];
	struct pv_stream_host was, here;

	if (saved_host(0, body) < 0)
		return -1;
	memcpy(&was, r->body, sizeof(was));
	memcpy(&here, body, sizeof(here));
	if (was.timebase != here.timebase)
		return xl_error("%s: the guest's clock counts %llu times a second, this machine's "
				"%llu times: it cannot go on here",
				path, (unsigned long long)was.timebase,
				(unsigned long long)here.timebase);
	if (was.isa_length != here.isa_length ||
	    memcmp(r->body + sizeof(was), body + sizeof(here), here.isa_length))
		return xl_error("%s: the guest's harts are %.*s, this machine's %.*s: it cannot go "
				"on here",
				path, (int)was.isa_length, (const char *)r->body + sizeof(was),
				(int)here.isa_length, (const char *)body + sizeof(here));
	if (was.satp_modes & ~here.satp_modes || was.cbom != here.cbom || was.cbop != here.cbop ||
	    was.cboz != here.cboz)
		return xl_error("%s: address translation or cache blocks of the guest's machine "
				"were others: it cannot go on here",
				path);
	return 0;
}

bool saved_domain(const void *state, uint32_t size, struct hvm_riscv_domain *d)
{
	struct hvm_save_descriptor head;

	if (size < sizeof(head) + sizeof(*d))
		return false;
	memcpy(&head, state, sizeof(head));
	memcpy(d, (const char *)state + sizeof(head), sizeof(*d));
	return head.typecode == HVM_SAVE_DOMAIN && head.length == sizeof(*d) &&
	       d->magic == HVM_DOMAIN_MAGIC;
}

bool saved_node(const char *path, unsigned int length)
{
	static const char *const own[] = { "data", "drivers", "feature", "attr" };
	static const char control[] = "control/feature-";
	unsigned int i, n;

	for (i = 0; i < pv_container_size(own); i++) {
		n = strlen(own[i]);
		if (length >= n && !memcmp(path, own[i], n) && (length == n || path[n] == '/'))
			return true;
	}
	n = strlen(control);
	return length > n && !memcmp(path, control, n) && !memchr(path + n, '/', length - n);
}

/* --- what the domain is ----------------------------------------------------------------------- */

static int wrong(const struct saved *s, const struct pv_err *err)
{
	return xl_error("%s: %s", s->path, err->text);
}

static int read_static(struct saved *s, int patience)
{
	struct pv_err err = { "" };
	struct pv_record r;

	if (pv_stream_open_peer(&s->in, s->fd, patience, &err))
		return wrong(s, &err);
	do {
		if (pv_stream_next(&s->in, &r, &err) < 0)
			return wrong(s, &err);
		if (r.type == PV_REC_HOST && saved_host_fits(s->path, &r))
			return -1;
		if (r.type == PV_REC_CONFIG)
			s->config = strndup((const char *)r.body, r.length);
	} while (r.type != PV_REC_STATIC_DATA_END);
	return 0;
}

int saved_open(struct saved *s, const char *path)
{
	struct stat st;

	*s = (struct saved){ .path = path, .fd = open(path, O_RDONLY | O_CLOEXEC) };
	if (s->fd < 0)
		return xl_error("%s: %s", path, strerror(errno));
	if (fstat(s->fd, &st))
		return xl_error("%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return xl_error("%s: Is a directory", path);
	return read_static(s, 0);
}

int saved_open_stream(struct saved *s, int fd, int patience, const char *from)
{
	*s = (struct saved){ .path = from, .fd = -1, .stream = true };
	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0)
		return xl_error("%s: %s", from, strerror(errno));
	return read_static(s, patience);
}

void saved_of_fork(struct saved *s, const char *from, const char *config, uint32_t options,
		   uint64_t pages)
{
	*s = (struct saved){ .path = from, .fd = -1, .config = xl_sprintf("%s", config) };
	s->in.image.options = options;
	s->in.ram = pages;
}

int saved_forked(struct saved *s, int fd)
{
	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0 || lseek(s->fd, 0, SEEK_SET))
		return xl_error("%s: %s", s->path, strerror(errno));
	free(s->config);
	s->config = NULL;
	return read_static(s, 0);
}

void saved_close(struct saved *s)
{
	progress_end(&s->progress);
	pv_stream_close(&s->in);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	free(s->config);
	s->config = NULL;
	while (s->nr_watches) {
		s->nr_watches--;
		free(s->watch[s->nr_watches].path);
		free(s->watch[s->nr_watches].token);
	}
	free(s->watch);
	s->watch = NULL;
	whole_forget(s);
}

static bool is_suspended(const struct saved *s)
{
	return s->in.image.options & PV_STREAM_SUSPENDED;
}

/* --- and what it has -------------------------------------------------------------------------- */

int saved_memory(struct xl *xl, const struct saved *s, const struct pv_guest *g)
{
	unsigned int i;
	int rc = 0;

	if (s->fork)
		return 0;
	for (i = 0; i < s->in.nr_runs && !rc; i++)
		rc = pv_populate(xl->pv, g->domid, s->in.run[i].gfn, s->in.run[i].pages);
	if (rc)
		xl_error("%s: cannot give the guest its memory, %llu KiB: %s", s->path,
			 (unsigned long long)s->in.ram * 4, strerror(-rc));
	return rc;
}

/* Zeros are written as well: the page may have been sent before. */
static int put_pages(struct xl *xl, struct saved *s, const struct pv_guest *g,
		     const struct pv_record *r)
{
	static uint8_t pages[PV_STREAM_BATCH * PV_PAGE_SIZE];
	uint64_t gfns[PV_STREAM_BATCH];
	uint8_t kind[PV_STREAM_BATCH];
	const uint8_t *data;
	unsigned int n = pv_stream_pages(r, gfns, kind, &data), i;
	int rc;

	for (i = 0; i < n; i++) {
		if (kind[i] == PV_STREAM_HOLE)
			return xl_error("%s: page 0x%llx is a hole in its own memory map", s->path,
					(unsigned long long)gfns[i]);
		/* What is in the ring of one that lets itself be suspended is of its former connection. */
		if (kind[i] == PV_STREAM_ZERO ||
		    (is_suspended(s) && gfns[i] == GUEST_XENSTORE_PFN)) {
			data += kind[i] == PV_STREAM_ZERO ? 0 : PV_PAGE_SIZE;
			memset(pages + i * PV_PAGE_SIZE, 0, PV_PAGE_SIZE);
		} else {
			memcpy(pages + i * PV_PAGE_SIZE, data, PV_PAGE_SIZE);
			data += PV_PAGE_SIZE;
		}
	}
	rc = pv_memory_write(xl->pv, g->domid, gfns, n, pages);
	if (rc)
		return xl_error("%s: cannot write the guest's memory: %s", s->path, strerror(-rc));
	progress_add(&s->progress, n * PV_PAGE_SIZE);
	return 0;
}

static int put_state(struct xl *xl, struct saved *s, const struct pv_guest *g,
		     const struct pv_record *r)
{
	struct hvm_riscv_domain d;
	int rc;

	if (!saved_domain(r->body, r->length, &d))
		return xl_error("%s: there is no domain in the guest's state", s->path);
	if (!(d.flags & HVM_DOMAIN_SUSPENDED) != !is_suspended(s))
		return xl_error("%s: it says both that the guest had suspended itself, and that it "
				"had not",
				s->path);
	if (d.max_vcpus != g->vcpus)
		return xl_error("%s: the guest may have %u vCPUs, and %u by its configuration "
				"(maxvcpus)",
				s->path, d.max_vcpus, g->vcpus);
	rc = pv_domain_set_state(xl->pv, g->domid, r->body, r->length);
	if (!rc)
		return 0;
	return xl_error("%s: the hypervisor does not take the guest's state: %s", s->path,
			rc == -EINVAL	  ? "a record of it is wrong" :
			rc == -EOPNOTSUPP ? "this machine lacks what the guest had" :
					    strerror(-rc));
}

/* Its rings are where all guests of this version have them; write_rings() in life.c counts on that. */
static int take_params(struct saved *s, struct pv_guest *g, const struct pv_record *r)
{
	uint64_t store_pfn = 0, console_pfn = 0;
	struct pv_stream_param p;
	uint32_t at;

	for (at = 0; at < r->length; at += sizeof(p)) {
		memcpy(&p, r->body + at, sizeof(p));
		if (p.index == HVM_PARAM_STORE_PFN)
			store_pfn = p.value;
		else if (p.index == HVM_PARAM_CONSOLE_PFN)
			console_pfn = p.value;
		else if (p.index == HVM_PARAM_STORE_EVTCHN && p.value < UINT32_MAX)
			g->store_port = p.value;
		else if (p.index == HVM_PARAM_CONSOLE_EVTCHN && p.value < UINT32_MAX)
			g->console_port = p.value;
	}
	if (store_pfn != GUEST_XENSTORE_PFN || console_pfn != GUEST_CONSOLE_PFN ||
	    (!is_suspended(s) && (!g->store_port || !g->console_port)))
		return xl_error("%s: the guest's rings are not where they belong", s->path);
	return 0;
}

/* Ports of one that had suspended itself are new ones, of which it is told. */
static int make_rings(struct xl *xl, struct saved *s, struct pv_guest *g)
{
	struct pv_err err = { "" };
	int rc = is_suspended(s) ? pv_guest_rings(xl->pv, g, &err) : 0;

	return rc ? xl_error("%s: %s", s->path, err.text) : 0;
}

static bool put_node(struct xl *xl, uint32_t domid, const struct pv_node *n)
{
	char *path = xl_sprintf("/local/domain/%u/%.*s", domid, (int)n->path_length, n->path);
	bool ok = xs_write(xl->xs, XBT_NULL, path, n->value, n->value_length);

	/* What it makes below belongs to who owns the directory above, as when the guest wrote it itself. */
	if (ok) {
		struct xs_permissions p = { .id = domid, .perms = XS_PERM_NONE };

		if (n->flags & PV_NODE_READ)
			p.perms |= XS_PERM_READ;
		if (n->flags & PV_NODE_WRITE)
			p.perms |= XS_PERM_WRITE;
		ok = xs_set_permissions(xl->xs, XBT_NULL, path, &p, 1);
	}
	free(path);
	return ok;
}

/* It can be registered only in a connection. */
static void keep_watch(struct saved *s, const struct pv_node *n)
{
	struct saved_watch *w = realloc(s->watch, (s->nr_watches + 1) * sizeof(*w));

	if (!w)
		abort();
	s->watch = w;
	w += s->nr_watches++;
	w->path = strndup(n->path, n->path_length);
	w->token = strndup(n->value, n->value_length);
	if (!w->path || !w->token)
		abort();
}

int saved_watch(struct xl *xl, const struct saved *s, uint32_t domid)
{
	const struct saved_watch *w;
	unsigned int i, n;
	char *args, *said;

	for (i = 0; i < s->nr_watches; i++) {
		w = &s->watch[i];
		args = xl_sprintf("%u%c%s%c%s", domid, '\0', w->path, '\0', w->token);
		n = snprintf(NULL, 0, "%u", domid) + strlen(w->path) + strlen(w->token) + 3;
		said = xs_control_command(xl->xs, "watch-add", args, n);
		free(args);
		if (!said)
			return xl_error("%s: xenstored does not take the guest's watch of %s: %s",
					s->path, w->path, strerror(errno));
		free(said);
	}
	return 0;
}

static int put_nodes(struct xl *xl, struct saved *s, const struct pv_guest *g,
		     const struct pv_record *r)
{
	struct pv_node n;
	uint32_t at = 0;

	while (at < r->length && pv_stream_node(r, &at, &n)) {
		if (n.flags == PV_NODE_WATCH) {
			if (!is_suspended(s))
				keep_watch(s, &n);
			continue;
		}
		if (!saved_node(n.path, n.path_length) || !(n.flags & PV_NODE_GUESTS))
			return xl_error("%s: node %.*s is none of a guest's own", s->path,
					(int)n.path_length, n.path);
		if (!put_node(xl, g->domid, &n))
			return xl_error("%s: cannot write the guest's node %.*s: %s", s->path,
					(int)n.path_length, n.path, strerror(errno));
	}
	return 0;
}

bool saved_generation(struct xl *xl, xs_transaction_t t, uint32_t domid)
{
	uint8_t id[16];
	char text[37];

	if (uuid_random(id))
		return false;
	uuid_format(id, text);
	return st_write(xl, t, text, "/local/domain/%u/control/generation", domid);
}

static int put_disk(struct saved *s, const struct pv_record *r)
{
	return s->copied ?
		       copied_put(s->copied, r) :
		       xl_error("%s: disks come along only with a guest that is moved", s->path);
}

/* What is in the ring of one that lets itself be suspended is of its former connection, here too. */
static int fork_memory(struct xl *xl, struct saved *s, const struct pv_guest *g)
{
	static const uint8_t zeros[PV_PAGE_SIZE];
	uint64_t gfn = GUEST_XENSTORE_PFN;
	int rc = s->fork(s, g->domid);

	if (rc || !is_suspended(s))
		return rc;
	rc = pv_memory_write(xl->pv, g->domid, &gfn, 1, zeros);
	return rc ? xl_error("%s: cannot write the guest's memory: %s", s->path, strerror(-rc)) : 0;
}

int saved_fill(struct xl *xl, struct saved *s, struct pv_guest *g)
{
	struct pv_err err = { "" };
	struct pv_record r;
	int rc = 0, more = 1;

	if (!s->stream && !s->fork)
		progress_begin(&s->progress, "Restoring", s->in.ram * PV_PAGE_SIZE);
	if ((s->has_memory && s->has_memory(s)) || (s->fork && fork_memory(xl, s, g)))
		return -1;
	while (!rc && more) {
		more = pv_stream_next(&s->in, &r, &err);
		if (more < 0)
			rc = wrong(s, &err);
		else if (xl_interrupted)
			rc = xl_error("interrupted");
		else if (more && r.type == PV_REC_PAGE_DATA)
			rc = put_pages(xl, s, g, &r);
		else if (more && r.type == PV_REC_DISK)
			rc = put_disk(s, &r);
		else if (more && r.type == PV_REC_HVM_CONTEXT)
			rc = put_state(xl, s, g, &r);
		else if (more && r.type == PV_REC_HVM_PARAMS)
			rc = take_params(s, g, &r);
		else if (more && whole_comes(s) &&
			 (r.type == PV_REC_STORE || r.type == PV_REC_CONNECTION))
			whole_keep(s, &r);
		else if (more && r.type == PV_REC_STORE)
			rc = put_nodes(xl, s, g, &r);
	}
	if (!rc && s->copied)
		rc = copied_sync(s->copied);
	if (!rc && !s->stream && pv_stream_at_end(&s->in, &err))
		rc = wrong(s, &err);
	if (!rc)
		rc = make_rings(xl, s, g);
	if (!rc && whole_comes(s))
		rc = whole_park(xl, s, g->domid);
	progress_end(&s->progress);
	return rc;
}
