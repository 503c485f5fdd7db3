// SPDX-License-Identifier: BSD-2-Clause
/*
 * libFuzzer's target: the first byte says whether the rest is a JSON text, a tar archive, or marked input.
 * Owns nothing; the sanitizers and the time limit are the checks, and that nothing is read beyond what is there.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "json.h"
#include "run.h"
#include "tar.h"

static void visit(const struct json *v, int depth)
{
	if (depth > JSON_DEPTH)
		abort();
	for (; v; v = v->next) {
		if ((v->type == JSON_STRING || v->type == JSON_NUMBER) && !v->text)
			abort();
		if (v->key && !json_get(v, "", JSON_NULL))
			json_integer(v, "size");
		visit(v->child, depth + 1);
	}
}

static void fuzz_json(const uint8_t *data, size_t n)
{
	char *copy = malloc(n + !n);
	const char *why = NULL;
	struct json *v;
	size_t at;

	memcpy(copy, data, n);
	v = json_parse(copy, n, &why, &at);
	if (!v && (!why || at > n))
		abort();
	visit(v, 0);
	json_free(v);
	free(copy);
}

static void fuzz_tar(const uint8_t *data, size_t n, int seekable)
{
	static struct tar_entry e;
	int fd = memfd_create("tar", 0), rc;
	char buf[700];
	struct tar t;
	ssize_t got;

	if (fd < 0 || write(fd, data, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET))
		abort();
	tar_begin(&t, fd, seekable);
	while ((rc = tar_next(&t, &e)) > 0) {
		if (strnlen(e.path, TAR_PATH) == TAR_PATH || strnlen(e.link, TAR_PATH) == TAR_PATH)
			abort();
		while (!seekable && (got = tar_read(&t, buf, sizeof(buf))) > 0)
			if (got > (ssize_t)sizeof(buf))
				abort();
	}
	if (rc < 0 && !t.why[0])
		abort();
	close(fd);
}

/* In two pieces it is what it is in one. */
static void fuzz_input(const uint8_t *data, size_t n)
{
	char *whole = malloc(n + 1), *parts = malloc(n + 1);
	bool marked[2] = { false }, end[2] = { false };
	size_t cut = n / 3, got[2];

	memcpy(whole, data, n);
	memcpy(parts, data, n);
	got[0] = run_unmark(whole, n, &marked[0], &end[0]);
	got[1] = run_unmark(parts, cut, &marked[1], &end[1]);
	if (got[1] > cut)
		abort();
	memmove(parts + got[1], parts + cut, n - cut);
	got[1] += run_unmark(parts + got[1], n - cut, &marked[1], &end[1]);
	if (got[0] != got[1] || got[0] > n || memcmp(whole, parts, got[0]) || end[0] != end[1])
		abort();
	free(whole);
	free(parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!n)
		return 0;
	if (data[0] == 'j')
		fuzz_json(data + 1, n - 1);
	else if (data[0] == 'i')
		fuzz_input(data + 1, n - 1);
	else
		fuzz_tar(data + 1, n - 1, data[0] == 's');
	return 0;
}
