/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler: one queue of runnable vCPUs ordered by virtual run time, shared by all harts.
 * Every hart takes the vCPU that has had least, so none idles while one waits. Also runstates.
 */
#include <arch-api.h>
#include <console.h>
#include <event.h>
#include <lib.h>
#include <sched.h>

#define SLICE_NS (CONFIG_SCHED_TIMESLICE_MS * 1000000ULL)
/* A woken vCPU runs at once if it has had this much less than the running one. */
#define WAKE_GRAN_NS 1000000ULL
/*
 * How far behind the others a long sleeper may start, so that sleep is not saved up as a right to a
 * hart.
 */
#define SLEEPER_CREDIT_NS (SLICE_NS / 2)
/*
 * How far behind any other that waits for the same hart one may be that runs there. Where all may run everywhere nobody
 * comes near it; pins let run times drift apart by hours, and whoever has had more would wait as long.
 */
#define MOST_BEHIND_NS (4 * SLICE_NS)

struct sched_hart {
	struct vcpu *curr, *idle;
	struct timer slice;
	bool sliced; /* the timer is armed: curr's turn ends */
};

static struct spinlock sched_lock = SPINLOCK_INIT(LOCK_SCHED);
static struct list_head queue = LIST_HEAD_INIT(queue);
static struct sched_hart sched_harts[CONFIG_NR_CPUS];
static u64 harts_online; /* mask */
static unsigned int harts_end; /* none beyond */
static u64 min_vruntime;

static bool is_idle(const struct vcpu *v)
{
	return v->domain->is_idle;
}

static bool runnable(const struct vcpu *v)
{
	const struct domain *d = v->domain;

	return !READ_ONCE(v->pause_flags) && !READ_ONCE(v->pause_count) &&
	       !READ_ONCE(d->pause_count) && !READ_ONCE(d->is_shut_down) && !READ_ONCE(d->dying);
}

static bool allowed(const struct vcpu *v, unsigned int hart)
{
	return !v->pinned || v->pinned & BIT(hart);
}

static void slice_end(void *unused)
{
	(void)unused;
	arch_kick_hart(arch_hart());
}

void sched_init_hart(unsigned int hart, struct vcpu *idle)
{
	struct sched_hart *s = &sched_harts[hart];

	timer_init(&s->slice, slice_end, NULL);
	spin_lock(&sched_lock);
	s->idle = s->curr = idle;
	idle->hart = hart;
	idle->running = true;
	idle->runstate = RUNSTATE_running;
	idle->runstate_entry = arch_time_ns();
	harts_online |= BIT(hart);
	harts_end = max(harts_end, hart + 1);
	spin_unlock(&sched_lock);
}

void sched_vcpu_init(struct vcpu *v)
{
	list_init(&v->run_list);
	v->runstate = RUNSTATE_offline;
	v->runstate_entry = arch_time_ns();
}

/* ---- runstates (sched_lock held) ---- */

/* A field of the area. All are aligned as the area is, so that none crosses a page itself. */
static void *runstate_field(struct vcpu *v, size_t field)
{
	size_t at = v->runstate_offset + field;

	if (at < PAGE_SIZE)
		return (char *)page_to_virt(v->runstate_page) + at;
	return (char *)page_to_virt(v->runstate_page2) + (at - PAGE_SIZE);
}

#define RUNSTATE_FIELD(v, name) runstate_field(v, offsetof(struct vcpu_runstate_info, name))

static void runstate_publish(struct vcpu *v)
{
	u64 *entry;

	if (!v->runstate_page)
		return;
	entry = RUNSTATE_FIELD(v, state_entry_time);
	/* Readers retry while the flag is set (xen/vcpu.h, XEN_RUNSTATE_UPDATE). */
	WRITE_ONCE(*entry, v->runstate_entry | XEN_RUNSTATE_UPDATE);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*(int *)RUNSTATE_FIELD(v, state) = v->runstate;
	for (unsigned int i = 0; i < 4; i++)
		*(u64 *)RUNSTATE_FIELD(v, time[i]) = v->runstate_time[i];
	__atomic_thread_fence(__ATOMIC_RELEASE);
	WRITE_ONCE(*entry, v->runstate_entry);
}

static void runstate_set(struct vcpu *v, int state, u64 now)
{
	if (v->runstate == state)
		return;
	v->runstate_time[v->runstate] += now - v->runstate_entry;
	v->runstate_entry = now;
	v->runstate = state;
	runstate_publish(v);
}

/* Of one that is on no hart and cannot run: it waits for something, or others keep it from running. */
static int off_state(const struct vcpu *v)
{
	u64 flags = READ_ONCE(v->pause_flags);

	return flags && !(flags & BIT(VPF_DOWN)) ? RUNSTATE_blocked : RUNSTATE_offline;
}

void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *info)
{
	u64 now;

	spin_lock(&sched_lock);
	now = arch_time_ns();
	info->state = v->runstate;
	info->state_entry_time = v->runstate_entry;
	for (unsigned int i = 0; i < 4; i++)
		info->time[i] = v->runstate_time[i];
	if (now > v->runstate_entry)
		info->time[v->runstate] += now - v->runstate_entry;
	spin_unlock(&sched_lock);
}

void vcpu_runstate_register(struct vcpu *v, struct page *pg, struct page *pg2, unsigned int offset)
{
	struct page *old, *old2;

	spin_lock(&sched_lock);
	old = v->runstate_page;
	old2 = v->runstate_page2;
	v->runstate_page = pg;
	v->runstate_page2 = pg2;
	v->runstate_offset = offset;
	runstate_publish(v);
	spin_unlock(&sched_lock);
	if (old)
		page_put(old);
	if (old2)
		page_put(old2);
}

u64 vcpu_cpu_time(struct vcpu *v)
{
	struct vcpu_runstate_info info;

	vcpu_runstate_get(v, &info);
	return info.time[RUNSTATE_running];
}

u64 sched_idle_time(unsigned int hart)
{
	return hart < CONFIG_NR_CPUS && sched_harts[hart].idle ?
		       vcpu_cpu_time(sched_harts[hart].idle) :
		       0;
}

/* ---- queue (sched_lock held) ---- */

/* The queue's order. */
static u64 place(const struct vcpu *v)
{
	return v->vruntime + v->yielded;
}

static void enqueue(struct vcpu *v)
{
	struct vcpu *pos;

	list_for_each(pos, &queue, run_list) {
		if (place(pos) > place(v))
			break;
	}
	list_add_tail(&v->run_list, &pos->run_list);
	v->on_queue = true;
}

static void dequeue(struct vcpu *v)
{
	list_del(&v->run_list);
	v->on_queue = false;
}

static struct vcpu *first_for(unsigned int hart)
{
	struct vcpu *v;

	list_for_each(v, &queue, run_list) {
		if (allowed(v, hart))
			return v;
	}
	return NULL;
}

static struct vcpu *last_for(unsigned int hart)
{
	struct list_head *pos;

	for (pos = queue.prev; pos != &queue; pos = pos->prev) {
		struct vcpu *v = list_entry(pos, struct vcpu, run_list);

		if (allowed(v, hart))
			return v;
	}
	return NULL;
}

/*
 * What a hart's vCPU has had by now. It is charged only when its hart schedules, which one that is
 * alone there may not do for hours.
 */
static u64 vruntime_now(const struct sched_hart *s, u64 now)
{
	const struct vcpu *curr = s->curr;

	return curr->vruntime + (now > curr->slice_start ? now - curr->slice_start : 0);
}

/* Brings min_vruntime up to the least of those that run or wait. */
static void update_min_vruntime(u64 now)
{
	u64 least = ~0ULL;

	for (unsigned int h = 0; h < harts_end; h++) {
		const struct sched_hart *s = &sched_harts[h];

		if (harts_online & BIT(h) && !is_idle(s->curr))
			least = min(least, vruntime_now(s, now));
	}
	if (!list_empty(&queue))
		least = min(least, place(list_first(&queue, struct vcpu, run_list)));
	if (least != ~0ULL)
		min_vruntime = max(min_vruntime, least);
}

/* What harts do that have nothing better to do than to look at the queue. */
struct free_harts {
	u64 idle; /* mask */
	u64 alone; /* mask: their vCPU has no slice that will end */
};

static struct free_harts free_harts(void)
{
	struct free_harts f = { 0, 0 };

	for (unsigned int h = 0; h < harts_end; h++) {
		const struct sched_hart *s = &sched_harts[h];

		if (!(harts_online & BIT(h)))
			continue;
		if (is_idle(s->curr))
			f.idle |= BIT(h);
		else if (!s->sliced)
			f.alone |= BIT(h);
	}
	return f;
}

/*
 * The harts (mask) that should look at the queue because v waits there, taken out of f: an idle one, the last one first.
 * Else each one whose vCPU was alone so far, that it gets a slice from now on.
 */
static u64 harts_for(const struct vcpu *v, struct free_harts *f)
{
	u64 may = v->pinned ? v->pinned : ~0ULL, harts = f->idle & may;

	if (harts) {
		harts = harts & BIT(v->hart) ? BIT(v->hart) : harts & -harts;
		f->idle &= ~harts;
	} else {
		harts = f->alone & may;
		f->alone &= ~harts;
	}
	return harts;
}

/*
 * The same for all that wait. Not for the first only: that one may be pinned, and the hart that idles, or whose vCPU is
 * alone, be free for another one.
 */
static u64 harts_for_all(void)
{
	struct free_harts f = free_harts();
	struct vcpu *v;
	u64 harts = 0;

	list_for_each(v, &queue, run_list) {
		if (!(f.idle | f.alone))
			break;
		harts |= harts_for(v, &f);
	}
	return harts;
}

/* The hart (mask) whose vCPU has had most, if v, which has just come, has had so much less that it need not wait for a slice's end. */
static u64 hart_ahead(const struct vcpu *v, u64 now)
{
	u64 most = v->vruntime + WAKE_GRAN_NS, ahead = 0;

	for (unsigned int h = 0; h < harts_end; h++) {
		const struct sched_hart *s = &sched_harts[h];
		u64 had;

		if (!(harts_online & BIT(h)) || !allowed(v, h))
			continue;
		had = vruntime_now(s, now);
		if (had > most) {
			most = had;
			ahead = BIT(h);
		}
	}
	return ahead;
}

static void kick_harts(u64 harts)
{
	for (unsigned int h = 0; harts; h++, harts >>= 1) {
		if (harts & 1)
			arch_kick_hart(h);
	}
}

void vcpu_wake(struct vcpu *v)
{
	u64 kick = 0;

	spin_lock(&sched_lock);
	if (!v->on_queue && !v->running && !is_idle(v)) {
		bool runs = runnable(v); /* as it is now: it may be paused in the next moment */
		u64 now = arch_time_ns();

		runstate_set(v, runs ? RUNSTATE_runnable : off_state(v), now);
		if (runs) {
			struct free_harts f = free_harts();
			u64 floor, idle = f.idle;

			update_min_vruntime(now);
			floor = min_vruntime > SLEEPER_CREDIT_NS ?
					min_vruntime - SLEEPER_CREDIT_NS :
					0;
			v->vruntime = max(v->vruntime, floor);
			v->yielded = 0;
			enqueue(v);
			kick = harts_for(v, &f);
			if (!(kick & idle))
				kick |= hart_ahead(v, now);
		}
	}
	spin_unlock(&sched_lock);
	kick_harts(kick);
}

void vcpu_unblock(struct vcpu *v)
{
	u64 flags = BIT(VPF_BLOCKED) | BIT(VPF_POLL);

	if (!(READ_ONCE(v->pause_flags) & flags))
		return;
	flags &= __atomic_fetch_and(&v->pause_flags, ~flags, __ATOMIC_SEQ_CST);
	/* Else it would end a later block too early. */
	if (flags & BIT(VPF_POLL))
		timer_stop(&v->poll_timer);
	vcpu_wake(v);
}

void vcpu_sleep_nosync(struct vcpu *v)
{
	unsigned int hart = ~0U;

	spin_lock(&sched_lock);
	if (!runnable(v)) {
		if (v->on_queue)
			dequeue(v);
		if (v->running)
			hart = v->hart;
		else
			runstate_set(v, off_state(v), arch_time_ns());
	}
	spin_unlock(&sched_lock);
	if (hart != ~0U)
		arch_kick_hart(hart);
}

void vcpu_sleep_sync(struct vcpu *v)
{
	vcpu_sleep_nosync(v);
	while (!runnable(v) && __atomic_load_n(&v->running, __ATOMIC_ACQUIRE))
		arch_relax();
}

void vcpu_pin(struct vcpu *v, u64 harts)
{
	u64 kick = 0;

	spin_lock(&sched_lock);
	v->pinned = harts;
	if (v->running && !allowed(v, v->hart))
		kick = BIT(v->hart); /* Not waited for: two could wait for each other. */
	else if (v->on_queue)
		kick = harts_for_all();
	spin_unlock(&sched_lock);
	kick_harts(kick);
}

void sched_vcpu_destroy(struct vcpu *v)
{
	spin_lock(&sched_lock);
	if (v->on_queue)
		dequeue(v);
	spin_unlock(&sched_lock);
	vcpu_runstate_register(v, NULL, NULL, 0);
}

/* ---- what guests ask for ---- */

bool vcpu_may_wait(struct vcpu *v)
{
	u64 deadline;

	/* After the flag: whoever makes something pending from here on sees it and unblocks us. */
	if (vcpu_event_pending(v) || arch_vcpu_has_interrupt(v))
		return false;
	/* One left over from an earlier wait would only wake us too early. */
	deadline = arch_vcpu_timer_deadline(v);
	if (deadline != ~0ULL)
		timer_set(&v->block_timer, deadline);
	else
		timer_stop(&v->block_timer);
	return true;
}

void vcpu_block(void)
{
	struct vcpu *v = arch_current();

	set_bit(VPF_BLOCKED, &v->pause_flags);
	if (vcpu_may_wait(v))
		arch_kick_hart(arch_hart());
	else
		clear_bit(VPF_BLOCKED, &v->pause_flags);
}

static void charge(struct vcpu *v, u64 now)
{
	if (is_idle(v))
		return;
	v->vruntime += now > v->slice_start ? now - v->slice_start : 0;
	v->slice_start = now;
}

/*
 * Whoever waits for this hart goes first, once. The time that the vCPU has had stays what it is, so that one that yields is
 * neither charged for what it gives away nor ahead of others for it: it only stands behind all that wait now, by a slice at
 * most, until it runs again. What it lies further back than a sleeper may is forgone: it has not wanted that time.
 */
void vcpu_yield(void)
{
	struct vcpu *v = arch_current(), *next;
	u64 last;

	/* Nobody to make room for: a guest that yields until something happens should not keep the lock busy. */
	if (list_empty(&queue))
		return;
	spin_lock(&sched_lock);
	next = first_for(arch_hart());
	if (next) {
		charge(v, arch_time_ns());
		if (next->vruntime > SLEEPER_CREDIT_NS)
			v->vruntime = max(v->vruntime, next->vruntime - SLEEPER_CREDIT_NS);
		last = place(list_entry(queue.prev, struct vcpu, run_list));
		v->yielded = last >= v->vruntime ? min(last + 1 - v->vruntime, SLICE_NS) : 1;
	}
	spin_unlock(&sched_lock);
	if (next)
		arch_kick_hart(arch_hart());
}

/* ---- the switch ---- */

/* The one that runs next on this hart; it is on no queue afterwards. */
static struct vcpu *pick(struct sched_hart *s, unsigned int hart, struct vcpu *prev)
{
	struct vcpu *next = first_for(hart), *last;
	bool stay = !is_idle(prev) && runnable(prev) && allowed(prev, hart);

	if (next && prev->yielded)
		stay = false;
	if (stay && (!next || prev->vruntime <= place(next) + WAKE_GRAN_NS))
		next = prev;
	else if (next)
		dequeue(next);
	else
		return s->idle;
	next->yielded = 0;
	last = last_for(hart);
	if (last && last->vruntime > MOST_BEHIND_NS)
		next->vruntime = max(next->vruntime, last->vruntime - MOST_BEHIND_NS);
	return next;
}

void schedule(void)
{
	unsigned int hart = arch_hart();
	struct sched_hart *s = &sched_harts[hart];
	struct vcpu *prev = s->curr, *next;
	u64 now, kick = 0;
	bool waits;

	spin_lock(&sched_lock);
	now = arch_time_ns();
	charge(prev, now);
	update_min_vruntime(now);
	next = pick(s, hart, prev);
	if (next != prev) {
		s->curr = next;
		runstate_set(next, RUNSTATE_running, now);
		next->slice_start = now;
		next->hart = hart;
		next->running = true;
		/* Whoever makes something pending for it, or unmaps from it, looks at running afterwards. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		arch_context_switch(prev, next);
		/* Its state is in its struct now; before, no other hart may take it. */
		__atomic_store_n(&prev->running, false, __ATOMIC_RELEASE);
		/* Looked at once: whoever wakes it from here on finds it off its hart. */
		waits = !is_idle(prev) && runnable(prev);
		if (waits)
			enqueue(prev);
		runstate_set(prev, waits || is_idle(prev) ? RUNSTATE_runnable : off_state(prev),
			     now);
	}
	/* Alone, a vCPU needs no slices; who comes to the queue kicks its hart, which then arms one here. */
	s->sliced = !is_idle(next) && !list_empty(&queue);
	if (s->sliced)
		timer_set(&s->slice, now + SLICE_NS);
	else
		timer_stop(&s->slice);
	/*
	 * Those who still wait may be some that other harts can take: prev, or one that woke together with
	 * next and whose waker kicked this hart for both. It may even be this one: prev may have been
	 * woken between pick() and the end of its switch, when it was still "running".
	 */
	if (!list_empty(&queue))
		kick = harts_for_all();
	spin_unlock(&sched_lock);
	kick_harts(kick);
}

void sched_dump(void)
{
	struct vcpu *v;

	spin_lock(&sched_lock);
	for (unsigned int h = 0; h < harts_end; h++) {
		if (!(harts_online & BIT(h)))
			continue;
		v = sched_harts[h].curr;
		if (is_idle(v))
			printk("hart %u: idle\n", h);
		else
			printk("hart %u: d%uv%u\n", h, v->domain->id, v->id);
	}
	list_for_each(v, &queue, run_list)
		printk("waiting: d%uv%u vruntime %lu\n", v->domain->id, v->id, v->vruntime);
	spin_unlock(&sched_lock);
}
