/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pretended hypervisor: a table of domains in a file that several processes map.
 * Owns what fake_pv.c and fake_log.c (the toolstack's side) and fake_backend.c (guests and back ends) share.
 */
#ifndef TOOLS_FAKE_H
#define TOOLS_FAKE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/xen.h>

#include <xen/domctl.h>

struct pv {
	struct fake *f;
};

#define FAKE_DOMAINS 256
#define FAKE_PAGES (1u << 20) /* 4 GiB */

/* So many pages of each guest are known one by one: its rings, and then its RAM. */
#define FAKE_TRACKED 4352
#define FAKE_VERSION 15 /* how often it has been written, from 1 again behind 15 */
#define FAKE_WRITTEN 0x10 /* the log will tell it */
#define FAKE_MAYBE 0x20 /* as one that may have been written */
#define FAKE_ARRIVED 0x80 /* it has come from elsewhere */

struct fake_domain {
	uint32_t used, domid;
	uint8_t handle[16];
	uint32_t flags; /* XEN_DOMINF_* */
	uint32_t vcpus, online; /* there are; the guest has on (0: it has not run) */
	uint64_t pages, max_pages;
	uint32_t ports, started;
	uint32_t ready; /* its first vCPU has a state: until then it does not run, whoever unpauses it */
	uint32_t pauses; /* by the toolstack; they nest, as Xen's */
	uint64_t cpu_ns; /* beside what all have */
	uint32_t weight, cap; /* 0 weight: 256 */
	uint64_t hard[4], soft[4]; /* of its first vCPUs; 0: all */
	uint32_t pool;
	uint32_t written; /* pages, of a saved domain */
	uint64_t shared; /* of its pages, by a fork */
	uint32_t bound; /* devices whose back ends have ports of its */
	uint32_t logged, step; /* the log is on; so often it has written (FAKE_WRITES) */
	uint8_t page[FAKE_TRACKED];
	uint32_t held; /* its pages are mapped by somebody: destroyed, it stays as dying */
};

#define FAKE_POOLS 4
#define FAKE_CPUS 3 /* mask */

struct fake_pool {
	uint32_t used, rate_limit;
	uint64_t cpus;
};

struct fake {
	uint32_t next_domid;
	uint32_t fail_at; /* the call that fails, counted from 1; 0 = none */
	uint32_t calls; /* since the file was made or fail_at was set */
	uint32_t no_list; /* listing the domains fails */
	struct fake_pool pool[FAKE_POOLS];
	struct fake_domain dom0; /* what can be set of it */
	uint64_t free_pages;
	struct fake_domain dom[FAKE_DOMAINS];
};

static inline struct fake *fake_map(void)
{
	const char *path = getenv("FAKE_HV");
	int fd = path ? open(path, O_RDWR | O_CREAT, 0600) : -1;
	struct fake *f;

	if (fd < 0 || ftruncate(fd, sizeof(*f))) {
		perror("FAKE_HV");
		exit(99);
	}
	f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (f == MAP_FAILED)
		exit(99);
	if (!f->next_domid) {
		f->next_domid = 1;
		f->free_pages = FAKE_PAGES;
		f->pool[0].used = 1;
		f->pool[0].cpus = FAKE_CPUS;
	}
	return f;
}

static inline struct fake_domain *fake_find(struct fake *f, uint32_t domid)
{
	int i;

	for (i = 0; i < FAKE_DOMAINS; i++)
		if (f->dom[i].used && f->dom[i].domid == domid)
			return &f->dom[i];
	return NULL;
}

/* NULL: it is not tracked. */
static inline uint8_t *fake_page(struct fake_domain *d, uint64_t gfn)
{
	uint64_t first = GUEST_RAM0_BASE >> 12, i = FAKE_TRACKED;

	if (gfn == GUEST_CONSOLE_PFN || gfn == GUEST_XENSTORE_PFN)
		i = gfn - GUEST_CONSOLE_PFN;
	else if (gfn >= first)
		i = 2 + gfn - first;
	return i < FAKE_TRACKED ? &d->page[i] : NULL;
}

/* fake_pv.c: does this call fail by order of the test? Only those that make a guest count. */
bool fake_broken(struct pv *pv);
/* What a page of a guest that has not been written has in it; @page is zeroes. */
void fake_write_page(uint64_t *page, uint64_t gfn);
/* The page that xenstored has of this domain's ring: into @page, or @out of it; NULL: it goes. False: there are no such pages. */
bool fake_ring_page(uint32_t domid, void *page, bool out);
/* fake_log.c: the guest writes, if it is logged. */
void fake_writes(struct fake_domain *d);
/* And when that page was read, if it is one of those that write all the while. */
void fake_busy(struct fake_domain *d, uint64_t gfn);
/* One number of how often each of its pages has been written. */
uint64_t fake_versions(const struct fake_domain *d);

/* It runs once, when it is both ready and not paused. */
static inline void fake_run(struct fake_domain *d)
{
	uint32_t none = 0;

	if (__atomic_load_n(&d->ready, __ATOMIC_SEQ_CST) &&
	    !(__atomic_load_n(&d->flags, __ATOMIC_SEQ_CST) & XEN_DOMINF_paused))
		__atomic_compare_exchange_n(&d->started, &none, 1, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
}

/* False: the toolstack has not paused it. Several may try at once. */
static inline bool fake_unpause(struct fake_domain *d)
{
	uint32_t n = __atomic_load_n(&d->pauses, __ATOMIC_SEQ_CST);

	do {
		if (!n)
			return false;
	} while (!__atomic_compare_exchange_n(&d->pauses, &n, n - 1, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	if (n > 1)
		return true;
	__atomic_fetch_and(&d->flags, ~XEN_DOMINF_paused, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&d->flags, XEN_DOMINF_blocked, __ATOMIC_SEQ_CST);
	fake_run(d);
	return true;
}

#endif /* TOOLS_FAKE_H */
