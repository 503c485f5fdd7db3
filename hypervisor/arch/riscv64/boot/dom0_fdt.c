/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The FDT that dom0 gets: the machine's, less what the hypervisor owns, with the PV interrupt
 * controller in the PLIC's place and /hypervisor added (docs/abi.md, "Start"). Also the list of
 * device addresses in it.
 */
#include <arch.h>
#include <boot/dom0.h>
#include <console.h>
#include <lib.h>
#include <libfdt.h>

/* Nodes that dom0 must not see: with them it could drive what the hypervisor drives. */
static const char *const owned[] = {
	"riscv,clint0",	       "sifive,clint0", "riscv,aclint-mswi", "riscv,aclint-sswi",
	"riscv,aclint-mtimer", "sifive,test0",	"sifive,test1",	     "syscon-poweroff",
	"syscon-reboot",       "riscv,pmu",	"riscv,imsics",	     "riscv,aplic",
};

static bool is_owned(const void *fdt, int node)
{
	char path[64];

	for (unsigned int i = 0; i < ARRAY_SIZE(owned); i++) {
		if (!fdt_node_check_compatible(fdt, node, owned[i]))
			return true;
	}
	return boot.uart_path[0] && !fdt_get_path(fdt, node, path, sizeof(path)) &&
	       !strcmp(path, boot.uart_path);
}

/* ---- device addresses ---- */

struct dev_list {
	struct device_range *dev;
	unsigned int n, max;
};

static void add_dev(struct dev_list *l, u64 start, u64 size, bool give)
{
	if (!size)
		return;
	if (l->n < l->max)
		l->dev[l->n] = (struct device_range){ start, start + size, give };
	l->n++;
}

static u64 cells(const fdt32_t *p, int n)
{
	u64 v = 0;

	while (n-- > 0)
		v = v << 32 | fdt32_to_cpu(*p++);
	return v;
}

static void node_ranges(const void *fdt, int node, int ac, int sc, struct dev_list *l)
{
	bool give = !is_owned(fdt, node) && !fdt_is_plic(fdt, node) && fdt_node_okay(fdt, node);
	const char *type = fdt_getprop(fdt, node, "device_type", NULL);
	const fdt32_t *p;
	int len;

	if (type && (!strcmp(type, "memory") || !strcmp(type, "cpu")))
		return;
	p = fdt_getprop(fdt, node, "reg", &len);
	for (int i = 0; p && (i + 1) * (ac + sc) * 4 <= len; i++)
		add_dev(l, cells(p + i * (ac + sc), ac), cells(p + i * (ac + sc) + ac, sc), give);
	/* PCI windows: child address (3 cells), CPU address, size (2 cells) */
	if (!type || strcmp(type, "pci"))
		return;
	p = fdt_getprop(fdt, node, "ranges", &len);
	for (int i = 0; p && (i + 1) * (3 + ac + 2) * 4 <= len; i++)
		add_dev(l, cells(p + i * (5 + ac) + 3, ac), cells(p + i * (5 + ac) + 3 + ac, 2),
			give);
}

/* Children of the root and of 1:1 buses (empty ranges). */
static void bus_ranges(const void *fdt, int bus, unsigned int depth, struct dev_list *l)
{
	int ac = fdt_address_cells(fdt, bus), sc = fdt_size_cells(fdt, bus), node, len;

	fdt_for_each_subnode(node, fdt, bus) {
		const char *name = fdt_get_name(fdt, node, NULL);

		if (!strcmp(name, "cpus") || !strcmp(name, "chosen") ||
		    !strcmp(name, "reserved-memory"))
			continue;
		node_ranges(fdt, node, ac, sc, l);
		if (depth < 4 && fdt_getprop(fdt, node, "ranges", &len) && !len)
			bus_ranges(fdt, node, depth + 1, l);
	}
}

unsigned int dom0_devices(struct device_range *dev, unsigned int max)
{
	struct dev_list l = { dev, 0, max };

	bus_ranges(boot.fdt, 0, 0, &l);
	return l.n;
}

/* ---- edits ---- */

/* Offsets move with each deletion, so the search starts again after one. */
static int delete_owned(void *fdt)
{
	int node = 0, depth = 0;

	while ((node = fdt_next_node(fdt, node, &depth)) >= 0 && depth >= 0) {
		const char *type = fdt_getprop(fdt, node, "device_type", NULL);
		const char *name = fdt_get_name(fdt, node, NULL);

		if (!is_owned(fdt, node) && !(type && !strcmp(type, "memory")) &&
		    strcmp(name, "reserved-memory") && strcmp(name, "cpu-map"))
			continue;
		TRY(fdt_del_node(fdt, node));
		node = 0;
		depth = 0;
	}
	return 0;
}

/*
 * A seed for where dom0's kernel puts itself (RANDOMIZE_BASE): firmware's own, or one out of firmware's rng-seed, new at each
 * boot like that. It tells nothing of the rng-seed, which dom0 gets as well and takes for entropy.
 */
static int add_kaslr_seed(void *fdt, int chosen)
{
	int len;
	const fdt64_t *given = fdt_getprop(fdt, chosen, "kaslr-seed", &len);
	const u8 *rng;

	if (given && len == sizeof(*given) && fdt64_ld(given))
		return 0;
	rng = fdt_getprop(fdt, chosen, "rng-seed", &len);
	if (!rng || len < SIPHASH_KEY) {
		printk("no rng-seed from the firmware: Domain 0's kernel stays where it was linked\n");
		return 0;
	}
	return fdt_setprop_u64(fdt, chosen, "kaslr-seed",
			       siphash(rng, rng + SIPHASH_KEY, len - SIPHASH_KEY));
}

/* Linux wipes the seeds in its FDT when it has read them; firmware's stays in memory, and has them no longer either. */
static void wipe_seeds(void)
{
	static const char *const seeds[] = { "rng-seed", "kaslr-seed" };
	int chosen = fdt_path_offset(boot.fdt, "/chosen"), len;

	for (unsigned int i = 0; i < ARRAY_SIZE(seeds); i++) {
		const void *p = fdt_getprop(boot.fdt, chosen, seeds[i], &len);

		if (p)
			memset((void *)p, 0, len);
	}
}

static int edit_chosen(void *fdt, const struct dom0_layout *l)
{
	int chosen = fdt_path_offset(fdt, "/chosen"), node;

	TRY(chosen);
	TRY(add_kaslr_seed(fdt, chosen));
	for (;;) {
		node = fdt_first_subnode(fdt, chosen);
		if (node < 0)
			break;
		TRY(fdt_del_node(fdt, node));
	}
	fdt_delprop(fdt, chosen, "stdout-path");
	TRY(fdt_setprop_string(fdt, chosen, "bootargs", l->cmdline));
	if (l->initrd_end) {
		TRY(fdt_setprop_u64(fdt, chosen, "linux,initrd-start", l->initrd_start));
		TRY(fdt_setprop_u64(fdt, chosen, "linux,initrd-end", l->initrd_end));
	}
	return 0;
}

static int edit_cpu(void *fdt, int node, unsigned int i)
{
	static char isa[ISA_SIZE];
	char name[16];

	if (fdt_getprop(fdt, node, "riscv,isa", NULL))
		TRY(fdt_setprop(fdt, node, "riscv,isa", isa, isa_write(&boot.isa, false, isa)));
	if (fdt_getprop(fdt, node, "riscv,isa-extensions", NULL))
		TRY(fdt_setprop(fdt, node, "riscv,isa-extensions", isa,
				isa_write(&boot.isa, true, isa)));
	/* The boot hart is in use whatever its node says. */
	fdt_delprop(fdt, node, "status");
	TRY(fdt_setprop_u32(fdt, node, "reg", i));
	pv_snprintf(name, sizeof(name), "cpu@%x", i);
	return fdt_set_name(fdt, node, name);
}

/* The first CPU node that is not to be one of dom0's; negative: none. */
static int other_cpu(const void *fdt, int cpus, unsigned int nr_vcpus)
{
	unsigned int kept = 0;
	int node;

	fdt_for_each_subnode(node, fdt, cpus) {
		const char *type = fdt_getprop(fdt, node, "device_type", NULL);

		if (!type || strcmp(type, "cpu"))
			continue;
		if (!fdt_cpu_used(fdt, node) || kept == nr_vcpus)
			return node;
		kept++;
	}
	return -FDT_ERR_NOTFOUND;
}

/*
 * As many CPU nodes as dom0 has vCPUs, all alike but for their numbers: which hart a vCPU runs on changes. Before the first
 * is renumbered the others have gone, for theirs are the harts' numbers.
 */
static int edit_cpus(void *fdt, unsigned int nr_vcpus)
{
	int cpus = fdt_path_offset(fdt, "/cpus"), node;
	unsigned int i = 0;

	TRY(cpus);
	while ((node = other_cpu(fdt, cpus, nr_vcpus)) >= 0)
		TRY(fdt_del_node(fdt, node));
	fdt_for_each_subnode(node, fdt, cpus) {
		const char *type = fdt_getprop(fdt, node, "device_type", NULL);

		if (type && !strcmp(type, "cpu"))
			TRY(edit_cpu(fdt, node, i++));
	}
	return 0;
}

static int put_range(void *fdt, int node, const char *prop, const struct range *r)
{
	TRY(fdt_appendprop_u64(fdt, node, prop, r->start));
	return fdt_appendprop_u64(fdt, node, prop, r->end - r->start);
}

static int add_memory(void *fdt, const struct dom0_layout *l)
{
	char name[32];
	int node;

	pv_snprintf(name, sizeof(name), "memory@%lx", l->bank[0].start);
	node = fdt_add_subnode(fdt, 0, name);
	TRY(node);
	TRY(fdt_setprop_string(fdt, node, "device_type", "memory"));
	for (unsigned int i = 0; i < l->nr_banks; i++)
		TRY(put_range(fdt, node, "reg", &l->bank[i]));
	return 0;
}

/* phandle of the first CPU's interrupt controller */
static u32 cpu_intc(const void *fdt)
{
	int cpu0 = fdt_path_offset(fdt, "/cpus/cpu@0"), node;

	fdt_for_each_subnode(node, fdt, cpu0) {
		if (!fdt_node_check_compatible(fdt, node, "riscv,cpu-intc"))
			return fdt_get_phandle(fdt, node);
	}
	return 0;
}

static int add_hypervisor(void *fdt, const struct dom0_layout *l)
{
	static const char compatible[] = "xen,xen-4.17\0xen,xen";
	u32 intc = cpu_intc(fdt);
	int node = fdt_add_subnode(fdt, 0, "hypervisor");

	TRY(node);
	TRY(fdt_setprop(fdt, node, "compatible", compatible, sizeof(compatible)));
	TRY(put_range(fdt, node, "reg", &l->grant));
	if (l->has_ext)
		TRY(put_range(fdt, node, "reg", &l->ext));
	TRY(fdt_appendprop_u32(fdt, node, "interrupts-extended", intc));
	TRY(fdt_appendprop_u32(fdt, node, "interrupts-extended", GUEST_EVTCHN_INTERRUPT));
	return fdt_setprop_u64(fdt, node, "pavise,shared-info", l->shared_info);
}

int dom0_fdt_make(void *buf, int size, const struct dom0_layout *l)
{
	TRY(fdt_open_into(boot.fdt, buf, size));
	TRY(edit_chosen(buf, l));
	TRY(delete_owned(buf));
	TRY(dom0_fdt_interrupts(buf));
	TRY(edit_cpus(buf, l->nr_vcpus));
	TRY(add_memory(buf, l));
	TRY(add_hypervisor(buf, l));
	/* The firmware's reservations are not in dom0's RAM. */
	while (fdt_num_mem_rsv(buf) > 0)
		TRY(fdt_del_mem_rsv(buf, 0));
	wipe_seeds();
	return fdt_pack(buf);
}
