// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interfaces up, and their addresses: a DHCP lease, or what dom0 says.
 * Owns how long an interface and an answer are waited for.
 */
#define _GNU_SOURCE
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
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

static void await_interface(void)
{
	int ms;

	for (ms = 0; access("/sys/class/net/" INTERFACE, F_OK) && ms < WAIT_MS; ms += 20)
		usleep(20000);
}

static void set_address(struct sockaddr *to, uint32_t address)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = address };

	memcpy(to, &in, sizeof(in));
}

/* To @address/@mask, by @gateway or at the interface itself (0). */
static int add_route(int fd, uint32_t address, uint32_t mask, uint32_t gateway)
{
	struct rtentry rt = { .rt_flags = RTF_UP | (gateway ? RTF_GATEWAY : 0),
			      .rt_dev = INTERFACE };

	set_address(&rt.rt_dst, address);
	set_address(&rt.rt_genmask, mask);
	set_address(&rt.rt_gateway, gateway);
	return ioctl(fd, SIOCADDRT, &rt) && errno != EEXIST;
}

static int set_interface(int fd, uint32_t address, uint32_t mask)
{
	struct ifreq ifr = { .ifr_name = INTERFACE };

	set_address(&ifr.ifr_addr, address);
	if (ioctl(fd, SIOCSIFADDR, &ifr))
		return -1;
	set_address(&ifr.ifr_netmask, mask);
	if (ioctl(fd, SIOCSIFNETMASK, &ifr))
		return -1;
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	return ioctl(fd, SIOCSIFFLAGS, &ifr);
}

int net_static(const char *address, const char *gateway, char *why, size_t size)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = -1;
	const char *slash = strchr(address, '/');
	struct in_addr own, router = { 0 };
	char text[INET_ADDRSTRLEN];
	uint32_t mask;
	int bits;

	snprintf(text, sizeof(text), "%.*s", (int)strcspn(address, "/"), address);
	bits = slash ? atoi(slash + 1) : 32;
	mask = bits > 0 && bits <= 32 ? htonl(~0u << (32 - bits)) : 0;
	await_interface();
	if (fd >= 0 && inet_pton(AF_INET, text, &own) == 1 &&
	    (!strcmp(gateway, "-") || inet_pton(AF_INET, gateway, &router) == 1))
		rc = set_interface(fd, own.s_addr, mask);
	/* A router may be beyond the net, as one that has the guest alone behind it. */
	if (!rc && router.s_addr && (router.s_addr ^ own.s_addr) & mask)
		rc = add_route(fd, router.s_addr, ~0u, 0);
	if (!rc && router.s_addr)
		rc = add_route(fd, 0, 0, router.s_addr);
	if (rc)
		snprintf(why, size, INTERFACE " does not take %s, gateway %s: %s", address, gateway,
			 strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

int net_dhcp(char *why, size_t size)
{
	char *const argv[] = { "udhcpc", "-i", INTERFACE, "-n", "-S", "-R",
			       "-t",	 "5",  "-T",	  "2",	"-s", "/etc/udhcpc.script",
			       NULL };
	char *const env[] = { "PATH=/bin", NULL };
	int status = 0;
	pid_t pid;

	await_interface();
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
