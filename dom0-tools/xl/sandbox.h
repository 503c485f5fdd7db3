/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that gets hostile bytes to read: it sees its program's libraries, some files that it was given, and one socket,
 * and nothing else of dom0.
 */
#ifndef XL_SANDBOX_H
#define XL_SANDBOX_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

struct sandbox_file {
	const char *path;
	struct stat st; /* what must be there still */
	bool readonly;
};

#define SANDBOX_FILES 32

struct sandbox {
	const char *root; /* whose usr is its /usr, read-only */
	const struct sandbox_file *file; /* /image0, /image1, ... */
	int nr_files;
	int socket; /* its descriptor 3 */
	int errors; /* its standard error */
	char *const *argv; /* [0]: a path in there */
	char *const *envp;
};

/*
 * The process, which is process 1 of its own, and waits until *@go has a byte for it; if that is closed, it ends. -1 with
 * errno. What goes wrong in it is a sentence in @errors.
 */
pid_t sandbox_start(const struct sandbox *s, int *go);

#endif /* XL_SANDBOX_H */
