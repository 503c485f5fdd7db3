/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a front end writes to its nodes ends up in dom0's kernel log when a back end quotes it: no control character is there as
 * it was written, whether as one byte or as two of UTF-8.
 *
 * guest: disk='["/images/guests/disk.img,raw,xvda,r"]'
 * harts: 1
 * dom0: vbd vbd-\d+-51712: -1 unknown fe protocol \\e\]0;title\\a\\e\[2J\\2332J.\\2331m\\177\\001end$
 */
#include <stdio.h>
#include <stdlib.h>

#include <pv/runtime.h>
#include <pv/xenbus.h>

#include <xen/io/xenbus.h>

#include "tap.h"

#define FRONT "device/vbd/51712"
/* Sets a title, clears the screen; the same with C1 bytes. The kernel takes 63 bytes, up to the first blank. */
#define HOSTILE \
	"\x1b]0;title\x07\x1b[2J\x9b" \
	"2J\xc2\x9b" \
	"1m\x7f\x01" \
	"end"

/* Until the back end's state is in [from, to]. */
static bool await(const char *back, long from, long to)
{
	uint64_t until = pv_time_ns() + 20000000000ULL;
	char path[120];
	long state;

	snprintf(path, sizeof(path), "%s/state", back);
	do {
		state = pv_xenbus_read_number(0, path);
	} while ((state < from || state > to) && pv_time_ns() < until);
	return state >= from && state <= to;
}

int main(void)
{
	char *back = pv_xenbus_read(0, FRONT "/backend");

	tap_ok(back, "a disk");
	tap_ok(await(back, XenbusStateInitWait, XenbusStateInitWait), "its back end waits");
	pv_xenbus_write(0, FRONT "/protocol", HOSTILE);
	pv_xenbus_write(0, FRONT "/state", "3");
	tap_ok(await(back, XenbusStateClosing, XenbusStateClosed),
	       "it does not want such a protocol");
	pv_xenbus_write(0, FRONT "/state", "6");
	free(back);
	return tap_done();
}
