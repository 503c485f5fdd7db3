// SPDX-License-Identifier: BSD-2-Clause
/*
 * The journal: a file that holds one whole state and, behind it, what was done since.
 * It owns the file's format, checksums, and the change from one file to the next.
 *
 *	struct head | state | (8-aligned) struct rec, data, (8-aligned) struct rec, ... | zeros
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "file.h"
#include "journal.h"
#include "sum.h"
#include "util.h"

#define MAGIC 0x314c4e524a535850ull /* "PXSJRNL1" */
/*
 * The log is so many times as long as the state, so that however large the store is, the checkpoints
 * that a request brings cost less than the request; and never shorter than that.
 */
#define LOG_TIMES 4
#define LOG_MIN ((size_t)1 << 20)

struct head {
	uint64_t magic;
	uint64_t boot[2]; /* domains do not outlive the machine, so a state of another boot is void
			   */
	uint64_t key; /* random: a record of another file does not fit */
	uint64_t state_len, state_sum;
	uint64_t log_off, log_len;
	uint64_t sum; /* of all above */
};

struct rec {
	uint32_t len;
	uint32_t type;
	uint64_t seq;
	uint64_t sum; /* the commit word: stored last, never 0 */
};

static struct {
	char *map;
	size_t size, log_off, at;
	uint64_t key, seq;
} j;

void (*journal_point)(void);

static size_t round8(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

uint64_t journal_sum(uint64_t h, const void *data, size_t len)
{
	return sum64(h, data, len);
}

static uint64_t rec_sum(uint64_t key, const struct rec *r, const void *data)
{
	uint64_t h = journal_sum(key, r, offsetof(struct rec, sum));

	/* with the zeros that fill it up */
	h = journal_sum(h, data, round8(r->len));
	return h ? h : 1;
}

/* The running system's number; zeros where there is none. */
static void boot_id(uint64_t id[2])
{
	char text[64] = "", hex[33];
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	int n = 0;

	id[0] = id[1] = 0;
	if (!f)
		return;
	if (fgets(text, sizeof(text), f)) {
		for (const char *s = text; *s && n < 32; s++)
			if (*s != '-')
				hex[n++] = *s;
		hex[n] = 0;
		id[1] = strtoull(hex + (n > 16 ? 16 : 0), NULL, 16);
		hex[16] = 0;
		id[0] = strtoull(hex, NULL, 16);
	}
	fclose(f);
}

bool journal_on(void)
{
	return j.map;
}

size_t journal_room(void)
{
	return j.map ? j.size - j.at : 0;
}

size_t journal_size(void)
{
	return j.map ? j.size - j.log_off : 0;
}

void journal_close(void)
{
	if (j.map)
		munmap(j.map, j.size);
	j.map = NULL;
}

static char *beside(const char *path, const char *suffix)
{
	return xasprintf("%s%s", path, suffix);
}

void journal_drop(const char *path)
{
	char *old = beside(path, ".old");

	unlink(path);
	unlink(old);
	free(old);
	journal_close();
}

/* A file of that size with its pages there, so that storing to it cannot fail later. */
static char *make_file(const char *path, size_t size, int *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *map = MAP_FAILED;

	if (fd < 0) {
		*err = -errno;
		return NULL;
	}
	*err = -posix_fallocate(fd, 0, (off_t)size);
	if (!*err) {
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			*err = -errno;
	}
	close(fd);
	if (!*err)
		return map;
	unlink(path);
	return NULL;
}

/* path.new becomes path, and what path was becomes path.old. */
static int switch_files(const char *path, const char *fresh)
{
	char *old = beside(path, ".old");
	int err = 0;

	JOURNAL_POINT();
	/* dying between the two, one finds no path, and path.old with all there is */
	if (rename(path, old) && errno != ENOENT)
		err = -errno;
	JOURNAL_POINT();
	if (!err && rename(fresh, path))
		err = -errno;
	JOURNAL_POINT();
	free(old);
	return err;
}

int journal_checkpoint(const char *path, const void *state, size_t len)
{
	struct head h = { .magic = MAGIC, .state_len = len };
	size_t log_len = len * LOG_TIMES > LOG_MIN ? round8(len) * LOG_TIMES : LOG_MIN;
	char *fresh = beside(path, ".new"), *map;
	int err;

	h.log_off = round8(sizeof(h) + len);
	h.log_len = log_len;
	map = make_file(fresh, h.log_off + log_len, &err);
	if (map) {
		boot_id(h.boot);
		if (getrandom(&h.key, sizeof(h.key), 0) != sizeof(h.key))
			h.key = (uint64_t)getpid() << 32 ^ j.seq;
		memcpy(map + sizeof(h), state, len);
		h.state_sum = journal_sum(h.key, map + sizeof(h), round8(len));
		h.sum = journal_sum(h.key, &h, offsetof(struct head, sum));
		memcpy(map, &h, sizeof(h));
		err = switch_files(path, fresh);
		if (err) {
			munmap(map, h.log_off + log_len);
			unlink(fresh);
		} else {
			journal_close();
			j.map = map;
			j.size = h.log_off + log_len;
			j.log_off = j.at = h.log_off;
			j.key = h.key;
			j.seq = 1;
		}
	}
	free(fresh);
	return err;
}

void journal_append(unsigned int type, const struct iovec *iov, int num)
{
	struct rec r = { .type = type }, *to;
	char *data;

	if (!j.map)
		return;
	for (int i = 0; i < num; i++)
		r.len += (uint32_t)iov[i].iov_len;
	if (sizeof(r) + round8(r.len) > j.size - j.at) {
		/* whoever appends has looked for room; going on silently would be a lie */
		xlog(LOG_ERR_, "journal: no room for a record of %u bytes", r.len);
		abort();
	}
	to = (struct rec *)(j.map + j.at);
	data = (char *)(to + 1);
	for (int i = 0; i < num; i++) {
		memcpy(data, iov[i].iov_base, iov[i].iov_len);
		data += iov[i].iov_len;
	}
	r.seq = j.seq++;
	to->len = r.len;
	to->type = r.type;
	to->seq = r.seq;
	r.sum = rec_sum(j.key, &r, to + 1);
	JOURNAL_POINT();
	__atomic_store_n(&to->sum, r.sum, __ATOMIC_RELEASE);
	JOURNAL_POINT();
	j.at += sizeof(r) + round8(r.len);
}

/* ---- reading ---- */

struct file {
	char *data;
	size_t len;
};

static bool slurp(const char *path, struct file *f)
{
	*f = (struct file){ 0 };
	return !file_read(path, SIZE_MAX / 2, &f->data, &f->len);
}

static bool head_ok(const struct file *f, struct head *h)
{
	if (f->len < sizeof(*h))
		return false;
	memcpy(h, f->data, sizeof(*h));
	return h->magic == MAGIC && h->sum == journal_sum(h->key, h, offsetof(struct head, sum)) &&
	       h->state_len <= f->len - sizeof(*h) &&
	       h->log_off == round8(sizeof(*h) + h->state_len) && h->log_off <= f->len;
}

static bool state_ok(const struct file *f, const struct head *h)
{
	return h->state_sum == journal_sum(h->key, f->data + sizeof(*h), round8(h->state_len));
}

static bool all_zero(const char *p, size_t len)
{
	while (len && !*p) {
		p++;
		len--;
	}
	return !len;
}

/*
 * All whole records. Returns JOURNAL_WHOLE when behind them there is nothing but, perhaps, one that
 * was begun.
 */
static enum journal_found read_log(const struct file *f, const struct head *h,
				   const struct journal_reader *r, const char *path)
{
	const char *why = "its checksum is wrong";
	size_t at = h->log_off, end = h->log_off + h->log_len;
	uint64_t seq = 1;
	struct rec rec;

	if (end > f->len)
		end = f->len;
	while (end - at >= sizeof(rec)) {
		size_t left = end - at - sizeof(rec);
		const char *data = f->data + at + sizeof(rec);

		memcpy(&rec, f->data + at, sizeof(rec));
		if (!rec.sum) {
			/* begun, and not committed: all behind its room is zero */
			size_t n = rec.len <= JOURNAL_RECORD_MAX ? round8(rec.len) :
								   JOURNAL_RECORD_MAX;

			/* its data come before its length, so without one it has the longest */
			if (!rec.len)
				n = JOURNAL_RECORD_MAX;
			if (n > left || all_zero(data + n, left - n))
				return end == h->log_off + h->log_len ? JOURNAL_WHOLE : JOURNAL_CUT;
			why = "it lacks its commit word, and others follow";
			goto cut;
		}
		if (round8(rec.len) > left || rec.seq != seq ||
		    rec.sum != rec_sum(h->key, &rec, data))
			goto cut;
		if (r->record(rec.type, data, rec.len, &why))
			goto cut;
		seq++;
		at += sizeof(rec) + round8(rec.len);
	}
	return end == h->log_off + h->log_len ? JOURNAL_WHOLE : JOURNAL_CUT;
cut:
	xlog(LOG_ERR_, "%s: record %llu at byte %zu cannot be used: %s; what follows is lost", path,
	     (unsigned long long)seq, at, why);
	return JOURNAL_CUT;
}

static enum journal_found read_state(const struct file *f, const struct head *h,
				     const struct journal_reader *r, const char *path)
{
	const char *why = "";

	if (!r->state(f->data + sizeof(*h), h->state_len, &why))
		return JOURNAL_WHOLE;
	xlog(LOG_ERR_, "%s: the state in it cannot be used: %s", path, why);
	return JOURNAL_BAD;
}

enum journal_found journal_load(const char *path, const struct journal_reader *r)
{
	char *old_path = beside(path, ".old");
	enum journal_found res = JOURNAL_NONE;
	struct file now, old;
	struct head h, ho;
	uint64_t boot[2];
	bool any_now = slurp(path, &now), any_old = slurp(old_path, &old);
	bool h_ok = any_now && head_ok(&now, &h), ho_ok = any_old && head_ok(&old, &ho);

	boot_id(boot);
	if (h_ok && memcmp(h.boot, boot, sizeof(boot))) {
		xlog(LOG_INFO_, "%s is of an earlier boot: ignored", path);
	} else if (h_ok && state_ok(&now, &h)) {
		res = read_state(&now, &h, r, path);
		if (res == JOURNAL_WHOLE)
			res = read_log(&now, &h, r, path);
	} else if (ho_ok && state_ok(&old, &ho) && !memcmp(ho.boot, boot, sizeof(boot))) {
		/* the old file's log ends where the new file's state was taken */
		if (any_now)
			xlog(LOG_ERR_, "%s: its %s is damaged: back to %s", path,
			     h_ok ? "state" : "head", old_path);
		res = read_state(&old, &ho, r, old_path);
		if (res == JOURNAL_WHOLE)
			res = read_log(&old, &ho, r, old_path);
		if (res == JOURNAL_WHOLE && h_ok)
			res = read_log(&now, &h, r, path);
		else if (res == JOURNAL_WHOLE && any_now)
			res = JOURNAL_CUT;
	} else if (any_now) {
		xlog(LOG_ERR_, "%s is damaged beyond use", path);
		res = JOURNAL_BAD;
	}
	free(now.data);
	free(old.data);
	free(old_path);
	return res;
}
