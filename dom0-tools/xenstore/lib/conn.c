// SPDX-License-Identifier: BSD-2-Clause
/*
 * libxenstore: the connection, and what must outlive it: watches, events, transactions.
 * Replies and events come mixed on one stream. Whoever waits, for either, reads the stream and
 * sorts what comes; others who wait meanwhile are woken. So no thread of our own is needed, and a
 * static program works as any other.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "conn.h"
#include "stream.h"

/* What a new connection must be told that an old one was told. */
struct watched {
	struct watched *next;
	char *path, *token, *depth; /* depth: NULL, or how far below the path */
};

struct ids {
	xs_transaction_t *v;
	unsigned int num;
};

/* Requests that were put off, to be sent together: with hundreds of nodes to write, waiting for each reply is what takes long. */
struct batch {
	xs_transaction_t t;
	char data[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
	size_t len;
	unsigned int num;
	int err; /* of the first that failed */
};

struct xs_handle {
	struct stream stream; /* replaced with both locks held, when nobody reads it */
	int event_fd; /* readable while events are queued */
	int poll_fd; /* epoll over both: what xs_fileno() gives */
	unsigned long flags;
	pthread_mutex_t req_lock; /* one request at a time; taken before lock */
	pthread_mutex_t lock; /* all below */
	pthread_cond_t cond;
	bool reading; /* somebody reads the stream */
	int broken; /* errno of what ended the connection */
	uint32_t req_id;
	struct msg *reply;
	struct msg *events, **events_tail;
	/* with req_lock: what is lost when the daemon dies */
	struct watched *watches;
	struct batch *batch; /* NULL: each is sent as it comes */
	struct ids open; /* transactions */
	struct ids dead; /* those of a connection before; whoever uses one is told EAGAIN */
	bool repeated; /* the last request was sent twice */
	void (*lost)(int err);
	int given_up; /* with req_lock: errno of what every request fails with from now on */
};

static void watched_del(struct watched **p)
{
	struct watched *w = *p;

	*p = w->next;
	free(w->path);
	free(w->token);
	free(w->depth);
	free(w);
}

/* Remembers a watch. Without memory it would be lost in a restart only. */
static void watched_add(struct xs_handle *h, const char *path, const char *token, const char *depth)
{
	struct watched *w = calloc(1, sizeof(*w));

	if (!w)
		return;
	w->path = strdup(path);
	w->token = strdup(token);
	w->depth = depth ? strdup(depth) : NULL;
	w->next = h->watches;
	h->watches = w;
	if (!w->path || !w->token || (depth && !w->depth))
		watched_del(&h->watches);
}

static struct watched **watched_find(struct xs_handle *h, const char *path, const char *token)
{
	struct watched **p = &h->watches;

	while (*p && (strcmp((*p)->path, path) || strcmp((*p)->token, token)))
		p = &(*p)->next;
	return p;
}

static bool ids_add(struct ids *ids, xs_transaction_t id)
{
	xs_transaction_t *v = realloc(ids->v, (ids->num + 1) * sizeof(*v));

	if (!v)
		return false;
	ids->v = v;
	v[ids->num++] = id;
	return true;
}

/* Was it there? */
static bool ids_del(struct ids *ids, xs_transaction_t id)
{
	for (unsigned int i = 0; i < ids->num; i++) {
		if (ids->v[i] == id) {
			ids->v[i] = ids->v[--ids->num];
			return true;
		}
	}
	return false;
}

static bool ids_have(const struct ids *ids, xs_transaction_t id)
{
	for (unsigned int i = 0; i < ids->num; i++)
		if (ids->v[i] == id)
			return true;
	return false;
}

static void handle_free(struct xs_handle *h)
{
	struct msg *m;

	while ((m = h->events)) {
		h->events = m->next;
		free(m);
	}
	while (h->watches)
		watched_del(&h->watches);
	free(h->open.v);
	free(h->dead.v);
	free(h->reply);
	free(h->batch);
	if (h->stream.fd >= 0)
		close(h->stream.fd);
	if (h->event_fd >= 0)
		close(h->event_fd);
	if (h->poll_fd >= 0)
		close(h->poll_fd);
	pthread_mutex_destroy(&h->req_lock);
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->cond);
	free(h);
}

static int poll_add(struct xs_handle *h, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	return epoll_ctl(h->poll_fd, EPOLL_CTL_ADD, fd, &ev);
}

struct xs_handle *xs_open(unsigned long flags)
{
	struct xs_handle *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return NULL;
	h->flags = flags;
	h->events_tail = &h->events;
	h->event_fd = h->poll_fd = -1;
	pthread_mutex_init(&h->req_lock, NULL);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->cond, NULL);
	h->stream.patience = -1;
	h->stream.nowait = flags & XS_OPEN_NOWAIT;
	if (stream_open(&h->stream, xs_daemon_socket()) ||
	    (!(flags & (XS_OPEN_SOCKETONLY | XS_OPEN_NOWAIT)) &&
	     (stream_open(&h->stream, "/dev/xen/xenbus") ||
	      stream_open(&h->stream, "/proc/xen/xenbus")))) {
		h->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		h->poll_fd = epoll_create1(EPOLL_CLOEXEC);
		if (h->event_fd >= 0 && h->poll_fd >= 0 && !poll_add(h, h->stream.fd) &&
		    !poll_add(h, h->event_fd))
			return h;
	}
	err = errno;
	handle_free(h);
	errno = err;
	return NULL;
}

struct xs_handle *xs_daemon_open(void)
{
	return xs_open(0);
}

struct xs_handle *xs_domain_open(void)
{
	return xs_open(0);
}

struct xs_handle *xs_daemon_open_readonly(void)
{
	return xs_open(XS_OPEN_READONLY);
}

void xs_close(struct xs_handle *h)
{
	if (h)
		handle_free(h);
}

void xs_daemon_close(struct xs_handle *h)
{
	xs_close(h);
}

void xs_daemon_destroy_postfork(struct xs_handle *h)
{
	/* closing our copies says nothing to the daemon: the parent's are still open */
	xs_close(h);
}

/* Reads one message; NULL with errno when the stream is at its end. */
static struct msg *read_msg(struct xs_handle *h)
{
	struct xsd_sockmsg hdr;
	struct msg *m;

	if (!stream_read(&h->stream, &hdr, sizeof(hdr)))
		return NULL;
	if (hdr.len > XENSTORE_PAYLOAD_MAX) {
		errno = EINVAL;
		return NULL;
	}
	m = malloc(sizeof(*m) + hdr.len + 1);
	if (!m)
		return NULL;
	m->next = NULL;
	m->hdr = hdr;
	m->body[hdr.len] = 0;
	if (!stream_read(&h->stream, m->body, hdr.len)) {
		free(m);
		return NULL;
	}
	return m;
}

static void event_push(struct xs_handle *h, struct msg *m)
{
	uint64_t one = 1;

	if (!h->events && write(h->event_fd, &one, sizeof(one)) < 0)
		perror("xenstore: eventfd"); /* cannot be: it is empty */
	*h->events_tail = m;
	h->events_tail = &m->next;
}

static struct msg *event_pop(struct xs_handle *h)
{
	struct msg *m = h->events;
	uint64_t n;

	if (!m)
		return NULL;
	h->events = m->next;
	if (!h->events) {
		h->events_tail = &h->events;
		if (read(h->event_fd, &n, sizeof(n)) < 0)
			perror("xenstore: eventfd");
	}
	return m;
}

/* With lock held: brings in one message, or waits until somebody else has. */
static void pump(struct xs_handle *h)
{
	struct msg *m;

	if (h->reading) {
		pthread_cond_wait(&h->cond, &h->lock);
		return;
	}
	h->reading = true;
	pthread_mutex_unlock(&h->lock);
	m = read_msg(h);
	pthread_mutex_lock(&h->lock);
	h->reading = false;
	if (!m) {
		h->broken = errno;
	} else if (m->hdr.type == XS_WATCH_EVENT) {
		event_push(h, m);
	} else {
		free(h->reply);
		h->reply = m;
	}
	pthread_cond_broadcast(&h->cond);
}

static int error_number(const char *name)
{
	for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++)
		if (!strcmp(xsd_errors[i].errstring, name))
			return xsd_errors[i].errnum;
	return EIO;
}

/* With req_lock held: the next reply, or NULL with errno. */
static struct msg *next_reply(struct xs_handle *h)
{
	struct msg *m;

	pthread_mutex_lock(&h->lock);
	while (!h->reply && !h->broken)
		pump(h);
	m = h->reply;
	h->reply = NULL;
	errno = h->broken;
	pthread_mutex_unlock(&h->lock);
	return m;
}

enum outcome {
	ANSWERED,
	NOT_SENT, /* not whole, so the daemon has not done it */
	UNKNOWN, /* sent, and the connection ended before the reply */
};

/* With req_lock held: sends a request, once, and waits for its reply. */
static enum outcome exchange(struct xs_handle *h, struct iovec *iov, int num, struct msg **reply,
			     int *err)
{
	enum outcome res = UNKNOWN;

	pthread_mutex_lock(&h->lock);
	*err = h->broken;
	pthread_mutex_unlock(&h->lock);
	if (!*err && !stream_write(&h->stream, iov, num))
		*err = errno;
	if (*err)
		res = NOT_SENT;
	*reply = *err ? NULL : next_reply(h);
	if (!*reply && !*err)
		*err = errno;
	return *reply ? ANSWERED : res;
}

/* With req_lock held: a new stream in the place of the broken one. */
static bool new_stream(struct xs_handle *h)
{
	bool ok;

	pthread_mutex_lock(&h->lock);
	/* whoever reads the old stream finds its end */
	shutdown(h->stream.fd, SHUT_RDWR);
	while (h->reading)
		pthread_cond_wait(&h->cond, &h->lock);
	close(h->stream.fd);
	ok = stream_open(&h->stream, xs_daemon_socket()) && h->stream.socket &&
	     !poll_add(h, h->stream.fd);
	if (ok)
		h->broken = 0;
	else if (!h->broken)
		h->broken = EBADF;
	free(h->reply);
	h->reply = NULL;
	pthread_mutex_unlock(&h->lock);
	return ok;
}

/*
 * With req_lock held: the daemon was started again. Watches are registered anew, each of which
 * fires, as a new watch does: so nothing that happened meanwhile goes unseen. Transactions died.
 */
static bool reconnect(struct xs_handle *h)
{
	struct watched *w;

	while (h->open.num && ids_add(&h->dead, h->open.v[h->open.num - 1]))
		h->open.num--;
	if (h->open.num || !new_stream(h))
		return false;
	for (w = h->watches; w; w = w->next) {
		struct xsd_sockmsg hdr = { .type = XS_WATCH, .req_id = ++h->req_id };
		size_t depth = w->depth ? strlen(w->depth) + 1 : 0;
		struct iovec iov[4] = { { &hdr, sizeof(hdr) },
					{ w->path, strlen(w->path) + 1 },
					{ w->token, strlen(w->token) + 1 },
					{ w->depth, depth } };
		struct msg *m;
		int err;

		hdr.len = (uint32_t)(iov[1].iov_len + iov[2].iov_len + depth);
		if (exchange(h, iov, depth ? 4 : 3, &m, &err) != ANSWERED)
			return false;
		free(m);
	}
	return true;
}

/*
 * May it be sent again when nobody knows whether it was done? Where doing it twice comes to the same
 * as once, unless others change the same thing in between.
 */
static bool repeatable(uint32_t type, xs_transaction_t t)
{
	return !t && type != XS_CONTROL && type != XS_TRANSACTION_END;
}

/*
 * With req_lock held: the answer may still come, and nobody would know to what. So this is the end of the
 * handle.
 */
static void give_up(struct xs_handle *h, int err)
{
	h->given_up = err ? err : EBADF;
	if (h->lost)
		h->lost(err);
}

void xs_patience(struct xs_handle *h, int ms, const volatile int *interrupted,
		 void (*lost)(int err))
{
	pthread_mutex_lock(&h->req_lock);
	h->stream.patience = ms;
	h->stream.interrupted = interrupted;
	h->lost = lost;
	pthread_mutex_unlock(&h->req_lock);
}

/* With req_lock held: is it over with a request that ended like this? */
static bool is_final(const struct xs_handle *h, int err)
{
	return h->stream.nowait || err == ETIMEDOUT || (err == EINTR && h->stream.interrupted);
}

/* With req_lock held: sends what was put off, and takes the replies. */
static void batch_flush(struct xs_handle *h)
{
	struct batch *b = h->batch;
	struct iovec iov = { b->data, b->len };
	struct msg *m;
	int err = 0;

	if (!b->num)
		return;
	if (!stream_write(&h->stream, &iov, 1))
		err = errno;
	for (; !err && b->num; b->num--) {
		m = next_reply(h);
		if (!m)
			err = errno;
		else if (m->hdr.type == XS_ERROR && !b->err)
			b->err = error_number(m->body);
		free(m);
	}
	b->num = 0;
	b->len = 0;
	if (err && is_final(h, err))
		give_up(h, err);
	/* The transaction has gone with the connection. */
	if (err)
		b->err = h->given_up ? h->given_up : EAGAIN;
}

/* With req_lock held: can it be put off? Its reply says nothing but that it was done. */
static bool is_batched(const struct xs_handle *h, xs_transaction_t t, uint32_t type)
{
	return h->batch && h->batch->t == t && !h->given_up &&
	       (type == XS_WRITE || type == XS_MKDIR || type == XS_SET_PERMS);
}

/* With req_lock held. What stands for its reply; NULL with errno: one before it has failed. */
static struct msg *batch_add(struct xs_handle *h, const struct iovec *iov, int num)
{
	struct batch *b = h->batch;
	struct msg *m = calloc(1, sizeof(*m));
	size_t len = 0;
	int i;

	for (i = 0; i < num; i++)
		len += iov[i].iov_len;
	if (b->len + len > sizeof(b->data))
		batch_flush(h);
	if (!m || b->err) {
		errno = m ? b->err : ENOMEM;
		free(m);
		return NULL;
	}
	for (i = 0; i < num; i++) {
		if (iov[i].iov_len)
			memcpy(b->data + b->len, iov[i].iov_base, iov[i].iov_len);
		b->len += iov[i].iov_len;
	}
	b->num++;
	errno = 0;
	return m;
}

void xs_batch_begin(struct xs_handle *h, xs_transaction_t t)
{
	struct batch *b = t ? calloc(1, sizeof(*b)) : NULL;

	pthread_mutex_lock(&h->req_lock);
	/* Without memory each is sent as it comes. */
	if (b && !h->batch) {
		b->t = t;
		h->batch = b;
		b = NULL;
	}
	pthread_mutex_unlock(&h->req_lock);
	free(b);
}

bool xs_batch_end(struct xs_handle *h)
{
	int err = 0;

	pthread_mutex_lock(&h->req_lock);
	if (h->batch) {
		batch_flush(h);
		err = h->batch->err;
		free(h->batch);
		h->batch = NULL;
	}
	pthread_mutex_unlock(&h->req_lock);
	errno = err;
	return !err;
}

struct msg *conn_talk(struct xs_handle *h, xs_transaction_t t, uint32_t type, struct iovec *iov,
		      int num)
{
	struct xsd_sockmsg hdr = { .type = type, .tx_id = t };
	struct msg *m = NULL;
	enum outcome res;
	size_t len = 0;
	int err = 0;

	for (int i = 1; i < num; i++)
		len += iov[i].iov_len;
	if (len > XENSTORE_PAYLOAD_MAX) {
		errno = E2BIG;
		return NULL;
	}
	hdr.len = (uint32_t)len;
	iov[0] = (struct iovec){ &hdr, sizeof(hdr) };

	pthread_mutex_lock(&h->req_lock);
	hdr.req_id = ++h->req_id;
	if (is_batched(h, t, type)) {
		m = batch_add(h, iov, num);
		err = errno;
		pthread_mutex_unlock(&h->req_lock);
		errno = err;
		return m;
	}
	if (h->batch)
		batch_flush(h);
	h->repeated = false;
	for (int tries = 0;; tries++) {
		err = h->given_up;
		if (err)
			break;
		if (t && ids_have(&h->dead, t)) {
			err = EAGAIN;
			break;
		}
		res = exchange(h, iov, num, &m, &err);
		if (res != ANSWERED && is_final(h, err))
			give_up(h, err);
		if (res == ANSWERED || !h->stream.socket || tries > 20 || h->given_up)
			break;
		if (res == UNKNOWN && !repeatable(type, t) && !t)
			break;
		h->repeated |= res == UNKNOWN;
		if (!reconnect(h) && h->stream.fd < 0) {
			/* the daemon has gone for good, as far as a client with patience goes */
			if (h->lost)
				give_up(h, errno);
			break;
		}
		/* reconnected: a transaction is found among the dead, all else is sent again */
		hdr.req_id = ++h->req_id;
	}
	pthread_mutex_unlock(&h->req_lock);
	if (m && m->hdr.type == XS_ERROR)
		err = error_number(m->body);
	else if (m && (m->hdr.type != type || m->hdr.req_id != hdr.req_id))
		err = EIO;
	if (err || !m) {
		free(m);
		m = NULL;
	}
	/* 0 after success, as Xen's library has it: there are callers that look at it alone. */
	errno = err;
	return m;
}

struct msg *conn_talk_strings(struct xs_handle *h, xs_transaction_t t, uint32_t type, ...)
{
	struct iovec iov[5];
	va_list ap;
	char *s;
	int n = 1;

	va_start(ap, type);
	while ((s = va_arg(ap, char *)))
		iov[n++] = (struct iovec){ s, strlen(s) + 1 };
	va_end(ap);
	return conn_talk(h, t, type, iov, n);
}

bool conn_done(struct msg *m)
{
	bool ok = m;

	free(m);
	return ok;
}

static bool watch(struct xs_handle *h, const char *path, const char *token, const char *depth)
{
	/* Without a depth the list ends there. */
	bool ok = conn_done(conn_talk_strings(h, XBT_NULL, XS_WATCH, path, token, depth, NULL));

	pthread_mutex_lock(&h->req_lock);
	if (ok)
		watched_add(h, path, token, depth);
	pthread_mutex_unlock(&h->req_lock);
	return ok;
}

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
	return watch(h, path, token, NULL);
}

bool xs_watch_limited(struct xs_handle *h, const char *path, const char *token, unsigned int depth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", depth);
	return watch(h, path, token, text);
}

int xs_fileno(struct xs_handle *h)
{
	return h->poll_fd;
}

static char **event_strings(struct msg *m, unsigned int *num)
{
	char **v = conn_split_strings(m->body, m->hdr.len, num);

	free(m);
	if (v && *num < 2) {
		free(v);
		errno = EINVAL;
		return NULL;
	}
	return v;
}

char **xs_check_watch(struct xs_handle *h)
{
	struct pollfd pfd = { .fd = h->stream.fd, .events = POLLIN };
	unsigned int num;
	struct msg *m;
	int err = EAGAIN;

	pthread_mutex_lock(&h->lock);
	while (!(m = event_pop(h))) {
		/* whoever reads already will queue what comes */
		if (h->broken || h->reading) {
			err = h->broken ? h->broken : EAGAIN;
			break;
		}
		if (poll(&pfd, 1, 0) <= 0)
			break;
		pump(h);
	}
	pthread_mutex_unlock(&h->lock);
	if (m)
		return event_strings(m, &num);
	errno = err;
	return NULL;
}

char **xs_read_watch(struct xs_handle *h, unsigned int *num)
{
	struct msg *m;
	int err = 0;

	pthread_mutex_lock(&h->lock);
	while (!(m = event_pop(h)) && !(err = h->broken))
		pump(h);
	pthread_mutex_unlock(&h->lock);
	if (m)
		return event_strings(m, num);
	errno = err;
	return NULL;
}

/* Drops queued events with this token on this path or below. */
static void filter_events(struct xs_handle *h, const char *path, const char *token)
{
	struct msg *m, *keep = NULL, **tail = &keep;

	pthread_mutex_lock(&h->lock);
	while ((m = event_pop(h))) {
		m->next = NULL;
		if (!strcmp(m->body + strlen(m->body) + 1, token) &&
		    xs_path_is_subpath(path, m->body)) {
			free(m);
			continue;
		}
		*tail = m;
		tail = &m->next;
	}
	while ((m = keep)) {
		keep = m->next;
		m->next = NULL;
		event_push(h, m);
	}
	pthread_mutex_unlock(&h->lock);
}

bool xs_unwatch(struct xs_handle *h, const char *path, const char *token)
{
	bool ok = conn_done(conn_talk_strings(h, XBT_NULL, XS_UNWATCH, path, token, NULL));

	if (ok) {
		struct watched **p;

		pthread_mutex_lock(&h->req_lock);
		p = watched_find(h, path, token);
		if (*p)
			watched_del(p);
		pthread_mutex_unlock(&h->req_lock);
	}
	if (ok && (h->flags & XS_UNWATCH_FILTER))
		filter_events(h, path, token);
	return ok;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
	xs_transaction_t id;
	struct msg *m;
	bool taken;

	do {
		m = conn_talk_strings(h, XBT_NULL, XS_TRANSACTION_START, "", NULL);
		if (!m)
			return XBT_NULL;
		id = (xs_transaction_t)strtoul(m->body, NULL, 0);
		free(m);
		pthread_mutex_lock(&h->req_lock);
		/* a new daemon may give out the number of one that is dead and not ended yet */
		taken = ids_have(&h->dead, id);
		if (!taken && !ids_add(&h->open, id)) {
			errno = ENOMEM;
			id = XBT_NULL;
		}
		pthread_mutex_unlock(&h->req_lock);
	} while (taken);
	return id;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
	bool ok = conn_done(conn_talk_strings(h, t, XS_TRANSACTION_END, abort ? "F" : "T", NULL)),
	     dead;
	int err = errno;

	pthread_mutex_lock(&h->req_lock);
	dead = ids_del(&h->dead, t);
	ids_del(&h->open, t);
	pthread_mutex_unlock(&h->req_lock);
	errno = err;
	/* one that died with the daemon needs no abort; else conn_talk() has said EAGAIN: once more */
	return ok || (abort && dead);
}

bool conn_repeated(const struct xs_handle *h)
{
	return h->repeated;
}
