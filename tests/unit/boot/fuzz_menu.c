// SPDX-License-Identifier: BSD-2-Clause
/*
 * Any bytes as a boot menu. The first byte says in which language, the second where grubenv ends.
 * What comes out must be what the reader relies on: texts that end, paths from the root, entries that have a kernel.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "menu.h"

static void check_text(const char *text, size_t size)
{
	assert(memchr(text, 0, size));
}

static void check_entry(const struct menu_entry *e)
{
	int i;

	check_text(e->title, sizeof(e->title));
	check_text(e->id, sizeof(e->id));
	check_text(e->by_index, sizeof(e->by_index));
	check_text(e->by_title, sizeof(e->by_title));
	check_text(e->by_id, sizeof(e->by_id));
	check_text(e->kernel, sizeof(e->kernel));
	check_text(e->cmdline, sizeof(e->cmdline));
	assert(e->kernel[0] == '/');
	assert(e->nr_ramdisks >= 0 && e->nr_ramdisks <= MENU_RAMDISKS);
	for (i = 0; i < e->nr_ramdisks; i++) {
		check_text(e->ramdisk[i], sizeof(e->ramdisk[i]));
		assert(e->ramdisk[i][0] == '/');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct menu m;
	struct menu_env env = { 0 };
	const struct menu_entry *e;
	char wanted[32];
	size_t split;
	char *text;
	int i;

	if (size < 2)
		return 0;
	/* Of its own, so that ASan sees its end. */
	text = malloc(size - 2 + !size);
	memcpy(text, data + 2, size - 2);
	split = data[1] < size - 2 ? data[1] : 0;
	if (split)
		env = (struct menu_env){ text, split };
	memset(&m, 0, sizeof(m));
	switch (data[0] % 4) {
	case 0:
		menu_extlinux(&m, text + split, size - 2 - split, "/boot/extlinux");
		break;
	case 1:
		menu_bls(&m, text + split, size - 2 - split, "debian-6.12+3.conf", &env);
		menu_bls(&m, text + split, size - 2 - split, "b.conf", &env);
		menu_bls_default(&m, text + split, size - 2 - split);
		break;
	default:
		menu_grub(&m, text + split, size - 2 - split, &env);
	}
	assert(m.nr >= 0 && m.nr <= MENU_ENTRIES);
	check_text(m.preferred, sizeof(m.preferred));
	e = menu_choose(&m, NULL);
	assert(!m.nr == !e);
	for (i = 0; i < m.nr; i++)
		check_entry(&m.entry[i]);
	split = split < sizeof(wanted) ? split : sizeof(wanted) - 1;
	memcpy(wanted, text, split);
	wanted[split] = 0;
	e = menu_choose(&m, wanted);
	assert(!e || (e >= m.entry && e < m.entry + m.nr));
	free(text);
	return 0;
}
