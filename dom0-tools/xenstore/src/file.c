// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whole files, in and out.
 * It owns no names: callers say where. A file is read once, from one descriptor that was looked at,
 * and never seen half written under its name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "file.h"
#include "util.h"

int file_read(const char *path, size_t max, char **data, size_t *len)
{
	/* O_NONBLOCK: opening a FIFO would wait for its writer */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), err = 0;
	struct stat st;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	else if ((unsigned long long)st.st_size > max)
		err = -E2BIG;
	if (!err) {
		*data = xmalloc((size_t)st.st_size);
		*len = 0;
		while (*len < (size_t)st.st_size &&
		       (n = read(fd, *data + *len, (size_t)st.st_size - *len)) > 0)
			*len += (size_t)n;
		if (n < 0) {
			err = -errno;
			free(*data);
		}
	}
	close(fd);
	return err;
}

static int write_all(int fd, const char *p, size_t len)
{
	ssize_t n;

	for (; len; p += n, len -= (size_t)n) {
		n = write(fd, p, len);
		if (n < 0)
			return -errno;
	}
	return fsync(fd) ? -errno : 0;
}

/* Names are on the disk when their directory is. */
static int sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0 || fsync(fd))
		err = -errno;
	if (fd >= 0)
		close(fd);
	free(dir);
	return err;
}

int file_write(const char *path, const void *data, size_t len)
{
	char *fresh = xasprintf("%s.new", path);
	int fd, err;

	unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	err = fd < 0 ? -errno : write_all(fd, data, len);
	if (fd >= 0 && close(fd) && !err)
		err = -errno;
	if (!err && rename(fresh, path))
		err = -errno;
	if (err && fd >= 0)
		unlink(fresh);
	if (!err)
		err = sync_directory(path);
	free(fresh);
	return err;
}
