// SPDX-License-Identifier: BSD-2-Clause
/*
 * The two ends of a guest's life: create and destroy.
 * Owns the order of things: everything that can fail without a domain fails before there is one,
 * and one destroy function unwinds any half-made guest. Whatever is killed half-way, xl destroy
 * finishes: the domain itself goes last, so that there is something left to name.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "events.h"
#include "next.h"
#include "oci.h"
#include "pools.h"
#include "template.h"
#include "usage.h"
#include "whole.h"

#define FREE_WAIT_MS 10000
#define GONE_WAIT_MS 5000
#define CONSOLE_LIMIT "1048576"
#define XL_CONSOLE_BACKENDS "/local/domain/0/backend/console/%u"
#define XL_CONSOLE_BACKEND XL_CONSOLE_BACKENDS "/0"

struct creation {
	struct xl *xl;
	struct xl_config *cfg;
	struct pv_image image;
	struct pv_guest guest;
	uint8_t uuid[16];
	char uuid_text[37];
	int lock, domain_lock;
	struct pv_pool pool;
};

/* --- before there is a domain ---------------------------------------------------------------- */

static int open_ramdisk(struct creation *k, uint64_t *size)
{
	const char *path = k->cfg->ramdisk;
	struct stat st;
	int fd;

	*size = 0;
	k->guest.ramdisk_fd = -1;
	if (!path)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		config_error(k->cfg, "ramdisk", 0, "%s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		config_error(k->cfg, "ramdisk", 0, "%s: not a regular file", path);
	} else {
		k->guest.ramdisk_fd = fd;
		*size = st.st_size;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/*
 * A kernel without an EFI stub does not say where its file ends. Much .bss is a small program's; of a file of
 * a kernel's length it hardly ever is more than all the rest.
 */
static void warn_if_short(const struct creation *k)
{
	const struct pv_image *img = &k->image;

	if (!img->elf && img->file_size >= PV_MIB && img->file_size < img->size / 2)
		xl_error(
			"warning: %s has only %llu of the %llu bytes that its header speaks of: is "
			"the file whole?",
			k->cfg->kernel, (unsigned long long)img->file_size,
			(unsigned long long)img->size);
}

static int check_devices(struct xl_config *cfg)
{
	int i, bad = 0;

	for (i = 0; i < cfg->nr_disks; i++) {
		/* An image's directory becomes one once the guest is made. */
		if (oci_is_directory(cfg) && !cfg->oci->packed &&
		    !strcmp(cfg->disk[i].target ? cfg->disk[i].target : "", cfg->oci->path))
			continue;
		bad |= device_check_disk(cfg, &cfg->disk[i]) != 0;
	}
	for (i = 0; i < cfg->nr_nics; i++)
		bad |= device_check_nic(cfg, &cfg->nic[i]) != 0;
	return bad ? -1 : 0;
}

static int check_files(struct creation *k)
{
	struct xl_config *cfg = k->cfg;
	struct pv_err err = { "" };
	uint64_t ramdisk_size;
	int bad = 0;

	/* All that it has of the others is in its memory. */
	if (cfg->saved)
		return check_devices(cfg);
	if (kernel_open(cfg, &k->image, &err)) {
		config_error(cfg, "kernel", 0, "%s", err.text);
		bad = 1;
	} else {
		warn_if_short(k);
	}
	bad |= open_ramdisk(k, &ramdisk_size) != 0;
	/* An image is a disk, too: what is wrong with it is said once. */
	bad |= oci_check(cfg) || check_devices(cfg);
	if (bad)
		return -1;
	if (pv_layout_plan(&k->image, ramdisk_size, cfg->maxmem * PV_MIB, cfg->maxvcpus,
			   cfg->cmdline, &k->guest.layout, &err)) {
		config_error(cfg, "memory", 0, "%s", err.text);
		return -1;
	}
	return 0;
}

/* Page tables and the hypervisor's own structures included, generously. */
static uint64_t pages_for(const struct xl_config *cfg)
{
	uint64_t need = cfg->maxmem * PV_MIB / PV_PAGE_SIZE;

	return need + need / 256 + 256;
}

bool domain_can_fit(struct xl *xl, const struct xl_config *cfg)
{
	struct xen_sysctl_physinfo info;
	struct xen_domctl_getdomaininfo dom0;

	return pv_physinfo(xl->pv, &info) || pv_domain_info(xl->pv, 0, &dom0) ||
	       info.total_pages >= pages_for(cfg) + dom0.tot_pages;
}

bool domain_fits(struct xl *xl, const struct xl_config *cfg)
{
	struct xen_sysctl_physinfo info;

	return !pv_physinfo(xl->pv, &info) && info.free_pages + info.scrub_pages >= pages_for(cfg);
}

/* A domain that is being destroyed still holds memory for a moment; so wait. 0, -errno, or 1: there is no room. */
static int await_room(struct xl *xl, uint64_t need, uint64_t *room)
{
	int64_t end = xl_now() + FREE_WAIT_MS;
	struct xen_sysctl_physinfo info;
	struct xen_domctl_getdomaininfo *list;
	bool more;
	int n, rc;

	do {
		rc = pv_physinfo(xl->pv, &info);
		if (rc)
			return rc;
		*room = info.free_pages;
		if (*room >= need)
			return 0;
		more = *room + info.scrub_pages >= need;
		n = pv_domain_list(xl->pv, &list);
		if (n > 0) {
			while (n--)
				more |= !!(list[n].flags & XEN_DOMINF_dying);
			free(list);
		}
		if (more)
			xl_sleep(20);
	} while (more && xl_now() < end && !xl_interrupted);
	return 1;
}

bool domain_will_fit(struct xl *xl, const struct xl_config *cfg)
{
	uint64_t room;

	return await_room(xl, pages_for(cfg), &room) <= 0;
}

static int check_memory(struct creation *k)
{
	uint64_t room = 0;
	int rc = await_room(k->xl, pages_for(k->cfg), &room);

	if (rc < 0)
		return xl_error("cannot ask for the free memory: %s", strerror(-rc));
	if (!rc)
		return 0;
	config_error(k->cfg, k->cfg->maxmem > k->cfg->memory ? "maxmem" : "memory", 0,
		     "not enough free memory: %lu MiB wanted, %llu MiB free", k->cfg->maxmem,
		     (unsigned long long)(room * PV_PAGE_SIZE / PV_MIB));
	return -ENOMEM;
}

int uuid_random(uint8_t uuid[16])
{
	if (getrandom(uuid, 16, 0) != 16)
		return xl_error("no random numbers for a UUID: %s", strerror(errno));
	uuid[6] = (uuid[6] & 0x0f) | 0x40; /* version 4 */
	uuid[8] = (uuid[8] & 0x3f) | 0x80; /* RFC 4122's variant */
	return 0;
}

static int check_identity(struct creation *k)
{
	struct xl_config *cfg = k->cfg;

	if (domain_name_used(k->xl, cfg->name, DOMID_INVALID)) {
		config_error(cfg, "name", 0, "a domain called '%s' exists already", cfg->name);
		return -1;
	}
	if (cfg->incoming && domain_name_used(k->xl, cfg->incoming, DOMID_INVALID)) {
		config_error(cfg, "name", 0, "a domain called '%s' exists already", cfg->incoming);
		return -1;
	}
	memcpy(k->uuid, cfg->uuid, 16);
	if (!cfg->have_uuid && !cfg->uuid_chosen && uuid_random(k->uuid))
		return -1;
	uuid_format(k->uuid, k->uuid_text);
	if (cfg->have_uuid) {
		char *name = st_read(k->xl, XBT_NULL, "/vm/%s/name", k->uuid_text);

		if (name) {
			config_error(cfg, "uuid", 0, "%s belongs to domain '%s'", k->uuid_text,
				     name);
			free(name);
			return -1;
		}
	}
	return 0;
}

/* --- xenstore -------------------------------------------------------------------------------- */

static bool write_vm(struct creation *k, xs_transaction_t t)
{
	const char *fetched = k->cfg->bootloader_kernel;
	char start[32];
	bool ok;

	snprintf(start, sizeof(start), "%lld", (long long)time(NULL));
	ok = st_dir(k->xl, t, 0, k->guest.domid, "/vm/%s", k->uuid_text);
	ok = ok && st_write(k->xl, t, k->cfg->name, "/vm/%s/name", k->uuid_text);
	ok = ok && st_write(k->xl, t, k->uuid_text, "/vm/%s/uuid", k->uuid_text);
	ok = ok && st_write(k->xl, t, fetched ? fetched : k->cfg->kernel, "/vm/%s/image/kernel",
			    k->uuid_text);
	if (fetched)
		ok = ok && st_write(k->xl, t, "pygrub", "/vm/%s/image/bootloader", k->uuid_text);
	ok = ok && st_write(k->xl, t, k->cfg->cmdline, "/vm/%s/image/cmdline", k->uuid_text);
	ok = ok && st_write(k->xl, t, "linux", "/vm/%s/image/ostype", k->uuid_text);
	return ok && st_write(k->xl, t, start, "/vm/%s/start_time", k->uuid_text);
}

/* Directories the guest only reads, and those that are its own; as Xen's toolstack has them. */
static bool write_dirs(struct creation *k, xs_transaction_t t)
{
	static const char *const read_only[] = { "cpu",	    "memory",  "device",
						 "control", "console", "store" };
	static const char *const own[] = { "device/suspend/event-channel",
					   "control/shutdown",
					   "control/feature-poweroff",
					   "control/feature-reboot",
					   "control/feature-suspend",
					   "control/sysrq",
					   "data",
					   "drivers",
					   "feature",
					   "attr",
					   "error" };
	uint32_t id = k->guest.domid;
	unsigned int i;
	char life[24];
	bool ok;

	ok = st_dir(k->xl, t, 0, 0, XL_PRIVATE "/%u", id);
	ok = ok && st_dir(k->xl, t, 0, id, "/local/domain/%u", id);
	for (i = 0; ok && i < pv_container_size(read_only); i++)
		ok = st_dir(k->xl, t, 0, id, "/local/domain/%u/%s", id, read_only[i]);
	for (i = 0; ok && i < pv_container_size(own); i++)
		ok = st_dir(k->xl, t, id, id, "/local/domain/%u/%s", id, own[i]);
	/* In libxl its tools, which find out by it where they are, may keep what they like; it is Xen's name. */
	if (k->cfg->driver_domain) {
		snprintf(life, sizeof(life), "%lld", (long long)xl_now());
		ok = ok && st_write(k->xl, t, life, XL_DRIVER, id);
		ok = ok && st_dir(k->xl, t, 0, id, "/local/domain/%u/backend", id);
		ok = ok && st_dir(k->xl, t, id, id, "/local/domain/%u/libxl", id);
	}
	return ok;
}

static bool write_number(struct creation *k, xs_transaction_t t, unsigned long n, const char *leaf)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", n);
	return st_write(k->xl, t, text, "/local/domain/%u/%s", k->guest.domid, leaf);
}

static bool write_domain(struct creation *k, xs_transaction_t t)
{
	uint32_t id = k->guest.domid;
	struct xl_config *cfg = k->cfg;
	char *vm = xl_sprintf("/vm/%s", k->uuid_text), text[32];
	unsigned int i;
	bool ok;

	ok = st_write(k->xl, t, vm, "/local/domain/%u/vm", id);
	ok = ok && st_write(k->xl, t, cfg->name, "/local/domain/%u/name", id);
	/* From its first moment on: whoever finds it later knows what it is (bootloader.c). */
	if (cfg->reader_dir)
		ok = ok && st_write(k->xl, t, cfg->reader_dir, XL_PRIVATE "/%u/bootloader", id) &&
		     st_write(k->xl, t, cfg->reader_for, XL_PRIVATE "/%u/bootloader-for", id);
	ok = ok && write_number(k, t, id, "domid");
	/* It starts with all that it may have; its balloon driver goes down to the target. */
	ok = ok && write_number(k, t, cfg->memory * 1024, "memory/target");
	ok = ok && write_number(k, t, cfg->maxmem * 1024, "memory/static-max");
	snprintf(text, sizeof(text), "%lu", cfg->maxmem * 1024);
	ok = ok && st_write(k->xl, t, text, XL_PRIVATE "/%u/memory", id);
	ok = ok && write_number(k, t, 1, "control/platform-feature-multiprocessor-suspend");
	ok = ok && write_number(k, t, 1, "control/platform-feature-xs_reset_watches");
	ok = ok && (!cfg->saved || saved_generation(k->xl, t, id));
	for (i = 0; ok && i < cfg->maxvcpus; i++)
		ok = st_write(k->xl, t, i < cfg->vcpus ? "online" : "offline",
			      "/local/domain/%u/cpu/%u/availability", id, i);
	free(vm);
	return ok;
}

/*
 * Nobody but tools that look for it: xenconsoled goes by the front end's nodes. Connected, as it is: of what is Initialising dom0's
 * kernel makes a device, without a driver for it, and looks through all of those at each change of one.
 */
static bool write_console_backend(struct creation *k, xs_transaction_t t)
{
	char be[64], fe[48], id[16];
	bool ok;

	snprintf(be, sizeof(be), XL_CONSOLE_BACKEND, k->guest.domid);
	snprintf(fe, sizeof(fe), "/local/domain/%u/console", k->guest.domid);
	snprintf(id, sizeof(id), "%u", k->guest.domid);
	ok = st_dir(k->xl, t, 0, k->guest.domid, "%s", be);
	ok = ok && st_write(k->xl, t, fe, "%s/frontend", be);
	ok = ok && st_write(k->xl, t, id, "%s/frontend-id", be);
	ok = ok && st_write(k->xl, t, "1", "%s/online", be);
	ok = ok && st_write(k->xl, t, "4", "%s/state", be);
	ok = ok && st_write(k->xl, t, "vt100", "%s/protocol", be);
	return ok && st_write(k->xl, t, be, "%s/backend", fe);
}

static bool write_rings(struct creation *k, xs_transaction_t t)
{
	uint32_t id = k->guest.domid;
	bool ok;

	ok = write_number(k, t, GUEST_XENSTORE_PFN, "store/ring-ref");
	ok = ok && write_number(k, t, k->guest.store_port, "store/port");
	ok = ok && write_number(k, t, GUEST_CONSOLE_PFN, "console/ring-ref");
	ok = ok && write_number(k, t, k->guest.console_port, "console/port");
	ok = ok && write_console_backend(k, t);
	ok = ok && st_write(k->xl, t, "xenconsoled", "/local/domain/%u/console/type", id);
	ok = ok && st_write(k->xl, t, "pty", "/local/domain/%u/console/output", id);
	ok = ok && st_write(k->xl, t, "0", "/local/domain/%u/console/backend-id", id);
	ok = ok && st_write(k->xl, t, "", "/local/domain/%u/console/tty", id);
	ok = ok && st_write(k->xl, t, "", "/local/domain/%u/console/socket", id);
	return ok && st_write(k->xl, t, CONSOLE_LIMIT, "/local/domain/%u/console/limit", id);
}

static bool write_oci(struct creation *k, xs_transaction_t t)
{
	return oci_write(k->xl, t, k->guest.domid, k->cfg);
}

static bool write_channels(struct creation *k, xs_transaction_t t)
{
	return channels_write(k->xl, t, k->guest.domid, k->cfg);
}

/* Runs the writers in one transaction, again as long as others interfere. */
static int in_transaction(struct creation *k,
			  bool (*const *writer)(struct creation *k, xs_transaction_t t))
{
	xs_transaction_t t;
	bool ok;
	int i, saved;

	do {
		t = xs_transaction_start(k->xl->xs);
		if (t == XBT_NULL)
			break;
		xs_batch_begin(k->xl->xs, t);
		for (ok = true, i = 0; ok && writer[i]; i++)
			ok = writer[i](k, t);
		saved = errno;
		if (!xs_batch_end(k->xl->xs)) {
			saved = errno;
			ok = false;
		}
		if (!ok) {
			xs_transaction_end(k->xl->xs, t, true);
			/* EAGAIN: xenstored was started again under the transaction */
			errno = saved;
			continue;
		}
		if (xs_transaction_end(k->xl->xs, t, false))
			return 0;
	} while (errno == EAGAIN);
	return xl_error("cannot write the guest's nodes to xenstore: %s", strerror(errno));
}

/* --- making ---------------------------------------------------------------------------------- */

/* The number for a driver domain whose last life guests still wait for, once nothing is left of that; else 0. */
static uint32_t await_number(struct creation *k)
{
	uint32_t domid = driver_number(k->xl, k->cfg->name);
	int64_t end = xl_now() + GONE_WAIT_MS;
	struct xen_domctl_getdomaininfo info;

	while (domid && !pv_domain_info(k->xl->pv, domid, &info)) {
		if (xl_now() > end) {
			xl_error(
				"warning: something still has pages of domain %u: '%s' cannot have "
				"that number, and the guests that had disks or interfaces of it do "
				"not get them back",
				domid, k->cfg->name);
			return 0;
		}
		xl_sleep(20);
	}
	return domid;
}

/*
 * Numbers that others have granted pages to are passed over: the hypervisor goes round all that there are, so each comes up
 * once at most.
 */
static int take_number(struct creation *k, const struct pv_create *create)
{
	uint32_t *domid = &k->guest.domid;
	unsigned int tries = 0;
	int rc;

	for (;;) {
		rc = pv_domain_create(k->xl->pv, create, domid, NULL);
		if (rc || create->domid || !driver_number_kept(k->xl, *domid))
			return rc;
		pv_domain_destroy(k->xl->pv, *domid);
		if (++tries > DOMID_FIRST_RESERVED)
			return -ENOSPC;
	}
}

/* Of a machine with so many CPUs; @pool: NULL, or whose CPUs they are to be. */
static int check_set(struct xl_config *cfg, const char *key, struct cpus *sets,
		     unsigned int nr_cpus, const struct pv_pool *pool)
{
	unsigned int i;
	char *wrong;

	for (i = 0; sets && i < cfg->maxvcpus; i++) {
		wrong = sets[i].mask ? cpus_fit(&sets[i], nr_cpus) : NULL;
		if (!wrong && pool && sets[i].mask && !(sets[i].mask & pool->cpus))
			wrong = pool_lacks(pool);
		if (!wrong)
			continue;
		config_error(cfg, key, 0, "%s", wrong);
		free(wrong);
		return -1;
	}
	return 0;
}

static int check_cpus(struct creation *k)
{
	struct xl_config *cfg = k->cfg;
	struct xen_sysctl_physinfo info;
	int rc;

	if (pool_of_config(k->xl, cfg, &k->pool))
		return -1;
	if (!cfg->cpus && !cfg->cpus_soft)
		return 0;
	rc = pv_physinfo(k->xl->pv, &info);
	if (rc)
		return xl_error("cannot ask for the machine: %s", strerror(-rc));
	if (check_set(cfg, "cpus", cfg->cpus, info.nr_cpus, cfg->had_a_life ? NULL : &k->pool))
		return -1;
	return check_set(cfg, "cpus_soft", cfg->cpus_soft, info.nr_cpus, NULL);
}

/* What it gets of the CPUs: cpu_weight, cap, cpus and cpus_soft. */
static int set_share(struct creation *k)
{
	const struct xl_config *cfg = k->cfg;
	struct pv *pv = k->xl->pv;
	uint16_t weight = 0, cap = 0;
	unsigned int i;
	int rc = 0;

	if (cfg->cpu_weight || cfg->cap)
		rc = pv_sched_share(pv, k->guest.domid, &weight, &cap);
	if (!rc && (cfg->cpu_weight || cfg->cap))
		rc = pv_sched_set_share(pv, k->guest.domid,
					cfg->cpu_weight ? cfg->cpu_weight : weight, cfg->cap);
	if (rc)
		return xl_error("cannot set the domain's weight and cap: %s", strerror(-rc));
	for (i = 0; i < cfg->maxvcpus && !rc && (cfg->cpus || cfg->cpus_soft); i++) {
		uint64_t hard = cfg->cpus ? cfg->cpus[i].mask : 0;
		uint64_t soft = cfg->cpus_soft ? cfg->cpus_soft[i].mask : 0;

		if (!(hard & k->pool.cpus))
			hard = 0;
		if (hard || soft)
			rc = pv_vcpu_set_affinity(pv, k->guest.domid, i, hard ? &hard : NULL,
						  soft ? &soft : NULL);
	}
	return rc ? xl_error("cannot bind the domain's vCPUs to CPUs: %s", strerror(-rc)) : 0;
}

static int make_domain(struct creation *k)
{
	struct pv_create create = { .max_vcpus = k->cfg->maxvcpus,
				    .max_evtchn_port = k->cfg->max_event_channels,
				    .max_grant_frames = k->cfg->max_grant_frames,
				    .max_maptrack_frames = k->cfg->max_maptrack_frames,
				    .pool = k->pool.id };
	struct pv *pv = k->xl->pv;
	int rc;

	if (k->cfg->driver_domain)
		create.domid = await_number(k);
	memcpy(create.handle, k->uuid, 16);
	rc = take_number(k, &create);
	if (rc) {
		k->guest.domid = 0;
		xl_error("the hypervisor creates no domain: %s", strerror(-rc));
		return rc;
	}
	k->domain_lock = xl_lock_domain(k->guest.domid);
	if (k->domain_lock < 0)
		return -1;
	if (!domain_is(k->xl, k->guest.domid, k->uuid))
		return xl_error("domain %u was destroyed as soon as it was there", k->guest.domid);
	names_note(k->guest.domid, k->uuid, k->cfg->name);
	rc = pv_domain_max_vcpus(pv, k->guest.domid, k->cfg->maxvcpus);
	if (rc)
		return xl_error("cannot give the domain %u vCPUs: %s", k->cfg->maxvcpus,
				strerror(-rc));
	rc = pv_domain_max_mem(pv, k->guest.domid, k->cfg->maxmem * 1024 + XL_EXTRA_KIB);
	if (rc)
		return xl_error("cannot set the domain's memory limit: %s", strerror(-rc));
	return set_share(k);
}

/* All at once: while one's back end finds it, and its script runs, so do the others. */
static int add_devices(struct creation *k)
{
	struct xl_config *cfg = k->cfg;
	struct device_work **work = calloc(cfg->nr_disks + cfg->nr_nics + 1, sizeof(*work));
	uint32_t domid = k->guest.domid;
	int i, nr = 0, rc = 0;

	if (!work)
		abort();
	for (i = 0; !rc && i < cfg->nr_disks; i++) {
		rc = device_begin_disk(k->xl, cfg, domid, &cfg->disk[i], &work[nr]);
		nr += !!work[nr];
	}
	for (i = 0; !rc && i < cfg->nr_nics; i++) {
		rc = device_begin_nic(k->xl, cfg, domid, &cfg->nic[i], &work[nr]);
		nr += !!work[nr];
	}
	if (rc)
		device_drop(work, nr);
	else
		rc = device_end(k->xl, cfg, work, nr);
	free(work);
	return rc;
}

static int build(struct creation *k)
{
	static bool (*const early[])(struct creation *, xs_transaction_t) = {
		write_dirs, write_vm, write_domain, write_oci, NULL,
	};
	static bool (*const late[])(struct creation *, xs_transaction_t) = { write_rings,
									     write_channels, NULL };
	bool comes = whole_comes(k->cfg->saved); /* with its devices */
	struct pv_guest *g = &k->guest;
	struct pv_err err = { "" };
	int rc;

	if (in_transaction(k, early))
		return -1;
	g->vcpus = k->cfg->maxvcpus;
	g->image = &k->image;
	g->kernel_path = k->cfg->kernel;
	g->ramdisk_path = k->cfg->ramdisk;
	g->cmdline = k->cfg->cmdline;
	g->name = k->cfg->name;
	rc = k->cfg->saved ? saved_memory(k->xl, k->cfg->saved, g) :
			     pv_guest_build(k->xl->pv, g, &err);
	if (rc && !k->cfg->saved)
		xl_error("%s: %s", k->cfg->name, err.text);
	if (rc)
		return rc;
	/* It has its name, UUID and memory: others may look for theirs. */
	xl_unlock(k->lock);
	k->lock = -1;
	if (k->cfg->saved && saved_fill(k->xl, k->cfg->saved, g))
		return -1;
	if ((!comes && add_devices(k)) || in_transaction(k, late))
		return -1;
	/* Now xenstored and xenconsoled see it. */
	if (!xs_introduce_domain(k->xl->xs, g->domid, GUEST_XENSTORE_PFN, g->store_port))
		return xl_error("xenstored does not take the domain: %s", strerror(errno));
	if (k->cfg->saved && saved_watch(k->xl, k->cfg->saved, g->domid))
		return -1;
	if (comes && (whole_import(k->xl, k->cfg->saved, k->cfg, g->domid) || add_devices(k) ||
		      whole_land(k->xl, k->cfg->saved, g->domid)))
		return -1;
	if (channels_await(k->xl, k->cfg, g->domid))
		return -1;
	return xl_interrupted ? xl_error("interrupted") : 0;
}

static int unmake(struct xl *xl, uint32_t domid);

int domain_check(struct xl_config *cfg)
{
	struct creation k = { .cfg = cfg, .image = { .fd = -1 }, .guest = { .ramdisk_fd = -1 } };
	int rc;

	/* What is on its disk shows when it is read. */
	if (cfg->bootloader)
		return check_devices(cfg);
	rc = check_files(&k);
	pv_image_close(&k.image);
	if (k.guest.ramdisk_fd >= 0)
		close(k.guest.ramdisk_fd);
	return rc;
}

int domain_create(struct xl *xl, struct xl_config *cfg, int lock, uint32_t *domid, int *domain_lock)
{
	struct creation k = {
		.xl = xl, .cfg = cfg, .image = { .fd = -1 }, .lock = lock, .domain_lock = -1
	};
	int rc = -1;

	k.guest.ramdisk_fd = -1;
	if (check_files(&k) || channels_check(xl, cfg) || check_cpus(&k) || check_identity(&k))
		goto out;
	rc = check_memory(&k);
	if (rc)
		goto out;
	rc = make_domain(&k);
	if (!rc)
		rc = build(&k);
	if (!rc) {
		*domid = k.guest.domid;
		*domain_lock = k.domain_lock;
		usage_begin(xl, *domid);
		next_publish(*domid, cfg);
		xl_event(EVENT_CREATED, *domid, cfg->name,
			 ", \"uuid\": \"%s\", \"memory_kib\": %lu, \"vcpus\": %u", k.uuid_text,
			 cfg->memory * 1024, cfg->vcpus);
	} else if (k.guest.domid) {
		unmake(xl, k.guest.domid);
		if (!xl_store_lost)
			names_gone(k.guest.domid, k.uuid, cfg->name);
		xl_unlock_domain(k.domain_lock, k.guest.domid);
	}
out:
	xl_unlock(k.lock);
	pv_image_close(&k.image);
	if (k.guest.ramdisk_fd >= 0)
		close(k.guest.ramdisk_fd);
	return rc;
}

/* --- the end --------------------------------------------------------------------------------- */

static void remove_nodes(struct xl *xl, uint32_t domid)
{
	char *vm = st_read(xl, XBT_NULL, "/local/domain/%u/vm", domid), *path;

	if (vm && !strncmp(vm, "/vm/", 4) && vm[4])
		st_remove(xl, XBT_NULL, "%s", vm);
	free(vm);
	st_remove(xl, XBT_NULL, "/local/domain/%u", domid);
	path = xl_sprintf(XL_CONSOLE_BACKENDS, domid);
	st_prune(xl, path, "/local/domain/0/backend");
	free(path);
	device_remove_directories(xl, domid);
	next_forget(domid);
	template_forget(domid);
	whole_clean(domid);
	driver_forget_numbers(xl, domid);
	st_remove(xl, XBT_NULL, XL_PRIVATE "/%u", domid);
}

/* Its memory is free once the daemons have unmapped their rings. */
static int await_gone(struct xl *xl, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;
	int64_t begin = xl_now();

	while (!pv_domain_info(xl->pv, domid, &info)) {
		if (xl_now() > begin + GONE_WAIT_MS) {
			xl_error("domain %u is dead, but %llu pages of it are still in use "
				 "(xl list shows it as dying)",
				 domid, (unsigned long long)info.tot_pages);
			holders_say(domid);
			return -1;
		}
		xl_sleep_since(begin);
	}
	return 0;
}

static int unmake(struct xl *xl, uint32_t domid)
{
	char **sockets = channels_sockets(xl, domid);
	int rc;

	/* Stop it first: a running guest could keep its devices busy. */
	pv_domain_pause(xl->pv, domid);
	/* From here on nobody offers it devices. */
	st_remove(xl, XBT_NULL, XL_DRIVER, domid);
	device_remove_all(xl, domid);
	remove_nodes(xl, domid);
	/* As long as it is there the rest can be found and removed. */
	if (xl_store_lost) {
		channels_remove_sockets(xl, sockets);
		return xl_error("domain %u stays, paused: use xl destroy %u when xenstored answers",
				domid, domid);
	}
	rc = pv_domain_destroy(xl->pv, domid);
	if (rc && rc != -ESRCH)
		xl_error("the hypervisor does not destroy domain %u: %s", domid, strerror(-rc));
	/* Not introduced is fine: then there is nothing to let go of. */
	xs_release_domain(xl->xs, domid);
	rc = await_gone(xl, domid);
	channels_remove_sockets(xl, sockets);
	return rc;
}

int domain_destroy(struct xl *xl, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;
	bool known = !pv_domain_info(xl->pv, domid, &info), gone;
	char *name, uuid[37] = "";
	int rc;

	if (!domid)
		return xl_error("domain 0 cannot be destroyed");
	/* What it has used is final then. Pauses nest, and nobody takes this one back. */
	pv_domain_pause(xl->pv, domid);
	usage_end(xl, domid);
	name = domain_name(xl, domid);
	rc = unmake(xl, domid);
	if (known && name && !xl_store_lost)
		names_gone(domid, info.handle, name);
	gone = known && !(info.flags & XEN_DOMINF_dying);
	if (known)
		uuid_format(info.handle, uuid);
	/* Of one whose pages are still in use, too: nobody gets it back. */
	if (gone && (!domain_is(xl, domid, info.handle) ||
		     (!pv_domain_info(xl->pv, domid, &info) && info.flags & XEN_DOMINF_dying)))
		xl_event(EVENT_DESTROYED, domid, name, ", \"uuid\": \"%s\"", uuid);
	free(name);
	return rc;
}
