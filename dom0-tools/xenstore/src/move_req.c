// SPDX-License-Identifier: BSD-2-Clause
/*
 * CONTROL's commands for guests that move: park-domain, export-domain, import-domain.
 * It owns their order of steps against the journal. move.h is the contract.
 * What is wrong with a file or its contents is the reply's text, where all went well it is OK.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "file.h"
#include "journal.h"
#include "move.h"
#include "move_req.h"
#include "record.h"
#include "util.h"

static int say(struct req *r, const char *file, const char *why)
{
	if (!why)
		return 0;
	xlog(LOG_ERR_, "%s: %s", file, why);
	/* a long name fits into no reply that also says why */
	if (req_printf(r, "%s: %s", file, why) && req_printf(r, "%s", why))
		return -E2BIG;
	return req_put(r, "", 1);
}

/* A guest's number. Over a ring these commands would be done again with what a file has by then. */
static int guest_number(struct req *r, const char *text, unsigned int *domid)
{
	unsigned long v;

	if (r->c->ring || !parse_num(text, DOM_FIRST_RESERVED - 1, &v) || !v)
		return -EINVAL;
	*domid = (unsigned int)v;
	return 0;
}

/* DOMID FILE: a domain that has a ring. */
static int arguments(struct req *r, char **v, int n, struct dom **d)
{
	unsigned int domid = 0;
	int err = n == 2 && v[1][0] == '/' ? guest_number(r, v[0], &domid) : -EINVAL;

	if (err)
		return err;
	*d = dom_find(domid);
	return *d && (*d)->conn ? 0 : -ENOENT;
}

int req_park(struct req *r, char **v, int n)
{
	unsigned int domid = 0;
	int err = n == 1 ? guest_number(r, v[0], &domid) : -EINVAL;
	struct dom *d = err ? NULL : dom_known(domid);

	if (err)
		return err;
	if (!d)
		return -ENOENT;
	move_park(d);
	return 0;
}

static const char *export(const struct dom *d, const char *file)
{
	struct buf b = { 0 };
	int err;

	move_save(d, &b);
	err = b.len > MOVE_MAX ? -E2BIG : file_write(file, b.p, b.len);
	buf_free(&b);
	JOURNAL_POINT();
	return err ? strerror(-err) : NULL;
}

int req_export(struct req *r, char **v, int n)
{
	const char *why;
	struct dom *d;
	int err = arguments(r, v, n, &d);

	if (err)
		return err;
	/* done again after a crash: the file is there */
	why = replaying ? NULL : export(d, v[1]);
	if (rec_went_well(!why))
		move_park(d);
	return say(r, v[1], why);
}

static const char *import(struct dom *d, const char *file)
{
	struct arrival a;
	const char *why;
	char *data;
	size_t len;
	int err;

	if (d->imported)
		return "the domain has been given a connection before";
	if (!d->parked)
		return "the domain is not parked";
	if (!move_empty(d))
		return "the domain has been served already";
	err = file_read(file, MOVE_MAX, &data, &len);
	if (err)
		return err == -EINVAL ? "it is no file" : strerror(-err);
	why = move_load(d, data, len, &a);
	free(data);
	if (why)
		return why;
	JOURNAL_POINT();
	if (journal_on() && record_checkpoint()) {
		move_undo(d, &a);
		return "the journal cannot take it; see the log";
	}
	/* and again: the file before (journal.h) is to have it, too, for its log does not */
	if (journal_on())
		record_checkpoint();
	move_keep(&a);
	return NULL;
}

int req_import(struct req *r, char **v, int n)
{
	const char *why;
	struct dom *d;
	int err = arguments(r, v, n, &d);

	if (err)
		return err;
	/* done again after a crash: the state behind the log has it, only nobody was told */
	why = replaying ? NULL : import(d, v[1]);
	if (rec_went_well(!why))
		r->arrived = d;
	return say(r, v[1], why);
}
