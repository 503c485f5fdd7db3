/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU pools (xen/sysctl.h, XEN_SYSCTL_cpupool_op): which harts are in one, and which domains.
 * All of it changes with the locks of all harts, in steps that are bounded by harts and by one domain's vCPUs. Who runs where it may not any more
 * is kicked from there and not waited for: two harts that change pools could wait for each other.
 */
#include <control.h>
#include <cpupool.h>
#include <handlers.h>
#include <hypercall.h>
#include <lib.h>
#include <sched.h>
#include <sched_internal.h>

static struct cpupool pools[NR_CPUPOOLS] = { { .used = true,
					       .ratelimit_ns = CPUPOOL_RATELIMIT_NS } };

u32 cpupool_of(const struct domain *d)
{
	return READ_ONCE(d->pool) - pools;
}

u64 cpupool_harts(const struct domain *d)
{
	return READ_ONCE(READ_ONCE(d->pool)->harts);
}

/* ---- all harts' locks held (sched_lock_all()) ---- */

static struct cpupool *find(u32 id)
{
	return id < NR_CPUPOOLS && pools[id].used ? &pools[id] : NULL;
}

static u64 free_harts(void)
{
	u64 harts = machine_harts();

	for (unsigned int i = 0; i < NR_CPUPOOLS; i++)
		harts &= ~pools[i].harts;
	return harts;
}

void cpupool_add_hart(unsigned int hart)
{
	WRITE_ONCE(pools[0].harts, pools[0].harts | BIT(hart));
}

static u64 move(struct domain *d, struct cpupool *to)
{
	if (d->pool == to)
		return 0;
	d->pool->domains--;
	to->domains++;
	sched_move_domain(d, to, arch_time_ns());
	return sched_harts_changed();
}

static long create(struct xen_sysctl_cpupool_op *a)
{
	u32 id = a->cpupool_id;

	if (a->sched_id != XEN_SCHEDULER_CREDIT2)
		return -ENOENT;
	if (id == XEN_SYSCTL_CPUPOOL_PAR_ANY) {
		for (id = 0; id < NR_CPUPOOLS && pools[id].used; id++)
			;
		if (id == NR_CPUPOOLS)
			return -ENOSPC;
	}
	if (id >= NR_CPUPOOLS)
		return -EINVAL;
	if (pools[id].used)
		return -EEXIST;
	pools[id] = (struct cpupool){ .used = true, .ratelimit_ns = CPUPOOL_RATELIMIT_NS };
	a->cpupool_id = id;
	return 0;
}

static long destroy(u32 id)
{
	struct cpupool *p = find(id);

	if (!p)
		return -ENOENT;
	if (p->domains || p->harts || p == &pools[0])
		return -EBUSY;
	p->used = false;
	return 0;
}

/* That of the next number where there is none of this. */
static long info(struct xen_sysctl_cpupool_op *a, u64 *harts)
{
	u32 id = a->cpupool_id;

	while (id < NR_CPUPOOLS && !pools[id].used)
		id++;
	if (id >= NR_CPUPOOLS)
		return -ENOENT;
	a->cpupool_id = id;
	a->sched_id = XEN_SCHEDULER_CREDIT2;
	a->n_dom = pools[id].domains;
	*harts = pools[id].harts;
	return 0;
}

static long add_hart(u32 id, u32 hart, u64 *kick)
{
	struct cpupool *p = find(id);
	u64 unused = free_harts();

	if (hart == XEN_SYSCTL_CPUPOOL_PAR_ANY)
		hart = ffs64(unused) - 1;
	if (hart >= machine.nr_harts)
		return -EINVAL;
	if (!(unused & BIT(hart)))
		return -ENODEV;
	if (!p)
		return -ENOENT;
	WRITE_ONCE(p->harts, p->harts | BIT(hart));
	*kick = sched_harts_changed();
	return 0;
}

static long remove_hart(u32 id, u32 hart, u64 *kick)
{
	struct cpupool *p = find(id);

	if (!p)
		return -ENOENT;
	if (hart == XEN_SYSCTL_CPUPOOL_PAR_ANY)
		hart = fls64(p->harts) - 1;
	if (hart >= machine.nr_harts)
		return -EINVAL;
	if (!(p->harts & BIT(hart)))
		return -ENODEV;
	/* Pool 0 has a domain for ever. */
	if (p->harts == BIT(hart) && (p->domains || p == &pools[0]))
		return -EBUSY;
	WRITE_ONCE(p->harts, p->harts & ~BIT(hart));
	*kick = sched_harts_changed();
	return 0;
}

/* ---- domains ---- */

int cpupool_join(struct domain *d, u32 id)
{
	struct cpupool *p;
	int rc = -EINVAL;

	sched_lock_all();
	p = find(id);
	if (p && p->harts) {
		p->domains++;
		d->pool = p;
		rc = 0;
	}
	sched_unlock_all();
	return rc;
}

void cpupool_leave(struct domain *d)
{
	sched_lock_all();
	if (d->pool)
		d->pool->domains--;
	d->pool = NULL;
	sched_unlock_all();
}

void cpupool_domain_dies(struct domain *d)
{
	u64 kick;

	sched_lock_all();
	kick = move(d, &pools[0]);
	sched_unlock_all();
	sched_kick_harts(kick);
}

/* dom0 stays in pool 0, for which Xen refuses the caller itself. */
static long move_domain(u32 id, u32 domid)
{
	struct cpupool *p;
	struct domain *d;
	long rc = 0;
	u64 kick = 0;

	if (domid >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	d = domain_get(domid);
	if (!d)
		return -ESRCH;
	sched_lock_all();
	p = find(id);
	if (d->is_privileged)
		rc = -EPERM;
	else if (READ_ONCE(
			 d->dying)) /* or cpupool_domain_dies() has been and does not come again */
		rc = -EINVAL;
	else if (!p || !p->harts)
		rc = -ENOENT;
	else
		kick = move(d, p);
	sched_unlock_all();
	sched_kick_harts(kick);
	domain_put(d);
	return rc;
}

/* ---- the hypercalls ---- */

long sysctl_cpupool_op(struct xen_sysctl_cpupool_op *a)
{
	u64 harts = 0, kick = 0;
	long rc = -ENOSYS;

	if (a->op == XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN)
		return move_domain(a->cpupool_id, a->domid);
	sched_lock_all();
	if (a->op == XEN_SYSCTL_CPUPOOL_OP_CREATE)
		rc = create(a);
	else if (a->op == XEN_SYSCTL_CPUPOOL_OP_DESTROY)
		rc = destroy(a->cpupool_id);
	else if (a->op == XEN_SYSCTL_CPUPOOL_OP_INFO)
		rc = info(a, &harts);
	else if (a->op == XEN_SYSCTL_CPUPOOL_OP_ADDCPU)
		rc = add_hart(a->cpupool_id, a->cpu, &kick);
	else if (a->op == XEN_SYSCTL_CPUPOOL_OP_RMCPU)
		rc = remove_hart(a->cpupool_id, a->cpu, &kick);
	else if (a->op == XEN_SYSCTL_CPUPOOL_OP_FREEINFO) {
		harts = free_harts();
		rc = 0;
	}
	sched_unlock_all();
	sched_kick_harts(kick);
	if (!rc && (a->op == XEN_SYSCTL_CPUPOOL_OP_INFO || a->op == XEN_SYSCTL_CPUPOOL_OP_FREEINFO))
		rc = bitmap_to_guest(&a->cpumap, harts);
	return rc;
}

/* The rate limit of one pool. */
long sysctl_scheduler_op(struct xen_sysctl_scheduler_op *a)
{
	u32 us = a->u.sched_credit2.ratelimit_us;
	bool put = a->cmd == XEN_SYSCTL_SCHEDOP_putinfo;
	struct cpupool *p;
	long rc = 0;

	sched_lock_all();
	p = find(a->cpupool_id);
	if (!p)
		rc = -ESRCH;
	else if (a->sched_id != XEN_SCHEDULER_CREDIT2 ||
		 (!put && a->cmd != XEN_SYSCTL_SCHEDOP_getinfo) ||
		 (put && us &&
		  (us < XEN_SYSCTL_SCHED_RATELIMIT_MIN || us > XEN_SYSCTL_SCHED_RATELIMIT_MAX)))
		rc = -EINVAL;
	else if (put)
		p->ratelimit_ns = us * 1000ULL;
	else
		a->u.sched_credit2.ratelimit_us = p->ratelimit_ns / 1000;
	sched_unlock_all();
	return rc;
}
