// SPDX-License-Identifier: BSD-2-Clause
/*
 * Files as disks: clones are what they were made from, and what two of them are told to differ in makes the one the other, and is no
 * more than that. Where blocks lie is pretended (waits.c: the same bytes, the same place); on XFS it is tests/system/test_migrate.py's.
 */
#define _GNU_SOURCE
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_store.h"

#define BLOCK 4096
#define BLOCKS 700 /* more than are asked for at once */
#define SIZE (BLOCKS * BLOCK + 512)

static char dir[] = "/tmp/disk-store-XXXXXX", was[64], now[64], to[64];
static uint8_t old[SIZE], new[SIZE], got[SIZE];
static bool told[BLOCKS + 1];
static off_t last;

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);

	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static void read_file(const char *path, uint8_t *bytes)
{
	int fd = open(path, O_RDONLY);

	assert_int_equal(read(fd, bytes, SIZE), SIZE);
	close(fd);
}

static int apply(int fd, off_t offset, off_t bytes, bool hole, void *ctx)
{
	off_t i;

	(void)ctx;
	assert_true(bytes > 0 && offset >= last && offset + bytes <= SIZE);
	last = offset + bytes;
	for (i = offset / BLOCK; i <= (offset + bytes - 1) / BLOCK; i++)
		told[i] = true;
	if (hole)
		memset(got + offset, 0, bytes);
	else
		assert_int_equal(pread(fd, got + offset, bytes, offset), bytes);
	return 0;
}

static bool differs(unsigned int block)
{
	size_t n = block == BLOCKS ? 512 : BLOCK;

	return memcmp(old + block * BLOCK, new + block *BLOCK, n) != 0;
}

/* A block of zeros, or of something. */
static void change(uint8_t *bytes, unsigned int block)
{
	size_t n = block == BLOCKS ? 512 : BLOCK;

	memset(bytes + block * BLOCK, rand() % 3 ? 1 + rand() % 255 : 0, n);
}

static void test_delta(void **state)
{
	unsigned int round, i, n;

	(void)state;
	for (round = 0; round < 200; round++) {
		srand(round);
		memset(old, 0, sizeof(old));
		for (i = 0; i <= BLOCKS; i++)
			if (rand() % 4 < (int)(round % 5))
				change(old, i);
		memcpy(new, old, sizeof(new));
		n = rand() % 2 ? rand() % 4 : rand() % BLOCKS;
		while (n--)
			change(new, rand() % (BLOCKS + 1));
		write_file(was, old, SIZE);
		write_file(now, new, SIZE);
		memcpy(got, old, sizeof(got));
		memset(told, 0, sizeof(told));
		last = 0;
		assert_int_equal(disk_store_delta(was, now, apply, NULL), 0);
		assert_memory_equal(got, new, SIZE);
		for (i = 0; i <= BLOCKS; i++)
			assert_int_equal(told[i], differs(i));
		/* All that is in one */
		memset(got, 0, sizeof(got));
		last = 0;
		assert_int_equal(disk_store_delta(NULL, now, apply, NULL), 0);
		assert_memory_equal(got, new, SIZE);
	}
}

static int refuse(int fd, off_t offset, off_t bytes, bool hole, void *ctx)
{
	(void)fd;
	(void)offset;
	(void)bytes;
	(void)hole;
	++*(int *)ctx;
	return -7;
}

static void test_errors(void **state)
{
	int calls = 0;

	(void)state;
	memset(new, 1, sizeof(new));
	write_file(now, new, SIZE);
	assert_int_equal(disk_store_delta(NULL, now, refuse, &calls), -7);
	assert_int_equal(calls, 1);
	assert_int_equal(disk_store_delta("/nowhere/x", now, refuse, &calls), -ENOENT);
	assert_int_equal(disk_store_delta(was, "/nowhere/x", refuse, &calls), -ENOENT);
	assert_int_equal(disk_store_delta(NULL, dir, refuse, &calls), -EOPNOTSUPP);
	assert_int_equal(calls, 1);
}

static void test_clone(void **state)
{
	struct stat st;
	unsigned int i;

	(void)state;
	for (i = 0; i <= BLOCKS; i++)
		change(new, i);
	write_file(now, new, SIZE);
	assert_int_equal(chmod(now, 0604), 0);
	assert_int_equal(disk_store_clone(now, to, false), 0);
	read_file(to, got);
	assert_memory_equal(got, new, SIZE);
	assert_int_equal(stat(to, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	assert_int_equal(disk_store_clone(now, to, false), -EEXIST);
	assert_int_equal(unlink(to), 0);
	/* Copied where it cannot be shared, and nothing left where it may not be */
	setenv("FAKE_NO_SHARE", "", 1);
	assert_int_equal(disk_store_clone(now, to, false), -EOPNOTSUPP);
	assert_int_equal(stat(to, &st), -1);
	memset(got, 0, sizeof(got));
	assert_int_equal(disk_store_clone(now, to, true), 0);
	read_file(to, got);
	assert_memory_equal(got, new, SIZE);
	unsetenv("FAKE_NO_SHARE");
	assert_int_equal(unlink(to), 0);
	/* Its place first */
	assert_int_equal(disk_store_make(now, to), 0);
	assert_int_equal(stat(to, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(disk_store_fill(now, to, false), 0);
	read_file(to, got);
	assert_memory_equal(got, new, SIZE);
	assert_int_equal(disk_store_sync(to), 0);
	assert_int_equal(unlink(to), 0);
	/* A link is no disk's file. */
	assert_int_equal(symlink(now, to), 0);
	assert_int_equal(disk_store_fill(now, to, false), -ELOOP);
	assert_int_equal(disk_store_clone(now, to, false), -EEXIST);
	assert_int_equal(unlink(to), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delta),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_clone),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(was, sizeof(was), "%s/was", dir);
	snprintf(now, sizeof(now), "%s/now", dir);
	snprintf(to, sizeof(to), "%s/to", dir);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(was);
	unlink(now);
	rmdir(dir);
	return rc;
}
