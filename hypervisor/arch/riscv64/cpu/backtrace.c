/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backtraces by frame pointer, with names from the table that the build's second link adds.
 */
#include <arch.h>
#include <console.h>
#include <lib.h>

/* Made by scripts/gen-symbols: sorted by address. Weak: the first link has none. */
struct symbol {
	u32 offset; /* from image_start */
	u32 name; /* into symbol_names */
};
extern const struct symbol symbol_table[] __attribute__((weak));
extern const u32 symbol_count __attribute__((weak));
extern const char symbol_names[] __attribute__((weak));

const char *symbol_name(u64 addr, u64 *offset)
{
	u64 rel = addr - (u64)image_start;
	u32 lo = 0, hi;

	if (!&symbol_count || addr < (u64)image_start || addr >= (u64)text_end)
		return NULL;
	hi = symbol_count;
	while (hi - lo > 1) {
		u32 mid = (lo + hi) / 2;

		if (symbol_table[mid].offset <= rel)
			lo = mid;
		else
			hi = mid;
	}
	*offset = rel - symbol_table[lo].offset;
	return symbol_names + symbol_table[lo].name;
}

const char *arch_symbol(const void *address)
{
	u64 offset;

	return address ? symbol_name((u64)address - 1, &offset) : NULL;
}

/*
 * A return address may lie behind its function's end (a call that does not return): look one byte before it.
 */
static void print_frame(u64 pc, bool is_return)
{
	u64 offset = 0;
	const char *name = symbol_name(pc - is_return, &offset);

	pr_err("  [%lx] %s+0x%lx\n", pc, name ? name : "?", offset + is_return);
}

void backtrace(u64 pc, u64 fp)
{
	u64 top = this_hart()->stack_top;

	pr_err("backtrace:\n");
	if (pc)
		print_frame(pc, false);
	/* Frame record: fp[-1] = return address, fp[-2] = caller's fp. */
	for (unsigned int depth = 0; depth < 32 && fp && IS_ALIGNED(fp, 8); depth++) {
		u64 *frame = (u64 *)fp;

		if (fp > top || fp < top - STACK_SIZE + 16)
			break;
		if (!frame[-1])
			break;
		print_frame(frame[-1], true);
		if (frame[-2] <= fp)
			break;
		fp = frame[-2];
	}
}
