/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a boot menu offers: kernels with their ramdisks and command lines.
 * Owns the three languages in which menus are written, as functions of bytes: no file is opened here, and no byte is
 * believed. What is too long or too much is left out, never cut: half a command line boots something else.
 */
#ifndef BOOT_MENU_H
#define BOOT_MENU_H

#include <stdbool.h>
#include <stddef.h>

#define MENU_ENTRIES 64
#define MENU_RAMDISKS 4
#define MENU_PATH 256
#define MENU_NAME 192
#define MENU_CMDLINE 1024
/* No menu that somebody reads is longer; a longer file is not looked at. */
#define MENU_FILE_MAX (1 << 20)

struct menu_entry {
	char title[MENU_NAME];
	char id[MENU_NAME]; /* extlinux: label; BLS: the file's name; GRUB: --id */
	/* GRUB: "1>2", "title>title", "id>id" for what is in submenus, as its variable default has them. */
	char by_index[32], by_title[2 * MENU_NAME], by_id[2 * MENU_NAME];
	char kernel[MENU_PATH];
	char ramdisk[MENU_RAMDISKS][MENU_PATH];
	int nr_ramdisks;
	char cmdline[MENU_CMDLINE];
	bool bad; /* something of it did not fit: it is none, whatever else is said of it */
};

struct menu {
	struct menu_entry entry[MENU_ENTRIES];
	int nr;
	char preferred[2 * MENU_NAME]; /* what the menu itself says; "": the first */
	bool sorted; /* BLS: by version, the newest first */
};

/* A file of names and values that menus refer to (grubenv); @data NULL: there is none. */
struct menu_env {
	const char *data;
	size_t size;
};

/*
 * Each adds the entries of one file to @m, which is zeroed at first. A file that is no menu adds nothing.
 *
 * extlinux.conf (Syslinux's language as U-Boot reads it). @dir: where the file lies, for paths without a leading /.
 */
void menu_extlinux(struct menu *m, const char *data, size_t size, const char *dir);
/* One entry of the Boot Loader Specification (type #1). @name: the file's, "debian-6.12.conf". */
void menu_bls(struct menu *m, const char *data, size_t size, const char *name,
	      const struct menu_env *env);
/* Such files' names, of which menu_choose() would put the first first. */
void menu_bls_sort(char **name, int nr);
/* loader.conf of the same specification, after the entries. */
void menu_bls_default(struct menu *m, const char *data, size_t size);
/*
 * grub.cfg, as far as grub-mkconfig writes it: assignments, menuentry, submenu, if with tests of strings, and what
 * stands in an entry. What else a configuration computes is not known here, and its entries are as if it were empty.
 */
void menu_grub(struct menu *m, const char *data, size_t size, const struct menu_env *env);

/*
 * The entry that @wanted names (a number from 0, a title, an id, or GRUB's forms with ">"), or with @wanted NULL the
 * menu's own choice. NULL: there is no such entry, or none at all.
 */
const struct menu_entry *menu_choose(struct menu *m, const char *wanted);

/* --- for the languages ----------------------------------------------------------------------- */

/*
 * The next line without its end and without blanks around it; false at the end. One of @size bytes or more, or with a NUL in
 * it, is empty, and sets *@bad, which may be NULL.
 */
bool menu_line(const char **data, size_t *left, char *line, size_t size, bool *bad);
/* The first word of @line goes to @word (it fits, or is empty); returns what follows it. */
char *menu_word(char *line, char *word, size_t size);
/* An empty entry at the end; NULL when there is room for no more. */
struct menu_entry *menu_add(struct menu *m);
/* Removes the last one if it is bad, or has no kernel. */
void menu_settle(struct menu *m);
/* @dir/@path (or @path, when it begins with /) as a path from the file system's root; false: too long. */
bool menu_path(char *out, const char *dir, const char *path);
/* Copies if it fits; else "" and false. */
bool menu_copy(char *out, size_t size, const char *text);
/* Appends @text, with a blank in between; false and nothing done if it does not fit. */
bool menu_append(char *out, size_t size, const char *text);
/* The value of @name in a grubenv, or "". */
void menu_env_get(const struct menu_env *env, const char *name, char *out, size_t size);

#endif /* BOOT_MENU_H */
