/* SPDX-License-Identifier: BSD-2-Clause */
/* In the place of arch/riscv64's: RAM is the host world's, tp is no register here. */
#ifndef TEST_ARCH_INLINE_H
#define TEST_ARCH_INLINE_H

#include <types.h>

struct hart {
	struct vcpu *current;
	u32 work;
	struct arch_vcpu *vector_owner;
};

struct hart *this_hart(void);
u64 machine_direct_va(void);

#define DIRECT_VA machine_direct_va()

#endif
