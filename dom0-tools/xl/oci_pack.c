// SPDX-License-Identifier: BSD-2-Clause
/*
 * An OCI layout that is a directory, as the archive that a guest's disk is: packed for each of the guest's lives, unlinked as soon as
 * the guest has it, so that it goes with the guest.
 * Owns the directory of these archives (oci_dir in xl.conf). Nothing of the layout is understood here: tar packs the three
 * names that layouts have, as they are.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../oci/params.h"
#include "oci.h"
#include "settings.h"

#define DEFAULT_DIR "/images/.oci"
#define MARK ".packed-" /* NAME.packed-XXXXXX */
#define RANDOM 6
#define TRIES 100
/* Others' images grow on this disk. */
#define LEAVE (16 * PV_MIB)

/* The directory may have others' files in it. */
static bool is_archive(const char *name)
{
	size_t n = strlen(name), end = strlen(MARK) + RANDOM;

	return n > end && !strncmp(name + n - end, MARK, strlen(MARK));
}

/* What an xl has left that was killed; whoever still needs his has it locked. */
static void sweep(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int fd;

	while (d && (e = readdir(d))) {
		if (!is_archive(e->d_name))
			continue;
		fd = openat(dirfd(d), e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB))
			unlinkat(dirfd(d), e->d_name, 0);
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
}

/* A new file, locked: @o->packed and @o->packed_fd. */
static int make_file(struct xl_config *c, const char *dir)
{
	struct xl_oci *o = c->oci;
	struct stat st;
	int tries;

	if (mkdir(dir, 0700) && errno != EEXIST) {
		config_error(c, "oci", 0, "%s (oci_dir in " XL_CONF "): %s", dir, strerror(errno));
		return -1;
	}
	sweep(dir);
	for (tries = 0; tries < TRIES; tries++) {
		o->packed = xl_sprintf("%s/%s" MARK "XXXXXX", dir, c->name);
		o->packed_fd = mkostemp(o->packed, O_CLOEXEC);
		/* Another one's sweep may have been faster than the lock. */
		if (o->packed_fd < 0 || (!flock(o->packed_fd, LOCK_EX | LOCK_NB) &&
					 !fstat(o->packed_fd, &st) && st.st_nlink))
			break;
		oci_discard(c);
	}
	if (o->packed && o->packed_fd >= 0)
		return 0;
	config_error(c, "oci", 0, "%s (oci_dir in " XL_CONF "): no file can be made there: %s", dir,
		     strerror(errno));
	return -1;
}

/* How long the archive may become. */
static uint64_t room_for(int fd)
{
	struct statvfs fs;
	uint64_t n;

	if (fstatvfs(fd, &fs))
		return 0;
	n = (uint64_t)fs.f_bavail * fs.f_frsize;
	return n > LEAVE ? n - LEAVE : 0;
}

static void become_tar(struct xl_config *c, uint64_t room)
{
	char *const argv[] = { "tar",	     "-C",	   c->oci->path, "-cf", "-",
			       "oci-layout", "index.json", "blobs",	 NULL };
	struct rlimit most = { .rlim_cur = room, .rlim_max = room };

	/* A file of the layout may be a hole of any size. */
	signal(SIGXFSZ, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!setrlimit(RLIMIT_FSIZE, &most) && dup2(c->oci->packed_fd, 1) == 1)
		execvp(argv[0], argv);
	_exit(127);
}

/* Until it has ended. NULL, or why it was not let go on. */
static const char *await_tar(pid_t pid, int *status)
{
	bool may_go_down = access(XL_NO_RESTART, F_OK);
	const char *why = NULL;
	int64_t begin = xl_now();
	pid_t got;

	while (!(got = waitpid(pid, status, WNOHANG)) || (got < 0 && errno == EINTR)) {
		if (xl_interrupted)
			why = ": interrupted";
		else if (may_go_down && !access(XL_NO_RESTART, F_OK))
			why = ": the host is going down";
		if (why)
			kill(pid, SIGKILL);
		xl_sleep_since(begin);
	}
	return why;
}

static int run_tar(struct xl_config *c)
{
	uint64_t room = room_for(c->oci->packed_fd);
	const char *why = NULL;
	struct stat st;
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		become_tar(c, room);
	if (pid > 0)
		why = await_tar(pid, &status);
	if (pid > 0 && !why && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (!why && !fstat(c->oci->packed_fd, &st) && (uint64_t)st.st_size >= room)
		why = ": no room: the last 16 MiB of its disk are for others";
	config_error(c, "oci", 0, "%s cannot be packed into %s%s", c->oci->path, c->oci->packed,
		     why ? why : "");
	return -1;
}

static void set_target(struct xl_config *c, const char *path)
{
	int i;

	for (i = 0; i < c->nr_disks; i++) {
		if (strcmp(c->disk[i].vdev, OCI_DISK))
			continue;
		free(c->disk[i].target);
		c->disk[i].target = xl_sprintf("%s", path);
	}
}

bool oci_is_directory(const struct xl_config *c)
{
	struct stat st;

	return c->oci && c->oci->path && !stat(c->oci->path, &st) && S_ISDIR(st.st_mode);
}

static int pack(struct xl_config *c)
{
	struct cfg conf;
	char *dir;
	int rc;

	settings_read(&conf, stderr);
	dir = cfg_path(&conf, "oci_dir", DEFAULT_DIR);
	cfg_free(&conf);
	rc = make_file(c, dir) || run_tar(c);
	free(dir);
	if (rc)
		oci_discard(c);
	else
		set_target(c, c->oci->packed);
	return rc ? -1 : 0;
}

int oci_pack(struct xl_config *c, int *lock)
{
	int rc;

	if (!oci_is_directory(c))
		return 0;
	xl_unlock(*lock);
	*lock = -1;
	rc = oci_check(c) || pack(c);
	if (rc)
		return -1;
	*lock = xl_lock();
	if (*lock >= 0)
		return 0;
	oci_discard(c);
	return -1;
}

void oci_discard(struct xl_config *c)
{
	struct xl_oci *o = c->oci;

	if (!o || !o->packed)
		return;
	set_target(c, o->path);
	if (o->packed_fd >= 0) {
		unlink(o->packed);
		close(o->packed_fd);
	}
	free(o->packed);
	o->packed = NULL;
}
