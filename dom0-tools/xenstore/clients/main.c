// SPDX-License-Identifier: BSD-2-Clause
/*
 * The xenstore-* clients in one program: by name (xenstore-read) or by first argument (xenstore
 * read). It owns options, usage, the transaction around a mode and its retry. Options and output
 * are those of Xen's clients, which scripts and fingers know.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client.h"

static const struct mode {
	const char *name, *opts, *usage;
	int min_args;
	bool transaction;
	mode_fn fn;
} modes[] = {
	{ "read", "hpsR", "[-h] [-p] [-s] [-R] key [...]", 1, true, mode_read },
	{ "write", "hsR", "[-h] [-s] [-R] key value [...]", 2, true, mode_write },
	{ "list", "hps", "[-h] [-p] [-s] key [...]", 1, true, mode_list },
	{ "exists", "hs", "[-h] [-p] [-s] key [...]", 1, true, mode_exists },
	{ "rm", "hst", "[-h] [-s] [-t] key [...]", 1, true, mode_rm },
	{ "chmod", "hrsu", "[-h] [-u] [-r] [-s] key <mode [modes...]>", 1, true, mode_chmod },
	{ "ls", "hfps", "[-h] [-f] [-p] [-s] [path]", 0, true, mode_ls },
	{ "watch", "hn:s", "[-h] [-n NR] key", 1, false, mode_watch },
};

/* All that there are; each mode says which are its own. */
#define OPTIONS "hfspturn:R"

static char *out_buf;
static size_t out_len, out_cap;

void *must(void *p)
{
	if (!p)
		err(1, "out of memory");
	return p;
}

void out_bytes(const void *p, size_t n)
{
	if (out_len + n > out_cap) {
		out_cap = (out_len + n) * 2;
		out_buf = must(realloc(out_buf, out_cap));
	}
	memcpy(out_buf + out_len, p, n);
	out_len += n;
}

void out(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		err(1, "out of memory");
	out_bytes(s, (size_t)n);
	free(s);
}

char *join_path(const char *dir, const char *name)
{
	char *s;

	if (asprintf(&s, "%s/%s", strcmp(dir, "/") ? dir : "", name) < 0)
		err(1, "out of memory");
	return s;
}

char *escape(const char *val, unsigned int len)
{
	char *res = must(malloc(len * 4u + 1)), *p = res;

	for (; len; len--, val++) {
		unsigned char c = (unsigned char)*val;

		if (c >= ' ' && c < 0x7f && c != '\\') {
			*p++ = (char)c;
			continue;
		}
		*p++ = '\\';
		switch (c) {
		case '\t':
			*p++ = 't';
			break;
		case '\n':
			*p++ = 'n';
			break;
		case '\r':
			*p++ = 'r';
			break;
		case '\\':
			*p++ = '\\';
			break;
		default:
			p += sprintf(p, c < 010 ? "%03o" : "x%02x", c);
		}
	}
	*p = 0;
	return res;
}

static const struct mode *find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(modes[i].name, name))
			return &modes[i];
	return NULL;
}

static void usage(const char *prog, const struct mode *m, bool multi)
{
	errx(1, "Usage: %s %s%s%s", prog, multi ? m->name : "", multi ? " " : "", m->usage);
}

static void parse(int argc, char **argv, const char *prog, const struct mode *m, bool multi,
		  struct options *o)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "flat", no_argument, NULL, 'f' },
		{ "prefix", no_argument, NULL, 'p' },
		{ "tidy", no_argument, NULL, 't' },
		{ "upto", no_argument, NULL, 'u' },
		{ "recurse", no_argument, NULL, 'r' },
		{ "number", required_argument, NULL, 'n' },
		{ "raw", no_argument, NULL, 'R' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, OPTIONS, longs, NULL)) != -1) {
		/* Xen's clients go on after what is no option, but not after another mode's */
		if (c != '?' && !strchr(m->opts, c))
			c = 'h';
		switch (c) {
		case '?':
			break;
		case 'f':
			o->full = true;
			break;
		case 'p':
			o->perms = o->prefix = true;
			break;
		case 'R':
			o->raw = true;
			break;
		case 't':
			o->tidy = true;
			break;
		case 'r':
			o->recurse = true;
			break;
		case 'u':
			o->upto = true;
			break;
		case 'n':
			o->count = atoi(optarg);
			break;
		case 's':
			break; /* accepted for old scripts */
		default:
			usage(prog, m, multi);
		}
	}
	if (argc - optind < m->min_args || (m->fn == mode_write && (argc - optind) % 2))
		usage(prog, m, multi);
}

static jmp_buf lost;

void again_if_lost(void)
{
	if (errno == EAGAIN)
		longjmp(lost, 1);
}

/* A mode in its transaction, as often as it takes; see again_if_lost(). */
static int run(struct xs_handle *h, const struct mode *m, const struct options *o, int argc,
	       char **argv)
{
	static xs_transaction_t t; /* outlives the jump */
	int ret;

	if (setjmp(lost))
		xs_transaction_end(h, t, true);
	do {
		out_len = 0;
		t = XBT_NULL;
		if (m->transaction) {
			t = xs_transaction_start(h);
			if (t == XBT_NULL)
				errx(1, "couldn't start transaction");
		}
		ret = m->fn(h, t, o, argc, argv);
	} while (m->transaction && !xs_transaction_end(h, t, ret != 0) && errno == EAGAIN);
	return ret;
}

int main(int argc, char **argv)
{
	const char *full = argv[0], *prog = strrchr(full, '/') ? strrchr(full, '/') + 1 : full;
	struct options o = { .count = -1 };
	const struct mode *m = NULL;
	struct xs_handle *h;
	bool multi = false;
	int ret;

	if (!strcmp(prog, "xenstore-control"))
		return control_main(full, argc - 1, argv + 1);
	if (argc > 1 && !strncmp(prog, "xenstore", 9) && !strcmp(argv[1], "control"))
		return control_main("xenstore control", argc - 2, argv + 2);
	if (!strncmp(prog, "xenstore-", 9))
		m = find_mode(prog + 9);
	if (!m) {
		multi = true;
		if (argc < 2)
			errx(1, "Usage: %s <mode> [-h] [...]", full);
		m = find_mode(argv[1]);
		if (!m)
			errx(1, "unknown mode %s\n", argv[1]);
		argv++;
		argc--;
	}
	parse(argc, argv, full, m, multi, &o);
	h = xs_open(0);
	if (!h)
		err(1, "xs_open");
	ret = run(h, m, &o, argc - optind, argv + optind);
	if (out_len)
		fwrite(out_buf, 1, out_len, stdout);
	free(out_buf);
	xs_close(h);
	return fflush(stdout) ? 1 : ret;
}
