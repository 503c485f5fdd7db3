// SPDX-License-Identifier: BSD-2-Clause
/*
 * Everyone xl talks to through xenstore, in one process: blkback, xenconsoled, and the guests.
 * Owns their behaviour as the protocol asks for it. A guest's name says how it lives:
 * crash* panics as soon as it runs, quick* powers off then, boot* reboots twice and then stays,
 * deaf* never answers a shutdown request.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include <pavise.h>
#include <xenstore.h>

#include "fake.h"

#include <xen/sched.h>

static struct xs_handle *xs;
static struct fake *hv;
static const char *log_dir;
static int boots;

static char *get(const char *dir, const char *leaf)
{
	char path[256];
	unsigned int len;

	snprintf(path, sizeof(path), "%s/%s", dir, leaf);
	return xs_read(xs, XBT_NULL, path, &len);
}

static void put(const char *dir, const char *leaf, const char *value)
{
	char path[256], *there;

	/* Never bring back what was just removed. */
	there = get(dir, leaf);
	if (!there)
		return;
	free(there);
	snprintf(path, sizeof(path), "%s/%s", dir, leaf);
	xs_write(xs, XBT_NULL, path, value, strlen(value));
}

static bool is(const char *dir, const char *leaf, const char *value)
{
	char *v = get(dir, leaf);
	bool same = v && !strcmp(v, value);

	free(v);
	return same;
}

static struct fake_domain *domain(unsigned int domid)
{
	int i;

	for (i = 0; i < FAKE_DOMAINS; i++)
		if (hv->dom[i].used && hv->dom[i].domid == domid)
			return &hv->dom[i];
	return NULL;
}

static void one_vbd(const char *be, unsigned int domid)
{
	char *fe = get(be, "frontend"), *state = fe ? get(fe, "state") : NULL;
	struct fake_domain *d = domain(domid);

	if (!fe)
		return;
	if (!state || is(be, "state", "5")) {
		if (!is(be, "state", "6"))
			put(be, "state", "6");
	} else if (is(be, "state", "1")) {
		put(be, "state", "2");
	} else if (is(be, "state", "2") && is(be, "hotplug-status", "connected") && d &&
		   d->started) {
		put(fe, "state", "4");
		put(be, "state", "4");
	}
	free(state);
	free(fe);
}

static void all_vbds(void)
{
	const char *base = "/local/domain/0/backend/vbd";
	unsigned int n, m, i, j;
	char **doms = xs_directory(xs, XBT_NULL, base, &n), **devs, path[256];

	for (i = 0; doms && i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", base, doms[i]);
		devs = xs_directory(xs, XBT_NULL, path, &m);
		for (j = 0; devs && j < m; j++) {
			snprintf(path, sizeof(path), "%s/%s/%s", base, doms[i], devs[j]);
			one_vbd(path, atoi(doms[i]));
		}
		free(devs);
	}
	free(doms);
}

static void end(struct fake_domain *d, unsigned int reason)
{
	d->flags |= XEN_DOMINF_shutdown | reason << XEN_DOMINF_shutdownshift;
	d->flags &= ~(XEN_DOMINF_blocked | XEN_DOMINF_running);
}

static void print_log(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/guest-%s.log", log_dir, name);
	f = fopen(path, "w");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static void one_guest(struct fake_domain *d)
{
	char dir[64], *name, *request;

	snprintf(dir, sizeof(dir), "/local/domain/%u", d->domid);
	name = get(dir, "name");
	if (!name)
		return;
	if (is(dir, "console/tty", ""))
		put(dir, "console/tty", "/nowhere");
	if (d->started == 1) {
		d->started = 2;
		print_log(name, "Linux version\r\nKernel panic - not syncing\r\n");
		if (!strncmp(name, "crash", 5))
			end(d, SHUTDOWN_crash);
		else if (!strncmp(name, "quick", 5))
			end(d, SHUTDOWN_poweroff);
		else if (!strncmp(name, "boot", 4) && boots++ < 2)
			end(d, SHUTDOWN_reboot);
	}
	request = get(dir, "control/shutdown");
	if (request && *request && strncmp(name, "deaf", 4) && !(d->flags & XEN_DOMINF_paused)) {
		put(dir, "control/shutdown", "");
		end(d, strcmp(request, "reboot") ? SHUTDOWN_poweroff : SHUTDOWN_reboot);
	}
	free(request);
	free(name);
}

int main(int argc, char **argv)
{
	int i;

	if (argc != 2)
		return 2;
	log_dir = argv[1];
	hv = fake_map();
	xs = xs_open(0);
	if (!xs)
		return 1;
	for (;;) {
		all_vbds();
		for (i = 0; i < FAKE_DOMAINS; i++)
			if (hv->dom[i].used)
				one_guest(&hv->dom[i]);
		poll(NULL, 0, 5);
	}
}
