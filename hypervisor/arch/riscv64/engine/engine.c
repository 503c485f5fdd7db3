/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The choice of the engine, and the arch-api.h calls that go through it.
 */
#include <arch.h>
#include <console.h>
#include <lib.h>

const struct engine *engine;

static const struct engine *const engines[] = { &engine_hext };

void engine_init(void)
{
	char want[16];

	if (!cmdline_get("engine", want, sizeof(want)))
		want[0] = '\0';
	for (unsigned int i = 0; i < ARRAY_SIZE(engines); i++) {
		if (want[0] && strcmp(want, engines[i]->name))
			continue;
		if (engines[i]->available()) {
			engine = engines[i];
			printk("engine: %s\n", engine->name);
			return;
		}
	}
	if (want[0] && strcmp(want, "hext"))
		give_up("engine=%s: there is no such engine; this build has hext", want);
	if (cpu.h)
		give_up("this CPU's second stage has no 41-bit addresses (hgatp does not take Sv39x4)");
	give_up("this CPU has no hypervisor (H) extension, and this build has no engine that works without it. "
		"On QEMU, use -cpu rv64 or -cpu rv64,h=on");
}

int arch_domain_init(struct domain *d, struct xen_arch_domainconfig *config)
{
	if (config && config->engine > XEN_DOMCTL_CONFIG_ENGINE_HEXT)
		return -EINVAL;
	d->arch = xzalloc(sizeof(*d->arch));
	if (!d->arch)
		return -ENOMEM;
	return p2m_init(d);
}

void arch_domain_free(struct domain *d)
{
	p2m_free(d);
	xfree(d->arch);
	d->arch = NULL;
}

int arch_vcpu_init(struct vcpu *v)
{
	int rc = -ENOMEM;

	v->arch = xzalloc(sizeof(*v->arch) + vector_size());
	if (v->arch)
		rc = engine->vcpu_init(v);
	if (rc)
		xfree(v->arch);
	return rc;
}

void arch_vcpu_free(struct vcpu *v)
{
	timer_kill(&v->arch->sbi_timer);
	xfree(v->arch);
}

void arch_context_switch(struct vcpu *prev, struct vcpu *next)
{
	struct hart *h = this_hart();

	if (!prev->domain->is_idle)
		engine->save(prev);
	h->current = next;
	h->current_arch = next->arch;
	if (!next->domain->is_idle)
		engine->load(next);
	else
		engine->unload();
}

void arch_vcpu_start(struct vcpu *v, u64 pc, u64 opaque)
{
	engine->start(v, pc, opaque);
}

void arch_raise_upcall(struct vcpu *v)
{
	if (v == current()) {
		csr_set(CSR_HVIP, IP_VSSIP);
		return;
	}
	__atomic_fetch_or(&v->arch->pending, IP_VSSIP, __ATOMIC_SEQ_CST);
	/* Pairs with hext_load: running is set, then pending looked at. */
	if (READ_ONCE(v->running)) {
		struct hart *h = &harts[READ_ONCE(v->hart)];

		hart_set_work(h, WORK_IRQ);
		if (h != this_hart())
			sbi_send_ipi(h->hartid);
	}
}
