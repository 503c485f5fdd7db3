/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the compiler calls where RV64IMAC lacks an instruction. (The cross compiler's libgcc is for
 * the lp64d ABI, the hypervisor uses no floating point.)
 */
#include <types.h>

u32 __bswapsi2(u32 x);
u64 __bswapdi2(u64 x);
int __clzdi2(u64 x);
int __ctzdi2(u64 x);
u8 __atomic_exchange_1(volatile void *p, u8 v, int order);

u32 __bswapsi2(u32 x)
{
	x = (x & 0x00ff00ffU) << 8 | (x >> 8 & 0x00ff00ffU);
	return x << 16 | x >> 16;
}

u64 __bswapdi2(u64 x)
{
	return (u64)__bswapsi2(x) << 32 | __bswapsi2(x >> 32);
}

int __clzdi2(u64 x)
{
	int n = 0;

	for (int step = 32; step; step >>= 1) {
		if (!(x >> (64 - step))) {
			n += step;
			x <<= step;
		}
	}
	return n;
}

int __ctzdi2(u64 x)
{
	return 63 - __clzdi2(x & -x);
}

/* There are AMOs for words only; the byte's neighbours are kept by compare-and-swap. */
u8 __atomic_exchange_1(volatile void *p, u8 v, int order)
{
	u32 *word = (u32 *)((uintptr_t)p & ~3UL);
	unsigned int shift = ((uintptr_t)p & 3) * 8;
	u32 old = __atomic_load_n(word, __ATOMIC_RELAXED);

	(void)order;
	while (!__atomic_compare_exchange_n(word, &old, (old & ~(0xffU << shift)) | (u32)v << shift,
					    true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	return old >> shift;
}
