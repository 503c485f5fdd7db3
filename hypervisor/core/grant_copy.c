/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grant table operations that map nothing: copies, sizes, versions, cache maintenance.
 */
#include <grant.h>
#include <grant_internal.h>
#include <grant_pin.h>
#include <handlers.h>
#include <hypercall.h>
#include <lib.h>
#include <xsm.h>

/* One end of a copy, held for its duration. */
struct copy_end {
	struct page *page;
	struct domain *domain; /* held, unless it is the current one: that is held by running */
	u32 ref;
	bool is_ref, readonly;
};

static __force_inline void put_domain(struct domain *cur, struct copy_end *e)
{
	if (e->domain != cur)
		domain_put(e->domain);
}

static __force_inline void end_put(struct domain *cur, struct copy_end *e)
{
	if (e->is_ref)
		grant_unpin(e->domain, e->ref, e->readonly);
	else if (e->readonly)
		page_put(e->page);
	else
		page_put_written(e->page);
	put_domain(cur, e);
}

/* Without a grant: only the own memory. */
static __force_inline s16 end_get_own(struct domain *cur, struct copy_end *e, gfn_t gfn)
{
	unsigned int access;

	if (e->domain != cur)
		return GNTST_permission_denied;
	e->page = p2m_get_page(cur, gfn, &access);
	if (!e->page)
		return GNTST_bad_page;
	if (e->readonly || access & P2M_W)
		return GNTST_okay;
	page_put(e->page);
	return GNTST_permission_denied;
}

static __force_inline s16 end_get(struct domain *cur, struct copy_end *e, domid_t domid,
				  bool is_ref, u64 where, bool readonly)
{
	s16 status;

	e->is_ref = is_ref;
	e->readonly = readonly;
	e->ref = where;
	e->domain = cur;
	if (domid != DOMID_SELF && domid != cur->id) {
		e->domain = domain_get(domid);
		if (!e->domain)
			return GNTST_bad_domain;
		if (!xsm_may_talk(cur, e->domain)) {
			domain_put(e->domain);
			return GNTST_bad_domain;
		}
	}
	if (is_ref)
		status = grant_pin(e->domain, cur->id, e->ref, readonly, &e->page);
	else
		status = end_get_own(cur, e, where);
	if (status != GNTST_okay)
		put_domain(cur, e);
	return status;
}

static __force_inline s16 copy_one(struct domain *cur, const struct gnttab_copy *op)
{
	struct copy_end src, dst;
	s16 status;

	if (op->source.offset >= PAGE_SIZE || op->dest.offset >= PAGE_SIZE ||
	    op->len > PAGE_SIZE - op->source.offset || op->len > PAGE_SIZE - op->dest.offset)
		return GNTST_bad_copy_arg;
	status = end_get(cur, &src, op->source.domid, op->flags & GNTCOPY_source_gref,
			 op->flags & GNTCOPY_source_gref ? op->source.u.ref : op->source.u.gmfn,
			 true);
	if (status != GNTST_okay)
		return status;
	status = end_get(cur, &dst, op->dest.domid, op->flags & GNTCOPY_dest_gref,
			 op->flags & GNTCOPY_dest_gref ? op->dest.u.ref : op->dest.u.gmfn, false);
	if (status == GNTST_okay) {
		/* Only one page with itself can overlap. */
		if (likely(src.page != dst.page))
			memcpy((char *)page_to_virt(dst.page) + op->dest.offset,
			       (char *)page_to_virt(src.page) + op->source.offset, op->len);
		else
			memmove((char *)page_to_virt(dst.page) + op->dest.offset,
				(char *)page_to_virt(src.page) + op->source.offset, op->len);
		end_put(cur, &dst);
	}
	end_put(cur, &src);
	return status;
}

#define WORDS (sizeof(struct gnttab_copy) / sizeof(u64))
IS_IN_WORD(struct gnttab_copy, source.u, 0, 0);
IS_IN_WORD(struct gnttab_copy, source.domid, 1, 0);
IS_IN_WORD(struct gnttab_copy, source.offset, 1, 16);
IS_IN_WORD(struct gnttab_copy, dest.u, 2, 0);
IS_IN_WORD(struct gnttab_copy, dest.domid, 3, 0);
IS_IN_WORD(struct gnttab_copy, dest.offset, 3, 16);
IS_IN_WORD(struct gnttab_copy, len, 4, 0);
IS_IN_WORD(struct gnttab_copy, flags, 4, 16);
IS_IN_WORD(struct gnttab_copy, status, 4, 32);

/* Each structure is taken apart by words, to be in registers. The last goes back, and what the guest wrote in it unchanged. */
long grant_op_copy(u64 cmd, u64 arg, u64 count)
{
	struct domain *cur = current_domain();
	u32 left = count;
	u64 w[WORDS];

	for (; left; left--, arg += sizeof(w)) {
		struct gnttab_copy op;
		s16 status;

		/* Never before the first: whoever is interrupted all the time still gets on. */
		if (left != (u32)count && hypercall_preempt_check())
			return hypercall_continue(__HYPERVISOR_grant_table_op, cmd & GRANT_CMD_MASK,
						  arg, left, 0, 0);
		if (copy_words_from_guest(w, arg, WORDS))
			return -EFAULT;
		op.source.u.gmfn = w[0]; /* ref: its lower half */
		op.source.domid = w[1];
		op.source.offset = w[1] >> 16;
		op.dest.u.gmfn = w[2];
		op.dest.domid = w[3];
		op.dest.offset = w[3] >> 16;
		op.len = w[4];
		op.flags = w[4] >> 16;
		status = copy_one(cur, &op);
		w[4] = (w[4] & ~(0xffffUL << 32)) | (u64)(u16)status << 32;
		if (copy_words_to_guest(arg + 4 * sizeof(u64), &w[4], 1))
			return -EFAULT;
	}
	return 0;
}

static void query_size_fn(void *arg)
{
	struct gnttab_query_size *op = arg;
	struct domain *d;
	long rc;

	d = xsm_target(op->dom, &rc);
	if (!d) {
		op->status = rc == -EPERM ? GNTST_permission_denied : GNTST_bad_domain;
		return;
	}
	op->nr_frames = d->grant->nr_frames;
	op->max_nr_frames = d->grant->max_frames;
	op->status = GNTST_okay;
	domain_put(d);
}

long grant_op_query_size(u64 cmd, u64 arg, u64 count)
{
	if ((u32)count != 1)
		return -EINVAL;
	return grant_for_each(cmd, arg, count, sizeof(struct gnttab_query_size),
			      offsetof(struct gnttab_query_size, nr_frames), query_size_fn);
}

/*
 * Frames are mapped by XENMEM_add_to_physmap, so there are no frame numbers to tell an
 * auto-translated guest.
 */
static void setup_table_fn(void *arg)
{
	struct gnttab_setup_table *op = arg;
	struct domain *d;
	long rc;

	d = xsm_target(op->dom, &rc);
	if (!d) {
		op->status = rc == -EPERM ? GNTST_permission_denied : GNTST_bad_domain;
		return;
	}
	op->status = grant_grow(d, op->nr_frames) ? GNTST_general_error : GNTST_okay;
	domain_put(d);
}

/* Its progress is the table. */
static int grow_in_steps(u64 arg)
{
	struct gnttab_setup_table op;
	struct domain *d;
	int rc;
	long error;

	if (copy_from_guest(&op, arg, sizeof(op)))
		return -EFAULT;
	d = xsm_target(op.dom, &error);
	if (!d)
		return 0; /* setup_table_fn() tells the guest */
	rc = grant_grow(d, op.nr_frames);
	domain_put(d);
	return rc == -ERESTART ? rc : 0;
}

long grant_op_setup_table(u64 cmd, u64 arg, u64 count)
{
	int rc;

	if ((u32)count != 1)
		return -EINVAL;
	rc = grow_in_steps(arg);
	if (rc == -ERESTART)
		return hypercall_continue(__HYPERVISOR_grant_table_op, cmd, arg, count, 0, 0);
	if (rc)
		return rc;
	return grant_for_each(cmd, arg, count, sizeof(struct gnttab_setup_table),
			      offsetof(struct gnttab_setup_table, status), setup_table_fn);
}

long grant_op_set_version(u64 cmd, u64 arg, u64 count)
{
	struct gnttab_set_version op;

	(void)cmd;
	if ((u32)count != 1)
		return -EINVAL;
	if (copy_from_guest(&op, arg, sizeof(op)))
		return -EFAULT;
	if (op.version != 1)
		return op.version == 2 ? -ENOSYS : -EINVAL;
	return 0;
}

long grant_op_get_version(u64 cmd, u64 arg, u64 count)
{
	struct gnttab_get_version op;
	struct domain *d;
	long rc;

	(void)cmd;
	if ((u32)count != 1)
		return -EINVAL;
	if (copy_from_guest(&op, arg, sizeof(op)))
		return -EFAULT;
	d = xsm_target(op.dom, &rc);
	if (!d)
		return rc;
	domain_put(d);
	op.version = 1;
	return copy_to_guest(arg, &op, sizeof(op)) ? -EFAULT : 0;
}

long grant_op_cache_flush(u64 cmd, u64 arg, u64 count)
{
	struct gnttab_cache_flush op;

	(void)cmd;
	for (u32 i = 0; i < (u32)count; i++) {
		if (i && hypercall_preempt_check())
			return hypercall_continue(__HYPERVISOR_grant_table_op, GNTTABOP_cache_flush,
						  arg + i * sizeof(op), (u32)count - i, 0, 0);
		if (copy_from_guest(&op, arg + i * sizeof(op), sizeof(op)))
			return -EFAULT;
		if (op.offset >= PAGE_SIZE || op.length > PAGE_SIZE ||
		    op.offset + op.length > PAGE_SIZE ||
		    op.op & ~(GNTTAB_CACHE_INVAL | GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_SOURCE_GREF))
			return -EINVAL;
	}
	return 0;
}
