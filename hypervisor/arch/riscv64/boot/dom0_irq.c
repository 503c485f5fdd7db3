/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interrupts in dom0's FDT: one PV controller (docs/abi.md, "Physical interrupts") stands for all PLICs. What named a source
 * of another than the first names the physical interrupt's number at that one instead.
 */
#include <arch.h>
#include <boot/dom0.h>
#include <lib.h>
#include <libfdt.h>

static u32 cells_prop(const void *fdt, int node, const char *name, u32 fallback)
{
	int len;
	const fdt32_t *p = fdt_getprop(fdt, node, name, &len);

	return p && len >= 4 ? fdt32_to_cpu(*p) : fallback;
}

static void add(fdt32_t *p, u32 n)
{
	*p = cpu_to_fdt32(fdt32_to_cpu(*p) + n);
}

/* A pair of phandle and specifier, if it is one of another PLIC's. */
static void to_first(fdt32_t *phandle, fdt32_t *source)
{
	const struct plic *plic = plic_by_phandle(fdt32_to_cpu(*phandle));

	if (plic && plic->first) {
		*phandle = cpu_to_fdt32(boot.plic[0].phandle);
		add(source, plic->first);
	}
}

static void edit_interrupts(void *fdt, int node)
{
	const struct plic *plic = plic_by_phandle(fdt_interrupt_parent(fdt, node));
	int len;
	fdt32_t *p = fdt_getprop_w(fdt, node, "interrupts", &len);

	for (int i = 0; p && plic && i < len / 4; i++)
		add(p + i, plic->first);
}

static void edit_parent(void *fdt, int node)
{
	int len;
	fdt32_t *p = fdt_getprop_w(fdt, node, "interrupt-parent", &len);

	if (p && len >= 4 && plic_by_phandle(fdt32_to_cpu(*p)))
		*p = cpu_to_fdt32(boot.plic[0].phandle);
}

static void edit_extended(void *fdt, int node)
{
	int len, i = 0;
	fdt32_t *p = fdt_getprop_w(fdt, node, "interrupts-extended", &len);

	while (p && i + 1 < len / 4) {
		int parent = fdt_node_offset_by_phandle(fdt, fdt32_to_cpu(p[i]));

		to_first(p + i, p + i + 1);
		i += 1 + (parent < 0 ? 1 : cells_prop(fdt, parent, "#interrupt-cells", 1));
	}
}

/* An entry: unit address and specifier of the child, phandle, unit address and specifier of the parent. */
static void edit_map(void *fdt, int node)
{
	u32 child = cells_prop(fdt, node, "#address-cells", 2) +
		    cells_prop(fdt, node, "#interrupt-cells", 1);
	int len;
	fdt32_t *p = fdt_getprop_w(fdt, node, "interrupt-map", &len);

	for (u32 i = 0; p && i + child + 1 < (u32)len / 4;) {
		int parent = fdt_node_offset_by_phandle(fdt, fdt32_to_cpu(p[i + child]));
		u32 address, size;

		if (parent < 0)
			return;
		address = cells_prop(fdt, parent, "#address-cells", 0);
		size = child + 1 + address + cells_prop(fdt, parent, "#interrupt-cells", 1);
		if (i + size > (u32)len / 4)
			return;
		/* The PV controller has no addresses. */
		if (!address)
			to_first(p + i + child, p + i + child + 1);
		i += size;
	}
}

static int pv_controller(void *fdt)
{
	int node = fdt_node_offset_by_phandle(fdt, boot.plic[0].phandle);

	TRY(node);
	fdt_delprop(fdt, node, "reg");
	fdt_delprop(fdt, node, "interrupts-extended");
	TRY(fdt_setprop_string(fdt, node, "compatible", "pavise,pirq"));
	TRY(fdt_setprop_u32(fdt, node, "riscv,ndev", arch_nr_pirqs() - 1));
	TRY(fdt_setprop_u32(fdt, node, "#interrupt-cells", 1));
	return fdt_setprop_u32(fdt, node, "#address-cells", 0);
}

int dom0_fdt_interrupts(void *fdt)
{
	int node;

	/* With all controllers in it still, which tell how long a specifier is. */
	for (node = 0; node >= 0; node = fdt_next_node(fdt, node, NULL)) {
		if (fdt_is_plic(fdt, node))
			continue;
		edit_interrupts(fdt, node);
		edit_extended(fdt, node);
		edit_map(fdt, node);
	}
	/* After that, for nodes below may have it from above. */
	for (node = 0; node >= 0; node = fdt_next_node(fdt, node, NULL))
		edit_parent(fdt, node);
	for (unsigned int i = 1; i < boot.nr_plics; i++) {
		node = fdt_node_offset_by_phandle(fdt, boot.plic[i].phandle);
		TRY(node);
		TRY(fdt_del_node(fdt, node));
	}
	return pv_controller(fdt);
}
