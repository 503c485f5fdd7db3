// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which bytes a disk stands for: looked up in sysfs, for loop devices in the kernel.
 * Owns the identities, and what counts as a use by dom0 (mounts, swap, device-mapper and md).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "nbd.h"
#include "sharing.h"

/* Tests on the host have a sysfs, /dev and /proc of their own. */
#ifndef SHARING_ROOT
#define SHARING_ROOT ""
#endif
#define SYS_DEV SHARING_ROOT "/sys/dev/block/%u:%u"
#define SYS_CLASS SHARING_ROOT "/sys/class/block"
#define MAX_DEPTH 16 /* of devices on devices; dm and md allow fewer */
#define NBD_DEPTH 8 /* below a network block device no other is looked into */

#define FORMAT(p, ...) \
	do { \
		if (asprintf(&(p), __VA_ARGS__) < 0) \
			abort(); \
	} while (0)

static void add_device(struct sharing *s, dev_t dev, bool below_fs, int depth);

/* --- the set --------------------------------------------------------------------------------- */

static struct sharing_id *find(const struct sharing *s, const char *text, size_t len)
{
	int i;

	for (i = 0; i < s->nr; i++)
		if (strlen(s->id[i].text) == len && !strncmp(s->id[i].text, text, len))
			return &s->id[i];
	return NULL;
}

/* False when it was there already. */
static bool add(struct sharing *s, const char *text, bool below_fs)
{
	struct sharing_id *known = find(s, text, strlen(text));

	if (known && (below_fs || !known->below_fs))
		return false;
	if (known) {
		known->below_fs = false;
		return true;
	}
	s->id = realloc(s->id, (s->nr + 1) * sizeof(*s->id));
	if (!s->id)
		abort();
	snprintf(s->id[s->nr].text, SHARING_ID_LEN, "%s", text);
	s->id[s->nr++].below_fs = below_fs;
	return true;
}

void sharing_free(struct sharing *s)
{
	free(s->id);
	s->id = NULL;
	s->nr = 0;
}

/* --- sysfs ----------------------------------------------------------------------------------- */

char *sharing_line(const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	if (!f)
		return NULL;
	if (getline(&line, &size, f) < 0) {
		free(line);
		line = NULL;
	} else {
		line[strcspn(line, "\n")] = '\0';
	}
	fclose(f);
	return line;
}

/* The number in a device's "dev" file. */
static bool read_dev(const char *dir, const char *leaf, dev_t *dev)
{
	unsigned int maj, min;
	char *path, *line;
	bool ok;

	FORMAT(path, "%s/%s/dev", dir, leaf);
	line = sharing_line(path);
	ok = line && sscanf(line, "%u:%u", &maj, &min) == 2;
	if (ok)
		*dev = makedev(maj, min);
	free(line);
	free(path);
	return ok;
}

static bool has(const char *dir, const char *leaf)
{
	char *path;
	bool there;

	FORMAT(path, "%s/%s", dir, leaf);
	there = !access(path, F_OK);
	free(path);
	return there;
}

/* What a device-mapper, md or other device is made of. */
static void add_slaves(struct sharing *s, const char *dir, bool below_fs, int depth)
{
	struct dirent *e;
	char *path;
	dev_t dev;
	DIR *d;

	FORMAT(path, "%s/slaves", dir);
	d = opendir(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' && read_dev(path, e->d_name, &dev))
			add_device(s, dev, below_fs, depth + 1);
	if (d)
		closedir(d);
	free(path);
}

/* --- files and loop devices ------------------------------------------------------------------ */

static void add_file(struct sharing *s, dev_t dev, ino_t ino, bool below_fs, int depth)
{
	char text[SHARING_ID_LEN], *dir;

	snprintf(text, sizeof(text), "f:%" PRIu64 ":%" PRIu64, (uint64_t)dev, (uint64_t)ino);
	if (!add(s, text, below_fs))
		return;
	/* Whoever has all of that device has this file. */
	FORMAT(dir, SYS_DEV, major(dev), minor(dev));
	if (!access(dir, F_OK))
		add_device(s, dev, true, depth + 1);
	free(dir);
}

void sharing_add_base(struct sharing *s, const struct stat *st)
{
	char text[SHARING_ID_LEN], *dir;

	snprintf(text, sizeof(text), SHARING_READ "f:%" PRIu64 ":%" PRIu64, (uint64_t)st->st_dev,
		 (uint64_t)st->st_ino);
	if (!add(s, text, false))
		return;
	FORMAT(dir, SYS_DEV, major(st->st_dev), minor(st->st_dev));
	if (!access(dir, F_OK))
		add_device(s, st->st_dev, true, 1);
	free(dir);
}

/* The kernel knows the file even when it has lost its name. */
static bool ask_loop(const char *dir, dev_t *dev, ino_t *ino)
{
	struct loop_info64 info;
	char *path, *line = NULL, *node;
	FILE *f;
	size_t size = 0;
	bool ok = false;
	int fd;

	FORMAT(path, "%s/uevent", dir);
	f = fopen(path, "re");
	free(path);
	while (f && !ok && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "DEVNAME=", 8))
			continue;
		FORMAT(node, SHARING_ROOT "/dev/%s", line + 8);
		fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		free(node);
		if (fd < 0)
			break;
		ok = !ioctl(fd, LOOP_GET_STATUS64, &info);
		close(fd);
	}
	if (f)
		fclose(f);
	free(line);
	if (ok) {
		*dev = info.lo_device;
		*ino = info.lo_inode;
	}
	return ok;
}

/* True when it is a loop device with a file: then that is added instead. */
static bool add_backing_file(struct sharing *s, const char *dir, bool below_fs, int depth)
{
	char *path, *file;
	struct stat st;
	bool asked, named;
	dev_t dev;
	ino_t ino;

	FORMAT(path, "%s/loop/backing_file", dir);
	file = sharing_line(path);
	free(path);
	if (!file)
		return false;
	asked = ask_loop(dir, &dev, &ino);
	/* Where stat() has device numbers of its own (btrfs), others name the file by those. */
	named = !stat(file, &st) && (!asked || st.st_ino == ino);
	free(file);
	if (named && S_ISBLK(st.st_mode))
		add_device(s, st.st_rdev, below_fs, depth + 1);
	else if (named)
		add_file(s, st.st_dev, st.st_ino, below_fs, depth);
	else if (asked)
		add_file(s, dev, ino, below_fs, depth);
	return named || asked;
}

/* --- network block devices ------------------------------------------------------------------- */

#define MAX_FDS 1024 /* of a server that are looked at */

/* Has process @pid descriptor @fd for writing? */
static bool writable(const char *pid, const char *fd)
{
	unsigned int flags = 0;
	char *path, *line = NULL;
	size_t size = 0;
	FILE *f;

	FORMAT(path, SHARING_ROOT "/proc/%s/fdinfo/%s", pid, fd);
	f = fopen(path, "re");
	free(path);
	while (f && getline(&line, &size, f) > 0 && sscanf(line, "flags: %o", &flags) != 1)
		;
	if (f)
		fclose(f);
	free(line);
	return (flags & O_ACCMODE) != O_RDONLY;
}

/*
 * qemu-nbd serves one image, and has it and all that it is based on open, whatever the format: calls @look for each.
 * Its first three descriptors are its terminal or log.
 */
static void opened_by(const char *pid, void (*look)(void *arg, const struct stat *st, bool writes),
		      void *arg)
{
	struct dirent *e;
	struct stat st;
	char *dir, *path;
	int n = 0;
	DIR *d;

	FORMAT(dir, SHARING_ROOT "/proc/%s/fd", pid);
	d = opendir(dir);
	while (d && (e = readdir(d)) && n++ < MAX_FDS) {
		FORMAT(path, "%s/%s", dir, e->d_name);
		if (atoi(e->d_name) > 2 && !stat(path, &st) &&
		    (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
			look(arg, &st, writable(pid, e->d_name));
		free(path);
	}
	if (d)
		closedir(d);
	free(dir);
}

struct opened {
	struct sharing *s;
	dev_t dev; /* the device that is served */
	bool below_fs;
	int depth;
	struct stat image; /* st_mode 0: none */
};

/*
 * Of what the server writes to, a block device or the largest file. Beside the image it has the file of its process's number
 * open, and the served device itself.
 */
static void find_image(void *arg, const struct stat *st, bool writes)
{
	struct opened *o = arg;

	if (writes && !(S_ISBLK(st->st_mode) && st->st_rdev == o->dev) &&
	    !S_ISBLK(o->image.st_mode) &&
	    (!o->image.st_mode || S_ISBLK(st->st_mode) || st->st_size > o->image.st_size))
		o->image = *st;
}

static void add_opened(void *arg, const struct stat *st, bool writes)
{
	const struct opened *o = arg;

	(void)writes;
	if (S_ISBLK(st->st_mode))
		add_device(o->s, st->st_rdev, o->below_fs, o->depth);
	else
		add_file(o->s, st->st_dev, st->st_ino, o->below_fs, o->depth);
}

/* What the server of a network block device has open; of that, with @image, the image that it writes to. */
static void add_served(struct sharing *s, dev_t dev, const char *pid, bool image, bool below_fs,
		       int depth)
{
	struct opened o = { .s = s, .dev = dev, .below_fs = below_fs, .depth = depth + NBD_DEPTH };

	opened_by(pid, image ? find_image : add_opened, &o);
	if (o.image.st_mode)
		add_opened(&o, &o.image, true);
}

/* The process that has attached a network block device; NULL for other devices, and where it is not of this machine. */
static char *server_of(const char *dir)
{
	char *path, *pid;

	FORMAT(path, "%s/pid", dir);
	pid = sharing_line(path);
	free(path);
	if (pid && (!*pid || strspn(pid, "0123456789") != strlen(pid))) {
		free(pid);
		pid = NULL;
	}
	return pid;
}

/*
 * One of xl's own: what it has open stands in its name ("pavise", the back end's path, "f:DEVICE:INODE" for each file, the image
 * first), also when its server has ended. False for all others.
 */
static bool add_named(struct sharing *s, const char *dir, bool below_fs, int depth)
{
	char *path, *line, *word, *save;
	struct stat st = { 0 };
	uint64_t dev, ino;
	bool first = true;

	FORMAT(path, "%s/backend", dir);
	line = sharing_line(path);
	free(path);
	if (!line || strncmp(line, NBD_OURS " ", strlen(NBD_OURS) + 1)) {
		free(line);
		return false;
	}
	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (sscanf(word, "f:%" SCNu64 ":%" SCNu64, &dev, &ino) != 2)
			continue;
		st.st_dev = dev;
		st.st_ino = ino;
		if (first)
			add_file(s, st.st_dev, st.st_ino, below_fs, depth);
		else
			sharing_add_base(s, &st);
		first = false;
	}
	free(line);
	return true;
}

/* --- looking up ------------------------------------------------------------------------------ */

static void add_device(struct sharing *s, dev_t dev, bool below_fs, int depth)
{
	char text[SHARING_ID_LEN], *dir, *up, *server;

	if (depth > MAX_DEPTH)
		return;
	FORMAT(dir, SYS_DEV, major(dev), minor(dev));
	/* The server may have the device itself open: once is enough. */
	server = depth < NBD_DEPTH && !add_named(s, dir, below_fs, depth) ? server_of(dir) : NULL;
	/* The image comes first, as a loop device's file does: two devices on one are the same disk. */
	if (server)
		add_served(s, dev, server, true, below_fs, depth);
	if (!add_backing_file(s, dir, below_fs, depth)) {
		snprintf(text, sizeof(text), "b:%u:%u", major(dev), minor(dev));
		if (add(s, text, below_fs)) {
			if (has(dir, "partition")) {
				dev_t disk;

				/* The links in /sys/dev/block lead into the disk's directory. */
				up = realpath(dir, NULL);
				if (up && read_dev(up, "..", &disk))
					add_device(s, disk, below_fs, depth + 1);
				free(up);
			}
			add_slaves(s, dir, below_fs, depth);
		}
	}
	if (server)
		add_served(s, dev, server, false, below_fs, depth);
	free(server);
	free(dir);
}

int sharing_of_device(dev_t dev, struct sharing *s)
{
	*s = (struct sharing){ 0 };
	add_device(s, dev, false, 0);
	return 0;
}

int sharing_of_path(const char *path, struct sharing *s)
{
	struct stat st;

	*s = (struct sharing){ 0 };
	if (stat(path, &st))
		return -errno;
	if (S_ISBLK(st.st_mode))
		return sharing_of_device(st.st_rdev, s);
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	add_file(s, st.st_dev, st.st_ino, false, 0);
	return 0;
}

char *sharing_key(const struct sharing *s)
{
	char *key = calloc(s->nr + 1, SHARING_ID_LEN + 1), *p = key;
	int i;

	if (!key)
		abort();
	for (i = 0; i < s->nr; i++)
		p += sprintf(p, "%s%s", i ? " " : "", s->id[i].text);
	return key;
}

/* Is @text, @len bytes long, among the words of @key? */
static bool has_word(const char *key, const char *text, size_t len)
{
	size_t n;

	for (; *key; key += n + strspn(key + n, " ")) {
		n = strcspn(key, " ");
		if (n == len && !strncmp(key, text, len))
			return true;
	}
	return false;
}

static bool overlaps(const struct sharing *s, const char *key)
{
	size_t len = strcspn(key, " ");

	/* The other one itself may be what ours lies on, or ours itself what the other one lies on. */
	return (len && find(s, key, len)) ||
	       (s->nr && has_word(key, s->id[0].text, strlen(s->id[0].text)));
}

/* Is what @first begins with, a disk itself, something that @s is based on? */
static bool is_base(const struct sharing *s, const char *first)
{
	char text[SHARING_ID_LEN + 2];

	snprintf(text, sizeof(text), SHARING_READ "%.*s", (int)strcspn(first, " "), first);
	return find(s, text, strlen(text));
}

bool sharing_clash(const struct sharing *s, bool readonly, const char *key, bool key_readonly)
{
	char text[SHARING_ID_LEN + 2];

	if (!s->nr)
		return false;
	snprintf(text, sizeof(text), SHARING_READ "%s", s->id[0].text);
	return (!(readonly && key_readonly) && overlaps(s, key)) ||
	       (!key_readonly && is_base(s, key)) ||
	       (!readonly && has_word(key, text, strlen(text)));
}

/* --- what dom0 does with it ------------------------------------------------------------------ */

/*
 * Does @used, something that dom0 writes to, share bytes with @s? Not counted is that a file of ours lies in
 * a file system that dom0 has mounted: that is where images are.
 */
static bool touches(const struct sharing *s, const struct sharing *used)
{
	struct sharing_id *id;

	if (!used->nr || !s->nr)
		return false;
	id = find(s, used->id[0].text, strlen(used->id[0].text));
	if ((id && !id->below_fs) || is_base(s, used->id[0].text))
		return true;
	return find(used, s->id[0].text, strlen(s->id[0].text)) != NULL;
}

/* mountinfo and swaps have \040 for a blank. */
static void unescape(char *text)
{
	char *in, *out = text;

	for (in = text; *in; out++) {
		unsigned int c;

		if (*in == '\\' && sscanf(in + 1, "%3o", &c) == 1) {
			*out = (char)c;
			in += 4;
		} else {
			*out = *in++;
		}
	}
	*out = '\0';
}

/*
 * One line of /proc/self/mountinfo (proc(5)):
 *	36 35 98:0 / /mnt rw,noatime shared:1 - ext4 /dev/root rw,errors=continue
 * Returns where it is mounted if it touches @s.
 */
static char *mounted_at(const struct sharing *s, bool readonly, char *line)
{
	char *where, *options, *dash = strstr(line, " - "), *source, *save;
	struct sharing used = { 0 };
	unsigned int maj, min;
	struct stat st;
	bool hit;

	if (!dash || sscanf(line, "%*u %*u %u:%u", &maj, &min) != 2)
		return NULL;
	*dash = '\0';
	strtok_r(dash + 3, " ", &save);
	source = strtok_r(NULL, " ", &save);
	options = strtok_r(NULL, " ", &save);
	/* The file system's own options: a mount may be read-only of one that is not. */
	if (readonly && options && !strncmp(options, "ro", 2) && strchr(",\n", options[2]))
		return NULL;
	if (maj)
		sharing_of_device(makedev(maj, min), &used);
	else if (source && *source == '/' && !stat(source, &st) && S_ISBLK(st.st_mode))
		sharing_of_device(st.st_rdev, &used); /* btrfs */
	hit = touches(s, &used);
	sharing_free(&used);
	if (!hit)
		return NULL;
	strtok_r(line, " ", &save);
	strtok_r(NULL, " ", &save);
	strtok_r(NULL, " ", &save);
	strtok_r(NULL, " ", &save);
	where = strtok_r(NULL, " ", &save);
	if (!where)
		return NULL;
	unescape(where);
	FORMAT(where, "%s", where);
	return where;
}

static char *find_mount(const struct sharing *s, bool readonly)
{
	FILE *f = fopen(SHARING_ROOT "/proc/self/mountinfo", "re");
	char *line = NULL, *where = NULL, *text = NULL;
	size_t size = 0;

	while (f && !where && getline(&line, &size, f) > 0)
		where = mounted_at(s, readonly, line);
	if (where)
		FORMAT(text, "is mounted in dom0 at %s", where);
	free(where);
	free(line);
	if (f)
		fclose(f);
	return text;
}

static char *find_swap(const struct sharing *s)
{
	FILE *f = fopen(SHARING_ROOT "/proc/swaps", "re");
	char *line = NULL, *text = NULL;
	struct sharing used;
	size_t size = 0;

	while (f && !text && getline(&line, &size, f) > 0) {
		line[strcspn(line, " \t\n")] = '\0';
		unescape(line);
		if (*line != '/')
			continue;
		if (!sharing_of_path(line, &used) && touches(s, &used))
			FORMAT(text, "is dom0's swap (%s)", line);
		sharing_free(&used);
	}
	free(line);
	if (f)
		fclose(f);
	return text;
}

/* A device-mapper, md or other device that has this one, or a part of it, as a member. */
static char *find_holder(const struct sharing *s)
{
	struct sharing holder;
	char *text = NULL, *dir;
	struct dirent *e;
	dev_t dev;
	DIR *d = opendir(SYS_CLASS);

	while (d && !text && (e = readdir(d))) {
		if (e->d_name[0] == '.' || !read_dev(SYS_CLASS, e->d_name, &dev))
			continue;
		sharing_of_device(dev, &holder);
		FORMAT(dir, SYS_CLASS "/%s/slaves", e->d_name);
		/* Loop devices and partitions alone do not write. */
		if (holder.nr > 1 && strcmp(holder.id[0].text, s->id[0].text) &&
		    touches(s, &holder) && !find(s, holder.id[0].text, strlen(holder.id[0].text))) {
			DIR *slaves = opendir(dir);
			int n = 0;

			while (slaves && readdir(slaves))
				n++;
			if (slaves)
				closedir(slaves);
			if (n > 2)
				FORMAT(text, "is part of %s in dom0", e->d_name);
		}
		free(dir);
		sharing_free(&holder);
	}
	if (d)
		closedir(d);
	return text;
}

char *sharing_dom0_use(const struct sharing *s, bool readonly)
{
	char *text;

	if (!s->nr)
		return NULL;
	text = find_mount(s, readonly);
	if (!text)
		text = find_swap(s);
	if (!text && !readonly)
		text = find_holder(s);
	return text;
}
