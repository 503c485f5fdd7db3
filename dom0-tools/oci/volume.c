// SPDX-License-Identifier: BSD-2-Clause
/*
 * Disks of a guest that is an OCI image.
 * Owns what may be overwritten on one, and that volumes are unmounted at the end.
 */
#define _GNU_SOURCE
#include "volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layer.h"
#include "params.h"

#define WAIT_MS 10000
#define LABEL "pavise-oci"
/* The first 64 KiB say nothing: btrfs and others leave them as they were. */
#define LOOK_BYTES (1 << 20)
/* Of ext2 and its descendants: the superblock, and in it magic number and label. */
#define SUPER 1024
#define SUPER_MAGIC (SUPER + 56)
#define SUPER_LABEL (SUPER + 120)
#define LABEL_BYTES 16

static char *mounted[OCI_VOLUMES];
static int nr_mounted;

int volume_open(const char *vdev, int flags)
{
	char path[64];
	int ms, fd = -1;

	snprintf(path, sizeof(path), "/dev/%s", vdev);
	for (ms = 0; ms < WAIT_MS; ms += 10) {
		fd = open(path, flags | O_CLOEXEC);
		if (fd >= 0 || (errno != ENOENT && errno != ENXIO))
			return fd;
		usleep(10000);
	}
	return fd;
}

/* Nothing, or a root of an earlier life. */
static bool may_be_made(const unsigned char *head)
{
	static const char label[LABEL_BYTES] = LABEL;
	int i;

	if (head[SUPER_MAGIC] == 0x53 && head[SUPER_MAGIC + 1] == 0xef)
		return !memcmp(head + SUPER_LABEL, label, LABEL_BYTES);
	for (i = 0; i < LOOK_BYTES; i++)
		if (head[i])
			return false;
	return true;
}

int volume_may_be_made(int fd)
{
	unsigned char *head = malloc(LOOK_BYTES);
	int ours = -1;

	if (head && pread(fd, head, LOOK_BYTES, 0) == LOOK_BYTES)
		ours = may_be_made(head);
	free(head);
	return ours;
}

static int make_file_system(const char *path)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		/* What it says goes where nobody takes it for the program's. */
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(126);
		execl("/bin/busybox", "mke2fs", "-F", "-m", "0", "-L", LABEL, path, NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -1;
}

int volume_make_root(const char *vdev, const char *at, char *why, size_t size)
{
	int fd = volume_open(vdev, O_RDWR), ours;
	char path[64];

	ours = fd < 0 ? -1 : volume_may_be_made(fd);
	if (ours < 0) {
		snprintf(why, size, "the root's disk, %s: %s", vdev,
			 fd >= 0 ? "it cannot be read, or is smaller than 1 MiB" : strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	snprintf(path, sizeof(path), "/dev/%s", vdev);
	if (!ours)
		snprintf(why, size,
			 "%s has something on it that is no image's root, and is left alone: the "
			 "root's disk has to begin with zeros",
			 vdev);
	else if (make_file_system(path))
		snprintf(why, size, "no file system can be made on %s, the root's disk", vdev);
	else if (mount(path, at, "ext4", 0, NULL))
		snprintf(why, size, "%s, the root's disk, cannot be mounted: %s", vdev,
			 strerror(errno));
	else
		return 0;
	return -1;
}

int volume_mount(int root, char *spec, char *why, size_t size)
{
	char *path = strchr(spec, ':'), *end, dev[64], at[48];
	bool read_only;
	int fd;

	if (!path || path[1] != '/' || nr_mounted == OCI_VOLUMES) {
		snprintf(why, size, "'%s' is no volume", spec);
		return -1;
	}
	*path++ = 0;
	end = strrchr(path, ':');
	read_only = end && !strcmp(end, ":ro");
	if (read_only)
		*end = 0;
	fd = volume_open(spec, read_only ? O_RDONLY : O_RDWR);
	if (fd >= 0)
		close(fd);
	snprintf(dev, sizeof(dev), "/dev/%s", spec);
	fd = fd < 0 ? -1 : layer_open_dir(root, path + 1);
	snprintf(at, sizeof(at), "/proc/self/fd/%d", fd);
	if (fd < 0 || mount(dev, at, "ext4", read_only ? MS_RDONLY : 0, NULL)) {
		snprintf(why, size,
			 "volume %s for %s: %s (it needs a file system of ext4, ext3 or ext2)",
			 spec, path, strerror(errno));
		return -1;
	}
	close(fd);
	mounted[nr_mounted++] = strdup(path);
	return 0;
}

void volume_unmount_all(int root)
{
	char at[48];
	int fd;

	while (nr_mounted > 0) {
		char *path = mounted[--nr_mounted];

		fd = path ? layer_open(root, path + 1, O_PATH | O_DIRECTORY, 0) : -1;
		snprintf(at, sizeof(at), "/proc/self/fd/%d", fd);
		/* It goes with the last that has it open, which is us. */
		if (fd >= 0 && !umount2(at, MNT_DETACH))
			close(fd);
		free(path);
	}
}
