// SPDX-License-Identifier: BSD-2-Clause
/*
 * Requests about domains: INTRODUCE, RELEASE, RESUME, SET_TARGET, features and quotas.
 * It owns nothing; domains.c and dom.c do.
 * All but GET_DOMAIN_PATH and IS_DOMAIN_INTRODUCED are for dom0 only, which dispatch has checked.
 */
#include <errno.h>
#include <string.h>
#include "domains.h"
#include "move.h"
#include "proto.h"
#include "record.h"
#include "spell.h"
#include "util.h"

/* A domid that a real domain can have. */
static bool get_domid(const char *s, unsigned int *domid)
{
	unsigned long v;

	if (!parse_num(s, 0xffff, &v))
		return false;
	*domid = (unsigned int)v;
	return true;
}

static int one_domid(struct req *r, unsigned int *domid)
{
	char *v;

	return req_strings(r, &v, 1) == 1 && get_domid(v, domid) ? 0 : -EINVAL;
}

int req_introduce(struct req *r)
{
	unsigned long gfn, port;
	unsigned int domid;
	char *v[4];
	bool fresh;
	int err;

	/* the frame is a signed number, and is not used: the ring comes by grant */
	if (req_strings(r, v, 4) < 3 || !get_domid(v[0], &domid) ||
	    !parse_num(v[1] + (v[1][0] == '-'), -1ul >> 1, &gfn) ||
	    !parse_num(v[2], UINT32_MAX, &port))
		return -EINVAL;
	if (!domid || domid >= DOM_FIRST_RESERVED)
		return -EINVAL;
	err = domain_introduce(domid, gfn, (uint32_t)port, &fresh);
	if (err)
		return -EINVAL;
	if (fresh) {
		r->special = "@introduceDomain";
		r->special_domid = domid;
	}
	return 0;
}

/* The record of a domain that is introduced. */
static int served(struct req *r, struct dom **d)
{
	unsigned int domid;

	if (one_domid(r, &domid) || !domid)
		return -EINVAL;
	*d = dom_find(domid);
	return *d && (*d)->introduced ? 0 : -ENOENT;
}

int req_release(struct req *r)
{
	struct hv_dominfo info;
	struct dom *d;
	int err = served(r, &d), n;

	if (err)
		return err;
	r->special = "@releaseDomain";
	r->special_domid = d->domid;
	domain_release(d);
	/* a domain that lives on keeps what it was given */
	n = rec_dominfo(d->domid, 1, &info);
	if (n != 1 || info.domid != d->domid)
		r->gone = d;
	return 0;
}

int req_get_domain_path(struct req *r)
{
	unsigned int domid;

	if (one_domid(r, &domid))
		return -EINVAL;
	req_printf(r, "/local/domain/%u", domid);
	return req_put(r, "", 1);
}

int req_is_introduced(struct req *r)
{
	const struct dom *d;
	unsigned int domid;

	if (one_domid(r, &domid))
		return -EINVAL;
	domid = spell_domid(r->c, domid);
	d = dom_find(domid == DOM_FIRST_RESERVED ? r->c->domid : domid);
	return req_put(r, !domid || (d && d->introduced) ? "T" : "F", 2);
}

int req_resume(struct req *r)
{
	struct dom *d;
	int err = served(r, &d);

	if (err)
		return err;
	d->shutdown = false;
	move_unpark(d);
	return 0;
}

int req_set_target(struct req *r)
{
	unsigned int domid, target;
	struct dom *d;
	char *v[2];

	if (req_strings(r, v, 2) != 2 || !get_domid(v[0], &domid) || !get_domid(v[1], &target) ||
	    !domid)
		return -EINVAL;
	d = dom_find(domid);
	if (!d || !dom_find(target))
		return -ENOENT;
	d->target = (uint16_t)target;
	return 0;
}

int req_get_feature(struct req *r)
{
	uint32_t features = r->c->ring ? r->c->dom->features : FEATURES_ALL;
	const struct dom *d;
	unsigned int domid;

	if (r->len && r->body[0]) {
		if (!conn_priv(r->c))
			return -EACCES;
		if (one_domid(r, &domid))
			return -EINVAL;
		d = dom_known(domid);
		if (!d)
			return -ENOENT;
		features = d->features;
	}
	req_printf(r, "%u", features);
	return req_put(r, "", 1);
}

int req_set_feature(struct req *r)
{
	unsigned long value;
	unsigned int domid;
	struct dom *d;
	char *v[2];

	if (req_strings(r, v, 2) != 2 || !get_domid(v[0], &domid) ||
	    !parse_num(v[1], UINT32_MAX, &value) || value & ~(unsigned long)FEATURES_ALL)
		return -EINVAL;
	d = dom_known(domid);
	if (!d)
		return -ENOENT;
	/* what a ring was offered once is never withdrawn */
	if (!domid || d->introduced)
		return -EBUSY;
	d->features = (uint32_t)value;
	return 0;
}

/* [<domid>|]<quota>|: the limits that these name, a domain's or the defaults. */
static int quota_of(char **v, int n, long **limits, int *q)
{
	struct dom *d;
	unsigned int domid;

	*limits = quota_default;
	if (n == 2) {
		if (!get_domid(v[0], &domid))
			return -EINVAL;
		d = dom_known(domid);
		if (!d)
			return -ENOENT;
		*limits = d->limit;
	}
	*q = quota_find(v[n - 1]);
	return *q < 0 ? -EINVAL : 0;
}

int req_get_quota(struct req *r)
{
	char *v[2];
	long *limits;
	int n = r->len ? req_strings(r, v, 2) : 0, q, err;

	if (n < 0)
		return n;
	if (!n || (n == 1 && !v[0][0])) {
		for (q = 0; q < Q_MAX; q++)
			req_printf(r, "%s%s", q ? " " : "", quota_info[q].name);
		return req_put(r, "", 1);
	}
	err = quota_of(v, n, &limits, &q);
	if (err)
		return err;
	req_printf(r, "%ld", limits[q]);
	return req_put(r, "", 1);
}

int req_set_quota(struct req *r)
{
	unsigned long value;
	long *limits;
	char *v[3];
	int n = req_strings(r, v, 3), q, err;

	if (n < 2 || !parse_num(v[n - 1], INT32_MAX, &value))
		return -EINVAL;
	err = quota_of(v, n - 1, &limits, &q);
	if (err)
		return err;
	limits[q] = (long)value;
	conn_timer(clock_ms);
	return 0;
}
