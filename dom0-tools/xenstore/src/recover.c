// SPDX-License-Identifier: BSD-2-Clause
/*
 * The end of a recovery: the recovered state meets the world of now.
 * It owns nothing. Rings are bound and mapped anew; what was half done is done; clients of the
 * socket died with the daemon, unless a live update has kept their descriptors.
 */
#include "domains.h"
#include "move.h"
#include "record.h"
#include "util.h"

void recover_attach(bool keep_sockets)
{
	struct conn *c, *next;

	for (c = TAILQ_FIRST(&conns); c; c = next) {
		next = TAILQ_NEXT(c, all);
		if (!c->ring && !keep_sockets)
			conn_free(c);
	}
	domains_attach();
	move_tell_all();
	/* what was timed by the clock is looked at again */
	conn_timer(clock_ms);
}
