/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The runtime's block front end against dom0's blkback: contents, odd sizes, ends, errors, and that a
 * disk can be closed and opened again.
 *
 * guest: disk='["/images/guests/disk.img,raw,xvda,w"]'
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/device.h>

#include "tap.h"

#define SECTOR 512

static void fill(uint8_t *p, size_t n, unsigned int seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = seed = seed * 1103515245 + 12345 + (i >> 9);
}

/* Writes n sectors from an address that is `skew` sectors into a page, and reads them elsewhere. */
static bool round_trip(struct pv_block *disk, uint64_t at, size_t n, unsigned int skew)
{
	uint8_t *out = pv_alloc_pages(16), *in = pv_alloc_pages(16);
	bool same;

	fill(out, 16 * PV_PAGE_SIZE, at * 31 + n);
	same = !pv_block_write(disk, at, out + skew * SECTOR, n) && !pv_block_flush(disk) &&
	       !pv_block_read(disk, at, in, n) && !memcmp(in, out + skew * SECTOR, n * SECTOR);
	/* Not one byte more */
	for (size_t i = n * SECTOR; i < 16 * PV_PAGE_SIZE; i++)
		same &= !in[i];
	free(out);
	free(in);
	return same;
}

int main(void)
{
	static const size_t sizes[] = { 1, 7, 8, 9, 87, 88, 89, 100 };
	uint8_t *buffer = pv_alloc_pages(1);
	struct pv_block disk, none;

	tap_is(pv_block_open(&disk, 0), 0, "the disk");
	tap_is(pv_block_open(&none, 1), -ENODEV, "there is no second");
	tap_ok(disk.sectors > 2000 && !disk.read_only, "%llu sectors",
	       (unsigned long long)disk.sectors);
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		tap_ok(round_trip(&disk, 100 * i + i, sizes[i], i % 8), "%u sectors there and back",
		       (unsigned int)sizes[i]);
	tap_ok(round_trip(&disk, disk.sectors - 3, 3, 0), "the last three sectors");
	tap_is(pv_block_read(&disk, disk.sectors, buffer, 1), -EINVAL, "beyond the end");
	tap_is(pv_block_read(&disk, disk.sectors - 1, buffer, 2), -EINVAL, "over the end");
	tap_is(pv_block_read(&disk, ~0UL, buffer, 2), -EINVAL, "around the end");
	tap_is(pv_block_read(&disk, 0, buffer + 1, 1), -EINVAL, "a buffer that is not aligned");
	disk.sectors += 1000;
	tap_is(pv_block_read(&disk, disk.sectors - 1, buffer, 1), -EIO,
	       "what the back end refuses is -EIO");
	pv_block_close(&disk);
	tap_is(pv_block_open(&disk, 0), 0, "opened again");
	tap_ok(round_trip(&disk, 5, 20, 0), "and as good as before");
	pv_block_close(&disk);
	return tap_done();
}
