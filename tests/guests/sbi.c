/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's SBI: which extensions there are (docs/abi.md, "SBI"), and that all others are refused, with nothing done.
 *
 * guest: vcpus=2
 */
#include <string.h>

#include <pv/runtime.h>

#include "tap.h"

#define BASE_PROBE 3

struct extension {
	const char *name;
	unsigned long id;
	unsigned int functions; /* 0 to this - 1; 0: there is no such extension */
};

static const struct extension extensions[] = {
	{ "BASE", SBI_EXT_BASE, 7 },
	{ "TIME", SBI_EXT_TIME, 1 },
	{ "IPI", SBI_EXT_IPI, 1 },
	{ "RFENCE", SBI_EXT_RFENCE, 3 },
	{ "HSM", SBI_EXT_HSM, 4 },
	{ "SRST", SBI_EXT_SRST, 1 },
	{ "DBCN", SBI_EXT_DBCN, 3 },
	{ "STA (steal time)", 0x535441, 0 },
	{ "SUSP (system suspend)", 0x53555350, 0 },
	{ "PMU", 0x504d55, 0 },
	{ "CPPC", 0x43505043, 0 },
	{ "NACL", 0x4e41434c, 0 },
	{ "legacy set_timer", 0, 0 },
	{ "legacy console_putchar", 1, 0 },
	{ "legacy send_ipi", 4, 0 },
	{ "legacy remote_fence_i", 5, 0 },
	{ "legacy shutdown", 8, 0 },
	{ "an experiment", 0x08000000, 0 },
	{ "the firmware's", 0x0a000000, 0 },
	{ "TIME with high bits", 1UL << 32 | SBI_EXT_TIME, 0 },
	{ "one that is none", ~0UL, 0 },
};

int main(void)
{
	uint64_t *page = pv_alloc_pages(1);
	unsigned int changed = 0;

	memset(page, 0x77, PV_PAGE_SIZE);
	for (unsigned int i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		const struct extension *e = &extensions[i];
		struct sbiret r = sbi_call(SBI_EXT_BASE, BASE_PROBE, e->id, 0, 0, 0);

		tap_ok(!r.error && r.value == (e->functions != 0), "%s: probe_extension says %ld",
		       e->name, r.value);
		if (!e->functions) {
			/* STA's set_shmem and SUSP's suspend among them: an address, then flags */
			r = sbi_call(e->id, 0, (uintptr_t)page, 0, 0, 0);
			tap_ok(r.error == SBI_ERR_NOT_SUPPORTED && !r.value,
			       "%s: a call is SBI_ERR_NOT_SUPPORTED (%ld)", e->name, r.error);
			r = sbi_call(e->id, 0, 0, (uintptr_t)main, 0, 0);
			tap_is(r.error, SBI_ERR_NOT_SUPPORTED, "%s: another as well", e->name);
			continue;
		}
		r = sbi_call(e->id, e->functions, 0, 0, 0, 0);
		tap_is(r.error, SBI_ERR_NOT_SUPPORTED, "%s: function %u is none", e->name,
		       e->functions);
		r = sbi_call(e->id, ~0UL, 0, 0, 0, 0);
		tap_is(r.error, SBI_ERR_NOT_SUPPORTED, "%s: nor is the last", e->name);
	}
	for (unsigned int i = 0; i < PV_PAGE_SIZE / 8; i++)
		changed += page[i] != 0x7777777777777777UL;
	tap_is(changed, 0, "a refused STA wrote nothing");
	return tap_done();
}
