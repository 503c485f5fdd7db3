/* SPDX-License-Identifier: MIT */
/*
 * Cooperative tasks (pv/task.h): the list of each vCPU's tasks, the switch between their stacks, and the vCPU's sleep when
 * all of them wait.
 */
#include <stdlib.h>

#include <pv/task.h>

#include "internal.h"

#define SBI_EXT_IPI 0x735049

struct pv_task {
	struct pv_task *next; /* of this vCPU, in a ring */
	jmp_buf env; /* where it goes on; interrupts are off there */
	void (*fn)(void *arg);
	void *arg;
	bool begun;
	struct pv_signal *waits; /* NULL: its turn may come */
	uint64_t until; /* pv_time_ns() at which it waits no longer */
	struct pv_signal ended;
	/* What struct pv_cpu has of whoever runs */
	unsigned long stack_low, stack_top;
	jmp_buf *catcher;
	struct pv_trap *caught;
	char *stack; /* NULL: the vCPU's own */
};

/* The one that runs. The first call on a vCPU makes a task of what called. */
static struct pv_task *current(void)
{
	struct pv_cpu *cpu = pv_cpu();

	if (!cpu->task) {
		struct pv_task *t = calloc(1, sizeof(*t));

		if (!t)
			pv_panic("no memory for tasks");
		t->next = t;
		t->begun = true;
		t->stack_low = cpu->stack_low;
		t->stack_top = cpu->stack_top;
		cpu->task = t;
	}
	return cpu->task;
}

static void __attribute__((noreturn)) begin(void)
{
	struct pv_task *t = current();

	csr_set(sstatus, SSTATUS_SIE);
	t->fn(t->arg);
	csr_clear(sstatus, SSTATUS_SIE);
	pv_task_signal(&t->ended);
	/* Nobody signals this: the others run from here on, and pv_task_join() frees the stack. */
	for (;;)
		pv_task_wait(&(struct pv_signal){ 0 });
}

/* Interrupts are off: between the two stacks a trap would take one for used up. */
static void switch_to(struct pv_task *to)
{
	struct pv_cpu *cpu = pv_cpu();
	struct pv_task *from = cpu->task;

	if (to == from)
		return;
	from->catcher = cpu->catcher;
	from->caught = cpu->caught;
	cpu->task = to;
	cpu->stack_low = to->stack_low;
	cpu->stack_top = to->stack_top;
	cpu->catcher = to->catcher;
	cpu->caught = to->caught;
	if (setjmp(from->env))
		return;
	if (!to->begun) {
		to->begun = true;
		__asm__ volatile("mv sp, %0\n\tli s0, 0\n\tjr %1"
				 :
				 : "r"(to->stack_top), "r"(begin));
		__builtin_unreachable();
	}
	longjmp(to->env, 1);
}

static bool ready(const struct pv_task *t, uint64_t now)
{
	return !t->waits || __atomic_load_n(&t->waits->count, __ATOMIC_SEQ_CST) || now >= t->until;
}

static void nothing(void *arg)
{
	(void)arg;
}

/* Interrupts are off. All wait: until an interrupt, which may be the first of their times. */
static void sleep_until(uint64_t until)
{
	if (until != ~0UL)
		pv_timer_set(pv_ns_to_ticks(until) + 1, nothing, NULL);
	pv_wait_for_interrupt();
	csr_set(sstatus, SSTATUS_SIE);
	csr_clear(sstatus, SSTATUS_SIE);
	if (until != ~0UL)
		pv_timer_set(~0UL, NULL, NULL);
}

/* Interrupts are off. The next that need not wait runs; at last the caller itself. */
static void schedule(void)
{
	struct pv_task *self = current();

	for (;;) {
		struct pv_task *t = self;
		uint64_t now = pv_time_ns(), first = ~0UL;

		do {
			t = t->next;
			if (ready(t, now)) {
				switch_to(t);
				return;
			}
			if (t->until < first)
				first = t->until;
		} while (t != self);
		sleep_until(first);
	}
}

struct pv_task *pv_task_start(void (*fn)(void *arg), void *arg)
{
	struct pv_task *self = current(), *t = calloc(1, sizeof(*t));
	char *stack = pv_alloc_pages(PV_STACK_SIZE / PV_PAGE_SIZE);

	if (!t || !stack) {
		free(t);
		free(stack);
		return NULL;
	}
	t->fn = fn;
	t->arg = arg;
	t->stack = stack;
	t->stack_low = (uintptr_t)stack;
	t->stack_top = t->stack_low + PV_STACK_SIZE;
	/* Behind all others */
	while (self->next != current())
		self = self->next;
	t->next = self->next;
	self->next = t;
	return t;
}

void pv_task_join(struct pv_task *t)
{
	struct pv_task *before = t;

	pv_task_wait(&t->ended);
	while (before->next != t)
		before = before->next;
	before->next = t->next;
	free(t->stack);
	free(t);
}

void pv_task_yield(void)
{
	unsigned long flags = pv_irq_save();

	schedule();
	pv_irq_restore(flags);
}

bool pv_task_wait_until(struct pv_signal *s, uint64_t until)
{
	struct pv_task *self = current();
	unsigned long flags = pv_irq_save();
	unsigned int count;
	bool signalled = true;

	self->waits = s;
	self->until = until;
	/* Before the first look at the count: who signals after it finds whom to wake. */
	__atomic_store_n(&s->vcpu, pv_vcpu_id() + 1, __ATOMIC_SEQ_CST);
	for (;;) {
		count = __atomic_load_n(&s->count, __ATOMIC_SEQ_CST);
		if (count && __atomic_compare_exchange_n(&s->count, &count, count - 1, false,
							 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			break;
		if (!count && pv_time_ns() >= until) {
			signalled = false;
			break;
		}
		schedule();
	}
	self->waits = NULL;
	pv_irq_restore(flags);
	return signalled;
}

void pv_task_wait(struct pv_signal *s)
{
	pv_task_wait_until(s, ~0UL);
}

void pv_task_signal(struct pv_signal *s)
{
	unsigned int vcpu;

	__atomic_fetch_add(&s->count, 1, __ATOMIC_SEQ_CST);
	vcpu = __atomic_load_n(&s->vcpu, __ATOMIC_SEQ_CST);
	/* The IPI ends its sleep; on this vCPU whoever waits is looked at when the one that runs lets go. */
	if (vcpu && vcpu - 1 != pv_vcpu_id())
		sbi_call(SBI_EXT_IPI, 0, 1, vcpu - 1, 0, 0);
}

void pv_task_sleep_ns(uint64_t ns)
{
	pv_task_wait_until(&(struct pv_signal){ 0 }, pv_time_ns() + ns);
}
