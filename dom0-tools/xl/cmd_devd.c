// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl devd: runs in a driver domain and does there what xl does in dom0 for dom0's own back ends: the hotplug script
 * of each device that dom0 offers to this domain, and its undoing when the device goes.
 * Owns no state but what xenstore has: started again it goes on where it was. Asks the hypervisor nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"

#include <xen/io/xenbus.h>

/* A driver that was taken off a device by hand changes no node. */
#ifndef LOOK_MS
#define LOOK_MS 5000
#endif
/* Where this domain's own nodes are: xenstored takes relative paths to be there. */
#ifndef XL_HOME
#define XL_HOME ""
#endif

struct devd {
	struct xl xl; /* without a hypervisor */
	uint32_t domid; /* this domain's */
};

/* --- one device ------------------------------------------------------------------------------ */

static bool is(struct xl *xl, const char *be, const char *leaf, const char *value)
{
	char *v = st_read(xl, XBT_NULL, "%s/%s", be, leaf);
	bool same = v && !strcmp(v, value);

	free(v);
	return same;
}

/* The back end is ready: it may have its device. What a script that ran says is in xenstore already. */
static void start(struct xl *xl, const struct device *d, const char *script)
{
	char *status;

	hotplug_run(d, script, d->kind->start);
	status = st_read(xl, XBT_NULL, "%s/hotplug-status", d->be);
	if (!status && is(xl, d->be, "online", "1")) {
		st_write(xl, XBT_NULL,
			 "the script failed, see " HOTPLUG_LOG " in the driver domain",
			 "%s/hotplug-error", d->be);
		st_write(xl, XBT_NULL, "error", "%s/hotplug-status", d->be);
	}
	free(status);
}

/* dom0 waits for hotplug-status to go, and removes all the rest. */
static void stop(struct xl *xl, const struct device *d, const char *script)
{
	hotplug_run(d, script, d->kind->stop);
	st_remove(xl, XBT_NULL, "%s/hotplug-status", d->be);
}

static void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

static void look_at(struct devd *v, const struct device_kind *kind, const char *guest,
		    const char *devid)
{
	struct xl *xl = &v->xl;
	struct device d = { .kind = kind, .backend = v->domid };
	char *end, *script, *status;
	long state;

	d.domid = strtoul(guest, &end, 10);
	if (*end)
		return;
	d.devid = strtoul(devid, &end, 10);
	if (*end)
		return;
	d.be = xl_sprintf("/local/domain/%u/backend/%s/%u/%u", v->domid, kind->name, d.domid,
			  d.devid);
	script = st_read(xl, XBT_NULL, "%s/script", d.be);
	status = st_read(xl, XBT_NULL, "%s/hotplug-status", d.be);
	state = st_read_long(xl, "%s/state", d.be);
	if (script && is(xl, d.be, "online", "1")) {
		if (!status && state >= XenbusStateInitWait && state <= XenbusStateConnected)
			start(xl, &d, script);
		if (kind->net)
			device_hold_rate(xl, d.domid, d.devid, d.be, say);
	} else if (script && status) {
		if (state == XenbusStateClosed || backend_unbound(kind->name, d.domid, devid))
			stop(xl, &d, script);
	}
	free(script);
	free(status);
	free(d.be);
}

static void look(struct devd *v)
{
	static const struct device_kind *const kinds[] = { &device_vbd, &device_vif };
	unsigned int guests, devs, i, j, k;
	char **guest, **dev;

	for (k = 0; k < pv_container_size(kinds); k++) {
		guest = st_list(&v->xl, &guests, "/local/domain/%u/backend/%s", v->domid,
				kinds[k]->name);
		for (i = 0; i < guests; i++) {
			dev = st_list(&v->xl, &devs, "/local/domain/%u/backend/%s/%s", v->domid,
				      kinds[k]->name, guest[i]);
			for (j = 0; j < devs; j++)
				look_at(v, kinds[k], guest[i], dev[j]);
			free(dev);
		}
		free(guest);
	}
}

/* --- the daemon ------------------------------------------------------------------------------ */

/* True at the end that is wanted, false when xenstore is lost. */
static bool serve(struct devd *v)
{
	struct pollfd pfd = { .fd = xs_fileno(v->xl.xs), .events = POLLIN };
	char **event;

	while (!xl_interrupted) {
		errno = EAGAIN;
		while ((event = xs_check_watch(v->xl.xs)))
			free(event);
		if (errno != EAGAIN)
			return false;
		look(v);
		poll(&pfd, 1, LOOK_MS);
	}
	return true;
}

static int connect_store(struct devd *v)
{
	char *path, *libxl;
	long domid;
	bool ok;

	/* In a guest there is the kernel's device only. */
	v->xl.xs = xs_open(0);
	if (!v->xl.xs)
		return xl_error("cannot reach xenstore: %s", strerror(errno));
	domid = st_read_long(&v->xl, "%sdomid", XL_HOME);
	libxl = st_read(&v->xl, XBT_NULL, "%slibxl", XL_HOME);
	ok = domid > 0 && libxl;
	free(libxl);
	if (!ok)
		return xl_error(
			"this is no driver domain: xl devd runs in a guest whose configuration "
			"says driver_domain=1%s",
			domid ? "" : "; dom0 needs none");
	v->domid = domid;
	path = xl_sprintf("/local/domain/%u/backend", v->domid);
	ok = xs_watch(v->xl.xs, path, "backend");
	free(path);
	return ok ? 0 : xl_error("cannot watch the back ends: %s", strerror(errno));
}

static int write_pidfile(const char *path)
{
	FILE *f = path ? fopen(path, "we") : NULL;
	bool bad;

	if (!path)
		return 0;
	bad = !f || fprintf(f, "%d\n", getpid()) < 0;
	if (f && fclose(f))
		bad = true;
	return bad ? xl_error("%s: %s", path, strerror(errno)) : 0;
}

/* The parent ends with 0 once the daemon serves. */
static int become_daemon(void)
{
	int fd;
	pid_t pid = fork();

	if (pid < 0)
		return xl_error("cannot start the daemon: %s", strerror(errno));
	if (pid)
		_exit(0);
	setsid();
	fd = open("/dev/null", O_RDWR);
	dup2(fd, 0);
	close(fd);
	fd = xl_log_open(XL_LOG_DIR "/devd.log");
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
		close(fd);
	}
	return 0;
}

int cmd_devd(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "foreground", no_argument, NULL, 'F' },
		{ "pidfile", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *pidfile = NULL;
	bool foreground = false;
	struct devd v = { 0 };
	int c, rc;

	while ((c = getopt_long(argc, argv, "Fp:h", longs, NULL)) != -1) {
		if (c == 'F')
			foreground = true;
		else if (c == 'p')
			pidfile = optarg;
		else
			return command_usage("devd", c == 'h');
	}
	if (optind != argc)
		return command_usage("devd", false);
	xl_catch_signals();
	signal(SIGPIPE, SIG_IGN);
	/* The connection is not one that a fork could share: first that it can be had, then again in the daemon. */
	rc = connect_store(&v);
	if (!rc && !foreground) {
		xs_close(v.xl.xs);
		rc = become_daemon();
		v.xl.xs = NULL;
		rc = rc ? rc : connect_store(&v);
	}
	if (!rc)
		rc = write_pidfile(pidfile);
	if (!rc && !serve(&v))
		rc = xl_error("xenstore is lost");
	if (v.xl.xs)
		xs_close(v.xl.xs);
	return rc ? 1 : 0;
}
