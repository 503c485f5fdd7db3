/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does this hart do with VMIDs what the specification says? QEMU 7.2 takes them, and goes on with the last guest's
 * translations.
 */
#include <arch.h>
#include <lib.h>

#define WORDS (PAGE_SIZE / sizeof(u64))

/*
 * A guest with one page, at address 0. The lower tables are in pages of the root that stand for addresses from 512 GiB on, and so is
 * the page itself: nobody asks for those.
 */
struct guest {
	u64 root[WORDS], middle[WORDS], leaves[WORDS], page[WORDS];
};

static struct guest guests[2] __aligned(16384);
static u64 nowhere[4 * WORDS] __aligned(16384); /* never written */

static u64 hgatp_of(const void *root, u32 nr)
{
	return SATP_MODE_SV39 << SATP_MODE_SHIFT | (u64)nr << HGATP_VMID_SHIFT |
	       va_to_pa(root) >> PAGE_SHIFT;
}

u64 vmid_nowhere(u32 nr)
{
	return hgatp_of(nowhere, nr);
}

static u64 entry(const void *to, u64 bits)
{
	return va_to_pa(to) >> PAGE_SHIFT << PTE_PPN_SHIFT | bits | PTE_V;
}

/* The boot hart is the first, and alone; the others find what it wrote. */
static void prepare(void)
{
	for (unsigned int i = 0; i < 2 && !guests[i].page[0]; i++) {
		struct guest *g = &guests[i];

		g->root[0] = entry(g->middle, 0);
		g->middle[0] = entry(g->leaves, 0);
		g->leaves[0] = entry(g->page, PTE_R | PTE_U | PTE_A | PTE_D);
		g->page[0] = 2 * (i + 1); /* not V */
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* What the guest in hgatp has at address 0; 0: it faults. */
static u64 read(void)
{
	u64 v = 0;

	/* hlv.d */
	__asm__ volatile("1: .insn r 0x73, 4, 0x36, %0, %1, x0\n"
			 "2:\n"
			 ".pushsection .extable, \"a\"\n"
			 ".balign 8\n.dword 1b, 2b\n"
			 ".popsection\n"
			 : "+r"(v)
			 : "r"(0UL)
			 : "memory");
	return v;
}

/* With guest i's tables under number nr: is that what is read? */
static bool sees(unsigned int i, u32 nr)
{
	csr_write(CSR_HGATP, hgatp_of(&guests[i], nr));
	return read() == guests[i].page[0];
}

static void all_gone(void)
{
	hfence_gvma_all();
	for (u32 nr = 0; nr < 2; nr++) {
		csr_write(CSR_HGATP, vmid_nowhere(nr));
		hfence_vvma_all();
	}
}

bool vmid_trial(void)
{
	bool good;

	prepare();
	csr_write(CSR_VSATP, 0);
	all_gone();
	good = sees(0, 0) && sees(1, 1) && sees(0, 0) && sees(1, 1);
	/* One number for two guests, as it comes to be: the fence that forgets the first need not forget the other number's. */
	hfence_gvma_vmid(1);
	hfence_vvma_all();
	good = good && sees(0, 1) && sees(0, 0);
	csr_write(CSR_HGATP, vmid_nowhere(0));
	good = good && !read();
	all_gone();
	csr_write(CSR_HGATP, 0);
	return good;
}
