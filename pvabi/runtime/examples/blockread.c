/* SPDX-License-Identifier: MIT */
/*
 * Reads a whole disk and prints its CRC-32, as gzip and cksum's cousins have it:
 *	make guest SRC=pvabi/runtime/examples/blockread.c; cp build/guests/blockread images/
 * and in xl.cfg: kernel = "/images/blockread", disk = [ "/images/some.img,raw,xvda,r" ]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/device.h>

#define CHUNK 256 /* sectors: 128 KiB */

static uint32_t crc_table[256];

static void make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		crc_table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			crc_table[i] = crc_table[i] >> 1 ^ (crc_table[i] & 1 ? 0xedb88320 : 0);
	}
}

static uint32_t crc32(uint32_t crc, const uint8_t *p, size_t n)
{
	while (n--)
		crc = crc >> 8 ^ crc_table[(crc ^ *p++) & 0xff];
	return crc;
}

int main(void)
{
	uint8_t *buffer = pv_alloc_pages(CHUNK * 512 / PV_PAGE_SIZE);
	uint32_t crc = 0xffffffff;
	struct pv_block disk;
	uint64_t start, us;
	int rc = pv_block_open(&disk, 0);

	if (rc) {
		printf("no disk: %s\n", strerror(-rc));
		return 1;
	}
	make_table();
	start = pv_time_ns();
	for (uint64_t at = 0; at < disk.sectors; at += CHUNK) {
		size_t n = disk.sectors - at < CHUNK ? disk.sectors - at : CHUNK;

		rc = pv_block_read(&disk, at, buffer, n);
		if (rc) {
			printf("sector %llu: %s\n", (unsigned long long)at, strerror(-rc));
			return 1;
		}
		crc = crc32(crc, buffer, n * 512);
	}
	us = (pv_time_ns() - start) / 1000;
	printf("%llu sectors, CRC-32 %08lx, %llu us\n", (unsigned long long)disk.sectors,
	       (unsigned long)~crc & 0xffffffff, (unsigned long long)us);
	pv_block_close(&disk);
	return 0;
}
