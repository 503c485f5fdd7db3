/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own address space (Sv39): its image with W^X and guard pages below each stack,
 * RAM as data, the devices it owns, and the frame table.
 */
#include <arch.h>
#include <console.h>
#include <lib.h>
#include <page.h>

static u64 *root;
static paddr_t early_next, early_end; /* bump allocator for tables and the frame table */
struct page *frame_table;
mfn_t frame_base, frame_end;

paddr_t va_to_pa(const void *va)
{
	u64 v = (u64)va;

	if (v >= IMAGE_VA)
		return v - IMAGE_VA + image_pa;
	return v - DIRECT_VA;
}

mfn_t arch_virt_to_mfn(const void *v)
{
	return va_to_pa(v) >> PAGE_SHIFT;
}

static void *early_alloc(u64 size)
{
	paddr_t pa = early_next;

	early_next += ROUND_UP(size, PAGE_SIZE);
	BUG_ON(early_next > early_end);
	memset(pa_to_va(pa), 0, ROUND_UP(size, PAGE_SIZE));
	return pa_to_va(pa);
}

/* level 2: 1 GiB, 1: 2 MiB, 0: 4 KiB */
static void map_one(u64 va, paddr_t pa, unsigned int level, u64 prot)
{
	u64 *table = root;

	for (unsigned int l = 2;; l--) {
		u64 *pte = &table[va >> (PAGE_SHIFT + 9 * l) & 511];

		if (l == level) {
			*pte = pa >> PAGE_SHIFT << PTE_PPN_SHIFT | prot | PTE_A | PTE_D | PTE_G |
			       PTE_V;
			return;
		}
		if (!(*pte & PTE_V))
			*pte = va_to_pa(early_alloc(PAGE_SIZE)) >> PAGE_SHIFT << PTE_PPN_SHIFT |
			       PTE_V;
		table = pa_to_va((*pte & PTE_PPN_MASK) >> PTE_PPN_SHIFT << PAGE_SHIFT);
	}
}

static void map_range(u64 va, paddr_t pa, u64 size, u64 prot)
{
	while (size) {
		unsigned int level = 2;

		while (level && (!IS_ALIGNED(va | pa, PAGE_SIZE << 9 * level) ||
				 size < PAGE_SIZE << 9 * level))
			level--;
		map_one(va, pa, level, prot);
		va += PAGE_SIZE << 9 * level;
		pa += PAGE_SIZE << 9 * level;
		size -= min(size, PAGE_SIZE << 9 * level);
	}
}

static void map_direct(paddr_t start, paddr_t end)
{
	start = ROUND_DOWN(start, PAGE_SIZE);
	end = ROUND_UP(end, PAGE_SIZE);
	map_range(DIRECT_VA + start, start, end - start, PTE_R | PTE_W);
}

static bool overlaps_reserved(paddr_t start, paddr_t end, paddr_t *skip_to)
{
	for (unsigned int i = 0; i < boot.nr_reserved; i++) {
		if (boot.reserved[i].start < end && boot.reserved[i].end > start) {
			*skip_to = boot.reserved[i].end;
			return true;
		}
	}
	return false;
}

/*
 * A free piece of RAM for tables and the frame table, before there is a heap. It becomes reserved.
 */
static void early_init(u64 size)
{
	for (unsigned int i = 0; i < boot.nr_mem; i++) {
		paddr_t pos = ROUND_UP(boot.mem[i].start, PAGE_SIZE);

		while (pos + size <= boot.mem[i].end) {
			paddr_t skip = 0;

			if (!overlaps_reserved(pos, pos + size, &skip)) {
				early_next = pos;
				early_end = pos + size;
				return;
			}
			pos = ROUND_UP(skip, PAGE_SIZE);
		}
	}
	panic("no %lu KiB of free memory for the frame table: give the machine more (QEMU: -m 512M)",
	      size >> 10);
}

static void map_image(void)
{
	u64 va;

	map_range(IMAGE_VA, image_pa, text_end - image_start, PTE_R | PTE_X);
	map_range((u64)text_end, va_to_pa(text_end), rodata_end - text_end, PTE_R);
	map_range((u64)rodata_end, va_to_pa(rodata_end), stacks_start - rodata_end, PTE_R | PTE_W);
	for (va = (u64)stacks_start; va < (u64)stacks_end; va += STACK_GUARD + STACK_SIZE)
		map_range(va + STACK_GUARD, va_to_pa((void *)(va + STACK_GUARD)), STACK_SIZE,
			  PTE_R | PTE_W);
	if ((u64)image_end > (u64)stacks_end)
		map_range((u64)stacks_end, va_to_pa(stacks_end), image_end - stacks_end,
			  PTE_R | PTE_W);
}

void mm_init(void)
{
	paddr_t image_res_end = ROUND_UP(image_pa + (image_end - image_start), 2UL << 20);
	u64 frames, size;

	frame_base = ~0ULL;
	for (unsigned int i = 0; i < boot.nr_mem; i++) {
		frame_base = min(frame_base, boot.mem[i].start >> PAGE_SHIFT);
		frame_end = max(frame_end, boot.mem[i].end >> PAGE_SHIFT);
	}
	frames = frame_end - frame_base;
	size = ROUND_UP(frames * sizeof(struct page), PAGE_SIZE);
	early_init(size + 256 * PAGE_SIZE);
	if (boot.nr_reserved == MAX_RANGES)
		panic("the FDT lists more than %u reserved ranges", MAX_RANGES - 1);
	boot.reserved[boot.nr_reserved].start = early_next;
	boot.reserved[boot.nr_reserved++].end = early_end;
	frame_table = early_alloc(size);
	/*
	 * Until the heap gets them: firmware, modules and image stay so, and are nobody's to give away.
	 */
	for (unsigned int i = 0; i < boot.nr_mem; i++) {
		for (mfn_t m = boot.mem[i].start >> PAGE_SHIFT; m < boot.mem[i].end >> PAGE_SHIFT;
		     m++)
			frame_table[m - frame_base].state = PAGE_HYP;
	}
	root = early_alloc(PAGE_SIZE);
	map_image();
	for (unsigned int i = 0; i < boot.nr_mem; i++) {
		/* No second, writable view of the image. */
		if (image_pa >= boot.mem[i].start && image_pa < boot.mem[i].end) {
			map_direct(boot.mem[i].start, image_pa);
			map_direct(image_res_end, boot.mem[i].end);
		} else {
			map_direct(boot.mem[i].start, boot.mem[i].end);
		}
	}
	for (unsigned int i = 0; i < boot.nr_plics; i++)
		map_direct(boot.plic[i].base, boot.plic[i].base + boot.plic[i].size);
	if (boot.uart_base)
		map_direct(boot.uart_base, boot.uart_base + 0x100);
	if (boot.test_base)
		map_direct(boot.test_base, boot.test_base + 4);
	mm_enable();
}

void mm_enable(void)
{
	csr_write(CSR_SATP, SATP_MODE_SV39 << SATP_MODE_SHIFT | va_to_pa(root) >> PAGE_SHIFT);
	sfence_vma_all();
}
