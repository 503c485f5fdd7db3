/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An OCI image in a tar archive of its layout (image-layout.md): which layers it has, and what it wants to be run.
 * Owns the way from index.json to the configuration, and that each blob on it is what its digest says.
 */
#ifndef OCI_IMAGE_H
#define OCI_IMAGE_H

#include <stdint.h>

#include "json.h"

#define IMAGE_LAYERS 512
#define IMAGE_BLOBS 16384 /* members of the archive */

/* A blob's place in the archive. */
struct blob {
	char digest[65]; /* SHA-256, hexadecimal */
	uint64_t offset, size;
};

struct layer {
	struct blob blob;
	enum { LAYER_TAR, LAYER_GZIP, LAYER_ZSTD } format;
};

struct image {
	struct layer layer[IMAGE_LAYERS];
	int nr_layers;
	/* The configuration's "config", or NULL: json_string() and json_get() know what to do with that. */
	const struct json *config;
	struct json *roots[2]; /* for image_free() */
	char *texts[2];
	char why[512]; /* what is wrong, once a function has said so */
};

/*
 * Finds the image with the name @ref (NULL: the only one) for @arch ("riscv64") in the archive @fd. 0, or -1 and @im->why.
 * @im may be large: not for a stack. For image_free() in any case.
 */
int image_open(struct image *im, int fd, const char *ref, const char *arch);
void image_free(struct image *im);

#endif /* OCI_IMAGE_H */
