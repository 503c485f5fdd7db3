/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory_op: giving and taking a domain's memory, and mapping others' frames into it.
 * All operations over many items stop at a bound and continue; their progress is in the guest's
 * arguments.
 */
#include <console.h>
#include <grant.h>
#include <handlers.h>
#include <hypercall.h>
#include <image.h>
#include <lib.h>
#include <memory.h>
#include <xsm.h>

#define CMD_MASK 0x3f
#define EXTENT_SHIFT 6

bool memory_op_begin(struct domain *d)
{
	bool alive;

	spin_lock(&d->page_lock);
	alive = !d->dying;
	d->memory_ops += alive;
	spin_unlock(&d->page_lock);
	return alive;
}

void memory_op_end(struct domain *d)
{
	spin_lock(&d->page_lock);
	d->memory_ops--;
	spin_unlock(&d->page_lock);
}

/*
 * page_lock held. The RAM page in whose place pg is mapped at gfn of d; NULL: none. It is d's, with its allocation's
 * reference, in no P2M.
 */
static struct page *hidden_page(struct domain *d, gfn_t gfn, const struct page *pg)
{
	bool lent = pg->state == PAGE_HYP && pg->owner == d;

	return lent && pg->hides && pg->hides_at == gfn ? pg->hides : NULL;
}

struct page *memory_get_ram(struct domain *d, gfn_t gfn)
{
	struct page *pg = p2m_get_page(d, gfn, NULL), *lent;

	if (pg)
		return pg;
	spin_lock(&d->page_lock);
	lent = p2m_foreign(d, gfn);
	pg = lent ? hidden_page(d, gfn, lent) : NULL;
	/* Its allocation's reference stays for as long as it is hidden, and it is hidden for as long as we have the lock. */
	if (pg && !page_get(pg, d))
		pg = NULL;
	/* What was lent may just have been taken away: then the page is back. */
	if (!lent) {
		if (d->image)
			image_unshare_locked(d, gfn);
		p2m_lock(d);
		pg = p2m_get_page_locked(d, gfn, NULL);
		p2m_unlock(d);
	}
	spin_unlock(&d->page_lock);
	return pg;
}

const struct page *memory_lent_at(struct domain *d, gfn_t gfn, bool *hides)
{
	struct page *pg;

	spin_lock(&d->page_lock);
	pg = p2m_foreign(d, gfn);
	*hides = pg && hidden_page(d, gfn, pg);
	spin_unlock(&d->page_lock);
	return pg;
}

int memory_unmap_lent(struct domain *d, gfn_t gfn)
{
	struct page *pg, *ram;
	int rc;

	spin_lock(&d->page_lock);
	pg = p2m_foreign(d, gfn);
	ram = pg ? hidden_page(d, gfn, pg) : NULL;
	if (ram)
		rc = p2m_replace(d, gfn, BIT(P2M_FOREIGN), page_to_mfn(ram), P2M_RAM, P2M_RWX,
				 NULL);
	else
		rc = p2m_unmap(d, gfn, BIT(P2M_FOREIGN), NULL);
	if (ram && !rc)
		pg->hides = NULL;
	spin_unlock(&d->page_lock);
	if (!rc)
		page_put_written(pg);
	return rc;
}

/* ---- reservations ---- */

/*
 * The direct-mapped domain gets back the frame that it gave up and still owns (see decrease()).
 */
static int populate_direct(struct domain *d, gfn_t gfn)
{
	struct page *pg = mfn_to_page(gfn);

	if (!pg || pg->state != PAGE_OWNED || pg->owner != d)
		return -EINVAL;
	return p2m_map(d, gfn, gfn, 0, P2M_RAM, P2M_RWX);
}

/*
 * Unmaps a frame of RAM and lets go of it. A direct-mapped domain only loses sight of it: the frame stays its own, so that
 * it can have it again (1:1 means that no other would do).
 */
static int decrease(struct domain *d, gfn_t gfn)
{
	struct p2m_entry e;
	int rc = p2m_unmap(d, gfn, BIT(P2M_RAM), &e);

	if (rc || d->direct_mapped)
		return rc;
	/* An image's page is not looked at: behind the unmapping it may have been freed, and be anybody's. */
	if (e.shared)
		image_unmapped(d);
	else
		page_release_alloc(mfn_to_page(e.mfn));
	return 0;
}

/* Clean memory for an extent, 64 KiB at a time; -ERESTART: not yet. */
static int prepare(unsigned int order)
{
	while (heap_prepare(order)) {
		if (hypercall_preempt_check())
			return -ERESTART;
	}
	return 0;
}

/* Each place is looked at before its memory is taken and given back in vain. What others map meanwhile p2m_map() finds. */
static int populate_small(struct domain *d, gfn_t gfn, unsigned int order)
{
	struct page *pg;
	int rc;

	rc = p2m_make_room(d, gfn, order);
	if (rc)
		return rc;
	rc = prepare(order);
	if (rc)
		return rc;
	pg = alloc_prepared_pages(d, order);
	if (!pg) /* another one may have taken what was prepared */
		return heap_prepare(order) ? -ERESTART : -ENOMEM;
	rc = p2m_map(d, gfn, page_to_mfn(pg), order, P2M_RAM, P2M_RWX);
	if (rc)
		page_release_unmapped(d, pg, order);
	return rc;
}

/* The number of populate()'s steps for an extent, log2. */
static unsigned int populate_shift(unsigned int order)
{
	return order > EXTENT_PIECE ? order - EXTENT_PIECE + 1 : 0;
}

/* One step of an extent. A large one has two for each of its pieces: a look at each place, then the memory for each. */
static int populate(struct domain *d, gfn_t gfn, unsigned int order, u64 step)
{
	u64 pieces = BIT(populate_shift(order)) / 2;
	int rc;

	if (d->direct_mapped)
		return order ? -EINVAL : populate_direct(d, gfn);
	if (!IS_ALIGNED(gfn, BIT(order)))
		return -EINVAL;
	if (!pieces)
		return populate_small(d, gfn, order);
	if (step < pieces)
		return p2m_make_room(d, gfn + (step << EXTENT_PIECE), EXTENT_PIECE);
	step -= pieces;
	do {
		rc = step ? 0 : prepare(order);
		if (!rc)
			rc = extent_step(d, gfn, order, step);
		/* Another one was faster, and took what was prepared. */
		if (rc == -ENOMEM && heap_prepare(order))
			rc = -ERESTART;
	} while (rc == -ERESTART && !hypercall_preempt_check());
	return rc;
}

/*
 * Steps from *step up to total, 2^shift for each extent: populate()'s, or the pages that decrease() takes. Returns
 * -ERESTART when it should stop for a while.
 */
static long reservation_steps(struct domain *d, const struct xen_memory_reservation *r, u64 *step,
			      u64 total, unsigned int shift, bool decreasing)
{
	u64 in_extent = BIT(shift) - 1, start = *step;
	xen_pfn_t gfn = 0;

	for (; *step < total; ++*step) {
		u64 from = r->extent_start.q + (*step >> shift) * sizeof(gfn);
		int rc;

		/* Never before the first: whoever is interrupted all the time still gets on. */
		if (*step != start && hypercall_preempt_check())
			return -ERESTART;
		/* Its destruction waits for us. */
		if (READ_ONCE(d->dying))
			return -EINVAL;
		if ((*step == start || !(*step & in_extent)) &&
		    copy_from_guest(&gfn, from, sizeof(gfn)))
			return -EFAULT;
		rc = decreasing ? decrease(d, gfn + (*step & in_extent)) :
				  populate(d, gfn, r->extent_order, *step & in_extent);
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * Returns the extents that were done, as Xen counts; a later one's failure ends the loop without an
 * error of its own.
 */
long memory_reservation_op(u64 cmd, u64 arg, u64 arg3)
{
	unsigned int op = cmd & CMD_MASK, shift;
	u64 step = cmd >> EXTENT_SHIFT, total;
	struct xen_memory_reservation r;
	struct domain *d;
	long rc;

	(void)arg3;
	if (copy_from_guest(&r, arg, sizeof(r)))
		return -EFAULT;
	if (op == XENMEM_increase_reservation)
		return 0; /* none done: without a frame number there is no place for it */
	if (r.extent_order > (xsm_max_extent_order()))
		return 0;
	if (op == XENMEM_decrease_reservation)
		shift = r.extent_order;
	else
		shift = populate_shift(r.extent_order);
	total = r.nr_extents << shift;
	if (r.nr_extents > ~0UL >> (EXTENT_SHIFT + shift) || step > total)
		return -EINVAL;
	d = xsm_target(r.domid, &rc);
	if (!d)
		return rc;
	rc = -EINVAL;
	if (memory_op_begin(d)) {
		rc = reservation_steps(d, &r, &step, total, shift,
				       op == XENMEM_decrease_reservation);
		memory_op_end(d);
	}
	domain_put(d);
	if (rc == -ERESTART)
		return hypercall_continue(__HYPERVISOR_memory_op, op | step << EXTENT_SHIFT, arg, 0,
					  0, 0);
	return step >> shift;
}

static long domain_number(domid_t id, u64 (*get)(struct domain *d))
{
	struct domain *d;
	long rc;

	d = xsm_target(id, &rc);
	if (!d)
		return rc;
	rc = get(d);
	domain_put(d);
	return rc;
}

/* Its RAM, whoever has it as well: a guest notices nothing of images. */
static u64 get_current(struct domain *d)
{
	return d->tot_pages + d->shared_pages;
}

static u64 get_maximum(struct domain *d)
{
	return d->max_pages;
}

static u64 get_max_gfn(struct domain *d)
{
	return p2m_max_gfn(d);
}

long memory_current_reservation(domid_t *id)
{
	return domain_number(*id, get_current);
}

long memory_maximum_reservation(domid_t *id)
{
	return domain_number(*id, get_maximum);
}

long memory_maximum_gpfn(domid_t *id)
{
	return domain_number(*id, get_max_gfn);
}

long memory_maximum_ram_page(void)
{
	return machine.max_mfn;
}

long memory_claim_pages(struct xen_memory_reservation *r)
{
	struct domain *d;
	u64 has;
	long rc;

	if (r->extent_order)
		return -EINVAL;
	d = xsm_target(r->domid, &rc);
	if (!d)
		return rc;
	has = READ_ONCE(d->tot_pages) + READ_ONCE(d->shared_pages);
	/* The number is what it will have in all; 0 ends the claim. What it gets meanwhile comes from the claim. */
	if (!r->nr_extents)
		rc = heap_claim(d, 0);
	else if (READ_ONCE(d->claimed_pages) || r->nr_extents < has ||
		 r->nr_extents > d->max_pages || !memory_op_begin(d))
		rc = -EINVAL;
	else {
		rc = heap_claim(d, r->nr_extents - has);
		memory_op_end(d);
	}
	domain_put(d);
	return rc;
}

/* ---- physmap ---- */

/* page_lock held. old is mapped at gfn as P2M_FOREIGN: pg comes instead, in the place of RAM if old was. */
static int replace_lent(struct domain *d, gfn_t gfn, struct page *old, struct page *pg,
			unsigned int access, bool may_hide)
{
	struct page *ram = hidden_page(d, gfn, old);
	int rc;

	if (old == pg && ram)
		return 0;
	if (ram && !may_hide)
		return -EBUSY;
	rc = p2m_replace(d, gfn, BIT(P2M_FOREIGN), page_to_mfn(pg), P2M_FOREIGN, access, NULL);
	if (!rc && ram) {
		old->hides = NULL;
		pg->hides = ram;
		pg->hides_at = gfn;
	}
	return rc;
}

/* page_lock held. Maps pg where nothing or, if may_hide, RAM is mapped. */
static int place_lent(struct domain *d, gfn_t gfn, struct page *pg, unsigned int access,
		      bool may_hide)
{
	struct p2m_entry e;
	int rc = p2m_map(d, gfn, page_to_mfn(pg), 0, P2M_FOREIGN, access);

	if (rc != -EEXIST)
		return rc;
	if (!may_hide)
		return -EBUSY;
	/* What is hidden comes back with all rights, and is d's own meanwhile. */
	if (d->image) {
		rc = image_unshare_locked(d, gfn);
		if (rc && rc != -ENOENT)
			return rc;
	}
	rc = p2m_replace(d, gfn, BIT(P2M_RAM), page_to_mfn(pg), P2M_FOREIGN, access, &e);
	if (!rc) {
		pg->hides = mfn_to_page(e.mfn);
		pg->hides_at = gfn;
	}
	return rc == -ENOENT ? -EBUSY : rc; /* another vCPU has just unmapped it */
}

/*
 * Maps a page at gfn that is lent to d or another domain's, or in the place of one that is. The reference to it goes to
 * the mapping, which may so outlive whoever lends the page, or is dropped. own: the page is lent to d, and may take the
 * place of RAM, which comes back there when it goes (each lent page at one place at a time: that is all that there is to
 * remember). -EBUSY: something else is there. d is the current domain, or memory_op_begin() was called.
 */
static int map_lent(struct domain *d, gfn_t gfn, struct page *pg, unsigned int access, bool own)
{
	struct page *old;
	bool may_hide;
	int rc;

	spin_lock(&d->page_lock);
	may_hide = own && !pg->hides;
	old = p2m_foreign(d, gfn);
	if (old)
		rc = replace_lent(d, gfn, old, pg, access, may_hide);
	else
		rc = place_lent(d, gfn, pg, access, may_hide);
	spin_unlock(&d->page_lock);
	if (rc)
		page_put(pg);
	else if (old)
		page_put_written(old);
	return rc;
}

static long add_to_physmap(struct domain *d, const struct xen_add_to_physmap *a)
{
	struct page *pg = virt_to_page(d->shared_info);
	long rc = 0;

	switch (a->space) {
	case XENMAPSPACE_shared_info:
		if (a->idx || !page_get(pg, d))
			rc = -EINVAL;
		break;
	case XENMAPSPACE_grant_table:
		rc = grant_table_get_frame(d, a->idx, &pg);
		break;
	default:
		rc = -EOPNOTSUPP;
	}
	return rc ? rc : map_lent(d, a->gpfn, pg, P2M_RW, true);
}

/* Raw, for its continuation: a grant table may have to grow far. */
long memory_add_to_physmap(u64 cmd, u64 arg, u64 arg3)
{
	struct xen_add_to_physmap a;
	struct domain *d;
	long rc;

	(void)arg3;
	if (copy_from_guest(&a, arg, sizeof(a)))
		return -EFAULT;
	d = xsm_target(a.domid, &rc);
	if (!d)
		return rc;
	rc = -EINVAL;
	if (memory_op_begin(d)) {
		rc = add_to_physmap(d, &a);
		memory_op_end(d);
	}
	domain_put(d);
	if (rc == -ERESTART)
		return hypercall_continue(__HYPERVISOR_memory_op, cmd, arg, 0, 0, 0);
	return rc;
}

long memory_remove_from_physmap(struct xen_remove_from_physmap *a)
{
	struct domain *d;
	long rc;

	d = xsm_target(a->domid, &rc);
	if (!d)
		return rc;
	rc = -EINVAL;
	if (memory_op_begin(d)) {
		rc = memory_unmap_lent(d, a->gpfn);
		memory_op_end(d);
	}
	if (rc == -EBUSY)
		rc = -EINVAL;
	domain_put(d);
	return rc;
}

static int add_foreign(struct domain *d, gfn_t gfn, struct domain *fd, gfn_t fgfn)
{
	unsigned int access;
	struct page *pg;

	pg = p2m_get_page(fd, fgfn, &access);
	if (!pg)
		return -EINVAL;
	return map_lent(d, gfn, pg, access & P2M_RW, false);
}

/* One item: its error goes to the guest's errs[], a fault of the arrays ends the whole. */
static long batch_item(struct domain *d, struct domain *fd,
		       const struct xen_add_to_physmap_batch *b, u64 i)
{
	xen_ulong_t idx;
	xen_pfn_t gfn;
	int err;

	if (copy_from_guest(&idx, b->idxs.q + i * sizeof(idx), sizeof(idx)) ||
	    copy_from_guest(&gfn, b->gpfns.q + i * sizeof(gfn), sizeof(gfn)))
		return -EFAULT;
	if (b->space == XENMAPSPACE_gmfn_foreign) {
		err = add_foreign(d, gfn, fd, idx);
	} else {
		struct xen_add_to_physmap a = { .space = b->space, .idx = idx, .gpfn = gfn };

		err = add_to_physmap(d, &a);
		if (err == -ERESTART)
			return err;
	}
	return copy_to_guest(b->errs.q + i * sizeof(err), &err, sizeof(err)) ? -EFAULT : 0;
}

long memory_add_to_physmap_batch(u64 cmd, u64 arg, u64 arg3)
{
	struct xen_add_to_physmap_batch b;
	struct domain *d, *fd;
	u64 i = cmd >> EXTENT_SHIFT;
	long rc;

	(void)arg3;
	if (copy_from_guest(&b, arg, sizeof(b)))
		return -EFAULT;
	if (b.space != XENMAPSPACE_gmfn_foreign && b.space != XENMAPSPACE_shared_info &&
	    b.space != XENMAPSPACE_grant_table)
		return -EOPNOTSUPP;
	if (i > b.size)
		return -EINVAL;
	d = xsm_target(b.domid, &rc);
	if (!d)
		return rc;
	fd = b.space == XENMAPSPACE_gmfn_foreign ? xsm_foreign(b.u.foreign_domid, d, &rc) :
						   domain_get(d->id);
	if (!fd)
		goto out;
	rc = fd->dying || !memory_op_begin(d) ? -EINVAL : 0;
	if (rc)
		goto put;
	while (i < b.size && !rc) {
		rc = batch_item(d, fd, &b, i);
		i += !rc;
		if (rc == -ERESTART || (!rc && i < b.size && hypercall_preempt_check()))
			rc = hypercall_continue(__HYPERVISOR_memory_op,
						XENMEM_add_to_physmap_batch | i << EXTENT_SHIFT,
						arg, 0, 0, 0);
	}
	memory_op_end(d);
put:
	domain_put(fd);
out:
	domain_put(d);
	return rc;
}

/* ---- resources ---- */

static int map_resource_frame(struct domain *d, struct domain *owner, u64 frame, u64 list, u64 i)
{
	struct page *pg;
	xen_pfn_t gfn;
	int rc;

	if (copy_from_guest(&gfn, list + i * sizeof(gfn), sizeof(gfn)))
		return -EFAULT;
	rc = grant_table_get_frame(owner, frame + i, &pg);
	return rc ? rc : map_lent(d, gfn, pg, P2M_RW, false);
}

long memory_acquire_resource(u64 cmd, u64 arg, u64 arg3)
{
	struct xen_mem_acquire_resource a;
	struct domain *owner;
	u64 i = cmd >> EXTENT_SHIFT;
	long rc = 0;

	(void)arg3;
	if (copy_from_guest(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.type != XENMEM_resource_grant_table || a.id != XENMEM_resource_grant_table_id_shared)
		return -EOPNOTSUPP;
	if (a.pad || i > a.nr_frames)
		return -EINVAL;
	owner = xsm_target(a.domid, &rc);
	if (!owner)
		return rc;
	rc = 0;
	if (!a.frame_list.q) { /* asks how many there can be */
		a.nr_frames = grant_table_max_frames(owner);
		rc = copy_to_guest(arg, &a, sizeof(a)) ? -EFAULT : 0;
		goto out;
	}
	while (i < a.nr_frames && !rc) {
		rc = map_resource_frame(current_domain(), owner, a.frame, a.frame_list.q, i);
		i += !rc;
		if (rc == -ERESTART || (!rc && i < a.nr_frames && hypercall_preempt_check()))
			rc = hypercall_continue(__HYPERVISOR_memory_op,
						XENMEM_acquire_resource | i << EXTENT_SHIFT, arg, 0,
						0, 0);
	}
out:
	domain_put(owner);
	return rc;
}
