/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PLIC. All sources are enabled on one fixed S-mode context (the boot hart's): the PLIC ignores
 * the completion of a source that the completing context has not enabled, and so any hart may
 * complete there.
 */
#include <arch.h>
#include <console.h>
#include <domain.h>
#include <event.h>
#include <lib.h>
#include <lock.h>

#define PLIC_PRIORITY(n) (4 * (n))
#define PLIC_ENABLE(ctx, n) (0x2000 + 0x80 * (ctx) + 4 * ((n) / 32))
#define PLIC_THRESHOLD(ctx) (0x200000 + 0x1000 * (ctx))
#define PLIC_CLAIM(ctx) (0x200004 + 0x1000 * (ctx))
#define MAX_SOURCES 1024

static struct spinlock plic_lock = SPINLOCK_INIT(LOCK_PLIC); /* enable words */
static unsigned int context; /* the fixed one */
static u64 claimed[MAX_SOURCES / 64]; /* atomic: waits for a guest's EOI */

static volatile u32 *reg(u64 offset)
{
	return (volatile u32 *)((char *)pa_to_va(boot.plic_base) + offset);
}

void plic_init(void)
{
	context = boot.plic_context[0];
	if (context == ~0U)
		panic("the PLIC has no S-mode context for the boot hart %lu", boot.boot_hartid);
	boot.plic_ndev = min(boot.plic_ndev, MAX_SOURCES - 1U);
	for (unsigned int n = 1; n <= boot.plic_ndev; n++)
		*reg(PLIC_PRIORITY(n)) = 0;
	for (unsigned int n = 0; n <= boot.plic_ndev; n += 32)
		*reg(PLIC_ENABLE(context, n)) = 0;
}

void plic_init_hart(struct hart *h)
{
	if (h->plic_context == ~0U)
		return;
	for (unsigned int n = 0; h->index && n <= boot.plic_ndev; n += 32)
		*reg(PLIC_ENABLE(h->plic_context, n)) = 0;
	*reg(PLIC_THRESHOLD(h->plic_context)) = 0;
}

unsigned int arch_nr_pirqs(void)
{
	return boot.plic_ndev + 1;
}

bool arch_pirq_assignable(unsigned int pirq)
{
	return pirq && pirq <= boot.plic_ndev && pirq != boot.uart_irq;
}

void arch_pirq_enable(unsigned int pirq)
{
	spin_lock(&plic_lock);
	*reg(PLIC_ENABLE(context, pirq)) |= 1U << (pirq % 32);
	/*
	 * A hart that claimed it while another one disabled it could not complete it, and never will: done here, while its
	 * priority of 0 still lets nobody claim it.
	 */
	clear_bit(pirq, claimed);
	*reg(PLIC_CLAIM(context)) = pirq;
	*reg(PLIC_PRIORITY(pirq)) = 1;
	spin_unlock(&plic_lock);
}

void arch_pirq_eoi(unsigned int pirq)
{
	if (test_and_clear_bit(pirq, claimed))
		*reg(PLIC_CLAIM(context)) = pirq;
}

/* Completed first: what is claimed while it is disabled would stay claimed for ever. */
void arch_pirq_disable(unsigned int pirq)
{
	arch_pirq_eoi(pirq);
	spin_lock(&plic_lock);
	*reg(PLIC_PRIORITY(pirq)) = 0;
	*reg(PLIC_ENABLE(context, pirq)) &= ~(1U << (pirq % 32));
	spin_unlock(&plic_lock);
}

void plic_interrupt(void)
{
	u32 n;

	while ((n = *reg(PLIC_CLAIM(context))) != 0) {
		if (n == boot.uart_irq) {
			console_input();
			*reg(PLIC_CLAIM(context)) = n;
			continue;
		}
		/*
		 * Stays claimed, and so silent, until the guest's EOI. A source is enabled if and only if it is bound: who
		 * unbound this one meanwhile has disabled it, and whoever binds it next, perhaps already, has it enabled.
		 */
		set_bit(n, claimed);
		if (!send_guest_pirq(dom0, n))
			arch_pirq_eoi(n);
	}
}
