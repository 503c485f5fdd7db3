/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The points at which another hart may come between. Included before each file of core/ (-include) where interleavings are
 * tried: what core/ does with atomics and locks then stops at host_point() first; the host's P2M and copies do so by
 * themselves. The hypervisor knows nothing of it.
 *
 * A lock is two points: before it is taken (the ticket's addition) and once it is free (the owner's WRITE_ONCE). READ_ONCE
 * and plain accesses are none: what they see can change at the point before.
 */
#ifndef TEST_INTERLEAVE_H
#define TEST_INTERLEAVE_H

#include <types.h>

void host_point(void); /* host.point(), if there is one */

#ifdef INTERLEAVE
#undef WRITE_ONCE
#define WRITE_ONCE(x, v) \
	do { \
		*(volatile typeof(x) *)&(x) = (v); \
		host_point(); \
	} while (0)
#define __atomic_load_n(...) (host_point(), __atomic_load_n(__VA_ARGS__))
#define __atomic_store_n(...) (host_point(), __atomic_store_n(__VA_ARGS__))
#define __atomic_exchange_n(...) (host_point(), __atomic_exchange_n(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) (host_point(), __atomic_compare_exchange_n(__VA_ARGS__))
#define __atomic_fetch_add(...) (host_point(), __atomic_fetch_add(__VA_ARGS__))
#define __atomic_fetch_or(...) (host_point(), __atomic_fetch_or(__VA_ARGS__))
#define __atomic_fetch_and(...) (host_point(), __atomic_fetch_and(__VA_ARGS__))
#define __atomic_add_fetch(...) (host_point(), __atomic_add_fetch(__VA_ARGS__))
#define __atomic_or_fetch(...) (host_point(), __atomic_or_fetch(__VA_ARGS__))
#define __atomic_sub_fetch(...) (host_point(), __atomic_sub_fetch(__VA_ARGS__))
#endif

#endif
