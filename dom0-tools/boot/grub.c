// SPDX-License-Identifier: BSD-2-Clause
/*
 * GRUB's configuration language, as far as grub-mkconfig writes it (GRUB manual, "Writing full configuration files
 * directly" and "Shell-like scripting").
 * Owns an interpreter that goes through the file once: words, variables, if, menuentry and submenu. Functions and loops
 * are passed over; conditions that ask the machine are false.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "menu.h"

#define VARIABLES 64
#define VALUE 512
#define WORDS 48
#define WORDS_BYTES 4096
#define DEPTH 24

enum end { END_COMMAND, END_OPEN, END_CLOSE, END_FILE };
enum kind { KIND_FILE, KIND_IF, KIND_LOOP, KIND_BLOCK, KIND_ENTRY, KIND_SUBMENU };

struct frame {
	enum kind kind;
	bool active; /* what stands here counts */
	bool taken; /* KIND_IF: a branch has been, so no other counts */
	int entries; /* KIND_FILE, KIND_SUBMENU: so many so far */
	char by_index[16], by_title[MENU_NAME], by_id[MENU_NAME]; /* of a submenu, with its ">" */
};

struct variable {
	char name[40], value[VALUE];
	bool too_long; /* whoever uses it is, too */
};

struct grub {
	const char *at, *end;
	struct menu *menu;
	struct menu_entry *entry; /* being read, or NULL */
	const struct menu_env *env;
	struct variable var[VARIABLES];
	int nr_vars;
	/* the command being read */
	char *word[WORDS], text[WORDS_BYTES];
	int nr_words;
	bool env_loaded; /* grubenv is the same each time */
	size_t used;
	bool too_long;
	struct frame stack[DEPTH];
	int depth; /* of the top */
};

/* --- variables ------------------------------------------------------------------------------- */

static struct variable *find(struct grub *g, const char *name)
{
	int i;

	for (i = 0; i < g->nr_vars; i++)
		if (!strcmp(g->var[i].name, name))
			return &g->var[i];
	return NULL;
}

static const char *get(struct grub *g, const char *name)
{
	struct variable *v = find(g, name);

	return v ? v->value : "";
}

static void set(struct grub *g, const char *name, const char *value)
{
	struct variable *v = find(g, name);

	if (!v) {
		if (g->nr_vars == VARIABLES)
			return;
		v = &g->var[g->nr_vars];
		if (!menu_copy(v->name, sizeof(v->name), name))
			return;
		g->nr_vars++;
	}
	v->too_long = !menu_copy(v->value, sizeof(v->value), value);
}

static bool is_name(char c, bool first)
{
	return c == '_' || isalpha((unsigned char)c) || (!first && isdigit((unsigned char)c));
}

/* "name=value"; false: it is none. */
static bool assign(struct grub *g, const char *word)
{
	const char *p = word;
	char name[40];
	size_t n;

	while (is_name(*p, p == word))
		p++;
	n = p - word;
	if (!n || *p != '=' || n >= sizeof(name))
		return false;
	memcpy(name, word, n);
	name[n] = 0;
	set(g, name, p + 1);
	return true;
}

static void load_env(struct grub *g)
{
	const char *data = g->env ? g->env->data : NULL;
	size_t left = data ? g->env->size : 0;
	char line[VALUE];

	if (g->env_loaded)
		return;
	g->env_loaded = true;
	while (menu_line(&data, &left, line, sizeof(line), NULL))
		/* Meant for one boot, and nobody here can take it out again. */
		if (line[0] != '#' && strncmp(line, "next_entry=", 11))
			assign(g, line);
}

/* --- words ----------------------------------------------------------------------------------- */

static void put(struct grub *g, char c)
{
	if (c && g->used < WORDS_BYTES - 1)
		g->text[g->used++] = c;
	else
		g->too_long = true;
}

/* At a '$'. */
static void expand(struct grub *g)
{
	bool braces = ++g->at < g->end && *g->at == '{';
	const char *from, *value;
	struct variable *v;
	char name[40];
	size_t n;

	g->at += braces;
	from = g->at;
	/* $? and the positions are one character; so is any digit. */
	while (g->at < g->end && is_name(*g->at, false))
		g->at++;
	n = g->at - from;
	if (braces && g->at < g->end && *g->at == '}')
		g->at++;
	if (!n) {
		if (!braces)
			put(g, '$');
		return;
	}
	if (n >= sizeof(name))
		return;
	memcpy(name, from, n);
	name[n] = 0;
	v = find(g, name);
	/* What does not fit anyway may be a long list of long values. */
	for (value = v && !g->too_long ? v->value : ""; *value; value++)
		put(g, *value);
	g->too_long |= v && v->too_long;
}

/* One character of a double-quoted string or of a bare word. */
static void plain(struct grub *g, bool quoted)
{
	if (*g->at == '$') {
		expand(g);
		return;
	}
	if (*g->at == '\\' && g->at + 1 < g->end) {
		g->at++;
		if (*g->at == '\n') {
			g->at++;
			return;
		}
		if (quoted && !strchr("$\"\\", *g->at))
			put(g, '\\');
	}
	put(g, *g->at++);
}

static bool is_end_of_word(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';';
}

static bool is_brace(const struct grub *g, char c)
{
	return *g->at == c && (g->at + 1 == g->end || is_end_of_word(g->at[1]));
}

static void read_word(struct grub *g)
{
	size_t begin = g->used;
	bool quoted = false;
	char q;

	while (g->at < g->end && !is_end_of_word(*g->at)) {
		if (*g->at != '\'' && *g->at != '"') {
			plain(g, false);
			continue;
		}
		quoted = true;
		q = *g->at++;
		while (g->at < g->end && *g->at != q) {
			if (q == '"')
				plain(g, true);
			else
				put(g, *g->at++);
		}
		if (g->at < g->end)
			g->at++;
	}
	/* What is empty without quotes is no word. */
	if (g->used == begin && !quoted)
		return;
	if (g->nr_words == WORDS || g->used == WORDS_BYTES - 1) {
		g->too_long = true;
		return;
	}
	g->word[g->nr_words++] = g->text + begin;
	g->text[g->used++] = 0;
}

/* Fills word[]. */
static enum end read_command(struct grub *g)
{
	g->nr_words = 0;
	g->used = 0;
	g->too_long = false;
	while (g->at < g->end) {
		char c = *g->at;

		if (c == ' ' || c == '\t' || c == '\r') {
			g->at++;
		} else if (c == '\n' || c == ';') {
			g->at++;
			if (g->nr_words)
				return END_COMMAND;
		} else if (c == '#') {
			while (g->at < g->end && *g->at != '\n')
				g->at++;
		} else if (is_brace(g, '{')) {
			g->at++;
			return END_OPEN;
		} else if (is_brace(g, '}')) {
			/* A command before it is one of its own. */
			if (g->nr_words)
				return END_COMMAND;
			g->at++;
			return END_CLOSE;
		} else {
			read_word(g);
		}
	}
	return END_FILE;
}

/* --- conditions ------------------------------------------------------------------------------ */

/* word[from] to word[to - 1], without -a and -o */
static bool simple_test(struct grub *g, int from, int to)
{
	char **w = g->word + from;
	int n = to - from;
	size_t len;

	if (n > 1 && !strcmp(w[0], "!"))
		return !simple_test(g, from + 1, to);
	if (n == 1)
		return *w[0];
	if (n == 2 && !strcmp(w[0], "-n"))
		return *w[1];
	if (n == 2 && !strcmp(w[0], "-z"))
		return !*w[1];
	if (n == 2 && w[0][0] == '-' && strchr("sfe", w[0][1])) {
		len = strlen(w[1]);
		return g->env && g->env->data && len >= 7 && !strcmp(w[1] + len - 7, "grubenv");
	}
	if (n == 3 && (!strcmp(w[1], "=") || !strcmp(w[1], "==")))
		return !strcmp(w[0], w[2]);
	return n == 3 && !strcmp(w[1], "!=") && strcmp(w[0], w[2]);
}

/* The words from word[from] on: "[ ... ]", "test ...", true. */
static bool condition(struct grub *g, int from)
{
	bool all = true, any = false;
	int to = g->nr_words, i;

	if (from < to && !strcmp(g->word[from], "!"))
		return !condition(g, from + 1);
	if (from >= to || g->too_long)
		return false;
	if (!strcmp(g->word[from], "true"))
		return true;
	if (!strcmp(g->word[from], "[")) {
		if (strcmp(g->word[to - 1], "]"))
			return false;
		to--;
	} else if (strcmp(g->word[from], "test")) {
		return false;
	}
	for (i = ++from; i <= to; i++) {
		bool end = i == to, or = !end && !strcmp(g->word[i], "-o");

		if (!end && ! or &&strcmp(g->word[i], "-a"))
			continue;
		all = all && simple_test(g, from, i);
		from = i + 1;
		if (or || end) {
			any = any || all;
			all = true;
		}
	}
	return any;
}

/* --- frames ---------------------------------------------------------------------------------- */

static struct frame *top(struct grub *g)
{
	return &g->stack[g->depth];
}

/* Deeper than anybody writes: the rest of the file is not read. */
static struct frame *push(struct grub *g, enum kind kind, bool active)
{
	struct frame *f;

	if (g->depth == DEPTH - 1) {
		g->at = g->end;
		return top(g);
	}
	active = active && top(g)->active;
	f = &g->stack[++g->depth];
	memset(f, 0, sizeof(*f));
	f->kind = kind;
	f->active = active;
	return f;
}

static bool is_block(enum kind kind)
{
	return kind == KIND_BLOCK || kind == KIND_ENTRY || kind == KIND_SUBMENU;
}

/* What was opened inside and never closed ends with it. */
static void close_block(struct grub *g)
{
	int d = g->depth;

	while (d && !is_block(g->stack[d].kind))
		d--;
	if (!d)
		return;
	if (g->stack[d].kind == KIND_ENTRY && g->entry) {
		menu_settle(g->menu);
		g->entry = NULL;
	}
	g->depth = d - 1;
}

/* The file or submenu that we are in. */
static struct frame *menu_of(struct grub *g)
{
	int d = g->depth;

	while (d && g->stack[d].kind != KIND_SUBMENU)
		d--;
	return &g->stack[d];
}

static const char *option_id(struct grub *g)
{
	int i;

	for (i = 2; i + 1 < g->nr_words; i++)
		if (!strcmp(g->word[i], "--id"))
			return g->word[i + 1];
	return "";
}

static void open_entry(struct grub *g, const struct frame *in, int index, bool active)
{
	struct menu_entry *e = NULL;

	/* An entry in an entry is no menu's. */
	active = active && !g->entry;
	push(g, KIND_ENTRY, active);
	if (active)
		e = menu_add(g->menu);
	if (!e)
		return;
	g->entry = e;
	menu_copy(e->title, sizeof(e->title), g->word[1]);
	menu_copy(e->id, sizeof(e->id), option_id(g));
	snprintf(e->by_index, sizeof(e->by_index), "%s%d", in->by_index, index);
	snprintf(e->by_title, sizeof(e->by_title), "%s%s", in->by_title, e->title);
	snprintf(e->by_id, sizeof(e->by_id), "%s%s", in->by_id, e->id);
}

static void open_block(struct grub *g)
{
	const char *verb = g->nr_words ? g->word[0] : "";
	struct frame *in = menu_of(g), *f;
	bool active = top(g)->active && !g->too_long;
	int index;

	if (g->nr_words < 2 || (strcmp(verb, "menuentry") && strcmp(verb, "submenu"))) {
		push(g, KIND_BLOCK, false);
		return;
	}
	index = active ? in->entries++ : 0;
	if (!strcmp(verb, "menuentry")) {
		open_entry(g, in, index, active);
		return;
	}
	f = push(g, KIND_SUBMENU, active);
	if (snprintf(f->by_index, sizeof(f->by_index), "%s%d>", in->by_index, index) >=
		    (int)sizeof(f->by_index) ||
	    snprintf(f->by_title, sizeof(f->by_title), "%s%s>", in->by_title, g->word[1]) >=
		    (int)sizeof(f->by_title) ||
	    snprintf(f->by_id, sizeof(f->by_id), "%s%s>", in->by_id, option_id(g)) >=
		    (int)sizeof(f->by_id))
		f->active = false;
}

/* --- commands -------------------------------------------------------------------------------- */

/* "(hd0,gpt2)/vmlinuz": what follows the device, which is the one of this file as a rule. */
static const char *without_device(const char *path)
{
	const char *end = *path == '(' ? strchr(path, ')') : NULL;

	return end ? end + 1 : path;
}

static void set_kernel(struct grub *g)
{
	struct menu_entry *e = g->entry;
	int i;

	e->cmdline[0] = 0;
	if (!menu_path(e->kernel, "", without_device(g->word[1])))
		return;
	for (i = 2; i < g->nr_words; i++)
		e->bad |= !menu_append(e->cmdline, sizeof(e->cmdline), g->word[i]);
}

static void set_ramdisks(struct grub *g)
{
	struct menu_entry *e = g->entry;
	int i;

	for (i = 1; i < g->nr_words; i++) {
		if (e->nr_ramdisks == MENU_RAMDISKS ||
		    !menu_path(e->ramdisk[e->nr_ramdisks], "", without_device(g->word[i]))) {
			e->bad = true;
			return;
		}
		e->nr_ramdisks++;
	}
}

/* linux, linux16, linuxefi */
static bool is_verb(const char *word, const char *verb)
{
	size_t n = strlen(verb);

	return !strncmp(word, verb, n) &&
	       (!word[n] || !strcmp(word + n, "16") || !strcmp(word + n, "efi"));
}

static void execute(struct grub *g)
{
	const char *verb = g->word[0];
	int i;

	if (!top(g)->active)
		return;
	if (g->too_long) {
		if (g->entry)
			g->entry->bad = true;
		return;
	}
	if (!strcmp(verb, "set")) {
		for (i = 1; i < g->nr_words; i++)
			assign(g, g->word[i]);
	} else if (!strcmp(verb, "load_env")) {
		load_env(g);
	} else if (g->entry && g->nr_words > 1 && is_verb(verb, "linux")) {
		set_kernel(g);
	} else if (g->entry && is_verb(verb, "initrd")) {
		set_ramdisks(g);
	} else {
		assign(g, verb);
	}
}

static void shift(struct grub *g)
{
	g->nr_words--;
	memmove(g->word, g->word + 1, g->nr_words * sizeof(g->word[0]));
}

/* if, elif, else, fi and loops; true if the words were all of it. */
static bool control(struct grub *g)
{
	const char *verb = g->word[0];
	struct frame *f = top(g);
	bool was;

	if (!strcmp(verb, "if")) {
		was = condition(g, 1);
		f = push(g, KIND_IF, was);
		f->taken = was;
	} else if (f->kind == KIND_IF && !strcmp(verb, "elif")) {
		was = !f->taken && condition(g, 1);
		f->active = was && f[-1].active;
		f->taken |= was;
	} else if (f->kind == KIND_IF && !strcmp(verb, "else")) {
		f->active = !f->taken && f[-1].active;
		f->taken = true;
		shift(g);
		return !g->nr_words || control(g);
	} else if (f->kind == KIND_IF && !strcmp(verb, "fi")) {
		g->depth--;
	} else if (!strcmp(verb, "for") || !strcmp(verb, "while") || !strcmp(verb, "until")) {
		push(g, KIND_LOOP, false);
	} else if (f->kind == KIND_LOOP && !strcmp(verb, "done")) {
		g->depth--;
	} else if (!strcmp(verb, "then") || !strcmp(verb, "do")) {
		shift(g);
		return !g->nr_words || control(g);
	} else {
		return false;
	}
	return true;
}

void menu_grub(struct menu *m, const char *data, size_t size, const struct menu_env *env)
{
	static struct grub g;
	enum end end;

	memset(&g, 0, sizeof(g));
	g.at = data;
	g.end = data + size;
	g.menu = m;
	g.env = env;
	g.stack[0].active = true;
	set(&g, "feature_menuentry_id", "y");
	set(&g, "prefix", "/grub");
	do {
		end = read_command(&g);
		if (end == END_OPEN)
			open_block(&g);
		else if (g.nr_words && !control(&g))
			execute(&g);
		if (end == END_CLOSE)
			close_block(&g);
	} while (end != END_FILE);
	if (g.entry)
		menu_settle(m);
	menu_copy(m->preferred, sizeof(m->preferred),
		  get(&g, strcmp(get(&g, "default"), "saved") ? "default" : "saved_entry"));
}
