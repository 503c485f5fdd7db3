// SPDX-License-Identifier: BSD-2-Clause
/*
 * Everyone xl talks to through xenstore, in one process: blkback, netback, xenconsoled, and the
 * guests. Owns their behaviour as the protocol asks for it. A guest's name says how it lives:
 * crash* panics as soon as it runs, quick* powers off then, boot* reboots twice and then stays,
 * again* reboots whenever it runs, deaf* never answers a shutdown request nor gives a device or memory back, mute*
 * has no back ends, driver* has some for others, late* has one that connects once more when it is asked to close, lost* loses its disk's back end, busy* keeps its back ends' ports bound, sleep* offers to suspend itself and does,
 * but sleepless* only takes the request, sleepodd* writes another one in its place, and sleepdeaf* does not even do that, *.boot does what the test's script $BOOT_HOOK says.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <pavise.h>
#include <xenstore.h>

#include "fake.h"

#include <xen/sched.h>

static struct xs_handle *xs;
static struct fake *hv;
static const char *log_dir, *net_dir;
static int boots;

static char *get(const char *dir, const char *leaf)
{
	char path[256];
	unsigned int len;

	snprintf(path, sizeof(path), "%s/%s", dir, leaf);
	return xs_read(xs, XBT_NULL, path, &len);
}

/* If @beside is there: never brings back what was just removed, nor what is removed meanwhile. */
static void put_beside(const char *dir, const char *beside, const char *leaf, const char *value)
{
	char look[256], path[256];
	xs_transaction_t t;
	unsigned int len;
	void *there;

	snprintf(look, sizeof(look), "%s/%s", dir, beside);
	snprintf(path, sizeof(path), "%s/%s", dir, leaf);
	do {
		t = xs_transaction_start(xs);
		if (t == XBT_NULL)
			return;
		there = xs_read(xs, t, look, &len);
		if (there)
			xs_write(xs, t, path, value, strlen(value));
		free(there);
	} while (!xs_transaction_end(xs, t, !there) && errno == EAGAIN);
}

static void put(const char *dir, const char *leaf, const char *value)
{
	put_beside(dir, leaf, leaf, value);
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

static bool called(unsigned int domid, const char *prefix)
{
	char dir[64], *name;
	bool is;

	snprintf(dir, sizeof(dir), "/local/domain/%u", domid);
	name = get(dir, "name");
	is = name && !strncmp(name, prefix, strlen(prefix));
	free(name);
	return is;
}

/* netback's interface in dom0 is a directory with the names that vif-bridge looks at. */
static void interface(const char *kind, unsigned int domid, const char *devid, bool there)
{
	char path[512], cmd[2000];

	if (strcmp(kind, "vif"))
		return;
	snprintf(path, sizeof(path), "%s/vif%u.%s", net_dir, domid, devid);
	if (there)
		snprintf(cmd, sizeof(cmd), "mkdir %s && ln -s ../vif-%u-%s %s/device", path, domid,
			 devid, path);
	else /* whatever it is called by now; under the lock of who gives it its name, as in the kernel */
		snprintf(cmd, sizeof(cmd),
			 "exec 9>%s/../net-lock; flock 9; for d in %s/*; do case $(readlink "
			 "$d/device) in ../vif-%u-%s) rm -r $d;; esac; done",
			 net_dir, net_dir, domid, devid);
	if (system(cmd))
		fprintf(stderr, "failed: %s\n", cmd);
}

/* --- drivers: dom0's kernel as $root/sysbackend shows it, once the test has made that; bind and unbind are FIFOs there --- */

static char sys_dir[400];
static int sys_fifo[2][2]; /* of vbd and vif: bind and unbind */
static const char *const sys_kind[] = { "vbd", "vif" }, *const sys_what[] = { "bind", "unbind" };
static uint8_t bound[1 << 16]; /* devices of each domain that are connected */

static bool sys_begin(void)
{
	static bool begun;
	char path[480];
	int k, w;

	snprintf(sys_dir, sizeof(sys_dir), "%s/../sysbackend", net_dir);
	snprintf(path, sizeof(path), "%s/ready", sys_dir);
	if (begun || access(path, F_OK))
		return begun;
	for (k = 0; k < 2; k++)
		for (w = 0; w < 2; w++) {
			snprintf(path, sizeof(path), "%s/drivers/%s/%s", sys_dir, sys_kind[k],
				 sys_what[w]);
			sys_fifo[k][w] = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		}
	return begun = true;
}

static void sys_device(const char *kind, unsigned int domid, const char *devid, const char *end,
		       char path[480])
{
	snprintf(path, 480, "%s/devices/%s-%u-%s%s", sys_dir, kind, domid, devid, end);
}

static void sys_serve(const char *kind, unsigned int domid, const char *devid)
{
	char path[480];

	sys_device(kind, domid, devid, "", path);
	mkdir(path, 0700);
	sys_device(kind, domid, devid, "/driver", path);
	mkdir(path, 0700);
}

static bool sys_served(const char *kind, unsigned int domid, const char *devid)
{
	char path[480];

	sys_device(kind, domid, devid, "/driver", path);
	return !access(path, F_OK);
}

/* The state stays as it is, unless somebody wants it closed; netback takes its interface along. */
static void sys_unbind(const char *kind, unsigned int domid, const char *devid, const char *be)
{
	char path[480];

	sys_device(kind, domid, devid, "/driver", path);
	if (rmdir(path))
		return;
	interface(kind, domid, devid, false);
	snprintf(path, sizeof(path), "%s/hotplug-status", be);
	if (!strcmp(kind, "vif"))
		xs_rm(xs, XBT_NULL, path);
	if (is(be, "state", "5"))
		put(be, "state", "6");
}

static void offer(const char *be);

static void sys_bind(const char *kind, unsigned int domid, const char *devid, const char *be)
{
	char *state = get(be, "state");

	if (!state || sys_served(kind, domid, devid)) {
		free(state);
		return;
	}
	free(state);
	interface(kind, domid, devid, true);
	if (!strcmp(kind, "vif"))
		offer(be);
	put(be, "state", "2");
	sys_serve(kind, domid, devid);
}

/* What has been written to bind and unbind, one device a line. */
static void sys_look(void)
{
	char text[2048], be[480], devid[24], *line, *next, kind[8];
	unsigned int domid;
	ssize_t n;
	int k, w;

	for (k = 0; k < 2; k++)
		for (w = 0; w < 2; w++) {
			n = read(sys_fifo[k][w], text, sizeof(text) - 1);
			text[n > 0 ? n : 0] = '\0';
			for (line = strtok_r(text, "\n", &next); line;
			     line = strtok_r(NULL, "\n", &next)) {
				if (sscanf(line, "%7[a-z]-%u-%20s", kind, &domid, devid) != 3)
					continue;
				snprintf(be, sizeof(be), "/local/domain/0/backend/%s/%u/%s", kind,
					 domid, devid);
				(w ? sys_unbind : sys_bind)(kind, domid, devid, be);
			}
		}
}

/* A device whose nodes are gone goes, too. */
static void sys_sweep(void)
{
	char path[480], kind[8], devid[24];
	unsigned int domid;
	struct dirent *e;
	void *state;
	DIR *d;

	snprintf(path, sizeof(path), "%s/devices", sys_dir);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		if (sscanf(e->d_name, "%7[a-z]-%u-%20s", kind, &domid, devid) != 3)
			continue;
		snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u/%s", kind, domid,
			 devid);
		state = get(path, "state");
		if (!state) {
			sys_device(kind, domid, devid, "/driver", path);
			rmdir(path);
			sys_device(kind, domid, devid, "", path);
			rmdir(path);
		}
		free(state);
	}
	if (d)
		closedir(d);
}

static void sys_count(void)
{
	int i;

	for (i = 0; i < FAKE_DOMAINS; i++) {
		struct fake_domain *d = &hv->dom[i];

		if (d->used)
			__atomic_store_n(&d->bound,
					 bound[(uint16_t)d->domid] || called(d->domid, "busy"),
					 __ATOMIC_SEQ_CST);
	}
	memset(bound, 0, sizeof(bound));
}

/* As xenbus_dev_fatal() in dom0's kernel. */
static void give_up(const char *be, unsigned int domid)
{
	char path[320];

	if (!called(domid, "lost") || !strstr(be, "/vbd/") || !is(be, "online", "1"))
		return;
	snprintf(path, sizeof(path), "/local/domain/0/error%s/error",
		 be + strlen("/local/domain/0"));
	xs_write(xs, XBT_NULL, path, "pretended", 9);
	put(be, "state", "5");
}

/* netback makes this node; all others that it writes are there. */
static void offer(const char *be)
{
	char path[480], text[16] = "2";
	FILE *f;

	snprintf(path, sizeof(path), "%s/../queues", net_dir);
	f = fopen(path, "re");
	if (f && fscanf(f, "%15s", text) != 1)
		strcpy(text, "2");
	if (f)
		fclose(f);
	put_beside(be, "state", "multi-queue-max-queues", text);
}

/* A driver that was about to write that it is connected when it was asked to let go. */
static bool connects_late(const char *be, unsigned int domid)
{
	static unsigned int done;

	if (done == domid || !called(domid, "late"))
		return false;
	done = domid;
	put(be, "state", "4");
	return true;
}

static void one_device(const char *kind, const char *be, unsigned int domid, const char *devid)
{
	char *fe = get(be, "frontend"), *state = fe ? get(fe, "state") : NULL;
	struct fake_domain *d = domain(domid);
	bool sys = sys_begin() && !strncmp(be, "/local/domain/0/", 16);

	if (!fe)
		return;
	if (sys && !is(be, "state", "1") && !sys_served(kind, domid, devid)) {
		free(state);
		free(fe);
		return;
	}
	if (!state || is(fe, "state", "6")) {
		if (!is(be, "state", "6")) {
			interface(kind, domid, devid, false);
			put(be, "state", "6");
		}
	} else if (is(be, "state", "5")) {
		/* The front end follows, unless the guest does not run. */
		if (!connects_late(be, domid) && d && d->started &&
		    !(d->flags & XEN_DOMINF_paused) && !called(domid, "deaf"))
			put(fe, "state", "6");
	} else if (is(be, "state", "1") && !called(domid, "mute")) {
		interface(kind, domid, devid, true);
		if (!strcmp(kind, "vif"))
			offer(be);
		if (sys)
			sys_serve(kind, domid, devid);
		put(be, "state", "2");
	} else if (is(be, "state", "2") && is(be, "hotplug-status", "connected") && d &&
		   (d->started || is(fe, "state", "4"))) {
		/* A front end that is there already is connected to, too. */
		put(fe, "state", "4");
		put(be, "state", "4");
	} else if (is(be, "state", "4")) {
		give_up(be, domid);
		bound[(uint16_t)domid] |= sys;
	}
	free(state);
	free(fe);
}

/* Of dom0's kernel (0) or a driver domain's. */
static void all_devices(unsigned int backend, const char *kind)
{
	unsigned int n, m, i, j;
	char base[64], **doms, **devs, path[256];

	snprintf(base, sizeof(base), "/local/domain/%u/backend/%s", backend, kind);
	doms = xs_directory(xs, XBT_NULL, base, &n);
	for (i = 0; doms && i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", base, doms[i]);
		devs = xs_directory(xs, XBT_NULL, path, &m);
		for (j = 0; devs && j < m; j++) {
			snprintf(path, sizeof(path), "%s/%s/%s", base, doms[i], devs[j]);
			one_device(kind, path, atoi(doms[i]), devs[j]);
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

static void print_log(const char *name, const char *text, size_t n)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/guest-%s.log", log_dir, name);
	f = fopen(path, "w");
	if (f) {
		fwrite(text, 1, n, f);
		fclose(f);
	}
}

/* The boot loader's guest: the test's own script says what it finds, and how it ends; with 3 it does not. */
static void read_disk(struct fake_domain *d, const char *name)
{
	char command[256];
	int status;

	snprintf(command, sizeof(command), "sh \"$BOOT_HOOK\" %s", name);
	status = system(command);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 3)
		end(d, status ? SHUTDOWN_crash : SHUTDOWN_poweroff);
}

/* The balloon driver: 1 MiB at a time, beside the two pages of its rings. */
static void balloon(struct fake_domain *d, const char *dir, const char *name)
{
	char *text = get(dir, "memory/target");
	uint64_t want = text ? strtoull(text, NULL, 10) / 4 + 2 : d->pages, step;

	free(text);
	if (!d->started || d->flags & (XEN_DOMINF_paused | XEN_DOMINF_shutdown) ||
	    !strncmp(name, "deaf", 4))
		return;
	step = want > d->pages ? want - d->pages : d->pages - want;
	step = step < 256 ? step : 256;
	if (want > d->pages && d->pages + step <= d->max_pages && step <= hv->free_pages) {
		__atomic_fetch_sub(&hv->free_pages, step, __ATOMIC_SEQ_CST);
		d->pages += step;
	} else if (want < d->pages) {
		d->pages -= step;
		__atomic_fetch_add(&hv->free_pages, step, __ATOMIC_SEQ_CST);
	}
}

/* CPU hotplug as Linux has it. */
static void processors(struct fake_domain *d, const char *dir, const char *name)
{
	unsigned int i, n = 0;
	char leaf[32];

	if (!d->started || d->flags & (XEN_DOMINF_paused | XEN_DOMINF_shutdown) ||
	    (d->online && !strncmp(name, "deaf", 4)))
		return;
	for (i = 0; i < d->vcpus; i++) {
		snprintf(leaf, sizeof(leaf), "cpu/%u/availability", i);
		n += is(dir, leaf, "online");
	}
	d->online = n;
}

static void suspend(struct fake_domain *d, const char *dir, const char *name)
{
	bool odd = !strncmp(name, "sleepodd", 8);

	put(dir, "control/shutdown", odd ? "odd" : "");
	if (!odd && strncmp(name, "sleepless", 9))
		end(d, SHUTDOWN_suspend);
}

/* xenconsoled's part of channels: a socket called refused cannot be made, and a mute guest's are not looked at. */
static void channels(unsigned int domid)
{
	char path[64], dir[320], node[400], **devs, *socket;
	unsigned int n, i;

	snprintf(path, sizeof(path), "/local/domain/0/backend/console/%u", domid);
	devs = xs_directory(xs, XBT_NULL, path, &n);
	for (i = 0; devs && i < n; i++) {
		snprintf(dir, sizeof(dir), "%s/%s", path, devs[i]);
		if (!strcmp(devs[i], "0") || called(domid, "mute"))
			continue;
		if (is(dir, "online", "0"))
			put(dir, "state", "6");
		if (!is(dir, "state", "1"))
			continue;
		socket = get(dir, "path");
		snprintf(node, sizeof(node), "%s/%s", dir, socket ? "error" : "tty");
		if (!socket)
			xs_write(xs, XBT_NULL, node, "/dev/null", 9);
		else if (strstr(socket, "refused"))
			xs_write(xs, XBT_NULL, node, "pretended", 9);
		put(dir, "state", socket && strstr(socket, "refused") ? "6" : "2");
		free(socket);
	}
	free(devs);
}

static void one_guest(struct fake_domain *d)
{
	/* Its last line asks the terminal where its cursor is, in two ways, and has a NUL. */
	static const char printed[] = "Linux version\r\nKernel panic - not syncing\r\n"
				      "\x1b[6n-\0-\x9b"
				      "6n\r\n";
	char dir[64], *name, *request;

	snprintf(dir, sizeof(dir), "/local/domain/%u", d->domid);
	name = get(dir, "name");
	if (!name)
		return;
	if (is(dir, "console/tty", "")) {
		put(dir, "console/tty", "/dev/null");
		put(dir, "console/socket", getenv("FAKE_CONSOLE") ?: "/nowhere");
	}
	channels(d->domid);
	if (d->started == 1) {
		d->started = 2;
		if (strcmp(name, "crash-mute"))
			print_log(name, printed, sizeof(printed) - 1);
		if (!strncmp(name, "crash", 5))
			end(d, SHUTDOWN_crash);
		else if (strlen(name) > 5 && !strcmp(name + strlen(name) - 5, ".boot"))
			read_disk(d, name);
		else if (!strncmp(name, "quick", 5))
			end(d, SHUTDOWN_poweroff);
		else if (!strncmp(name, "again", 5) || (!strncmp(name, "boot", 4) && boots++ < 2))
			end(d, SHUTDOWN_reboot);
	}
	if (!strncmp(name, "sleep", 5) && is(dir, "control/feature-suspend", ""))
		put(dir, "control/feature-suspend", "1");
	balloon(d, dir, name);
	processors(d, dir, name);
	request = get(dir, "control/sysrq");
	if (request && *request && strncmp(name, "deaf", 4) && !(d->flags & XEN_DOMINF_paused)) {
		/* In this order: whoever sees the request taken looks at the log. */
		print_log(name, request, 1);
		put(dir, "control/sysrq", "");
		if (*request == 'c')
			end(d, SHUTDOWN_crash);
	}
	free(request);
	request = get(dir, "control/shutdown");
	if (request && *request && strncmp(name, "deaf", 4) && strncmp(name, "sleepdeaf", 9) &&
	    !(d->flags & XEN_DOMINF_paused)) {
		if (!strcmp(request, "suspend"))
			suspend(d, dir, name);
		else if (strcmp(request, "odd")) {
			put(dir, "control/shutdown", "");
			end(d, strcmp(request, "reboot") ? SHUTDOWN_poweroff : SHUTDOWN_reboot);
		}
	}
	free(request);
	free(name);
}

int main(int argc, char **argv)
{
	int i;

	if (argc != 3)
		return 2;
	log_dir = argv[1];
	net_dir = argv[2];
	hv = fake_map();
	xs = xs_open(0);
	if (!xs)
		return 1;
	for (;;) {
		if (sys_begin())
			sys_look();
		all_devices(0, "vbd");
		all_devices(0, "vif");
		if (sys_begin()) {
			sys_sweep();
			sys_count();
		}
		for (i = 0; i < FAKE_DOMAINS; i++) {
			if (!hv->dom[i].used)
				continue;
			one_guest(&hv->dom[i]);
			if (hv->dom[i].started && called(hv->dom[i].domid, "driver")) {
				all_devices(hv->dom[i].domid, "vbd");
				all_devices(hv->dom[i].domid, "vif");
			}
		}
		poll(NULL, 0, 5);
	}
}
