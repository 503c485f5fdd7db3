/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest that reads another guest's disk gives back to xl, at the beginning of a disk of its own.
 * The writer has read a disk that anybody may have made: the reader believes nothing.
 */
#ifndef BOOT_RESULT_H
#define BOOT_RESULT_H

#include <stdint.h>

#define BOOT_RESULT_MAGIC "PVBOOT1" /* with its NUL */
#define BOOT_RESULT_BYTES 4096 /* so long is the disk at least */
#define BOOT_CMDLINE 1024 /* Linux's COMMAND_LINE_SIZE on RISC-V */

/* The guest's disks: what is read, and where kernel, ramdisk and this structure go. */
#define BOOT_DISK "xvda"
#define BOOT_DISK_KERNEL "xvdb"
#define BOOT_DISK_RAMDISK "xvdc"
#define BOOT_DISK_RESULT "xvdd"

struct boot_result {
	char magic[8];
	uint32_t found; /* 0: nothing, and @what says why */
	uint32_t reserved;
	uint64_t kernel_bytes,
		ramdisk_bytes; /* from the beginnings of their disks; no ramdisk: 0 */
	char cmdline[BOOT_CMDLINE]; /* NUL-terminated, as all texts here */
	char what[512]; /* which entry of which file on which partition, or what is wrong */
	char kernel[300]; /* the file that it was: "xvda1:/boot/vmlinuz"; older readers say "" */
};

#endif /* BOOT_RESULT_H */
