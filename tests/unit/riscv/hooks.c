// SPDX-License-Identifier: BSD-2-Clause
/*
 * host.h's knobs before the real P2M, so that the tests of core/ run on it as well: the linker calls these (--wrap). And
 * what core/'s host world knows of its own P2M.
 */
#include "host.h"
#include "machine.h"

static void call(void (**hook)(void))
{
	void (*fn)(void) = *hook;

	*hook = NULL;
	if (fn)
		fn();
}

struct page *__real_alloc_pages(unsigned int order);
struct page *__wrap_alloc_pages(unsigned int order);
struct page *__wrap_alloc_pages(unsigned int order)
{
	call(&machine_state.on_alloc);
	if (machine_state.pages_left >= 0 && machine_state.pages_left-- == 0) {
		machine_state.pages_left = 0;
		return NULL;
	}
	return __real_alloc_pages(order);
}

int __real_p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned int order, enum p2m_type type,
		   unsigned int access);
int __wrap_p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned int order, enum p2m_type type,
		   unsigned int access);
int __wrap_p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned int order, enum p2m_type type,
		   unsigned int access)
{
	call(&host.before_map);
	if (host.maps_left >= 0 && host.maps_left-- == 0) {
		host.maps_left = 0;
		return -ENOMEM;
	}
	return __real_p2m_map(d, gfn, mfn, order, type, access);
}

int __real_p2m_unmap(struct domain *d, gfn_t gfn, unsigned int types, struct p2m_entry *old);
int __wrap_p2m_unmap(struct domain *d, gfn_t gfn, unsigned int types, struct p2m_entry *old);
int __wrap_p2m_unmap(struct domain *d, gfn_t gfn, unsigned int types, struct p2m_entry *old)
{
	int rc;

	call(&host.before_unmap);
	rc = __real_p2m_unmap(d, gfn, types, old);
	call(&host.after_unmap);
	return rc;
}

int __real_p2m_next(struct domain *d, gfn_t *gfn, unsigned int max, struct p2m_entry *e);
int __wrap_p2m_next(struct domain *d, gfn_t *gfn, unsigned int max, struct p2m_entry *e);
int __wrap_p2m_next(struct domain *d, gfn_t *gfn, unsigned int max, struct p2m_entry *e)
{
	int rc = __real_p2m_next(d, gfn, max, e);

	if (!rc)
		call(&host.after_next);
	return rc;
}

struct page *__real_p2m_get_page(struct domain *d, gfn_t gfn, unsigned int *access);
struct page *__wrap_p2m_get_page(struct domain *d, gfn_t gfn, unsigned int *access);
struct page *__wrap_p2m_get_page(struct domain *d, gfn_t gfn, unsigned int *access)
{
	struct page *pg;

	call(&host.before_get);
	pg = __real_p2m_get_page(d, gfn, access);
	call(&host.after_get);
	return pg;
}

void __real_p2m_lock(struct domain *d);
void __wrap_p2m_lock(struct domain *d);
void __wrap_p2m_lock(struct domain *d)
{
	call(&host.before_get);
	__real_p2m_lock(d);
}

void __real_p2m_unlock(struct domain *d);
void __wrap_p2m_unlock(struct domain *d);
void __wrap_p2m_unlock(struct domain *d)
{
	__real_p2m_unlock(d);
	call(&host.after_get);
}

void __real_p2m_flush(struct domain *d);
void __wrap_p2m_flush(struct domain *d);
void __wrap_p2m_flush(struct domain *d)
{
	call(&host.on_flush);
	if (host.flushed)
		host.flushed(d);
	__real_p2m_flush(d);
}

int __real_p2m_map_locked(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type,
			  unsigned int access);
int __wrap_p2m_map_locked(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type,
			  unsigned int access);
int __wrap_p2m_map_locked(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type,
			  unsigned int access)
{
	if (host.maps_left >= 0 && host.maps_left-- == 0) {
		host.maps_left = 0;
		return -ENOMEM;
	}
	return __real_p2m_map_locked(d, gfn, mfn, type, access);
}

void host_log_kind(bool broken, bool hole)
{
	machine_ad(broken, hole);
}

void host_walks_write(bool write)
{
	machine_walks_write(write);
}

bool host_touch(struct domain *d, gfn_t gfn, bool write)
{
	return machine_touch(d, gfn << PAGE_SHIFT, write);
}

bool p2m_lookup(struct domain *d, gfn_t gfn, struct p2m_entry *e)
{
	return machine_translate(d, gfn << PAGE_SHIFT, e);
}

/* Guest virtual addresses are host pointers here, as in host_arch.c. */
gfn_t arch_guest_va_to_gfn(struct vcpu *v, u64 gva)
{
	struct domain *d = v->domain;
	struct p2m_entry e;

	for (gfn_t gfn = 0; gfn <= p2m_max_gfn(d); gfn++) {
		if (!p2m_lookup(d, gfn, &e)) {
			gfn = gfn < RAM_GFN && !d->is_privileged ? RAM_GFN - 1 : gfn;
			continue;
		}
		if (e.mfn >= RAM_BASE_MFN && e.mfn < RAM_BASE_MFN + RAM_PAGES && e.access & P2M_W &&
		    U(arch_mfn_to_virt(e.mfn)) >> PAGE_SHIFT == gva >> PAGE_SHIFT)
			return gfn;
	}
	return INVALID_GFN;
}

void host_for_each_leaf(struct domain *d,
			void (*fn)(struct domain *d, gfn_t gfn, const struct p2m_entry *e))
{
	struct p2m_entry e;
	gfn_t gfn = 0;
	int rc;

	for (;;) {
		rc = p2m_next(d, &gfn, 512, &e);
		if (rc == -ENOENT)
			return;
		if (rc)
			continue;
		/* As hardware finds it; what begins before it has been told already. */
		assert_true(machine_translate(d, gfn << PAGE_SHIFT, &e));
		fn(d, gfn, &e);
		gfn += BIT(e.order);
	}
}
