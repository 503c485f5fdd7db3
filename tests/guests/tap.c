/* SPDX-License-Identifier: BSD-2-Clause */
/* The Test Anything Protocol's lines (testanything.org, version 13). */
#include <stdarg.h>
#include <stdio.h>

#include <pv/runtime.h>

#include "tap.h"

static unsigned int count, failed;
static pv_spinlock_t lock;

/* One write for a line: vCPUs may print at the same time. */
static void line(const char *before, const char *fmt, va_list args, const char *after)
{
	char text[256];
	int n;

	n = vsnprintf(text, sizeof(text), fmt, args);
	if (n < 0)
		text[0] = 0;
	printf("%s%s%s\n", before, text, after);
	fflush(stdout);
}

static void result(bool ok, const char *what, const char *fmt, va_list args, const char *after)
{
	char before[32];

	pv_spin_lock(&lock);
	count++;
	failed += !ok;
	snprintf(before, sizeof(before), "%sok %u %s ", ok ? "" : "not ", count, what);
	line(before, fmt, args, after);
	pv_spin_unlock(&lock);
}

bool tap_ok(bool condition, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	result(condition, "-", fmt, args, "");
	va_end(args);
	return condition;
}

bool tap_is(long got, long want, const char *fmt, ...)
{
	va_list args;
	char after[80] = "";

	if (got != want)
		snprintf(after, sizeof(after), ": got %ld (%#lx), want %ld", got, got, want);
	va_start(args, fmt);
	result(got == want, "-", fmt, args, after);
	va_end(args);
	return got == want;
}

void tap_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	result(true, "# SKIP", fmt, args, "");
	va_end(args);
}

void tap_note(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	line("# ", fmt, args, "");
	va_end(args);
}

/*
 * What each hypercall returned, whoever called it: 1 for a success, else the bit of the error, the last one for those beyond.
 * Operations by their low bits: what is above is a continuation's, or no operation at all.
 */
static uint64_t called[64][64];

void tap_called(unsigned long nr, unsigned long op, long rc)
{
	if (nr == __HYPERVISOR_multicall) /* its first argument is an address */
		op = 0;
	if (nr < 64 && op < 64)
		__atomic_fetch_or(&called[nr][op], rc >= 0 ? 1 : 1UL << (rc > -63 ? -rc : 63),
				  __ATOMIC_RELAXED);
}

/* For test_coverage.py: number, operation, and the bits. EOPNOTSUPP is beyond. */
static void print_called(void)
{
	for (unsigned int nr = 0; nr < 64; nr++) {
		for (unsigned int op = 0; op < 64; op++) {
			if (called[nr][op])
				printf("# called %u.%u %llx\n", nr, op,
				       (unsigned long long)called[nr][op]);
		}
	}
}

int tap_done(void)
{
	print_called();
	printf("1..%u\n", count);
	fflush(stdout);
	return failed != 0;
}
