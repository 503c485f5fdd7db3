// SPDX-License-Identifier: BSD-2-Clause
/*
 * XEN_SYSCTL_* and XENVER_*: questions about the whole machine.
 * Owns the lists that need several calls (domains, the hypervisor's log).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pavise.h"

#include <xen/version.h>

static long sysctl_op(struct pv *pv, struct xen_sysctl *op)
{
	op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	return pv_hypercall_struct1(pv, __HYPERVISOR_sysctl, op, sizeof(*op));
}

#define LIST_CHUNK 32

int pv_domain_list(struct pv *pv, struct xen_domctl_getdomaininfo **out)
{
	struct xen_domctl_getdomaininfo *all = NULL, *buf, *more;
	uint32_t n = 0, first = 0, got;
	int rc = 0;

	buf = pv_buf_alloc(pv, LIST_CHUNK * sizeof(*buf));
	if (!buf)
		return errno ? -errno : -ENOMEM;
	do {
		struct xen_sysctl op = { .cmd = XEN_SYSCTL_getdomaininfolist };

		op.u.getdomaininfolist.first_domain = first;
		op.u.getdomaininfolist.max_domains = LIST_CHUNK;
		set_xen_guest_handle(op.u.getdomaininfolist.buffer, buf);
		rc = sysctl_op(pv, &op);
		got = op.u.getdomaininfolist.num_domains;
		if (rc || !got || got > LIST_CHUNK)
			break;
		more = realloc(all, (n + got) * sizeof(*all));
		if (!more) {
			rc = -ENOMEM;
			break;
		}
		all = more;
		memcpy(all + n, buf, got * sizeof(*all));
		n += got;
		first = all[n - 1].domain + 1u;
	} while (first < DOMID_FIRST_RESERVED);
	pv_buf_free(pv, buf, LIST_CHUNK * sizeof(*buf));
	if (rc < 0) {
		free(all);
		return rc;
	}
	*out = all;
	return n;
}

int pv_physinfo(struct pv *pv, struct xen_sysctl_physinfo *info)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_physinfo };
	int rc = sysctl_op(pv, &op);

	if (!rc)
		*info = op.u.physinfo;
	return rc;
}

#define MAX_CPUS 256

int pv_cputopo(struct pv *pv, struct xen_sysctl_cputopo **out)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_cputopoinfo };
	struct xen_sysctl_cputopo *buf = pv_buf_alloc(pv, MAX_CPUS * sizeof(*buf));
	int rc;

	if (!buf)
		return errno ? -errno : -ENOMEM;
	op.u.cputopoinfo.num_cpus = MAX_CPUS;
	set_xen_guest_handle(op.u.cputopoinfo.cputopo, buf);
	rc = sysctl_op(pv, &op);
	if (!rc && op.u.cputopoinfo.num_cpus > MAX_CPUS)
		rc = -EIO;
	*out = rc ? NULL : malloc(MAX_CPUS * sizeof(*buf));
	if (*out)
		memcpy(*out, buf, MAX_CPUS * sizeof(*buf));
	else if (!rc)
		rc = -ENOMEM;
	pv_buf_free(pv, buf, MAX_CPUS * sizeof(*buf));
	return rc ? rc : (int)op.u.cputopoinfo.num_cpus;
}

int pv_sched_id(struct pv *pv, uint32_t *id)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_sched_id };
	int rc = sysctl_op(pv, &op);

	if (!rc)
		*id = op.u.sched_id.sched_id;
	return rc;
}

static int rate_limit(struct pv *pv, uint32_t pool, uint32_t cmd, uint32_t *us)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_scheduler_op };
	int rc;

	op.u.scheduler_op.cpupool_id = pool;
	op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
	op.u.scheduler_op.cmd = cmd;
	op.u.scheduler_op.u.sched_credit2.ratelimit_us = *us;
	rc = sysctl_op(pv, &op);
	*us = op.u.scheduler_op.u.sched_credit2.ratelimit_us;
	return rc;
}

int pv_rate_limit(struct pv *pv, uint32_t pool, uint32_t *us)
{
	*us = 0;
	return rate_limit(pv, pool, XEN_SYSCTL_SCHEDOP_getinfo, us);
}

int pv_set_rate_limit(struct pv *pv, uint32_t pool, uint32_t us)
{
	return rate_limit(pv, pool, XEN_SYSCTL_SCHEDOP_putinfo, &us);
}

/* With the CPUs that come back, if that is asked for. */
static int pool_op(struct pv *pv, struct xen_sysctl_cpupool_op *p, uint64_t *cpus)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_cpupool_op };
	uint64_t *buf = cpus ? pv_buf_alloc(pv, sizeof(*buf)) : NULL;
	int rc;

	if (cpus && !buf)
		return errno ? -errno : -ENOMEM;
	if (buf) {
		*buf = 0;
		set_xen_guest_handle(p->cpumap.bitmap, (uint8_t *)buf);
		p->cpumap.nr_bits = 64;
	}
	op.u.cpupool_op = *p;
	rc = sysctl_op(pv, &op);
	*p = op.u.cpupool_op;
	if (buf) {
		*cpus = *buf;
		pv_buf_free(pv, buf, sizeof(*buf));
	}
	return rc;
}

int pv_pool_info(struct pv *pv, uint32_t from, struct pv_pool *pool)
{
	struct xen_sysctl_cpupool_op p = { .op = XEN_SYSCTL_CPUPOOL_OP_INFO, .cpupool_id = from };
	int rc = pool_op(pv, &p, &pool->cpus);

	pool->id = p.cpupool_id;
	pool->scheduler = p.sched_id;
	pool->domains = p.n_dom;
	return rc;
}

int pv_pool_free_cpus(struct pv *pv, uint64_t *cpus)
{
	struct xen_sysctl_cpupool_op p = { .op = XEN_SYSCTL_CPUPOOL_OP_FREEINFO };

	return pool_op(pv, &p, cpus);
}

int pv_pool_create(struct pv *pv, uint32_t *id)
{
	struct xen_sysctl_cpupool_op p = { .op = XEN_SYSCTL_CPUPOOL_OP_CREATE,
					   .cpupool_id = XEN_SYSCTL_CPUPOOL_PAR_ANY,
					   .sched_id = XEN_SCHEDULER_CREDIT2 };
	int rc = pool_op(pv, &p, NULL);

	*id = p.cpupool_id;
	return rc;
}

int pv_pool_destroy(struct pv *pv, uint32_t id)
{
	struct xen_sysctl_cpupool_op p = { .op = XEN_SYSCTL_CPUPOOL_OP_DESTROY, .cpupool_id = id };

	return pool_op(pv, &p, NULL);
}

int pv_pool_add_cpu(struct pv *pv, uint32_t id, uint32_t cpu)
{
	struct xen_sysctl_cpupool_op p = { .op = XEN_SYSCTL_CPUPOOL_OP_ADDCPU,
					   .cpupool_id = id,
					   .cpu = cpu };

	return pool_op(pv, &p, NULL);
}

int pv_pool_remove_cpu(struct pv *pv, uint32_t id, uint32_t cpu)
{
	struct xen_sysctl_cpupool_op p = { .op = XEN_SYSCTL_CPUPOOL_OP_RMCPU,
					   .cpupool_id = id,
					   .cpu = cpu };

	return pool_op(pv, &p, NULL);
}

int pv_pool_move(struct pv *pv, uint32_t id, uint32_t domid)
{
	struct xen_sysctl_cpupool_op p = { .op = XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN,
					   .cpupool_id = id,
					   .domid = domid };

	return pool_op(pv, &p, NULL);
}

int pv_cpu_idle(struct pv *pv, uint64_t *ns, uint32_t max)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_getcpuinfo };
	size_t bytes = max * sizeof(struct xen_sysctl_cpuinfo);
	struct xen_sysctl_cpuinfo *buf = pv_buf_alloc(pv, bytes);
	uint32_t i;
	int rc;

	if (!buf)
		return errno ? -errno : -ENOMEM;
	op.u.getcpuinfo.max_cpus = max;
	set_xen_guest_handle(op.u.getcpuinfo.info, buf);
	rc = sysctl_op(pv, &op);
	if (!rc && op.u.getcpuinfo.nr_cpus > max)
		rc = -EINVAL;
	for (i = 0; !rc && i < op.u.getcpuinfo.nr_cpus; i++)
		ns[i] = buf[i].idletime;
	pv_buf_free(pv, buf, bytes);
	return rc ? rc : (int)op.u.getcpuinfo.nr_cpus;
}

int pv_debug_keys(struct pv *pv, const char *keys)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_debug_keys };
	size_t len = strlen(keys);
	char *buf = pv_buf_alloc(pv, len);
	int rc;

	if (!buf)
		return errno ? -errno : -ENOMEM;
	memcpy(buf, keys, len);
	set_xen_guest_handle(op.u.debug_keys.keys, buf);
	op.u.debug_keys.nr_keys = len;
	rc = sysctl_op(pv, &op);
	pv_buf_free(pv, buf, len);
	return rc;
}

#define CONSOLE_CHUNK (32 * 1024)

int pv_console_read(struct pv *pv, bool clear, char **out, size_t *len)
{
	char *buf = pv_buf_alloc(pv, CONSOLE_CHUNK), *all = NULL, *more;
	uint32_t index = 0;
	size_t n = 0;
	int rc;

	if (!buf)
		return errno ? -errno : -ENOMEM;
	for (;;) {
		struct xen_sysctl op = { .cmd = XEN_SYSCTL_readconsole };

		op.u.readconsole.clear = clear;
		op.u.readconsole.incremental = n != 0;
		op.u.readconsole.index = index;
		op.u.readconsole.count = CONSOLE_CHUNK;
		set_xen_guest_handle(op.u.readconsole.buffer, buf);
		rc = sysctl_op(pv, &op);
		if (rc || !op.u.readconsole.count || op.u.readconsole.count > CONSOLE_CHUNK)
			break;
		more = realloc(all, n + op.u.readconsole.count + 1);
		if (!more) {
			rc = -ENOMEM;
			break;
		}
		all = more;
		memcpy(all + n, buf, op.u.readconsole.count);
		n += op.u.readconsole.count;
		all[n] = '\0';
		/* A chunk that is not full was the last; with clear the buffer is empty now. */
		if (op.u.readconsole.count < CONSOLE_CHUNK || n > 64 * PV_MIB)
			break;
		index = op.u.readconsole.index;
	}
	pv_buf_free(pv, buf, CONSOLE_CHUNK);
	if (rc < 0) {
		free(all);
		return rc;
	}
	*out = all;
	*len = n;
	return 0;
}

long pv_version(struct pv *pv, unsigned int cmd, void *arg, size_t bytes)
{
	if (!bytes)
		return pv_hypercall(pv, __HYPERVISOR_xen_version, cmd, 0, 0);
	return pv_hypercall_struct(pv, __HYPERVISOR_xen_version, cmd, arg, bytes);
}
