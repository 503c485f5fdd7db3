// SPDX-License-Identifier: BSD-2-Clause
/*
 * Pages of a saved domain in less room: zstd, one frame for each PAGE_DATA (pvstream.h).
 * Owns that whoever writes a frame decides neither how much memory it takes nor how much comes of it.
 */
#include <zstd.h>

#include "pvstream.h"

/* The fastest that is worth it: a link that is faster than this is better left without. */
#define LEVEL 1

void *pv_pack_begin(void)
{
	return ZSTD_createCCtx();
}

void pv_pack_end(void *packer)
{
	ZSTD_freeCCtx(packer);
}

void *pv_unpack_begin(void)
{
	return ZSTD_createDCtx();
}

void pv_unpack_end(void *unpacker)
{
	ZSTD_freeDCtx(unpacker);
}

size_t pv_pack_bound(size_t n)
{
	return ZSTD_compressBound(n);
}

size_t pv_pack_pages(void *packer, const void *from, size_t n, void *to, size_t room)
{
	size_t got = ZSTD_compressCCtx(packer, to, room, from, n, LEVEL);

	return ZSTD_isError(got) || got >= n ? 0 : got;
}

size_t pv_unpack_pages(void *unpacker, const void *from, size_t n, void *to, size_t room)
{
	unsigned long long says = ZSTD_getFrameContentSize(from, n);
	size_t frame = ZSTD_findFrameCompressedSize(from, n), got;

	/* Unknown and wrong are the two largest numbers. One in one piece needs no window of its own, however large it says that is. */
	if (says > room || ZSTD_isError(frame) || frame != n)
		return 0;
	got = ZSTD_decompressDCtx(unpacker, to, room, from, n);
	return ZSTD_isError(got) || got != says ? 0 : got;
}
