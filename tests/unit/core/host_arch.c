// SPDX-License-Identifier: BSD-2-Clause
/*
 * include/arch-api.h for the host: RAM is an array, guest virtual addresses are host pointers, harts are a number that tests change.
 * P2Ms are host_p2m.c's, or the machine's own (tests/unit/riscv).
 */
#include <sanitizer/lsan_interface.h>
#include <sys/mman.h>

#include "host.h"
#include "interleave.h"

struct host host;
struct machine machine = { .nr_harts = NR_HARTS,
			   .timebase_hz = 10000000,
			   .total_pages = RAM_PAGES,
			   .max_mfn = RAM_BASE_MFN + RAM_PAGES - 1,
			   .cmdline = "console=uart secret" };
static char *ram;
static struct page frames[RAM_PAGES];
struct page *frame_table = frames;
mfn_t frame_base = RAM_BASE_MFN, frame_end = RAM_BASE_MFN + RAM_PAGES;

/* ---- the machine's end ---- */

static void __noreturn ended(enum machine_end how)
{
	host.end = how;
	if (host.end_expected)
		longjmp(host.end_jmp, 1);
	print_error("the machine ended (%d); console:\n%.*s\n", how, (int)host.console_len,
		    host.console);
	fail();
	abort();
}

void arch_machine_poweroff(void)
{
	ended(POWEROFF);
}

void arch_machine_reboot(void)
{
	ended(REBOOT);
}

void arch_machine_fail(unsigned int status)
{
	ended(status == MACHINE_FAIL_DOM0_CRASH ? FAIL_DOM0 : PANIC);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!host.end_expected)
		vprint_error(fmt, ap);
	va_end(ap);
	ended(PANIC);
}

bool console_stopped(void)
{
	return false;
}

const char *arch_symbol(const void *address)
{
	return NULL; /* whoever debugs has gdb */
}

/* ---- harts ---- */

void host_point(void)
{
	if (host.point)
		host.point();
}

/* A spinning hart gives the others time: those that were kicked run their exit path. */
void arch_relax(void)
{
	unsigned int self = host.hart;
	void (*hook)(void) = host.on_relax;

	if (++host.relaxed > 1000000)
		panic("deadlock: spinning for ever\n");
	if (host.relax) {
		host.relax();
		return;
	}
	host.on_relax = NULL;
	if (hook)
		hook();
	for (unsigned int h = 0; h < NR_HARTS; h++) {
		if (h == self || !(host.kicked & BIT(h)))
			continue;
		host.kicked &= ~BIT(h);
		host.hart = h;
		schedule();
	}
	host.hart = self;
}

unsigned int arch_hart(void)
{
	return host.hart;
}

u64 arch_time_ns(void)
{
	host.now += host.time_step;
	return host.now;
}

u64 arch_time_ticks(void)
{
	return arch_time_ns() / HOST_NS_PER_TICK;
}

u64 arch_ticks_to_ns(u64 ticks)
{
	return ticks * HOST_NS_PER_TICK;
}

struct vcpu *arch_current(void)
{
	return host.current[host.hart];
}

void arch_set_timer(u64 ns)
{
	host.timer[host.hart] = ns;
}

void arch_kick_hart(unsigned int hart)
{
	void (*hook)(void) = host.on_kick;

	assert_true(hart < NR_HARTS);
	host.kicked |= BIT(hart);
	host.on_kick = NULL;
	if (hook)
		hook();
}

bool arch_preempt_pending(void)
{
	if (host.preempt_kicked && host.kicked & BIT(host.hart))
		return true;
	return host.preempt_every && ++host.preempt_calls % host.preempt_every == 0;
}

void arch_context_switch(struct vcpu *prev, struct vcpu *next)
{
	assert_ptr_equal(host.current[host.hart], prev);
	host.current[host.hart] = next;
}

long arch_hypercall_restart(unsigned int nr, const u64 args[5])
{
	host.restarts++;
	host.restart_nr = nr;
	memcpy(host.restart_args, args, sizeof(host.restart_args));
	return -ERESTART;
}

/* ---- console ---- */

void arch_console_write(const char *s, size_t n)
{
	if (host.on_print)
		host.on_print(s, n);
	if (n > sizeof(host.console) - 1)
		return;
	if (host.console_len + n > sizeof(host.console) - 1)
		host.console_len = 0;
	memcpy(host.console + host.console_len, s, n);
	host.console_len += n;
	host.console[host.console_len] = '\0';
}

int arch_console_getc(void)
{
	return host.typed && *host.typed ? (u8)*host.typed++ : -1;
}

void arch_console_rx(bool on)
{
	host.rx_off = !on;
}

void console_clear(void)
{
	host.console_len = 0;
	host.console[0] = '\0';
}

/* ---- memory ---- */

void *arch_mfn_to_virt(mfn_t mfn)
{
	void (*hook)(void) = host.on_scrub;

	assert_in_range(mfn, RAM_BASE_MFN, RAM_BASE_MFN + RAM_PAGES - 1);
	host.on_scrub = NULL;
	if (hook)
		hook();
	return ram + ((mfn - RAM_BASE_MFN) << PAGE_SHIFT);
}

mfn_t arch_virt_to_mfn(const void *v)
{
	return RAM_BASE_MFN + (((const char *)v - ram) >> PAGE_SHIFT);
}

static bool faults(u64 gva, size_t n)
{
	/* A fault may be a stale translation's, and looks into the P2M, under its lock: none is held around a copy. */
	lock_check_none();
	if (host.copies_left >= 0 && host.copies_left-- == 0) {
		host.copies_left = 0;
		return true;
	}
	/* Nothing of the host is below 64 KiB or in the upper half, so these are safe to pass by hostile callers. */
	return gva < 0x10000 || gva + n < gva || (gva + n) >> 47 ||
	       (gva + n > host.fault_start && gva < host.fault_end);
}

int copy_from_guest(void *dst, u64 gva, size_t n)
{
	host_point();
	if (n && faults(gva, n))
		return -EFAULT;
	memcpy(dst, (const void *)gva, n);
	return 0;
}

int copy_to_guest(u64 gva, const void *src, size_t n)
{
	host_point();
	if (n && faults(gva, n))
		return -EFAULT;
	memcpy((void *)gva, src, n);
	return 0;
}

int arch_vcpu_init(struct vcpu *v)
{
	v->arch = calloc(1, sizeof(*v->arch));
	if (!v->arch)
		return -ENOMEM;
	v->arch->deadline = ~0ULL;
	return 0;
}

void arch_vcpu_free(struct vcpu *v)
{
	free(v->arch);
}

int arch_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
	assert_false(v->running);
	if (c->user_regs.pc & 1)
		return -EINVAL;
	v->arch->context = *c;
	v->is_initialised = true;
	return 0;
}

void arch_get_context(struct vcpu *v, struct vcpu_guest_context *c)
{
	*c = v->arch->context;
}

void arch_save_vcpu(struct vcpu *v, struct hvm_riscv_vcpu *r)
{
	struct hvm_riscv_vcpu core = *r;

	assert_false(v->running);
	*r = v->arch->record;
	r->flags = core.flags | (r->flags & HVM_VCPU_USER);
	r->singleshot = core.singleshot;
	memcpy(r->runstate_time, core.runstate_time, sizeof(core.runstate_time));
}

int arch_restore_vcpu(struct vcpu *v, const struct hvm_riscv_vcpu *r)
{
	assert_false(v->running);
	if (r->regs.pc & 1)
		return -EINVAL;
	if (r->satp >> 60 == 10)
		return -EOPNOTSUPP;
	v->arch->record = *r;
	memset(&v->arch->vector, 0, sizeof(v->arch->vector));
	v->arch->vector.head.vlenb = HOST_VLENB;
	v->is_initialised = true;
	return 0;
}

size_t arch_save_vector(struct vcpu *v, struct hvm_riscv_vector *r)
{
	memcpy(r, &v->arch->vector, sizeof(v->arch->vector));
	r->vlenb = HOST_VLENB;
	return sizeof(v->arch->vector);
}

int arch_restore_vector(struct vcpu *v, const struct hvm_riscv_vector *r, size_t size)
{
	if (size != sizeof(v->arch->vector) || r->vlenb != HOST_VLENB)
		return -EINVAL;
	memcpy(&v->arch->vector, r, size);
	return 0;
}

void arch_vcpu_time_starts(struct vcpu *v)
{
	v->arch->starts++;
}

void arch_vcpu_start(struct vcpu *v, u64 pc, u64 opaque)
{
	v->arch->context.user_regs.pc = pc;
	v->arch->context.user_regs.a1 = opaque;
	v->is_initialised = true;
}

void arch_raise_upcall(struct vcpu *v)
{
	v->arch->upcalls++;
}

bool arch_vcpu_has_interrupt(struct vcpu *v)
{
	return v->arch->has_interrupt;
}

u64 arch_vcpu_timer_deadline(struct vcpu *v)
{
	return v->arch->deadline;
}

void arch_dump_vcpu(struct vcpu *v)
{
	printk("registers of d%uv%u\n", v->domain->id, v->id);
}

/* ---- physical interrupts ---- */

unsigned int arch_nr_pirqs(void)
{
	return NR_TEST_PIRQS;
}

bool arch_pirq_assignable(unsigned int pirq)
{
	return pirq && pirq < NR_TEST_PIRQS && pirq != UART_PIRQ;
}

void arch_pirq_enable(unsigned int pirq)
{
	assert_true(pirq < NR_TEST_PIRQS);
	host.pirq_enabled[pirq] = true;
}

void arch_pirq_disable(unsigned int pirq)
{
	assert_true(pirq < NR_TEST_PIRQS);
	host.pirq_enabled[pirq] = false;
}

void arch_pirq_eoi(unsigned int pirq)
{
	assert_true(pirq < NR_TEST_PIRQS);
	host.pirq_eois[pirq]++;
}

/* ---- start ---- */

void host_reset(void)
{
	host.hart = 0;
	host.preempt_every = host.preempt_calls = host.restarts = host.relaxed = 0;
	host.time_step = 0;
	host.log_broken = host.log_hole = host.walks_write = false;
	host.flushed = NULL;
	host.fault_start = host.fault_end = 0;
	host.copies_left = host.maps_left = host.splits_left = -1;
	host.between = host.before_map = host.before_unmap = host.before_get = host.after_get =
		NULL;
	host.after_unmap = host.after_next = NULL;
	host.on_scrub = host.on_relax = host.on_kick = NULL;
	host.point = host.relax = NULL;
	host.on_print = NULL;
	host.preempt_kicked = false;
	host.typed = NULL;
	host.end_expected = false;
	host.kicked = 0;
	memset(host.pirq_eois, 0, sizeof(host.pirq_eois));
	for (unsigned int h = 0; h < NR_HARTS; h++)
		host.timer[h] = ~0ULL;
	console_clear();
}

void host_boot(void)
{
	if (ram)
		return;
	/* Aligned as the frames' numbers are, so that large blocks are large pages' size and alignment. */
	ram = mmap(NULL, 2 * (RAM_PAGES << PAGE_SHIFT), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(ram != MAP_FAILED);
	ram = (char *)ROUND_UP(U(ram), RAM_PAGES << PAGE_SHIFT);
	__lsan_register_root_region(ram, RAM_PAGES << PAGE_SHIFT);
	memset(ram, 0xa5, RAM_PAGES << PAGE_SHIFT); /* RAM is not zero when the machine starts */
	host_reset();
	host.now = 1000000;
	for (unsigned int i = 0; i < RAM_PAGES; i++)
		frames[i].state = PAGE_HYP; /* RAM, as the machine's boot says it */
	heap_add(RAM_BASE_MFN, RAM_BASE_MFN + RAM_PAGES);
	host.idle = domain_create_idle(NR_HARTS);
	assert_non_null(host.idle);
	for (unsigned int h = 0; h < NR_HARTS; h++) {
		host.current[h] = host.idle->vcpu[h];
		sched_init_hart(h, host.idle->vcpu[h]);
	}
}
