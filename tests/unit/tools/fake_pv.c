// SPDX-License-Identifier: BSD-2-Clause
/*
 * libpavise's hypercalls on a pretended hypervisor, so that xl itself runs on the host.
 * Owns fault injection: the n-th call fails, and the test looks at what xl leaves behind.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <pavise.h>

#include "fake.h"

#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/version.h>

int pv_fail(struct pv_err *err, int rc, const char *fmt, ...)
{
	va_list ap;

	if (err && !err->text[0]) {
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	return rc;
}

int pv_open(struct pv **out, struct pv_err *err)
{
	(void)err;
	*out = calloc(1, sizeof(**out));
	(*out)->f = fake_map();
	return 0;
}

void pv_close(struct pv *pv)
{
	if (pv)
		munmap(pv->f, sizeof(*pv->f));
	free(pv);
}

bool fake_broken(struct pv *pv)
{
	return __atomic_add_fetch(&pv->f->calls, 1, __ATOMIC_SEQ_CST) == pv->f->fail_at;
}

/*
 * A guest's ring with xenstored, where the test wants one that both can see ($RINGS in xl_lib.sh): its page in, or out. False: it
 * does not. @page: NULL: the guest goes.
 */
bool fake_ring_page(uint32_t domid, void *page, bool out)
{
	const char *dir = getenv("XENSTORED_FAKE_DOMAINS");
	char path[300];
	int fd;

	if (!dir)
		return false;
	snprintf(path, sizeof(path), "%s/%u", dir, domid);
	if (!page)
		return !unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if ((out ? write(fd, page, PV_PAGE_SIZE) : read(fd, page, PV_PAGE_SIZE)) != PV_PAGE_SIZE)
		abort();
	return !close(fd);
}

static struct fake_domain *find(struct pv *pv, uint32_t domid)
{
	return fake_find(pv->f, domid);
}

int pv_domain_create(struct pv *pv, const struct pv_create *c, uint32_t *domid, uint64_t *timebase)
{
	static uint8_t empty[PV_PAGE_SIZE];
	int i;

	(void)timebase;
	if (fake_broken(pv))
		return -ENOMEM;
	if (c->pool >= FAKE_POOLS || !pv->f->pool[c->pool].cpus)
		return -EINVAL;
	for (i = 0; i < FAKE_DOMAINS; i++) {
		struct fake_domain *d = &pv->f->dom[i];

		if (d->used)
			continue;
		while (find(pv, pv->f->next_domid))
			pv->f->next_domid++;
		memset(d, 0, sizeof(*d));
		d->domid = *domid = c->domid ? c->domid : pv->f->next_domid++;
		memcpy(d->handle, c->handle, 16);
		fake_ring_page(d->domid, empty, true);
		d->pool = c->pool;
		d->flags = XEN_DOMINF_paused;
		d->pauses = 1;
		d->used = 1;
		return 0;
	}
	return -ENOMEM;
}

int pv_domain_destroy(struct pv *pv, uint32_t domid)
{
	struct fake_domain *d = find(pv, domid);

	if (getenv("FAKE_KILL")) /* who does this gets no further */
		raise(SIGKILL);
	if (!d)
		return -ESRCH;
	if (d->held) {
		d->flags |= XEN_DOMINF_dying;
		return 0;
	}
	fake_ring_page(domid, NULL, true);
	__atomic_fetch_add(&pv->f->free_pages, d->pages, __ATOMIC_SEQ_CST);
	__atomic_store_n(&d->used, 0, __ATOMIC_SEQ_CST);
	return 0;
}

int pv_domain_pause(struct pv *pv, uint32_t domid)
{
	struct fake_domain *d = find(pv, domid);

	if (getenv("FAKE_KILL_PAUSE"))
		raise(SIGKILL);
	if (!d)
		return -ESRCH;
	fake_writes(d);
	__atomic_fetch_add(&d->pauses, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(&d->flags, XEN_DOMINF_paused, __ATOMIC_SEQ_CST);
	return 0;
}

int pv_domain_unpause(struct pv *pv, uint32_t domid)
{
	struct fake_domain *d = find(pv, domid);

	if (!d)
		return -ESRCH;
	if (fake_broken(pv))
		return -EINVAL;
	return fake_unpause(d) ? 0 : -EINVAL;
}

int pv_domain_shutdown(struct pv *pv, uint32_t domid, unsigned int reason)
{
	struct fake_domain *d = find(pv, domid);

	if (!d)
		return -ESRCH;
	if (fake_broken(pv))
		return -EPERM;
	d->flags = XEN_DOMINF_shutdown | reason << XEN_DOMINF_shutdownshift;
	return 0;
}

static void fill(const struct fake_domain *d, struct xen_domctl_getdomaininfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domain = d->domid;
	info->flags = d->flags;
	info->tot_pages = d->pages - d->shared;
	info->shr_pages = d->shared;
	info->max_pages = d->max_pages;
	info->nr_online_vcpus = d->online ? d->online : !!d->vcpus;
	info->max_vcpu_id = d->vcpus - 1;
	info->cpupool = d->pool;
	info->cpu_time = d->cpu_ns;
	/* One that is made and has not been let go has not run. */
	if (d->started || !(d->flags & XEN_DOMINF_paused))
		info->cpu_time += 1500000000;
	memcpy(info->handle, d->handle, 16);
}

int pv_domain_info(struct pv *pv, uint32_t domid, struct xen_domctl_getdomaininfo *info)
{
	const struct fake_domain dom0 = {
		.flags = XEN_DOMINF_running, .pages = 65536, .vcpus = 2, .online = 2
	};
	struct fake_domain *d = find(pv, domid);

	if (!d && domid)
		return -ESRCH;
	fill(domid ? d : &dom0, info);
	return 0;
}

int pv_domain_list(struct pv *pv, struct xen_domctl_getdomaininfo **out)
{
	struct xen_domctl_getdomaininfo *list = calloc(FAKE_DOMAINS + 1, sizeof(*list));
	int i, n = 0;

	if (pv->f->no_list) {
		free(list);
		return -EFAULT;
	}
	pv_domain_info(pv, 0, &list[n++]);
	for (i = 0; i < FAKE_DOMAINS; i++)
		if (pv->f->dom[i].used)
			fill(&pv->f->dom[i], &list[n++]);
	*out = list;
	return n;
}

int pv_domain_max_mem(struct pv *pv, uint32_t domid, uint64_t kib)
{
	if (fake_broken(pv))
		return -EINVAL;
	find(pv, domid)->max_pages = kib / 4;
	return 0;
}

int pv_domain_max_vcpus(struct pv *pv, uint32_t domid, uint32_t max)
{
	if (fake_broken(pv))
		return -EINVAL;
	find(pv, domid)->vcpus = max;
	return 0;
}

int pv_domain_set_handle(struct pv *pv, uint32_t domid, const uint8_t handle[16])
{
	struct fake_domain *d = find(pv, domid);

	if (!d)
		return -ESRCH;
	memcpy(d->handle, handle, 16);
	return 0;
}

int pv_vcpu_info(struct pv *pv, uint32_t domid, uint32_t vcpu, struct xen_domctl_getvcpuinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->vcpu = vcpu;
	info->online = !find(pv, domid) || vcpu < find(pv, domid)->online;
	info->blocked = 1;
	info->cpu = 1;
	info->cpu_time = 2500000000;
	return 0;
}

int pv_vcpu_steal(struct pv *pv, uint32_t domid, uint32_t vcpu, uint64_t *ns)
{
	(void)pv;
	(void)vcpu;
	*ns = 250000000;
	return domid ? -ENOSYS : 0;
}

int pv_vcpu_affinity(struct pv *pv, uint32_t domid, uint32_t vcpu, uint64_t *hard, uint64_t *soft)
{
	const struct fake_domain *d = domid ? find(pv, domid) : &pv->f->dom0;

	if (!d)
		return -ESRCH;
	*hard = d->hard[vcpu % 4] ? d->hard[vcpu % 4] : domid && vcpu ? 2 : 3;
	*soft = d->soft[vcpu % 4] ? d->soft[vcpu % 4] : 3;
	return 0;
}

int pv_vcpu_set_affinity(struct pv *pv, uint32_t domid, uint32_t vcpu, uint64_t *hard,
			 uint64_t *soft)
{
	struct fake_domain *d = domid ? find(pv, domid) : &pv->f->dom0;

	if (fake_broken(pv))
		return -ENOMEM;
	if (!d || vcpu >= (domid ? d->vcpus : 2))
		return -ESRCH;
	if ((hard && !(*hard & pv->f->pool[d->pool].cpus)) || (soft && !(*soft & 3)))
		return -EINVAL;
	if (hard)
		d->hard[vcpu % 4] = *hard & 3;
	if (soft)
		d->soft[vcpu % 4] = *soft & 3;
	return 0;
}

int pv_sched_share(struct pv *pv, uint32_t domid, uint16_t *weight, uint16_t *cap)
{
	const struct fake_domain *d = domid ? find(pv, domid) : &pv->f->dom0;

	if (!d)
		return -ESRCH;
	*weight = d->weight ? d->weight : 256;
	*cap = d->cap;
	return 0;
}

int pv_sched_set_share(struct pv *pv, uint32_t domid, uint16_t weight, uint16_t cap)
{
	struct fake_domain *d = domid ? find(pv, domid) : &pv->f->dom0;

	if (fake_broken(pv))
		return -ENOMEM;
	if (!d)
		return -ESRCH;
	d->weight = weight;
	d->cap = cap;
	return 0;
}

static struct fake_pool *pool_of(struct pv *pv, uint32_t id)
{
	return id < FAKE_POOLS && pv->f->pool[id].used ? &pv->f->pool[id] : NULL;
}

static uint32_t domains_in(struct pv *pv, uint32_t id)
{
	uint32_t n = !id; /* domain 0 */
	int i;

	for (i = 0; i < FAKE_DOMAINS; i++)
		n += pv->f->dom[i].used && pv->f->dom[i].pool == id;
	return n;
}

int pv_rate_limit(struct pv *pv, uint32_t pool, uint32_t *us)
{
	if (!pool_of(pv, pool))
		return -ESRCH;
	*us = pv->f->pool[pool].rate_limit;
	return 0;
}

int pv_set_rate_limit(struct pv *pv, uint32_t pool, uint32_t us)
{
	if (!pool_of(pv, pool))
		return -ESRCH;
	if (us && (us < 100 || us > 500000))
		return -EINVAL;
	pv->f->pool[pool].rate_limit = us;
	return 0;
}

int pv_pool_info(struct pv *pv, uint32_t from, struct pv_pool *pool)
{
	while (from < FAKE_POOLS && !pv->f->pool[from].used)
		from++;
	if (from >= FAKE_POOLS)
		return -ENOENT;
	*pool = (struct pv_pool){ from, XEN_SCHEDULER_CREDIT2, domains_in(pv, from),
				  pv->f->pool[from].cpus };
	return 0;
}

int pv_pool_free_cpus(struct pv *pv, uint64_t *cpus)
{
	int i;

	*cpus = FAKE_CPUS;
	for (i = 0; i < FAKE_POOLS; i++)
		*cpus &= ~pv->f->pool[i].cpus;
	return 0;
}

int pv_pool_create(struct pv *pv, uint32_t *id)
{
	if (fake_broken(pv))
		return -ENOMEM;
	for (*id = 0; *id < FAKE_POOLS; ++*id) {
		if (pv->f->pool[*id].used)
			continue;
		pv->f->pool[*id] = (struct fake_pool){ .used = 1 };
		return 0;
	}
	return -ENOSPC;
}

int pv_pool_destroy(struct pv *pv, uint32_t id)
{
	struct fake_pool *p = pool_of(pv, id);

	if (!p)
		return -ENOENT;
	if (p->cpus || domains_in(pv, id))
		return -EBUSY;
	p->used = 0;
	return 0;
}

int pv_pool_add_cpu(struct pv *pv, uint32_t id, uint32_t cpu)
{
	struct fake_pool *p = pool_of(pv, id);
	uint64_t unused;

	if (fake_broken(pv))
		return -ENOMEM;
	pv_pool_free_cpus(pv, &unused);
	if (!p || cpu > 1)
		return p ? -EINVAL : -ENOENT;
	if (!(unused >> cpu & 1))
		return -ENODEV;
	p->cpus |= 1u << cpu;
	return 0;
}

int pv_pool_remove_cpu(struct pv *pv, uint32_t id, uint32_t cpu)
{
	struct fake_pool *p = pool_of(pv, id);

	if (!p || cpu > 1)
		return p ? -EINVAL : -ENOENT;
	if (!(p->cpus >> cpu & 1))
		return -ENODEV;
	if (p->cpus == 1u << cpu && domains_in(pv, id))
		return -EBUSY;
	p->cpus &= ~(1u << cpu);
	return 0;
}

int pv_pool_move(struct pv *pv, uint32_t id, uint32_t domid)
{
	struct fake_domain *d = find(pv, domid);

	if (!domid)
		return -EPERM;
	if (!d)
		return -ESRCH;
	if (fake_broken(pv))
		return -ENOMEM;
	if (!pool_of(pv, id) || !pool_of(pv, id)->cpus)
		return -ENOENT;
	if (d->flags & XEN_DOMINF_dying)
		return -EINVAL;
	d->pool = id;
	return 0;
}

int pv_physinfo(struct pv *pv, struct xen_sysctl_physinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->nr_cpus = 2;
	info->max_cpu_id = 1;
	info->total_pages = FAKE_PAGES;
	info->free_pages = pv->f->free_pages;
	return 0;
}

int pv_cputopo(struct pv *pv, struct xen_sysctl_cputopo **out)
{
	struct xen_sysctl_cputopo *cpu = calloc(2, sizeof(*cpu));

	(void)pv;
	cpu[1].core = 1;
	*out = cpu;
	return 2;
}

int pv_sched_id(struct pv *pv, uint32_t *id)
{
	(void)pv;
	*id = XEN_SCHEDULER_CREDIT2;
	return 0;
}

int pv_cpu_idle(struct pv *pv, uint64_t *ns, uint32_t max)
{
	(void)pv;
	if (max < 2)
		return -EINVAL;
	ns[0] = 7000000000;
	ns[1] = 9500000000;
	return 2;
}

int pv_debug_keys(struct pv *pv, const char *keys)
{
	(void)pv;
	return *keys == 'h' ? 0 : -EINVAL;
}

int pv_console_read(struct pv *pv, bool clear, char **out, size_t *len)
{
	(void)pv;
	*out = strdup(clear ? "cleared\n" : "log\n(d1) \x1b[6n\n");
	*len = strlen(*out);
	return 0;
}

long pv_version(struct pv *pv, unsigned int cmd, void *arg, size_t bytes)
{
	(void)pv;
	if (cmd == XENVER_version)
		return 4 << 16 | 17;
	if (bytes)
		memset(arg, 0, bytes);
	return cmd == XENVER_pagesize ? 4096 : 0;
}

int pv_populate(struct pv *pv, uint32_t domid, uint64_t gfn, uint64_t pages)
{
	struct fake_domain *d = find(pv, domid);

	(void)gfn;
	if (fake_broken(pv) || pages > pv->f->free_pages || d->pages + pages > d->max_pages)
		return -ENOMEM;
	__atomic_fetch_sub(&pv->f->free_pages, pages, __ATOMIC_SEQ_CST);
	d->pages += pages;
	return 0;
}

void *pv_map_range(struct pv *pv, uint32_t domid, int prot, uint64_t gfn, size_t n)
{
	void *p;

	(void)domid;
	if (fake_broken(pv)) {
		errno = ENOMEM;
		return NULL;
	}
	p = mmap(NULL, n * PV_PAGE_SIZE, prot | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (prot == PROT_READ)
		fake_write_page(p, gfn);
	return p;
}

#define FAKE_ROOT 0x80010ULL /* of the guests' page tables */

/*
 * What a guest's pages have in them: every fourth its number, and the tables Linux's two maps of memory. The last one is a
 * hostile guest's: it points to itself, and its leaves all to the same page.
 */
void fake_write_page(uint64_t *page, uint64_t gfn)
{
	int i;

	if (gfn == FAKE_ROOT) {
		page[256] = 0x80000ULL << 10 | 0xf; /* 1 GiB */
		page[510] = (FAKE_ROOT + 1) << 10 | 1;
		page[511] = (FAKE_ROOT + 2) << 10 | 1;
	} else if (gfn == FAKE_ROOT + 1) {
		for (i = 0; i < 4; i++) /* 2 MiB each */
			page[i] = (0x80200ULL + i * 512) << 10 | 0xf;
	} else if (gfn == FAKE_ROOT + 2) {
		for (i = 0; i < 512; i++)
			page[i] = i & 1 ? (FAKE_ROOT + 2) << 10 | 1 : 0x80000ULL << 10 | 0xf;
	} else if (!(gfn & 3)) {
		page[0] = gfn;
	}
}

void *pv_map_present(struct pv *pv, uint32_t domid, uint64_t gfn, size_t n, bool *there)
{
	uint64_t *p = pv_map_range(pv, domid, PROT_READ | PROT_WRITE, gfn, n);
	size_t i;

	for (i = 0; p && i < n; i++) {
		there[i] = gfn + i < (GUEST_RAM0_BASE >> PV_PAGE_SHIFT) + find(pv, domid)->pages;
		if (there[i])
			fake_write_page(p + i * 512, gfn + i);
	}
	return p;
}

int pv_vcpu_get(struct pv *pv, uint32_t domid, uint32_t vcpu, struct vcpu_guest_context *ctx)
{
	struct fake_domain *d = find(pv, domid);

	memset(ctx, 0, sizeof(*ctx));
	if (fake_broken(pv))
		return -EFAULT;
	if (vcpu >= (d->online ? d->online : 1))
		return -ENODATA;
	ctx->user_regs.pc = 0xffffffff80000000ULL + vcpu;
	ctx->user_regs.sp = 0xffffffd600001000ULL;
	ctx->user_regs.t6 = 31;
	ctx->satp = 8ULL << 60 | FAKE_ROOT;
	return 0;
}

void *pv_map_grant_table(struct pv *pv, uint32_t domid, uint32_t first, uint32_t n)
{
	(void)first;
	return pv_map_range(pv, domid, PROT_READ | PROT_WRITE, 0, n);
}

void pv_unmap(void *addr, size_t n)
{
	if (addr)
		munmap(addr, n * PV_PAGE_SIZE);
}

int pv_param_set(struct pv *pv, uint32_t domid, uint32_t index, uint64_t value)
{
	(void)domid;
	(void)index;
	(void)value;
	return fake_broken(pv) ? -EINVAL : 0;
}

int pv_port_alloc(struct pv *pv, uint32_t domid, uint32_t remote, uint32_t *port)
{
	(void)remote;
	if (fake_broken(pv))
		return -ENOSPC;
	*port = ++find(pv, domid)->ports;
	return 0;
}

int pv_vcpu_set(struct pv *pv, uint32_t domid, uint32_t vcpu, const struct vcpu_guest_context *ctx)
{
	struct fake_domain *d = find(pv, domid);

	(void)ctx;
	if (fake_broken(pv))
		return -EINVAL;
	if (!vcpu) {
		__atomic_store_n(&d->ready, 1, __ATOMIC_SEQ_CST);
		fake_run(d);
	}
	return 0;
}
