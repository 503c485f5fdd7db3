// SPDX-License-Identifier: BSD-2-Clause
/*
 * Hotplug scripts: run by xl for dom0's back ends, and by xl devd in a driver domain for its own.
 * Owns their environment, their turns, their time limit and where their output goes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"

#ifndef HOTPLUG_QUEUE_MS
#define HOTPLUG_QUEUE_MS \
	120000 /* until one of the scripts before this one is done: there may be hundreds */
#endif
#define BLOCK_SCRIPT XL_SCRIPT_DIR "/block"
#define BLOCK_LOCK XL_RUN_DIR "/block-script.lock"
#define VIF_SCRIPTS XL_SCRIPT_DIR "/vif-"
#define VIF_LOCK XL_RUN_DIR "/vif-script.lock"

/*
 * Scripts that choose loop devices run one after the other, and so do those that put a bridge's MTU or a gateway's forwarding
 * back, which must not take for its own what another one has just made of it. NULL: this script waits for nobody.
 */
static const char *lock_of(const char *script)
{
	static const char *const vif[] = { "bridge", "route", "nat" };
	unsigned int i;

	if (!strcmp(script, BLOCK_SCRIPT))
		return BLOCK_LOCK;
	for (i = 0; i < sizeof(vif) / sizeof(*vif); i++)
		if (!strncmp(script, VIF_SCRIPTS, strlen(VIF_SCRIPTS)) &&
		    !strcmp(script + strlen(VIF_SCRIPTS), vif[i]))
			return VIF_LOCK;
	return NULL;
}

/*
 * The kernel wakes them in the order in which they came, and
 * lets go when the script and all that it started are gone, also if xl was killed. -1 with errno.
 */
static int wait_for_turn(const char *lock)
{
	int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	while (fd >= 0 && flock(fd, LOCK_EX)) {
		if (errno == EINTR)
			continue;
		close(fd);
		return -1;
	}
	if (fd >= 0 && !ftruncate(fd, 0))
		dprintf(fd, "%d\n", getpid());
	return fd;
}

/* In the child. Environment and arguments are those that Xen's toolstack gives to a script. @go: closed when it runs. */
static void exec_script(const struct device *d, const char *script, const char *verb, int go)
{
	char *env[] = { xl_sprintf("XENBUS_PATH=%s", d->be),
			xl_sprintf("XENBUS_TYPE=%s", d->kind->name), "XENBUS_BASE_PATH=backend",
			xl_sprintf("script=%s", script),
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			/* what Linux's back end calls its interface */
			d->kind->net ? xl_sprintf("vif=vif%u.%u", d->domid, d->devid) : NULL,
			NULL };
	char *argv[] = { (char *)script, (char *)verb, d->kind->net ? "type_if=vif" : NULL, NULL };
	sigset_t none;
	int fd;

	setpgid(0, 0);
	fd = open("/dev/null", O_RDONLY);
	dup2(fd, 0);
	fd = xl_log_open(HOTPLUG_LOG);
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
	}
	/* Whoever ends xl ends its locks, too, however long it is until this script's turn. */
	dup2(go, 3);
	closefrom(4);
	fd = lock_of(script) ? wait_for_turn(lock_of(script)) : -1;
	close(3);
	/* The lock stays with the script; without one it runs all the same. */
	if (fd >= 0)
		dup2(fd, 3);
	closefrom(fd < 0 ? 3 : 4);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(script, argv, env);
	_exit(127);
}

static void kill_script(pid_t pid)
{
	int status;

	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

/* The process whose turn it is; 0: not known. */
static long holder_of(const char *lock)
{
	int fd = lock ? open(lock, O_RDONLY | O_CLOEXEC) : -1;
	char text[16];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return strtol(text, NULL, 10);
}

/*
 * Until it is the script's turn: @go is closed at its other end then. However many are before this one, it waits as long as
 * they have their turns; each of them has its own limit.
 */
static int await_turn(const struct device *d, const char *script, const char *verb, pid_t pid,
		      int go)
{
	int64_t end = xl_now() + HOTPLUG_QUEUE_MS;
	struct pollfd pfd = { .fd = go, .events = POLLIN };
	long holder = 0, now;
	int rc;

	do {
		rc = poll(&pfd, 1, 1000);
		now = rc > 0 ? 0 : holder_of(lock_of(script));
		if (now && now != holder) {
			holder = now;
			end = xl_now() + HOTPLUG_QUEUE_MS;
		}
	} while (rc <= 0 && xl_now() < end);
	close(go);
	if (rc > 0)
		return 0;
	kill_script(pid);
	return xl_error("%s %s: the scripts of other %s are still not done after %d s (the last "
			"one is process %ld)",
			script, verb, d->kind->net ? "interfaces" : "disks",
			HOTPLUG_QUEUE_MS / 1000, holder);
}

int hotplug_start(const struct device *d, const char *script, const char *verb, struct hotplug *h)
{
	int go[2];

	h->pid = 0;
	if (pipe2(go, O_CLOEXEC))
		return xl_error("%s: cannot start: %s", script, strerror(errno));
	h->pid = fork();
	if (!h->pid) {
		close(go[0]);
		exec_script(d, script, verb, go[1]);
	}
	close(go[1]);
	h->go = go[0];
	if (h->pid < 0) {
		close(go[0]);
		h->pid = 0;
		return xl_error("%s: cannot start: %s", script, strerror(errno));
	}
	return 0;
}

int hotplug_finish(const struct device *d, const char *script, const char *verb, struct hotplug *h)
{
	pid_t pid = h->pid, got;
	int status;

	h->pid = 0;
	if (await_turn(d, script, verb, pid, h->go))
		return -1;
	got = xl_wait_child(pid, HOTPLUG_WAIT_MS, &status);
	if (got < 0)
		return xl_error("%s: lost: %s", script, strerror(errno));
	if (!got) {
		kill_script(pid);
		return xl_error("%s %s: still not done after %d s, killed", script, verb,
				HOTPLUG_WAIT_MS / 1000);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return xl_error("%s: cannot be run", script);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -1;
}

int hotplug_run(const struct device *d, const char *script, const char *verb)
{
	struct hotplug h;

	return hotplug_start(d, script, verb, &h) ? -1 : hotplug_finish(d, script, verb, &h);
}
