/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A domain's whole state as records, and back (xen/arch-riscv/hvm/save.h, XEN_DOMCTL_gethvmcontext and sethvmcontext). Ports and
 * grants are event_save.c's (event_fifo_save.c's) and grant_save.c's, registers the architecture's.
 *
 * Both go record by record, each under kill_lock: so a domain does not begin to die meanwhile, and of two sets one wins. Of a
 * stream nothing is believed: each record is copied once, then looked at, and only then does anything change.
 *
 * A guest that has suspended itself asks for all anew that the hypervisor knows of it: it has registers and time, and nothing else.
 */
#include <control.h>
#include <domain.h>
#include <event.h>
#include <grant.h>
#include <handlers.h>
#include <hypercall.h>
#include <lib.h>
#include <lock.h>
#include <sched.h>
#include <wallclock.h>

#define RECORD_MAX ARCH_VECTOR_MAX /* the longest there is */
#define END_SIZE sizeof(struct hvm_save_descriptor)
#define CODE_MAPS 0 /* no record: looks for others' pages that it maps */
#define CODE_LAST HVM_SAVE_FIFO_VCPU
/* Longer than any machine has been up, and in ns no more than half of what 64 bits hold. */
#define SECONDS_MAX (1ULL << 32)

_Static_assert(RECORD_MAX >= HVM_GRANTS_SIZE && RECORD_MAX <= PAGE_SIZE << 4, "a record's buffer");
_Static_assert(ARRAY_SIZE(((struct hvm_riscv_domain *)0)->watchdog) == NR_DOMAIN_WATCHDOGS, "ABI");

/* ---- time ---- */

/* It has its state and has not run yet. d->lock held, else it may begin to. */
static bool stands_still(const struct domain *d)
{
	return d->state.given == STATE_WHOLE && !d->has_run;
}

/* What the domain's time CSR reads. As stands_still(). */
static u64 ticks_of(const struct domain *d)
{
	return stands_still(d) ? d->state.ticks : arch_time_ticks() + d->time_delta;
}

/* It has suspended itself, or was given the state of one that had, and has not run yet. Takes d->lock. */
static bool is_suspended(struct domain *d)
{
	u32 shutdown = READ_ONCE(d->shutdown);
	bool rc = shutdown & DOMAIN_SHUT_DOWN &&
		  (shutdown & DOMAIN_SHUTDOWN_REASON) == SHUTDOWN_suspend;

	spin_lock(&d->lock);
	if (stands_still(d))
		rc = d->state.suspended;
	spin_unlock(&d->lock);
	return rc;
}

/* There are such records of one that is. */
static bool is_kept_suspended(u32 code)
{
	return code == HVM_SAVE_DOMAIN || code == HVM_SAVE_VCPU || code == HVM_SAVE_VECTOR;
}

/* When the timer will fire; ~0: it will not, and if it has fired, its function is done. */
static u64 deadline_of(struct timer *t)
{
	u64 expires = READ_ONCE(t->expires);

	if (__atomic_load_n(&t->armed, __ATOMIC_ACQUIRE))
		return expires;
	while (__atomic_load_n(&t->running, __ATOMIC_ACQUIRE))
		arch_relax();
	return ~0ULL;
}

void domain_state_starts(struct domain *d)
{
	struct vcpu *v;
	unsigned int i;
	u64 now = arch_time_ticks();

	/* Of one look at the clock: both are the guest's, and it takes them for the same. */
	d->time_delta = d->state.ticks - now;
	d->time_delta_ns = arch_ticks_to_ns(d->state.ticks) - arch_ticks_to_ns(now);
	wallclock_publish(d);
	for (i = 0; i < NR_DOMAIN_WATCHDOGS; i++) {
		if (d->watchdog_used & BIT(i))
			domain_watchdog_set(d, i, d->state.watchdog[i]);
	}
	domain_for_each_vcpu(d, v, i) {
		vcpu_runstate_restart(v, NULL);
		if (v->is_initialised) {
			if (v->singleshot_at != HVM_NO_TIMER)
				timer_set(&v->singleshot_timer,
					  domain_host_ns(d, v->singleshot_at));
			arch_vcpu_time_starts(v);
		}
		/*
		 * Its memory and the record of its shared_info are not of one moment: an event that came between is pending, and
		 * nobody has been told; of those for a vCPU that is yet to be started neither. (One that had suspended itself has
		 * a new shared_info.)
		 * With FIFO memory and records do not differ: nothing changes in the queues while a domain is paused, and what came
		 * meanwhile was put into them right before this (fifo_move_again()). But a control block and the upcall's byte may
		 * have been copied at different moments while a sender was between the two: so this looks for it there too.
		 */
		spin_lock(&d->evtchn_lock);
		if (v->info && !d->state.suspended)
			evtchn_vcpu_info_changed(v);
		spin_unlock(&d->evtchn_lock);
	}
}

/* ---- get: to r, kill_lock held, no vCPU is on a hart. Size of the record, 0: none, or an error ---- */

/* d->lock held. */
static void get_watchdogs(struct domain *d, struct hvm_riscv_domain *r)
{
	for (unsigned int i = 0; i < NR_DOMAIN_WATCHDOGS; i++) {
		u64 at = deadline_of(&d->watchdog[i]), now = arch_time_ns();

		if (!(d->watchdog_used & BIT(i)))
			continue;
		if (stands_still(d))
			r->watchdog[i] = d->state.watchdog[i];
		else if (at != ~0ULL)
			r->watchdog[i] = at > now ? at - now : 1;
		else /* it fired when the domain was shut down, and is still the guest's to set */
			r->watchdog[i] = HVM_NO_TIMER;
	}
}

static long get_domain(struct domain *d, bool suspended, struct hvm_riscv_domain *r)
{
	*r = (struct hvm_riscv_domain){ .magic = HVM_DOMAIN_MAGIC,
					.abi = PAVISE_ABI_VERSION,
					.max_vcpus = d->max_vcpus,
					.timebase_frequency = machine.timebase_hz,
					.time_offset_seconds = d->time_offset_seconds,
					.callback_irq = d->hvm_params[HVM_PARAM_CALLBACK_IRQ],
					.store_pfn = d->hvm_params[HVM_PARAM_STORE_PFN],
					.store_evtchn = d->hvm_params[HVM_PARAM_STORE_EVTCHN],
					.console_pfn = d->hvm_params[HVM_PARAM_CONSOLE_PFN],
					.console_evtchn = d->hvm_params[HVM_PARAM_CONSOLE_EVTCHN] };
	spin_lock(&d->lock);
	r->ticks = ticks_of(d);
	wallclock_now(d, &r->wall_seconds, &r->wall_nanoseconds);
	if (!suspended)
		get_watchdogs(d, r);
	spin_unlock(&d->lock);
	if (suspended) {
		r->flags = HVM_DOMAIN_SUSPENDED;
		/* It will have others, by the numbers that it is then told. */
		r->store_evtchn = r->console_evtchn = 0;
	} else if (evtchn_has_fifo(d)) {
		r->flags = HVM_DOMAIN_FIFO;
	}
	return sizeof(*r);
}

static long get_vcpu(struct domain *d, struct vcpu *v, bool suspended, struct hvm_riscv_vcpu *r)
{
	struct vcpu_runstate_info info;

	if (!v || !v->is_initialised)
		return 0;
	memset(r, 0, sizeof(*r));
	r->singleshot = HVM_NO_TIMER;
	spin_lock(&d->lock);
	if (!suspended && (stands_still(d) || deadline_of(&v->singleshot_timer) != ~0ULL))
		r->singleshot = v->singleshot_at;
	/* What has passed since it was set is not its own. */
	if (stands_still(d))
		vcpu_runstate_restart(v, NULL);
	vcpu_runstate_get(v, &info);
	if (!suspended)
		memcpy(r->runstate_time, info.time, sizeof(r->runstate_time));
	if (!(v->pause_flags & BIT(VPF_DOWN)))
		r->flags |= HVM_VCPU_UP;
	arch_save_vcpu(v, r);
	spin_unlock(&d->lock);
	return sizeof(*r);
}

/* Is the page that is held still where the guest had it? */
static bool is_there(struct domain *d, gfn_t gfn, const struct page *pg)
{
	struct page *now = p2m_get_page(d, gfn, NULL);

	if (now)
		page_put(now);
	return now == pg;
}

static long get_areas(struct domain *d, struct vcpu *v, struct hvm_riscv_areas *r)
{
	if (!v || (!v->info_page && !v->runstate_page))
		return 0;
	*r = (struct hvm_riscv_areas){ .vcpu_info_gfn = HVM_NO_GFN,
				       .runstate_gfn = HVM_NO_GFN,
				       .runstate_gfn2 = HVM_NO_GFN };
	if (v->info_page) {
		r->vcpu_info_gfn = v->info_gfn;
		r->vcpu_info_offset = (u64)v->info & ~PAGE_MASK;
		if (!is_there(d, v->info_gfn, v->info_page))
			return -ENXIO;
	}
	if (v->runstate_page) {
		r->runstate_gfn = v->runstate_gfn;
		r->runstate_offset = v->runstate_offset;
		if (!is_there(d, v->runstate_gfn, v->runstate_page))
			return -ENXIO;
	}
	if (v->runstate_page2) {
		r->runstate_gfn2 = v->runstate_gfn2;
		if (!is_there(d, v->runstate_gfn2, v->runstate_page2))
			return -ENXIO;
	}
	return sizeof(*r);
}

#define WC_AT offsetof(struct shared_info, wc_version)
#define WC_END (offsetof(struct shared_info, wc_sec_hi) + sizeof(u32))

static long get_shared_info(struct domain *d, char *page)
{
	memcpy(page, d->shared_info, HVM_SHARED_INFO_SIZE);
	memset(page + WC_AT, 0, WC_END - WC_AT);
	return HVM_SHARED_INFO_SIZE;
}

static u32 instances(struct domain *d, u32 code)
{
	switch (code) {
	case CODE_MAPS:
		return grant_map_pieces(d);
	case HVM_SAVE_VCPU:
	case HVM_SAVE_VECTOR:
	case HVM_SAVE_AREAS:
		return d->max_vcpus;
	case HVM_SAVE_PORTS:
		return evtchn_save_instances(d);
	case HVM_SAVE_GRANTS:
		return grant_table_frames(d);
	case HVM_SAVE_LENT: /* not ours */
		return 0;
	case HVM_SAVE_FIFO_WORDS:
		return evtchn_save_fifo_instances(d);
	case HVM_SAVE_FIFO_VCPU:
		return evtchn_has_fifo(d) ? d->max_vcpus : 0;
	default:
		return 1;
	}
}

static long get_record(struct domain *d, bool suspended, u32 code, u32 instance, void *r)
{
	struct vcpu *v = instance < d->max_vcpus ? d->vcpu[instance] : NULL;
	long rc;

	switch (code) {
	case CODE_MAPS:
		return grant_maps_some(d, instance) ? -EMLINK : 0;
	case HVM_SAVE_DOMAIN:
		return get_domain(d, suspended, r);
	case HVM_SAVE_VCPU:
		return get_vcpu(d, v, suspended, r);
	case HVM_SAVE_VECTOR:
		if (!v || !v->is_initialised)
			return 0;
		spin_lock(&d->lock);
		rc = arch_save_vector(v, r);
		spin_unlock(&d->lock);
		return rc;
	case HVM_SAVE_AREAS:
		return get_areas(d, v, r);
	case HVM_SAVE_PORTS:
		rc = evtchn_save(d, instance, r);
		return rc < 0 ? rc : rc * (long)sizeof(struct hvm_riscv_port);
	case HVM_SAVE_SHARED_INFO:
		return get_shared_info(d, r);
	case HVM_SAVE_FIFO_WORDS:
		return evtchn_save_fifo_words(d, instance, r);
	case HVM_SAVE_FIFO_VCPU:
		return evtchn_save_fifo_vcpu(d, instance, r);
	default:
		rc = grant_save(d, instance, r);
		return rc < 0 ? rc : HVM_GRANTS_SIZE;
	}
}

/* The same with its locks. */
static long get_one(struct domain *d, u32 code, u32 instance, void *r)
{
	bool suspended;
	long rc = -EBUSY;

	if (!spin_trylock(&d->kill_lock))
		return -ERESTART;
	/* One that dies is there for a while; of its state nothing is. */
	if (d->dying || d->state.given == STATE_PARTIAL) {
		rc = d->dying ? -EINVAL : -EBUSY;
	} else if (READ_ONCE(d->controller_pauses) || READ_ONCE(d->is_shut_down)) {
		/* It may be let go at any moment, and shut down its other vCPUs are on their way only. */
		domain_pause(d);
		suspended = is_suspended(d);
		rc = suspended && !is_kept_suspended(code) ?
			     0 :
			     get_record(d, suspended, code, instance, r);
		domain_unpause(d);
	}
	spin_unlock(&d->kill_lock);
	return rc;
}

/*
 * ctl_progress of an interrupted operation: a mark, the next record (type 4 bits, instance 16 bits), where it comes in the buffer (28 bits). What a caller
 * makes up costs that caller: it says where in its own buffer, and what of a domain that it may see whole.
 */
#define MARK 0x5a7eULL
#define MARK_SHIFT 48

struct cursor {
	u32 code, instance, at;
};

static void cursor_store(const struct cursor *c)
{
	ctl_progress[arch_hart()] = MARK << MARK_SHIFT | (u64)c->code << 44 |
				    (u64)c->instance << 28 | c->at;
}

static void cursor_load(struct cursor *c)
{
	u64 p = ctl_progress[arch_hart()];

	*c = (struct cursor){ 0 };
	if (p >> MARK_SHIFT == MARK)
		*c = (struct cursor){ p >> 44 & 15, p >> 28 & 0xffff, p & (BIT(28) - 1) };
}

static long put_record(const struct xen_domctl_hvmcontext *a, const struct cursor *c,
		       const struct hvm_save_descriptor *desc, const void *r)
{
	u64 to = a->buffer.q + c->at;

	if (!a->buffer.q)
		return 0;
	if (c->at > a->size || a->size - c->at < sizeof(*desc) + desc->length)
		return -ENOSPC;
	if (copy_to_guest(to, desc, sizeof(*desc)) ||
	    (desc->length && copy_to_guest(to + sizeof(*desc), r, desc->length)))
		return -EFAULT;
	return 0;
}

static long get_records(struct domain *d, const struct xen_domctl_hvmcontext *a, struct cursor *c,
			void *r)
{
	for (; c->code <= CODE_LAST; c->code++, c->instance = 0) {
		for (; c->instance < instances(d, c->code); c->instance++) {
			struct hvm_save_descriptor desc = { c->code, c->instance, 0 };
			long rc = get_one(d, c->code, c->instance, r);

			if (rc < 0)
				return rc;
			desc.length = rc;
			rc = desc.length ? put_record(a, c, &desc, r) : 0;
			if (rc)
				return rc;
			if (desc.length)
				c->at += sizeof(desc) + desc.length;
			if (hypercall_preempt_check()) {
				c->instance++;
				return -ERESTART;
			}
		}
	}
	return 0;
}

long domctl_get_state(struct domain *d, struct xen_domctl_hvmcontext *a)
{
	const struct hvm_save_descriptor end = { 0, 0, 0 };
	void *r = xzalloc(RECORD_MAX);
	struct cursor c;
	long rc;

	if (!r)
		return -ENOMEM;
	cursor_load(&c);
	rc = get_records(d, a, &c, r);
	xfree(r);
	if (rc == -ERESTART)
		cursor_store(&c);
	if (!rc)
		rc = put_record(a, &c, &end, NULL);
	if (!rc)
		a->size = c.at + END_SIZE;
	return rc;
}

/* ---- set: kill_lock held, the domain has STATE_PARTIAL (but for the first record), and so does not run ---- */

/* The first one: it says whether the domain is to be had at all. */
static long set_domain(struct domain *d, const struct hvm_riscv_domain *r, u32 size)
{
	bool suspended = r->flags & HVM_DOMAIN_SUSPENDED, fifo = r->flags & HVM_DOMAIN_FIFO;
	long rc = 0;

	if (size != sizeof(*r) || r->magic != HVM_DOMAIN_MAGIC || r->abi != PAVISE_ABI_VERSION ||
	    r->max_vcpus != d->max_vcpus || !r->timebase_frequency ||
	    r->flags & ~(HVM_DOMAIN_SUSPENDED | HVM_DOMAIN_FIFO) || (suspended && fifo) ||
	    r->ticks / r->timebase_frequency >= SECONDS_MAX)
		return -EINVAL;
	if (r->timebase_frequency != machine.timebase_hz)
		return -EOPNOTSUPP;
	spin_lock(&d->lock);
	if (!d->controller_pauses || d->has_run || d->state.given != STATE_NONE)
		rc = -EBUSY;
	else
		WRITE_ONCE(d->state.given, STATE_PARTIAL);
	spin_unlock(&d->lock);
	/* Before the ports: there may be more of them then, and they may be pending otherwise. */
	if (!rc && fifo) {
		rc = evtchn_restore_fifo(d);
		if (rc)
			WRITE_ONCE(d->state.given, STATE_NONE);
	}
	if (rc)
		return rc;
	d->state.ticks = r->ticks;
	d->state.suspended = suspended;
	d->time_offset_seconds = r->time_offset_seconds;
	for (unsigned int i = 0; i < NR_DOMAIN_WATCHDOGS; i++) {
		d->state.watchdog[i] = r->watchdog[i];
		if (r->watchdog[i])
			d->watchdog_used |= BIT(i);
	}
	d->hvm_params[HVM_PARAM_CALLBACK_IRQ] = r->callback_irq;
	/* The control domain gives it its rings and ports as it does to a new one, before this or after it. */
	if (d->state.suspended)
		return 0;
	d->hvm_params[HVM_PARAM_STORE_PFN] = r->store_pfn;
	d->hvm_params[HVM_PARAM_STORE_EVTCHN] = r->store_evtchn;
	d->hvm_params[HVM_PARAM_CONSOLE_PFN] = r->console_pfn;
	d->hvm_params[HVM_PARAM_CONSOLE_EVTCHN] = r->console_evtchn;
	return 0;
}

static long set_vcpu(struct domain *d, struct vcpu *v, const struct hvm_riscv_vcpu *r, u32 size)
{
	long rc;

	if (!v || size != sizeof(*r) || r->flags & ~(HVM_VCPU_UP | HVM_VCPU_USER))
		return -EINVAL;
	spin_lock(&d->lock);
	rc = arch_restore_vcpu(v, r);
	if (!rc) {
		if (r->flags & HVM_VCPU_UP)
			clear_bit(VPF_DOWN, &v->pause_flags);
		else
			set_bit(VPF_DOWN, &v->pause_flags);
		v->singleshot_at = r->singleshot;
	}
	spin_unlock(&d->lock);
	if (!rc)
		vcpu_runstate_restart(v, r->runstate_time);
	return rc;
}

static long set_vector(struct domain *d, struct vcpu *v, const struct hvm_riscv_vector *r, u32 size)
{
	long rc;

	if (!v || !v->is_initialised || size < sizeof(*r))
		return -EINVAL;
	spin_lock(&d->lock);
	rc = arch_restore_vector(v, r, size);
	spin_unlock(&d->lock);
	return rc;
}

static long set_vcpu_info(struct domain *d, struct vcpu *v, gfn_t gfn, u32 offset)
{
	struct page *pg = page_get_area(d, gfn, offset, sizeof(struct vcpu_info));
	long rc = pg ? 0 : -EINVAL;

	if (rc)
		return rc;
	spin_lock(&d->evtchn_lock);
	if (v->info_page) {
		rc = -EINVAL;
	} else {
		v->info_page = pg;
		v->info_gfn = gfn;
		__atomic_store_n(&v->info, (void *)((char *)page_to_virt(pg) + offset),
				 __ATOMIC_SEQ_CST);
	}
	spin_unlock(&d->evtchn_lock);
	if (rc)
		page_put(pg);
	return rc;
}

static long set_runstate(struct vcpu *v, const struct hvm_riscv_areas *r)
{
	u64 size = sizeof(struct vcpu_runstate_info), offset = r->runstate_offset;

	if (offset >= PAGE_SIZE || (offset + size > PAGE_SIZE) != (r->runstate_gfn2 != HVM_NO_GFN))
		return -EINVAL;
	return vcpu_runstate_register(v, r->runstate_gfn, r->runstate_gfn2, offset);
}

static long set_areas(struct domain *d, struct vcpu *v, const struct hvm_riscv_areas *r, u32 size)
{
	long rc = 0;

	if (!v || size != sizeof(*r))
		return -EINVAL;
	if (r->vcpu_info_gfn == HVM_NO_GFN ? r->vcpu_info_offset : 0)
		return -EINVAL;
	if (r->runstate_gfn == HVM_NO_GFN && (r->runstate_offset || r->runstate_gfn2 != HVM_NO_GFN))
		return -EINVAL;
	if (r->vcpu_info_gfn != HVM_NO_GFN)
		rc = set_vcpu_info(d, v, r->vcpu_info_gfn, r->vcpu_info_offset);
	if (!rc && r->runstate_gfn != HVM_NO_GFN)
		rc = set_runstate(v, r);
	return rc;
}

static long set_shared_info(struct domain *d, const char *page, u32 size)
{
	char *to = (char *)d->shared_info;

	if (size != HVM_SHARED_INFO_SIZE)
		return -EINVAL;
	memcpy(to, page, WC_AT);
	memcpy(to + WC_END, page + WC_END, HVM_SHARED_INFO_SIZE - WC_END);
	return 0;
}

static long set_ports(struct domain *d, u32 instance, const struct hvm_riscv_port *list, u32 size)
{
	if (!size || size % sizeof(*list) || size > HVM_PORTS_MAX * sizeof(*list))
		return -EINVAL;
	return evtchn_restore(d, instance, list, size / sizeof(*list));
}

static long set_fifo_words(struct domain *d, u32 instance, const struct hvm_riscv_fifo_words *r,
			   u32 size)
{
	u32 head = sizeof(r->left);

	if (size < head || (size - head) % sizeof(r->gfn[0]))
		return -EINVAL;
	return evtchn_restore_fifo_words(d, instance, r, (size - head) / sizeof(r->gfn[0]));
}

static long set_end(struct domain *d)
{
	spin_lock(&d->lock);
	WRITE_ONCE(d->state.given, STATE_WHOLE);
	spin_unlock(&d->lock);
	return 0;
}

static long set_record(struct domain *d, const struct hvm_save_descriptor *desc, const void *r)
{
	u32 i = desc->instance, size = desc->length;
	struct vcpu *v = i < d->max_vcpus ? d->vcpu[i] : NULL;

	if (d->state.suspended && !is_kept_suspended(desc->typecode))
		return -EINVAL;
	switch (desc->typecode) {
	case HVM_SAVE_VCPU:
		return set_vcpu(d, v, r, size);
	case HVM_SAVE_VECTOR:
		return set_vector(d, v, r, size);
	case HVM_SAVE_AREAS:
		return set_areas(d, v, r, size);
	case HVM_SAVE_PORTS:
		return set_ports(d, i, r, size);
	case HVM_SAVE_SHARED_INFO:
		return i ? -EINVAL : set_shared_info(d, r, size);
	case HVM_SAVE_GRANTS:
		return size == HVM_GRANTS_SIZE ? grant_restore(d, i, r) : -EINVAL;
	case HVM_SAVE_FIFO_WORDS:
		return set_fifo_words(d, i, r, size);
	case HVM_SAVE_FIFO_VCPU:
		return size == sizeof(struct hvm_riscv_fifo_vcpu) ?
			       evtchn_restore_fifo_vcpu(d, i, r) :
			       -EINVAL;
	default:
		return -EINVAL;
	}
}

/* A record at this place in the buffer; last: nothing is behind it. */
static long set_step(struct domain *d, u32 at, const struct hvm_save_descriptor *desc,
		     const void *r, bool last)
{
	u32 number = (u32)desc->typecode << 16 | desc->instance;
	bool end = !number && !desc->length;
	long rc;

	if (d->dying)
		return -EINVAL;
	if (at && (d->state.given != STATE_PARTIAL || d->state.at != at))
		return -EBUSY;
	if (!at) {
		rc = number == HVM_SAVE_DOMAIN << 16 && !last ? set_domain(d, r, desc->length) :
								-EINVAL;
	} else if (end != last || (!end && number <= d->state.last)) {
		rc = -EINVAL;
	} else {
		rc = end ? set_end(d) : set_record(d, desc, r);
	}
	if (!rc) {
		d->state.at = at + sizeof(*desc) + desc->length;
		d->state.last = number;
	}
	return rc;
}

static long set_one(struct domain *d, const struct xen_domctl_hvmcontext *a, u32 *at, void *r)
{
	struct hvm_save_descriptor desc;
	u64 from = a->buffer.q + *at;
	bool last;
	long rc;

	if (*at > a->size || a->size - *at < sizeof(desc))
		return -EINVAL;
	if (copy_from_guest(&desc, from, sizeof(desc)))
		return -EFAULT;
	if (desc.length > RECORD_MAX || desc.length > a->size - *at - sizeof(desc))
		return -EINVAL;
	if (desc.length && copy_from_guest(r, from + sizeof(desc), desc.length))
		return -EFAULT;
	last = a->size - *at - sizeof(desc) == desc.length;
	if (!spin_trylock(&d->kill_lock))
		return -ERESTART;
	rc = set_step(d, *at, &desc, r, last);
	spin_unlock(&d->kill_lock);
	if (!rc)
		*at += sizeof(desc) + desc.length;
	return rc;
}

long domctl_set_state(struct domain *d, struct xen_domctl_hvmcontext *a)
{
	void *r = xzalloc(RECORD_MAX);
	struct cursor c;
	long rc;

	if (!r)
		return -ENOMEM;
	cursor_load(&c);
	if (a->size >= BIT(28))
		rc = -EINVAL;
	else
		do
			rc = set_one(d, a, &c.at, r);
		while (!rc && c.at < a->size && !hypercall_preempt_check());
	xfree(r);
	if (!rc && c.at < a->size)
		rc = -ERESTART;
	if (rc == -ERESTART)
		cursor_store(&c);
	return rc;
}
