// SPDX-License-Identifier: BSD-2-Clause
/*
 * Building a guest: where kernel, device tree and ramdisk go, and putting them there.
 * Owns the first state of a domain: memory, ring pages with their grants and ports, vCPU 0.
 * pv_layout_plan() is pure and runs before a domain exists, so that most mistakes cost nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "pavise.h"

#include <xen/grant_table.h>
#include <xen/hvm/params.h>

#define COPY_CHUNK_PAGES 1024
/* A kernel that protects its parts (STRICT_KERNEL_RWX) takes all of the last of these pages. */
#define KERNEL_ALIGN (2 * PV_MIB)
#ifndef DEVICE_TREE /* tests on the host bring their own */
#define DEVICE_TREE "/proc/device-tree"
#endif

static uint64_t align_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) & ~(to - 1);
}

static uint64_t page_align(uint64_t v)
{
	return align_up(v, PV_PAGE_SIZE);
}

static double mib(uint64_t bytes)
{
	return (double)bytes / PV_MIB;
}

int pv_layout_plan(const struct pv_image *img, uint64_t ramdisk_size, uint64_t memory,
		   uint32_t vcpus, const char *cmdline, struct pv_layout *l, struct pv_err *err)
{
	uint64_t end, spare;

	memset(l, 0, sizeof(*l));
	if (memory > GUEST_RAM_MAX)
		return pv_fail(err, -E2BIG, "%.0f MiB is more than a guest can address",
			       mib(memory));
	l->bank_size[0] = memory < GUEST_RAM0_SIZE ? memory : GUEST_RAM0_SIZE;
	l->bank_size[1] = memory - l->bank_size[0];
	/*
	 * Kernel, device tree, ramdisk, upwards and close together: the rest of RAM stays one
	 * piece. What is smaller than one large page is no Linux, and needs no more than the sum.
	 */
	l->kernel = GUEST_RAM0_BASE + img->text_offset;
	l->entry = l->kernel + img->entry;
	l->kernel_end = align_up(l->kernel + img->size,
				 img->size < KERNEL_ALIGN ? PV_PAGE_SIZE : KERNEL_ALIGN);
	l->fdt = l->kernel_end;
	l->fdt_bound = pv_fdt_bound(vcpus, cmdline);
	l->initrd = l->fdt + l->fdt_bound;
	l->initrd_end = l->initrd + ramdisk_size;
	end = page_align(l->initrd_end);
	/* To run at all: page structs and tables of the kernel, and the ramdisk once unpacked. */
	spare = page_align(img->size / 4 + ramdisk_size);
	l->minimum = end - GUEST_RAM0_BASE + spare;
	if (l->minimum > memory || end > GUEST_RAM0_BASE + l->bank_size[0])
		return pv_fail(err, -ENOMEM,
			       "%.0f MiB is too little memory: with this kernel (%.1f MiB) and "
			       "ramdisk (%.1f MiB) the guest needs at least %llu MiB",
			       mib(memory), mib(img->size), mib(ramdisk_size),
			       (unsigned long long)((l->minimum + PV_MIB - 1) / PV_MIB));
	return 0;
}

/* Reads @s of @fd straight into the guest's memory; its place is a guest physical address. */
static int load(struct pv *pv, uint32_t domid, int fd, const char *path, const struct pv_segment *s,
		struct pv_err *err)
{
	uint64_t done = 0;

	while (done < s->size) {
		uint64_t to = s->place + done, part = s->size - done;
		size_t before = to % PV_PAGE_SIZE, pages, n = 0;
		uint8_t *map;

		if (part > COPY_CHUNK_PAGES * PV_PAGE_SIZE - before)
			part = COPY_CHUNK_PAGES * PV_PAGE_SIZE - before;
		pages = page_align(before + part) / PV_PAGE_SIZE;
		map = pv_map_range(pv, domid, PROT_READ | PROT_WRITE, to >> PV_PAGE_SHIFT, pages);
		if (!map)
			return pv_fail(err, -errno, "cannot map the guest's memory: %s",
				       strerror(errno));
		while (n < part) {
			ssize_t got = pread(fd, map + before + n, part - n, s->offset + done + n);

			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0) {
				int rc = got ? -errno : -EIO;

				pv_unmap(map, pages);
				return pv_fail(err, rc, "%s: %s", path,
					       got ? strerror(-rc) : "the file became shorter");
			}
			n += got;
		}
		pv_unmap(map, pages);
		done += part;
	}
	return 0;
}

static int load_kernel(struct pv *pv, const struct pv_guest *g, struct pv_err *err)
{
	const struct pv_image *img = g->image;
	int i, rc = 0;

	for (i = 0; i < img->nr_segments && !rc; i++) {
		struct pv_segment s = img->segment[i];

		s.place += g->layout.kernel;
		rc = load(pv, g->domid, img->fd, g->kernel_path, &s, err);
	}
	return rc;
}

static int load_ramdisk(struct pv *pv, const struct pv_guest *g, struct pv_err *err)
{
	const struct pv_segment s = {
		.place = g->layout.initrd,
		.size = g->layout.initrd_end - g->layout.initrd,
	};

	return load(pv, g->domid, g->ramdisk_fd, g->ramdisk_path, &s, err);
}

static int add_memory(struct pv *pv, const struct pv_guest *g, struct pv_err *err)
{
	static const uint64_t base[] = GUEST_RAM_BANK_BASES;
	int i, rc;

	for (i = 0; i < GUEST_RAM_BANKS; i++) {
		rc = pv_populate(pv, g->domid, base[i] >> PV_PAGE_SHIFT,
				 g->layout.bank_size[i] >> PV_PAGE_SHIFT);
		if (rc)
			return pv_fail(err, rc, "cannot give the guest its memory: %s",
				       strerror(-rc));
	}
	rc = pv_populate(pv, g->domid, GUEST_CONSOLE_PFN, 1);
	if (!rc)
		rc = pv_populate(pv, g->domid, GUEST_XENSTORE_PFN, 1);
	if (rc)
		return pv_fail(err, rc, "cannot give the guest its ring pages: %s", strerror(-rc));
	return 0;
}

/* Early in dom0's life there may be no entropy yet; the guest stirs in its own. */
static void seed(void *to, size_t n)
{
	if (getrandom(to, n, GRND_NONBLOCK) < 0 && getrandom(to, n, GRND_INSECURE) < 0)
		memset(to, 0, n);
}

static int add_fdt(struct pv *pv, const struct pv_guest *g, struct pv_err *err)
{
	size_t pages = g->layout.fdt_bound / PV_PAGE_SIZE;
	struct pv_cpu_template cpu;
	struct pv_fdt_params p = {
		.cpu = &cpu,
		.vcpus = g->vcpus,
		.bank_size = { g->layout.bank_size[0], g->layout.bank_size[1] },
		.initrd = g->layout.initrd,
		.initrd_end = g->layout.initrd_end,
		.cmdline = g->cmdline,
		.name = g->name,
	};
	void *blob, *map;
	int rc;

	rc = pv_cpu_template_read(DEVICE_TREE, &cpu, err);
	if (rc)
		return rc;
	seed(p.rng_seed, sizeof(p.rng_seed));
	seed(&p.kaslr_seed, sizeof(p.kaslr_seed));
	blob = calloc(1, g->layout.fdt_bound);
	rc = blob ? pv_fdt_build(blob, g->layout.fdt_bound, &p, err) :
		    pv_fail(err, -ENOMEM, "out of memory");
	pv_cpu_template_free(&cpu);
	if (rc < 0)
		goto out;
	map = pv_map_range(pv, g->domid, PROT_READ | PROT_WRITE, g->layout.fdt >> PV_PAGE_SHIFT,
			   pages);
	if (!map) {
		rc = pv_fail(err, -errno, "cannot map the guest's memory: %s", strerror(errno));
		goto out;
	}
	memcpy(map, blob, g->layout.fdt_bound);
	pv_unmap(map, pages);
	rc = 0;
out:
	free(blob);
	return rc;
}

/*
 * The back ends of console and xenstore map the guest's pages like any other back end, by grant;
 * so they need no power over the whole domain. The guest cannot make these entries before it runs.
 */
static int seed_grants(struct pv *pv, const struct pv_guest *g, struct pv_err *err)
{
	struct grant_entry_v1 *table = pv_map_grant_table(pv, g->domid, 0, 1);

	if (!table)
		return pv_fail(err, -errno, "cannot map the guest's grant table: %s",
			       strerror(errno));
	table[GNTTAB_RESERVED_CONSOLE].domid = g->console_domid;
	table[GNTTAB_RESERVED_CONSOLE].frame = GUEST_CONSOLE_PFN;
	table[GNTTAB_RESERVED_XENSTORE].domid = g->store_domid;
	table[GNTTAB_RESERVED_XENSTORE].frame = GUEST_XENSTORE_PFN;
	/* Flags last: they make the entries valid. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	table[GNTTAB_RESERVED_CONSOLE].flags = GTF_permit_access;
	table[GNTTAB_RESERVED_XENSTORE].flags = GTF_permit_access;
	pv_unmap(table, 1);
	return 0;
}

static int add_ports(struct pv *pv, struct pv_guest *g, struct pv_err *err)
{
	int rc = pv_port_alloc(pv, g->domid, g->store_domid, &g->store_port);

	if (!rc)
		rc = pv_port_alloc(pv, g->domid, g->console_domid, &g->console_port);
	if (rc)
		return pv_fail(err, rc, "cannot allocate the guest's event channels: %s",
			       strerror(-rc));
	return 0;
}

static int set_params(struct pv *pv, const struct pv_guest *g, struct pv_err *err)
{
	const struct {
		uint32_t index;
		uint64_t value;
	} params[] = {
		{ HVM_PARAM_CONSOLE_PFN, GUEST_CONSOLE_PFN },
		{ HVM_PARAM_CONSOLE_EVTCHN, g->console_port },
		{ HVM_PARAM_STORE_PFN, GUEST_XENSTORE_PFN },
		{ HVM_PARAM_STORE_EVTCHN, g->store_port },
	};
	unsigned int i;
	int rc;

	for (i = 0; i < pv_container_size(params); i++) {
		rc = pv_param_set(pv, g->domid, params[i].index, params[i].value);
		if (rc)
			return pv_fail(err, rc, "cannot set HVM param %u: %s", params[i].index,
				       strerror(-rc));
	}
	return 0;
}

int pv_guest_rings(struct pv *pv, struct pv_guest *g, struct pv_err *err)
{
	int rc = seed_grants(pv, g, err);

	if (!rc)
		rc = add_ports(pv, g, err);
	return rc ? rc : set_params(pv, g, err);
}

static int start_state(struct pv *pv, const struct pv_guest *g, struct pv_err *err)
{
	struct vcpu_guest_context ctx = { .flags = VGCF_online | VGCF_in_kernel };
	int rc;

	ctx.user_regs.pc = g->layout.entry;
	ctx.user_regs.a0 = 0; /* hart id */
	ctx.user_regs.a1 = g->layout.fdt;
	/* As after OpenSBI: user mode may read cycle, time and instret; no timer is armed. */
	ctx.scounteren = 7;
	ctx.stimecmp = UINT64_MAX;
	rc = pv_vcpu_set(pv, g->domid, 0, &ctx);
	if (rc)
		return pv_fail(err, rc, "cannot set the state of vCPU 0: %s", strerror(-rc));
	return 0;
}

int pv_guest_build(struct pv *pv, struct pv_guest *g, struct pv_err *err)
{
	int rc = add_memory(pv, g, err);

	if (!rc)
		rc = load_kernel(pv, g, err);
	if (!rc && g->ramdisk_fd >= 0)
		rc = load_ramdisk(pv, g, err);
	if (!rc)
		rc = add_fdt(pv, g, err);
	if (!rc)
		rc = pv_guest_rings(pv, g, err);
	if (!rc)
		rc = start_state(pv, g, err);
	return rc;
}
