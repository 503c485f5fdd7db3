/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SHA-256 (FIPS 180-4), by which an OCI image names its parts.
 * Owns nothing but the arithmetic.
 */
#ifndef OCI_SHA256_H
#define OCI_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_TEXT 65 /* 64 hexadecimal digits and their NUL */

struct sha256 {
	uint32_t h[8];
	uint64_t bytes;
	uint8_t block[64];
};

void sha256_begin(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t n);
/* @text: the digest in lower case. */
void sha256_end(struct sha256 *s, char text[SHA256_TEXT]);

#endif /* OCI_SHA256_H */
