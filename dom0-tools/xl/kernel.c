// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest's kernel, as a file that can be loaded.
 * Owns how much a compressed one may take of dom0's memory until it has been loaded.
 */
#include <stdio.h>
#include <stdlib.h>

#include "xl.h"

#ifndef XL_PROC_DIR
#define XL_PROC_DIR "/proc"
#endif

/* Bytes that dom0 has free; UINT64_MAX if it does not say. */
static uint64_t available(void)
{
	FILE *f = fopen(XL_PROC_DIR "/meminfo", "re");
	unsigned long long kib, got = UINT64_MAX / 1024;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1 && kib < got)
			got = kib;
	if (f)
		fclose(f);
	return got * 1024;
}

/* From the guest's own disk: others wait for it (xl_lock()), so it is done within seconds whatever is there. */
#define FROM_DISK_MAX (128ULL << 20)

int kernel_open(const struct xl_config *cfg, struct pv_image *img, struct pv_err *err)
{
	/* Not the memory that dom0's services need, however large the guest is. */
	uint64_t half = available() / 2;
	struct pv_unpack how = {
		.limit = cfg->maxmem * PV_MIB,
		.limit_is = "the guest's memory",
		.stop = &xl_interrupted,
	};

	if (half < how.limit) {
		how.limit = half;
		how.limit_is = "half of what dom0 has free";
	}
	if (cfg->bootloader && how.limit > FROM_DISK_MAX) {
		how.limit = FROM_DISK_MAX;
		how.limit_is = "the most for a kernel from a guest's disk";
	}
	return pv_image_open(cfg->kernel, &how, img, err);
}
