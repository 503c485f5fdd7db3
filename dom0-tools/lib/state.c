// SPDX-License-Identifier: BSD-2-Clause
/*
 * A domain's whole state and its memory, out of one domain and into another (docs/abi.md, "Whole state").
 * Owns the records of where shared_info and the grant table are mapped: the hypervisor tells those with the memory's layout,
 * and they are mapped anew as the guest itself would do it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pavise.h"

#include <xen/hvm/save.h>
#include <xen/memory.h>

#define RUNS 128

static int context(struct pv *pv, uint32_t cmd, uint32_t domid, void *buf, uint32_t *size)
{
	struct xen_domctl op = { .cmd = cmd, .domain = domid };
	int rc;

	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.u.hvmcontext.size = *size;
	set_xen_guest_handle(op.u.hvmcontext.buffer, (uint8_t *)buf);
	rc = pv_hypercall_struct1(pv, __HYPERVISOR_domctl, &op, sizeof(op));
	if (!rc)
		*size = op.u.hvmcontext.size;
	return rc;
}

static int memory(struct pv *pv, uint32_t domid, struct pavise_domctl_memory *m)
{
	struct xen_domctl op = { .cmd = PAVISE_DOMCTL_memory, .domain = domid };
	int rc;

	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.u.pavise_memory = *m;
	rc = pv_hypercall_struct1(pv, __HYPERVISOR_domctl, &op, sizeof(op));
	*m = op.u.pavise_memory;
	return rc;
}

/* --- memory ---------------------------------------------------------------------------------- */

int pv_memory_map(struct pv *pv, uint32_t domid, uint64_t *gfn, struct pavise_memory_run *runs,
		  unsigned int n)
{
	struct pavise_domctl_memory m = { .op = PAVISE_MEMORY_map, .gfn = *gfn };
	struct pavise_memory_run *buf;
	int rc;

	m.count = n < RUNS ? n : RUNS;
	buf = pv_buf_alloc(pv, RUNS * sizeof(*buf));
	if (!buf)
		return errno ? -errno : -ENOMEM;
	m.runs = (uintptr_t)buf;
	rc = memory(pv, domid, &m);
	if (!rc) {
		memcpy(runs, buf, m.count * sizeof(*buf));
		*gfn = m.gfn;
		rc = m.count;
	}
	pv_buf_free(pv, buf, RUNS * sizeof(*buf));
	return rc;
}

#define BATCH_BYTES (PV_MEMORY_BATCH * (PV_PAGE_SIZE + sizeof(uint64_t) + 1))

/* The caller's buffers may be any; the hypervisor wants its own kind. They are kept for as long as the handle is. */
static char *batch_buffer(struct pv *pv, const uint64_t *gfns, unsigned int n,
			  struct pavise_domctl_memory *m)
{
	char *buf = pv_batch(pv, BATCH_BYTES);

	if (!buf)
		return NULL;
	m->count = n;
	m->pages = (uintptr_t)buf;
	m->gfns = m->pages + PV_MEMORY_BATCH * PV_PAGE_SIZE;
	m->kinds = m->gfns + PV_MEMORY_BATCH * sizeof(uint64_t);
	memcpy(buf + PV_MEMORY_BATCH * PV_PAGE_SIZE, gfns, n * sizeof(*gfns));
	return buf;
}

int pv_memory_read(struct pv *pv, uint32_t domid, const uint64_t *gfns, unsigned int n, void *pages,
		   uint8_t *kind)
{
	struct pavise_domctl_memory m = { .op = PAVISE_MEMORY_read };
	const char *buf;
	unsigned int i;
	int rc;

	if (n > PV_MEMORY_BATCH)
		return -E2BIG;
	buf = batch_buffer(pv, gfns, n, &m);
	if (!buf)
		return errno ? -errno : -ENOMEM;
	rc = memory(pv, domid, &m);
	if (rc)
		return rc;
	memcpy(kind, (const void *)(uintptr_t)m.kinds, n);
	for (i = 0; i < n; i++) {
		if (kind[i] == PV_PAGE_DATA)
			memcpy((char *)pages + i * PV_PAGE_SIZE, buf + i * PV_PAGE_SIZE,
			       PV_PAGE_SIZE);
	}
	return 0;
}

int pv_memory_write(struct pv *pv, uint32_t domid, const uint64_t *gfns, unsigned int n,
		    const void *pages)
{
	struct pavise_domctl_memory m = { .op = PAVISE_MEMORY_write };
	char *buf;

	if (n > PV_MEMORY_BATCH)
		return -E2BIG;
	buf = batch_buffer(pv, gfns, n, &m);
	if (!buf)
		return errno ? -errno : -ENOMEM;
	memcpy(buf, pages, n * PV_PAGE_SIZE);
	return memory(pv, domid, &m);
}

/* --- where shared_info and grant frames are --------------------------------------------------- */

struct lent {
	struct hvm_riscv_lent *list;
	unsigned int n;
};

static int lent_add(struct lent *l, const struct pavise_memory_run *run)
{
	unsigned int what = run->what & ~(unsigned int)PAVISE_RUN_hides_ram;

	if (what != PAVISE_RUN_shared_info && what != PAVISE_RUN_grant_table)
		return 0;
	if (l->n == HVM_LENT_MAX)
		return -E2BIG;
	l->list[l->n++] = (struct hvm_riscv_lent){
		.gfn = run->gfn,
		.space = what == PAVISE_RUN_shared_info ? XENMAPSPACE_shared_info :
							  XENMAPSPACE_grant_table,
		.index = run->index,
	};
	return 0;
}

static int lent_find(struct pv *pv, uint32_t domid, struct lent *l)
{
	struct pavise_memory_run runs[RUNS];
	uint64_t gfn = 0;
	int n, i, rc = 0;

	do {
		n = pv_memory_map(pv, domid, &gfn, runs, RUNS);
		for (i = 0; i < n && !rc; i++)
			rc = lent_add(l, &runs[i]);
	} while (!rc && n == RUNS);
	return n < 0 ? n : rc;
}

static int lent_put(struct pv *pv, uint32_t domid, const struct hvm_riscv_lent *l)
{
	struct xen_add_to_physmap a = {
		.domid = domid,
		.space = l->space,
		.idx = l->index,
		.gpfn = l->gfn,
	};

	if (l->space != XENMAPSPACE_shared_info && l->space != XENMAPSPACE_grant_table)
		return -EINVAL;
	return pv_hypercall_struct(pv, __HYPERVISOR_memory_op, XENMEM_add_to_physmap, &a,
				   sizeof(a));
}

/* --- state ----------------------------------------------------------------------------------- */

#define END_SIZE sizeof(struct hvm_save_descriptor)

/* The state of a guest that had suspended itself: where shared_info and grant frames were is nobody's business any more. */
static bool is_suspended(const char *state, uint32_t size)
{
	struct hvm_save_descriptor head;
	struct hvm_riscv_domain d;

	if (size < sizeof(head) + sizeof(d))
		return false;
	memcpy(&head, state, sizeof(head));
	memcpy(&d, state + sizeof(head), sizeof(d));
	return head.typecode == HVM_SAVE_DOMAIN && head.length == sizeof(d) &&
	       d.flags & HVM_DOMAIN_SUSPENDED;
}

/* @own: what the hypervisor told, END included. Writes it with @l between. */
static int put_together(const char *own, uint32_t own_size, const struct lent *l, char *buf,
			uint32_t *size)
{
	struct hvm_save_descriptor d = { .typecode = HVM_SAVE_LENT,
					 .length = l->n * sizeof(l->list[0]) };
	uint32_t all = own_size + (l->n ? sizeof(d) + d.length : 0), room = *size;

	*size = all;
	if (!buf)
		return 0;
	if (room < all || own_size < END_SIZE)
		return -ENOSPC;
	memcpy(buf, own, own_size - END_SIZE);
	buf += own_size - END_SIZE;
	if (l->n) {
		memcpy(buf, &d, sizeof(d));
		memcpy(buf + sizeof(d), l->list, d.length);
		buf += sizeof(d) + d.length;
	}
	memset(buf, 0, END_SIZE);
	return 0;
}

int pv_domain_get_state(struct pv *pv, uint32_t domid, void *buf, uint32_t *size)
{
	struct lent l = { .list = calloc(HVM_LENT_MAX, sizeof(*l.list)) };
	uint32_t own_size = 0, room = 0;
	char *own = NULL;
	int rc = l.list ? context(pv, XEN_DOMCTL_gethvmcontext, domid, NULL, &own_size) : -ENOMEM;

	if (!rc) {
		room = own_size;
		own = pv_buf_alloc(pv, room);
		rc = own ? context(pv, XEN_DOMCTL_gethvmcontext, domid, own, &own_size) : -ENOMEM;
	}
	if (!rc && !is_suspended(own, own_size))
		rc = lent_find(pv, domid, &l);
	if (!rc)
		rc = put_together(own, own_size, &l, buf, size);
	if (own)
		pv_buf_free(pv, own, room);
	free(l.list);
	return rc;
}

/* Copies all but LENT to @own and does that; the hypervisor checks the rest. */
static int take_apart(struct pv *pv, uint32_t domid, const char *buf, uint32_t size, char *own,
		      uint32_t *own_size)
{
	struct hvm_save_descriptor d;
	struct hvm_riscv_lent l;
	uint32_t at = 0, i;
	bool suspended = is_suspended(buf, size);
	int rc = 0;

	*own_size = 0;
	while (at < size && !rc) {
		if (size - at < sizeof(d))
			return -EINVAL;
		memcpy(&d, buf + at, sizeof(d));
		if (d.length > size - at - sizeof(d))
			return -EINVAL;
		if (d.typecode != HVM_SAVE_LENT) {
			memcpy(own + *own_size, buf + at, sizeof(d) + d.length);
			*own_size += sizeof(d) + d.length;
		} else if (suspended || d.instance || d.length % sizeof(l) ||
			   d.length / sizeof(l) > HVM_LENT_MAX) {
			return -EINVAL;
		}
		for (i = 0; d.typecode == HVM_SAVE_LENT && i < d.length / sizeof(l) && !rc; i++) {
			memcpy(&l, buf + at + sizeof(d) + i * sizeof(l), sizeof(l));
			rc = lent_put(pv, domid, &l);
		}
		at += sizeof(d) + d.length;
	}
	return rc;
}

int pv_domain_set_state(struct pv *pv, uint32_t domid, const void *buf, uint32_t size)
{
	char *own = pv_buf_alloc(pv, size);
	uint32_t own_size;
	int rc;

	if (!own)
		return errno ? -errno : -ENOMEM;
	rc = take_apart(pv, domid, buf, size, own, &own_size);
	if (!rc)
		rc = context(pv, XEN_DOMCTL_sethvmcontext, domid, own, &own_size);
	pv_buf_free(pv, own, size);
	return rc;
}
