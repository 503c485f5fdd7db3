/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way from the boot page tables to dom0's first instruction, and secondary harts.
 */
#include <arch.h>
#include <console.h>
#include <event.h>
#include <image.h>
#include <lib.h>
#include <sched.h>
#include <xsm.h>

#define LOW_RAM_END (4UL << 30)
#define LOW_RAM_MIN (128UL << (20 - PAGE_SHIFT)) /* pages */

struct hart harts[CONFIG_NR_CPUS];
u64 image_pa;
static struct domain *idle_domain;
static u32 harts_ready; /* secondary ones that have arrived; atomic */

static char stacks[CONFIG_NR_CPUS][STACK_GUARD + STACK_SIZE] __section(".stacks") __aligned(4096);

static void setup_hart(unsigned int i)
{
	struct hart *h = &harts[i];

	h->index = i;
	h->hartid = boot.hartids[i];
	h->stack_top = (u64)stacks[i] + STACK_GUARD + STACK_SIZE;
	h->spin_limit = ~0ULL;
}

/* See free_ram(). */
static u64 free_in_bank(paddr_t pos, paddr_t end, bool add)
{
	u64 pages = 0;

	while (pos < end) {
		paddr_t stop = end, next = end;

		/* The first reservation that covers pos, or the nearest that begins behind it */
		for (unsigned int r = 0; r < boot.nr_reserved; r++) {
			struct range *res = &boot.reserved[r];

			if (res->start <= pos && res->end > pos) {
				stop = pos;
				next = min(ROUND_UP(res->end, PAGE_SIZE), end);
				break;
			}
			if (res->start > pos && res->start < stop) {
				stop = ROUND_DOWN(res->start, PAGE_SIZE);
				next = stop;
			}
		}
		if (stop > pos && add)
			heap_add(pos >> PAGE_SHIFT, stop >> PAGE_SHIFT);
		pages += (stop - pos) >> PAGE_SHIFT;
		pos = stop > pos ? stop : next;
	}
	return pages;
}

u64 free_ram(paddr_t from, paddr_t to, bool add)
{
	u64 pages = 0;

	for (unsigned int i = 0; i < boot.nr_mem; i++) {
		paddr_t start = ROUND_UP(boot.mem[i].start, PAGE_SIZE),
			end = ROUND_DOWN(boot.mem[i].end, PAGE_SIZE);

		pages += free_in_bank(max(start, from), min(end, to), add);
	}
	return pages;
}

static void count_ram(void)
{
	for (unsigned int i = 0; i < boot.nr_mem; i++) {
		paddr_t start = ROUND_UP(boot.mem[i].start, PAGE_SIZE),
			end = ROUND_DOWN(boot.mem[i].end, PAGE_SIZE);

		if (end <= start)
			continue;
		machine.max_mfn = max(machine.max_mfn, (end >> PAGE_SHIFT) - 1);
		machine.total_pages += (end - start) >> PAGE_SHIFT;
	}
}

/* In pieces: it is longer than a line of the log may be. */
static void log_isa(const char *what, const char *isa)
{
	do {
		printk("%s: %.160s\n", what, isa);
		isa += strnlen(isa, 160);
	} while (*isa);
}

/* A misspelt option is not silently another machine. All that cmdline_get() is asked for stands here. */
static void unknown_options(const char *s)
{
	static const char *const known[] = { "dom0_mem", "dom0_max_vcpus", "engine",   "fork",
					     "loglvl",	 "vmid-bits",	   "watchdog", "xsm" };

	while (*s) {
		size_t len, name;
		unsigned int i;

		while (*s == ' ')
			s++;
		for (len = 0; s[len] && s[len] != ' '; len++)
			;
		for (name = 0; name < len && s[name] != '='; name++)
			;
		for (i = 0; i < ARRAY_SIZE(known); i++)
			if (strlen(known[i]) == name && !strncmp(s, known[i], name))
				break;
		if (len && i == ARRAY_SIZE(known))
			pr_warn("option %.*s is not known, ignored\n", (int)len, s);
		s += len;
	}
}

static void log_machine(void)
{
	char value[32];

	printk("Pavise %s, built with %s\n", CONFIG_VERSION, __VERSION__);
	printk("harts: %u, boot hart %lu; time %lu kHz\n", boot.nr_harts, boot.boot_hartid,
	       machine.timebase_hz / 1000);
	log_isa("ISA", boot.isa_string ? boot.isa_string : "(not in the FDT as a string)");
	printk("options: %s\n", machine.cmdline[0] ? machine.cmdline : "(none)");
	for (unsigned int i = 0; i < boot.nr_mem; i++)
		printk("memory: %lx-%lx (%lu MiB)\n", boot.mem[i].start, boot.mem[i].end,
		       (boot.mem[i].end - boot.mem[i].start) >> 20);
	if (boot.kernel.present)
		printk("module: kernel at %lx, %lu KiB, options: %s\n", boot.kernel.start,
		       boot.kernel.size >> 10, boot.kernel.cmdline);
	if (boot.ramdisk.present)
		printk("module: ramdisk at %lx, %lu KiB\n", boot.ramdisk.start,
		       boot.ramdisk.size >> 10);
	unknown_options(machine.cmdline);
	if (cmdline_get("loglvl", value, sizeof(value))) {
		if (!strcmp(value, "all") || !strcmp(value, "debug"))
			console_set_level(LOG_DEBUG);
		else if (!strcmp(value, "warning"))
			console_set_level(LOG_WARN);
		else if (!strcmp(value, "error"))
			console_set_level(LOG_ERR);
		else if (strcmp(value, "info"))
			pr_warn("loglvl=%s: want error, warning, info or debug\n", value);
	}
}

static void access_policy(void)
{
	char value[16];

	if (!cmdline_get("xsm", value, sizeof(value)))
		return;
	if (!strcmp(value, "silo")) {
		xsm_set_silo();
		printk("access: guests may talk to Domain 0 only (xsm=silo)\n");
	} else if (strcmp(value, "dummy")) {
		give_up("xsm=%s: want dummy or silo", value);
	}
}

/* Behind the trials of all harts (engine/ad_trial.c). */
static void fork_policy(void)
{
	bool unsafe = false;
	char value[16];

	if (cmdline_get("fork", value, sizeof(value))) {
		unsafe = !strcmp(value, "unsafe");
		if (!unsafe && strcmp(value, "safe"))
			give_up("fork=%s: want safe or unsafe", value);
	}
	image_allow_unsafe_forks(unsafe);
	if (arch_forks_are_safe())
		return;
	if (unsafe)
		pr_warn("forks: allowed (fork=unsafe), though harts write where they must not: copies can change each other's memory\n");
	else
		printk("forks: refused, as harts write where they must not (fork=unsafe allows them)\n");
}

static void hart_go(struct hart *h)
{
	h->current = h->idle = idle_domain->vcpu[h->index];
	h->current_arch = h->idle->arch;
	/* The first one builds dom0 before it looks at its timer, however long that takes. */
	h->last_alive = h->index ? arch_time_ns() : 0;
	sched_init_hart(h->index, h->idle);
	engine->hart_init();
	plic_init_hart(h);
	csr_write(CSR_SIE, IP_SSIP | IP_STIP | IP_SEIP);
	__atomic_store_n(&h->online, true, __ATOMIC_RELEASE);
	watchdog_init_hart();
}

void start_secondary(struct hart *h)
{
	mm_enable();
	features_check();
	hart_go(h);
	__atomic_fetch_add(&harts_ready, 1, __ATOMIC_RELEASE);
	enter_guest();
}

/* One that firmware does not start was never here: those behind it take its number, and dom0's FDT lacks it. */
static void leave_out(unsigned int i, long error)
{
	pr_warn("hart %lu does not start (SBI error %ld); going on without it\n", harts[i].hartid,
		error);
	boot.nr_harts--;
	machine.nr_harts--;
	for (; i < boot.nr_harts; i++) {
		boot.hartids[i] = boot.hartids[i + 1];
		for (unsigned int p = 0; p < boot.nr_plics; p++)
			boot.plic[p].context[i] = boot.plic[p].context[i + 1];
		setup_hart(i);
	}
}

void smp_start(void)
{
	u64 entry = image_pa + ((u64)secondary_entry - IMAGE_VA), deadline;
	unsigned int started = 1;

	while (started < boot.nr_harts) {
		struct hart *h = &harts[started];
		struct sbiret r = sbi_call(0x48534D, 0, h->hartid, entry, (u64)h, 0, 0);

		if (r.error)
			leave_out(started, r.error);
		else
			__atomic_store_n(&harts_called, ++started, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&harts_called, started | HARTS_CALLED_ALL, __ATOMIC_RELEASE);
	deadline = arch_time_ns() + 10000000000ULL;
	while (__atomic_load_n(&harts_ready, __ATOMIC_ACQUIRE) < started - 1) {
		if (arch_time_ns() > deadline)
			panic("%u harts were started by the SBI but never arrived",
			      started - 1 - __atomic_load_n(&harts_ready, __ATOMIC_ACQUIRE));
		arch_relax();
	}
}

void start_boot_hart(u64 hartid, paddr_t fdt_pa);
void start_boot_hart(u64 hartid, paddr_t fdt_pa)
{
	static char isa[ISA_SIZE];

	boot.boot_hartid = hartid;
	harts[0].hartid = hartid;
	fdt_parse(fdt_pa);
	if (boot.uart_base)
		uart_init(boot.uart_base, boot.uart_shift, boot.uart_io_width);
	for (unsigned int i = 0; i < boot.nr_harts; i++)
		setup_hart(i);
	log_machine();
	access_policy();
	features_probe();
	isa_write(&boot.isa, false, isa);
	log_isa("ISA for guests", isa);
	engine_init();
	sbi_check_fences();
	mm_init();
	count_ram();
	printk("heap: %lu MiB free\n", free_ram(0, DIRECT_MAX, false) >> (20 - PAGE_SHIFT));
	/* What devices with 32-bit DMA reach is for dom0 first: dom0_build() adds the rest. Unless there is next to none. */
	boot.heap_end = LOW_RAM_END;
	if (free_ram(0, LOW_RAM_END, false) < LOW_RAM_MIN)
		boot.heap_end = DIRECT_MAX;
	free_ram(0, boot.heap_end, true);
	idle_domain = domain_create_idle(boot.nr_harts);
	if (!idle_domain)
		panic("no memory for the idle vCPUs: give the machine more (QEMU: -m 512M)");
	plic_init();
	hart_go(&harts[0]);
	smp_start();
	printk("%u hart%s running\n", boot.nr_harts, boot.nr_harts == 1 ? "" : "s");
	fork_policy();
	if (dom0_build())
		panic("Domain 0 could not be built");
	if (boot.uart_base && boot.uart_irq)
		uart_enable_rx();
	enter_guest();
}
