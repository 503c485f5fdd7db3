/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a test guest prints: the Test Anything Protocol, read by test_guests.py. A line for each
 * check, the plan at the end: a guest that dies before has no plan, and has failed.
 */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>

/* Counts and prints a check; returns the condition. */
bool tap_ok(bool condition, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A number that must be so; prints both when it is not. */
bool tap_is(long got, long want, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A check that cannot be made here, and why. */
void tap_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A remark. */
void tap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The plan; main()'s value. */
int tap_done(void);

#endif
