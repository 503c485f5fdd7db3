/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest whose core or state is being written, or sent to another host: whoever does so may be killed, and leaves neither a guest that is paused, suspended,
 * slowed or logged nor half a file (xl minder, or the next one who writes that guest's, sees to it).
 */
#ifndef XL_DUMP_H
#define XL_DUMP_H

#include "xl.h"

struct dump {
	uint32_t domid;
	int fd;
	bool paused; /* by us */
	bool logged, slowed;
	uint16_t cap; /* its own, once it is slowed */
	char *part; /* what is at first written instead of the path, absolute */
};

/*
 * The domain's lock is held until dump_end(). @path: NULL where it is written to no file. @pause: unless it is paused already.
 * 0 or -errno, then without dump_end().
 */
int dump_begin(struct xl *xl, uint32_t domid, const char *path, bool pause, struct dump *d);
/* What @pause does, later. 0 or -errno; dump_end() is due as before. */
int dump_pause(struct xl *xl, struct dump *d);
/* What it writes is logged (pv_log_told()) until dump_end(). 0 or -errno. */
int dump_log(struct xl *xl, struct dump *d);
/* It gets so much of a CPU (per cent) in the place of what it may have, until dump_end(). 0 or -errno. */
int dump_slow(struct xl *xl, struct dump *d, uint16_t cap);
/*
 * From here on the file is the guest, once it has its name: a guest that dump_begin() paused is not let go then by who undoes this,
 * and nobody has two of it. 0 or -EIO.
 */
int dump_keep(struct dump *d);
/* 0; -errno: it stays paused. */
int dump_end(struct xl *xl, struct dump *d);
/* Undoes what the killed have left. */
void dump_sweep(void);

#endif /* XL_DUMP_H */
