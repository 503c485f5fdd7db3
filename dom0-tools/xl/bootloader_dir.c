// SPDX-License-Identifier: BSD-2-Clause
/*
 * Directories for what readers of guests' disks find, and how much all of them together may be.
 * Owns their locks and their files; who reads what is bootloader.c's.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../boot/result.h"
#include "bootloader_dir.h"
#include "xl.h"

#define TRIES 100
/* Less is no room for a kernel: it is not worth a guest that finds that out. */
#define ROOM_MIN (16 * PV_MIB)
/* And so much stays for others. */
#define ROOM_LEFT (16 * PV_MIB)

/* The last is there before the others and goes after them: what has none is no directory of ours. */
static const char *const files[BOOT_FILES] = { "kernel", "ramdisk", ".pavise-result" };
#define NAME_OWN 6 /* mkdtemp()'s */

/* --- who uses it ----------------------------------------------------------------------------- */

/* A lock on what somebody has removed meanwhile is none. */
static bool is_at(int fd, const char *path)
{
	struct stat have, there;

	return !fstat(fd, &have) && !stat(path, &there) && have.st_ino == there.st_ino &&
	       have.st_dev == there.st_dev;
}

int boot_dir_claim(const char *path, struct boot_dir *d)
{
	int rc = 0;

	d->path = NULL;
	d->fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d->fd < 0)
		return -errno;
	if (flock(d->fd, LOCK_EX | LOCK_NB))
		rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else if (!is_at(d->fd, path))
		rc = -ENOENT;
	if (rc)
		close(d->fd);
	else
		d->path = xl_sprintf("%s", path);
	return rc;
}

void boot_dir_remove(struct boot_dir *d)
{
	char *path;
	int i;

	if (!d->path)
		return;
	for (i = 0; i < BOOT_FILES; i++) {
		path = boot_dir_file(d, i);
		unlink(path);
		free(path);
	}
	rmdir(d->path);
	xl_unlock(d->fd);
	free(d->path);
	d->path = NULL;
}

void boot_dir_remove_left(const char *path, void *arg)
{
	struct boot_dir d;
	char *result;

	(void)arg;
	if (boot_dir_claim(path, &d))
		return;
	result = boot_dir_file(&d, BOOT_FILE_RESULT);
	if (!access(result, F_OK)) {
		boot_dir_remove(&d);
	} else {
		/* Killed before it made a file; with anything in it, it stays. */
		rmdir(path);
		xl_unlock(d.fd);
		free(d.path);
	}
	free(result);
}

/* bootloader_dir may have other things in it. */
static bool may_be_ours(const char *name)
{
	const char *dot = strrchr(name, '.');
	size_t n = dot ? strlen(dot + 1) : 0, i;

	for (i = 0; i < n && isalnum((unsigned char)dot[1 + i]); i++)
		;
	return n == NAME_OWN && i == n && dot > name;
}

bool boot_dir_each(const char *root, void (*fn)(const char *path, void *arg), void *arg)
{
	DIR *dir = opendir(root);
	struct dirent *e;
	bool any = false;

	while (dir && (e = readdir(dir))) {
		char *path;

		if (!may_be_ours(e->d_name))
			continue;
		path = xl_sprintf("%s/%s", root, e->d_name);
		if (fn)
			fn(path, arg);
		free(path);
		any = true;
	}
	if (dir)
		closedir(dir);
	return any;
}

/* --- its files ------------------------------------------------------------------------------- */

char *boot_dir_file(const struct boot_dir *d, int file)
{
	return xl_sprintf("%s/%s", d->path, files[file]);
}

/* Sparse: the guest decides how much of them is used, up to the limit. */
static int make_file(const char *path, off_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;

	rc = fd < 0 || ftruncate(fd, bytes) ? -1 : 0;
	if (rc)
		xl_error("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Another xl may take it for one that was left before it is locked: then there is another name. */
static int make_dir(const char *root, const char *name, struct boot_dir *d)
{
	int tries, rc = -EBUSY;
	char *path;

	for (tries = 0; rc && tries < TRIES; tries++) {
		path = xl_sprintf("%s/%s.XXXXXX", root, name);
		rc = mkdtemp(path) ? boot_dir_claim(path, d) : -errno;
		free(path);
		if (rc != -EBUSY && rc != -ENOENT)
			break;
	}
	return rc ? xl_error("%s: %s", root, strerror(-rc)) : 0;
}

int boot_dir_make(const char *root, const char *name, uint64_t bytes, struct boot_dir *d)
{
	int rc, i;

	d->path = NULL;
	rc = make_dir(root, name, d);
	for (i = BOOT_FILES - 1; !rc && i >= 0; i--) {
		char *path = boot_dir_file(d, i);

		rc = make_file(path, i == BOOT_FILE_RESULT ? BOOT_RESULT_BYTES : (off_t)bytes);
		free(path);
	}
	if (rc)
		boot_dir_remove(d);
	return rc;
}

/* --- room ------------------------------------------------------------------------------------ */

struct promised {
	uint64_t bytes, used;
};

static void add_promised(const char *path, void *arg)
{
	struct promised *p = arg;
	struct stat st;
	int i;

	for (i = 0; i < BOOT_FILES; i++) {
		char *file = xl_sprintf("%s/%s", path, files[i]);

		if (!lstat(file, &st) && S_ISREG(st.st_mode)) {
			uint64_t used = (uint64_t)st.st_blocks * 512;

			p->bytes += st.st_size;
			p->used += used < (uint64_t)st.st_size ? used : (uint64_t)st.st_size;
		}
		free(file);
	}
}

int boot_dir_room(const char *root, uint64_t limit, uint64_t total, uint64_t *bytes)
{
	struct promised p = { 0 };
	uint64_t room, taken;
	struct statvfs fs;

	if (mkdir(root, 0700) && errno != EEXIST)
		return xl_error("%s: %s; bootloader_dir in %s may name another place", root,
				strerror(errno), XL_CONF);
	if (statvfs(root, &fs))
		return xl_error("%s: %s", root, strerror(errno));
	boot_dir_each(root, add_promised, &p);
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	taken = p.bytes - p.used + ROOM_LEFT;
	room = room > taken ? room - taken : 0;
	total = total > p.bytes ? total - p.bytes : 0;
	*bytes = (room < total ? room : total) / 2 / PV_PAGE_SIZE * PV_PAGE_SIZE;
	if (*bytes > limit)
		*bytes = limit;
	if (*bytes >= (limit < ROOM_MIN ? limit : ROOM_MIN))
		return 0;
	if (total < room)
		xl_error("%s: others that are being read have most of the MiB that "
			 "bootloader_total in %s allows",
			 root, XL_CONF);
	else
		xl_error("%s: there is no room for what is on a guest's disk: %llu MiB are free; "
			 "bootloader_dir in %s may name another place",
			 root, (unsigned long long)(room / PV_MIB), XL_CONF);
	return -ENOSPC;
}
