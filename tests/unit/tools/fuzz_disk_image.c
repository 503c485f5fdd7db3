// SPDX-License-Identifier: BSD-2-Clause
/*
 * Headers of disk images that are anything, libFuzzer with ASan and UBSan: what image_read_head() takes has no way to another file but
 * the one that it reports. Owns what that means for each format, said once more, from the bytes.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk_image.h"

static void must(bool true_or_not)
{
	if (!true_or_not)
		abort();
}

/* @h: 512 bytes */
static void look_at(enum image_format f, const uint8_t *h, const struct image_head *head)
{
	switch (f) {
	case IMAGE_QCOW2:
		must(!memcmp(h, "QFI\xfb\0\0\0", 7) && (h[7] == 2 || h[7] == 3));
		must(!memcmp(h + 32, "\0\0\0\0", 4));
		must(h[7] == 2 || !(h[79] & 4));
		must(*head->backing || !memcmp(h + 8, "\0\0\0\0\0\0\0\0", 8) ||
		     !memcmp(h + 16, "\0\0\0\0", 4));
		break;
	case IMAGE_QED:
		must(!(h[16] & 1) == !*head->backing);
		break;
	case IMAGE_VMDK:
		must(!memcmp(h, "KDMV", 4) && memcmp(h + 12, "\0\0\0\0\0\0\0\0", 8));
		must(!*head->backing);
		break;
	case IMAGE_VDI:
		must((h[76] == 1 || h[76] == 2) && !h[77] && !h[78] && !h[79]);
		must(!*head->backing);
		break;
	default:
		must(!*head->backing);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct image_head head;
	uint8_t first[512] = { 0 };
	char msg[256];
	static int fd = -1;
	enum image_format f;

	if (fd < 0)
		fd = memfd_create("fuzz", 0);
	must(!ftruncate(fd, 0) && pwrite(fd, data, n, 0) == (ssize_t)n && !ftruncate(fd, 1 << 20));
	memcpy(first, data, n < sizeof(first) ? n : sizeof(first));
	for (f = IMAGE_QCOW2; f < IMAGE_FORMATS; f++) {
		memset(msg, 0, sizeof(msg));
		if (!image_read_head(fd, f, n & 1, &head, msg, sizeof(msg)))
			look_at(f, first, &head);
		else
			must(*msg && memchr(msg, 0, sizeof(msg)));
		must(strlen(head.backing) <= IMAGE_NAME_MAX);
	}
	return 0;
}
