/* SPDX-License-Identifier: MIT */
/*
 * A domain's start and end: FDT, heap, events, console, then main(); and its other vCPUs.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libfdt.h>

#include "internal.h"

struct pv_domain pv_domain;
struct pv_cpu pv_cpu0;
struct pv_cpu *pv_cpus[PV_MAX_VCPUS] = { &pv_cpu0 };

#define MAX_ARGS 64

/* ---- what the FDT says ---- */

static uint64_t cells(const fdt32_t *p, int n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 32 | fdt32_to_cpu(*p++);
	return v;
}

static uint64_t prop_u64(const void *fdt, int node, const char *name)
{
	int len;
	const fdt32_t *p = fdt_getprop(fdt, node, name, &len);

	return p ? cells(p, len / 4 > 2 ? 2 : len / 4) : 0;
}

/* An FDT's string, kept: the FDT's memory goes to nobody, but it may be overwritten by a test. */
static const char *prop_string(const void *fdt, int node, const char *name, const char *fallback)
{
	const char *s = node >= 0 ? fdt_getprop(fdt, node, name, NULL) : NULL;

	return strdup(s ? s : fallback);
}

static void parse_cpus(const void *fdt)
{
	int cpus = fdt_path_offset(fdt, "/cpus"), node;

	pv_domain.timebase = prop_u64(fdt, cpus, "timebase-frequency");
	fdt_for_each_subnode(node, fdt, cpus) {
		const char *isa = fdt_getprop(fdt, node, "riscv,isa", NULL);

		if (!fdt_getprop(fdt, node, "device_type", NULL))
			continue;
		pv_domain.nr_vcpus++;
		if (isa && strstr(isa, "_sstc"))
			pv_domain.sstc = true;
	}
	if (pv_domain.nr_vcpus > PV_MAX_VCPUS)
		pv_domain.nr_vcpus = PV_MAX_VCPUS;
}

/* Takes a block that something else uses out of [*start, *end): the larger side stays. */
static void exclude(uint64_t *start, uint64_t *end, uint64_t used, uint64_t used_end)
{
	if (used_end <= *start || used >= *end || used >= used_end)
		return;
	if (used < *start || used - *start < *end - used_end)
		*start = (used_end + PV_PAGE_SIZE - 1) & -PV_PAGE_SIZE;
	else
		*end = used & -PV_PAGE_SIZE;
}

static void parse_fdt(const void *fdt)
{
	int node, len;
	const fdt32_t *reg;

	fdt_for_each_subnode(node, fdt, 0) {
		const char *type = fdt_getprop(fdt, node, "device_type", NULL);

		if (!type || strcmp(type, "memory"))
			continue;
		reg = fdt_getprop(fdt, node, "reg", &len);
		if (!reg || len < 16 || pv_domain.ram_end)
			continue;
		pv_domain.ram_start = cells(reg, 2);
		pv_domain.ram_end = pv_domain.ram_start + cells(reg + 2, 2);
	}
	parse_cpus(fdt);
	node = fdt_path_offset(fdt, "/hypervisor");
	pv_domain.shared_info_pa = prop_u64(fdt, node, "pavise,shared-info");
	reg = fdt_getprop(fdt, node, "reg", &len);
	if (reg && len >= 16) {
		pv_domain.grant_region = cells(reg, 2);
		pv_domain.grant_region_size = cells(reg + 2, 2);
	}
	node = fdt_path_offset(fdt, "/chosen");
	pv_domain.initrd = prop_u64(fdt, node, "linux,initrd-start");
	pv_domain.initrd_end = prop_u64(fdt, node, "linux,initrd-end");
}

/* The largest piece of RAM above the image that holds neither FDT nor initrd. */
static void find_heap(const void *fdt)
{
	uint64_t start = (uintptr_t)image_end, end = pv_domain.ram_end;

	exclude(&start, &end, (uintptr_t)fdt, (uintptr_t)fdt + fdt_totalsize(fdt));
	exclude(&start, &end, pv_domain.initrd, pv_domain.initrd_end);
	pv_heap_init(start, end);
}

long pv_hvm_param(unsigned int index, uint64_t *value)
{
	struct xen_hvm_param p = { .domid = DOMID_SELF, .index = index };
	long rc = HYPERVISOR_hvm_op(HVMOP_get_param, &p);

	*value = p.value;
	return rc;
}

/* ---- start and end ---- */

void pv_main(const void *fdt)
{
	static char *argv[MAX_ARGS + 1];
	char *args, *word, *rest;
	int argc = 0;

	_REENT_INIT_PTR(&pv_cpu0.reent);
	pv_cpu0.running = true;
	parse_fdt(fdt);
	find_heap(fdt);
	pv_domain.name = prop_string(fdt, 0, "model", "guest");
	pv_domain.cmdline = prop_string(fdt, fdt_path_offset(fdt, "/chosen"), "bootargs", "");
	pv_event_init();
	pv_console_init();
	pv_event_cpu_init();
	pv_control_init();
	csr_set(sstatus, SSTATUS_SIE);
	for (void (*const *fn)(void) = init_array_start; fn < init_array_end; fn++)
		(*fn)();
	argv[argc++] = (char *)pv_domain.name;
	args = strdup(pv_domain.cmdline);
	for (word = strtok_r(args, " ", &rest); word && argc < MAX_ARGS;
	     word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	exit(main(argc, argv));
}

/* newlib's exit() has flushed the streams of this vCPU. */
void _exit(int status)
{
	if (status)
		dprintf(1, "%s: exit status %d\n", pv_domain.name, status);
	pv_console_flush();
	pv_shutdown(status ? SHUTDOWN_crash : SHUTDOWN_poweroff);
}

void pv_shutdown(unsigned int reason)
{
	struct sched_shutdown s = { .reason = reason };

	for (;;)
		HYPERVISOR_sched_op(SCHEDOP_shutdown, &s);
}

/* ---- other vCPUs ---- */

#define HSM_START 0
#define HSM_STOP 1
#define HSM_STATUS 2
#define HSM_STOPPED 1

int pv_vcpu_start(unsigned int n, void (*fn)(void *arg), void *arg)
{
	struct pv_cpu *cpu;
	struct sbiret ret;

	if (!n || n >= pv_domain.nr_vcpus)
		return -EINVAL;
	cpu = pv_cpus[n];
	if (cpu && cpu->running)
		return -EBUSY;
	if (!cpu) {
		char *stack = pv_alloc_pages(PV_STACK_SIZE / PV_PAGE_SIZE + 1);

		cpu = memalign(64, sizeof(*cpu));
		if (!cpu || !stack) {
			free(cpu);
			free(stack);
			return -ENOMEM;
		}
		memset(cpu, 0, sizeof(*cpu));
		cpu->id = n;
		cpu->emergency_top = (uintptr_t)stack + PV_PAGE_SIZE;
		cpu->stack_low = cpu->emergency_top;
		cpu->stack_top = cpu->stack_low + PV_STACK_SIZE;
		_REENT_INIT_PTR(&cpu->reent);
		pv_cpus[n] = cpu;
	}
	/* It said that it stops; it is gone a moment later. */
	while (sbi_call(SBI_EXT_HSM, HSM_STATUS, n, 0, 0, 0).value != HSM_STOPPED)
		pv_relax();
	/* Before anybody can send it an event: one for a vCPU without a control block waits to be sent again. */
	fifo_cpu_init(n);
	cpu->fn = fn;
	cpu->arg = arg;
	cpu->running = true;
	ret = sbi_call(SBI_EXT_HSM, HSM_START, n, (uintptr_t)secondary_start, (uintptr_t)cpu, 0);
	if (ret.error) {
		cpu->running = false;
		return ret.error == SBI_ERR_ALREADY_AVAILABLE ? -EBUSY : -EINVAL;
	}
	return 0;
}

void pv_secondary(void)
{
	struct pv_cpu *cpu = pv_cpu();

	pv_event_cpu_init();
	csr_set(sstatus, SSTATUS_SIE);
	cpu->fn(cpu->arg);
	fflush(stdout);
	csr_clear(sstatus, SSTATUS_SIE);
	csr_write(sie, 0);
	__atomic_store_n(&cpu->running, false, __ATOMIC_RELEASE);
	sbi_call(SBI_EXT_HSM, HSM_STOP, 0, 0, 0, 0);
	pv_panic("vCPU %u: hart_stop returned", cpu->id);
}

bool pv_vcpu_running(unsigned int n)
{
	return n < PV_MAX_VCPUS && pv_cpus[n] && pv_cpus[n]->running;
}

void pv_vcpu_join(unsigned int n)
{
	while (pv_vcpu_running(n))
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}
