/* SPDX-License-Identifier: BSD-2-Clause */
/* Before each test's own text (Makefile): its hypercalls are noted, for test_coverage.py. */
#ifndef CALLED_H
#define CALLED_H

void tap_called(unsigned long nr, unsigned long op, long rc);
#define PV_HYPERCALL_HOOK tap_called

#endif
