// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenstore-ls: the tree, nested or with full paths, with or without permissions.
 * Columns and cutting of long values are those of Xen's client.
 * A terminal's width is used when there is one.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "client.h"

#define WIDTH 80
#define PERMS_COLUMN 60 /* where permissions begin, less two blanks */
#define CUT_LEN 8 /* what a cut value needs beside its text, as Xen's client counts it */

static unsigned int width;

static void print_perms(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	static const char letters[] = { 'n', 'r', 'w', 'b' };
	struct xs_permissions *p;
	unsigned int num;

	p = xs_get_permissions(h, t, path, &num);
	if (!p) {
		again_if_lost();
		warn("\ncould not access permissions for %s", path);
		return;
	}
	out("  (");
	for (unsigned int i = 0; i < num; i++)
		out("%s%c%u", i ? "," : "", letters[p[i].perms & 3], p[i].id);
	out(")");
	free(p);
}

static void print_value(struct xs_handle *h, xs_transaction_t t, const struct options *o,
			const char *path, unsigned int col)
{
	unsigned int len;
	char *val = xs_read(h, t, path, &len), *s;
	size_t n;

	if (!val) {
		again_if_lost();
		out(":");
		return;
	}
	s = escape(val, len);
	free(val);
	n = strlen(s);
	if (!o->full && col + n + CUT_LEN > width) {
		int room = (int)width - CUT_LEN - (int)col;

		out(" = \"%.*s\\...\"", room > 0 ? room : 0, s);
	} else {
		out(" = \"%s\"", s);
		col += (unsigned int)n + 5;
		if (o->perms) {
			out(" ");
			for (col++; !o->full && col < PERMS_COLUMN; col++)
				out("%c", col & 1 ? '.' : ' ');
		}
	}
	free(s);
}

static int list(struct xs_handle *h, xs_transaction_t t, const struct options *o, const char *path,
		unsigned int depth)
{
	unsigned int num, col, room;
	char **names = xs_directory(h, t, path, &num), *child;

	if (!names) {
		again_if_lost();
		/*
		 * a node that went away meanwhile, or that we may not look into, does not end the
		 * list below it
		 */
		if (depth && (errno == ENOENT || errno == EACCES))
			return 0;
		err(1, "xs_directory (%s)", path);
	}
	for (unsigned int i = 0; i < num; i++) {
		child = join_path(path, names[i]);
		if (o->full) {
			out("%s", child);
			col = (unsigned int)strlen(child);
		} else {
			room = width > depth + CUT_LEN ? width - depth - CUT_LEN : 0;
			col = (unsigned int)strlen(names[i]);
			col = depth + (col < room ? col : room);
			out("%*s%.*s", (int)depth, "", (int)room, names[i]);
		}
		print_value(h, t, o, child, col);
		if (o->perms)
			print_perms(h, t, child);
		out("\n");
		list(h, t, o, child, depth + 1);
		free(child);
	}
	free(names);
	return 0;
}

int mode_ls(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc, char **argv)
{
	static char root[] = "/", *none[] = { root };
	struct winsize ws;
	int ret = 0;

	width = WIDTH;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) && ws.ws_col)
		width = ws.ws_col;
	if (!argc) {
		argc = 1;
		argv = none;
	}
	for (int i = 0; i < argc; i++)
		ret |= list(h, t, o, argv[i], 0);
	return ret;
}
