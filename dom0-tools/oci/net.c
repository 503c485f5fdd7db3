// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interfaces up, and a DHCP lease.
 * Owns how long an interface and an answer are waited for.
 */
#define _GNU_SOURCE
#include "net.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define INTERFACE "eth0"
#define WAIT_MS 10000

void net_loopback(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
}

int net_dhcp(char *why, size_t size)
{
	char *const argv[] = { "udhcpc", "-i", INTERFACE, "-n", "-S", "-R",
			       "-t",	 "5",  "-T",	  "2",	"-s", "/etc/udhcpc.script",
			       NULL };
	char *const env[] = { "PATH=/bin", NULL };
	int ms, status = 0;
	pid_t pid;

	for (ms = 0; access("/sys/class/net/" INTERFACE, F_OK) && ms < WAIT_MS; ms += 20)
		usleep(20000);
	pid = fork();
	if (!pid) {
		/* What it says goes where nobody takes it for the program's. */
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(126);
		execve("/bin/udhcpc", argv, env);
		_exit(127);
	}
	/* It goes on in the background once it has a lease. */
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	snprintf(why, size, "no DHCP server answers on " INTERFACE);
	return -1;
}
