// SPDX-License-Identifier: BSD-2-Clause
/*
 * Kernels that are anything, libFuzzer with ASan and UBSan: what pv_image_open() takes must be loadable.
 * Owns what "loadable" means: all of it within the file and below 2 GiB, no part over another; and that what is to be unpacked
 * is within the file.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image.h"
#include "pavise.h"

static void must(bool true_or_not)
{
	if (!true_or_not)
		abort();
}

static void look_at(const struct pv_image *img)
{
	int i, j;

	must(img->nr_segments >= 1 && img->nr_segments <= PV_IMAGE_SEGMENTS);
	must(img->size < 1ULL << 31 && img->text_offset < 1ULL << 31);
	must(!img->size || img->entry < img->size);
	for (i = 0; i < img->nr_segments; i++) {
		const struct pv_segment *s = &img->segment[i];

		must(!s->size ||
		     (s->offset <= img->file_size && s->size <= img->file_size - s->offset));
		must(s->place <= img->size && s->size <= img->size - s->place);
		for (j = 0; j < i; j++)
			must(img->segment[j].place + img->segment[j].size <= s->place ||
			     s->place + s->size <= img->segment[j].place);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct pv_unpack how = { .limit = PV_MIB, .limit_is = "test" };
	static char path[40];
	static int fd = -1;
	struct pv_err err = { "" };
	struct pv_image img;
	struct pv_part part;
	uint64_t size;
	uint16_t more;

	/* Its last two bytes say how many pages follow; gzip is another's. */
	if (n < 2 || (data[0] == 0x1f && data[1] == 0x8b))
		return 0;
	n -= 2;
	memcpy(&more, data + n, 2);
	if (fd < 0) {
		fd = memfd_create("fuzz", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	size = n + more * PV_PAGE_SIZE;
	if (pv_zboot_parse(data, n, size, path, &part, &err) == 1) {
		must(part.size && part.offset && part.offset < size &&
		     part.size <= size - part.offset);
		return 0;
	}
	err.text[0] = '\0';
	must(!ftruncate(fd, 0) && pwrite(fd, data, n, 0) == (ssize_t)n &&
	     !ftruncate(fd, (off_t)size));
	if (!pv_image_open(path, &how, &img, &err))
		look_at(&img);
	else
		must(strstr(err.text, path) && img.fd == -1);
	pv_image_close(&img);
	return 0;
}
