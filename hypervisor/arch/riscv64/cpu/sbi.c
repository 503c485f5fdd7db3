/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls to the machine's SBI (RISC-V SBI specification 1.0 and later).
 */
#include <arch.h>
#include <console.h>
#include <lib.h>

#define SBI_EXT_LEGACY_PUTCHAR 0x1
#define SBI_EXT_TIME 0x54494D45
#define SBI_EXT_IPI 0x735049
#define SBI_EXT_RFENCE 0x52464E43

struct sbiret sbi_call(u64 ext, u64 fid, u64 arg0, u64 arg1, u64 arg2, u64 arg3, u64 arg4)
{
	register u64 a0 __asm__("a0") = arg0;
	register u64 a1 __asm__("a1") = arg1;
	register u64 a2 __asm__("a2") = arg2;
	register u64 a3 __asm__("a3") = arg3;
	register u64 a4 __asm__("a4") = arg4;
	register u64 a6 __asm__("a6") = fid;
	register u64 a7 __asm__("a7") = ext;

	__asm__ volatile("ecall"
			 : "+r"(a0), "+r"(a1)
			 : "r"(a2), "r"(a3), "r"(a4), "r"(a6), "r"(a7)
			 : "memory");
	return (struct sbiret){ (long)a0, (long)a1 };
}

void sbi_putchar_early(char c)
{
	sbi_call(SBI_EXT_LEGACY_PUTCHAR, 0, (u8)c, 0, 0, 0, 0);
}

void sbi_set_timer(u64 ticks)
{
	sbi_call(SBI_EXT_TIME, 0, ticks, 0, 0, 0, 0);
}

void sbi_send_ipi(u64 hartid)
{
	sbi_call(SBI_EXT_IPI, 0, 1, hartid, 0, 0, 0);
}

/*
 * A guest chooses start and size of its own fences, and firmware may refuse some of those: then all is fenced. That cannot
 * fail, and if it does, memory that was taken from a guest is still in its reach.
 */
static void remote_fence(unsigned int fid, u64 bits, u64 base, u64 start, u64 size, u64 asid)
{
	struct sbiret r = sbi_call(SBI_EXT_RFENCE, fid, bits, base, start, size, asid);

	if (!r.error)
		return;
	if (fid == RFENCE_HFENCE_VVMA_ASID)
		fid = RFENCE_HFENCE_VVMA;
	r = sbi_call(SBI_EXT_RFENCE, fid, bits, base, 0, ~0ULL, 0);
	if (r.error)
		panic("the firmware does not fence harts %lx (from %lu on): SBI error %ld", bits,
		      base, r.error);
}

/*
 * Hart ids may be sparse, the SBI's mask is relative to a base: one call for each run that fits
 * into a word.
 */
void sbi_remote_fence(unsigned int fid, u64 hart_mask, u64 start, u64 size, u64 asid)
{
	while (hart_mask) {
		u64 base = ~0ULL, bits = 0;

		for (unsigned int i = 0; i < boot.nr_harts; i++) {
			if (hart_mask & BIT(i))
				base = min(base, harts[i].hartid);
		}
		for (unsigned int i = 0; i < boot.nr_harts; i++) {
			if (hart_mask & BIT(i) && harts[i].hartid - base < 64) {
				bits |= BIT(harts[i].hartid - base);
				hart_mask &= ~BIT(i);
			}
		}
		remote_fence(fid, bits, base, start, size, asid);
	}
}

void sbi_check_fences(void)
{
	static const u8 fids[] = { RFENCE_FENCE_I, RFENCE_HFENCE_GVMA, RFENCE_HFENCE_VVMA_ASID,
				   RFENCE_HFENCE_VVMA };

	for (unsigned int i = 0; i < ARRAY_SIZE(fids); i++) {
		struct sbiret r =
			sbi_call(SBI_EXT_RFENCE, fids[i], 1, this_hart()->hartid, 0, ~0ULL, 0);

		if (r.error)
			panic("the firmware's SBI has no remote fence %u (error %ld): guests would keep what was "
			      "taken from them",
			      fids[i], r.error);
	}
}
