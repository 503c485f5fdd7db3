// SPDX-License-Identifier: BSD-2-Clause
/*
 * Unpacks layers: a child reads the blob and hashes it, another unzips, this process makes what is in the archive.
 * Owns whiteouts, hard links, and what happens to what is there already.
 */
#define _GNU_SOURCE
#include "layer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <search.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sha256.h"
#include "tar.h"

/* Debian's names on a host as in the guest */
#define GUNZIP "/bin/gunzip"
#define ZSTD "/usr/bin/zstd"
#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"
#define DEPTH_MAX 1024 /* of directories that are removed */
/* What the children's exit statuses mean. */
enum { FEED_BAD_DIGEST = 2, FEED_NO_READ = 3 };

struct unpacking {
	int root;
	void *made; /* this layer's own paths: search.h's tree of strings */
	char *why;
	size_t size;
};

static int fail(struct unpacking *u, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct unpacking *u, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(u->why, u->size, fmt, ap);
	va_end(ap);
	return -1;
}

/* --- paths ----------------------------------------------------------------------------------- */

int layer_open(int root, const char *path, int flags, unsigned int mode)
{
	struct open_how how = { .flags = (unsigned int)flags | O_CLOEXEC,
				.mode = mode,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
}

int layer_open_dir(int root, const char *path)
{
	int fd = layer_open(root, path, O_PATH | O_DIRECTORY, 0), at;
	char *copy, *slash;

	if (fd >= 0 || errno != ENOENT)
		return fd;
	copy = strdup(path);
	/* Each that is missing, from the top. A link to nowhere stays one: making what it names would be guessing. */
	for (slash = copy; slash;) {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = 0;
		fd = layer_open(root, copy, O_PATH | O_DIRECTORY, 0);
		if (fd < 0 && errno == ENOENT) {
			char *last = strrchr(copy, '/');

			if (last)
				*last = 0;
			at = layer_open(root, last ? copy : ".", O_PATH | O_DIRECTORY, 0);
			if (last)
				*last = '/';
			if (at >= 0) {
				mkdirat(at, last ? last + 1 : copy, 0755);
				close(at);
			}
			fd = layer_open(root, copy, O_PATH | O_DIRECTORY, 0);
		}
		if (slash) {
			*slash = '/';
			if (fd < 0)
				break;
			close(fd);
		}
	}
	free(copy);
	return fd;
}

/*
 * Without "/" at its ends, "." and "//"; false: it has "..", with which no path of an image has to do. The root itself is "".
 */
static bool normalize(const char *path, char out[TAR_PATH])
{
	char *to = out;

	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.')
			return false;
		if (n && !(n == 1 && path[0] == '.')) {
			if (to > out)
				*to++ = '/';
			memcpy(to, path, n);
			to += n;
		}
		path += n + (path[n] == '/');
	}
	*to = 0;
	return true;
}

/* The directory in which @path is, made if it is missing, and its name there. */
static int open_parent(struct unpacking *u, char *path, const char **name)
{
	char *slash = strrchr(path, '/');
	int fd;

	*name = slash ? slash + 1 : path;
	if (!slash)
		return layer_open(u->root, ".", O_PATH | O_DIRECTORY, 0);
	*slash = 0;
	fd = layer_open_dir(u->root, path);
	*slash = '/';
	return fd;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* This layer has made it, and so the directories above it: its whiteouts are not about them. */
static int note_made(struct unpacking *u, const char *path)
{
	size_t n = strlen(path);

	while (n) {
		char *copy = strndup(path, n), **in_tree, *slash;

		in_tree = copy ? tsearch(copy, &u->made, compare) : NULL;
		if (!in_tree || *in_tree != copy) {
			/* Then those above it are known, too. */
			free(copy);
			return in_tree ? 0 :
					 fail(u, "there is no memory for the names of its files");
		}
		slash = strrchr(copy, '/');
		n = slash ? (size_t)(slash - copy) : 0;
	}
	return 0;
}

static bool was_made(struct unpacking *u, const char *path)
{
	return tfind(path, &u->made, compare);
}

/* --- what is there already ------------------------------------------------------------------- */

static int remove_tree(int at, const char *name, int depth);
static int remove_below(int fd, struct unpacking *u, const char *path, int depth);

/* What lower layers have in a directory that this one has as well; another kind of file has nothing in it. */
static int remove_in_made(int at, const char *name, struct unpacking *u, const char *path,
			  int depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? 0 : -1;
	if (depth < DEPTH_MAX)
		return remove_below(fd, u, path, depth);
	close(fd);
	errno = ELOOP;
	return -1;
}

/* @u, @path: of the directory, whose own files of this layer stay; or NULL, NULL. Closes @fd. */
static int remove_below(int fd, struct unpacking *u, const char *path, int depth)
{
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	char child[TAR_PATH];
	struct dirent *e;
	int rc = d ? 0 : -1;

	if (!d && fd >= 0)
		close(fd);
	while (d && !rc && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (u) {
			snprintf(child, sizeof(child), "%s%s%s", path, *path ? "/" : "", e->d_name);
			if (was_made(u, child)) {
				rc = remove_in_made(dirfd(d), e->d_name, u, child, depth + 1);
				continue;
			}
		}
		rc = remove_tree(dirfd(d), e->d_name, depth);
	}
	if (d)
		closedir(d);
	return rc;
}

/* Never through a symbolic link. */
static int remove_tree(int at, const char *name, int depth)
{
	if (!unlinkat(at, name, 0) || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	if (depth == DEPTH_MAX) {
		errno = ELOOP;
		return -1;
	}
	if (remove_below(openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), NULL,
			 NULL, depth + 1))
		return -1;
	return unlinkat(at, name, AT_REMOVEDIR);
}

/* ".wh.name" and ".wh..wh..opq". The directory may be one that lower layers do not have: nothing to do. */
static int whiteout(struct unpacking *u, char *path, int parent, const char *name)
{
	char *target;
	int rc;

	if (!strcmp(name, OPAQUE)) {
		char *dir = strndup(path, (size_t)(name - path) - (name > path));

		rc = dir ? remove_below(openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), u,
					dir, 0) :
			   -1;
		free(dir);
		return rc;
	}
	name += strlen(WHITEOUT);
	if (!*name || !strcmp(name, ".") || !strcmp(name, "..")) {
		errno = EINVAL;
		return -1;
	}
	target = strdup(path);
	if (!target)
		return -1;
	strcpy(target + (name - path) - strlen(WHITEOUT), name);
	rc = was_made(u, target) ? 0 : remove_tree(parent, name, 0);
	free(target);
	return rc;
}

/* --- one entry ------------------------------------------------------------------------------- */

static int make_file(struct unpacking *u, struct tar *t, int parent, const char *name)
{
	static char buf[1 << 16];
	int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t n = 0, done, part;

	if (fd < 0)
		return -1;
	while ((n = tar_read(t, buf, sizeof(buf))) > 0) {
		for (done = 0; done < n; done += part) {
			part = write(fd, buf + done, (size_t)(n - done));
			if (part < 0) {
				close(fd);
				return -1;
			}
		}
	}
	close(fd);
	if (n < 0)
		return fail(u, "%s", t->why);
	return 0;
}

/* Its target is a path of the image, too; the last part of it may be a symbolic link, and is not followed. */
static int make_link(struct unpacking *u, const char *to, int parent, const char *name)
{
	char target[TAR_PATH];
	const char *leaf;
	int from, rc, saved;

	if (!normalize(to, target) || !target[0])
		return fail(u, "a hard link to '%s', which leads out of the image", to);
	from = open_parent(u, target, &leaf);
	if (from < 0)
		return -1;
	rc = linkat(from, leaf, parent, name, 0);
	saved = errno;
	close(from);
	errno = saved;
	return rc;
}

static int make(struct unpacking *u, struct tar *t, const struct tar_entry *e, int parent,
		const char *name)
{
	mode_t kind = e->type == '3' ? S_IFCHR : e->type == '4' ? S_IFBLK : S_IFIFO;
	struct stat st;

	/* A directory that is there keeps what is in it. */
	if (!fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) &&
	    !(e->type == '5' && S_ISDIR(st.st_mode)) && remove_tree(parent, name, 0))
		return -1;
	switch (e->type) {
	case '0':
		return make_file(u, t, parent, name);
	case '1':
		return make_link(u, e->link, parent, name);
	case '2':
		return symlinkat(e->link, parent, name);
	case '5':
		return mkdirat(parent, name, 0700) && errno != EEXIST ? -1 : 0;
	case '3':
	case '4':
		if (geteuid())
			return 0;
		/* fall through */
	case '6':
		return mknodat(parent, name, kind | 0600, makedev(e->major, e->minor));
	default:
		return fail(u, "a file of the unknown kind '%c'", e->type < ' ' ? '?' : e->type);
	}
}

/* A hard link's are those of what it is a link to. */
static int set_attributes(const struct tar_entry *e, int parent, const char *name)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = e->mtime } };

	if (e->type == '1' || ((e->type == '3' || e->type == '4') && geteuid()))
		return 0;
	if (!geteuid() && fchownat(parent, name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW))
		return -1;
	/* Behind the owner: changing that takes the set-user-ID bit away. */
	if (e->type != '2' && fchmodat(parent, name, e->mode, 0))
		return -1;
	/* A time that the file system cannot keep is not worth an image. */
	utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

static int root_entry(struct unpacking *u, const struct tar_entry *e)
{
	if (e->type != '5')
		return fail(u, "the root is no directory");
	if (fchmod(u->root, e->mode) || (!geteuid() && fchown(u->root, e->uid, e->gid)))
		return fail(u, "/: %s", strerror(errno));
	return 0;
}

static int take_entry(struct unpacking *u, struct tar *t, const struct tar_entry *e)
{
	char path[TAR_PATH];
	const char *name;
	int parent, rc;

	u->why[0] = 0;
	if (!normalize(e->path, path))
		return fail(u, "%.200s: it leads out of the image", e->path);
	if (!path[0])
		return root_entry(u, e);
	parent = open_parent(u, path, &name);
	if (parent < 0)
		return fail(u, "%.200s: its directory: %s", path, strerror(errno));
	if (!strncmp(name, WHITEOUT, strlen(WHITEOUT)))
		rc = whiteout(u, path, parent, name);
	else
		rc = make(u, t, e, parent, name) || set_attributes(e, parent, name) ||
		     note_made(u, path);
	if (rc && !u->why[0])
		fail(u, "%.200s: %s%s", path, strerror(errno),
		     errno == ENOSPC ? ": the guest needs more memory (--memory)" : "");
	close(parent);
	return rc ? -1 : 0;
}

/* --- the processes --------------------------------------------------------------------------- */

/* The blob's bytes to @to, and whether they were the right ones: the exit status. */
static int feed(int fd, const struct blob *b, int to)
{
	static char buf[1 << 16];
	char digest[SHA256_TEXT];
	uint64_t at = 0;
	struct sha256 s;

	signal(SIGPIPE, SIG_IGN);
	sha256_begin(&s);
	while (at < b->size) {
		uint64_t part = b->size - at < sizeof(buf) ? b->size - at : sizeof(buf);
		ssize_t n = pread(fd, buf, part, (off_t)(b->offset + at)), done = 0, w = 0;

		if (n <= 0)
			return FEED_NO_READ;
		sha256_add(&s, buf, (size_t)n);
		at += (uint64_t)n;
		/* Whoever reads may have seen enough; the digest is about all of it. */
		while (to >= 0 && done < n && (w = write(to, buf + done, (size_t)(n - done))) > 0)
			done += w;
		if (w < 0)
			to = -1;
	}
	sha256_end(&s, digest);
	return strcmp(digest, b->digest) ? FEED_BAD_DIGEST : 0;
}

static pid_t start_feeder(int fd, const struct blob *b, int pipe_fd[2])
{
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		close(pipe_fd[0]);
		_exit(feed(fd, b, pipe_fd[1]));
	}
	close(pipe_fd[1]);
	if (pid < 0)
		close(pipe_fd[0]);
	return pid;
}

/* Takes *@from and leaves the unzipped stream there. */
static pid_t start_unzip(int *from, const struct layer *l)
{
	int pipe_fd[2];
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		dup2(*from, 0);
		dup2(pipe_fd[1], 1);
		if (l->format == LAYER_GZIP)
			execl(GUNZIP, "gunzip", "-c", NULL);
		else
			execl(ZSTD, "zstd", "-dcq", NULL);
		_exit(127);
	}
	close(pipe_fd[1]);
	close(*from);
	*from = pipe_fd[0];
	return pid;
}

static int status_of(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int take_entries(struct unpacking *u, int from)
{
	struct tar_entry *e = malloc(sizeof(*e));
	char rest[8192];
	struct tar t;
	int rc = -1;

	tar_begin(&t, from, false);
	if (!e)
		return fail(u, "there is no memory for it");
	while ((rc = tar_next(&t, e)) > 0) {
		if (take_entry(u, &t, e)) {
			free(e);
			return -1;
		}
	}
	free(e);
	if (rc < 0)
		return fail(u, "%s", t.why);
	/* What pads the archive: then those who write end well. */
	while (read(from, rest, sizeof(rest)) > 0)
		;
	return 0;
}

int layer_unpack(int fd, const struct layer *l, int root, char *why, size_t size)
{
	struct unpacking u = { .root = root, .why = why, .size = size };
	pid_t feeder, unzip = 0;
	int from[2], rc, status;

	why[0] = 0;
	feeder = start_feeder(fd, &l->blob, from);
	if (feeder < 0)
		return fail(&u, "no process that reads a layer: %s", strerror(errno));
	if (l->format != LAYER_TAR)
		unzip = start_unzip(&from[0], l);
	rc = unzip < 0 ? fail(&u, "no process that unzips: %s", strerror(errno)) :
			 take_entries(&u, from[0]);
	close(from[0]);
	tdestroy(u.made, free);
	status = unzip > 0 ? status_of(unzip) : 0;
	if (!rc && status)
		rc = fail(&u, "a layer cannot be unzipped");
	/* A damaged layer can fail in any way: this is the reason that matters. */
	status = status_of(feeder);
	if (status == FEED_BAD_DIGEST)
		return fail(&u, "a layer is damaged: it is not what sha256:%s says",
			    l->blob.digest);
	if (status)
		return fail(&u, "a layer cannot be read");
	return rc;
}
