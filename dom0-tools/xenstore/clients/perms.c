// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenstore-chmod: permissions of a key, with -r of all below it, with -u of all above it.
 * A permission is a letter and a domain: r3, w3, b3, n3.
 * The first names the owner.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client.h"

static void set(struct xs_handle *h, xs_transaction_t t, const char *path, struct xs_permissions *p,
		unsigned int num)
{
	if (!xs_set_permissions(h, t, path, p, num)) {
		again_if_lost();
		err(1, "Error occurred setting permissions on '%s'", path);
	}
}

static void set_below(struct xs_handle *h, xs_transaction_t t, const char *path,
		      struct xs_permissions *p, unsigned int num)
{
	unsigned int n;
	char **names, *child;

	set(h, t, path, p, num);
	names = xs_directory(h, t, path, &n);
	if (!names) {
		again_if_lost();
		err(1, "xs_directory (%s)", path);
	}
	for (unsigned int i = 0; i < n; i++) {
		child = join_path(path, names[i]);
		set_below(h, t, child, p, num);
		free(child);
	}
	free(names);
}

int mode_chmod(struct xs_handle *h, xs_transaction_t t, const struct options *o, int argc,
	       char **argv)
{
	unsigned int num = (unsigned int)argc - 1;
	struct xs_permissions *p = must(calloc(num + 1, sizeof(*p)));
	char *up, *slash;

	for (unsigned int i = 0; i < num; i++) {
		const char *s = argv[i + 1];

		if (!strchr("rwbn", s[0]) || !s[0])
			errx(1, "Invalid permission specification: '%c'", s[0]);
		if (!xs_strings_to_perms(&p[i], 1, s))
			errx(1, "Invalid domain id: '%s'", s + 1);
	}
	if (o->recurse)
		set_below(h, t, argv[0], p, num);
	else
		set(h, t, argv[0], p, num);
	if (o->upto) {
		up = must(strdup(argv[0]));
		while ((slash = strrchr(up, '/')) && slash != up) {
			*slash = 0;
			set(h, t, up, p, num);
		}
		free(up);
	}
	free(p);
	return 0;
}
