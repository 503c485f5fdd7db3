// SPDX-License-Identifier: BSD-2-Clause
/* Disks in the stream of a saved domain: what comes out, and records that are refused, however right their sums are. */
#define _GNU_SOURCE
#include "test.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pavise.h>
#include <pvstream.h>

static uint8_t body[PV_STREAM_DISK_BYTES + 4096];
static uint32_t size;

static void put(struct pv_stream_out *o, uint32_t type, const void *from, size_t length)
{
	struct iovec v = { (void *)from, length };

	assert_int_equal(pv_stream_put(o, type, &v, 1, NULL), 0);
}

static int begin(struct pv_stream_out *o, uint32_t options)
{
	const struct pv_stream_host host = { .timebase = 10000000 };
	const struct pv_stream_run map = { 8, 8 };
	int fd = memfd_create("disks", 0);

	assert_int_equal(pv_stream_begin(o, fd, options, 4, 17, NULL), 0);
	put(o, PV_REC_HOST, &host, sizeof(host));
	put(o, PV_REC_CONFIG, "name = \"g\"\n", 11);
	put(o, PV_REC_MEMORY_MAP, &map, sizeof(map));
	return fd;
}

/* One more in body[]. */
static void add(uint64_t bytes, const char *path, uint32_t length, uint32_t reserved)
{
	struct pv_stream_disk d = { bytes, length, reserved };

	memcpy(body + size, &d, sizeof(d));
	memset(body + size + sizeof(d), 0, (length + 7) & ~7u);
	memcpy(body + size + sizeof(d), path, length);
	size += sizeof(d) + ((length + 7) & ~7u);
}

static void two_disks(void)
{
	size = 0;
	add(1000, "/images/a", 9, 0);
	add(1ull << 40, "/b", 2, 0);
}

static int read_on(int fd, struct pv_stream_in *in, struct pv_err *err, unsigned int *n)
{
	struct pv_record r;
	int rc;

	lseek(fd, 0, SEEK_SET);
	memset(err, 0, sizeof(*err));
	*n = 0;
	rc = pv_stream_open(in, fd, err);
	if (!rc)
		while ((rc = pv_stream_next(in, &r, err)) == 1)
			++*n;
	return rc;
}

static void refused(int fd, struct pv_stream_out *o, unsigned int at, const char *why)
{
	struct pv_stream_in in;
	struct pv_err err;
	unsigned int n;

	pv_stream_finish(o);
	assert_int_equal(read_on(fd, &in, &err, &n), -EBADMSG);
	if (!strstr(err.text, why))
		fail_msg("'%s' should say '%s'", err.text, why);
	assert_int_equal(n, at);
	pv_stream_close(&in);
	close(fd);
}

/* body[] as DISKS is refused. */
static void bad_disks(const char *why)
{
	struct pv_stream_out o;
	int fd = begin(&o, PV_STREAM_DISKS);

	put(&o, PV_REC_DISKS, body, size);
	refused(fd, &o, 3, why);
}

/* @n bytes behind this as DISK are. */
static void bad_data(uint32_t disk, uint32_t reserved, uint64_t offset, uint64_t bytes, size_t n,
		     const char *why)
{
	struct pv_stream_disk_data d = { disk, reserved, offset, bytes };
	struct pv_stream_out o;
	int fd = begin(&o, PV_STREAM_DISKS);

	two_disks();
	put(&o, PV_REC_DISKS, body, size);
	put(&o, PV_REC_STATIC_DATA_END, NULL, 0);
	memset(body, 7, sizeof(body));
	memcpy(body, &d, sizeof(d));
	put(&o, PV_REC_DISK, body, sizeof(d) + n);
	refused(fd, &o, 5, why);
}

static void test_round(void **state)
{
	struct pv_stream_disk_data d = { 1, 0, 5000, 3000 }, got;
	const uint8_t *data;
	struct pv_stream_out o;
	struct pv_stream_in in;
	struct pv_record r;
	struct pv_err err = { "" };
	int fd = begin(&o, PV_STREAM_DISKS), i;

	(void)state;
	two_disks();
	put(&o, PV_REC_DISKS, body, size);
	put(&o, PV_REC_STATIC_DATA_END, NULL, 0);
	memset(body, 7, sizeof(body));
	memcpy(body, &d, sizeof(d));
	put(&o, PV_REC_DISK, body, sizeof(d) + 3000);
	d.bytes = (1ull << 40) - d.offset;
	put(&o, PV_REC_DISK, &d, sizeof(d));
	put(&o, PV_REC_HVM_CONTEXT, "01234567", 8);
	put(&o, PV_REC_HVM_PARAMS, NULL, 0);
	put(&o, PV_REC_STORE, NULL, 0);
	assert_int_equal(pv_stream_put_end(&o, NULL), 0);
	pv_stream_finish(&o);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(pv_stream_open(&in, fd, &err), 0);
	for (i = 0; i < 5; i++)
		assert_int_equal(pv_stream_next(&in, &r, &err), 1);
	assert_int_equal(in.nr_disks, 2);
	assert_string_equal(in.disk[0].path, "/images/a");
	assert_string_equal(in.disk[1].path, "/b");
	assert_int_equal(in.disk[0].size, 1000);
	assert_int_equal(pv_stream_next(&in, &r, &err), 1);
	pv_stream_disk_data(&r, &got, &data);
	assert_int_equal(got.disk, 1);
	assert_int_equal(got.offset, 5000);
	assert_int_equal(got.bytes, 3000);
	assert_int_equal(data[0], 7);
	assert_int_equal(data[2999], 7);
	assert_int_equal(pv_stream_next(&in, &r, &err), 1);
	pv_stream_disk_data(&r, &got, &data);
	assert_int_equal(got.bytes, (1ull << 40) - 5000);
	assert_null(data);
	for (i = 0; i < 3; i++)
		assert_int_equal(pv_stream_next(&in, &r, &err), 1);
	assert_int_equal(pv_stream_next(&in, &r, &err), 0);
	pv_stream_close(&in);
	close(fd);
}

static void test_disks(void **state)
{
	unsigned int i;

	(void)state;
	size = 0;
	add(0, "/a", 2, 0);
	bad_disks("a disk is none");
	size = 0;
	add(1ull << 63, "/a", 2, 0);
	bad_disks("a disk is none");
	size = 0;
	add(512, "/a", 2, 1);
	bad_disks("a disk is none");
	size = 0;
	add(512, "a", 1, 0);
	bad_disks("a disk is none");
	size = 0;
	add(512, "/a\0b", 4, 0);
	bad_disks("a disk is none");
	two_disks();
	size -= 8;
	bad_disks("a disk's path is longer than it");
	two_disks();
	size += 8;
	bad_disks("it does not end with a disk");
	two_disks();
	memset(body + 8, 0xff, 4);
	bad_disks("a disk's path is longer than it");
	for (i = size = 0; i <= PV_STREAM_DISKS_MAX; i++)
		add(512, "/a", 2, 0);
	bad_disks("too many disks");
}

static void test_data(void **state)
{
	(void)state;
	bad_data(2, 0, 0, 100, 100, "no such disk");
	bad_data(UINT32_MAX, 0, 0, 100, 100, "no such disk");
	bad_data(0, 1, 0, 100, 100, "no such disk");
	bad_data(0, 0, 0, 0, 0, "not on the disk");
	bad_data(0, 0, 0, 1001, 1001, "not on the disk");
	bad_data(0, 0, 1000, 1, 1, "not on the disk");
	bad_data(0, 0, 1001, UINT64_MAX, 0, "not on the disk");
	bad_data(0, 0, UINT64_MAX, 2, 2, "not on the disk");
	bad_data(1, 0, 1, 1ull << 40, 0, "not on the disk");
	bad_data(1, 0, 0, 100, 99, "not what it says");
	bad_data(1, 0, 0, 100, 101, "not what it says");
	bad_data(1, 0, 0, PV_STREAM_DISK_BYTES + 1, PV_STREAM_DISK_BYTES + 1, "its length is");
}

/* Without the option there are none, and with it there must be. */
static void test_option(void **state)
{
	struct pv_stream_disk_data d = { 0, 0, 0, 100 };
	struct pv_stream_out o;
	int fd = begin(&o, 0);

	(void)state;
	two_disks();
	put(&o, PV_REC_DISKS, body, size);
	refused(fd, &o, 3, "STATIC_DATA_END should be here");
	fd = begin(&o, PV_STREAM_DISKS);
	put(&o, PV_REC_STATIC_DATA_END, NULL, 0);
	refused(fd, &o, 3, "DISKS should be here");
	fd = begin(&o, 0);
	put(&o, PV_REC_STATIC_DATA_END, NULL, 0);
	put(&o, PV_REC_DISK, &d, sizeof(d));
	refused(fd, &o, 4, "there is no such disk");
	fd = begin(&o, PV_STREAM_DISKS);
	two_disks();
	put(&o, PV_REC_DISKS, body, size);
	put(&o, PV_REC_DISKS, body, size);
	refused(fd, &o, 4, "STATIC_DATA_END should be here");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_disks),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
