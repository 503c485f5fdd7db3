// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl save: a guest's whole state into a file.
 * Owns which guests can be saved, and that one that was not goes on as if nothing had been, and leaves no file.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump.h"
#include "next.h"
#include "saved.h"

#include <xen/hvm/params.h>
#include <xen/io/console.h>
#include <xen/io/xs_wire.h>

#ifndef SETTLE_MS
#define SETTLE_MS 2000 /* for the daemons to have done with a guest's rings */
#endif
#define STORE_MAX (1u << 20)

struct options {
	bool running, paused;
	const char *guest, *file, *config;
};

struct saving {
	struct xl *xl;
	const struct options *o;
	uint32_t domid;
	struct pv_stream_out out;
	struct pv_err err;
	char *config;
	uint8_t *state, *store; /* records' bodies; of the latter so far only the watches */
	uint32_t state_size, store_size;
	unsigned long watches;
	struct hvm_riscv_domain domain;
	struct pv_stream_run *run;
	unsigned int nr_runs;
	uint64_t pages;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	int rc = 0, c;

	while ((c = command_option(argc, argv, "cp", &rc)) != -1) {
		if (c == '?')
			return rc + 1;
		o->running |= c == 'c';
		o->paused |= c == 'p';
	}
	if (argc - optind < 2 || argc - optind > 3)
		return command_usage("save", false) + 1;
	if (o->running && o->paused) {
		xl_error("-c and -p exclude each other");
		return EXIT_USAGE + 1;
	}
	o->guest = argv[optind];
	o->file = argv[optind + 1];
	o->config = argv[optind + 2];
	return 0;
}

/* --- which guests ----------------------------------------------------------------------------- */

#define LATER "it can be shut down, and created again later"

static int check_devices(struct saving *s)
{
	static const char *const kinds[] = { "vbd", "vif" };
	unsigned int i, n = 0;
	char *node;

	for (i = 0; i < pv_container_size(kinds) && !n; i++)
		free(st_list(s->xl, &n, XL_PRIVATE "/%u/device/%s", s->domid, kinds[i]));
	if (!n)
		free(st_list(s->xl, &n, XL_CDROM, s->domid));
	if (!n)
		free(st_list(s->xl, &n, "/local/domain/%u/device/console", s->domid));
	if (n)
		return xl_error("'%s' has disks, interfaces or channels, and such guests cannot be "
				"saved yet: detach them, or " LATER,
				s->o->guest);
	node = st_read(s->xl, XBT_NULL, XL_DRIVER, s->domid);
	free(node);
	if (node)
		return xl_error("'%s' is a driver domain, whose guests would lose their devices: "
				"it cannot be saved",
				s->o->guest);
	return 0;
}

static int check_guest(struct saving *s)
{
	struct xen_domctl_getdomaininfo info;

	if (pv_domain_info(s->xl->pv, s->domid, &info) || info.flags & XEN_DOMINF_dying)
		return xl_error("'%s' has been destroyed", s->o->guest);
	if (info.flags & XEN_DOMINF_shutdown)
		return xl_error("'%s' has ended: there is nothing to go on with", s->o->guest);
	return check_devices(s);
}

/* --- its configuration ------------------------------------------------------------------------ */

/* What it was made from, with the name, memory, vCPUs and pool that it has now. */
static int read_config(struct saving *s)
{
	char *path = s->o->config ? strdup(s->o->config) : xl_sprintf(XL_NEXT_FILE, s->domid);
	char *args[7] = { NULL }, uuid[37];
	struct xen_domctl_getdomaininfo info;
	struct xl_config was = { 0 }, cfg = { 0 };
	int n = 0, rc = -1;

	if (pv_domain_info(s->xl->pv, s->domid, &info))
		goto out;
	if (!s->o->config && next_is_updated(s->domid)) {
		xl_error("'%s' has been given another configuration for its next life "
			 "(config-update): give the one that it runs with behind the file's name",
			 s->o->guest);
		goto out;
	}
	if (config_read(&was, path, NULL, 0, s->o->config ? stderr : NULL)) {
		xl_error("it is not known what '%s' was made from: give its config file behind the "
			 "file's name",
			 s->o->guest);
		goto out;
	}
	next_adopt(s->xl, s->domid, &was);
	uuid_format(info.handle, uuid);
	args[n++] = xl_sprintf("name=\"%s\"", was.name);
	args[n++] = xl_sprintf("uuid=\"%s\"", uuid);
	args[n++] = xl_sprintf("memory=%lu", was.memory);
	args[n++] = xl_sprintf("maxmem=%lu", was.maxmem);
	args[n++] = xl_sprintf("vcpus=%u", was.vcpus);
	/* What it was made with, which the state goes by: without the key it would be what is on now. */
	args[n++] = xl_sprintf("maxvcpus=%u", info.max_vcpu_id + 1);
	if (was.pool)
		args[n++] = xl_sprintf("pool=\"%s\"", was.pool);
	rc = config_read(&cfg, path, args, n, stderr) || next_make_absolute(&cfg);
	if (!rc)
		s->config = next_text(&cfg);
	while (n)
		free(args[--n]);
out:
	config_free(&was);
	config_free(&cfg);
	free(path);
	return rc;
}

/* --- what STORE will have -------------------------------------------------------------------- */

static int add_node(struct saving *s, const struct pv_stream_node *h, const char *path,
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

/* --- its rings -------------------------------------------------------------------------------- */

static int read_page(struct saving *s, uint64_t gfn, void *page)
{
	uint8_t kind = PV_PAGE_HOLE;
	int rc = pv_memory_read(s->xl->pv, s->domid, &gfn, 1, page, &kind);

	if (!rc && kind == PV_PAGE_ZERO)
		memset(page, 0, PV_PAGE_SIZE);
	return rc || kind == PV_PAGE_HOLE ? xl_error("cannot read a ring of '%s'", s->o->guest) : 0;
}

/* Has xenstored taken and answered all that the guest has asked? 1, 0, or -1 after a message. *@left: what else it holds of it. */
static int store_settled(struct saving *s, char **left)
{
	static union {
		struct xenstore_domain_interface ring;
		uint8_t bytes[PV_PAGE_SIZE];
	} page;
	unsigned long request = 0, unsent = 0, transactions = 0;
	char *cmd, *said;

	*left = NULL;
	if (read_page(s, GUEST_XENSTORE_PFN, &page))
		return -1;
	if (page.ring.req_prod != page.ring.req_cons)
		return 0;
	/* The guest stands still: what xenstored has now it keeps. */
	cmd = xl_sprintf("%u", s->domid);
	said = xs_control_command(s->xl->xs, "connection", cmd, strlen(cmd) + 1);
	free(cmd);
	if (!said || sscanf(said, "request %lu unsent %lu watches %lu transactions %lu", &request,
			    &unsent, &s->watches, &transactions) != 4) {
		free(said);
		return xl_error("xenstored does not say what it holds of '%s': it is another "
				"version",
				s->o->guest);
	}
	free(said);
	if (transactions)
		*left = xl_sprintf("is in a transaction of xenstore: try again");
	else if (request)
		*left = xl_sprintf("has sent half a request to xenstore: try again");
	/* Half a request may be a whole one that xenstored makes wait. */
	return !unsent && !request;
}

/* Into what will be STORE. A path that is not relative has numbers of this life in it, or is somebody else's. */
static int add_watch(struct saving *s, int depth, const char *path, const char *token)
{
	struct pv_stream_node h = { .flags = PV_NODE_WATCH };
	struct pv_err err = { "" };

	if (*path == '/' || depth != -1)
		return xl_error("'%s' watches %s in xenstore, which cannot be carried yet: " LATER,
				s->o->guest, path);
	h.path_length = strlen(path);
	h.value_length = strlen(token);
	if (add_node(s, &h, path, token, &err))
		return xl_error("'%s' cannot be saved: %s", s->o->guest, err.text);
	return 0;
}

static int get_watches(struct saving *s)
{
	char args[40], *said, *path, *token;
	unsigned long i;
	int depth, rc = 0;

	for (i = 0; i < s->watches && !rc; i++) {
		snprintf(args, sizeof(args), "%u%c%lu", s->domid, '\0', i);
		said = xs_control_command(s->xl->xs, "watch", args,
					  strlen(args) + strlen(args + strlen(args) + 1) + 2);
		path = said ? strchr(said, ' ') : NULL;
		token = path ? strchr(path, '\n') : NULL;
		if (!token || sscanf(said, "%d", &depth) != 1) {
			rc = xl_error("xenstored does not say what '%s' watches: %s", s->o->guest,
				      said ? "it is another version" : strerror(errno));
		} else {
			*token = '\0';
			rc = add_watch(s, depth, path + 1, token + 1);
		}
		free(said);
	}
	return rc;
}

static int await_rings(struct saving *s)
{
	static union {
		struct xencons_interface ring;
		uint8_t bytes[PV_PAGE_SIZE];
	} page;
	int64_t begin = xl_now();
	char *left = NULL;
	int rc;

	while (!(rc = store_settled(s, &left)) && xl_now() < begin + SETTLE_MS && !xl_interrupted) {
		free(left);
		left = NULL;
		xl_sleep_since(begin);
	}
	if (rc >= 0 && left)
		rc = xl_error("'%s' %s", s->o->guest, left);
	else if (!rc)
		xl_error("'%s' does not fetch what xenstored has answered: it cannot be saved",
			 s->o->guest);
	free(left);
	if (rc <= 0)
		return -1;
	/* What nobody takes from the console stays in its ring, and goes with it. */
	do {
		if (read_page(s, GUEST_CONSOLE_PFN, &page))
			return -1;
		if (page.ring.out_prod == page.ring.out_cons)
			break;
		xl_sleep_since(begin);
	} while (xl_now() < begin + SETTLE_MS && !xl_interrupted);
	return 0;
}

/* --- the stream ------------------------------------------------------------------------------- */

static int state_error(const struct saving *s, int rc)
{
	const char *why = rc == -EOPNOTSUPP ? "its event channels are FIFO queues, as Linux's are, "
					      "which cannot be carried yet: " LATER :
			  rc == -EXDEV	    ? "it shares memory or event channels with another "
					      "guest: " LATER :
			  rc == -EMLINK	    ? "it has mapped other guests' memory: " LATER :
			  rc == -ENODEV	    ? "it has a device's interrupt" :
			  rc == -ENXIO	    ? "it has given up a page that it told the hypervisor "
					      "to write to" :
			  rc == -ENOSYS	    ? "this hypervisor cannot tell it" :
					      strerror(-rc);

	return xl_error("'%s' cannot be saved: %s", s->o->guest, why);
}

static int get_state_now(struct saving *s, uint8_t **state, uint32_t *size)
{
	int rc = pv_domain_get_state(s->xl->pv, s->domid, NULL, size);

	if (rc)
		return state_error(s, rc);
	*state = malloc(*size);
	if (!*state)
		abort();
	rc = pv_domain_get_state(s->xl->pv, s->domid, *state, size);
	if (rc)
		return state_error(s, rc);
	return saved_domain(*state, *size, &s->domain) ? 0 : state_error(s, -EBADMSG);
}

/* How much of a state is DOMAIN's and VCPU's records: they come first. */
static uint32_t clocks(const uint8_t *state, uint32_t size)
{
	struct hvm_save_descriptor d;
	uint32_t at = 0;

	while (size - at >= sizeof(d)) {
		memcpy(&d, state + at, sizeof(d));
		if (d.typecode < HVM_SAVE_DOMAIN || d.typecode > HVM_SAVE_VCPU ||
		    d.length > size - at - sizeof(d))
			break;
		at += sizeof(d) + d.length;
	}
	return at;
}

/*
 * Its clock stands still from get on, and so that is right behind the pause; but what the daemons did until its rings were settled
 * has made ports pending. So all is asked for again, but for the clocks and the vCPUs, which have not moved.
 */
static int get_state(struct saving *s, const uint8_t *first, uint32_t first_size)
{
	uint32_t n = clocks(first, first_size);

	if (get_state_now(s, &s->state, &s->state_size))
		return -1;
	if (clocks(s->state, s->state_size) != n)
		return xl_error("'%s' cannot be saved: its vCPUs have changed while it was paused",
				s->o->guest);
	memcpy(s->state, first, n);
	return saved_domain(s->state, s->state_size, &s->domain) ? 0 : state_error(s, -EBADMSG);
}

static int get_map(struct saving *s)
{
	struct pavise_memory_run found[128];
	struct pv_stream_run *last = NULL;
	uint64_t gfn = 0;
	int n, i;

	s->run = calloc(PV_STREAM_RUNS, sizeof(*s->run));
	if (!s->run)
		abort();
	do {
		n = pv_memory_map(s->xl->pv, s->domid, &gfn, found, 128);
		if (n < 0)
			return state_error(s, n);
		for (i = 0; i < n; i++) {
			if (found[i].what != PAVISE_RUN_ram &&
			    !(found[i].what & PAVISE_RUN_hides_ram))
				continue;
			s->pages += found[i].pages;
			if (last && last->gfn + last->pages == found[i].gfn) {
				last->pages += found[i].pages;
				continue;
			}
			if (s->nr_runs == PV_STREAM_RUNS)
				return xl_error("'%s' cannot be saved: its memory has more than %d "
						"pieces",
						s->o->guest, PV_STREAM_RUNS);
			last = &s->run[s->nr_runs++];
			*last = (struct pv_stream_run){ found[i].gfn, found[i].pages };
		}
	} while (n == 128);
	return 0;
}

static int put(struct saving *s, uint32_t type, const void *body, size_t length)
{
	return pv_stream_put(&s->out, type, &(struct iovec){ (void *)body, length }, 1, &s->err);
}

static int put_memory(struct saving *s, struct progress *p)
{
	static uint8_t pages[PV_STREAM_BATCH * PV_PAGE_SIZE];
	uint64_t gfns[PV_STREAM_BATCH];
	uint8_t kind[PV_STREAM_BATCH];
	uint64_t next, end;
	unsigned int i, n;
	int rc;

	for (i = 0; i < s->nr_runs; i++) {
		next = s->run[i].gfn;
		end = next + s->run[i].pages;
		while (next < end) {
			for (n = 0; n < PV_STREAM_BATCH && next < end; n++)
				gfns[n] = next++;
			rc = pv_memory_read(s->xl->pv, s->domid, gfns, n, pages, kind);
			if (rc)
				return pv_fail(&s->err, rc, "cannot read the guest's memory: %s",
					       strerror(-rc));
			rc = pv_stream_put_pages(&s->out, gfns, kind, n, pages, &s->err);
			if (rc)
				return rc;
			if (xl_interrupted)
				return pv_fail(&s->err, -EINTR, "interrupted");
			progress_add(p, n * PV_PAGE_SIZE);
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
		rc = add_node(s, &h, path, value, &s->err);
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

	for (i = 0; i < pv_container_size(tops) && !rc; i++)
		rc = collect(s, tops[i]);
	return rc ? rc : put(s, PV_REC_STORE, s->store, s->store_size);
}

static int write_stream(struct saving *s, int fd)
{
	uint8_t host[SAVED_HOST_MAX];
	int n = saved_host(s->domain.timebase_frequency, host), rc;
	long version = pv_version(s->xl->pv, 0, NULL, 0);
	char *what = xl_sprintf("Saving %s", s->o->guest);
	struct progress p;

	progress_begin(&p, what, s->pages * PV_PAGE_SIZE);
	rc = n < 0 ? n : pv_stream_begin(&s->out, fd, version >> 16, version & 0xffff, &s->err);
	if (!rc)
		rc = put(s, PV_REC_HOST, host, n);
	if (!rc)
		rc = put(s, PV_REC_CONFIG, s->config, strlen(s->config));
	if (!rc)
		rc = put(s, PV_REC_MEMORY_MAP, s->run, s->nr_runs * sizeof(*s->run));
	if (!rc)
		rc = put(s, PV_REC_STATIC_DATA_END, NULL, 0);
	if (!rc)
		rc = put_memory(s, &p);
	if (!rc)
		rc = put(s, PV_REC_HVM_CONTEXT, s->state, s->state_size);
	if (!rc)
		rc = put_params(s);
	if (!rc)
		rc = put_store(s);
	if (!rc)
		rc = pv_stream_put_end(&s->out, &s->err);
	progress_end(&p);
	free(what);
	return rc;
}

/* --- the file --------------------------------------------------------------------------------- */

static int sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	free(copy);
	rc = fd < 0 || fsync(fd) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Whole and on the disk, or not there. */
static int write_file(struct saving *s, const char *part)
{
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), rc;

	if (fd < 0)
		return xl_error("%s: %s", s->o->file, strerror(errno));
	rc = write_stream(s, fd);
	if (rc && *s->err.text)
		xl_error("%s: %s", s->o->file, s->err.text);
	if (!rc && fsync(fd))
		rc = xl_error("%s: %s", s->o->file, strerror(errno));
	if (close(fd) && !rc)
		rc = xl_error("%s: %s", s->o->file, strerror(errno));
	if (!rc && (rename(part, s->o->file) || sync_directory(s->o->file)))
		rc = xl_error("%s: %s", s->o->file, strerror(errno));
	if (rc)
		unlink(part);
	return rc;
}

static int check_file(const struct options *o)
{
	struct stat st;

	if (!lstat(o->file, &st) && !S_ISREG(st.st_mode))
		return xl_error("%s is there and no regular file", o->file);
	return 0;
}

/* Its lock is held. */
static int save(struct saving *s)
{
	uint8_t *first = NULL;
	uint32_t first_size = 0;
	struct dump d;
	int rc;

	if (check_guest(s) || check_file(s->o) || read_config(s))
		return -1;
	rc = dump_begin(s->xl, s->domid, s->o->file, true, &d);
	if (rc)
		return xl_error("cannot pause '%s': %s", s->o->guest, strerror(-rc));
	rc = get_state_now(s, &first, &first_size) || await_rings(s) || get_watches(s) ||
	     get_state(s, first, first_size) || get_map(s) || write_file(s, d.part);
	free(first);
	if (!rc && s->o->paused)
		d.paused = false;
	if (!rc && !s->o->paused && !s->o->running) {
		/* The file is it now: it must not run on from here. */
		d.paused = false;
		rc = domain_destroy(s->xl, s->domid);
	}
	dump_end(s->xl, &d);
	if (!rc)
		printf("%s: %llu MiB of memory, %.1f MiB in the file\n", s->o->guest,
		       (unsigned long long)(s->pages * PV_PAGE_SIZE / PV_MIB),
		       (double)s->out.bytes / PV_MIB);
	return rc;
}

int cmd_save(int argc, char **argv)
{
	struct options o = { 0 };
	struct saving s = { .o = &o };
	int rc = parse_options(argc, argv, &o), lock;
	struct xl xl;

	if (rc)
		return rc - 1;
	/* An interrupted one leaves no guest paused and no file. */
	xl_catch_signals();
	if (xl_open(&xl))
		return 1;
	s.xl = &xl;
	lock = domain_lock(&xl, o.guest, "save", &s.domid);
	rc = lock < 0 || save(&s);
	xl_unlock_domain(lock, s.domid);
	xl_close(&xl);
	free(s.config);
	free(s.state);
	free(s.store);
	free(s.run);
	return rc ? 1 : 0;
}
