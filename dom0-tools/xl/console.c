// SPDX-License-Identifier: BSD-2-Clause
/*
 * The administrator's end of a guest's console: terminal ↔ xenconsoled's socket.
 * Owns raw mode and the way out (Ctrl-], or what the administrator has chosen); what the guest prints is passed on untouched.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "xl.h"

#define XL_CHANNEL "/local/domain/0/backend/console/%u/%u"

/* How often it is looked whether the guest is there still. */
#define ALIVE_MS 200

/* The socket's path once xenconsoled serves the guest; else NULL after @ms. */
static char *wait_socket(struct xl *xl, uint32_t domid, int ms)
{
	char *node = xl_sprintf("/local/domain/%u/console/socket", domid), *path;
	struct xen_domctl_getdomaininfo info;
	int64_t end = xl_now() + ms, left;

	st_wait_begin(xl, node);
	for (;;) {
		path = st_read(xl, XBT_NULL, "%s", node);
		left = end - xl_now();
		if ((path && *path) || left < 0 || xl_interrupted ||
		    pv_domain_info(xl->pv, domid, &info))
			break;
		free(path);
		st_wait(xl, left < ALIVE_MS ? (int)left : ALIVE_MS);
	}
	st_wait_end(xl, node);
	free(node);
	if (path && *path)
		return path;
	free(path);
	return NULL;
}

bool console_ready(struct xl *xl, uint32_t domid, int ms)
{
	char *path = wait_socket(xl, domid, ms);
	bool ok = path != NULL;

	free(path);
	return ok;
}

/* Consumes @path. */
static int connect_socket(char *path, uint32_t domid)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, rc;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		free(path);
		return xl_error("domain %u's console has too long a path", domid);
	}
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	if (rc) {
		xl_error("cannot reach the console of domain %u at %s: %s", domid, path,
			 strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	free(path);
	return fd;
}

int console_connect(struct xl *xl, uint32_t domid, int ms)
{
	char *path = wait_socket(xl, domid, ms);

	if (!path)
		return xl_error("domain %u has no console (is xenconsoled running?)", domid);
	return connect_socket(path, domid);
}

/* Not by the nodes of its front end, which are the guest's: they could name any file. */
int console_connect_to(struct xl *xl, uint32_t domid, unsigned int number, int ms)
{
	char *kind, *path;
	int fd = -1;

	if (!number)
		return console_connect(xl, domid, ms);
	kind = st_read(xl, XBT_NULL, XL_CHANNEL "/connection", domid, number);
	if (!kind)
		return xl_error("domain %u has no console %u: xl channel-list shows its channels",
				domid, number);
	path = st_read(xl, XBT_NULL, strcmp(kind, "pty") ? XL_CHANNEL "/path" : XL_CHANNEL "/tty",
		       domid, number);
	if (!path) {
		xl_error("xenconsoled does not serve console %u of domain %u (is it running?)",
			 number, domid);
	} else if (strcmp(kind, "pty")) {
		fd = connect_socket(path, domid);
		path = NULL;
	} else {
		fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd < 0)
			xl_error("cannot open console %u of domain %u at %s: %s", number, domid,
				 path, strerror(errno));
	}
	free(path);
	free(kind);
	return fd;
}

static bool write_all(int fd, const char *buf, size_t n)
{
	while (n) {
		ssize_t w = write(fd, buf, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && errno == EAGAIN) {
			struct pollfd pfd = { .fd = fd, .events = POLLOUT };

			poll(&pfd, 1, 1000);
			continue;
		}
		if (w <= 0)
			return false;
		buf += w;
		n -= w;
	}
	return true;
}

/* Passes on what came from the keyboard. False: leave. */
static bool from_keyboard(int fd, char leave, bool *keyboard, bool *typed)
{
	char buf[256], *escape;
	ssize_t n = read(0, buf, sizeof(buf));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (!n) {
		/*
		 * The end of a script that typed something is like Ctrl-]; an input that was empty
		 * from the first (</dev/null) means: only watch.
		 */
		*keyboard = false;
		return !*typed;
	}
	*typed = true;
	escape = memchr(buf, leave, n);
	if (escape)
		n = escape - buf;
	return write_all(fd, buf, n) && !escape;
}

static bool from_guest(int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	return n && write_all(1, buf, n);
}

int console_run(int fd, char escape)
{
	bool keyboard = true, typed = false, tty = isatty(0);
	struct termios saved, raw;

	fflush(stdout);
	if (tty && !tcgetattr(0, &saved)) {
		raw = saved;
		cfmakeraw(&raw);
		tcsetattr(0, TCSADRAIN, &raw);
	} else {
		tty = false;
	}
	for (;;) {
		struct pollfd pfd[2] = {
			{ .fd = fd, .events = POLLIN },
			{ .fd = keyboard ? 0 : -1, .events = POLLIN },
		};

		if (poll(pfd, 2, -1) < 0) {
			if (errno == EINTR && !xl_interrupted)
				continue;
			break;
		}
		if (pfd[0].revents && !from_guest(fd))
			break;
		if (pfd[1].revents && !from_keyboard(fd, escape, &keyboard, &typed))
			break;
	}
	if (tty) {
		tcsetattr(0, TCSADRAIN, &saved);
		if (write(1, "\r\n", 2) < 0)
			errno = 0;
	}
	close(fd);
	return 0;
}

/* xenconsoled drops what it cannot write. */
static bool is_full(const char *dir)
{
	struct statvfs st;

	return !statvfs(dir, &st) && st.f_blocks && !st.f_bavail;
}

/* Nothing in its log is not nothing at all. */
static void report_no_log(const char *path, int fd)
{
	fprintf(stderr,
		"(nothing from its console in %s%s; xl dmesg has what it printed in other ways, "
		"SBI DBCN or console_io)\n",
		path, fd < 0 && errno != ENOENT ? ": it cannot be read" : "");
}

void console_log_tail(const char *name, int lines)
{
	char *path = xl_sprintf(XL_CONSOLE_LOG_DIR "/guest-%s.log", name), buf[8192], *shown;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	const char *p, *end, *nl;
	ssize_t n = 0;

	if (size > 0)
		n = pread(fd, buf, sizeof(buf),
			  size > (off_t)sizeof(buf) ? size - (off_t)sizeof(buf) : 0);
	if (is_full(XL_CONSOLE_LOG_DIR))
		fprintf(stderr, "(%s lacks what it printed last: the file system is full)\n", path);
	else if (n <= 0)
		report_no_log(path, fd);
	if (fd >= 0)
		close(fd);
	if (n <= 0) {
		free(path);
		return;
	}
	end = buf + n;
	for (p = end - 1; p > buf; p--)
		if (p[-1] == '\n' && !lines--)
			break;
	fprintf(stderr, "Its last lines, from %s:\n", path);
	for (; p < end; p = nl + 1) {
		nl = memchr(p, '\n', end - p);
		if (!nl)
			nl = end;
		n = nl - p;
		while (n && p[n - 1] == '\r')
			n--;
		shown = n ? pv_text_show(p, n) : NULL;
		if (shown)
			fprintf(stderr, "    %s\n", shown);
		free(shown);
	}
	free(path);
}
