/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory images: the frozen RAM of a domain that was forked, which it and its copies map read-only until they write (docs/architecture.md,
 * "Images"). core/image.c, core/image_fork.c; the tables are the architecture's (arch-api.h, "images"), which calls what is under "for the architecture".
 */
#ifndef PAVISE_IMAGE_H
#define PAVISE_IMAGE_H

#include <domain.h>
#include <page.h>

#define IMAGE_DEPTH_MAX 8

/*
 * Pages (PAGE_SHARED) and second-stage tables (PAGE_HYP) that several domains map. A page is on one list, has one reference, the image's, and
 * is written by nobody: who writes gets a copy, and who asks for a page by its frame number, too, so that whoever holds a reference to a page has
 * a domain's own. Pages are not counted by users. One list and not a tree: what of it a domain still sees only that domain's tables say.
 *
 * An image goes when its last user does. When one domain is left it gets the pages back. Lists change in three places: as the image
 * is made (one fork, under the parent's page_lock), as its pages go back to that one domain (under its page_lock), and as it ends.
 */
struct image {
	struct image *base; /* whose pages its users see as well; NULL: none */
	unsigned int depth; /* 1, or one more than base's */
	/* Under the lock of all images: */
	u32 users; /* domains and images that stand on it */
	struct list_head domains; /* by image_peer */
	struct list_head above; /* images, by peer */
	struct list_head peer; /* on base->above */
	struct domain *
		heir; /* gets the pages back: the only user, of this one and all above. Under that one's image_busy */
	struct list_head pages, tables;
	u64 nr_pages, nr_tables;
};

/*
 * Makes the RAM at gfn d's own, if it is an image's: 0 when it has become so. -ENOENT: it is no image's (any more), or there is no RAM.
 * -ENOMEM: no memory (never for what was reserved). -EINVAL: d is dying. On return no hart of d's uses the old page. The first takes page_lock,
 * for the second it is held.
 */
int image_unshare(struct domain *d, gfn_t gfn);
int image_unshare_locked(struct domain *d, gfn_t gfn);
/*
 * The same for a fault of the current vCPU, which is d's and on its way out. Where there is no memory (nothing is reserved for d) it waits: 0, and
 * the guest faults again when it goes on (domain_wait_for_memory()). Takes page_lock, d->lock.
 */
int image_fault(struct domain *d, gfn_t gfn);
/* p2m_get_page() where that has found no page that it could hold: it looks again, as there may have been an image then. Takes page_lock. */
struct page *image_get_page(struct domain *d, gfn_t gfn, unsigned int *access);

/*
 * A page of RAM to be read only, for who called memory_op_begin(): *shared: it is an image's, which stays what it is until image_read_end();
 * else it is held. *pg NULL: no RAM. -ERESTART: not now, another hart is at d's image. Takes page_lock.
 */
int image_read_begin(struct domain *d, gfn_t gfn, struct page **pg, bool *shared);
void image_read_end(struct domain *d, struct page *pg, bool shared);

/* A page that was d's RAM and an image's (p2m_entry.shared) is mapped no more. For who called memory_op_begin(). Takes page_lock. */
void image_unmapped(struct domain *d);

/* A step of the end of d's part in images, when nothing of it is mapped any more: -ERESTART while there is more. kill_lock held. */
int image_leave(struct domain *d);

/* Boot: forks even where they are not safe (option fork=unsafe; arch_forks_are_safe()). Else they are -EOPNOTSUPP there. */
void image_allow_unsafe_forks(bool allowed);

/* ---- for the architecture, under d's page_lock and p2m lock where not noted ---- */

/*
 * d is being forked: n pages of its RAM in a row, mapped as such, become the image's, all or none. false: they stay d's own, as somebody holds one, or as
 * the image may not grow. *written: one had page_mark_written()'s mark, which is gone; the log's bit of the mapping is to say it.
 */
bool image_take(struct domain *d, struct page *pg, unsigned int n, bool *written);
/* The same for a table of d's, which maps nothing but pages of images. */
bool image_take_table(struct domain *d, struct page *pg);
/* A copy of an image's page, which is d's own. NULL: no memory, or d is dying. */
struct page *image_copy(struct domain *d, const struct page *shared);
/* A page for a table that d needs of its own, to be written whole. NULL: no memory. The p2m lock is held only. */
struct page *image_table(struct domain *d);
/* n pages in a row that are one image's, or a table: d's own from here on, if nobody else shares them. */
bool image_give(struct domain *d, struct page *pg, unsigned int n);
bool image_give_table(struct domain *d, struct page *pg);

#endif
