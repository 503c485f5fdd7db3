/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PLICs: one, or one a socket; their sources are numbered through as physical interrupts. All sources of one are
 * enabled on one fixed S-mode context (the boot hart's, if it has one there): a PLIC ignores the completion of a source that
 * the completing context has not enabled, and so any hart may complete there.
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
#define MAX_PIRQS 1024

static struct spinlock plic_lock = SPINLOCK_INIT(LOCK_PLIC); /* enable words */
static unsigned int context[MAX_PLICS]; /* the fixed ones */
static u64 claimed[MAX_PIRQS / 64]; /* atomic: waits for a guest's EOI */

static volatile u32 *reg(unsigned int plic, u64 offset)
{
	return (volatile u32 *)((char *)pa_to_va(boot.plic[plic].base) + offset);
}

/* Any S-mode context of a hart in use: the boot hart's, if it has one. */
static unsigned int choose_context(unsigned int plic)
{
	for (unsigned int h = 0; h < boot.nr_harts; h++) {
		if (boot.plic[plic].context[h] != ~0U)
			return boot.plic[plic].context[h];
	}
	panic("the PLIC at %lx has no S-mode context for a hart in use", boot.plic[plic].base);
}

void plic_init(void)
{
	for (unsigned int p = 0; p < boot.nr_plics; p++) {
		context[p] = choose_context(p);
		for (unsigned int n = 1; n <= boot.plic[p].ndev; n++)
			*reg(p, PLIC_PRIORITY(n)) = 0;
		for (unsigned int n = 0; n <= boot.plic[p].ndev; n += 32)
			*reg(p, PLIC_ENABLE(context[p], n)) = 0;
	}
}

void plic_init_hart(struct hart *h)
{
	for (unsigned int p = 0; p < boot.nr_plics; p++) {
		unsigned int mine = boot.plic[p].context[h->index];

		if (mine == ~0U)
			continue;
		for (unsigned int n = 0; mine != context[p] && n <= boot.plic[p].ndev; n += 32)
			*reg(p, PLIC_ENABLE(mine, n)) = 0;
		*reg(p, PLIC_THRESHOLD(mine)) = 0;
	}
}

unsigned int arch_nr_pirqs(void)
{
	const struct plic *last = &boot.plic[boot.nr_plics - 1];

	return min(last->first + last->ndev + 1, (unsigned int)MAX_PIRQS);
}

/* The PLIC of a physical interrupt (1 .. arch_nr_pirqs() - 1), and its number there. */
static unsigned int plic_of(unsigned int pirq, unsigned int *source)
{
	unsigned int p = boot.nr_plics - 1;

	while (pirq <= boot.plic[p].first)
		p--;
	*source = pirq - boot.plic[p].first;
	return p;
}

bool arch_pirq_assignable(unsigned int pirq)
{
	return pirq && pirq < arch_nr_pirqs() && pirq != boot.uart_irq;
}

void arch_pirq_enable(unsigned int pirq)
{
	unsigned int n, p = plic_of(pirq, &n);

	spin_lock(&plic_lock);
	*reg(p, PLIC_ENABLE(context[p], n)) |= 1U << (n % 32);
	/*
	 * A hart that claimed it while another one disabled it could not complete it, and never will: done here, while its
	 * priority of 0 still lets nobody claim it.
	 */
	clear_bit(pirq, claimed);
	*reg(p, PLIC_CLAIM(context[p])) = n;
	*reg(p, PLIC_PRIORITY(n)) = 1;
	spin_unlock(&plic_lock);
}

void arch_pirq_eoi(unsigned int pirq)
{
	unsigned int n, p = plic_of(pirq, &n);

	if (test_and_clear_bit(pirq, claimed))
		*reg(p, PLIC_CLAIM(context[p])) = n;
}

/* Completed first: what is claimed while it is disabled would stay claimed for ever. */
void arch_pirq_disable(unsigned int pirq)
{
	unsigned int n, p = plic_of(pirq, &n);

	arch_pirq_eoi(pirq);
	spin_lock(&plic_lock);
	*reg(p, PLIC_PRIORITY(n)) = 0;
	*reg(p, PLIC_ENABLE(context[p], n)) &= ~(1U << (n % 32));
	spin_unlock(&plic_lock);
}

/* Of one PLIC, by way of its fixed context, whichever hart this is. */
static void take(unsigned int p)
{
	u32 n;

	while ((n = *reg(p, PLIC_CLAIM(context[p]))) != 0) {
		unsigned int pirq = boot.plic[p].first + n;

		if (pirq == boot.uart_irq) {
			console_input();
			*reg(p, PLIC_CLAIM(context[p])) = n;
			continue;
		}
		/*
		 * Stays claimed, and so silent, until the guest's EOI. A source is enabled if and only if it is bound: who
		 * unbound this one meanwhile has disabled it, and whoever binds it next, perhaps already, has it enabled.
		 */
		set_bit(pirq, claimed);
		if (!send_guest_pirq(dom0, pirq))
			arch_pirq_eoi(pirq);
	}
}

void plic_interrupt(void)
{
	for (unsigned int p = 0; p < boot.nr_plics; p++)
		take(p);
}
