// SPDX-License-Identifier: BSD-2-Clause
/*
 * Starts an image's program in a mount name space of its own, in which the image is the root, and waits for it.
 * Owns reaping, the way from the wish that it end to its end, and how that is told.
 */
#define _GNU_SOURCE
#include "run.h"

#include "params.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* Why the program did not start, from the process that was to become it. */
struct failure {
	int code; /* podman's 125, 126, 127 */
	char what[RUN_RESULT - 32];
};

void run_block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
}

int run_signal(const char *name)
{
	char *end;
	long n = strtol(name, &end, 10);
	int sig;

	if (*name && !*end)
		return n > 0 && n < NSIG ? (int)n : -1;
	if (!strncmp(name, "SIG", 3))
		name += 3;
	if (!strncmp(name, "RTMIN", 5)) {
		n = name[5] == '+' ? strtol(name + 6, &end, 10) : 0;
		return n >= 0 && SIGRTMIN + n <= SIGRTMAX && (!name[5] || !*end) ?
			       SIGRTMIN + (int)n :
			       -1;
	}
	for (sig = 1; sig < NSIG; sig++)
		if (sigabbrev_np(sig) && !strcmp(sigabbrev_np(sig), name))
			return sig;
	return -1;
}

/* --- the process that becomes the program ---------------------------------------------------- */

static void give_up(int pipe_fd, int code, const char *what, const char *name)
{
	struct failure f = { .code = code };
	int err = errno;

	snprintf(f.what, sizeof(f.what), "%s%s%.400s: %s", what, *what ? " " : "", name,
		 strerror(err));
	if (write(pipe_fd, &f, sizeof(f)) < 0)
		_exit(125);
	_exit(code);
}

/* As a mount name space's root can only be changed: by a mount on top of it. */
static int enter(const char *root)
{
	return unshare(CLONE_NEWNS) || chdir(root) || mount(".", "/", NULL, MS_MOVE, NULL) ||
	       chroot(".") || chdir("/");
}

static const char *variable(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; *env; env++)
		if (!strncmp(*env, name, n) && (*env)[n] == '=')
			return *env + n + 1;
	return "";
}

/* Comes back with errno if it cannot: a program that is there counts for more than those that are not. */
static void try_all(const struct run *r)
{
	const char *path = variable(r->env, "PATH"), *name = r->argv[0];
	char full[4096];
	int err = ENOENT;

	if (strchr(name, '/')) {
		execve(name, r->argv, r->env);
		return;
	}
	while (*name) {
		size_t n = strcspn(path, ":");

		snprintf(full, sizeof(full), "%.*s/%s", (int)n, n ? path : ".", name);
		execve(full, r->argv, r->env);
		if (errno != ENOENT && errno != ENOTDIR)
			err = errno;
		if (!path[n])
			break;
		path += n + 1;
	}
	errno = err;
}

/* Its own, with the modes that a terminal begins with. */
static void take_terminal(const struct run *r, int pipe_fd)
{
	struct winsize size = { .ws_row = r->rows, .ws_col = r->columns };
	int fd = open("/dev/" OCI_TERMINAL, O_RDWR | O_NOCTTY), i;
	struct termios t;

	if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) || tcgetattr(fd, &t))
		give_up(pipe_fd, 125, "terminal", OCI_TERMINAL);
	t.c_iflag = ICRNL | IXON;
	t.c_oflag = OPOST | ONLCR;
	t.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
	tcsetattr(fd, TCSANOW, &t);
	if (size.ws_row && size.ws_col)
		ioctl(fd, TIOCSWINSZ, &size);
	for (i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

static void become(const struct run *r, int pipe_fd, int input)
{
	sigset_t none;
	int sig;

	setsid();
	if (r->input == RUN_TTY)
		take_terminal(r, pipe_fd);
	else
		dup2(input, 0);
	if (enter(r->root))
		give_up(pipe_fd, 125, "", "the image cannot become the root");
	if (setgroups((size_t)r->user.nr_groups, r->user.group) || setgid(r->user.gid) ||
	    setuid(r->user.uid))
		give_up(pipe_fd, 125, "", "the user cannot be changed to");
	if (chdir(r->workdir))
		give_up(pipe_fd, 126, "working directory", r->workdir);
	sigemptyset(&none);
	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	try_all(r);
	/* A script whose interpreter is missing is not found, either; so it is with podman. */
	give_up(pipe_fd, errno == ENOENT || errno == ENOTDIR ? 127 : 126, "", r->argv[0]);
}

/* --- its input ------------------------------------------------------------------------------- */

size_t run_unmark(char *text, size_t n, bool *marked, bool *end)
{
	size_t from, to = 0;

	for (from = 0; from < n && !*end; from++) {
		if (!*marked && text[from] == OCI_INPUT_MARK) {
			*marked = true;
			continue;
		}
		if (*marked)
			text[from] &= ~OCI_INPUT_LETTER;
		*end = *marked && text[from] == OCI_INPUT_END;
		if (!*end)
			text[to++] = text[from];
		*marked = false;
	}
	return to;
}

/* A process of its own: from the console to @to until the end that is marked, or nobody reads any more. */
static void pump(int to) __attribute__((noreturn));
static void pump(int to)
{
	bool marked = false, end = false;
	char text[4096], *p;
	ssize_t n, done;

	while (!end && (n = read(0, text, sizeof(text))) > 0) {
		n = (ssize_t)run_unmark(text, (size_t)n, &marked, &end);
		for (p = text; n > 0; n -= done, p += done) {
			done = write(to, p, (size_t)n);
			if (done < 0)
				_exit(0);
		}
	}
	_exit(0);
}

/* What the program reads. Less than 0: errno. */
static int open_input(const struct run *r)
{
	int fd[2];
	pid_t pid;

	if (r->input != RUN_PIPE)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (pipe2(fd, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		close(fd[0]);
		pump(fd[1]);
	}
	close(fd[1]);
	if (pid < 0)
		close(fd[0]);
	return pid < 0 ? -1 : fd[0];
}

/* --- the one that waits ---------------------------------------------------------------------- */

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* The program's status once it has ended; until then -1. Others that have ended are buried. */
static bool reap(pid_t program, int *status)
{
	bool ended = false;
	pid_t pid;
	int s;

	while ((pid = waitpid(-1, &s, WNOHANG)) > 0) {
		if (pid == program) {
			*status = s;
			ended = true;
		}
	}
	return ended;
}

/* *@again: somebody wants it to begin anew. Its status. */
static int await_end(const struct run *r, pid_t pid, bool *again)
{
	struct timespec second = { .tv_sec = 1 };
	time_t kill_at = 0;
	int status = 0, sig;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, RUN_END);
	sigaddset(&set, RUN_AGAIN);
	while (!reap(pid, &status)) {
		sig = sigtimedwait(&set, NULL, &second);
		if ((sig == RUN_END || sig == RUN_AGAIN) && !kill_at) {
			*again = sig == RUN_AGAIN;
			kill(pid, r->stop_signal);
			kill_at = now() + r->grace;
		}
		if (kill_at && now() >= kill_at)
			kill(-1, SIGKILL);
	}
	return status;
}

/* What it has left running ends with it, as a container's processes do. */
static void end_others(void)
{
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

bool run(const struct run *r, char result[RUN_RESULT])
{
	bool again = false;
	struct failure f;
	int pipe_fd[2], status, input = open_input(r);
	ssize_t n;
	pid_t pid;

	if (input < 0 || pipe2(pipe_fd, O_CLOEXEC) || (pid = fork()) < 0) {
		snprintf(result, RUN_RESULT, "error 125 no process for it: %s", strerror(errno));
		return false;
	}
	if (!pid)
		become(r, pipe_fd[1], input);
	close(pipe_fd[1]);
	close(input);
	n = read(pipe_fd[0], &f, sizeof(f));
	close(pipe_fd[0]);
	if (!n && r->started)
		r->started();
	status = await_end(r, pid, &again);
	end_others();
	if (n == (ssize_t)sizeof(f))
		snprintf(result, RUN_RESULT, "error %d %.*s", f.code, (int)sizeof(f.what) - 1,
			 f.what);
	else if (WIFSIGNALED(status))
		snprintf(result, RUN_RESULT, "signal %d", WTERMSIG(status));
	else
		snprintf(result, RUN_RESULT, "exit %d", WEXITSTATUS(status));
	return again;
}
