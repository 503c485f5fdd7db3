/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PAVISE_DOMCTL_memory: the control domain copies a domain's RAM, and asks what is mapped where. A page is held while it is
 * copied, and no lock is.
 */
#include <control.h>
#include <domain.h>
#include <grant.h>
#include <handlers.h>
#include <hypercall.h>
#include <image.h>
#include <lib.h>
#include <memory.h>

#define COUNT_MAX 0xffffU
#define MAP_LOOKS 64 /* places under one hold of the p2m lock */

/* ctl_progress: a mark, items that are done (16 bits), and of a map where to go on (32 bits). */
#define MARK 0x6d65ULL
#define MARK_SHIFT 48

static bool is_zero(const u64 *page)
{
	const u64 *end = page + PAGE_SIZE / sizeof(*page);

	for (; page < end; page += 8) {
		if (page[0] | page[1] | page[2] | page[3] | page[4] | page[5] | page[6] | page[7])
			return false;
	}
	return true;
}

static long read_page(struct domain *d, gfn_t gfn, u64 to, u8 *kind)
{
	struct page *pg;
	bool shared;
	long rc;

	*kind = PAVISE_MEMORY_hole;
	rc = image_read_begin(d, gfn, &pg, &shared);
	if (rc || !pg)
		return rc;
	*kind = is_zero(page_to_virt(pg)) ? PAVISE_MEMORY_zero : PAVISE_MEMORY_data;
	if (*kind == PAVISE_MEMORY_data && copy_to_guest(to, page_to_virt(pg), PAGE_SIZE))
		rc = -EFAULT;
	image_read_end(d, pg, shared);
	return rc;
}

static long write_page(struct domain *d, gfn_t gfn, u64 from)
{
	struct page *pg = memory_get_ram(d, gfn);
	long rc = 0;

	if (!pg)
		return -ENOENT;
	if (copy_from_guest(page_to_virt(pg), from, PAGE_SIZE))
		rc = -EFAULT;
	page_put_written(pg);
	return rc;
}

static long copy_one(struct domain *d, const struct pavise_domctl_memory *a, u64 i)
{
	u64 gfn, page = a->pages + i * PAGE_SIZE;
	u8 kind;
	long rc;

	if (copy_from_guest(&gfn, a->gfns + i * sizeof(gfn), sizeof(gfn)))
		return -EFAULT;
	/* Its death waits for us, so for one page at a time. */
	if (!memory_op_begin(d))
		return -EINVAL;
	rc = a->op == PAVISE_MEMORY_read ? read_page(d, gfn, page, &kind) :
					   write_page(d, gfn, page);
	memory_op_end(d);
	if (!rc && a->op == PAVISE_MEMORY_read && copy_to_guest(a->kinds + i, &kind, sizeof(kind)))
		rc = -EFAULT;
	return rc;
}

static long copy_pages(struct domain *d, struct pavise_domctl_memory *a, u64 done)
{
	long rc = 0;

	while (done < a->count) {
		rc = copy_one(d, a, done);
		if (rc && rc != -ERESTART)
			return rc;
		done += !rc;
		/* -ERESTART: another hart is at its image. */
		if (rc || (done < a->count && hypercall_preempt_check())) {
			ctl_progress[arch_hart()] = MARK << MARK_SHIFT | done << 32;
			return -ERESTART;
		}
	}
	return 0;
}

/* What the entry at gfn is; a page that is lent is looked for by its address only. */
static void describe(struct domain *d, gfn_t gfn, const struct p2m_entry *e,
		     struct pavise_memory_run *run)
{
	const struct page *pg;
	bool hides = false;

	*run = (struct pavise_memory_run){ .gfn = gfn,
					   .pages = BIT(e->order) - (gfn & (BIT(e->order) - 1)),
					   .what = PAVISE_RUN_other };
	if (e->type == P2M_RAM)
		run->what = PAVISE_RUN_ram;
	if (e->type != P2M_FOREIGN)
		return;
	pg = memory_lent_at(d, gfn, &hides);
	run->index = pg ? grant_table_index(d, pg) : ~0U;
	if (pg && pg == virt_to_page(d->shared_info)) {
		run->what = PAVISE_RUN_shared_info;
		run->index = 0;
	} else if (pg && run->index < grant_table_frames(d)) {
		run->what = PAVISE_RUN_grant_table;
	} else {
		run->index = 0;
	}
	if (hides)
		run->what |= PAVISE_RUN_hides_ram;
}

/* The next run from *gfn on, as long as it gets before somebody else wants the hart. -ENOENT: there is none. */
static long next_run(struct domain *d, u64 *gfn, struct pavise_memory_run *run)
{
	struct pavise_memory_run more;
	struct p2m_entry e;
	long rc;

	run->pages = 0;
	for (;;) {
		gfn_t at = *gfn;

		rc = p2m_next(d, &at, MAP_LOOKS, &e);
		if (run->pages && (rc || at != *gfn))
			return 0; /* a gap ends it */
		*gfn = at;
		if (!rc)
			describe(d, at, &e, &more);
		else if (rc == -ENOENT)
			return rc;
		/* Lent pages have a run each. */
		if (!rc && run->pages &&
		    (more.what != run->what ||
		     (run->what != PAVISE_RUN_ram && run->what != PAVISE_RUN_other)))
			return 0;
		if (!rc) {
			*run = run->pages ? (struct pavise_memory_run){ run->gfn,
									run->pages + more.pages,
									run->what, 0 } :
					    more;
			*gfn = at + more.pages;
		}
		if (hypercall_preempt_check())
			return run->pages ? 0 : -ERESTART;
	}
}

static long map_runs(struct domain *d, struct pavise_domctl_memory *a, u64 done, u64 gfn)
{
	struct pavise_memory_run run;
	long rc = 0;

	while (done < a->count) {
		if (!memory_op_begin(d))
			return -EINVAL;
		rc = next_run(d, &gfn, &run);
		memory_op_end(d);
		if (!rc && copy_to_guest(a->runs + done * sizeof(run), &run, sizeof(run)))
			return -EFAULT;
		done += !rc;
		if (rc == -ENOENT)
			break;
		if (rc == -ERESTART || (done < a->count && hypercall_preempt_check())) {
			ctl_progress[arch_hart()] = MARK << MARK_SHIFT | done << 32 | (u32)gfn;
			return -ERESTART;
		}
	}
	a->count = done;
	a->gfn = gfn;
	return 0;
}

long domctl_memory(struct domain *d, struct pavise_domctl_memory *a)
{
	u64 progress = ctl_progress[arch_hart()], done = 0, gfn = a->gfn;

	if (a->count > COUNT_MAX)
		return -EINVAL;
	if (progress >> MARK_SHIFT == MARK) {
		done = progress >> 32 & COUNT_MAX;
		gfn = (u32)progress;
	}
	switch (a->op) {
	case PAVISE_MEMORY_read:
	case PAVISE_MEMORY_write:
		return copy_pages(d, a, done);
	case PAVISE_MEMORY_map:
		return map_runs(d, a, done, gfn);
	default:
		return -EINVAL;
	}
}
