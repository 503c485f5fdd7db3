// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the kernel's nbd driver is told, over generic netlink (linux/nbd-netlink.h): it chooses a free device itself, so that two
 * never get the same, and keeps it until it is told to let go. No process need stay for that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nbd.h"

#define ANSWER_S 20
#define BLOCK 512 /* as disks of files and volumes have it */

struct message {
	struct nlmsghdr h;
	struct genlmsghdr g;
	char data[8192];
};

static struct nlattr *put(struct message *m, int type, const void *data, size_t len)
{
	struct nlattr *a = (struct nlattr *)((char *)m + NLMSG_ALIGN(m->h.nlmsg_len));

	if (NLMSG_ALIGN(m->h.nlmsg_len) + NLA_HDRLEN + NLA_ALIGN(len) > sizeof(*m))
		abort();
	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + len;
	if (len)
		memcpy((char *)a + NLA_HDRLEN, data, len);
	m->h.nlmsg_len = NLMSG_ALIGN(m->h.nlmsg_len) + NLA_ALIGN(a->nla_len);
	return a;
}

static void put_u32(struct message *m, int type, uint32_t n)
{
	put(m, type, &n, sizeof(n));
}

static void put_u64(struct message *m, int type, uint64_t n)
{
	put(m, type, &n, sizeof(n));
}

/* What was put since @a is inside it. */
static void end(struct message *m, struct nlattr *a)
{
	a->nla_len = (char *)m + m->h.nlmsg_len - (char *)a;
}

static void begin(struct message *m, int family, int cmd)
{
	memset(m, 0, sizeof(*m));
	m->h.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	m->h.nlmsg_type = family;
	m->h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	m->g.cmd = cmd;
	m->g.version = 1;
}

/* A number of 16 or 32 bits among the answer's attributes, or -1. */
static int64_t number_in(const struct message *m, int type)
{
	const char *p = m->data, *stop = (const char *)m + m->h.nlmsg_len;

	while (p + NLA_HDRLEN <= stop) {
		const struct nlattr *a = (const struct nlattr *)p;
		uint16_t small;
		uint32_t n;

		if (a->nla_len < NLA_HDRLEN || p + a->nla_len > stop)
			break;
		if (a->nla_type == type && a->nla_len == NLA_HDRLEN + 2) {
			memcpy(&small, p + NLA_HDRLEN, 2);
			return small;
		}
		if (a->nla_type == type && a->nla_len == NLA_HDRLEN + 4) {
			memcpy(&n, p + NLA_HDRLEN, 4);
			return n;
		}
		p += NLA_ALIGN(a->nla_len);
	}
	return -1;
}

/* Sends, and waits for the acknowledgement; *@number: what the answer before it has as attribute @type. 0 or -errno. */
static int ask(int fd, struct message *m, int type, int64_t *number)
{
	union {
		struct nlmsghdr h;
		struct message m;
		char bytes[16384];
	} in;
	struct nlmsghdr *h;
	int len;

	if (send(fd, m, m->h.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		len = recv(fd, &in, sizeof(in), 0);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		for (h = &in.h; NLMSG_OK(h, (unsigned int)len); h = NLMSG_NEXT(h, len)) {
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
			if (number)
				*number = number_in((struct message *)h, type);
		}
	}
}

/* A socket, and the number of nbd's family there. -errno */
static int open_family(int *family)
{
	struct timeval limit = { .tv_sec = ANSWER_S };
	struct message m;
	int64_t id = -1;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC), rc;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	begin(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	put(&m, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME, sizeof(NBD_GENL_FAMILY_NAME));
	rc = ask(fd, &m, CTRL_ATTR_FAMILY_ID, &id);
	if (!rc && id < 0)
		rc = -ENOENT;
	if (rc) {
		close(fd);
		return rc;
	}
	*family = (int)id;
	return fd;
}

int nbd_connect(int sock, const struct nbd_export *e, const char *name)
{
	int family, fd = open_family(&family), rc;
	struct nlattr *sockets, *item;
	struct message m;
	int64_t index = -1;

	if (fd == -ENOENT && !system("modprobe nbd max_part=0 2>/dev/null"))
		fd = open_family(&family);
	if (fd < 0)
		return fd;
	begin(&m, family, NBD_CMD_CONNECT);
	put_u64(&m, NBD_ATTR_SIZE_BYTES, e->bytes);
	put_u64(&m, NBD_ATTR_BLOCK_SIZE_BYTES, BLOCK);
	put_u64(&m, NBD_ATTR_SERVER_FLAGS, e->flags);
	put(&m, NBD_ATTR_BACKEND_IDENTIFIER, name, strlen(name) + 1);
	sockets = put(&m, NBD_ATTR_SOCKETS | NLA_F_NESTED, NULL, 0);
	item = put(&m, NBD_SOCK_ITEM | NLA_F_NESTED, NULL, 0);
	put_u32(&m, NBD_SOCK_FD, sock);
	end(&m, item);
	end(&m, sockets);
	rc = ask(fd, &m, NBD_ATTR_INDEX, &index);
	close(fd);
	if (rc)
		return rc;
	return index < 0 ? -EPROTO : (int)index;
}

int nbd_disconnect(int index)
{
	int family, fd = open_family(&family), rc;
	struct message m;

	if (fd < 0)
		return fd;
	begin(&m, family, NBD_CMD_DISCONNECT);
	put_u32(&m, NBD_ATTR_INDEX, index);
	rc = ask(fd, &m, 0, NULL);
	close(fd);
	return rc;
}
