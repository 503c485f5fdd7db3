// SPDX-License-Identifier: BSD-2-Clause
/*
 * The only program of the guest that finds another guest's kernel: it mounts that guest's disk, reads its boot menu,
 * copies kernel and ramdisk to disks of its own, and ends (xl.cfg(5), "bootloader"). A process of its own does that, and
 * the first one says what came of it, or that nothing did in time (watch.h).
 * Owns the order in which partitions and menus are tried. Whatever a disk makes of this guest, it has nothing but that
 * disk and the three that xl throws away.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "menu.h"
#include "result.h"
#include "watch.h"

#define PARTITIONS 32 /* that are looked at, of those that there may be */
#define PARTITIONS_MAX 256
/* Of a directory so many names are looked at, whatever they are, and an entry is a short text. */
#define BLS_FILES 4096
#define BLS_BYTES (64 << 10)
/* All menus of all partitions together. */
#define MENUS_FILES 1024
#define MENUS_BYTES (16 << 20)
#define DISK_WAIT_MS 10000
#define MOUNT_POINT "/mnt"

/* Of the process that reads and the one that watches. */
static struct shared {
	struct boot_result result;
	uint64_t copied; /* bytes of kernel and ramdisks */
} * shared;
static struct menu menu;
static int menus_files = MENUS_FILES;
static size_t menus_bytes = MENUS_BYTES;
static char menu_data[MENU_FILE_MAX], env_data[4096];
static const char *wanted; /* an entry, or NULL */
static int root_fd = -1; /* of the file system that is mounted */

/* The first reason stays: later ones are about other partitions. */
static void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void complain(const char *fmt, ...)
{
	char text[sizeof(shared->result.what)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("boot: %s\n", text);
	if (!shared->result.what[0])
		memcpy(shared->result.what, text, sizeof(text));
}

/* --- files of the disk ----------------------------------------------------------------------- */

/* Links stay inside the file system, and so do "..". */
static int open_file(const char *path, int flags)
{
	struct open_how how = { .flags = flags | O_RDONLY | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	/* A FIFO is not waited for; openat2() takes the two together for a mistake. */
	if (!(flags & O_PATH))
		how.flags |= O_NONBLOCK;
	return syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

/* Is there one more file of that many bytes to be read? */
static bool within_bounds(const char *path, uint64_t bytes)
{
	if (!menus_files || bytes > menus_bytes) {
		complain("%s: there are more boot menus than anybody needs: it is not read", path);
		return false;
	}
	menus_files--;
	menus_bytes -= bytes;
	return true;
}

/* The file's length, at most @size; -1: it is not there, is no file or is too long. */
static ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open_file(path, 0);
	struct stat st;
	ssize_t n = -1, got = 0;

	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (uint64_t)st.st_size <= size &&
	    within_bounds(path, st.st_size)) {
		for (n = 0; n < st.st_size; n += got) {
			got = read(fd, buf + n, st.st_size - n);
			if (got <= 0)
				break;
		}
		if (got < 0)
			n = -1;
	}
	close(fd);
	return n;
}

static int write_all(int fd, const char *buf, size_t n)
{
	while (n) {
		ssize_t done = write(fd, buf, n);

		if (done <= 0)
			return -1;
		buf += done;
		n -= done;
	}
	return 0;
}

/* Bytes copied, or -1 after a complaint. @room: what the disk has left. */
static int64_t copy_file(const char *path, int to, uint64_t room, uint64_t *have)
{
	static char buf[1 << 18];
	int fd = open_file(path, 0);
	struct stat st;
	ssize_t n = 0;
	uint64_t total = 0;

	if (fd < 0 || fstat(fd, &st)) {
		complain("%s: %s", path, strerror(errno));
		goto fail;
	}
	if (!S_ISREG(st.st_mode) || !st.st_size) {
		complain("%s: %s", path, st.st_size ? "not a regular file" : "the file is empty");
		goto fail;
	}
	if ((uint64_t)st.st_size > room) {
		complain("%s: %llu MiB are more than the %llu MiB that there are for it "
			 "(bootloader_limit in xl.conf, and what is free in dom0)",
			 path, (unsigned long long)st.st_size >> 20,
			 (unsigned long long)room >> 20);
		goto fail;
	}
	while (total < (uint64_t)st.st_size && (n = read(fd, buf, sizeof(buf))) > 0) {
		if (total + n > room || write_all(to, buf, n)) {
			complain("%s: cannot be copied: %s", path, strerror(errno));
			goto fail;
		}
		total += n;
		shared->copied += n;
	}
	if (n < 0 || total != (uint64_t)st.st_size) {
		complain("%s: cannot be read: %s", path, n < 0 ? strerror(errno) : "it ends early");
		goto fail;
	}
	close(fd);
	*have += total;
	return 0;
fail:
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Menus whose partition is /boot say paths from there, or from the root that it belongs to. */
static bool is_there(const char *path)
{
	int fd = open_file(path, O_PATH);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static const char *place_of(const char *path, char *other, size_t size)
{
	int n = 0;

	if (is_there(path))
		return path;
	if (!strncmp(path, "/boot/", 6))
		n = snprintf(other, size, "%s", path + 5);
	else
		n = snprintf(other, size, "/boot%s", path);
	return n < (int)size && is_there(other) ? other : path;
}

/* --- the chosen entry ------------------------------------------------------------------------ */

static int open_disk(const char *name, uint64_t *bytes)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, bytes)) {
		complain("%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static int close_disk(int fd)
{
	int rc = fsync(fd);

	if (rc)
		complain("what was found cannot be kept: %s", strerror(errno));
	close(fd);
	return rc;
}

static int copy_kernel(const struct menu_entry *e)
{
	char other[MENU_PATH + 8];
	uint64_t room;
	int fd = open_disk(BOOT_DISK_KERNEL, &room);
	int rc;

	if (fd < 0)
		return -1;
	shared->result.kernel_bytes = 0;
	rc = copy_file(place_of(e->kernel, other, sizeof(other)), fd, room,
		       &shared->result.kernel_bytes);
	return close_disk(fd) || rc ? -1 : 0;
}

/* One behind the other; Linux wants each at a multiple of four bytes (buffer-format.rst). */
static int copy_ramdisks(const struct menu_entry *e)
{
	char other[MENU_PATH + 8];
	uint64_t room;
	int fd = open_disk(BOOT_DISK_RAMDISK, &room);
	int rc = 0, i;

	if (fd < 0)
		return -1;
	shared->result.ramdisk_bytes = 0;
	for (i = 0; !rc && i < e->nr_ramdisks; i++) {
		unsigned int pad = -shared->result.ramdisk_bytes & 3;

		if (shared->result.ramdisk_bytes + pad > room || write_all(fd, "\0\0\0", pad)) {
			complain("%s: there is no room for it", e->ramdisk[i]);
			rc = -1;
			break;
		}
		shared->result.ramdisk_bytes += pad;
		rc = copy_file(place_of(e->ramdisk[i], other, sizeof(other)), fd,
			       room - shared->result.ramdisk_bytes, &shared->result.ramdisk_bytes);
	}
	return close_disk(fd) || rc ? -1 : 0;
}

static bool take(const char *partition, const char *file)
{
	const struct menu_entry *e = menu_choose(&menu, wanted);

	if (!e) {
		complain("%s: %s: %s%s%s", partition, file,
			 menu.nr ? "it has no entry '" : "it has no entry with a kernel",
			 menu.nr ? wanted : "", menu.nr ? "'" : "");
		return false;
	}
	if (copy_kernel(e) || copy_ramdisks(e))
		return false;
	strcpy(shared->result.cmdline, e->cmdline);
	snprintf(shared->result.what, sizeof(shared->result.what), "%s: %s: %s", partition, file,
		 e->title);
	snprintf(shared->result.kernel, sizeof(shared->result.kernel), "%s:%s", partition,
		 e->kernel);
	shared->result.found = 1;
	return true;
}

/* --- menus ----------------------------------------------------------------------------------- */

static void read_env(struct menu_env *env)
{
	static const char *const paths[] = { "/boot/grub/grubenv", "/grub/grubenv",
					     "/boot/grub2/grubenv", "/grub2/grubenv" };
	unsigned int i;
	ssize_t n = -1;

	for (i = 0; n < 0 && i < sizeof(paths) / sizeof(*paths); i++)
		n = read_file(paths[i], env_data, sizeof(env_data));
	env->data = n < 0 ? NULL : env_data;
	env->size = n < 0 ? 0 : n;
}

static bool try_extlinux(const char *partition)
{
	static const char *const dirs[] = { "/boot/extlinux", "/extlinux", "/boot/syslinux",
					    "/syslinux", "/boot" };
	char path[64];
	unsigned int i;
	ssize_t n;

	for (i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		snprintf(path, sizeof(path), "%s/extlinux.conf", dirs[i]);
		n = read_file(path, menu_data, sizeof(menu_data));
		if (n < 0)
			continue;
		memset(&menu, 0, sizeof(menu));
		menu_extlinux(&menu, menu_data, n, dirs[i]);
		if (take(partition, path))
			return true;
	}
	return false;
}

/* The names that are an entry's; the caller frees them. */
static int list_entries(const char *dir, char **name)
{
	int fd = open_file(dir, O_DIRECTORY), seen = 0, nr = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (d && seen < BLS_FILES && (entry = readdir(d))) {
		size_t len = strlen(entry->d_name);

		if (len >= 6 && !strcmp(entry->d_name + len - 5, ".conf") &&
		    (name[nr] = strdup(entry->d_name)))
			nr++;
		seen++;
	}
	if (d)
		closedir(d);
	return nr;
}

static bool read_entries(const char *dir, const struct menu_env *env)
{
	static char *name[BLS_FILES];
	int nr = list_entries(dir, name), i;
	char path[512];
	ssize_t n;

	/* The newest, however many there are. */
	menu_bls_sort(name, nr);
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, name[i]);
		n = menu.nr < MENU_ENTRIES ? read_file(path, menu_data, BLS_BYTES) : -1;
		if (n >= 0)
			menu_bls(&menu, menu_data, n, name[i], env);
		free(name[i]);
	}
	return nr;
}

static bool try_bls(const char *partition, const struct menu_env *env)
{
	static const char *const dirs[] = { "/boot/loader", "/loader" };
	char path[64];
	unsigned int i;
	ssize_t n;

	for (i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		memset(&menu, 0, sizeof(menu));
		snprintf(path, sizeof(path), "%s/entries", dirs[i]);
		if (!read_entries(path, env))
			continue;
		snprintf(path, sizeof(path), "%s/loader.conf", dirs[i]);
		n = read_file(path, menu_data, sizeof(menu_data));
		if (n >= 0)
			menu_bls_default(&menu, menu_data, n);
		menu_env_get(env, "saved_entry", path, sizeof(path));
		if (!menu.preferred[0])
			menu_copy(menu.preferred, sizeof(menu.preferred), path);
		if (take(partition, dirs[i]))
			return true;
	}
	return false;
}

static bool try_grub(const char *partition, const struct menu_env *env)
{
	static const char *const paths[] = { "/boot/grub/grub.cfg", "/grub/grub.cfg",
					     "/boot/grub2/grub.cfg", "/grub2/grub.cfg" };
	unsigned int i;
	ssize_t n;

	for (i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		n = read_file(paths[i], menu_data, sizeof(menu_data));
		if (n < 0)
			continue;
		memset(&menu, 0, sizeof(menu));
		menu_grub(&menu, menu_data, n, env);
		if (take(partition, paths[i]))
			return true;
	}
	return false;
}

/* --- partitions ------------------------------------------------------------------------------ */

/* Journals are not replayed: the disk is read only. */
static const char *options_of(const char *type)
{
	if (!strncmp(type, "ext", 3))
		return "noload";
	return !strcmp(type, "xfs") ? "norecovery" : NULL;
}

static bool mount_any(const char *device)
{
	FILE *f = fopen("/proc/filesystems", "re");
	const unsigned long flags = MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC;
	char line[80], *type;
	bool mounted = false;

	while (f && !mounted && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (line[0] != '\t')
			continue; /* nodev */
		type = line + 1;
		mounted = !mount(device, MOUNT_POINT, type, flags, NULL) ||
			  (options_of(type) &&
			   !mount(device, MOUNT_POINT, type, flags, options_of(type)));
	}
	if (f)
		fclose(f);
	return mounted;
}

static bool try_partition(const char *name)
{
	struct menu_env env;
	char device[300];
	bool found;

	snprintf(device, sizeof(device), "/dev/%s", name);
	if (!mount_any(device))
		return false;
	printf("boot: looking at %s\n", name);
	root_fd = open(MOUNT_POINT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	read_env(&env);
	found = try_extlinux(name) || try_bls(name, &env) || try_grub(name, &env);
	close(root_fd);
	umount2(MOUNT_POINT, MNT_DETACH);
	return found;
}

static int by_number(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

static void look(void)
{
	static const char sys[] = "/sys/class/block";
	char *name[PARTITIONS_MAX];
	DIR *d = opendir(sys);
	struct dirent *e;
	int n = 0, i;

	while (d && (e = readdir(d)) && n < PARTITIONS_MAX)
		if (!strncmp(e->d_name, BOOT_DISK, 4) && (name[n] = strdup(e->d_name)))
			n++;
	if (d)
		closedir(d);
	/* A partition's name is the disk's and a number, so the whole disk is the first. */
	qsort(name, n, sizeof(*name), by_number);
	for (i = 0; i < n && i < PARTITIONS; i++)
		if (try_partition(name[i]))
			return;
	complain("none of its %d partitions has extlinux.conf, loader/entries or grub.cfg in a "
		 "file system that can be read here",
		 n > 1 ? n - 1 : n);
}

/* --- the process ----------------------------------------------------------------------------- */

/* "entry=Debian%20GNU" */
static char *decode(const char *text)
{
	char *out = strdup(text), *to = out;
	unsigned int c;

	for (; out && *text; text++) {
		if (*text == '%' && sscanf(text + 1, "%2x", &c) == 1 && text[1] && text[2]) {
			*to++ = c;
			text += 2;
		} else {
			*to++ = *text;
		}
	}
	if (out)
		*to = 0;
	return out;
}

/* Once it can be opened its partitions are known, too. */
static bool is_ready(const char *name)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void wait_for_disks(void)
{
	static const char *const name[] = { BOOT_DISK, BOOT_DISK_KERNEL, BOOT_DISK_RAMDISK,
					    BOOT_DISK_RESULT };
	unsigned int i;
	int ms = 0;

	for (i = 0; i < sizeof(name) / sizeof(*name); i++)
		for (; ms < DISK_WAIT_MS && !is_ready(name[i]); ms += 20)
			usleep(20000);
}

/* What the reader has left goes to the disk, unless it did not end as it should. */
static void leave_result(const char *why)
{
	static struct boot_result result;
	uint64_t room;
	int fd;

	result = shared->result;
	if (why) {
		result.found = 0;
		snprintf(result.what, sizeof(result.what), "%s", why);
	}
	memcpy(result.magic, BOOT_RESULT_MAGIC, sizeof(result.magic));
	printf("boot: %s\n", result.what);
	fd = open_disk(BOOT_DISK_RESULT, &room);
	if (fd >= 0 && !write_all(fd, (const char *)&result, sizeof(result)))
		close_disk(fd);
}

int main(int argc, char **argv)
{
	char why[128];
	int fd, i;

	mkdir(MOUNT_POINT, 0700);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	fd = open("/dev/console", O_RDWR);
	for (i = 0; fd >= 0 && i < 3; i++)
		dup2(fd, i);
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	for (i = 1; i < argc; i++)
		if (!strncmp(argv[i], "entry=", 6))
			wanted = decode(argv[i] + 6);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared != MAP_FAILED) {
		wait_for_disks();
		leave_result(watch_run(look, &shared->copied, why, sizeof(why)) ? why : NULL);
	}
	reboot(RB_POWER_OFF);
	return 1;
}
