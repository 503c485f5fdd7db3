/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Included before each source of the test's xl: how long it waits for an answer. Tests want to see it give up without waiting
 * for long ($HASTY, hasty() in xl_lib.sh), and all others that a busy machine is not taken for silence.
 */
#ifndef TOOLS_WAITS_H
#define TOOLS_WAITS_H

int test_ms(int ms); /* waits.c */

#endif
