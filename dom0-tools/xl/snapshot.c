// SPDX-License-Identifier: BSD-2-Clause
/*
 * Snapshots as directories (snapshot.h).
 * Owns that one is there whole or not at all, whoever is killed, and the names of disks' files.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "settings.h"
#include "snapshot.h"

#ifndef XL_SNAPSHOT_DIR
#define XL_SNAPSHOT_DIR "/images/snapshots"
#endif
#ifndef XL_SNAPSHOT_DIR2 /* where there is no such parent */
#define XL_SNAPSHOT_DIR2 "/var/lib/xen/snapshots"
#endif
#define PART ".part"
#define SNAPSHOTS_DIR "/.snapshots" /* of disks, beside them */
#define FIRST_LINE "Pavise snapshot 1"
#define NAME_MAX_LEN 64
#define DISKS_MAX 64
#define LINE_MAX_LEN 8700 /* two paths */

/* --- names ------------------------------------------------------------------------------------ */

const char *snapshot_bad_name(const char *name)
{
	size_t n = strlen(name), ok = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTU"
						   "VWXYZ0123456789_.+-");

	if (!n || n > NAME_MAX_LEN)
		return "a snapshot's name has 1 to 64 characters";
	if (name[ok] || *name == '.' || *name == '-')
		return "a snapshot's name has only letters, digits, and _ . + - within";
	if (n >= strlen(PART) && !strcmp(name + n - strlen(PART), PART))
		return "a snapshot's name does not end with " PART;
	return NULL;
}

static char *root(void)
{
	char *def = xl_sprintf("%s", XL_SNAPSHOT_DIR), *dir;
	struct stat st;
	struct cfg conf;

	if (stat(dirname(def), &st))
		dir = xl_sprintf("%s", XL_SNAPSHOT_DIR2);
	else
		dir = xl_sprintf("%s", XL_SNAPSHOT_DIR);
	free(def);
	def = dir;
	settings_read(&conf, stderr);
	dir = cfg_path(&conf, "snapshot_dir", def);
	cfg_free(&conf);
	free(def);
	return dir;
}

char *snapshot_path(const struct snapshot *s, const char *file)
{
	return xl_sprintf("%s/%s", s->dir, file);
}

/* --- one's files ------------------------------------------------------------------------------- */

/* What could not be, is said. */
static int unlink_all(const char *dir)
{
	struct dirent *e;
	DIR *d = opendir(dir);
	int rc = 0;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.' && strspn(e->d_name, ".") == strlen(e->d_name))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0))
			rc = xl_error("%s/%s: %s", dir, e->d_name, strerror(errno));
	}
	if (d)
		closedir(d);
	return rc;
}

/* The directory of disks' snapshots goes with the last. */
static int unlink_disk(const char *file)
{
	char *copy = xl_sprintf("%s", file), *dir = dirname(copy);
	int rc = unlink(file) && errno != ENOENT ? xl_error("%s: %s", file, strerror(errno)) : 0;

	/* A template's lie beside the guests'. */
	if (!strcmp(strrchr(dir, '/'), SNAPSHOTS_DIR))
		rmdir(dir);
	free(copy);
	return rc;
}

int snapshot_remove(struct snapshots *g, struct snapshot *s)
{
	char *part = xl_sprintf("%s/%s" PART, g->dir, s->name);
	unsigned int i;
	int rc = 0;

	if (strcmp(part, s->dir) && rename(s->dir, part))
		rc = xl_error("%s: %s", s->dir, strerror(errno));
	for (i = 0; i < s->nr_disks && !rc; i++)
		rc = unlink_disk(s->disk[i].file);
	/* "about", which knows of them, goes only after them. */
	if (!rc)
		rc = unlink_all(part);
	if (!rc && rmdir(part))
		rc = xl_error("%s: %s", part, strerror(errno));
	free(part);
	return rc;
}

void snapshot_free(struct snapshot *s)
{
	while (s->nr_disks) {
		s->nr_disks--;
		free(s->disk[s->nr_disks].target);
		free(s->disk[s->nr_disks].file);
	}
	free(s->disk);
	free(s->name);
	free(s->dir);
	*s = (struct snapshot){ 0 };
}

/* --- "about" ----------------------------------------------------------------------------------- */

static struct snapshot_disk *new_disk(struct snapshot *s, const char *vdev)
{
	struct snapshot_disk *d = realloc(s->disk, (s->nr_disks + 1) * sizeof(*d));

	if (!d)
		abort();
	s->disk = d;
	d += s->nr_disks++;
	*d = (struct snapshot_disk){ 0 };
	snprintf(d->vdev, sizeof(d->vdev), "%s", vdev);
	return d;
}

/* "VDEV\tTARGET\tFILE\tBYTES" */
static bool read_disk(struct snapshot *s, char *text)
{
	char *target = strchr(text, '\t'), *file = target ? strchr(target + 1, '\t') : NULL;
	char *bytes = file ? strchr(file + 1, '\t') : NULL;
	struct snapshot_disk *d;

	if (!bytes || s->nr_disks == DISKS_MAX)
		return false;
	*target++ = *file++ = *bytes++ = '\0';
	if (strlen(text) >= sizeof(d->vdev) || *target != '/' || *file != '/')
		return false;
	d = new_disk(s, text);
	d->target = xl_sprintf("%s", target);
	d->file = xl_sprintf("%s", file);
	return sscanf(bytes, "%" SCNu64, &d->size) == 1;
}

static bool read_line(struct snapshot *s, char *line)
{
	char *value = strchr(line, ' ');

	if (!value)
		return false;
	*value++ = '\0';
	if (!strcmp(line, "disk"))
		return read_disk(s, value);
	if (!strcmp(line, "uuid"))
		return snprintf(s->uuid, sizeof(s->uuid), "%s", value) < (int)sizeof(s->uuid);
	if (!strcmp(line, "time"))
		return sscanf(value, "%" SCNd64, &s->time) == 1;
	if (!strcmp(line, "pages"))
		return sscanf(value, "%" SCNu64, &s->pages) == 1;
	/* A newer version may say more. */
	return true;
}

static int read_about(struct snapshot *s)
{
	char *path = snapshot_path(s, "about"), line[LINE_MAX_LEN];
	FILE *f = fopen(path, "re");
	unsigned int nr = 0;
	int rc = f ? 0 : xl_error("%s: %s", path, strerror(errno));
	char *end;

	while (!rc && fgets(line, sizeof(line), f)) {
		nr++;
		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		if (!end || (nr == 1 ? strcmp(line, FIRST_LINE) != 0 : !read_line(s, line)))
			rc = xl_error("%s: line %u is none of a snapshot's", path, nr);
	}
	if (!rc && (ferror(f) || !nr))
		rc = xl_error("%s: it cannot be read", path);
	if (f)
		fclose(f);
	free(path);
	return rc;
}

/* Whole and on the disk, or not there. */
static int write_file(const struct snapshot *s, const char *name, const char *text)
{
	char *path = snapshot_path(s, name), *new = xl_sprintf("%s.new", path);
	int fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;
	ssize_t n = strlen(text);

	if (fd < 0 || write(fd, text, n) != n || fsync(fd))
		rc = xl_error("%s: %s", new, strerror(errno));
	if (fd >= 0 && close(fd) && !rc)
		rc = xl_error("%s: %s", new, strerror(errno));
	if (!rc && (rename(new, path) || xl_sync_directory(path)))
		rc = xl_error("%s: %s", path, strerror(errno));
	free(path);
	free(new);
	return rc;
}

int snapshot_note(struct snapshot *s, const char *config)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	unsigned int i;
	int rc;

	if (!f)
		abort();
	fprintf(f, FIRST_LINE "\nuuid %s\ntime %" PRId64 "\npages %" PRIu64 "\n", s->uuid, s->time,
		s->pages);
	for (i = 0; i < s->nr_disks; i++)
		fprintf(f, "disk %s\t%s\t%s\t%" PRIu64 "\n", s->disk[i].vdev, s->disk[i].target,
			s->disk[i].file, s->disk[i].size);
	fclose(f);
	rc = write_file(s, "about", text) || write_file(s, "config", config) ? -1 : 0;
	free(text);
	return rc;
}

/* --- a guest's --------------------------------------------------------------------------------- */

/* What a killed one has left. */
static void sweep(struct snapshots *g)
{
	struct snapshot s = { 0 };
	struct dirent *e;
	DIR *d = opendir(g->dir);
	size_t n;

	while (d && (e = readdir(d))) {
		n = strlen(e->d_name);
		if (n <= strlen(PART) || strcmp(e->d_name + n - strlen(PART), PART))
			continue;
		s.dir = xl_sprintf("%s/%s", g->dir, e->d_name);
		s.name = strndup(e->d_name, n - strlen(PART));
		if (!s.name)
			abort();
		/* Without that there is no disk's file either. */
		if (!access(s.dir, F_OK)) {
			char *about = snapshot_path(&s, "about");

			if (access(about, F_OK) || !read_about(&s))
				snapshot_remove(g, &s);
			free(about);
		}
		snapshot_free(&s);
	}
	if (d)
		closedir(d);
}

/* Has whoever had it before removed it, with the last one? */
static bool is_gone(int fd)
{
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && !st.st_nlink;
}

static int open_directory(struct snapshots *g, const char *dir, bool make)
{
	if (make && (xl_mkdir(dir) || (mkdir(g->dir, 0700) && errno != EEXIST)))
		return xl_error("%s: %s; snapshot_dir in " XL_CONF " may name another place",
				g->dir, strerror(errno));
	g->lock = open(g->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

int snapshots_lock(struct snapshots *g, const char *guest, bool make)
{
	char *dir = root();
	int rc;

	*g = (struct snapshots){ .lock = -1 };
	g->guest = xl_sprintf("%s", guest);
	g->dir = xl_sprintf("%s/%s", dir, guest);
	rc = open_directory(g, dir, make);
	free(dir);
	if (rc)
		return rc;
	if (g->lock < 0)
		return errno == ENOENT ? xl_error("'%s' has no snapshots", guest) :
					 xl_error("%s: %s", g->dir, strerror(errno));
	if (flock(g->lock, LOCK_EX | LOCK_NB) || is_gone(g->lock)) {
		/* It is another's, too, to remove. */
		close(g->lock);
		g->lock = -1;
		return xl_error("another xl is busy with the snapshots of '%s'", guest);
	}
	sweep(g);
	return 0;
}

void snapshots_unlock(struct snapshots *g)
{
	/* With the last of them. */
	if (g->lock >= 0 && g->dir)
		rmdir(g->dir);
	if (g->lock >= 0)
		close(g->lock);
	free(g->guest);
	free(g->dir);
	*g = (struct snapshots){ .lock = -1 };
}

int snapshot_begin(struct snapshots *g, struct snapshot *s, const char *name)
{
	char *whole = xl_sprintf("%s/%s", g->dir, name);
	int rc = 0;

	*s = (struct snapshot){ .name = xl_sprintf("%s", name) };
	s->dir = xl_sprintf("%s/%s" PART, g->dir, name);
	s->time = time(NULL);
	if (!access(whole, F_OK))
		rc = xl_error("'%s' has a snapshot '%s' already", g->guest, name);
	else if (mkdir(s->dir, 0700))
		rc = xl_error("%s: %s", s->dir, strerror(errno));
	free(whole);
	return rc;
}

int snapshot_add_file(struct snapshot *s, const char *vdev, const char *target, const char *file)
{
	struct snapshot_disk *d;
	struct stat st;

	if (strpbrk(target, "\t\n") || s->nr_disks == DISKS_MAX)
		return xl_error("disk %s, %s: such a name cannot be noted, or there are too many",
				vdev, target);
	if (stat(target, &st))
		return xl_error("disk %s, %s: %s", vdev, target, strerror(errno));
	d = new_disk(s, vdev);
	d->target = xl_sprintf("%s", target);
	d->file = xl_sprintf("%s", file);
	d->size = st.st_size;
	return 0;
}

int snapshot_make_room(const char *file)
{
	char *copy = xl_sprintf("%s", file), *dir = dirname(copy);
	int rc = mkdir(dir, 0700) && errno != EEXIST ? xl_error("%s: %s", dir, strerror(errno)) : 0;

	free(copy);
	return rc;
}

int snapshot_add_disk(struct snapshots *g, struct snapshot *s, const char *vdev, const char *target)
{
	char *copy = xl_sprintf("%s", target);
	/* No name has a '~'. */
	char *file =
		xl_sprintf("%s" SNAPSHOTS_DIR "/%s~%s~%s", dirname(copy), g->guest, s->name, vdev);
	struct stat st;
	int rc = snapshot_make_room(file);

	/* One that is another's is not this one's to remove. */
	if (!rc && !lstat(file, &st))
		rc = xl_error("%s is there already: of another snapshot_dir, or another host",
			      file);
	if (!rc)
		rc = snapshot_add_file(s, vdev, target, file);
	free(file);
	free(copy);
	return rc;
}

int snapshot_end(struct snapshots *g, struct snapshot *s)
{
	char *whole = xl_sprintf("%s/%s", g->dir, s->name), *inside = snapshot_path(s, "about");
	int rc = xl_sync_directory(inside);

	if (!rc && rename(s->dir, whole))
		rc = -errno;
	if (!rc) {
		free(s->dir);
		s->dir = whole;
		whole = NULL;
		rc = xl_sync_directory(s->dir);
	}
	if (rc)
		xl_error("%s: %s", s->dir, strerror(-rc));
	free(inside);
	free(whole);
	return rc ? -1 : 0;
}

int snapshot_read(struct snapshots *g, struct snapshot *s, const char *name)
{
	const char *bad = snapshot_bad_name(name);
	struct stat st;

	*s = (struct snapshot){ 0 };
	if (bad)
		return xl_error("%s: %s", name, bad);
	s->name = xl_sprintf("%s", name);
	s->dir = xl_sprintf("%s/%s", g->dir, name);
	if (stat(s->dir, &st))
		return errno == ENOENT ? xl_error("'%s' has no snapshot '%s'; xl snapshot-list "
						  "has those that there are",
						  g->guest, name) :
					 xl_error("%s: %s", s->dir, strerror(errno));
	return read_about(s);
}

/* --- all of them ------------------------------------------------------------------------------- */

static int is_snapshot(const struct dirent *e)
{
	return !snapshot_bad_name(e->d_name);
}

static int is_guest(const struct dirent *e)
{
	return !config_bad_name(e->d_name);
}

static void each_of(const char *dir, const char *guest,
		    void (*fn)(const char *guest, const struct snapshot *s, void *ctx), void *ctx)
{
	struct snapshots g = { .dir = xl_sprintf("%s/%s", dir, guest),
			       .guest = xl_sprintf("%s", guest) };
	struct dirent **e = NULL;
	int n = scandir(g.dir, &e, is_snapshot, alphasort), i;
	struct snapshot s;

	for (i = 0; i < n; i++) {
		if (!snapshot_read(&g, &s, e[i]->d_name))
			fn(guest, &s, ctx);
		snapshot_free(&s);
		free(e[i]);
	}
	free(e);
	free(g.dir);
	free(g.guest);
}

int snapshots_each(const char *guest,
		   void (*fn)(const char *guest, const struct snapshot *s, void *ctx), void *ctx)
{
	struct dirent **e = NULL;
	char *dir = root();
	int n = guest ? 0 : scandir(dir, &e, is_guest, alphasort), i, rc = 0;

	if (n < 0 && errno != ENOENT)
		rc = xl_error("%s: %s", dir, strerror(errno));
	if (guest)
		each_of(dir, guest, fn, ctx);
	for (i = 0; i < n; i++) {
		each_of(dir, e[i]->d_name, fn, ctx);
		free(e[i]);
	}
	free(e);
	free(dir);
	return rc;
}
