/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who sets A and D of second-stage leaves on this hart? A log of what a guest writes goes by D (RISC-V Privileged Specification,
 * "Addressing and Memory Protection", on A and D; Svade, Svadu). QEMU 7.2 sets them, but its walk of a guest's tables writes A and D there
 * through a leaf that is not marked, or does not even allow it.
 */
#include <arch.h>
#include <lib.h>
#include <lock.h>

#define WORDS (PAGE_SIZE / sizeof(u64))
#define RIGHTS (PTE_R | PTE_W | PTE_U)
#define BOTH (PTE_A | PTE_D)

/* Guest physical pages */
enum { PAGE, ROOT, MIDDLE, LEAVES, NR_PAGES };

/*
 * A guest with so many pages, from address 0 on. The lower tables are in pages of the root that stand for addresses from 512 GiB on, which
 * nobody asks for. In its own tables, Sv39, address 0 is PAGE.
 */
static struct {
	u64 root[WORDS], middle[WORDS], leaves[WORDS], unused[WORDS];
	u64 page[NR_PAGES][WORDS];
} guest __aligned(16384);

/* Hardware writes to it: one hart at a time. */
static struct spinlock lock = SPINLOCK_INIT(LOCK_P2M);

static u64 entry(const void *to, u64 bits)
{
	return va_to_pa(to) >> PAGE_SHIFT << PTE_PPN_SHIFT | bits | PTE_V;
}

static void prepare(void)
{
	guest.root[0] = entry(guest.middle, 0);
	guest.middle[0] = entry(guest.leaves, 0);
	for (unsigned int i = 0; i < NR_PAGES; i++)
		guest.leaves[i] = entry(guest.page[i], RIGHTS | BOTH);
	guest.page[ROOT][0] = (u64)MIDDLE << PTE_PPN_SHIFT | PTE_V;
	guest.page[MIDDLE][0] = (u64)LEAVES << PTE_PPN_SHIFT | PTE_V;
}

static void forget(void)
{
	hfence_gvma_all();
	hfence_vvma_all();
}

/* The guest reads or writes its address 0. false: it faults. */
static bool touch(bool write)
{
	bool ok;

	forget();
	ok = ad_touch(write);
	/* What the hart wrote on the way stands before what comes. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	forget();
	return ok;
}

/* With a leaf of the page that has these bits of A and D: does an access set the one that is missing? */
static u32 leaf_trial(u64 has, u64 missing, bool write)
{
	guest.leaves[PAGE] = entry(guest.page[PAGE], RIGHTS | has);
	if (!touch(write))
		return AD_FAULTS;
	return READ_ONCE(guest.leaves[PAGE]) & missing ? AD_SETS : AD_IGNORES;
}

/*
 * A write of the guest's through its own tables, whose last one is behind this leaf: when the hart sets A and D there, is that seen in
 * the leaf?
 */
static u32 walk_trial(u64 rights)
{
	u64 own, leaf;

	guest.leaves[PAGE] = entry(guest.page[PAGE], RIGHTS | BOTH);
	guest.leaves[LEAVES] = entry(guest.page[LEAVES], rights);
	guest.page[LEAVES][0] = PTE_V | RIGHTS;
	csr_write(CSR_VSATP, SATP_MODE_SV39 << SATP_MODE_SHIFT | ROOT);
	touch(true);
	csr_write(CSR_VSATP, 0);
	own = READ_ONCE(guest.page[LEAVES][0]);
	leaf = READ_ONCE(guest.leaves[LEAVES]);
	if (!(own & BOTH))
		return 0;
	if (!(rights & PTE_W))
		return AD_WALK_IGNORES_W;
	if (leaf & PTE_D)
		return 0;
	return AD_WALK_IGNORES_D | (leaf & PTE_A ? 0 : AD_WALK_IGNORES_A);
}

u32 ad_trial(bool henvcfg, bool sv39)
{
	u64 old = henvcfg ? csr_read(CSR_HENVCFG) : 0;
	u32 found;

	spin_lock(&lock);
	prepare();
	/* No guest has ADUE (guest-cpu.h), whatever firmware left there. */
	if (henvcfg)
		csr_write(CSR_HENVCFG, 0);
	csr_write(CSR_VSATP, 0);
	csr_write(CSR_HGATP,
		  SATP_MODE_SV39 << SATP_MODE_SHIFT | va_to_pa(guest.root) >> PAGE_SHIFT);
	found = leaf_trial(0, PTE_A, false) | leaf_trial(PTE_A, PTE_D, true);
	if (sv39)
		found |= walk_trial(RIGHTS) | walk_trial(PTE_R | PTE_U | PTE_A);
	csr_write(CSR_HGATP, 0);
	forget();
	spin_unlock(&lock);
	if (henvcfg)
		csr_write(CSR_HENVCFG, old);
	return found;
}

void ad_describe(u32 found, char *text, size_t size)
{
	pv_snprintf(text, size, "%s%s%s%s%s%s", found & AD_SETS ? "set by hardware" : "",
		    found & AD_FAULTS ? found & AD_SETS ? " or a fault" : "a fault" : "",
		    found & AD_IGNORES ? ", ignored" : "",
		    found & AD_WALK_IGNORES_D ? ", no D for walks of guests' tables" : "",
		    found & AD_WALK_IGNORES_A ? ", nor A" : "",
		    found & AD_WALK_IGNORES_W ? ", which write where they must not" : "");
}
