// SPDX-License-Identifier: BSD-2-Clause
/*
 * PV devices: the nodes that front end and back end find each other by, and the hotplug scripts.
 * Owns setting up and taking down one device; the guest's own nodes are never trusted for it, the
 * list of what exists is in our private records.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xl.h"

#include <xen/io/xenbus.h>

#define BACKEND_WAIT_MS 20000 /* an emulated, busy dom0 is slow */
#define HOTPLUG_WAIT_MS 30000
#define HOTPLUG_LOG XL_LOG_DIR "/xen-hotplug.log"

int device_check_disk(struct xl_config *cfg, const struct xl_disk *d)
{
	struct stat st;
	int fd;

	if (stat(d->target, &st)) {
		config_error(cfg, "disk", d->line, "%s: %s", d->target, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		config_error(cfg, "disk", d->line, "%s: neither a regular file nor a block device",
			     d->target);
		return -1;
	}
	if (S_ISREG(st.st_mode) && st.st_size < 512) {
		config_error(cfg, "disk", d->line, "%s: too small for a disk (%lld bytes)",
			     d->target, (long long)st.st_size);
		return -1;
	}
	/* Opening finds read-only file systems and dead devices; nothing is written. */
	fd = open(d->target, (d->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		config_error(cfg, "disk", d->line, "%s: cannot open for %s: %s", d->target,
			     d->readonly ? "reading" : "writing", strerror(errno));
		return -1;
	}
	close(fd);
	return 0;
}

/* --- hotplug scripts ------------------------------------------------------------------------- */

static void exec_script(const char *script, const char *verb, const char *backend)
{
	char *env_path = xl_sprintf("XENBUS_PATH=%s", backend);
	char *env_type = xl_sprintf("XENBUS_TYPE=vbd");
	char *env[] = { env_path, env_type,
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	char *argv[] = { (char *)script, (char *)verb, NULL };
	int fd;

	setpgid(0, 0);
	fd = open("/dev/null", O_RDONLY);
	dup2(fd, 0);
	xl_mkdir(XL_LOG_DIR);
	fd = open(HOTPLUG_LOG, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
	}
	closefrom(3);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	execve(script, argv, env);
	_exit(127);
}

/* Runs a script to its end. Its own report is in xenstore; this is about running at all. */
static int run_script(const char *script, const char *verb, const char *backend)
{
	int64_t end = xl_now() + HOTPLUG_WAIT_MS;
	int status, ms = 1;
	pid_t pid, got;

	pid = fork();
	if (pid < 0)
		return xl_error("%s: cannot start: %s", script, strerror(errno));
	if (!pid)
		exec_script(script, verb, backend);
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

/* --- one device ------------------------------------------------------------------------------ */

static char *backend_path(uint32_t domid, unsigned int devid)
{
	return xl_sprintf("/local/domain/0/backend/vbd/%u/%u", domid, devid);
}

/*
 * dom0's kernel has unregistered the device (or never had it), or no driver serves it. A back end that was just connecting
 * when it was told to close may have written Connected over Closing; then the node never says Closed, although all is done.
 */
static bool backend_done(const char *backend)
{
	const char *p = strstr(backend, "/backend/");
	char kind[32], devid[32];
	unsigned int domid;

	return p && sscanf(p, "/backend/%31[^/]/%u/%31[^/]", kind, &domid, devid) == 3 &&
	       backend_unbound(kind, domid, devid);
}

/* Polls until the back end is in @state or gone. Returns the last state seen, -1 when gone. */
static long wait_state(struct xl *xl, const char *backend, long state, int timeout)
{
	int64_t end = xl_now() + timeout;
	long now;
	int ms = 2;

	for (;;) {
		now = st_read_long(xl, "%s/state", backend);
		if (now == state || now < 0 || xl_now() > end)
			return now;
		if (state == XenbusStateClosed && backend_done(backend))
			return state;
		/* A back end that gave up will not come back. */
		if (state == XenbusStateInitWait && now > XenbusStateConnected)
			return now;
		xl_sleep(ms);
		if (ms < 50)
			ms *= 2;
	}
}

static bool write_disk_nodes(struct xl *xl, xs_transaction_t t, uint32_t domid,
			     const struct xl_disk *d, const char *be)
{
	char fe[80], dom[16], dev[16];
	bool ok;

	snprintf(fe, sizeof(fe), "/local/domain/%u/device/vbd/%u", domid, d->devid);
	snprintf(dom, sizeof(dom), "%u", domid);
	snprintf(dev, sizeof(dev), "%u", d->devid);
	ok = st_write(xl, t, be, XL_PRIVATE "/%u/device/vbd/%u", domid, d->devid);

	ok = ok && st_dir(xl, t, domid, 0, "%s", fe);
	ok = ok && st_write(xl, t, be, "%s/backend", fe);
	ok = ok && st_write(xl, t, "0", "%s/backend-id", fe);
	ok = ok && st_write(xl, t, "1", "%s/state", fe);
	ok = ok && st_write(xl, t, dev, "%s/virtual-device", fe);
	ok = ok && st_write(xl, t, "disk", "%s/device-type", fe);

	ok = ok && st_dir(xl, t, 0, domid, "%s", be);
	ok = ok && st_write(xl, t, fe, "%s/frontend", be);
	ok = ok && st_write(xl, t, dom, "%s/frontend-id", be);
	ok = ok && st_write(xl, t, d->target, "%s/params", be);
	ok = ok && st_write(xl, t, XL_SCRIPT_DIR "/block", "%s/script", be);
	ok = ok && st_write(xl, t, "1", "%s/online", be);
	ok = ok && st_write(xl, t, "0", "%s/removable", be);
	ok = ok && st_write(xl, t, "1", "%s/bootable", be);
	ok = ok && st_write(xl, t, d->vdev, "%s/dev", be);
	ok = ok && st_write(xl, t, "phy", "%s/type", be);
	ok = ok && st_write(xl, t, d->readonly ? "r" : "w", "%s/mode", be);
	ok = ok && st_write(xl, t, "disk", "%s/device-type", be);
	ok = ok && st_write(xl, t, "1", "%s/state", be);
	return ok;
}

static int create_disk_nodes(struct xl *xl, uint32_t domid, const struct xl_disk *d, const char *be)
{
	xs_transaction_t t;
	bool ok;

	do {
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			break;
		ok = write_disk_nodes(xl, t, domid, d, be);
		if (!ok) {
			int saved = errno;

			xs_transaction_end(xl->xs, t, true);
			errno = saved;
			break;
		}
		if (xs_transaction_end(xl->xs, t, false))
			return 0;
	} while (errno == EAGAIN);
	return xl_error("cannot write disk %s to xenstore: %s", d->vdev, strerror(errno));
}

int device_add_disk(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct xl_disk *d)
{
	char *be = backend_path(domid, d->devid), *status = NULL, *why = NULL;
	long state;
	int rc = -1;

	if (create_disk_nodes(xl, domid, d, be))
		goto out;
	state = wait_state(xl, be, XenbusStateInitWait, BACKEND_WAIT_MS);
	if (state != XenbusStateInitWait) {
		config_error(cfg, "disk", d->line,
			     "the back end of %s does not answer (state %ld after %d s): is "
			     "xen-blkback in dom0's kernel?",
			     d->vdev, state, BACKEND_WAIT_MS / 1000);
		goto out;
	}
	rc = run_script(XL_SCRIPT_DIR "/block", "add", be);
	status = st_read(xl, XBT_NULL, "%s/hotplug-status", be);
	if (rc || !status || strcmp(status, "connected")) {
		why = st_read(xl, XBT_NULL, "%s/hotplug-error", be);
		config_error(cfg, "disk", d->line, "%s: %s", d->target,
			     why ? why : "the block script failed, see " HOTPLUG_LOG);
		rc = -1;
	}
out:
	free(status);
	free(why);
	free(be);
	return rc;
}

/* --- taking down ----------------------------------------------------------------------------- */

/*
 * Tells the back end to let go. Without its front end's nodes it disconnects at once, whatever
 * the guest had been doing.
 */
static void disconnect(struct xl *xl, uint32_t domid, const char *kind, const char *devid,
		       const char *be)
{
	xs_transaction_t t;
	char *state;

	do {
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			return;
		state = st_read(xl, t, "%s/state", be);
		if (state) {
			st_write(xl, t, "0", "%s/online", be);
			if (atoi(state) != XenbusStateClosed)
				st_write(xl, t, "5", "%s/state", be); /* Closing */
		}
		free(state);
		st_remove(xl, t, "/local/domain/%u/device/%s/%s", domid, kind, devid);
	} while (!xs_transaction_end(xl->xs, t, false) && errno == EAGAIN);
}

struct doomed {
	char *kind, *devid, *be;
	bool probed;
};

static void finish(struct xl *xl, const struct doomed *d)
{
	/* Not probed: no back end has ever looked at it, so none will close it. */
	long state = wait_state(xl, d->be, XenbusStateClosed, d->probed ? BACKEND_WAIT_MS : 500);
	char *script;

	if (d->probed && state >= 0 && state != XenbusStateClosed)
		xl_error("%s: the back end does not let go (state %ld); removed all the same",
			 d->be, state);
	script = st_read(xl, XBT_NULL, "%s/script", d->be);
	if (script)
		run_script(script, "remove", d->be);
	free(script);
	st_prune(xl, d->be, "/local/domain/0/backend");
	xs_rm(xl->xs, XBT_NULL, d->be);
}

static void add_doomed(struct xl *xl, struct doomed **list, int *nr, uint32_t domid,
		       const char *kind, const char *devid)
{
	struct doomed *more, d;

	d.be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/%s/%s", domid, kind, devid);
	if (!d.be)
		return;
	d.kind = xl_sprintf("%s", kind);
	d.devid = xl_sprintf("%s", devid);
	d.probed = st_read_long(xl, "%s/state", d.be) > XenbusStateInitialising;
	more = realloc(*list, (*nr + 1) * sizeof(*more));
	if (!more)
		abort();
	*list = more;
	more[(*nr)++] = d;
}

void device_remove_all(struct xl *xl, uint32_t domid)
{
	struct doomed *list = NULL;
	unsigned int kinds, devs, i, j;
	char **kind, **dev;
	int nr = 0, n;

	kind = st_list(xl, &kinds, XL_PRIVATE "/%u/device", domid);
	for (i = 0; i < kinds; i++) {
		dev = st_list(xl, &devs, XL_PRIVATE "/%u/device/%s", domid, kind[i]);
		for (j = 0; j < devs; j++)
			add_doomed(xl, &list, &nr, domid, kind[i], dev[j]);
		free(dev);
	}
	free(kind);
	/* All at once, so that their waits overlap. */
	for (n = 0; n < nr; n++)
		disconnect(xl, domid, list[n].kind, list[n].devid, list[n].be);
	for (n = 0; n < nr; n++) {
		finish(xl, &list[n]);
		st_remove(xl, XBT_NULL, XL_PRIVATE "/%u/device/%s/%s", domid, list[n].kind,
			  list[n].devid);
		free(list[n].kind);
		free(list[n].devid);
		free(list[n].be);
	}
	free(list);
}
