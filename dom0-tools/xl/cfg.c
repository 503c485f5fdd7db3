// SPDX-License-Identifier: BSD-2-Clause
/*
 * The tree that the xl.cfg parser builds, and the messages about it.
 * Owns the rule "the last setting of a key counts", with a warning when one file gives it twice.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cfg.h"
#include "text.h"
#include "cfg_parse.h"
#include "cfg_lex.h"

#define ARG_FILE "command line"

void cfg_init(struct cfg *c, FILE *log)
{
	memset(c, 0, sizeof(*c));
	c->log = log;
}

void cfg_free(struct cfg *c)
{
	struct cfg_setting *s = c->first, *next;

	for (; s; s = next) {
		next = s->next;
		cfg_setting_free(s);
	}
	while (c->nr_files)
		free(c->files[--c->nr_files]);
	c->first = NULL;
}

struct cfg_setting *cfg_setting_new(bool list)
{
	struct cfg_setting *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->list = list;
	return s;
}

void cfg_setting_push(struct cfg_setting *s, struct cfg_value v)
{
	struct cfg_value *more = realloc(s->v, (s->nr + 1) * sizeof(*more));

	if (!more)
		abort();
	s->v = more;
	s->v[s->nr++] = v;
}

void cfg_setting_free(struct cfg_setting *s)
{
	int i;

	if (!s)
		return;
	for (i = 0; i < s->nr; i++)
		free(s->v[i].text);
	free(s->v);
	free(s->key);
	free(s);
}

static void message(struct cfg *c, const char *file, int line, const char *key, const char *kind,
		    const char *fmt, va_list ap)
{
	if (!c->log)
		return;
	fputs(file ? file : "?", c->log);
	if (line)
		fprintf(c->log, ":%d", line);
	fprintf(c->log, ": %s", kind);
	if (key && *key)
		fprintf(c->log, "%s: ", key);
	vfprintf(c->log, fmt, ap);
	fputc('\n', c->log);
}

void cfg_error(struct cfg *c, const struct cfg_setting *s, int line, const char *fmt, ...)
{
	va_list ap;

	c->errors++;
	va_start(ap, fmt);
	message(c, s ? s->file : c->file, s && !line ? s->line : line, s ? s->key : c->key, "", fmt,
		ap);
	va_end(ap);
}

void cfg_warn(struct cfg *c, const struct cfg_setting *s, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(c, s ? s->file : c->file, s && !line ? s->line : line, s ? s->key : c->key,
		"warning: ", fmt, ap);
	va_end(ap);
}

void cfg_syntax_error(struct cfg *c, const char *near)
{
	if (c->quiet)
		return;
	c->quiet = true; /* until this line ends */
	if (c->eof_seen)
		cfg_error(c, NULL, c->line, "syntax error at the end of the file");
	else if (near && *near == '\n')
		/* The lexer has counted this line's end already. */
		cfg_error(c, NULL, c->line - 1, "syntax error at the end of the line");
	else if (near && (*near == '"' || *near == '\'') && !strchr(near + 1, *near))
		cfg_error(c, NULL, c->line, "string without closing %c", *near);
	else
		cfg_error(c, NULL, c->line, "syntax error near '%s'", near ? near : "");
}

const struct cfg_setting *cfg_find(const struct cfg *c, const char *key)
{
	const struct cfg_setting *s;

	for (s = c->first; s; s = s->next)
		if (!strcmp(s->key, key))
			return s;
	return NULL;
}

char *cfg_path(struct cfg *c, const char *key, const char *def)
{
	const struct cfg_setting *s = cfg_find(c, key);
	char *path;

	if (s && (s->list || s->v[0].text[0] != '/')) {
		cfg_error(c, s, 0, "not a path from the root; %s is used", def);
		s = NULL;
	}
	path = strdup(s ? s->v[0].text : def);
	if (!path)
		abort();
	return path;
}

static void append(struct cfg *c, struct cfg_setting *old, struct cfg_setting *s)
{
	int i;

	if (old->list != s->list) {
		cfg_error(c, s, 0, "+= needs two lists or two strings (line %d)", old->line);
	} else if (s->list) {
		for (i = 0; i < s->nr; i++) {
			cfg_setting_push(old, s->v[i]);
			s->v[i].text = NULL;
		}
	} else {
		char *both;

		if (asprintf(&both, "%s%s", old->v[0].text, s->v[0].text) < 0)
			abort();
		free(old->v[0].text);
		old->v[0].text = both;
	}
	cfg_setting_free(s);
}

void cfg_add(struct cfg *c, struct cfg_setting *s, bool add)
{
	struct cfg_setting **p, *old = NULL;

	s->file = c->file;
	for (p = &c->first; *p; p = &(*p)->next) {
		if (!strcmp((*p)->key, s->key)) {
			old = *p;
			break;
		}
	}
	if (old && add) {
		append(c, old, s);
		return;
	}
	if (old) {
		/* A command line that overrides its file is the normal case. */
		if (old->file == s->file)
			cfg_warn(c, s, 0, "given again; the value of line %d is ignored",
				 old->line);
		s->next = old->next;
		*p = s;
		cfg_setting_free(old);
		return;
	}
	*p = s;
}

static int parse(struct cfg *c, const char *name, FILE *in, const char *text)
{
	int before = c->errors, rc;
	yyscan_t scanner;

	if (!c->file || strcmp(c->file, name)) {
		char *copy = c->nr_files < 2 ? strdup(name) : NULL;

		if (!copy)
			abort();
		c->files[c->nr_files++] = copy;
		c->file = copy;
	}
	c->line = 1;
	c->key[0] = '\0';
	c->eof_seen = c->newline_given = c->quiet = false;
	if (cfg_yylex_init_extra(c, &scanner))
		abort();
	if (in)
		cfg_yyset_in(in, scanner);
	else
		cfg_yy_scan_string(text, scanner);
	rc = cfg_yyparse(scanner, c);
	cfg_yylex_destroy(scanner);
	c->key[0] = '\0';
	return rc || c->errors != before ? -1 : 0;
}

int cfg_parse_file(struct cfg *c, const char *path)
{
	FILE *in = fopen(path, "re");
	int rc;

	if (!in) {
		c->errors++;
		if (c->log)
			fprintf(c->log, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	rc = parse(c, path, in, NULL);
	if (ferror(in)) {
		c->errors++;
		if (c->log)
			fprintf(c->log, "%s: cannot read: %s\n", path, strerror(EIO));
		rc = -1;
	}
	fclose(in);
	return rc;
}

/* Does the text stand for itself in xl.cfg, or is it a string that lost its quotes? */
static bool is_literal(const char *v)
{
	size_t n = strspn(v, "0123456789");

	return *v == '"' || *v == '\'' || *v == '[' || (n && !v[n]);
}

static int parse_one_arg(struct cfg *c, const char *arg)
{
	const char *eq = strchr(arg, '=');
	char *text, *p;
	int rc;

	if (!eq || eq == arg || is_literal(eq + 1))
		return parse(c, ARG_FILE, NULL, arg);
	text = malloc(2 * strlen(arg) + 4);
	if (!text)
		abort();
	memcpy(text, arg, eq + 1 - arg);
	p = text + (eq + 1 - arg);
	*p++ = '"';
	for (eq++; *eq; eq++) {
		if (*eq == '"' || *eq == '\\')
			*p++ = '\\';
		*p++ = *eq;
	}
	*p++ = '"';
	*p = '\0';
	rc = parse(c, ARG_FILE, NULL, text);
	free(text);
	return rc;
}

/* Does a setting begin here: blanks, a name, "=" or "+="? */
static bool begins_setting(const char *p)
{
	p += strspn(p, " \t");
	if (!isalpha((unsigned char)*p) && *p != '_')
		return false;
	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	p += strspn(p, " \t");
	return *p == '=' || (*p == '+' && p[1] == '=');
}

/* The semicolon that another setting follows, or nothing; not one in a string or a list. NULL: there is none. */
static const char *next_setting(const char *p)
{
	char quote = '\0';
	int depth = 0;

	for (; *p; p++) {
		if (quote) {
			if (*p == '\\' && p[1])
				p++;
			else if (*p == quote)
				quote = '\0';
		} else if (*p == '"' || *p == '\'') {
			quote = *p;
		} else if (*p == '[') {
			depth++;
		} else if (*p == ']' && depth) {
			depth--;
		} else if (*p == ';' && !depth &&
			   (!p[1 + strspn(p + 1, " \t")] || begins_setting(p + 1))) {
			return p;
		}
	}
	return NULL;
}

/* Blanks around the value are not part of it where several settings stand in a word. */
static void trim_value(char *setting)
{
	char *eq = strchr(setting, '='), *value;

	if (!eq)
		return;
	value = text_trim(eq + 1);
	memmove(eq + 1, value, strlen(value) + 1);
}

int cfg_parse_arg(struct cfg *c, const char *arg)
{
	const char *end = arg;
	char *one;
	int rc = 0;

	while (!rc && end) {
		const char *begin = end;

		end = next_setting(begin);
		one = end ? strndup(begin, end - begin) : strdup(begin);
		if (!one)
			abort();
		if (end || begin != arg)
			trim_value(one);
		/* Nothing may follow the last semicolon. */
		if (one[strspn(one, " \t")] || begin == arg)
			rc = parse_one_arg(c, one);
		free(one);
		if (end)
			end++;
	}
	return rc;
}
