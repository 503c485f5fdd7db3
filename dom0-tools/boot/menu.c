// SPDX-License-Identifier: BSD-2-Clause
/*
 * Boot menus: what the languages share, extlinux.conf and the entries of the Boot Loader Specification.
 * Owns the choice of an entry.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "menu.h"

#define LINE 2048
#define MAX_STARS 3

bool menu_copy(char *out, size_t size, const char *text)
{
	size_t n = strlen(text);

	if (n >= size) {
		*out = 0;
		return false;
	}
	memcpy(out, text, n + 1);
	return true;
}

bool menu_append(char *out, size_t size, const char *text)
{
	size_t have = strlen(out), n = strlen(text);

	if (!n)
		return true;
	if (have + !!have + n >= size)
		return false;
	if (have)
		out[have++] = ' ';
	memcpy(out + have, text, n + 1);
	return true;
}

bool menu_line(const char **data, size_t *left, char *line, size_t size, bool *bad)
{
	const char *end;
	size_t n, rest;

	if (!*left)
		return false;
	end = memchr(*data, '\n', *left);
	n = end ? (size_t)(end - *data) : *left;
	rest = end ? n + 1 : n;
	line[0] = 0;
	if (bad && (n >= size || memchr(*data, 0, n)))
		*bad = true;
	if (n < size) {
		const char *from = *data;

		while (n && isspace((unsigned char)*from))
			from++, n--;
		while (n && isspace((unsigned char)from[n - 1]))
			n--;
		/* A NUL is no text: such a line says nothing. */
		if (!memchr(from, 0, n)) {
			memcpy(line, from, n);
			line[n] = 0;
		}
	}
	*data += rest;
	*left -= rest;
	return true;
}

char *menu_word(char *line, char *word, size_t size)
{
	size_t n = strcspn(line, " \t");

	word[0] = 0;
	if (n < size) {
		memcpy(word, line, n);
		word[n] = 0;
	}
	line += n;
	return line + strspn(line, " \t");
}

struct menu_entry *menu_add(struct menu *m)
{
	if (m->nr == MENU_ENTRIES)
		return NULL;
	memset(&m->entry[m->nr], 0, sizeof(m->entry[0]));
	return &m->entry[m->nr++];
}

void menu_settle(struct menu *m)
{
	if (m->nr && (!m->entry[m->nr - 1].kernel[0] || m->entry[m->nr - 1].bad))
		m->nr--;
}

bool menu_path(char *out, const char *dir, const char *path)
{
	int n = *path == '/' ? snprintf(out, MENU_PATH, "%s", path) :
			       snprintf(out, MENU_PATH, "%s/%s", dir, path);

	if (*path && n > 0 && n < MENU_PATH)
		return true;
	*out = 0;
	return false;
}

void menu_env_get(const struct menu_env *env, const char *name, char *out, size_t size)
{
	const char *data = env ? env->data : NULL;
	size_t left = data ? env->size : 0, n = strlen(name);
	char line[LINE];

	*out = 0;
	while (menu_line(&data, &left, line, sizeof(line), NULL))
		if (!strncmp(line, name, n) && line[n] == '=')
			menu_copy(out, size, line + n + 1);
}

/* --- extlinux.conf --------------------------------------------------------------------------- */

static void add_ramdisks(struct menu_entry *e, const char *dir, char *list)
{
	char *save, *path;

	for (path = strtok_r(list, ",", &save); path; path = strtok_r(NULL, ",", &save)) {
		/* One that cannot be had is worse than no entry. */
		if (e->nr_ramdisks == MENU_RAMDISKS ||
		    !menu_path(e->ramdisk[e->nr_ramdisks++], dir, path)) {
			e->bad = true;
			return;
		}
	}
}

static bool is(const char *word, const char *keyword)
{
	return !strcasecmp(word, keyword);
}

static void extlinux_line(struct menu_entry *e, const char *word, char *value, const char *dir)
{
	char second[16];

	if (is(word, "kernel") || is(word, "linux")) {
		menu_path(e->kernel, dir, value);
	} else if (is(word, "initrd")) {
		add_ramdisks(e, dir, value);
	} else if (is(word, "append")) {
		/* "-": not even what stands before all labels */
		if (!menu_copy(e->cmdline, sizeof(e->cmdline), strcmp(value, "-") ? value : ""))
			e->bad = true;
	} else if (is(word, "menu")) {
		value = menu_word(value, second, sizeof(second));
		if (is(second, "label"))
			menu_copy(e->title, sizeof(e->title), value);
	}
}

void menu_extlinux(struct menu *m, const char *data, size_t size, const char *dir)
{
	char line[LINE], word[32], append[MENU_CMDLINE] = "", *value;
	struct menu_entry *e = NULL;
	bool bad = false, all_bad = false; /* of the line; of what stands before all labels */

	while (menu_line(&data, &size, line, sizeof(line), &bad)) {
		if (bad) {
			*(e ? &e->bad : &all_bad) = true;
			bad = false;
			continue;
		}
		value = menu_word(line, word, sizeof(word));
		if (is(word, "label")) {
			menu_settle(m);
			e = menu_add(m);
			if (!e)
				return;
			e->bad = all_bad;
			menu_copy(e->id, sizeof(e->id), value);
			menu_copy(e->title, sizeof(e->title), value);
			menu_copy(e->cmdline, sizeof(e->cmdline), append);
		} else if (is(word, "default") && !e) {
			menu_copy(m->preferred, sizeof(m->preferred), value);
		} else if (e) {
			extlinux_line(e, word, value, dir);
		} else if (is(word, "append")) {
			all_bad |= !menu_copy(append, sizeof(append), value);
		}
	}
	menu_settle(m);
}

/* --- Boot Loader Specification --------------------------------------------------------------- */

/* Fedora's entries have $kernelopts, which stands in grubenv; other variables are nobody's here. */
static bool add_options(struct menu_entry *e, char *value, const struct menu_env *env)
{
	char kept[MENU_CMDLINE], *save, *word;

	for (word = strtok_r(value, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
		if (!strcmp(word, "$kernelopts") || !strcmp(word, "${kernelopts}")) {
			menu_env_get(env, "kernelopts", kept, sizeof(kept));
			word = kept;
		} else if (word[0] == '$') {
			continue;
		}
		if (!menu_append(e->cmdline, sizeof(e->cmdline), word))
			return false;
	}
	return true;
}

/* Without ".conf", and without the "+tries" of boot counting. */
static void bls_id(char id[MENU_NAME], const char *name)
{
	size_t n = strlen(name);
	const char *plus;

	id[0] = 0;

	if (n > 5 && !strcmp(name + n - 5, ".conf"))
		n -= 5;
	plus = memrchr(name, '+', n);
	if (plus && plus[1] && strspn(plus + 1, "0123456789-") == n - (plus + 1 - name))
		n = plus - name;
	if (n < MENU_NAME) {
		memcpy(id, name, n);
		id[n] = 0;
	}
}

static int newest_name_first(const void *a, const void *b)
{
	char one[MENU_NAME], other[MENU_NAME];

	bls_id(one, *(char *const *)a);
	bls_id(other, *(char *const *)b);
	return -strverscmp(one, other);
}

void menu_bls_sort(char **name, int nr)
{
	qsort(name, nr, sizeof(*name), newest_name_first);
}

void menu_bls(struct menu *m, const char *data, size_t size, const char *name,
	      const struct menu_env *env)
{
	struct menu_entry *e = menu_add(m);
	char line[LINE], word[32], *value;

	if (!e)
		return;
	bls_id(e->id, name);
	m->sorted = true;
	while (menu_line(&data, &size, line, sizeof(line), &e->bad)) {
		value = menu_word(line, word, sizeof(word));
		if (!strcmp(word, "title")) {
			menu_copy(e->title, sizeof(e->title), value);
		} else if (!strcmp(word, "linux")) {
			menu_path(e->kernel, "", value);
		} else if (!strcmp(word, "initrd")) {
			e->bad |= e->nr_ramdisks == MENU_RAMDISKS ||
				  !menu_path(e->ramdisk[e->nr_ramdisks++], "", value);
		} else if (!strcmp(word, "options")) {
			e->bad |= !add_options(e, value, env);
		}
	}
	if (!e->title[0])
		menu_copy(e->title, sizeof(e->title), e->id);
	menu_settle(m);
}

void menu_bls_default(struct menu *m, const char *data, size_t size)
{
	char line[LINE], word[32], *value;

	while (menu_line(&data, &size, line, sizeof(line), NULL)) {
		value = menu_word(line, word, sizeof(word));
		/* "@saved" and its like stand in firmware variables that a guest does not have. */
		if (!strcmp(word, "default") && *value != '@')
			menu_copy(m->preferred, sizeof(m->preferred), value);
	}
}

static int newest_first(const void *a, const void *b)
{
	return -strverscmp(((const struct menu_entry *)a)->id, ((const struct menu_entry *)b)->id);
}

/* --- the choice ------------------------------------------------------------------------------ */

static bool is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text) && strlen(text) < 6;
}

/* Each one more may multiply the time that fnmatch() takes. */
static int stars(const char *pattern)
{
	int n = 0;

	for (; *pattern; pattern++)
		n += *pattern == '*';
	return n;
}

static const struct menu_entry *by_name(const struct menu *m, const char *name)
{
	const struct menu_entry *e;
	char pattern[2 * MENU_NAME + 8];
	size_t n = strlen(name);

	for (e = m->entry; e < m->entry + m->nr; e++)
		if (!strcmp(e->id, name) || !strcmp(e->title, name) || !strcmp(e->by_id, name) ||
		    !strcmp(e->by_title, name) || !strcmp(e->by_index, name))
			return e;
	/* A submenu's own name or number: its first entry */
	for (e = m->entry; e < m->entry + m->nr; e++)
		if ((!strncmp(e->by_index, name, n) && e->by_index[n] == '>') ||
		    (!strncmp(e->by_title, name, n) && e->by_title[n] == '>') ||
		    (!strncmp(e->by_id, name, n) && e->by_id[n] == '>'))
			return e;
	/* loader.conf's default is a pattern, with or without .conf */
	snprintf(pattern, sizeof(pattern), "%s", name);
	if (stars(name) > MAX_STARS)
		return NULL;
	if (n > 5 && !strcmp(pattern + n - 5, ".conf"))
		pattern[n - 5] = 0;
	for (e = m->entry; m->sorted && e < m->entry + m->nr; e++)
		if (!fnmatch(pattern, e->id, 0))
			return e;
	return NULL;
}

const struct menu_entry *menu_choose(struct menu *m, const char *wanted)
{
	const struct menu_entry *e = NULL;
	bool numbered = m->nr && m->entry[0].by_index[0];

	if (m->sorted)
		qsort(m->entry, m->nr, sizeof(m->entry[0]), newest_first);
	if (wanted) {
		e = by_name(m, wanted);
		/* GRUB's have numbers of their own. */
		if (!e && !numbered && is_number(wanted) && atoi(wanted) < m->nr)
			e = &m->entry[atoi(wanted)];
		return e;
	}
	if (m->preferred[0])
		e = by_name(m, m->preferred);
	if (!e && m->nr)
		e = &m->entry[0];
	return e;
}
