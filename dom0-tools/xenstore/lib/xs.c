// SPDX-License-Identifier: BSD-2-Clause
/*
 * libxenstore: the requests. What one means is said in xenstore.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conn.h"

char **conn_split_strings(const char *data, size_t len, unsigned int *num)
{
	unsigned int n = 0;
	char **v, *p;

	for (size_t i = 0; i < len; i++)
		n += !data[i];
	v = malloc((n + 1) * sizeof(*v) + len);
	if (!v)
		return NULL;
	p = (char *)(v + n + 1);
	memcpy(p, data, len);
	for (unsigned int i = 0; i < n; i++) {
		v[i] = p;
		p += strlen(p) + 1;
	}
	v[n] = NULL;
	*num = n;
	return v;
}

/* The body as a string or block that the caller frees. */
static char *body_of(struct msg *m, unsigned int *len)
{
	char *s;

	if (!m)
		return NULL;
	if (len)
		*len = m->hdr.len;
	s = malloc(m->hdr.len + 1u);
	if (s)
		memcpy(s, m->body, m->hdr.len + 1u);
	free(m);
	return s;
}

/* A directory that does not fit into one reply, in parts that must all be of the same generation.
 */
static char **directory_parts(struct xs_handle *h, xs_transaction_t t, const char *path,
			      unsigned int *num)
{
	char off[16], gen[24] = "", *all = NULL, *p, **v = NULL;
	size_t len = 0, n;
	struct msg *m;
	bool last;

	for (;;) {
		snprintf(off, sizeof(off), "%zu", len);
		m = conn_talk_strings(h, t, XS_DIRECTORY_PART, path, off, NULL);
		if (!m)
			break;
		n = strlen(m->body) + 1;
		if (len && strcmp(gen, m->body)) {
			/* it changed under us */
			len = 0;
			free(m);
			continue;
		}
		snprintf(gen, sizeof(gen), "%s", m->body);
		/* an empty name is the end mark */
		last = m->hdr.len <= n || (m->hdr.len == n + 1 && !m->body[n]) ||
		       (m->hdr.len >= n + 2 && !m->body[m->hdr.len - 1] &&
			!m->body[m->hdr.len - 2]);
		p = realloc(all, len + m->hdr.len);
		if (!p) {
			free(m);
			break;
		}
		all = p;
		n = m->hdr.len > n ? m->hdr.len - n : 0;
		memcpy(all + len, m->body + m->hdr.len - n, n);
		free(m);
		if (last && n)
			n--;
		len += n;
		if (last) {
			v = conn_split_strings(all, len, num);
			break;
		}
	}
	free(all);
	return v;
}

char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *num)
{
	struct msg *m = conn_talk_strings(h, t, XS_DIRECTORY, path, NULL);
	char **v;

	if (!m)
		return errno == E2BIG ? directory_parts(h, t, path, num) : NULL;
	v = conn_split_strings(m->body, m->hdr.len, num);
	free(m);
	return v;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
	return body_of(conn_talk_strings(h, t, XS_READ, path, NULL), len);
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data,
	      unsigned int len)
{
	struct iovec iov[3];

	iov[1] = (struct iovec){ (void *)path, strlen(path) + 1 };
	iov[2] = (struct iovec){ (void *)data, len };
	return conn_done(conn_talk(h, t, XS_WRITE, iov, 3));
}

bool xs_mkdir(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	return conn_done(conn_talk_strings(h, t, XS_MKDIR, path, NULL));
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	return conn_done(conn_talk_strings(h, t, XS_RM, path, NULL));
}

bool xs_restrict(struct xs_handle *h, unsigned int domid)
{
	(void)h;
	(void)domid;
	errno = ENOSYS;
	return false;
}

struct xs_permissions *xs_get_permissions(struct xs_handle *h, xs_transaction_t t, const char *path,
					  unsigned int *num)
{
	struct msg *m = conn_talk_strings(h, t, XS_GET_PERMS, path, NULL);
	struct xs_permissions *p;
	unsigned int n = 0;

	if (!m)
		return NULL;
	for (uint32_t i = 0; i < m->hdr.len; i++)
		n += !m->body[i];
	p = calloc(n ? n : 1, sizeof(*p));
	if (p && !xs_strings_to_perms(p, n, m->body)) {
		free(p);
		p = NULL;
	}
	free(m);
	*num = n;
	return p;
}

bool xs_set_permissions(struct xs_handle *h, xs_transaction_t t, const char *path,
			struct xs_permissions *perms, unsigned int num_perms)
{
	static const char letters[] = { 'n', 'r', 'w', 'b' };
	char buf[XENSTORE_PAYLOAD_MAX];
	struct iovec iov[3];
	size_t len = 0;

	for (unsigned int i = 0; i < num_perms; i++) {
		if (perms[i].perms & ~(unsigned int)(XS_PERM_READ | XS_PERM_WRITE)) {
			errno = EINVAL;
			return false;
		}
		if (len + 16 > sizeof(buf)) {
			errno = E2BIG;
			return false;
		}
		len += (size_t)sprintf(buf + len, "%c%u", letters[perms[i].perms], perms[i].id) + 1;
	}
	iov[1] = (struct iovec){ (void *)path, strlen(path) + 1 };
	iov[2] = (struct iovec){ buf, len };
	return conn_done(conn_talk(h, t, XS_SET_PERMS, iov, 3));
}

bool xs_introduce_domain(struct xs_handle *h, unsigned int domid, unsigned long mfn,
			 unsigned int eventchn)
{
	char d[16], m[24], e[16];

	snprintf(d, sizeof(d), "%u", domid);
	snprintf(m, sizeof(m), "%lu", mfn);
	snprintf(e, sizeof(e), "%u", eventchn);
	return conn_done(conn_talk_strings(h, XBT_NULL, XS_INTRODUCE, d, m, e, NULL));
}

bool xs_set_target(struct xs_handle *h, unsigned int domid, unsigned int target)
{
	char d[16], t[16];

	snprintf(d, sizeof(d), "%u", domid);
	snprintf(t, sizeof(t), "%u", target);
	return conn_done(conn_talk_strings(h, XBT_NULL, XS_SET_TARGET, d, t, NULL));
}

static struct msg *talk_domid(struct xs_handle *h, uint32_t type, unsigned int domid)
{
	char d[16];

	snprintf(d, sizeof(d), "%u", domid);
	return conn_talk_strings(h, XBT_NULL, type, d, NULL);
}

bool xs_resume_domain(struct xs_handle *h, unsigned int domid)
{
	return conn_done(talk_domid(h, XS_RESUME, domid));
}

bool xs_release_domain(struct xs_handle *h, unsigned int domid)
{
	if (conn_done(talk_domid(h, XS_RELEASE, domid)))
		return true;
	/* asked twice because the daemon died in between: the first time it was done */
	return errno == ENOENT && conn_repeated(h);
}

char *xs_get_domain_path(struct xs_handle *h, unsigned int domid)
{
	return body_of(talk_domid(h, XS_GET_DOMAIN_PATH, domid), NULL);
}

bool xs_is_domain_introduced(struct xs_handle *h, unsigned int domid)
{
	struct msg *m = talk_domid(h, XS_IS_DOMAIN_INTRODUCED, domid);
	bool yes = m && !strcmp(m->body, "T");

	free(m);
	return yes;
}

char *xs_control_command(struct xs_handle *h, const char *cmd, void *data, unsigned int len)
{
	struct iovec iov[3];

	iov[1] = (struct iovec){ (void *)cmd, strlen(cmd) + 1 };
	iov[2] = (struct iovec){ data, len };
	return body_of(conn_talk(h, XBT_NULL, XS_CONTROL, iov, 3), NULL);
}

char *xs_debug_command(struct xs_handle *h, const char *cmd, void *data, unsigned int len)
{
	return xs_control_command(h, cmd, data, len);
}

int xs_suspend_evtchn_port(int domid)
{
	struct xs_handle *h = xs_open(0);
	char path[128], *port;
	int p = -1;

	if (!h)
		return -1;
	snprintf(path, sizeof(path), "/local/domain/%d/device/suspend/event-channel", domid);
	port = xs_read(h, XBT_NULL, path, NULL);
	if (port)
		p = atoi(port);
	free(port);
	xs_close(h);
	return p;
}
