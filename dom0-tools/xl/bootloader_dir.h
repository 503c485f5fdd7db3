/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory in which one reader of a guest's disk leaves what it finds (bootloader.c).
 * Owns who uses it: it is locked (flock(2)) for as long as its xl lives, so whatever ends that, the next one can tell.
 */
#ifndef XL_BOOTLOADER_DIR_H
#define XL_BOOTLOADER_DIR_H

#include <stdbool.h>
#include <stdint.h>

struct boot_dir {
	char *path;
	int fd; /* with the lock */
};

/* The files in it, by number */
enum { BOOT_FILE_KERNEL, BOOT_FILE_RAMDISK, BOOT_FILE_RESULT, BOOT_FILES };

/*
 * Bytes that the files of one more reader may have, for a kernel and for a ramdisk each: at most @limit, and less where all
 * readers together have @total, or where the file system has not more free than is promised already. 0, or -ENOSPC after a
 * message. xl_lock() is held until boot_dir_make() has made the files: so nobody else is promised the same.
 */
int boot_dir_room(const char *root, uint64_t limit, uint64_t total, uint64_t *bytes);
/* A new one, ours, called @root/@name.XXXXXX, with sparse files of @bytes. 0, or -1 after a message. */
int boot_dir_make(const char *root, const char *name, uint64_t bytes, struct boot_dir *d);
/* One of the files; the caller frees. */
char *boot_dir_file(const struct boot_dir *d, int file);
/* One that was left, if nobody uses it: 0, and it is ours. -EBUSY: somebody does; else -errno. */
int boot_dir_claim(const char *path, struct boot_dir *d);
/* With its files, then the lock. One that is not there (path NULL) is fine. */
void boot_dir_remove(struct boot_dir *d);
/* One that was left, with its files, unless somebody uses it; for boot_dir_each(). What is no such directory stays. */
void boot_dir_remove_left(const char *path, void *arg);
/* Calls @fn with each one's path, as far as its name can tell; false: there is none. */
bool boot_dir_each(const char *root, void (*fn)(const char *path, void *arg), void *arg);

#endif /* XL_BOOTLOADER_DIR_H */
