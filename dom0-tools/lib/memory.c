// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest's memory seen from dom0: populating it, mapping it, its HVM params and first ports.
 * Owns the choice of extent sizes: superpages make a guest near-native, so 4 KiB pages are used
 * only where nothing larger fits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "pavise.h"
#include "uapi.h"

#include <xen/event_channel.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>

#define EXTENTS_MAX 512 /* a page full of frame numbers */
#define ORDER_2M 9
#define ORDER_1G 18

/* Returns how many of the @n extents the hypervisor gave, or a negative errno. */
static long populate_extents(struct pv *pv, uint32_t domid, uint64_t gfn, unsigned int order,
			     unsigned int n, xen_pfn_t *list)
{
	struct xen_memory_reservation r = {
		.nr_extents = n,
		.extent_order = order,
		.domid = domid,
	};
	unsigned int i;

	for (i = 0; i < n; i++)
		list[i] = gfn + ((uint64_t)i << order);
	set_xen_guest_handle(r.extent_start, list);
	return pv_hypercall_struct(pv, __HYPERVISOR_memory_op, XENMEM_populate_physmap, &r,
				   sizeof(r));
}

/* The largest order allowed here: aligned, whole, and not known to be exhausted. */
static unsigned int pick_order(uint64_t gfn, uint64_t pages, unsigned int max)
{
	static const unsigned int orders[] = { ORDER_1G, ORDER_2M, 0 };
	unsigned int i;

	for (i = 0; i < pv_container_size(orders); i++) {
		uint64_t size = 1ULL << orders[i];

		if (orders[i] <= max && !(gfn & (size - 1)) && pages >= size)
			return orders[i];
	}
	return 0;
}

static unsigned int pick_count(uint64_t gfn, uint64_t pages, unsigned int order)
{
	uint64_t n = pages >> order;

	if (order == ORDER_1G)
		return 1;
	if (order == ORDER_2M)
		return n > 64 ? 64 : n;
	/* Up to the next 2 MiB boundary, so that superpages start again there. */
	if (n > (1u << ORDER_2M) - (gfn & ((1u << ORDER_2M) - 1)))
		n = (1u << ORDER_2M) - (gfn & ((1u << ORDER_2M) - 1));
	return n;
}

int pv_populate(struct pv *pv, uint32_t domid, uint64_t gfn, uint64_t pages)
{
	xen_pfn_t *list = pv_buf_alloc(pv, EXTENTS_MAX * sizeof(*list));
	unsigned int max = ORDER_1G;
	uint64_t small_until = 0; /* no superpage was to be had below this frame */
	long done = 0;

	if (!list)
		return errno ? -errno : -ENOMEM;
	while (pages) {
		unsigned int order = pick_order(gfn, pages, gfn < small_until ? 0 : max);
		unsigned int n = pick_count(gfn, pages, order);

		done = populate_extents(pv, domid, gfn, order, n, list);
		if (done > (long)n)
			done = -EIO;
		/* Whatever is wrong with large extents, a real error shows with small ones too. */
		if (done < 0 && !order)
			break;
		if (done > 0) {
			gfn += (uint64_t)done << order;
			pages -= (uint64_t)done << order;
		}
		if (done == (long)n)
			continue;
		if (!order) {
			done = -ENOMEM;
			break;
		}
		if (order == ORDER_1G)
			max = ORDER_2M;
		else
			small_until = gfn + (1ULL << ORDER_2M);
	}
	pv_buf_free(pv, list, EXTENTS_MAX * sizeof(*list));
	return pages ? (int)done : 0;
}

int pv_fork(struct pv *pv, uint32_t parent, uint32_t child, uint16_t flags)
{
	struct xen_mem_sharing_op op = { .op = XENMEM_sharing_op_fork, .domain = child };

	op.u.fork.parent_domain = parent;
	op.u.fork.flags = flags;
	return pv_hypercall_struct(pv, __HYPERVISOR_memory_op, XENMEM_sharing_op, &op, sizeof(op));
}

bool pv_can_fork(struct pv *pv)
{
	return pv_fork(pv, DOMID_INVALID, DOMID_INVALID, 0) != -EOPNOTSUPP;
}

void *pv_map_range(struct pv *pv, uint32_t domid, int prot, uint64_t gfn, size_t n)
{
	struct privcmd_mmapbatch_v2 batch = { .num = n, .dom = domid };
	uint64_t *frames = calloc(n, sizeof(*frames));
	int *errors = calloc(n, sizeof(*errors));
	void *addr = MAP_FAILED;
	int rc = 0;
	size_t i;

	if (!frames || !errors) {
		rc = ENOMEM;
		goto out;
	}
	addr = mmap(NULL, n * PV_PAGE_SIZE, prot, MAP_SHARED, pv_fd(pv), 0);
	if (addr == MAP_FAILED) {
		rc = errno;
		goto out;
	}
	for (i = 0; i < n; i++)
		frames[i] = gfn + i;
	batch.addr = (uintptr_t)addr;
	batch.arr = frames;
	batch.err = errors;
	if (ioctl(pv_fd(pv), IOCTL_PRIVCMD_MMAPBATCH_V2, &batch) < 0)
		rc = errno;
	for (i = 0; !rc && i < n; i++)
		rc = -errors[i];
	if (rc) {
		munmap(addr, n * PV_PAGE_SIZE);
		addr = MAP_FAILED;
	}
out:
	free(frames);
	free(errors);
	errno = rc;
	return addr == MAP_FAILED ? NULL : addr;
}

void *pv_map_present(struct pv *pv, uint32_t domid, uint64_t gfn, size_t n, bool *there)
{
	struct privcmd_mmapbatch_v2 batch = { .num = n, .dom = domid };
	uint64_t *frames = calloc(n, sizeof(*frames));
	int *errors = calloc(n, sizeof(*errors));
	void *addr = MAP_FAILED;
	int rc = ENOMEM;
	size_t i;

	if (frames && errors) {
		addr = mmap(NULL, n * PV_PAGE_SIZE, PROT_READ, MAP_SHARED, pv_fd(pv), 0);
		rc = addr == MAP_FAILED ? errno : 0;
	}
	for (i = 0; !rc && i < n; i++)
		frames[i] = gfn + i;
	batch.addr = (uintptr_t)addr;
	batch.arr = frames;
	batch.err = errors;
	/* ENOENT: some are paged out, which is not known here, or missing: each has its own error. */
	if (!rc && ioctl(pv_fd(pv), IOCTL_PRIVCMD_MMAPBATCH_V2, &batch) < 0 && errno != ENOENT)
		rc = errno;
	for (i = 0; !rc && i < n; i++)
		there[i] = !errors[i];
	if (rc && addr != MAP_FAILED)
		munmap(addr, n * PV_PAGE_SIZE);
	free(frames);
	free(errors);
	errno = rc;
	return rc ? NULL : addr;
}

void *pv_map_grant_table(struct pv *pv, uint32_t domid, uint32_t first, uint32_t n)
{
	struct privcmd_mmap_resource res = {
		.dom = domid,
		.type = XENMEM_resource_grant_table,
		.id = XENMEM_resource_grant_table_id_shared,
		.idx = first,
		.num = n,
	};
	void *addr;
	int saved;

	addr = mmap(NULL, n * PV_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, pv_fd(pv), 0);
	if (addr == MAP_FAILED)
		return NULL;
	res.addr = (uintptr_t)addr;
	if (ioctl(pv_fd(pv), IOCTL_PRIVCMD_MMAP_RESOURCE, &res) < 0) {
		saved = errno;
		munmap(addr, n * PV_PAGE_SIZE);
		errno = saved;
		return NULL;
	}
	return addr;
}

void pv_unmap(void *addr, size_t n)
{
	if (addr)
		munmap(addr, n * PV_PAGE_SIZE);
}

int pv_param_set(struct pv *pv, uint32_t domid, uint32_t index, uint64_t value)
{
	struct xen_hvm_param p = { .domid = domid, .index = index, .value = value };

	return pv_hypercall_struct(pv, __HYPERVISOR_hvm_op, HVMOP_set_param, &p, sizeof(p));
}

int pv_param_get(struct pv *pv, uint32_t domid, uint32_t index, uint64_t *value)
{
	struct xen_hvm_param p = { .domid = domid, .index = index };
	int rc = pv_hypercall_struct(pv, __HYPERVISOR_hvm_op, HVMOP_get_param, &p, sizeof(p));

	if (!rc)
		*value = p.value;
	return rc;
}

int pv_port_alloc(struct pv *pv, uint32_t domid, uint32_t remote, uint32_t *port)
{
	struct evtchn_alloc_unbound a = { .dom = domid, .remote_dom = remote };
	int rc = pv_hypercall_struct(pv, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &a,
				     sizeof(a));

	if (!rc)
		*port = a.port;
	return rc;
}
