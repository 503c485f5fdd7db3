/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What test_state.py saves and restores suspended: it suspends itself again and again. When its call returns 0 it asks for all anew as a
 * kernel does, and nothing that it had may be there; when it returns 1, all of that must be. Its other vCPU counts. It says nothing:
 * dom0/suspend.c finds the page with its figures.
 */
#include <pv/runtime.h>

#include "suspender.h"

#define PAUSE 300000 /* of the time CSR: 30 ms on QEMU's virt machine */
#define HIDDEN 0x5a5a0001UL
#define MARK 0x1122334455667788UL
#define FP_MARK 0x4009216872b020c5UL
#define EINVAL_XEN 22

static struct suspender s __attribute__((aligned(4096)));
static union {
	unsigned long words[512];
	struct vcpu_info info;
	struct vcpu_runstate_info runstate;
} lent __attribute__((aligned(4096))), area, control; /* lent: shared_info takes its place */
_Static_assert(sizeof(lent) == 4096, "pages");

static void is(long got, long want, unsigned int line)
{
	if (got == want || s.wrong)
		return;
	s.got = got;
	s.wrong = line;
}
#define IS(got, want) is((long)(got), (long)(want), __LINE__)

/* HYPERVISOR_suspend(). Floating point and sscratch are its witnesses. */
static long suspend(void)
{
	struct sched_shutdown op = { .reason = SHUTDOWN_suspend };
	register unsigned long a0 __asm__("a0") = 0;
	register unsigned long a1 __asm__("a1") = SCHEDOP_shutdown;
	register unsigned long a2 __asm__("a2") = (unsigned long)&op;
	register unsigned long a6 __asm__("a6") = __HYPERVISOR_sched_op;
	register unsigned long a7 __asm__("a7") = PAVISE_HYPERCALL_EID;
	unsigned long fp = FP_MARK + s.rounds, scratch = csr_read(sscratch);

	csr_write(sscratch, MARK);
	__asm__ volatile("fmv.d.x f9, %[fp]\n"
			 "ecall\n"
			 "fmv.x.d %[fp], f9\n"
			 : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a6), "+r"(a7), [fp] "+r"(fp)
			 :
			 : "a3", "a4", "a5", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "f9",
			   "memory");
	IS(fp, FP_MARK + s.rounds);
	IS(csr_read(sscratch), MARK);
	csr_write(sscratch, scratch);
	return a0;
}

/* All that a kernel registers; its results. */
static void register_all(long vcpu_info, long fifo)
{
	struct vcpu_register_vcpu_info info = { .mfn = pv_gfn(&area), .offset = 1024 };
	struct vcpu_register_runstate_memory_area rs = { .addr.v = &area.runstate };
	struct evtchn_init_control block = { .control_gfn = pv_gfn(&control), .vcpu = 1 };
	struct xen_add_to_physmap shared = { .domid = DOMID_SELF,
					     .space = XENMAPSPACE_shared_info,
					     .gpfn = pv_gfn(&lent) };

	IS(HYPERVISOR_memory_op(XENMEM_add_to_physmap, &shared), 0);
	IS(HYPERVISOR_vcpu_op(VCPUOP_register_vcpu_info, 1, &info), vcpu_info);
	IS(HYPERVISOR_event_channel_op(EVTCHNOP_init_control, &block), fifo);
	IS(HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &rs), 0);
}

static void port_waits(unsigned int param)
{
	struct xen_hvm_param p = { .domid = DOMID_SELF, .index = param };
	struct evtchn_status status = { .dom = DOMID_SELF };

	IS(HYPERVISOR_hvm_op(HVMOP_get_param, &p), 0);
	status.port = p.value;
	IS(HYPERVISOR_event_channel_op(EVTCHNOP_status, &status), 0);
	IS(status.status, EVTCHNSTAT_unbound);
}

static void went_elsewhere(void)
{
	volatile unsigned long *words = lent.words;

	/* Memory is as it was, beneath what was in its place too. */
	IS(words[0], HIDDEN);
	IS(words[511], HIDDEN + 511);
	register_all(0, 0);
	IS(words[511], 0);
	port_waits(HVM_PARAM_STORE_EVTCHN);
	port_waits(HVM_PARAM_CONSOLE_EVTCHN);
}

static void stayed(unsigned long mark)
{
	volatile unsigned long *words = lent.words;

	IS(words[511], mark);
	register_all(-EINVAL_XEN, -EINVAL_XEN);
	IS(words[511], mark);
}

/* vCPU 1, of which the runtime knows nothing. a1: what it counts. */
void count(void);
__asm__(".balign 4\n"
	".globl count\n"
	"count:\n"
	"	ld t0, 0(a1)\n"
	"	addi t0, t0, 1\n"
	"	sd t0, 0(a1)\n"
	"	j count\n");

int main(void)
{
	volatile unsigned long *words = lent.words;
	unsigned long now;

	pv_irq_save();
	csr_write(sie, 0);
	for (unsigned int i = 0; i < 512; i++)
		words[i] = HIDDEN + i;
	register_all(0, 0);
	IS(sbi_call(SBI_EXT_HSM, 0, 1, (unsigned long)count, (unsigned long)&s.second, 0).error, 0);
	s.magic[0] = SUSPENDER_MAGIC0;
	s.magic[1] = SUSPENDER_MAGIC1;
	for (;;) {
		long rc;

		words[511] = s.rounds + 1;
		rc = suspend();
		if (rc == 0)
			went_elsewhere();
		else if (rc == 1)
			stayed(s.rounds + 1);
		else
			IS(rc, 0);
		s.elsewhere += rc == 0;
		s.cancelled += rc == 1;
		s.rounds++;
		for (unsigned long end = pv_ticks() + PAUSE; (now = pv_ticks()) < end;)
			;
		IS(now >= s.last, 1);
		s.last = now;
	}
}
