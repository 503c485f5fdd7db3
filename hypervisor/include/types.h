/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Basic types, compiler marks and small macros of the hypervisor.
 * It includes only freestanding headers, so that core/ compiles for the host as well.
 */
#ifndef PAVISE_TYPES_H
#define PAVISE_TYPES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

/* Guest and machine frame numbers, and addresses (4 KiB pages). */
typedef u64 gfn_t;
typedef u64 mfn_t;
typedef u64 paddr_t;

#define INVALID_GFN (~(gfn_t)0)
#define INVALID_MFN (~(mfn_t)0)

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define ROUND_UP(x, a) (((x) + (a)-1) & ~((typeof(x))(a)-1))
#define ROUND_DOWN(x, a) ((x) & ~((typeof(x))(a)-1))
#define IS_ALIGNED(x, a) (((x) & ((typeof(x))(a)-1)) == 0)
#define min(a, b) \
	({ \
		typeof(a) _a = (a); \
		typeof(b) _b = (b); \
		_a < _b ? _a : _b; \
	})
#define max(a, b) \
	({ \
		typeof(a) _a = (a); \
		typeof(b) _b = (b); \
		_a > _b ? _a : _b; \
	})
#define BIT(n) (1UL << (n))

#define __packed __attribute__((packed))
#define __aligned(n) __attribute__((aligned(n)))
#define __printf(f, a) __attribute__((format(printf, f, a)))
#define __noreturn __attribute__((noreturn))
#define __used __attribute__((used))
#define __cold __attribute__((cold))
#define __section(s) __attribute__((section(s)))
#define __noinline __attribute__((noinline))
#define __force_inline inline __attribute__((always_inline))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/*
 * Words that other harts or guests may change at any moment: one access each, never re-read.
 */
#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

#endif
