/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XEN_DOMCTL_shadow_op: the control domain learns which pages of a domain's RAM have been written, for whoever copies it while it runs.
 * docs/architecture.md, "The dirty log", says where the log is, and docs/abi.md what callers are told.
 *
 * ENABLE_LOGDIRTY  large mappings become small ones, nothing counts as written; one fence
 * CLEAN, PEEK      frames from 0 on, as bits; CLEAN: they count as not written any more, and one fence at the end
 * OFF              large mappings again
 *
 * Each goes in steps of STEP_FRAMES at most, one operation at a time for a domain: struct domain has how far it is, and its number, which the
 * continuation hands back in ctl_progress. Another caller gets -EBUSY. But OFF ends whatever is under way, so one that
 * nobody goes on with is in nobody's way for ever, and loses no page silently: what it has cleared was part of a log that has ended. Of two
 * that want OFF, either does the next step.
 */
#include <domain.h>
#include <handlers.h>
#include <hypercall.h>
#include <lib.h>
#include <memory.h>

#define FLAGS (XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL | PAVISE_SHADOW_LOGDIRTY_MAYBE)
#define STEP_FRAMES 1024UL
#define STEP_WORDS (STEP_FRAMES / 64)
#define STEP_MERGES 4 /* tables that become large mappings behind one fence */

/* ctl_progress: a mark, and the operation's number */
#define MARK 0x6c67ULL
#define MARK_SHIFT 48

/* The last step's bits. */
struct step {
	u64 written[STEP_WORDS], maybe[STEP_WORDS];
};

static u64 frames_of(struct domain *d, u64 wanted)
{
	return min(wanted, p2m_max_gfn(d) + 1);
}

/*
 * Looks at n frames from d->log.at on, at most STEP_FRAMES and aligned to that, but stops between two pieces when somebody else wants the hart. Returns how many it
 * was; more than n: so far nothing is mapped behind them.
 */
static u64 look(struct domain *d, u64 n, unsigned int how, struct step *s)
{
	struct log_bits bits;
	u64 done = 0;

	memset(s, 0, sizeof(*s));
	do {
		u64 at = done / 64;

		done += p2m_log(d, d->log.at + done, min(n - done, LOG_FRAMES), how, &bits);
		for (unsigned int i = 0; i < LOG_WORDS; i++) {
			s->written[at + i] = bits.written[i];
			s->maybe[at + i] = bits.maybe[i];
		}
	} while (done < n && !hypercall_preempt_check());
	return done;
}

/* The caller has not been told of them: they are written still. */
static void tell_again(struct domain *d, u64 n, struct step *s)
{
	for (u64 i = 0; i < STEP_WORDS; i++)
		s->written[i] |= s->maybe[i];
	for (u64 i = 0; i < n; i += LOG_FRAMES)
		p2m_log_again(d, d->log.at + i, min(n - i, LOG_FRAMES), &s->written[i / 64]);
}

/* The bits of n frames go to the caller's bitmap, or bitmaps. */
static bool put(struct domain *d, const struct xen_domctl_shadow_op *a, u64 n, const struct step *s)
{
	u64 to = a->dirty_bitmap.q + d->log.at / 8;

	if (copy_to_guest(to, s->written, DIV_ROUND_UP(n, 8)))
		return false;
	return !(a->mode & PAVISE_SHADOW_LOGDIRTY_MAYBE) ||
	       !copy_to_guest(to + PAVISE_SHADOW_MAYBE(a->pages), s->maybe, DIV_ROUND_UP(n, 8));
}

static long tell(struct domain *d, struct xen_domctl_shadow_op *a)
{
	bool clean = a->op == XEN_DOMCTL_SHADOW_OP_CLEAN;
	unsigned int how = clean ? LOG_CLEAR | LOG_SPLIT : 0;
	struct step s;
	u64 n, looked;

	if (a->mode & XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL)
		how |= LOG_HELD;
	n = min(frames_of(d, a->pages) - d->log.at, STEP_FRAMES);
	looked = look(d, n, how, &s);
	n = min(n, looked);
	for (u64 i = 0; i < STEP_WORDS; i++) {
		if (!(a->mode & PAVISE_SHADOW_LOGDIRTY_MAYBE))
			s.written[i] |= s.maybe[i];
		for (u64 left = s.written[i]; left; left &= left - 1)
			d->log.told++;
	}
	if (a->dirty_bitmap.q && !put(d, a, n, &s)) {
		if (clean)
			tell_again(d, n, &s);
		return -EFAULT;
	}
	d->log.at += a->dirty_bitmap.q ? n : looked;
	return 0;
}

static void enable(struct domain *d)
{
	u64 n = min(p2m_max_gfn(d) + 1 - d->log.at, STEP_FRAMES);
	struct step s;

	d->log.at += look(d, n, LOG_CLEAR | LOG_SPLIT, &s);
}

static void off(struct domain *d)
{
	for (unsigned int i = 0; i < STEP_MERGES && d->log.at <= p2m_max_gfn(d); i++)
		d->log.at += p2m_log_off(d, d->log.at);
	p2m_log_off_end(d);
}

/* One step. *more: there is another. */
static long step(struct domain *d, struct xen_domctl_shadow_op *a, bool *more)
{
	u64 end = p2m_max_gfn(d) + 1;
	long rc = 0;

	switch (a->op) {
	case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
		enable(d);
		break;
	case XEN_DOMCTL_SHADOW_OP_OFF:
		off(d);
		break;
	default:
		end = frames_of(d, a->pages);
		if (d->log.at < end)
			rc = tell(d, a);
	}
	*more = !rc && d->log.at < end;
	return rc;
}

/* The last step is done, or one has failed. */
static void finish(struct domain *d, struct xen_domctl_shadow_op *a)
{
	/* Behind a failed CLEAN, too: what was told before is copied by nobody before this. */
	if (a->op == XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY || a->op == XEN_DOMCTL_SHADOW_OP_CLEAN)
		p2m_flush(d);
	if (a->op == XEN_DOMCTL_SHADOW_OP_CLEAN || a->op == XEN_DOMCTL_SHADOW_OP_PEEK) {
		a->pages = frames_of(d, a->pages);
		a->stats.dirty_count = d->log.told;
		a->stats.fault_count =
			a->op == XEN_DOMCTL_SHADOW_OP_CLEAN ?
				__atomic_exchange_n(&d->log.faults, 0, __ATOMIC_RELAXED) :
				READ_ONCE(d->log.faults);
	}
	/* In one step, as is_new() sees it. */
	spin_lock(&d->lock);
	if (a->op == XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY)
		d->log.on = true;
	d->log.doing = false;
	spin_unlock(&d->lock);
}

/* d->log.busy is ours. Whether what is under way is this caller's, or it may begin: 0; 1: there is nothing to do. */
static long admit(struct domain *d, const struct xen_domctl_shadow_op *a)
{
	u64 progress = ctl_progress[arch_hart()];
	bool off = a->op == XEN_DOMCTL_SHADOW_OP_OFF,
	     ours = progress >> MARK_SHIFT == MARK && (u16)progress == d->log.ticket;

	if (d->log.doing && d->log.op == a->op && (ours || off))
		return 0;
	if (d->log.doing && !off)
		return -EBUSY;
	if (off && !d->log.doing && !d->log.on)
		return 1;
	if (!off && d->log.on == (a->op == XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY))
		return -EINVAL;
	/* What a fork will map is in no log: is_new() (image_fork.c) is the other half. */
	spin_lock(&d->lock);
	if (off)
		d->log.on = false;
	d->log.doing = !d->fork;
	spin_unlock(&d->lock);
	if (!d->log.doing)
		return -EINVAL;
	d->log.op = a->op;
	d->log.ticket++;
	d->log.at = 0;
	d->log.told = 0;
	return 0;
}

static long steps(struct domain *d, struct xen_domctl_shadow_op *a)
{
	long rc = admit(d, a);
	bool more = true;

	if (rc)
		return rc > 0 ? 0 : rc;
	for (;;) {
		rc = step(d, a, &more);
		/* Its destruction waits for us. */
		if (more && READ_ONCE(d->dying)) {
			rc = -EINVAL;
			more = false;
		}
		if (!more) {
			finish(d, a);
			return rc;
		}
		if (hypercall_preempt_check()) {
			ctl_progress[arch_hart()] = MARK << MARK_SHIFT | d->log.ticket;
			return -ERESTART;
		}
	}
}

static long check(const struct xen_domctl_shadow_op *a)
{
	switch (a->op) {
	case XEN_DOMCTL_SHADOW_OP_OFF:
		return 0;
	case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
		return arch_log_works() ? 0 : -EOPNOTSUPP;
	case XEN_DOMCTL_SHADOW_OP_CLEAN:
	case XEN_DOMCTL_SHADOW_OP_PEEK:
		return a->mode & ~FLAGS ? -EINVAL : 0;
	case XEN_DOMCTL_SHADOW_OP_ENABLE:
	case XEN_DOMCTL_SHADOW_OP_ENABLE_TEST:
	case XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION:
	case XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}

long domctl_shadow_op(struct domain *d, struct xen_domctl_shadow_op *a)
{
	long rc = check(a);

	if (rc)
		return rc;
	if (!memory_op_begin(d))
		return -EINVAL;
	/* Another hart is in a step of d's log: not for long, but nobody waits here with interrupts off. */
	if (__atomic_exchange_n(&d->log.busy, 1, __ATOMIC_ACQUIRE)) {
		rc = -ERESTART;
	} else {
		rc = steps(d, a);
		__atomic_store_n(&d->log.busy, 0, __ATOMIC_RELEASE);
	}
	memory_op_end(d);
	return rc;
}
