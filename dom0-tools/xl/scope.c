// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest's supervisor or qemu-nbd and the service manager: a daemon's double life (setsid) does not take it out of the control group of the login
 * or service that xl was run from. A program that comes with the packages for systemd does. Owns how that is run.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scope.h"
#include "xl.h"

int scope_enter(pid_t stays, const char *name)
{
	char number[16];
	int status;
	pid_t pid, got;

	if (access(XL_SCOPE, X_OK))
		return 0;
	snprintf(number, sizeof(number), "%d", stays);
	pid = fork();
	if (!pid) {
		closefrom(3);
		execl(XL_SCOPE, XL_SCOPE, number, name, NULL);
		_exit(127);
	}
	if (pid < 0)
		return -1;
	got = xl_wait_child(pid, SCOPE_WAIT_MS, &status);
	if (!got) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		return -1;
	}
	return got == pid && WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -1;
}
