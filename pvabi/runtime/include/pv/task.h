/* SPDX-License-Identifier: MIT */
/*
 * Cooperative tasks: functions with a stack each that take turns on one vCPU. A task runs until it yields, waits or ends;
 * interrupts are taken as always, so a function that an upcall runs may wake a task. When all wait, the vCPU sleeps.
 * Each vCPU has its own tasks; main() (or the function of pv_vcpu_start()) is one of them.
 */
#ifndef PV_TASK_H
#define PV_TASK_H

#include <pv/runtime.h>

struct pv_task;

/*
 * A task on this vCPU that begins at the next turn. It may use what main() may, stdio too, on PV_STACK_SIZE bytes of stack.
 * NULL: no memory. It is freed by pv_task_join(), which somebody must call.
 */
struct pv_task *pv_task_start(void (*fn)(void *arg), void *arg);
/* Waits for a task of this vCPU to end, and frees it. */
void pv_task_join(struct pv_task *t);
/* Lets the other tasks have their turns. */
void pv_task_yield(void);

/*
 * What tasks wait for: a count of signals not yet taken. { 0 } is one without any. pv_task_signal() is for tasks, functions
 * that interrupts run, and other vCPUs alike; each signal lets one pv_task_wait() go on. While all tasks wait and one of them
 * has a time, the vCPU's timer (pv_timer_set()) is theirs.
 */
struct pv_signal {
	volatile unsigned int count;
	volatile unsigned int vcpu; /* whose task waited last, + 1; one vCPU's tasks wait for it */
};

void pv_task_wait(struct pv_signal *s);
/* The same, until pv_time_ns() is `until`: false, no signal came. */
bool pv_task_wait_until(struct pv_signal *s, uint64_t until);
void pv_task_signal(struct pv_signal *s);
/* Lets this task sleep, and the others run. */
void pv_task_sleep_ns(uint64_t ns);

#endif
