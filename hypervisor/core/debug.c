/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The debug keys and what each prints.
 */
#include <arch-api.h>
#include <console.h>
#include <debug.h>
#include <domain.h>
#include <event.h>
#include <grant.h>
#include <lib.h>
#include <lock.h>
#include <sched.h>

static void key_help(void);

static void dump_domain(struct domain *d, unsigned int *lines)
{
	struct vcpu *v;
	unsigned int i;

	(void)lines; /* as many as the control domain has made vCPUs */
	printk("d%u: refs %u, pages %lu of %lu, ports %d, maps %d, paused %u%s%s%s\n", d->id,
	       d->refs, d->tot_pages, d->max_pages, evtchn_count(d), grant_count_maps(d),
	       d->pause_count, d->is_shut_down ? ", shut down" : "", d->dying ? ", dying" : "",
	       d->is_privileged ? ", privileged" : "");
	if (d->shared_pages)
		printk("  and %lu pages of images; %lu are kept for what it writes\n",
		       d->shared_pages, d->reserved_pages);
	domain_for_each_vcpu(d, v, i)
		printk("  v%u: flags %lx, paused %u, hart %u%s, upcall %d, ran %lu ms\n", v->id,
		       v->pause_flags, v->pause_count, v->hart, v->running ? " (running)" : "",
		       vcpu_event_pending(v), vcpu_cpu_time(v) / 1000000);
}

/* Each is held meanwhile, not the list: a UART takes milliseconds for a line, and all who look for a domain would wait. */
static void for_each_domain(void (*fn)(struct domain *d, unsigned int *lines))
{
	unsigned int lines = DUMP_LINES;
	struct domain *d = NULL;

	while ((d = domain_next(d, d ? d->id + 1 : 0)))
		fn(d, &lines);
}

static void key_domains(void)
{
	for_each_domain(dump_domain);
}

static void key_events(void)
{
	for_each_domain(evtchn_dump);
}

static void key_grants(void)
{
	for_each_domain(grant_dump);
}

static void key_memory(void)
{
	printk("memory: %lu pages, %lu free (%lu of them to be scrubbed)\n", machine.total_pages,
	       heap_free_pages(), heap_dirty_pages());
}

static void key_dom0(void)
{
	struct vcpu *v;
	unsigned int i;

	if (!dom0)
		return;
	domain_for_each_vcpu(dom0, v, i)
		arch_dump_vcpu(v);
}

#define VCPU_LINES 11 /* of arch_dump_vcpu() */

static void dump_guest(struct domain *d, unsigned int *lines)
{
	struct vcpu *v;
	unsigned int i;

	domain_for_each_vcpu(d, v, i) {
		if (d == dom0 || *lines < VCPU_LINES)
			return;
		*lines -= VCPU_LINES;
		arch_dump_vcpu(v);
	}
}

static void key_guests(void)
{
	for_each_domain(dump_guest);
}

static void key_reboot(void)
{
	arch_machine_reboot();
}

static void key_crash(void)
{
	panic("asked for by debug key");
}

static void key_hang(void)
{
	printk("hanging this hart; the watchdog should notice\n");
	/* What a hart does that waits for a lock. */
	for (;;)
		arch_relax();
}

static void key_fault(void)
{
	volatile uintptr_t nowhere = 16;

	printk("reading from nowhere\n");
	*(volatile char *)nowhere;
}

/* Undefined behaviour and a failed assertion, so that a test can see that such a build does report them. */
#ifdef CONFIG_UBSAN
static void key_undefined(void)
{
	volatile unsigned int too_far = 64;

	printk("shifting too far: %lx\n", 1UL << too_far);
}
#endif

#ifdef CONFIG_DEBUG
static void key_assertion(void)
{
	volatile unsigned int pages = 0;

	printk("asserting what is not so\n");
	ASSERT(pages);
}
#endif

static const struct {
	char key;
	void (*fn)(void);
	const char *help;
	const char *harm; /* typed at the terminal, it is asked for once more */
} keys[] = {
	{ 'h', key_help, "this list", NULL },
	{ 'd', key_domains, "domains and vCPUs", NULL },
	{ 'q', key_domains, "the same in xl debug-keys, as Xen's; typed here it leaves", NULL },
	{ 'r', sched_dump, "scheduler", NULL },
	{ 'e', key_events, "event channels", NULL },
	{ 'g', key_grants, "grant tables", NULL },
	{ 'm', key_memory, "memory", NULL },
#ifdef CONFIG_LATENCY
	{ 'l', arch_latency_report, "longest waits of interrupts for the hypervisor; clears them",
	  NULL },
#endif
#ifdef CONFIG_LOCK_CHECK
	{ 'k', lock_check_report, "longest waits for locks and holds of them; clears them", NULL },
#endif
	{ '0', key_dom0, "registers of Domain 0", NULL },
	{ 'v', key_guests, "registers of guests; of one that runs those of its last exit", NULL },
	{ 'R', key_reboot, "reboot the machine", "Reboot the machine" },
	{ 'C', key_crash, "panic", "Panic, which ends the machine" },
	{ 'F', key_fault, "fault in the hypervisor", "Fault, which ends the machine" },
	{ 'W', key_hang, "hang this hart (tests the watchdog)",
	  "Hang this hart, which ends the machine" },
#ifdef CONFIG_UBSAN
	{ 'U', key_undefined, "undefined behaviour",
	  "Undefined behaviour, which ends the machine" },
#endif
#ifdef CONFIG_DEBUG
	{ 'A', key_assertion, "an assertion that fails",
	  "Fail an assertion, which ends the machine" },
#endif
};

static void key_help(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++)
		printk("  %c  %s\n", keys[i].key, keys[i].help);
}

const char *debug_key_harm(char key)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].key == key)
			return keys[i].harm;
	}
	return NULL;
}

void debug_key(char key)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].key == key) {
			keys[i].fn();
			return;
		}
	}
	if (key > ' ')
		printk("no debug key '%c'; 'h' lists them\n", key);
}
