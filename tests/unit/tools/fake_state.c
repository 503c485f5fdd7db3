// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a pretended guest is when it is saved, moved or forked. Its RAM is what fake_write_page() says and how often it was written since, but for the
 * rings: zeros, or what xenstored and the guest share (fake_ring_page()).
 * Owns that what comes to a target is what was at rest at the source.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <pavise.h>

#include "fake.h"

#include <xen/event_channel.h>
#include <xen/sched.h>
/* --- saved domains: RAM is what fake_write_page() says, but for the rings, which are zeros --- */

#include <xen/hvm/save.h>

static bool is_ring(uint64_t gfn)
{
	return gfn == GUEST_CONSOLE_PFN || gfn == GUEST_XENSTORE_PFN;
}

static bool is_ram(const struct fake_domain *d, uint64_t gfn)
{
	uint64_t first = GUEST_RAM0_BASE >> PV_PAGE_SHIFT;

	return is_ring(gfn) || (gfn >= first && gfn < first + d->pages - 2);
}

static bool is_suspended(const struct fake_domain *d)
{
	return d->flags & XEN_DOMINF_shutdown &&
	       (d->flags >> XEN_DOMINF_shutdownshift & 255) == SHUTDOWN_suspend;
}

int pv_memory_map(struct pv *pv, uint32_t domid, uint64_t *gfn, struct pavise_memory_run *runs,
		  unsigned int n)
{
	struct fake_domain *d = fake_find(pv->f, domid);

	if (fake_broken(pv) || n < 2 || *gfn)
		return -EFAULT;
	runs[0] = (struct pavise_memory_run){ .gfn = GUEST_CONSOLE_PFN, .pages = 2 };
	runs[1] = (struct pavise_memory_run){ .gfn = GUEST_RAM0_BASE >> PV_PAGE_SHIFT,
					      .pages = d->pages - 2 };
	return 2;
}

int pv_memory_read(struct pv *pv, uint32_t domid, const uint64_t *gfns, unsigned int n, void *pages,
		   uint8_t *kind)
{
	static const uint64_t zeros[512];
	uint64_t *page;
	unsigned int i;

	if (fake_broken(pv) || n > PV_MEMORY_BATCH)
		return -EFAULT;
	if (getenv("FAKE_KILL_READ")) /* in the middle */
		raise(SIGKILL);
	for (i = 0; i < n; i++) {
		page = (uint64_t *)pages + i * 512;
		memset(page, 0, PV_PAGE_SIZE);
		/* What a suspended one has in that is nobody's any more. */
		if (!is_ring(gfns[i]) ||
		    (gfns[i] == GUEST_XENSTORE_PFN && is_suspended(fake_find(pv->f, domid))))
			fake_write_page(page, gfns[i]);
		if (fake_page(fake_find(pv->f, domid), gfns[i]))
			page[1] += *fake_page(fake_find(pv->f, domid), gfns[i]) & FAKE_VERSION;
		if (gfns[i] == GUEST_XENSTORE_PFN)
			fake_ring_page(domid, page, false);
		kind[i] = memcmp(page, zeros, PV_PAGE_SIZE) ? PV_PAGE_DATA : PV_PAGE_ZERO;
		if (!is_ram(fake_find(pv->f, domid), gfns[i]) ||
		    (getenv("FAKE_HOLE") && gfns[i] == GUEST_RAM0_BASE >> PV_PAGE_SHIFT))
			kind[i] = PV_PAGE_HOLE;
	}
	fake_busy(fake_find(pv->f, domid), gfns[n / 2]);
	return 0;
}

/* Nothing is kept but how often a page had been written: what was read is to be written again. */
static int take_page(struct fake_domain *d, uint64_t gfn, const uint64_t *given)
{
	uint8_t *known = fake_page(d, gfn);
	uint64_t page[512] = { 0 }, version;

	if (!is_ram(d, gfn))
		return -ENOENT;
	if (!is_ring(gfn))
		fake_write_page(page, gfn);
	if (gfn == GUEST_XENSTORE_PFN && fake_ring_page(d->domid, (void *)given, true)) {
		version = 0; /* it has what it has */
	} else {
		version = given[1] - page[1];
		page[1] = given[1];
		if (version > (known ? FAKE_VERSION : 0) || memcmp(page, given, PV_PAGE_SIZE))
			return -EILSEQ;
	}
	if (!known || !(*known & FAKE_ARRIVED))
		__atomic_add_fetch(&d->written, 1, __ATOMIC_SEQ_CST);
	if (known)
		*known = FAKE_ARRIVED | version;
	return 0;
}

int pv_memory_write(struct pv *pv, uint32_t domid, const uint64_t *gfns, unsigned int n,
		    const void *pages)
{
	unsigned int i;
	int rc = 0;

	if (fake_broken(pv) || n > PV_MEMORY_BATCH)
		return -EFAULT;
	for (i = 0; i < n && !rc; i++)
		rc = take_page(fake_find(pv->f, domid), gfns[i], (const uint64_t *)pages + i * 512);
	return rc;
}

/* xenstored's port, xenconsoled's, and that of all its back ends */
#define FAKE_VERSIONS 999 /* no record of a hypervisor's */
struct fake_state {
	struct hvm_save_descriptor head;
	struct hvm_riscv_domain domain;
	struct hvm_save_descriptor ports_head;
	struct hvm_riscv_port port[3];
	struct hvm_save_descriptor versions_head;
	uint64_t versions; /* of its pages when it was at rest */
	struct hvm_save_descriptor end;
};

/* A cancelled one knows that nothing has happened. */
int pv_domain_resume(struct pv *pv, uint32_t domid, bool cancelled)
{
	struct fake_domain *d = fake_find(pv->f, domid);

	if (fake_broken(pv))
		return -EFAULT;
	if (!cancelled || !is_suspended(d))
		return -EINVAL;
	d->flags &= ~(XEN_DOMINF_shutdown | 255u << XEN_DOMINF_shutdownshift);
	d->flags |= XEN_DOMINF_blocked;
	return 0;
}

int pv_domain_get_state(struct pv *pv, uint32_t domid, void *buf, uint32_t *size)
{
	struct fake_state s = { .head = { HVM_SAVE_DOMAIN, 0, sizeof(s.domain) },
				.domain = { .magic = HVM_DOMAIN_MAGIC,
					    .timebase_frequency = 10000000,
					    .store_pfn = GUEST_XENSTORE_PFN,
					    .store_evtchn = 1,
					    .console_pfn = GUEST_CONSOLE_PFN,
					    .console_evtchn = 2 },
				.ports_head = { HVM_SAVE_PORTS, 0, sizeof(s.port) },
				.port = { { .port = 1, .state = EVTCHNSTAT_interdomain },
					  { .port = 2, .state = EVTCHNSTAT_interdomain },
					  { .port = 3, .state = EVTCHNSTAT_unbound } },
				.versions_head = { FAKE_VERSIONS, 0, sizeof(s.versions) } };
	struct fake_domain *d = fake_find(pv->f, domid);
	const char *rc = getenv("FAKE_STATE");
	static uint64_t gets;

	s.domain.max_vcpus = d->vcpus;
	s.domain.ticks = ++gets;
	s.versions = fake_versions(d);
	if (__atomic_load_n(&d->bound, __ATOMIC_SEQ_CST) && !is_suspended(d))
		s.port[2].state = EVTCHNSTAT_interdomain;
	if (is_suspended(d)) {
		s.domain.flags = HVM_DOMAIN_SUSPENDED;
		s.domain.store_evtchn = s.domain.console_evtchn = 0;
	}
	if (fake_broken(pv))
		return -EFAULT;
	if (rc)
		return -atoi(rc);
	if (!(d->flags & XEN_DOMINF_paused))
		return -EBUSY;
	if (buf)
		memcpy(buf, &s, sizeof(s));
	*size = sizeof(s);
	return 0;
}

int pv_domain_set_state(struct pv *pv, uint32_t domid, const void *buf, uint32_t size)
{
	struct fake_domain *d = fake_find(pv->f, domid);
	struct fake_state s;

	if (fake_broken(pv))
		return -EFAULT;
	if (size != sizeof(s))
		return -EINVAL;
	memcpy(&s, buf, sizeof(s));
	/* Of the time right behind the pause: the second call, for the first one asks for its size only. */
	if (d->written != d->pages || s.domain.magic != HVM_DOMAIN_MAGIC ||
	    s.domain.max_vcpus != d->vcpus || s.domain.ticks != 2 ||
	    s.versions != fake_versions(d) || s.port[2].state != EVTCHNSTAT_unbound)
		return -EINVAL;
	if (!(s.domain.flags & HVM_DOMAIN_SUSPENDED))
		d->ports = 2;
	__atomic_store_n(&d->ready, 1, __ATOMIC_SEQ_CST);
	fake_run(d);
	return 0;
}

bool pv_can_fork(struct pv *pv)
{
	(void)pv;
	return !getenv("FAKE_NO_FORK");
}

/* The parent stands still, and the child has nothing yet. */
int pv_fork(struct pv *pv, uint32_t parent, uint32_t child, uint16_t flags)
{
	struct fake_domain *from = fake_find(pv->f, parent), *to = fake_find(pv->f, child);
	int i;

	if (fake_broken(pv) || from->pages * (!(flags & PAVISE_FORK_NO_RESERVE) +
					      !(flags & PAVISE_FORK_PARENT_NO_RESERVE)) >
				       pv->f->free_pages)
		return -ENOMEM;
	if (to->pages || to->started || !(from->flags & XEN_DOMINF_paused))
		return -EINVAL;
	__atomic_fetch_sub(&pv->f->free_pages, from->pages, __ATOMIC_SEQ_CST);
	to->pages = to->written = to->shared = from->shared = from->pages;
	for (i = 0; i < FAKE_TRACKED; i++)
		to->page[i] = FAKE_ARRIVED | (from->page[i] & FAKE_VERSION);
	return 0;
}
