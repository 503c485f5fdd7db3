/* SPDX-License-Identifier: MIT */
/* What the runtime's files ask of one another; applications do not see it. */
#ifndef PV_INTERNAL_H
#define PV_INTERNAL_H

#include <pv/event.h>
#include <pv/grant.h>
#include <pv/runtime.h>

/* Linker script */
extern char _start[], image_end[];
extern void (*const init_array_start[])(void), (*const init_array_end[])(void);

/* start.S */
void secondary_start(void);
void pv_try_return(jmp_buf *env) __attribute__((noreturn));

/* The application's; it may be main(void), which ignores them */
int main(int argc, char **argv);

/* Called from start.S */
void pv_main(const void *fdt);
void pv_secondary(void);
void pv_trap(struct pv_frame *f);

extern struct pv_cpu pv_cpu0;
extern struct pv_cpu *pv_cpus[PV_MAX_VCPUS]; /* NULL: never started */

void pv_heap_init(uint64_t start, uint64_t end); /* and the window's tables */
void pv_event_init(void); /* maps shared_info */
void pv_event_cpu_init(void); /* registers this vCPU's vcpu_info, upcall on */
void pv_control_init(void); /* xl shutdown finds an answer from here on */
void pv_console_init(void);
void pv_console_flush(void); /* waits until the other end has taken everything, a second at most */
void pv_console_wait(void); /* sleeps until there is input */
void pv_timer_interrupt(void);
void pv_panic_frame(const struct pv_frame *f, const char *what) __attribute__((noreturn));

/* event.c and fifo.c. Ports without a word are not pending and cannot be masked. */
#define FIFO_PORTS EVTCHN_FIFO_NR_CHANNELS
void event_run(evtchn_port_t port); /* clears it and runs its function */
bool fifo_on(void);
void fifo_cpu_init(unsigned int vcpu);
int fifo_cover(evtchn_port_t port); /* makes the pages of words up to the port's */
bool fifo_pending(evtchn_port_t port);
bool fifo_clear(evtchn_port_t port);
void fifo_mask(evtchn_port_t port);
void fifo_dispatch(unsigned int vcpu);

/* control.c: somebody looks for a wish and answers it, now or when that is safe. For whenever xenbus_wish_pending(). */
void control_look(void);

/* xenbus.c's part of it */
#define CONTROL_TOKEN "pv-control"
/* Runs fn when the ring has something. false: no xenstore. */
bool xenbus_listen(pv_event_fn fn);
/* A request whose reply nobody waits for; path and more are 64 bytes at most. */
void xenbus_post(uint32_t type, const char *path, const char *more, size_t n_more);
/* The ring has something: from fn. */
void xenbus_event_came(void);
/* An event with the token may have come, or has. */
bool xenbus_wish_pending(void);
/* Whether one has come since the last call; -EBUSY: others use the ring, the last of whom calls control_look(). */
int xenbus_take_wish(void);
bool xenbus_busy(void);

long pv_hvm_param(unsigned int index, uint64_t *value);

#endif
