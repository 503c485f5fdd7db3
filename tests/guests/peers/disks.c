/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What test_save.py saves with a disk: writes one place after another, reads the one before back, and counts on its console, with how
 * many it has read and what its clock says. Its front end knows no other life.
 */
#include <stdio.h>
#include <stdlib.h>

#include <pv/device.h>

#define STEP_NS 20000000
#define PLACE 8 /* sectors */
#define WORDS (PLACE * 512 / sizeof(uint64_t))

static void fill(uint64_t *p, uint64_t n)
{
	for (size_t i = 0; i < WORDS; i++)
		p[i] = (n << 16 | i) * 0x9e3779b97f4a7c15;
}

int main(void)
{
	uint64_t *out = pv_alloc_pages(1), *in = pv_alloc_pages(1), n, places, i;
	unsigned long read = 0;
	struct pv_block disk;

	if (pv_block_open(&disk, 0))
		return 1;
	places = disk.sectors / PLACE;
	for (n = 1;; n++) {
		fill(out, n);
		if (pv_block_write(&disk, n % places * PLACE, out, PLACE))
			pv_panic("place %llu cannot be written", (unsigned long long)n);
		if (n > 1 && pv_block_read(&disk, (n - 1) % places * PLACE, in, PLACE))
			pv_panic("place %llu cannot be read", (unsigned long long)n - 1);
		fill(out, n - 1);
		for (i = 0; n > 1 && i < WORDS; i++)
			if (in[i] != out[i])
				pv_panic("place %llu has something else",
					 (unsigned long long)n - 1);
		read += n > 1;
		if (!(n % 5))
			printf("count %llu %lu %llu\n", (unsigned long long)n / 5, read,
			       (unsigned long long)pv_time_ns());
		fflush(stdout);
		pv_sleep_ns(STEP_NS);
	}
}
