/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal: a file that holds one whole state and, behind it, what was done since.
 * It owns the file's format, checksums, and the change from one file to the next. What state and
 * records mean is state.h's and record.h's.
 *
 * Contract:
 * - journal_append() has stored the record, whole, when it returns: a SIGKILL at any later instant
 *   finds it. A SIGKILL before finds nothing, or a record that lacks its commit word, which counts
 *   as nothing. No system call, O(length of the record).
 * - journal_checkpoint() replaces all that was written by one new state, or changes nothing.
 * - journal_load() gives back the last state and all whole records behind it, in order. A record is
 *   whole when its checksum, its sequence number and those of all before it are right.
 * The file is mapped, so what is stored survives the process, not the power: it belongs on tmpfs.
 */
#ifndef XS_JOURNAL_H
#define XS_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* The longest record: a request, and what the hypervisor said meanwhile. */
#define JOURNAL_RECORD_MAX 16384

/* 64 bits over len bytes; any change within one aligned word of 8 bytes changes it. */
uint64_t journal_sum(uint64_t seed, const void *data, size_t len);

/* Is there a journal to write to? Without one all that follows does nothing. */
bool journal_on(void);

/*
 * Writes a new file of that state and an empty log, and puts it in place of the old one, which is
 * kept as <path>.old. Returns 0 or -errno: then the old file goes on being used.
 */
int journal_checkpoint(const char *path, const void *state, size_t len);

/* Bytes that fit into the log still, and its size. */
size_t journal_room(void);
size_t journal_size(void);

/* The pieces become one record. There must be room. */
void journal_append(unsigned int type, const struct iovec *iov, int num);

/* Gives up the file: what is on the disk would be out of date. */
void journal_drop(const char *path);
/* Lets go of it for an orderly end. The file stays. */
void journal_close(void);

enum journal_found {
	JOURNAL_NONE, /* no file, or one of an earlier boot */
	JOURNAL_WHOLE, /* all of it was read; perhaps the last record had been begun only */
	JOURNAL_CUT, /* it is damaged: read up to there */
	JOURNAL_BAD, /* nothing in it could be used */
};

struct journal_reader {
	/* Returns 0, or -1 with *why when the state makes no sense. */
	int (*state)(const void *data, size_t len, const char **why);
	int (*record)(unsigned int type, const void *data, size_t len, const char **why);
};

/* Reads path or, where that one's state is damaged, path.old and then path's log. */
enum journal_found journal_load(const char *path, const struct journal_reader *r);

/*
 * Tests die here: called before and after each commit word and each store to a ring's index. NULL
 * in service.
 */
extern void (*journal_point)(void);
#define JOURNAL_POINT() \
	do { \
		if (journal_point) \
			journal_point(); \
	} while (0)

#endif
