// SPDX-License-Identifier: BSD-2-Clause
/*
 * Hotplug scripts: run by xl for dom0's back ends, and by xl devd in a driver domain for its own.
 * Owns their environment, their time limit and where their output goes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"

/* Environment and arguments are those that Xen's toolstack gives to a script. */
static void exec_script(const struct device *d, const char *script, const char *verb)
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
	closefrom(3);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(script, argv, env);
	_exit(127);
}

int hotplug_run(const struct device *d, const char *script, const char *verb)
{
	int64_t end = xl_now() + HOTPLUG_WAIT_MS;
	int status, ms = 1;
	pid_t pid, got;

	pid = fork();
	if (pid < 0)
		return xl_error("%s: cannot start: %s", script, strerror(errno));
	if (!pid)
		exec_script(d, script, verb);
	for (;;) {
		got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			break;
		if (got < 0 && errno != EINTR)
			return xl_error("%s: lost: %s", script, strerror(errno));
		if (xl_now() > end) {
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return xl_error("%s %s: still not done after %d s, killed", script, verb,
					HOTPLUG_WAIT_MS / 1000);
		}
		xl_sleep(ms);
		if (ms < 50)
			ms *= 2;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return xl_error("%s: cannot be run", script);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -1;
}
