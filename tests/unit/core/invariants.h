/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must hold whatever domains did; the fuzzer (tests/fuzz) and the explorer of interleavings (tests/unit/explore) ask
 * after each run. A CHECK that fails ends the program, which says by check_failed() what led there.
 */
#ifndef TEST_INVARIANTS_H
#define TEST_INVARIANTS_H

#include "host.h"

/* Nobody is in the hypervisor: pages, grants, event channels, locks. dom0 becomes current on hart 0. */
void check_world(void);
/*
 * No hart has been kicked that has not scheduled since: nobody's pauses are left, who may run does or waits, and waits only
 * where no hart idles that could run it; nobody sleeps with an event. Guests have not written to their vcpu_info.
 */
void check_scheduler(void);
/* Guests have read no events, either: whatever is pending and not masked has been announced. */
void check_events(void);

/* Each program's own: what it was doing. */
void check_failed(void);

#define CHECK(condition, ...) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
			fprintf(stderr, __VA_ARGS__); \
			fputc('\n', stderr); \
			check_failed(); \
			abort(); \
		} \
	} while (0)

#endif
