// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who writes the stream of a saved domain: pages, a disk that is full, and what no reader would take.
 */
#define _GNU_SOURCE
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pavise.h>
#include <pvstream.h>

static void test_pages(void **state)
{
	static uint8_t pages[3 * PV_PAGE_SIZE];
	const uint64_t gfns[] = { 5, 6, 7 };
	const uint8_t kinds[] = { PV_STREAM_ZERO, PV_STREAM_DATA, PV_STREAM_HOLE };
	const struct pv_stream_run run = { 0, 8 };
	const struct iovec none = { NULL, 0 };
	struct pv_stream_host host = { .timebase = 10000000 };
	uint64_t got[PV_STREAM_BATCH];
	uint8_t kind[PV_STREAM_BATCH];
	const uint8_t *data;
	struct pv_stream_out o;
	struct pv_stream_in in;
	struct pv_err err = { "" };
	struct pv_record r;
	int fd = memfd_create("pages", 0), i;

	(void)state;
	memset(pages, 0xee, sizeof(pages));
	memset(pages + PV_PAGE_SIZE, 0x42, PV_PAGE_SIZE);
	assert_int_equal(pv_stream_begin(&o, fd, 0, 0, 0, &err), 0);
	assert_int_equal(
		pv_stream_put(&o, PV_REC_HOST, &(struct iovec){ &host, sizeof(host) }, 1, &err), 0);
	assert_int_equal(pv_stream_put(&o, PV_REC_CONFIG, &(struct iovec){ "name = \"g\"\n", 11 },
				       1, &err),
			 0);
	/* In pieces, too */
	assert_int_equal(pv_stream_put(&o, PV_REC_MEMORY_MAP,
				       (struct iovec[]){ { (void *)&run, 5 },
							 { (char *)&run + 5, sizeof(run) - 5 } },
				       2, &err),
			 0);
	assert_int_equal(pv_stream_put(&o, PV_REC_STATIC_DATA_END, &none, 1, &err), 0);
	assert_int_equal(pv_stream_put_pages(&o, gfns, kinds, 3, pages, &err), 0);
	assert_int_equal(pv_stream_put_pages(&o, gfns, kinds, 0, pages, NULL), -E2BIG);
	assert_int_equal(pv_stream_put_pages(&o, gfns, kinds, PV_STREAM_BATCH + 1, pages, NULL),
			 -E2BIG);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(pv_stream_open(&in, fd, &err), 0);
	for (i = 0; i < 5; i++)
		assert_int_equal(pv_stream_next(&in, &r, &err), 1);
	assert_int_equal(pv_stream_pages(&r, got, kind, &data), 3);
	assert_memory_equal(got, gfns, sizeof(gfns));
	assert_memory_equal(kind, kinds, sizeof(kinds));
	assert_int_equal(r.length, 8 + 3 * 8 + PV_PAGE_SIZE);
	assert_memory_equal(data, pages + PV_PAGE_SIZE, PV_PAGE_SIZE);
	assert_int_equal(pv_stream_next(&in, &r, &err), -ENODATA);
	pv_stream_close(&in);
	close(fd);
}

/* The disk is full in each record. */
static void test_full(void **state)
{
	char name[] = "/proc/self/fd/0000000000";
	int fd = memfd_create("full", MFD_ALLOW_SEALING), i, rc = 0;
	const struct iovec v = { name, sizeof(name) };
	struct pv_err err = { "" };
	struct pv_stream_out o;

	(void)state;
	/* What may not grow says EPERM; a whole disk would say ENOSPC. */
	assert_int_equal(pv_stream_begin(&o, fd, 0, 0, 0, &err), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	for (i = 0; i < 3 && !rc; i++)
		rc = pv_stream_put(&o, PV_REC_CONFIG, &v, 1, &err);
	assert_int_equal(rc, -EPERM);
	assert_non_null(strstr(err.text, "at byte 64: cannot write"));
	close(fd);
	assert_int_equal(pv_stream_put(&o, PV_REC_STORE,
				       &(struct iovec){ name, PV_STREAM_MAX + 1ul }, 1, NULL),
			 -E2BIG);
}

static int readable(uint32_t type, const void *body, size_t length, const char *why)
{
	struct pv_err err = { "" };
	int rc = pv_stream_readable(type, body, length, &err);

	if (rc)
		assert_non_null(strstr(err.text, why));
	return rc;
}

/* A writer learns before anything is lost what a reader would not take. */
static void test_readable(void **state)
{
	static uint8_t big[(256 << 10) + 1];
	const struct pv_stream_run runs[] = { { 5, 2 }, { 7, 1 }, { 6, 1 } };
	const struct pv_stream_param params[] = { { 1, 0 }, { 1, 0 } };
	struct {
		struct pv_stream_node h;
		char text[16];
	} node = { { 4, 1, PV_NODE_GUESTS }, "data1" };

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(readable(PV_REC_CONFIG, "a = 1\n", 6, NULL), 0);
	assert_int_equal(readable(PV_REC_CONFIG, "a = \1", 5, "CONFIG: it is no text"), -EINVAL);
	assert_int_equal(readable(PV_REC_CONFIG, "", 0, "CONFIG of 0 bytes"), -E2BIG);
	assert_int_equal(readable(PV_REC_CONFIG, big, sizeof(big) - 1, NULL), 0);
	assert_int_equal(readable(PV_REC_CONFIG, big, sizeof(big), "CONFIG of 262145 bytes"),
			 -E2BIG);
	assert_int_equal(readable(PV_REC_MEMORY_MAP, runs, 2 * sizeof(runs[0]), NULL), 0);
	assert_int_equal(readable(PV_REC_MEMORY_MAP, runs, sizeof(runs), "not in order"), -EINVAL);
	assert_int_equal(readable(PV_REC_HVM_PARAMS, params, sizeof(params[0]), NULL), 0);
	assert_int_equal(readable(PV_REC_HVM_PARAMS, params, sizeof(params), "not in order"),
			 -EINVAL);
	assert_int_equal(readable(PV_REC_STORE, NULL, 0, NULL), 0);
	assert_int_equal(readable(PV_REC_STORE, &node, 16, NULL), 0);
	node.text[3] = '!';
	assert_int_equal(readable(PV_REC_STORE, &node, 16, "path is none"), -EINVAL);
	assert_int_equal(readable(0x77, "", 0, "unknown type"), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_readable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
