/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The syntax of xl.cfg: key = value, where a value is a string, a number or a list of them.
 * Owns the parsed tree, without any knowledge of keys; config.c gives it meaning.
 * Each setting and value knows its line, for messages.
 */
#ifndef XL_CFG_H
#define XL_CFG_H

#include <stdbool.h>
#include <stdio.h>

struct cfg_value {
	char *text;
	int line;
	bool number; /* written without quotes */
};

struct cfg_setting {
	struct cfg_setting *next;
	char *key;
	const char *file; /* for messages; owned by struct cfg */
	int line;
	bool list;
	int nr;
	struct cfg_value *v;
};

struct cfg {
	struct cfg_setting *first;
	FILE *log; /* errors and warnings go here */
	int errors;
	/* of the text being parsed: */
	char *files[2];
	int nr_files;
	const char *file;
	int line;
	char key[64]; /* the setting being read, for messages; "" = none */
	bool eof_seen, newline_given, quiet;
};

void cfg_init(struct cfg *c, FILE *log);
void cfg_free(struct cfg *c);

/* Parses a file; 0, or -1 with the reason in the log. */
int cfg_parse_file(struct cfg *c, const char *path);
/*
 * Parses one "key=value" of the command line, or several with semicolons between them, as if they stood after
 * the file. A value that is no number, list or quoted string is taken as a string: the shell has eaten the quotes.
 */
int cfg_parse_arg(struct cfg *c, const char *arg);

/* The last setting of @key, or NULL. */
const struct cfg_setting *cfg_find(const struct cfg *c, const char *key);

/* @key's path; or @def where it is not set, or, after a message, not a path from the root. The caller frees. */
char *cfg_path(struct cfg *c, const char *key, const char *def);

/* "file:line: key: text" into the log; an error is counted. */
void cfg_error(struct cfg *c, const struct cfg_setting *s, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void cfg_warn(struct cfg *c, const struct cfg_setting *s, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* For the parser: */
union cfg_token {
	struct cfg_value value;
	struct cfg_setting *setting;
};
void cfg_add(struct cfg *c, struct cfg_setting *s, bool append);
struct cfg_setting *cfg_setting_new(bool list);
void cfg_setting_push(struct cfg_setting *s, struct cfg_value v);
void cfg_setting_free(struct cfg_setting *s);
void cfg_syntax_error(struct cfg *c, const char *near);

#endif /* XL_CFG_H */
