/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the firmware's FDT says: memory, harts, modules, and the devices the hypervisor owns.
 * Everything that is missing is named with what to do about it.
 */
#include <arch.h>
#include <console.h>
#include <lib.h>
#include <libfdt.h>

struct boot_info boot;
struct machine machine;

static u64 cells(const fdt32_t *p, int n)
{
	u64 v = 0;

	while (n-- > 0)
		v = v << 32 | fdt32_to_cpu(*p++);
	return v;
}

/* reg entry i of a node; false if there is none. */
static bool node_reg(const void *fdt, int node, int i, u64 *addr, u64 *size)
{
	int parent = fdt_parent_offset(fdt, node), len;
	int ac = fdt_address_cells(fdt, parent), sc = fdt_size_cells(fdt, parent);
	const fdt32_t *reg = fdt_getprop(fdt, node, "reg", &len);

	if (!reg || ac < 0 || sc < 0 || (i + 1) * (ac + sc) * 4 > len)
		return false;
	reg += i * (ac + sc);
	*addr = cells(reg, ac);
	*size = cells(reg + ac, sc);
	return true;
}

static u32 prop_u32(const void *fdt, int node, const char *name, u32 fallback)
{
	int len;
	const fdt32_t *p = fdt_getprop(fdt, node, name, &len);

	return p && len >= 4 ? fdt32_to_cpu(*p) : fallback;
}

bool fdt_node_okay(const void *fdt, int node)
{
	const char *status = fdt_getprop(fdt, node, "status", NULL);

	return !status || !strcmp(status, "okay") || !strcmp(status, "ok");
}

static void add_range(struct range *r, unsigned int *n, paddr_t start, paddr_t end)
{
	if (start >= end)
		return;
	if (*n == MAX_RANGES)
		panic("the FDT lists more than %u memory ranges", MAX_RANGES);
	r[*n].start = start;
	r[*n].end = end;
	(*n)++;
}

static void parse_memory(const void *fdt)
{
	u64 addr, size;
	int node, i;

	fdt_for_each_subnode(node, fdt, 0) {
		int len;
		const char *type = fdt_getprop(fdt, node, "device_type", &len);

		if (!type || strcmp(type, "memory"))
			continue;
		for (i = 0; node_reg(fdt, node, i, &addr, &size); i++) {
			if (addr >= DIRECT_MAX)
				continue;
			add_range(boot.mem, &boot.nr_mem, addr, min(addr + size, (u64)DIRECT_MAX));
		}
	}
	if (!boot.nr_mem)
		panic("the FDT has no memory node: is this the FDT that the firmware passed?");
	node = fdt_path_offset(fdt, "/reserved-memory");
	if (node >= 0) {
		int child;

		fdt_for_each_subnode(child, fdt, node) {
			for (i = 0; node_reg(fdt, child, i, &addr, &size); i++)
				add_range(boot.reserved, &boot.nr_reserved, addr, addr + size);
		}
	}
	for (i = 0; i < fdt_num_mem_rsv(fdt); i++) {
		if (!fdt_get_mem_rsv(fdt, i, &addr, &size))
			add_range(boot.reserved, &boot.nr_reserved, addr, addr + size);
	}
}

/*
 * Whether a CPU node is one that the hypervisor can run on: not what the board keeps for itself (disabled), nor a monitor
 * core without an MMU.
 */
static bool cpu_usable(const void *fdt, int node, u64 id)
{
	const char *status = fdt_getprop(fdt, node, "status", NULL);
	const char *mmu = fdt_getprop(fdt, node, "mmu-type", NULL);
	const char *why = NULL;
	struct isa isa;

	if (id == boot.boot_hartid)
		return true;
	if (!fdt_node_okay(fdt, node))
		why = status;
	else if (mmu && !strcmp(mmu, "riscv,none"))
		why = "without an MMU";
	else if (boot.isa.h && isa_read(fdt, node, &isa) && !isa.h)
		why = "without the H extension";
	else if (boot.nr_harts == CONFIG_NR_CPUS)
		why = "one too many (NR_CPUS, make menuconfig)";
	if (why)
		printk("hart %lu is not used: it is %s\n", id, why);
	return !why;
}

/* The id of a hart by its CPU node; false if it is no CPU node. */
static bool cpu_id(const void *fdt, int node, u64 *id)
{
	const char *type = fdt_getprop(fdt, node, "device_type", NULL);
	u64 unused;

	return type && !strcmp(type, "cpu") && node_reg(fdt, node, 0, id, &unused);
}

bool fdt_cpu_used(const void *fdt, int node)
{
	u64 id;

	if (!cpu_id(fdt, node, &id))
		return false;
	for (unsigned int i = 0; i < boot.nr_harts; i++) {
		if (boot.hartids[i] == id)
			return true;
	}
	return false;
}

/* boot.isa: what all of them have. */
static void parse_isa(const void *fdt, int cpus)
{
	struct isa isa;
	int node;

	fdt_for_each_subnode(node, fdt, cpus) {
		if (fdt_cpu_used(fdt, node) && isa_read(fdt, node, &isa))
			isa_intersect(&boot.isa, &isa);
	}
}

static void parse_cpus(const void *fdt)
{
	int cpus = fdt_path_offset(fdt, "/cpus"), node;
	u64 id;

	if (cpus < 0)
		panic("the FDT has no /cpus node");
	machine.timebase_hz = prop_u32(fdt, cpus, "timebase-frequency", 0);
	/* The boot hart is number 0: its stack and struct hart are in use already. */
	boot.hartids[0] = boot.boot_hartid;
	boot.nr_harts = 1;
	fdt_for_each_subnode(node, fdt, cpus) {
		if (!cpu_id(fdt, node, &id))
			continue;
		if (!machine.timebase_hz)
			machine.timebase_hz = prop_u32(fdt, node, "timebase-frequency", 0);
		if (id == boot.boot_hartid) {
			isa_read(fdt, node, &boot.boot_isa);
			boot.isa = boot.boot_isa;
			boot.isa_string = fdt_getprop(fdt, node, "riscv,isa", NULL);
		}
	}
	fdt_for_each_subnode(node, fdt, cpus) {
		if (cpu_id(fdt, node, &id) && cpu_usable(fdt, node, id) && id != boot.boot_hartid)
			boot.hartids[boot.nr_harts++] = id;
	}
	parse_isa(fdt, cpus);
	machine.nr_harts = boot.nr_harts;
	if (!machine.timebase_hz)
		panic("the FDT's /cpus has no timebase-frequency");
	time_init();
}

/*
 * QEMU's guest-loader writes 64-bit address and size without saying so in /chosen: the length tells.
 */
static bool module_reg(const void *fdt, int node, u64 *addr, u64 *size)
{
	int len;
	const fdt32_t *reg = fdt_getprop(fdt, node, "reg", &len);

	if (!reg || len != 16)
		return node_reg(fdt, node, 0, addr, size);
	*addr = cells(reg, 2);
	*size = cells(reg + 2, 2);
	return true;
}

static void parse_modules(const void *fdt)
{
	int chosen = fdt_path_offset(fdt, "/chosen"), node;
	const char *args;
	u64 addr, size;

	if (chosen < 0)
		return;
	args = fdt_getprop(fdt, chosen, "bootargs", NULL);
	if (args)
		pv_strlcpy(machine.cmdline, args, sizeof(machine.cmdline));
	fdt_for_each_subnode(node, fdt, chosen) {
		struct boot_module *m;

		if (!fdt_node_check_compatible(fdt, node, "multiboot,kernel"))
			m = &boot.kernel;
		else if (!fdt_node_check_compatible(fdt, node, "multiboot,ramdisk"))
			m = &boot.ramdisk;
		else
			continue;
		if (!module_reg(fdt, node, &addr, &size) || m->present)
			continue;
		m->present = true;
		m->start = addr;
		m->size = size;
		args = fdt_getprop(fdt, node, "bootargs", NULL);
		if (args)
			pv_strlcpy(m->cmdline, args, sizeof(m->cmdline));
		add_range(boot.reserved, &boot.nr_reserved, ROUND_DOWN(addr, PAGE_SIZE),
			  ROUND_UP(addr + size, PAGE_SIZE));
	}
}

static void parse_uart(const void *fdt)
{
	int chosen = fdt_path_offset(fdt, "/chosen"), node = -1;
	const char *path = chosen >= 0 ? fdt_getprop(fdt, chosen, "stdout-path", NULL) : NULL;
	const struct plic *plic;
	u64 addr, size;

	if (path) {
		const char *colon = strchr(path, ':');
		int len = colon ? colon - path : (int)strlen(path);

		node = fdt_path_offset_namelen(fdt, path, len);
	}
	if (node < 0 || fdt_node_check_compatible(fdt, node, "ns16550a"))
		node = fdt_node_offset_by_compatible(fdt, -1, "ns16550a");
	if (node < 0 || !node_reg(fdt, node, 0, &addr, &size)) {
		printk("no ns16550a UART in the FDT: output goes through the SBI console, without input\n");
		return;
	}
	boot.uart_base = addr;
	boot.uart_irq = prop_u32(fdt, node, "interrupts", 0);
	plic = plic_by_phandle(fdt_interrupt_parent(fdt, node));
	if (!plic || boot.uart_irq > plic->ndev)
		boot.uart_irq = 0;
	if (boot.uart_irq)
		boot.uart_irq += plic->first;
	boot.uart_shift = prop_u32(fdt, node, "reg-shift", 0);
	boot.uart_io_width = prop_u32(fdt, node, "reg-io-width", 1);
	fdt_get_path(fdt, node, boot.uart_path, sizeof(boot.uart_path));
}

bool fdt_is_plic(const void *fdt, int node)
{
	return !fdt_node_check_compatible(fdt, node, "riscv,plic0") ||
	       !fdt_node_check_compatible(fdt, node, "sifive,plic-1.0.0");
}

const struct plic *plic_by_phandle(u32 phandle)
{
	for (unsigned int i = 0; phandle && i < boot.nr_plics; i++) {
		if (boot.plic[i].phandle == phandle)
			return &boot.plic[i];
	}
	return NULL;
}

u32 fdt_interrupt_parent(const void *fdt, int node)
{
	for (; node >= 0; node = fdt_parent_offset(fdt, node)) {
		u32 phandle = prop_u32(fdt, node, "interrupt-parent", 0);

		if (phandle)
			return phandle;
	}
	return 0;
}

/*
 * The S-mode context of each hart: entries of interrupts-extended that name interrupt 9 of its controller.
 */
static void parse_contexts(const void *fdt, int node, struct plic *p)
{
	int len;
	const fdt32_t *ext = fdt_getprop(fdt, node, "interrupts-extended", &len);

	for (unsigned int h = 0; h < CONFIG_NR_CPUS; h++)
		p->context[h] = ~0U;
	for (int i = 0; ext && i + 1 < len / 4; i += 2) {
		int intc = fdt_node_offset_by_phandle(fdt, fdt32_to_cpu(ext[i]));
		u64 id, unused;

		if (intc < 0 || fdt32_to_cpu(ext[i + 1]) != IRQ_S_EXT ||
		    !node_reg(fdt, fdt_parent_offset(fdt, intc), 0, &id, &unused))
			continue;
		for (unsigned int h = 0; h < boot.nr_harts; h++) {
			if (boot.hartids[h] == id)
				p->context[h] = i / 2;
		}
	}
}

static void parse_plics(const void *fdt)
{
	unsigned int first = 0;

	for (int node = fdt_next_node(fdt, -1, NULL); node >= 0;
	     node = fdt_next_node(fdt, node, NULL)) {
		struct plic *p = &boot.plic[boot.nr_plics];

		if (!fdt_is_plic(fdt, node) || !fdt_node_okay(fdt, node))
			continue;
		if (boot.nr_plics == MAX_PLICS)
			panic("the FDT has more than %u PLICs", MAX_PLICS);
		if (!node_reg(fdt, node, 0, &p->base, &p->size))
			panic("a PLIC's node has no reg");
		p->phandle = fdt_get_phandle(fdt, node);
		/* As many in all as there are physical interrupts (core/event.c); what is beyond is nobody's. */
		p->ndev = min(prop_u32(fdt, node, "riscv,ndev", 0), 1023U - first);
		p->first = first;
		first += p->ndev;
		parse_contexts(fdt, node, p);
		boot.nr_plics++;
	}
	if (!boot.nr_plics)
		panic("no PLIC in the FDT (on QEMU's virt machine: leave aia=none)");
}

void fdt_parse(paddr_t fdt_pa)
{
	const void *fdt = pa_to_va(fdt_pa);
	u64 size;
	int node;

	if (fdt_check_header(fdt))
		panic("no FDT at %lx: the firmware must pass one in a1", fdt_pa);
	boot.fdt = fdt;
	boot.fdt_size = fdt_totalsize(fdt);
	/* First, so that a panic about the rest ends the machine with its status. */
	node = fdt_node_offset_by_compatible(fdt, -1, "sifive,test0");
	if (node < 0)
		node = fdt_node_offset_by_compatible(fdt, -1, "sifive,test1");
	if (node >= 0)
		node_reg(fdt, node, 0, &boot.test_base, &size);
	parse_memory(fdt);
	add_range(boot.reserved, &boot.nr_reserved, ROUND_DOWN(fdt_pa, PAGE_SIZE),
		  ROUND_UP(fdt_pa + boot.fdt_size, PAGE_SIZE));
	add_range(boot.reserved, &boot.nr_reserved, image_pa,
		  ROUND_UP(image_pa + (image_end - image_start), 2UL << 20));
	parse_cpus(fdt);
	parse_modules(fdt);
	parse_plics(fdt);
	parse_uart(fdt);
}

const char *cmdline_get(const char *name, char *buf, size_t size)
{
	size_t len = strlen(name);
	const char *s = machine.cmdline;

	while (*s) {
		const char *end;

		while (*s == ' ')
			s++;
		for (end = s; *end && *end != ' '; end++)
			;
		if (!strncmp(s, name, len) && (s[len] == '=' || s + len == end)) {
			const char *value = s[len] == '=' ? s + len + 1 : end;

			pv_strlcpy(buf, value, min(size, (size_t)(end - value) + 1));
			return buf;
		}
		s = end;
	}
	return NULL;
}
