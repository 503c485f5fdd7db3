/* SPDX-License-Identifier: MIT */
/*
 * Event channels: shared_info, each vCPU's vcpu_info, the functions of ports, and the 2-level ABI's
 * words. The FIFO ABI's are fifo.c's. Words that the hypervisor writes too are touched with atomics only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define BITS 64
#define NR_2L_PORTS (BITS * BITS)
#define PER_CHUNK 1024

/*
 * The lowest bit's number. RV64IMAC has no instruction for it, and the compiler's function takes 45: the bit times a
 * de Bruijn sequence has a different number in the top six bits for each of them.
 */
static unsigned int lowest_bit(unsigned long bits)
{
	static const uint8_t number[BITS] = {
		0,  1,	2,  7,	3,  13, 8,  19, 4,  25, 14, 28, 9,  34, 20, 40,
		5,  17, 26, 38, 15, 46, 29, 48, 10, 31, 35, 54, 21, 50, 41, 57,
		63, 6,	12, 18, 24, 27, 33, 39, 16, 37, 45, 47, 30, 53, 49, 56,
		62, 11, 23, 32, 36, 44, 52, 55, 61, 22, 43, 51, 60, 42, 59, 58,
	};

	return number[(bits & -bits) * 0x0218a392cd3d5dbfUL >> 58];
}

struct shared_info *pv_shared_info;

struct handler {
	pv_event_fn fn;
	void *arg;
};
/* Chunks are made when a port of theirs first has a function, and stay. */
static struct handler *handlers[FIFO_PORTS / PER_CHUNK];

static struct handler *handler_of(evtchn_port_t port)
{
	struct handler *chunk = port < FIFO_PORTS ? handlers[port / PER_CHUNK] : NULL;

	return chunk ? chunk + port % PER_CHUNK : NULL;
}

/* vCPU 0 has its vcpu_info in shared_info until it registers one, as the others must. */
void pv_event_init(void)
{
	struct xen_add_to_physmap map = {
		.domid = DOMID_SELF,
		.space = XENMAPSPACE_shared_info,
		.gpfn = pv_domain.shared_info_pa >> PV_PAGE_SHIFT,
	};
	long rc = HYPERVISOR_memory_op(XENMEM_add_to_physmap, &map);

	if (rc) {
		static const char text[] = "guest: shared_info cannot be mapped\n";

		pv_early_write(text, sizeof(text) - 1);
		pv_shutdown(SHUTDOWN_crash);
	}
	pv_shared_info = (struct shared_info *)(uintptr_t)pv_domain.shared_info_pa;
	memset(pv_shared_info->evtchn_mask, 0xff, sizeof(pv_shared_info->evtchn_mask));
}

void pv_event_cpu_init(void)
{
	struct pv_cpu *cpu = pv_cpu();
	struct vcpu_register_vcpu_info reg = {
		.mfn = pv_gfn(&cpu->info),
		.offset = (uintptr_t)&cpu->info & (PV_PAGE_SIZE - 1),
	};

	/* Once in a vCPU's life: -EINVAL the next time that it is started. */
	HYPERVISOR_vcpu_op(VCPUOP_register_vcpu_info, cpu->id, &reg);
	csr_set(sie, SIE_SSIE);
	/* Look once: what came before found evtchn_upcall_pending set or nobody to tell, and will not be told again. */
	csr_set(sip, SIP_SSIP);
}

static unsigned long *pending_word(evtchn_port_t port)
{
	return (unsigned long *)&pv_shared_info->evtchn_pending[port / BITS];
}

static unsigned long *mask_word(evtchn_port_t port)
{
	return (unsigned long *)&pv_shared_info->evtchn_mask[port / BITS];
}

bool pv_event_pending(evtchn_port_t port)
{
	if (fifo_on())
		return fifo_pending(port);
	return __atomic_load_n(pending_word(port), __ATOMIC_SEQ_CST) >> port % BITS & 1;
}

bool pv_event_clear(evtchn_port_t port)
{
	unsigned long bit = 1UL << port % BITS;

	if (fifo_on())
		return fifo_clear(port);
	return __atomic_fetch_and(pending_word(port), ~bit, __ATOMIC_SEQ_CST) & bit;
}

void pv_event_mask(evtchn_port_t port)
{
	if (fifo_on())
		fifo_mask(port);
	else
		__atomic_fetch_or(mask_word(port), 1UL << port % BITS, __ATOMIC_SEQ_CST);
}

void pv_event_unmask(evtchn_port_t port)
{
	struct evtchn_unmask op = { .port = port };

	HYPERVISOR_event_channel_op(EVTCHNOP_unmask, &op);
}

int pv_event_handler(evtchn_port_t port, pv_event_fn fn, void *arg)
{
	struct handler *h = handler_of(port);
	unsigned long flags;

	if (port >= (fifo_on() ? FIFO_PORTS : NR_2L_PORTS))
		return -EINVAL;
	if (!h && fn) {
		struct handler *chunk = calloc(PER_CHUNK, sizeof(*chunk)), *none = NULL;

		if (!chunk)
			return -ENOMEM;
		/* Another vCPU may have made it meanwhile. */
		if (!__atomic_compare_exchange_n(&handlers[port / PER_CHUNK], &none, chunk, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			free(chunk);
		h = handler_of(port);
	}
	pv_event_mask(port);
	if (h) {
		flags = pv_irq_save();
		h->fn = fn;
		h->arg = arg;
		pv_irq_restore(flags);
	}
	if (fn)
		pv_event_unmask(port);
	return 0;
}

void event_run(evtchn_port_t port)
{
	struct handler *h = handler_of(port);

	if (pv_event_clear(port) && h && h->fn)
		h->fn(port, h->arg);
}

static void scan_word(unsigned int word)
{
	unsigned long bits;

	for (;;) {
		bits = __atomic_load_n(pending_word(word * BITS), __ATOMIC_SEQ_CST) &
		       ~__atomic_load_n(mask_word(word * BITS), __ATOMIC_SEQ_CST);
		if (!bits)
			return;
		while (bits) {
			evtchn_port_t port = word * BITS + lowest_bit(bits);

			bits &= bits - 1;
			event_run(port);
		}
	}
}

/* SSIP first, then evtchn_upcall_pending, then the words: docs/abi.md, "Upcall". */
void pv_event_dispatch(void)
{
	struct vcpu_info *info = &pv_cpu()->info;
	unsigned long sel;

	csr_clear(sip, SIP_SSIP);
	while (__atomic_load_n(&info->evtchn_upcall_pending, __ATOMIC_RELAXED)) {
		__atomic_store_n(&info->evtchn_upcall_pending, 0, __ATOMIC_RELAXED);
		/* The flag goes down before the words are read: what comes after raises it again. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (fifo_on()) {
			fifo_dispatch(pv_vcpu_id());
			continue;
		}
		sel = __atomic_exchange_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
		while (sel) {
			scan_word(lowest_bit(sel));
			sel &= sel - 1;
		}
	}
}

/* ---- hypercalls ---- */

/* What a hypercall that makes a port returns: with FIFO, the port has a word first. */
static long made(long rc, evtchn_port_t port)
{
	if (!rc)
		rc = fifo_cover(port);
	if (rc)
		return rc;
	return port;
}

long pv_event_alloc_unbound(domid_t dom, domid_t remote)
{
	struct evtchn_alloc_unbound op = { .dom = dom, .remote_dom = remote };
	long rc = HYPERVISOR_event_channel_op(EVTCHNOP_alloc_unbound, &op);

	return made(rc, op.port);
}

long pv_event_bind_interdomain(domid_t remote, evtchn_port_t remote_port)
{
	struct evtchn_bind_interdomain op = { .remote_dom = remote, .remote_port = remote_port };
	long rc = HYPERVISOR_event_channel_op(EVTCHNOP_bind_interdomain, &op);

	return made(rc, op.local_port);
}

long pv_event_bind_virq(unsigned int virq, unsigned int vcpu)
{
	struct evtchn_bind_virq op = { .virq = virq, .vcpu = vcpu };
	long rc = HYPERVISOR_event_channel_op(EVTCHNOP_bind_virq, &op);

	return made(rc, op.port);
}

long pv_event_bind_ipi(unsigned int vcpu)
{
	struct evtchn_bind_ipi op = { .vcpu = vcpu };
	long rc = HYPERVISOR_event_channel_op(EVTCHNOP_bind_ipi, &op);

	return made(rc, op.port);
}

int pv_event_send(evtchn_port_t port)
{
	struct evtchn_send op = { .port = port };

	return HYPERVISOR_event_channel_op(EVTCHNOP_send, &op);
}

int pv_event_close(evtchn_port_t port)
{
	struct evtchn_close op = { .port = port };

	if (handler_of(port))
		pv_event_handler(port, NULL, NULL);
	return HYPERVISOR_event_channel_op(EVTCHNOP_close, &op);
}
