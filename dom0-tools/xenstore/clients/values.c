// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenstore-read, -write, -list, -exists, -rm and -watch.
 * Each works on all its arguments within one transaction (watch: none).
 * Output is that of Xen's clients.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client.h"

int mode_read(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
	      char **argv)
{
	unsigned int len;
	char *val, *s;

	for (int i = 0; i < argc; i++) {
		val = xs_read(h, t, argv[i], &len);
		if (!val) {
			again_if_lost();
			warnx("couldn't read path %s", argv[i]);
			return 1;
		}
		if (o->prefix)
			out("%s: ", argv[i]);
		if (o->raw) {
			out_bytes(val, len);
		} else {
			s = escape(val, len);
			out("%s\n", s);
			free(s);
		}
		free(val);
	}
	return 0;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *p;

	if (c >= 'A' && c <= 'F')
		c = (char)(c - 'A' + 'a');
	p = c ? strchr(digits, c) : NULL;
	return p ? (int)(p - digits) : -1;
}

/* Undoes escape(), in place. Returns the length. */
static size_t unescape(char *s)
{
	char *in = s, *p = s;
	int v;

	while (*in) {
		if (*in != '\\' || !in[1]) {
			*p++ = *in++;
			continue;
		}
		in++;
		if (is_octal(*in)) {
			v = 0;
			for (int i = 0; i < 3 && is_octal(*in); i++)
				v = v * 8 + (*in++ - '0');
			*p++ = (char)v;
			continue;
		}
		switch (*in) {
		case 't':
			*p++ = '\t';
			break;
		case 'n':
			*p++ = '\n';
			break;
		case 'r':
			*p++ = '\r';
			break;
		case 'x':
			if (hex(in[1]) < 0) {
				*p++ = 'x';
				break;
			}
			v = 0;
			for (int i = 0; i < 2 && hex(in[1]) >= 0; i++)
				v = v * 16 + hex(*++in);
			*p++ = (char)v;
			break;
		default:
			*p++ = *in;
		}
		in++;
	}
	*p = 0;
	return (size_t)(p - s);
}

int mode_write(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
	       char **argv)
{
	char *val;
	size_t len;
	bool ok;

	for (int i = 0; i + 1 < argc; i += 2) {
		val = must(strdup(argv[i + 1]));
		len = o->raw ? strlen(val) : unescape(val);
		ok = xs_write(h, t, argv[i], val, (unsigned int)len);
		free(val);
		if (!ok) {
			again_if_lost();
			warnx("could not write path %s", argv[i]);
			return 1;
		}
	}
	return 0;
}

int mode_list(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
	      char **argv)
{
	unsigned int num;
	char **names;

	for (int i = 0; i < argc; i++) {
		names = xs_directory(h, t, argv[i], &num);
		if (!names) {
			again_if_lost();
			warnx("could not list path %s", argv[i]);
			return 1;
		}
		for (unsigned int j = 0; j < num; j++)
			out("%s%s%s\n", o->prefix ? argv[i] : "", o->prefix ? "/" : "", names[j]);
		free(names);
	}
	return 0;
}

int mode_exists(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
		char **argv)
{
	char *val;

	(void)o;
	for (int i = 0; i < argc; i++) {
		val = xs_read(h, t, argv[i], NULL);
		if (!val) {
			again_if_lost();
			return 1;
		}
		free(val);
	}
	return 0;
}

/* Removes parents that are left empty, upwards. */
static void tidy(struct xs_handle *h, xs_transaction_t t, char *path)
{
	unsigned int num, len;
	char *slash, **names, *val;

	while ((slash = strrchr(path, '/')) && slash != path) {
		*slash = 0;
		names = xs_directory(h, t, path, &num);
		if (!names)
			return;
		free(names);
		if (num)
			return;
		val = xs_read(h, t, path, &len);
		if (!val)
			return;
		free(val);
		if (len || !xs_rm(h, t, path))
			return;
	}
}

int mode_rm(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc, char **argv)
{
	char *copy;

	for (int i = 0; i < argc; i++) {
		if (!xs_rm(h, t, argv[i])) {
			again_if_lost();
			warnx("could not remove path %s", argv[i]);
			return 1;
		}
		if (!o->tidy)
			continue;
		copy = must(strdup(argv[i]));
		tidy(h, t, copy);
		free(copy);
	}
	return 0;
}

int mode_watch(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
	       char **argv)
{
	unsigned int num;
	char **v;

	(void)t;
	for (int i = 0; i < argc; i++)
		if (!xs_watch(h, argv[i], argv[i]))
			errx(1, "Unable to add watch on %s\n", argv[i]);
	for (int n = o->count; n; n -= n > 0) {
		v = xs_read_watch(h, &num);
		if (!v)
			err(1, "xs_read_watch");
		printf("%s\n", v[XS_WATCH_PATH]);
		fflush(stdout);
		free(v);
	}
	return 0;
}
