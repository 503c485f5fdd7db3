/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains: creation, references, pausing, shutdown and death.
 * Death is in bounded steps (domain_kill), so that a large domain does not hold a hart.
 */
#include <console.h>
#include <cpupool.h>
#include <domain.h>
#include <event.h>
#include <grant.h>
#include <hypercall.h>
#include <image.h>
#include <lib.h>
#include <memory.h>
#include <sched.h>
#include <wallclock.h>

#define HASH_SIZE 256

struct domain *dom0;
struct list_head domain_list = LIST_HEAD_INIT(domain_list);
struct spinlock domain_list_lock = SPINLOCK_INIT(LOCK_DOMAIN_LIST);
static struct domain *domain_hash[HASH_SIZE];

/* ---- references ---- */

static struct domain **hash_slot(domid_t id)
{
	struct domain **slot = &domain_hash[id % HASH_SIZE];

	while (*slot && (*slot)->id != id)
		slot = &(*slot)->hash_next;
	return slot;
}

struct domain *domain_get(domid_t id)
{
	struct domain *d = current_domain();
	u32 refs;

	/* The one that runs is held by running: no look at the list. */
	if ((id == DOMID_SELF || id == d->id) && !d->is_idle) {
		domain_hold(d);
		return d;
	}
	spin_lock(&domain_list_lock);
	d = *hash_slot(id);
	if (d) {
		refs = __atomic_load_n(&d->refs, __ATOMIC_RELAXED);
		do {
			/* 0: the last holder is about to take it off the list */
			if (!refs) {
				d = NULL;
				break;
			}
		} while (!__atomic_compare_exchange_n(&d->refs, &refs, refs + 1, true,
						      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	}
	spin_unlock(&domain_list_lock);
	return d;
}

struct domain *domain_next(struct domain *prev, u32 id)
{
	struct domain *next = NULL;
	bool found;

	/* A list that goes on, or one domain that is asked for: mostly it is there, and the thousand before it are not looked at. */
	if (!prev && id < DOMID_FIRST_RESERVED)
		next = domain_get(id);
	if (next)
		return next;
	do {
		struct list_head *pos;

		spin_lock(&domain_list_lock);
		/* One that is held stays in the list. */
		pos = prev ? prev->list.next : domain_list.next;
		while (pos != &domain_list && list_entry(pos, struct domain, list)->id < id)
			pos = pos->next;
		found = pos != &domain_list;
		if (found)
			id = list_entry(pos, struct domain, list)->id;
		spin_unlock(&domain_list_lock);
		/* It may be gone by now: then the one behind it. */
		next = found ? domain_get(id++) : NULL;
	} while (found && !next);
	if (prev)
		domain_put(prev);
	return next;
}

static void vcpu_free(struct vcpu *v)
{
	timer_kill(&v->poll_timer);
	timer_kill(&v->block_timer);
	timer_kill(&v->singleshot_timer);
	arch_vcpu_free(v);
	xfree(v);
}

/*
 * Everything that is still there of a domain that nobody refers to, or of one whose creation
 * failed.
 */
static void domain_free(struct domain *d)
{
	cpupool_leave(d);
	console_guest_free(d);
	if (d->evtchn)
		evtchn_free(d);
	if (d->grant)
		grant_table_free(d);
	for (unsigned int i = 0; d->vcpu && i < d->max_vcpus; i++) {
		if (d->vcpu[i])
			vcpu_free(d->vcpu[i]);
	}
	xfree(d->vcpu);
	if (d->arch)
		arch_domain_free(d);
	if (d->shared_info)
		page_put(virt_to_page(d->shared_info));
	xfree(d);
}

void domain_put_last(struct domain *d)
{
	ASSERT(!d->owned_pages && !d->memory_ops);
	spin_lock(&domain_list_lock);
	list_del(&d->list);
	*hash_slot(d->id) = d->hash_next;
	spin_unlock(&domain_list_lock);
	domain_free(d);
	/* Its number may be used again: who waits for that learns it. */
	send_guest_global_virq(dom0, VIRQ_DOM_EXC);
}

/* ---- creation ---- */

static void wake_vcpu(void *v)
{
	vcpu_unblock(v);
}

static void singleshot_fired(void *vcpu)
{
	send_guest_vcpu_virq(vcpu, VIRQ_TIMER);
}

static struct vcpu *vcpu_alloc(struct domain *d, unsigned int id)
{
	struct vcpu *v = xzalloc(sizeof(*v));

	if (!v)
		return NULL;
	v->domain = d;
	v->id = id;
	v->pause_flags = BIT(VPF_DOWN);
	v->singleshot_at = HVM_NO_TIMER;
	timer_init(&v->poll_timer, wake_vcpu, v);
	timer_init(&v->block_timer, wake_vcpu, v);
	timer_init(&v->singleshot_timer, singleshot_fired, v);
	sched_vcpu_init(v);
	if (arch_vcpu_init(v)) {
		xfree(v);
		return NULL;
	}
	return v;
}

int vcpu_create(struct domain *d, unsigned int id)
{
	struct vcpu *v;
	int rc = 0;

	if (id >= d->max_vcpus)
		return -EINVAL;
	if (READ_ONCE(d->vcpu[id]))
		return 0;
	v = vcpu_alloc(d, id);
	if (!v)
		return -ENOMEM;
	if (id < XEN_LEGACY_MAX_VCPUS && d->shared_info)
		v->info = &d->shared_info->vcpu_info[id];
	spin_lock(&d->lock);
	if (READ_ONCE(d->dying)) { /* its vCPUs may have been seen to already */
		rc = -EINVAL;
	} else if (!d->vcpu[id]) { /* nobody else has made it meanwhile */
		__atomic_store_n(&d->vcpu[id], v, __ATOMIC_RELEASE);
		v = NULL;
	}
	spin_unlock(&d->lock);
	if (v)
		vcpu_free(v);
	return rc;
}

static void watchdog_fired(void *domain)
{
	struct domain *d = domain;

	if (READ_ONCE(d->is_shut_down))
		return;
	pr_warn("d%u: its watchdog fired\n", d->id);
	domain_shutdown(d, SHUTDOWN_watchdog);
}

void domain_watchdog_set(struct domain *d, unsigned int i, u64 ns)
{
	u64 now = arch_time_ns();

	d->watchdog_ns[i] = ns;
	d->watchdog_used |= BIT(i);
	timer_set(&d->watchdog[i], ns > ~0ULL - now ? ~0ULL : now + ns);
}

static int domain_init(struct domain *d, const struct xen_domctl_createdomain *config)
{
	struct xen_arch_domainconfig arch = config->arch;
	struct page *pg;
	int rc;

	d->vcpu = xzalloc(d->max_vcpus * sizeof(d->vcpu[0]));
	pg = alloc_pages(0);
	if (!d->vcpu || !pg) {
		if (pg)
			free_pages(pg, 0);
		return -ENOMEM;
	}
	page_lend(pg, d);
	d->shared_info = page_to_virt(pg);
	rc = arch_domain_init(d, &arch);
	if (!rc)
		rc = evtchn_init(d, config->max_evtchn_port);
	if (!rc)
		rc = grant_table_init(d, config->max_grant_frames, config->max_maptrack_frames);
	return rc;
}

static void init_locks(struct domain *d)
{
	spin_lock_init(&d->kill_lock, LOCK_KILL);
	spin_lock_init(&d->lock, LOCK_DOMAIN);
	spin_lock_init(&d->page_lock, LOCK_PAGES);
	spin_lock_init(&d->evtchn_lock, LOCK_EVENT);
	spin_lock_init(&d->console.lock, LOCK_GUEST_CONSOLE);
}

domid_t domain_free_id(void)
{
	static domid_t last; /* under the lock */
	domid_t id = DOMID_INVALID;

	spin_lock(&domain_list_lock);
	for (u32 n = 1; n < DOMID_FIRST_RESERVED; n++) {
		domid_t next = (last + n) % DOMID_FIRST_RESERVED;

		if (next && !*hash_slot(next)) {
			last = id = next;
			break;
		}
	}
	spin_unlock(&domain_list_lock);
	return id;
}

/* Where the domain of this number belongs in the list: behind that. Numbers are given out upwards, so mostly it is the last one. */
static struct list_head *place_of(domid_t id)
{
	struct list_head *pos = domain_list.prev;

	while (pos != &domain_list && list_entry(pos, struct domain, list)->id > id)
		pos = pos->prev;
	return pos;
}

/* From here on others find it. */
static int domain_publish(struct domain *d)
{
	int rc = 0;

	spin_lock(&domain_list_lock);
	if (*hash_slot(d->id)) {
		rc = -EEXIST;
	} else {
		*hash_slot(d->id) = d;
		list_add(&d->list, place_of(d->id));
		/* Under the lock: a clock set meanwhile goes by the list. */
		wallclock_publish(d);
	}
	spin_unlock(&domain_list_lock);
	return rc;
}

int domain_create(domid_t id, const struct xen_domctl_createdomain *config, struct domain **out)
{
	struct domain *d;
	int rc;

	if (id >= DOMID_FIRST_RESERVED || !config->max_vcpus || config->max_vcpus > GUEST_MAX_VCPUS)
		return -EINVAL;
	d = xzalloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->id = id;
	d->refs = 1;
	init_locks(d);
	d->max_vcpus = config->max_vcpus;
	d->pause_count = d->controller_pauses = 1;
	d->ssidref = config->ssidref;
	memcpy(d->handle, config->handle, sizeof(d->handle));
	list_init(&d->page_list);
	list_init(&d->list);
	list_init(&d->dead_pages);
	list_init(&d->image_peer);
	console_guest_init(d);
	sched_domain_init(d);
	for (unsigned int i = 0; i < NR_DOMAIN_WATCHDOGS; i++)
		timer_init(&d->watchdog[i], watchdog_fired, d);

	rc = cpupool_join(d, config->cpupool_id);
	if (!rc)
		rc = domain_init(d, config);
	if (!rc)
		rc = domain_publish(d);
	if (rc)
		domain_free(d);
	else
		*out = d;
	return rc;
}

/* The domain of the idle vCPUs: in no list, owns nothing. */
struct domain *domain_create_idle(unsigned int nr_harts)
{
	struct domain *d = xzalloc(sizeof(*d));

	if (!d)
		return NULL;
	d->vcpu = xzalloc(nr_harts * sizeof(d->vcpu[0]));
	if (!d->vcpu)
		return NULL;
	d->id = DOMID_IDLE;
	init_locks(d);
	sched_domain_init(d);
	d->is_idle = true;
	d->max_vcpus = nr_harts;
	d->refs = 1;
	list_init(&d->page_list);
	list_init(&d->list);
	for (unsigned int i = 0; i < nr_harts; i++) {
		d->vcpu[i] = vcpu_alloc(d, i);
		if (!d->vcpu[i])
			return NULL;
		d->vcpu[i]->pause_flags = 0;
	}
	return d;
}

/* ---- pausing ---- */

/*
 * The count first, then the vCPUs; to wake them is for whoever takes the last one off it. So one that was taken off the
 * queue because of a count above 0 is woken after that count is 0.
 */

static u32 pause_add(struct domain *d)
{
	return __atomic_add_fetch(&d->pause_count, 1, __ATOMIC_SEQ_CST);
}

static u32 pause_sub(struct domain *d)
{
	ASSERT(READ_ONCE(d->pause_count));
	return __atomic_sub_fetch(&d->pause_count, 1, __ATOMIC_SEQ_CST);
}

static void sleep_all(struct domain *d)
{
	struct vcpu *v;
	unsigned int i;

	domain_for_each_vcpu(d, v, i)
		vcpu_sleep_nosync(v);
}

static void sleep_all_sync(struct domain *d)
{
	struct vcpu *v;
	unsigned int i;

	sleep_all(d);
	domain_for_each_vcpu(d, v, i) {
		if (v != arch_current())
			vcpu_sleep_sync(v);
	}
}

static void wake_all(struct domain *d)
{
	struct vcpu *v;
	unsigned int i;

	domain_for_each_vcpu(d, v, i)
		vcpu_wake(v);
}

void domain_pause_nosync(struct domain *d)
{
	pause_add(d);
	sleep_all(d);
}

void domain_pause(struct domain *d)
{
	pause_add(d);
	sleep_all_sync(d);
}

void domain_unpause(struct domain *d)
{
	if (!pause_sub(d))
		wake_all(d);
}

/* Both counts in one step: else an unpause between them would take pause_count below 0. */
int domain_controller_pause(struct domain *d)
{
	bool room;

	spin_lock(&d->lock);
	room = d->controller_pauses < MAX_CONTROLLER_PAUSES;
	if (room) {
		d->controller_pauses++;
		pause_add(d);
	}
	spin_unlock(&d->lock);
	if (!room)
		return -EOVERFLOW;
	sleep_all_sync(d);
	/* Unless somebody has let it go on meanwhile. */
	spin_lock(&d->lock);
	if (d->controller_pauses)
		fifo_stand_still(d);
	spin_unlock(&d->lock);
	return 0;
}

void domain_wait_for_memory(struct domain *d)
{
	bool first;

	spin_lock(&d->lock);
	first = !d->short_of_memory && !d->dying && d->controller_pauses < MAX_CONTROLLER_PAUSES;
	if (first) {
		d->short_of_memory = true;
		d->controller_pauses++;
		pause_add(d);
	}
	spin_unlock(&d->lock);
	if (!first)
		return;
	pr_warn("d%u waits for memory\n", d->id);
	sleep_all(d);
	send_guest_global_virq(dom0, VIRQ_ENOMEM);
}

int domain_controller_unpause(struct domain *d)
{
	bool paused, wake = false;
	int rc;

	spin_lock(&d->lock);
	paused = d->controller_pauses && !READ_ONCE(d->dying) && d->state.given != STATE_PARTIAL &&
		 !READ_ONCE(d->fork);
	rc = paused && d->controller_pauses == 1 ? fifo_move_again(d) : 0;
	if (rc) {
		spin_unlock(&d->lock);
		return rc;
	}
	if (paused && d->controller_pauses == 1 && !d->has_run) {
		d->has_run = true;
		if (d->state.given == STATE_WHOLE)
			domain_state_starts(d);
	}
	if (paused) {
		/* The last one, whose ever it was */
		if (d->controller_pauses == 1)
			d->short_of_memory = false;
		d->controller_pauses--;
		wake = !pause_sub(d);
	}
	spin_unlock(&d->lock);
	if (wake)
		wake_all(d);
	return paused ? 0 : -EINVAL;
}

void vcpu_pause(struct vcpu *v)
{
	__atomic_fetch_add(&v->pause_count, 1, __ATOMIC_SEQ_CST);
	if (v != arch_current())
		vcpu_sleep_sync(v);
	else
		vcpu_sleep_nosync(v);
}

void vcpu_unpause(struct vcpu *v)
{
	if (!__atomic_sub_fetch(&v->pause_count, 1, __ATOMIC_SEQ_CST))
		vcpu_wake(v);
}

/* ---- shutdown ---- */

static const char *const shutdown_names[] = {
	[SHUTDOWN_poweroff] = "poweroff", [SHUTDOWN_reboot] = "reboot",
	[SHUTDOWN_suspend] = "suspend",	  [SHUTDOWN_crash] = "crash",
	[SHUTDOWN_watchdog] = "watchdog", [SHUTDOWN_soft_reset] = "soft reset",
};

static void dom0_shutdown(u8 reason)
{
	switch (reason) {
	case SHUTDOWN_poweroff:
		printk("Domain 0 powered off: the machine stops.\n");
		arch_machine_poweroff();
	case SHUTDOWN_reboot:
		printk("Domain 0 asked for a reboot: the machine restarts.\n");
		arch_machine_reboot();
	default:
		pr_err("Domain 0 ended (%s): the machine stops, exit status %u.\n",
		       reason < ARRAY_SIZE(shutdown_names) ? shutdown_names[reason] :
							     "unknown reason",
		       MACHINE_FAIL_DOM0_CRASH);
		arch_machine_fail(MACHINE_FAIL_DOM0_CRASH);
	}
}

void domain_shutdown(struct domain *d, u8 reason)
{
	u32 old = READ_ONCE(d->shutdown), new;

	do {
		if (old & DOMAIN_HAS_REASON)
			reason = old & DOMAIN_SHUTDOWN_REASON;
		if (d->is_privileged)
			dom0_shutdown(reason);
		if (old & DOMAIN_SHUT_DOWN)
			return;
		new = DOMAIN_SHUT_DOWN | DOMAIN_HAS_REASON | reason;
	} while (!__atomic_compare_exchange_n(&d->shutdown, &old, new, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	console_guest_flush(d);
	pr_debug("d%u: shutdown, reason %s\n", d->id,
		 reason < ARRAY_SIZE(shutdown_names) ? shutdown_names[reason] : "?");
	sleep_all(d);
	send_guest_global_virq(dom0, VIRQ_DOM_EXC);
}

/* d->lock held, and d is shut down: so one that fires does nothing. */
static void watchdogs_again(struct domain *d)
{
	for (unsigned int i = 0; i < NR_DOMAIN_WATCHDOGS; i++) {
		if (!(d->watchdog_used & BIT(i)))
			continue;
		/* It may be firing, and must have looked at that before it changes. */
		timer_kill(&d->watchdog[i]);
		domain_watchdog_set(d, i, d->watchdog_ns[i]);
	}
}

void domain_resume(struct domain *d)
{
	bool was;

	spin_lock(&d->lock);
	/* Nobody else takes that away; and the timers of one that dies are gone for good. */
	was = READ_ONCE(d->shutdown) & DOMAIN_SHUT_DOWN && !d->dying;
	if (was) {
		/* Those of a state that has not begun are set when it does. */
		if (d->has_run)
			watchdogs_again(d);
		__atomic_store_n(&d->shutdown, 0, __ATOMIC_SEQ_CST);
	}
	spin_unlock(&d->lock);
	if (was)
		wake_all(
			d); /* those of a domain that was shut down again meanwhile stay where they are */
}

void domain_set_shutdown_reason(struct domain *d, u8 reason)
{
	u32 old = READ_ONCE(d->shutdown);

	do {
		if (old & DOMAIN_SHUT_DOWN)
			return;
	} while (!__atomic_compare_exchange_n(&d->shutdown, &old, DOMAIN_HAS_REASON | reason, false,
					      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
	char msg[160];
	va_list ap;

	va_start(ap, fmt);
	pv_vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (READ_ONCE(d->is_shut_down))
		return;
	console_guest_flush(d);
	pr_err("d%u crashed: %s\n", d->id, msg);
	if (arch_current()->domain == d)
		arch_dump_vcpu(arch_current());
	domain_shutdown(d, SHUTDOWN_crash);
}

/* ---- death ---- */

#define KILL_BATCH 128

static void release_mapping(struct domain *d, gfn_t gfn, const struct p2m_entry *e)
{
	(void)d;
	(void)gfn;
	if (e->type == P2M_FOREIGN)
		page_put_written(mfn_to_page(e->mfn));
}

/*
 * Drops the allocation's reference of each page. Those that others still map wait on dead_pages for
 * their last put.
 */
static int release_pages(struct domain *d)
{
	if (extent_drop(d))
		return -ERESTART;
	for (unsigned int n = 0; n < KILL_BATCH; n++) {
		struct page *pg;
		bool alloc;

		spin_lock(&d->page_lock);
		if (list_empty(&d->page_list)) {
			spin_unlock(&d->page_lock);
			return 0;
		}
		pg = list_first(&d->page_list, struct page, list);
		list_del(&pg->list);
		list_add(&pg->list, &d->dead_pages);
		/* Under the lock: with alloc_ref gone, the page may vanish as soon as we let go. */
		alloc = __atomic_exchange_n(&pg->alloc_ref, 0, __ATOMIC_ACQ_REL);
		spin_unlock(&d->page_lock);
		if (alloc)
			page_put(pg);
	}
	return -ERESTART;
}

static int release_vcpus(struct domain *d)
{
	struct vcpu *v;
	unsigned int i;

	/* All of them: one that the guest has just stopped may still be firing. */
	for (i = 0; i < NR_DOMAIN_WATCHDOGS; i++)
		timer_kill(&d->watchdog[i]);
	sched_domain_destroy(d);
	domain_for_each_vcpu(d, v, i) {
		if (i < d->released_vcpus)
			continue;
		timer_kill(&v->poll_timer);
		timer_kill(&v->block_timer);
		timer_kill(&v->singleshot_timer);
		sched_vcpu_destroy(v);
		v->info = NULL;
		if (v->info_page)
			page_put(v->info_page);
		v->info_page = NULL;
		d->released_vcpus = i + 1;
		if (hypercall_preempt_check())
			return -ERESTART;
	}
	return 0;
}

/* Nobody begins another: d->dying is set. See memory_op_begin(). */
static int await_memory_ops(struct domain *d)
{
	while (__atomic_load_n(&d->memory_ops, __ATOMIC_ACQUIRE)) {
		if (hypercall_preempt_check())
			return -ERESTART;
		arch_relax();
	}
	/* One of them may have been a claim. */
	heap_claim(d, 0);
	return 0;
}

#define KILL_STEPS 7

static int kill_step(struct domain *d, unsigned int step)
{
	switch (step) {
	case 0:
		return evtchn_destroy(d);
	case 1:
		return grant_release_mappings(d);
	case 2:
		return release_vcpus(d);
	case 3:
		return await_memory_ops(d);
	case 4:
		return p2m_teardown(d, &d->teardown_gfn, KILL_BATCH, release_mapping);
	case 5:
		return release_pages(d);
	case 6:
		return image_leave(d);
	default:
		return -EINVAL;
	}
}

/* kill_lock held, and the creation's reference is still there. */
static int kill_steps(struct domain *d)
{
	int rc;

	if (d->dying == DOMDYING_ALIVE) {
		spin_lock(&d->lock);
		spin_lock(&d->page_lock);
		WRITE_ONCE(d->dying, DOMDYING_DYING);
		spin_unlock(&d->page_lock);
		spin_unlock(&d->lock);
		domain_pause(d);
		cpupool_domain_dies(d);
		console_guest_flush(d);
	}
	while (d->teardown_step < KILL_STEPS) {
		rc = kill_step(d, d->teardown_step);
		if (rc == -ERESTART && !hypercall_preempt_check())
			continue;
		if (rc)
			return rc;
		d->teardown_step++;
	}
	WRITE_ONCE(d->dying, DOMDYING_DEAD);
	return 0;
}

int domain_kill(struct domain *d)
{
	int rc;

	if (d->is_privileged)
		return -EPERM;
	/* Its steps take long, so nobody waits for them: who comes second tries again, open to interrupts between. */
	if (!spin_trylock(&d->kill_lock))
		return -ERESTART;
	if (d->dying == DOMDYING_DEAD) {
		spin_unlock(&d->kill_lock);
		return 0;
	}
	rc = kill_steps(d);
	spin_unlock(&d->kill_lock);
	if (rc)
		return rc;
	send_guest_global_virq(dom0, VIRQ_DOM_EXC);
	domain_put(d); /* the creation's */
	return 0;
}
