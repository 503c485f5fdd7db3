/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vector registers by hand, for guests and for dom0's programs (dom0/vectors.c): what the compiler makes does not use them.
 */
#ifndef VECTORS_H
#define VECTORS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define VECTOR_BYTES (32 * 256) /* the longest that the hypervisor supports */
#define VILL (1UL << 63)

struct vectors {
	uint64_t vstart, vcsr, vl, vtype;
	uint8_t regs[VECTOR_BYTES] __attribute__((aligned(16)));
};

static inline unsigned long vector_length(void)
{
	unsigned long vlenb;

	__asm__ volatile("csrr %0, 0xc22" : "=r"(vlenb));
	return vlenb;
}

#define VECTOR_REGS(insn) \
	".option push\n.option arch, +v\n" \
	"csrw 0x8, zero\n" insn " v0, (%[p])\n" \
	"add t0, %[p], %[n]\n" insn " v8, (t0)\n" \
	"add t0, t0, %[n]\n" insn " v16, (t0)\n" \
	"add t0, t0, %[n]\n" insn " v24, (t0)\n"

/* All of it to the registers; vtype with VILL: what no hart supports. */
static inline void vectors_set(const struct vectors *v)
{
	__asm__ volatile(VECTOR_REGS("vl8re8.v") "vsetvl zero, %[vl], %[vtype]\n"
						 "csrw 0xf, %[vcsr]\n"
						 "csrw 0x8, %[vstart]\n"
						 ".option pop\n"
			 :
			 : [p] "r"(v->regs), [n] "r"(8 * vector_length()), [vl] "r"(v->vl),
			   [vtype] "r"(v->vtype), [vcsr] "r"(v->vcsr), [vstart] "r"(v->vstart)
			 : "t0", "memory");
}

static inline void vectors_get(struct vectors *v)
{
	__asm__ volatile("csrr %0, 0x8\ncsrr %1, 0xf\ncsrr %2, 0xc20\ncsrr %3, 0xc21"
			 : "=r"(v->vstart), "=r"(v->vcsr), "=r"(v->vl), "=r"(v->vtype));
	__asm__ volatile(VECTOR_REGS("vs8r.v") "csrw 0x8, %[vstart]\n"
					       ".option pop\n"
			 :
			 : [p] "r"(v->regs), [n] "r"(8 * vector_length()), [vstart] "r"(v->vstart)
			 : "t0", "memory");
}

/* A state that nobody else has: by a number that is one's own. With vill, some vtypes, short and long vl, vstart beyond vl. */
static inline void vectors_make(struct vectors *v, uint32_t own, uint32_t round)
{
	static const uint8_t vtypes[] = { 0xc3, 0xd9, 0x08, 0xd2 };
	unsigned long vlenb = vector_length();
	uint64_t x = ((uint64_t)own << 32 | round) * 0x9e3779b97f4a7c15UL + 1;

	for (unsigned long i = 0; i < 32 * vlenb; i += 8) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		memcpy(v->regs + i, &x, 8);
	}
	v->vcsr = x & 7;
	v->vstart = x >> 3 & 7;
	v->vtype = x >> 8 & 7 ? vtypes[x >> 11 & 3] : VILL;
	v->vl = v->vtype & VILL ? 0 : (x >> 16) % (vlenb / 4 + 1); /* what all of them allow */
}

/* "" or what differs from what was set */
static inline const char *vectors_differ(const struct vectors *want, const struct vectors *got)
{
	if (got->vl != want->vl)
		return "vl";
	if (got->vtype != want->vtype)
		return "vtype";
	if (got->vcsr != want->vcsr)
		return "vcsr";
	if (got->vstart != want->vstart)
		return "vstart";
	return memcmp(got->regs, want->regs, 32 * vector_length()) ? "registers" : "";
}

#endif
