// SPDX-License-Identifier: BSD-2-Clause
/*
 * Live update: another program takes this process over, with all that it knows.
 * It owns the steps from the request to execve(). The new program is first run on the side to see
 * whether it understands the state, so that one that does not is refused with nothing changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "buf.h"
#include "journal.h"
#include "liveupdate.h"
#include "record.h"

#define CHECK_SECONDS 20
#define ARGS_MAX 64

static struct live_update lu;
static char *file, *args;
static bool due;

void live_update_init(const struct live_update *l)
{
	lu = *l;
}

bool live_update_due(void)
{
	return due;
}

static void set(char **what, const char *to)
{
	free(*what);
	*what = to ? xstrdup(to) : NULL;
}

/* Runs the new program on a copy of the state; NULL or what is wrong. */
static const char *try_out(void)
{
	static char why[256];
	char *copy;
	int fds[2], status;
	ssize_t n, len = 0;
	pid_t pid;

	if (!journal_on())
		return "there is no journal to hand the state over in (--journal)";
	if (record_checkpoint())
		return "the state cannot be written down; see the log";
	copy = xstrdup(lu.journal);
	if (pipe2(fds, O_CLOEXEC))
		return "no pipe";
	pid = fork();
	if (!pid) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		alarm(CHECK_SECONDS);
		execl(file, file, "--check-journal", copy, (char *)NULL);
		dprintf(1, "%s\n", strerror(errno));
		_exit(127);
	}
	free(copy);
	close(fds[1]);
	while (len < (ssize_t)sizeof(why) - 1 &&
	       (n = read(fds[0], why + len, sizeof(why) - 1 - (size_t)len)) > 0)
		len += n;
	close(fds[0]);
	why[len] = 0;
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return "it cannot be tried out";
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return NULL;
	return len ? why : "it does not understand the state";
}

static int start(struct req *r)
{
	const char *why;

	if (!file)
		return -EINVAL;
	why = try_out();
	if (why) {
		req_printf(r, "%s: %s", file, why);
		return req_put(r, "", 1);
	}
	/* the reply is queued before that happens, and the new program sends it: conn_flush() */
	due = true;
	return 0;
}

int req_live_update(struct req *r, char **v, int n)
{
	bool go = false;

	/* a replay must not start anything, and on a ring it would be replayed */
	if (replaying || r->c->ring)
		return -EINVAL;
	for (int i = 0; i < n; i++) {
		if (!strcmp(v[i], "-a") && n == 1) {
			set(&file, NULL);
			set(&args, NULL);
			return 0;
		}
		if (!strcmp(v[i], "-s"))
			go = true;
		else if (!strcmp(v[i], "-f") && i + 1 < n)
			set(&file, v[++i]);
		else if (!strcmp(v[i], "-c") && i + 1 < n)
			set(&args, v[++i]);
		else if (!strcmp(v[i], "-t") && i + 1 < n)
			i++; /* how long to wait for transactions to end; ours go along */
		else if (strcmp(v[i], "-F"))
			return -EINVAL;
	}
	if (file && file[0] != '/')
		return -EINVAL;
	if (file && access(file, X_OK))
		return -errno;
	return go ? start(r) : n ? 0 : -EINVAL;
}

static void keep_open(int fd, bool keep)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

static void keep_all(bool keep)
{
	struct conn *c;

	keep_open(lu.listen_fd, keep);
	keep_open(lu.pid_fd, keep);
	for (c = TAILQ_FIRST(&conns); c; c = TAILQ_NEXT(c, all))
		if (!c->ring)
			keep_open(c->fd, keep);
}

void live_update_go(void)
{
	char *argv[ARGS_MAX + 1], *how, *words = args ? xstrdup(args) : NULL, *save = NULL, *w;
	int n = 0;

	due = false;
	/* ours may have come from a live update itself */
	for (char **a = lu.argv; *a && n < ARGS_MAX - 2; a++)
		if (strncmp(*a, "--live-update=", 14))
			argv[n++] = *a;
	for (w = words ? strtok_r(words, " ", &save) : NULL; w && n < ARGS_MAX - 1;
	     w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	how = xasprintf("--live-update=%d,%d", lu.listen_fd, lu.pid_fd);
	argv[n++] = how;
	argv[n] = NULL;
	if (!record_checkpoint()) {
		xlog(LOG_INFO_, "live update to %s", file);
		keep_all(true);
		execv(file, argv);
		xlog(LOG_ERR_, "live update to %s: %s; going on as before", file, strerror(errno));
		keep_all(false);
	}
	free(how);
	free(words);
}
