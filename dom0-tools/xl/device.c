// SPDX-License-Identifier: BSD-2-Clause
/*
 * PV devices of any kind: the nodes that front end and back end find each other by, and the
 * hotplug scripts. Owns setting up and taking down one device; the guest's own nodes are never
 * trusted for it, the list of what exists is in our private records.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "events.h"
#include "usage.h"

#include <xen/io/xenbus.h>

#ifndef BACKEND_WAIT_MS
#define BACKEND_WAIT_MS 20000 /* an emulated, busy dom0 is slow */
#endif
#ifndef FRONTEND_WAIT_MS
#define FRONTEND_WAIT_MS 10000 /* a guest that is asked to let go */
#endif
#ifndef HOTPLUG_WAIT_MS
#define HOTPLUG_WAIT_MS 30000
#endif
#ifndef HOTPLUG_QUEUE_MS
#define HOTPLUG_QUEUE_MS 120000 /* until the scripts before this one are done */
#endif
#define BLOCK_SCRIPT XL_SCRIPT_DIR "/block"
#define BLOCK_LOCK XL_RUN_DIR "/block-script.lock"
#define BRIDGE_SCRIPT XL_SCRIPT_DIR "/vif-bridge"
#define BRIDGE_LOCK XL_RUN_DIR "/bridge-script.lock"

static const struct device_kind *const kinds[] = { &device_vbd, &device_vif };

/* One device that exists. */
struct device {
	const struct device_kind *kind;
	uint32_t domid;
	unsigned int devid;
	char *be; /* the back end's directory */
	bool probed;
};

static char *backend_path(const struct device_kind *kind, uint32_t domid, unsigned int devid)
{
	return xl_sprintf("/local/domain/0/backend/%s/%u/%u", kind->name, domid, devid);
}

/* --- hotplug scripts ------------------------------------------------------------------------- */

/*
 * Scripts that choose loop devices run one after the other, and so do those that put a bridge's MTU back, which must not
 * take for the bridge's own what another one's port has just made of it. NULL: this script waits for nobody.
 */
static const char *lock_of(const char *script)
{
	if (!strcmp(script, BLOCK_SCRIPT))
		return BLOCK_LOCK;
	return strcmp(script, BRIDGE_SCRIPT) ? NULL : BRIDGE_LOCK;
}

/*
 * The kernel wakes them in the order in which they came, and
 * lets go when the script and all that it started are gone, also if xl was killed. -1 with errno.
 */
static int wait_for_turn(const char *lock)
{
	int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	while (fd >= 0 && flock(fd, LOCK_EX)) {
		if (errno == EINTR)
			continue;
		close(fd);
		return -1;
	}
	if (fd >= 0 && !ftruncate(fd, 0))
		dprintf(fd, "%d\n", getpid());
	return fd;
}

/* In the child. Environment and arguments are those that Xen's toolstack gives to a script. @go: closed when it runs. */
static void exec_script(const struct device *d, const char *script, const char *verb, int go)
{
	char *env[] = { xl_sprintf("XENBUS_PATH=%s", d->be),
			xl_sprintf("XENBUS_TYPE=%s", d->kind->name), "XENBUS_BASE_PATH=backend",
			xl_sprintf("script=%s", script),
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			/* what Linux's back end calls its interface */
			d->kind->net ? xl_sprintf("vif=vif%u.%u", d->domid, d->devid) : NULL,
			NULL };
	char *argv[] = { (char *)script, (char *)verb, d->kind->net ? "type_if=vif" : NULL, NULL };
	sigset_t none;
	int fd;

	setpgid(0, 0);
	fd = open("/dev/null", O_RDONLY);
	dup2(fd, 0);
	fd = xl_log_open(HOTPLUG_LOG);
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
	}
	fd = lock_of(script) ? wait_for_turn(lock_of(script)) : -1;
	close(go);
	/* The lock stays with the script; without one it runs all the same. */
	if (fd >= 0 && fd != 3)
		dup2(fd, 3);
	else if (fd == 3)
		fcntl(fd, F_SETFD, 0);
	closefrom(fd < 0 ? 3 : 4);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(script, argv, env);
	_exit(127);
}

static void kill_script(pid_t pid)
{
	int status;

	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

/* Until it is the script's turn: @go is closed at its other end then. */
static int await_turn(const struct device *d, const char *script, const char *verb, pid_t pid,
		      int go)
{
	int64_t end = xl_now() + HOTPLUG_QUEUE_MS;
	struct pollfd pfd = { .fd = go, .events = POLLIN };
	char holder[16] = "";
	int fd, rc;

	do {
		rc = poll(&pfd, 1, 1000);
	} while (rc <= 0 && xl_now() < end);
	close(go);
	if (rc > 0)
		return 0;
	kill_script(pid);
	fd = lock_of(script) ? open(lock_of(script), O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		if (read(fd, holder, sizeof(holder) - 1) < 0)
			holder[0] = '\0';
		close(fd);
	}
	return xl_error("%s %s: the scripts of other %s are still not done after %d s (the last "
			"one is process %ld)",
			script, verb, d->kind->net ? "interfaces" : "disks",
			HOTPLUG_QUEUE_MS / 1000, strtol(holder, NULL, 10));
}

/* Runs a script to its end. Its own report is in xenstore; this is about running at all. */
static int run_script(const struct device *d, const char *script, const char *verb)
{
	int status, ms = 1, go[2];
	int64_t end;
	pid_t pid, got;

	if (pipe2(go, O_CLOEXEC))
		return xl_error("%s: cannot start: %s", script, strerror(errno));
	pid = fork();
	if (!pid) {
		close(go[0]);
		exec_script(d, script, verb, go[1]);
	}
	close(go[1]);
	if (pid < 0) {
		close(go[0]);
		return xl_error("%s: cannot start: %s", script, strerror(errno));
	}
	if (await_turn(d, script, verb, pid, go[0]))
		return -1;
	end = xl_now() + HOTPLUG_WAIT_MS;
	for (;;) {
		got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			break;
		if (got < 0 && errno != EINTR)
			return xl_error("%s: lost: %s", script, strerror(errno));
		if (xl_now() > end) {
			kill_script(pid);
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

/* --- states ---------------------------------------------------------------------------------- */

/*
 * dom0's kernel has unregistered the device (or never had it), or no driver serves it. A back end that
 * was just connecting when it was told to close may have written Connected over Closing; then the node
 * never says Closed, although all is done.
 */
static bool backend_done(const struct device *d)
{
	char devid[16];

	snprintf(devid, sizeof(devid), "%u", d->devid);
	return backend_unbound(d->kind->name, d->domid, devid);
}

/*
 * Is its driver still taking it apart? The bus forgets a device before that, /sys/devices only
 * afterwards. One that the bus knows and no driver serves stays as it is.
 */
static bool backend_going(const struct device *d)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/devices/%s-%u-%u", d->kind->name, d->domid, d->devid);
	if (access(path, F_OK))
		return false;
	snprintf(path, sizeof(path), "/sys/bus/xen-backend/devices/%s-%u-%u", d->kind->name,
		 d->domid, d->devid);
	return access(path, F_OK) || !backend_done(d);
}

/* Polls until the back end is in @state or gone. Returns the last state seen, -1 when gone. */
static long wait_state(struct xl *xl, const struct device *d, long state, int timeout)
{
	int64_t end = xl_now() + timeout;
	long now;
	int ms = 2;

	for (;;) {
		now = st_read_long(xl, "%s/state", d->be);
		if (now == state || now < 0 || xl_now() > end)
			return now;
		if (state == XenbusStateClosed && backend_done(d))
			return state;
		/* A back end that gave up will not come back. */
		if (state == XenbusStateInitWait && now > XenbusStateConnected)
			return now;
		xl_sleep(ms);
		if (ms < 50)
			ms *= 2;
	}
}

/* Closed is said before all is gone: an interface or an open disk lasts a moment longer. */
static void wait_gone(const struct device *d)
{
	int64_t end = xl_now() + BACKEND_WAIT_MS;

	while (backend_going(d) && xl_now() < end)
		xl_sleep(5);
}

/* --- setting up ------------------------------------------------------------------------------ */

static bool write_nodes(struct xl *xl, xs_transaction_t t, const struct device *d,
			const struct device_spec *spec)
{
	char fe[80], dom[16], dev[16];
	bool ok;

	snprintf(fe, sizeof(fe), "/local/domain/%u/device/%s/%u", d->domid, d->kind->name,
		 d->devid);
	snprintf(dom, sizeof(dom), "%u", d->domid);
	snprintf(dev, sizeof(dev), "%u", d->devid);
	ok = st_write(xl, t, d->be, XL_PRIVATE "/%u/device/%s/%u", d->domid, d->kind->name,
		      d->devid);

	ok = ok && st_dir(xl, t, d->domid, 0, "%s", fe);
	ok = ok && st_write(xl, t, d->be, "%s/backend", fe);
	ok = ok && st_write(xl, t, "0", "%s/backend-id", fe);

	ok = ok && st_dir(xl, t, 0, d->domid, "%s", d->be);
	ok = ok && st_write(xl, t, fe, "%s/frontend", d->be);
	ok = ok && st_write(xl, t, dom, "%s/frontend-id", d->be);
	ok = ok && st_write(xl, t, spec->script, "%s/script", d->be);
	ok = ok && st_write(xl, t, "1", "%s/online", d->be);
	ok = ok && d->kind->write(xl, t, spec->of_kind, fe, d->be, dev);

	ok = ok && st_write(xl, t, "1", "%s/state", fe);
	return ok && st_write(xl, t, "1", "%s/state", d->be);
}

static int create_nodes(struct xl *xl, const struct device *d, const struct device_spec *spec)
{
	xs_transaction_t t;
	bool ok;

	do {
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			break;
		ok = write_nodes(xl, t, d, spec);
		if (!ok) {
			int saved = errno;

			xs_transaction_end(xl->xs, t, true);
			/* EAGAIN: xenstored was started again under the transaction */
			errno = saved;
			continue;
		}
		if (xs_transaction_end(xl->xs, t, false))
			return 0;
	} while (errno == EAGAIN);
	return xl_error("cannot write %s %s to xenstore: %s", d->kind->key, spec->label,
			strerror(errno));
}

/* Looks whether others have what this one wants, and notes in the same breath that it does. */
static int claim(struct xl *xl, struct xl_config *cfg, const struct device *d,
		 const struct device_spec *spec)
{
	int lock = -1, rc = -1;
	char *why = NULL;

	if (d->kind->refuse) {
		lock = xl_lock_devices();
		if (lock < 0)
			return -1;
		why = d->kind->refuse(xl, spec->of_kind);
	}
	if (why)
		config_error(cfg, d->kind->key, spec->line, "%s: %s", spec->label, why);
	else
		rc = create_nodes(xl, d, spec);
	xl_unlock(lock);
	free(why);
	return rc;
}

/* The devices that a guest is made with belong to its creation, and those it has at its end to that. */
static void tell(struct xl *xl, const char *event, const struct device *d)
{
	if (usage_is_open(d->domid))
		xl_event_of(xl, event, d->domid, ", \"kind\": \"%s\", \"devid\": %u", d->kind->name,
			    d->devid);
}

int device_add(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct device_kind *kind,
	       const struct device_spec *spec)
{
	struct device d = { .kind = kind, .domid = domid, .devid = spec->devid };
	char *status = NULL, *why = NULL;
	long state;
	int rc = -1;

	d.be = backend_path(kind, domid, spec->devid);
	if (claim(xl, cfg, &d, spec))
		goto out;
	state = wait_state(xl, &d, XenbusStateInitWait, BACKEND_WAIT_MS);
	if (state != XenbusStateInitWait) {
		config_error(cfg, kind->key, spec->line,
			     "the back end of %s does not answer (state %ld after %d s): is %s in "
			     "dom0's kernel?",
			     spec->label, state, BACKEND_WAIT_MS / 1000, kind->driver);
		goto out;
	}
	if (kind->offered && !kind->offered(xl, spec->of_kind, d.be)) {
		xl_error("cannot write %s %s to xenstore: %s", kind->key, spec->label,
			 strerror(errno));
		goto out;
	}
	rc = run_script(&d, spec->script, kind->start);
	status = st_read(xl, XBT_NULL, "%s/hotplug-status", d.be);
	if (rc || !status || strcmp(status, "connected")) {
		why = st_read(xl, XBT_NULL, "%s/hotplug-error", d.be);
		if (why)
			config_error(cfg, kind->key, spec->line, "%s: %s", spec->label, why);
		else
			config_error(cfg, kind->key, spec->line, "%s: %s failed, see " HOTPLUG_LOG,
				     spec->label, spec->script);
		rc = -1;
	} else {
		tell(xl, EVENT_ATTACHED, &d);
	}
out:
	free(status);
	free(why);
	free(d.be);
	return rc;
}

/* --- taking down ----------------------------------------------------------------------------- */

/*
 * Tells the back end to let go. Without its front end's nodes (@force) it disconnects at once,
 * whatever the guest had been doing; with them the front end is asked first. Returns the state it was in, -1: none.
 */
static int disconnect(struct xl *xl, const struct device *d, bool force)
{
	xs_transaction_t t;
	int before;
	char *state;

	do {
		before = -1;
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			break;
		state = st_read(xl, t, "%s/state", d->be);
		if (state) {
			before = atoi(state);
			st_write(xl, t, "0", "%s/online", d->be);
			if (before != XenbusStateClosed)
				st_write(xl, t, "5", "%s/state", d->be); /* Closing */
		}
		free(state);
		if (force)
			st_remove(xl, t, "/local/domain/%u/device/%s/%u", d->domid, d->kind->name,
				  d->devid);
	} while (!xs_transaction_end(xl->xs, t, false) && errno == EAGAIN);
	return before;
}

/* After disconnect(): waits for it, undoes what the script did, and removes what is left. */
static void finish(struct xl *xl, struct device *d)
{
	/* Not probed: no back end has ever looked at it, so none will close it. */
	long state = wait_state(xl, d, XenbusStateClosed, d->probed ? BACKEND_WAIT_MS : 500);
	char *script;

	if (d->probed && state >= 0 && state != XenbusStateClosed)
		xl_error("%s: the back end does not let go (state %ld); removed all the same",
			 d->be, state);
	else
		wait_gone(d);
	script = st_read(xl, XBT_NULL, "%s/script", d->be);
	if (script)
		run_script(d, script, d->kind->stop);
	free(script);
	st_prune(xl, d->be, "/local/domain/0/backend");
	xs_rm(xl->xs, XBT_NULL, d->be);
	/* See backends.c: another device may get the same number. */
	st_remove(xl, XBT_NULL, XL_PRIVATE "/%u/lost/%s/%u", d->domid, d->kind->name, d->devid);
	st_remove(xl, XBT_NULL, XL_PRIVATE "/%u/device/%s/%u", d->domid, d->kind->name, d->devid);
}

/* What our records say of a device; false when there is none. The caller frees d->be. */
static bool look_up(struct xl *xl, uint32_t domid, const struct device_kind *kind,
		    unsigned int devid, struct device *d)
{
	d->kind = kind;
	d->domid = domid;
	d->devid = devid;
	d->be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/%s/%u", domid, kind->name, devid);
	if (!d->be)
		return false;
	d->probed = st_read_long(xl, "%s/state", d->be) > XenbusStateInitialising;
	return true;
}

/* Nobody can lose anything by it: the guest is dead, or has never taken the device. */
static bool unused(struct xl *xl, const struct device *d)
{
	struct xen_domctl_getdomaininfo info;

	if (pv_domain_info(xl->pv, d->domid, &info) ||
	    info.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying))
		return true;
	return st_read_long(xl, "/local/domain/%u/device/%s/%u/state", d->domid, d->kind->name,
			    d->devid) == XenbusStateInitialising;
}

/*
 * Takes disconnect()'s request back, so that the device goes on as @before. A front end that is closing
 * already waits for its own users: there the request stays, and the device goes when they let go.
 */
static int keep(struct xl *xl, const struct device *d, int before)
{
	const char *dom0s = "", *guests = "it stays, and the guest goes on using it";
	char state[12];
	char *dev = st_read(xl, XBT_NULL, "%s/dev", d->be);
	struct xen_domctl_getdomaininfo info;
	xs_transaction_t t;
	char *fe, *be;

	snprintf(state, sizeof(state), "%d", before);
	do {
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			break;
		be = st_read(xl, t, "%s/state", d->be);
		fe = st_read(xl, t, "/local/domain/%u/device/%s/%u/state", d->domid, d->kind->name,
			     d->devid);
		if (fe && atoi(fe) == XenbusStateClosing) {
			guests = "it goes when those who use it in the guest are done; ask again "
				 "then";
		} else if (be && atoi(be) != XenbusStateClosed) {
			st_write(xl, t, "1", "%s/online", d->be);
			/* Not if its driver has written something else since. */
			if (atoi(be) == XenbusStateClosing)
				st_write(xl, t, state, "%s/state", d->be);
		}
		free(fe);
		free(be);
	} while (!xs_transaction_end(xl->xs, t, false) && errno == EAGAIN);
	if (!pv_domain_info(xl->pv, d->domid, &info) && info.flags & XEN_DOMINF_paused)
		dom0s = " (it is paused)";
	xl_error("domain %u has not let go of %s %s in %d s%s: %s. xl block-detach -f takes it "
		 "away, and what is not written yet is lost",
		 d->domid, d->kind->key, dev ? dev : "", FRONTEND_WAIT_MS / 1000, dom0s, guests);
	free(dev);
	return -1;
}

int device_detach(struct xl *xl, uint32_t domid, const struct device_kind *kind, unsigned int devid,
		  bool force)
{
	struct device d;
	int rc = 0, before;

	if (!look_up(xl, domid, kind, devid, &d))
		return xl_error("domain %u has no %s %u", domid, kind->key, devid);
	if (!force && !(kind->stays && unused(xl, &d))) {
		before = disconnect(xl, &d, false);
		if (wait_state(xl, &d, XenbusStateClosed, FRONTEND_WAIT_MS) == XenbusStateClosed) {
			wait_gone(&d);
		} else if (kind->stays) {
			rc = keep(xl, &d, before);
			free(d.be);
			return rc;
		} else {
			rc = xl_error("domain %u has not let go of %s %u: taken away all the same",
				      domid, kind->key, devid);
		}
	}
	disconnect(xl, &d, true);
	finish(xl, &d);
	tell(xl, EVENT_DETACHED, &d);
	free(d.be);
	return rc;
}

void device_remove_all(struct xl *xl, uint32_t domid)
{
	struct device *list = NULL, *more;
	unsigned int i, j, devs;
	char **dev;
	int nr = 0, n;

	for (i = 0; i < pv_container_size(kinds); i++) {
		dev = st_list(xl, &devs, XL_PRIVATE "/%u/device/%s", domid, kinds[i]->name);
		for (j = 0; j < devs; j++) {
			more = realloc(list, (nr + 1) * sizeof(*more));
			if (!more)
				abort();
			list = more;
			if (look_up(xl, domid, kinds[i], atoi(dev[j]), &list[nr]))
				nr++;
		}
		free(dev);
	}
	/* All at once, so that their waits overlap. */
	for (n = 0; n < nr; n++)
		disconnect(xl, &list[n], true);
	for (n = 0; n < nr; n++) {
		finish(xl, &list[n]);
		free(list[n].be);
	}
	free(list);
}

void device_remove_directories(struct xl *xl, uint32_t domid)
{
	unsigned int i;

	for (i = 0; i < pv_container_size(kinds); i++)
		st_remove(xl, XBT_NULL, "/local/domain/0/backend/%s/%u", kinds[i]->name, domid);
}
