// SPDX-License-Identifier: BSD-2-Clause
/*
 * Messages between the two hosts of a migration, and the command that carries them (migrate.h).
 * Owns that nothing of a message counts before its version, sum and length are right.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "migrate.h"
#include "sum.h"

#ifndef BOOT_ID
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#endif

#ifndef CLOSE_MS
#define CLOSE_MS 10000
#endif

static const char *const names[MIGRATE_TYPES] = {
	[MIGRATE_HELLO] = "HELLO",     [MIGRATE_PREPARED] = "PREPARED",
	[MIGRATE_READY] = "READY",     [MIGRATE_GO] = "GO",
	[MIGRATE_RUNNING] = "RUNNING", [MIGRATE_DONE] = "DONE",
	[MIGRATE_FAILED] = "FAILED",   [MIGRATE_ASK] = "ASK",
	[MIGRATE_HERE] = "HERE",       [MIGRATE_NOT_HERE] = "NOT_HERE",
};

/* --- the command ----------------------------------------------------------------------------- */

static void run(const char *command, const char *host, int in, int out)
{
	char *line = *command ? xl_sprintf("exec %s %s xl migrate-receive", command, host) :
				xl_sprintf("%s", host);

	/* An ignored signal stays ignored over exec. */
	signal(SIGPIPE, SIG_DFL);
	if (dup2(in, 0) >= 0 && dup2(out, 1) >= 0)
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
	fprintf(stderr, "xl: cannot run sh: %s\n", strerror(errno));
	_exit(127);
}

/* A terminal that does not wait ends the shell that reads from it. */
static void restore_flags(const struct migrate_peer *p)
{
	int fd;

	for (fd = 0; fd < 3; fd++)
		if (p->own[fd] >= 0)
			fcntl(fd, F_SETFL, p->own[fd]);
}

int migrate_open(struct migrate_peer *p, const char *command, const char *host)
{
	int to[2], from[2], fd;

	*p = (struct migrate_peer){ .in = -1, .out = -1, .who = host, .patience = PEER_MS };
	if (pipe2(to, O_CLOEXEC))
		return xl_error("cannot make a pipe: %s", strerror(errno));
	if (pipe2(from, O_CLOEXEC)) {
		close(to[0]);
		close(to[1]);
		return xl_error("cannot make a pipe: %s", strerror(errno));
	}
	for (fd = 0; fd < 3; fd++)
		p->own[fd] = fcntl(fd, F_GETFL);
	fflush(NULL);
	p->pid = fork();
	if (!p->pid)
		run(command, host, to[0], from[1]);
	close(to[0]);
	close(from[1]);
	p->out = to[1];
	p->in = from[0];
	/* Its other end has flags of its own. */
	if (p->pid > 0 && !fcntl(p->out, F_SETFL, O_NONBLOCK))
		return 0;
	close(p->out);
	close(p->in);
	p->in = p->out = -1;
	p->pid = 0;
	return xl_error("cannot run the command for %s: %s", host, strerror(errno));
}

void migrate_close(struct migrate_peer *p)
{
	int status;

	if (p->out >= 0)
		close(p->out);
	/* What it has still to say it can say; but nobody's guest is locked for a link that hangs. */
	if (p->pid > 0 && !xl_wait_child(p->pid, CLOSE_MS, &status)) {
		kill(p->pid, SIGTERM);
		if (!xl_wait_child(p->pid, CLOSE_MS, &status)) {
			kill(p->pid, SIGKILL);
			xl_wait_child(p->pid, CLOSE_MS, &status);
		}
	}
	if (p->pid > 0)
		restore_flags(p);
	if (p->in >= 0)
		close(p->in);
	p->in = p->out = -1;
	p->pid = 0;
}

/* --- messages -------------------------------------------------------------------------------- */

static uint64_t sum_of(const struct migrate_head *h, const void *body)
{
	return sum64(sum64(MIGRATE_MAGIC, h, offsetof(struct migrate_head, sum)), body, h->length);
}

/* 0, or -ETIMEDOUT; -EINTR only to who is to end. */
static int await(const struct migrate_peer *p, int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int64_t end = xl_now() + p->patience, left;
	int n;

	do {
		left = p->patience ? end - xl_now() : -1;
		if (p->patience && left <= 0)
			return -ETIMEDOUT;
		n = poll(&pfd, 1, (int)left);
		if (n < 0 && (errno != EINTR || xl_interrupted))
			return -errno;
	} while (n <= 0);
	return 0;
}

int migrate_send(struct migrate_peer *p, enum migrate_type type, const void *body, uint32_t length)
{
	struct migrate_head h = { .magic = MIGRATE_MAGIC,
				  .major = MIGRATE_MAJOR,
				  .minor = MIGRATE_MINOR,
				  .type = type,
				  .length = length };
	uint8_t bytes[sizeof(h) + MIGRATE_BODY];
	ssize_t n;
	int rc = 0;

	if (length > MIGRATE_BODY)
		return -E2BIG;
	h.sum = sum_of(&h, body);
	memcpy(bytes, &h, sizeof(h));
	if (length)
		memcpy(bytes + sizeof(h), body, length);
	MIGRATE_POINT(p->target, "before", names[type]);
	/* Shorter than what a pipe takes in one piece: so it is not taken in part. */
	do
		n = write(p->out, bytes, sizeof(h) + length);
	while (n < 0 && (errno == EINTR || (errno == EAGAIN && !(rc = await(p, p->out, POLLOUT)))));
	if (n != (ssize_t)(sizeof(h) + length))
		return rc ?: n < 0 ? -errno : -EIO;
	MIGRATE_POINT(p->target, "after", names[type]);
	return 0;
}

void migrate_fail(struct migrate_peer *p, const char *fmt, ...)
{
	char text[MIGRATE_BODY];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	migrate_send(p, MIGRATE_FAILED, text, strlen(text));
}

static int read_all(struct migrate_peer *p, void *to, size_t n)
{
	size_t got = 0;
	ssize_t part;
	int rc;

	while (got < n) {
		rc = await(p, p->in, POLLIN);
		if (rc)
			return rc;
		part = read(p->in, (char *)to + got, n - got);
		if (part < 0 && errno == EINTR && !xl_interrupted)
			continue;
		if (part <= 0)
			return part ? -errno : -ENODATA;
		got += part;
	}
	return 0;
}

int migrate_receive(struct migrate_peer *p, struct migrate_message *m)
{
	struct migrate_head h;
	int rc = read_all(p, &h.magic, sizeof(h.magic));

	if (rc)
		return rc;
	if (h.magic != MIGRATE_MAGIC)
		return -EPROTO;
	rc = read_all(p, &h.major, sizeof(h) - sizeof(h.magic));
	if (rc)
		return rc;
	if (h.major != MIGRATE_MAJOR)
		return -EOPNOTSUPP;
	if (h.length > MIGRATE_BODY || !h.type || h.type >= MIGRATE_TYPES)
		return -EBADMSG;
	rc = read_all(p, m->body, h.length);
	if (rc)
		return rc;
	if (h.sum != sum_of(&h, m->body))
		return -EBADMSG;
	m->type = h.type;
	m->length = h.length;
	m->body[h.length] = '\0';
	MIGRATE_POINT(p->target, "got", names[m->type]);
	return 0;
}

const char *migrate_error(int rc)
{
	return rc == -ENODATA	 ? "the connection was closed" :
	       rc == -EPROTO	 ? "what it says is no message of a migration" :
	       rc == -EOPNOTSUPP ? "it has another version of the protocol" :
	       rc == -EBADMSG	 ? "a message is damaged" :
	       rc == -EINTR	 ? "interrupted" :
	       rc == -ETIMEDOUT	 ? "it says nothing any more" :
				   strerror(-rc);
}

int migrate_expect(struct migrate_peer *p, enum migrate_type type, struct migrate_message *m)
{
	int rc = migrate_receive(p, m);

	if (rc)
		return xl_error("%s: %s (%s was to come)%s", p->who, migrate_error(rc), names[type],
				rc == -EPROTO && type == MIGRATE_HELLO ?
					": does a login there print anything?" :
					"");
	if (m->type == type)
		return 0;
	if (m->type != MIGRATE_FAILED)
		return xl_error("%s: %s has come in the place of %s", p->who, names[m->type],
				names[type]);
	xl_error("%s: %s", p->who, (const char *)m->body);
	return 1;
}

int migrate_boot(char boot[40])
{
	FILE *f = fopen(BOOT_ID, "re");
	bool ok = f && fgets(boot, 40, f);

	if (f)
		fclose(f);
	if (!ok)
		return xl_error(BOOT_ID ": %s", strerror(errno));
	boot[strcspn(boot, "\n")] = '\0';
	return 0;
}
