/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's SBI: which extensions there are (docs/abi.md, "SBI"), and that all others are refused, with nothing done.
 * HSM: a hart that is suspended says so; one that is started anew has nothing left of its former life, but for its events.
 *
 * guest: vcpus=2
 */
#include <string.h>

#include <pv/event.h>
#include <pv/runtime.h>

#include "tap.h"

#define BASE_PROBE 3

struct extension {
	const char *name;
	unsigned long id;
	unsigned int functions; /* 0 to this - 1; 0: there is no such extension */
};

static const struct extension extensions[] = {
	{ "BASE", SBI_EXT_BASE, 7 },
	{ "TIME", SBI_EXT_TIME, 1 },
	{ "IPI", SBI_EXT_IPI, 1 },
	{ "RFENCE", SBI_EXT_RFENCE, 3 },
	{ "HSM", SBI_EXT_HSM, 4 },
	{ "SRST", SBI_EXT_SRST, 1 },
	{ "DBCN", SBI_EXT_DBCN, 3 },
	{ "STA (steal time)", 0x535441, 0 },
	{ "SUSP (system suspend)", 0x53555350, 0 },
	{ "PMU", 0x504d55, 0 },
	{ "CPPC", 0x43505043, 0 },
	{ "NACL", 0x4e41434c, 0 },
	{ "legacy set_timer", 0, 0 },
	{ "legacy console_putchar", 1, 0 },
	{ "legacy send_ipi", 4, 0 },
	{ "legacy remote_fence_i", 5, 0 },
	{ "legacy shutdown", 8, 0 },
	{ "an experiment", 0x08000000, 0 },
	{ "the firmware's", 0x0a000000, 0 },
	{ "TIME with high bits", 1UL << 32 | SBI_EXT_TIME, 0 },
	{ "one that is none", ~0UL, 0 },
};

/* ---- HSM ---- */

#define HSM_START 0
#define HSM_STATUS 2
enum { STARTED, STOPPED, SUSPENDED = 4 };

/* Retentive; takes a0 to a2, a6 and a7. */
#define HART_SUSPEND \
	"	li	a7, 0x48534d\n" \
	"	li	a6, 3\n" \
	"	li	a0, 0\n" \
	"	li	a1, 0\n" \
	"	li	a2, 0\n" \
	"	ecall\n"

/* Entries of a hart: a1 = a word that says how far it is. Each ends in hart_stop. */
extern const char suspends[], passes[], waits[], runs[];
__asm__(".text\n"
	".balign 4\n"
	"suspends:\n"
	"	mv	s1, a1\n"
	"	csrwi	sie, 2\n" HART_SUSPEND "	mv	a1, s1\n"
	"	j	runs\n"
	"passes:\n"
	"	mv	s1, a1\n"
	"	csrwi	sie, 2\n"
	"	csrwi	sip, 2\n" HART_SUSPEND "	csrwi	sip, 0\n"
	"	li	t0, 1\n"
	"	sd	t0, (s1)\n"
	"	li	a7, 0x0a000007\n" /* PAVISE_HYPERCALL_EID, sched_op */
	"	li	a6, 29\n"
	"	li	a1, 1\n" /* SCHEDOP_block */
	"	li	a2, 0\n"
	"	ecall\n"
	"	mv	a1, s1\n"
	"	j	runs\n"
	"waits:\n"
	"	csrwi	sie, 2\n"
	"	csrwi	sip, 0\n"
	"	li	t0, 1\n"
	"	sd	t0, (a1)\n"
	"	wfi\n"
	"runs:\n"
	"	li	t0, 2\n"
	"	sd	t0, (a1)\n"
	"	li	a7, 0x48534d\n"
	"	li	a6, 1\n"
	"	ecall\n"
	"	j	.\n");

static long status(void)
{
	return sbi_call(SBI_EXT_HSM, HSM_STATUS, 1, 0, 0, 0).value;
}

/* What it is after a second at most. */
static long await_status(long want)
{
	uint64_t end = pv_time_ns() + 1000000000UL;

	while (status() != want && pv_time_ns() < end)
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	return status();
}

static unsigned long await_word(const unsigned long *word, unsigned long want)
{
	uint64_t end = pv_time_ns() + 1000000000UL;

	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) != want && pv_time_ns() < end)
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void test_suspend(void)
{
	unsigned long word = 0;
	struct sbiret r;

	r = sbi_call(SBI_EXT_HSM, HSM_START, 1, (uintptr_t)suspends, (uintptr_t)&word, 0);
	tap_is(r.error, 0, "hart_start");
	tap_is(await_status(SUSPENDED), SUSPENDED, "a hart in retentive suspend: hart_get_status");
	tap_is(sbi_call(SBI_EXT_IPI, 0, 2, 0, 0, 0).error, 0, "an IPI to it");
	tap_is(await_word(&word, 2), 2, "wakes it");
	tap_is(await_status(STOPPED), STOPPED, "and it stops");
}

/* One that had an interrupt already did not wait, and what it waits for next is no suspend. */
static void test_suspend_passed(void)
{
	unsigned long word = 0;
	struct sbiret r;

	r = sbi_call(SBI_EXT_HSM, HSM_START, 1, (uintptr_t)passes, (uintptr_t)&word, 0);
	tap_is(r.error, 0, "hart_start");
	tap_is(await_word(&word, 1), 1, "hart_suspend with an interrupt pending comes back");
	pv_sleep_ns(5000000);
	tap_is(status(), STARTED, "SCHEDOP_block is no suspend");
	tap_is(__atomic_load_n(&word, __ATOMIC_SEQ_CST), 1, "it is blocked");
	tap_is(sbi_call(SBI_EXT_IPI, 0, 2, 0, 0, 0).error, 0, "an IPI to it");
	tap_is(await_word(&word, 2), 2, "wakes it");
	tap_is(await_status(STOPPED), STOPPED, "and it stops");
}

static void test_down_while_waiting(void)
{
	unsigned long word = 0;
	struct sbiret r;

	sbi_call(SBI_EXT_HSM, HSM_START, 1, (uintptr_t)waits, (uintptr_t)&word, 0);
	tap_is(await_word(&word, 1), 1, "a hart that will wait for ever");
	pv_sleep_ns(5000000);
	tap_is(status(), STARTED, "wfi is no suspend");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_down, 1, NULL), 0, "VCPUOP_down");
	tap_is(await_status(STOPPED), STOPPED, "it is down");
	r = sbi_call(SBI_EXT_HSM, HSM_START, 1, (uintptr_t)runs, (uintptr_t)&word, 0);
	tap_is(r.error, 0, "hart_start");
	tap_is(await_word(&word, 2), 2, "it runs: it waits no more");
	tap_is(await_status(STOPPED), STOPPED, "and it stops");
}

static unsigned long seen;

static void event(evtchn_port_t port, void *arg)
{
	__atomic_store_n(&seen, pv_vcpu_id(), __ATOMIC_SEQ_CST);
}

static void first_life(void *arg)
{
}

static void second_life(void *arg)
{
	await_word(&seen, 1);
}

/* An event for a vCPU that is down is not lost when it starts: evtchn_upcall_pending is 1, so nobody would tell it again. */
static void test_event_while_down(void)
{
	long port = pv_event_bind_ipi(1), started;
	unsigned long flags, before;

	tap_is(pv_vcpu_start(1, first_life, NULL), 0, "a vCPU's first life");
	pv_vcpu_join(1);
	tap_is(await_status(STOPPED), STOPPED, "it has ended");
	pv_event_handler(port, event, NULL);
	/*
	 * This vCPU does not look: on an upcall of its own (the console's, say) it would take whatever is pending in the same
	 * word.
	 */
	flags = pv_irq_save();
	pv_event_send(port);
	before = __atomic_load_n(&seen, __ATOMIC_SEQ_CST);
	started = pv_vcpu_start(1, second_life, NULL);
	await_word(&seen, 1);
	pv_irq_restore(flags);
	pv_vcpu_join(1);
	tap_is(before, 0, "nobody takes the event");
	tap_is(started, 0, "its second life");
	tap_is(seen, 1, "the event came to it");
	await_status(STOPPED);
	pv_event_close(port);
}

int main(void)
{
	uint64_t *page = pv_alloc_pages(1);
	unsigned int changed = 0;

	memset(page, 0x77, PV_PAGE_SIZE);
	for (unsigned int i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		const struct extension *e = &extensions[i];
		struct sbiret r = sbi_call(SBI_EXT_BASE, BASE_PROBE, e->id, 0, 0, 0);

		tap_ok(!r.error && r.value == (e->functions != 0), "%s: probe_extension says %ld",
		       e->name, r.value);
		if (!e->functions) {
			/* STA's set_shmem and SUSP's suspend among them: an address, then flags */
			r = sbi_call(e->id, 0, (uintptr_t)page, 0, 0, 0);
			tap_ok(r.error == SBI_ERR_NOT_SUPPORTED && !r.value,
			       "%s: a call is SBI_ERR_NOT_SUPPORTED (%ld)", e->name, r.error);
			r = sbi_call(e->id, 0, 0, (uintptr_t)main, 0, 0);
			tap_is(r.error, SBI_ERR_NOT_SUPPORTED, "%s: another as well", e->name);
			continue;
		}
		r = sbi_call(e->id, e->functions, 0, 0, 0, 0);
		tap_is(r.error, SBI_ERR_NOT_SUPPORTED, "%s: function %u is none", e->name,
		       e->functions);
		r = sbi_call(e->id, ~0UL, 0, 0, 0, 0);
		tap_is(r.error, SBI_ERR_NOT_SUPPORTED, "%s: nor is the last", e->name);
	}
	for (unsigned int i = 0; i < PV_PAGE_SIZE / 8; i++)
		changed += page[i] != 0x7777777777777777UL;
	tap_is(changed, 0, "a refused STA wrote nothing");
	test_event_while_down();
	test_suspend();
	test_suspend_passed();
	test_down_while_waiting();
	return tap_done();
}
