// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the init of a guest that is an OCI image is told, and what it says at its end, both in xenstore (oci/params.h).
 * What a guest writes is believed only as far as it is a number or text.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../oci/params.h"
#include "oci.h"

/* --- its nodes ------------------------------------------------------------------------------- */

static bool put(struct xl *xl, xs_transaction_t t, uint32_t domid, const char *name,
		const char *value)
{
	return !value || st_write(xl, t, value, "/local/domain/%u/" OCI_DIR "/%s", domid, name);
}

static bool put_all(struct xl *xl, xs_transaction_t t, uint32_t domid, const char *dir,
		    const struct oci_texts *texts)
{
	bool ok = true;
	int i;

	for (i = 0; ok && i < texts->nr; i++)
		ok = st_write(xl, t, texts->v[i], "/local/domain/%u/" OCI_DIR "/%s/%d", domid, dir,
			      i);
	return ok;
}

bool oci_write(struct xl *xl, xs_transaction_t t, uint32_t domid, const struct xl_config *c)
{
	const struct xl_oci *o = c->oci;
	char grace[24];

	if (!o)
		return true;
	snprintf(grace, sizeof(grace), "%lu", o->grace);
	/* dom0's, and the guest's to read. */
	return st_dir(xl, t, 0, domid, "/local/domain/%u/" OCI_DIR, domid) &&
	       put(xl, t, domid, OCI_REF, o->ref) &&
	       put(xl, t, domid, OCI_ENTRYPOINT, o->entrypoint) &&
	       put(xl, t, domid, OCI_USER, o->user) && put(xl, t, domid, OCI_WORKDIR, o->workdir) &&
	       put(xl, t, domid, OCI_HOSTNAME, o->hostname ? o->hostname : c->name) &&
	       put(xl, t, domid, OCI_READ_ONLY, o->read_only ? "1" : NULL) &&
	       put(xl, t, domid, OCI_GRACE,
		   cfg_find(&c->tree, "oci_stop_timeout") ? grace : NULL) &&
	       put(xl, t, domid, OCI_NETWORK, o->network) &&
	       put(xl, t, domid, OCI_INPUT, o->input) && put(xl, t, domid, OCI_ROOT, o->root) &&
	       put_all(xl, t, domid, OCI_VOLUME, &o->volumes) &&
	       put_all(xl, t, domid, OCI_ARG, &o->args) && put_all(xl, t, domid, OCI_ENV, &o->env);
}

/* --- its end --------------------------------------------------------------------------------- */

/* A number that stands for itself alone, in @min to @max; else -1. */
static int number_in(const char *text, long min, long max, char **end)
{
	long n = strtol(text, end, 10);

	return isdigit((unsigned char)*text) && n >= min && n <= max ? (int)n : -1;
}

bool oci_runs(struct xl *xl, uint32_t domid)
{
	char *text = st_read(xl, XBT_NULL, "/local/domain/%u/" OCI_RESULT, domid);
	bool runs = text && *text;

	free(text);
	return runs;
}

void oci_read_end(struct xl *xl, uint32_t domid, struct oci_end *end)
{
	char *text = st_read(xl, XBT_NULL, "/local/domain/%u/" OCI_RESULT, domid), *rest = "",
	     *what;

	memset(end, 0, sizeof(*end));
	end->status = -1;
	if (text && !strncmp(text, "exit ", 5)) {
		end->kind = OCI_EXIT;
		end->status = number_in(text + 5, 0, 255, &rest);
	} else if (text && !strncmp(text, "signal ", 7)) {
		end->kind = OCI_SIGNAL;
		end->status = number_in(text + 7, 1, 127, &rest);
	} else if (text && !strncmp(text, "error ", 6)) {
		end->kind = OCI_ERROR;
		end->status = number_in(text + 6, 125, 127, &rest);
		if (end->status >= 0 && *rest == ' ') {
			what = xl_one_line(rest + 1);
			snprintf(end->why, sizeof(end->why), "%s", what);
			free(what);
			rest = "";
		} else {
			end->status = -1;
		}
	}
	if (end->status < 0 || *rest)
		memset(end, 0, sizeof(*end));
	free(text);
}

char *oci_end_words(const struct oci_end *end)
{
	switch (end->kind) {
	case OCI_EXIT:
		return xl_sprintf("exit status %d", end->status);
	case OCI_SIGNAL:
		return xl_sprintf("signal %d", end->status);
	case OCI_ERROR:
		return xl_sprintf("error: %s", end->why);
	default:
		return xl_sprintf("unknown");
	}
}

int oci_end_status(const struct oci_end *end)
{
	if (end->kind == OCI_UNKNOWN)
		return 125;
	return end->kind == OCI_SIGNAL ? 128 + end->status : end->status;
}
