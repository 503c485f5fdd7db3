// SPDX-License-Identifier: BSD-2-Clause
/*
 * Neighbours of a guest that has come from another host (announce.h). A bridge that has heard of the guest's address from outside would drop what
 * comes for it from there, until the guest has sent something itself.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "announce.h"

#define TIMES 3
#define FIRST_MS 100 /* then twice as long */

struct port {
	uint8_t mac[6];
	unsigned int bridge, port; /* the kernel's numbers of interfaces; 0: there is none */
};

void announce_frame(const uint8_t mac[6], uint8_t frame[ANNOUNCE_FRAME])
{
	/* Ethernet, IPv4, addresses of 6 and 4 bytes, "request reverse" */
	static const uint8_t kind[] = { 0, 1, 8, 0, 6, 4, 0, 3 };
	uint8_t *p = frame;

	memset(frame, 0, ANNOUNCE_FRAME);
	memset(p, 0xff, 6);
	memcpy(p + 6, mac, 6);
	p[12] = ETHERTYPE_REVARP >> 8;
	p[13] = ETHERTYPE_REVARP & 0xff;
	memcpy(p + 14, kind, sizeof(kind));
	memcpy(p + 22, mac, 6); /* sender, without an address */
	memcpy(p + 32, mac, 6); /* whose address is asked for */
}

size_t announce_fdb(const uint8_t mac[6], unsigned int port, uint8_t message[ANNOUNCE_FDB])
{
	struct ndmsg nd = {
		.ndm_family = AF_BRIDGE,
		.ndm_ifindex = (int)port,
		.ndm_state = NUD_REACHABLE, /* as if it had been heard: it ages */
		.ndm_flags = NTF_MASTER,
	};
	struct nlattr a = { .nla_len = NLA_HDRLEN + 6, .nla_type = NDA_LLADDR };
	struct nlmsghdr h = {
		.nlmsg_len = NLMSG_LENGTH(sizeof(nd)) + NLA_ALIGN(a.nla_len),
		.nlmsg_type = RTM_NEWNEIGH,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE,
	};

	memset(message, 0, ANNOUNCE_FDB);
	memcpy(message, &h, sizeof(h));
	memcpy(message + NLMSG_HDRLEN, &nd, sizeof(nd));
	memcpy(message + NLMSG_LENGTH(sizeof(nd)), &a, sizeof(a));
	memcpy(message + NLMSG_LENGTH(sizeof(nd)) + NLA_HDRLEN, mac, 6);
	return h.nlmsg_len;
}

/* False: it is in no bridge of this dom0's. */
static bool find_port(struct xl *xl, uint32_t domid, const char *devid, struct port *p)
{
	char *be = xl_sprintf("/local/domain/0/backend/vif/%u/%s", domid, devid);
	char *mac = st_read(xl, XBT_NULL, "%s/mac", be);
	char *bridge = st_read(xl, XBT_NULL, "%s/bridge", be);
	char *name = st_read(xl, XBT_NULL, "%s/vifname", be);

	if (!name)
		name = xl_sprintf("vif%u.%s", domid, devid);
	*p = (struct port){ 0 };
	if (mac && bridge && !nic_mac_parse(mac, p->mac)) {
		p->bridge = if_nametoindex(bridge);
		p->port = if_nametoindex(name);
	}
	free(be);
	free(mac);
	free(bridge);
	free(name);
	return p->bridge && p->port;
}

static void tell_bridge(int fd, const struct port *p)
{
	uint8_t message[ANNOUNCE_FDB];
	size_t n = announce_fdb(p->mac, p->port, message);

	if (fd >= 0)
		send(fd, message, n, MSG_DONTWAIT);
}

static void tell_others(int fd, const struct port *p)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHERTYPE_REVARP),
		.sll_ifindex = (int)p->bridge,
		.sll_halen = 6,
		.sll_addr = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	};
	uint8_t frame[ANNOUNCE_FRAME];

	announce_frame(p->mac, frame);
	if (fd >= 0)
		sendto(fd, frame, sizeof(frame), MSG_DONTWAIT, (const struct sockaddr *)&to,
		       sizeof(to));
}

void announce_guest(struct xl *xl, uint32_t domid)
{
	unsigned int n, i, ports = 0, times;
	char **dev = st_list(xl, &n, "/local/domain/0/backend/vif/%u", domid);
	struct port *port = calloc(n + 1, sizeof(*port));
	int fdb, raw;

	if (!port)
		abort();
	for (i = 0; i < n; i++)
		ports += find_port(xl, domid, dev[i], &port[ports]);
	free(dev);
	fdb = ports ? socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE) : -1;
	raw = ports ? socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) : -1;
	for (i = 0; i < ports; i++)
		tell_bridge(fdb, &port[i]);
	for (times = 0; ports && times < TIMES; times++) {
		if (times)
			xl_sleep(FIRST_MS << (times - 1));
		for (i = 0; i < ports; i++)
			tell_others(raw, &port[i]);
	}
	if (fdb >= 0)
		close(fdb);
	if (raw >= 0)
		close(raw);
	free(port);
}
