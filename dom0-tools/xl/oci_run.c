// SPDX-License-Identifier: BSD-2-Clause
/*
 * What xl oci run does once its configuration is there: a guest with a supervisor, as xl create makes it, whose console it passes on.
 * Owns the exit status, and how those who end this process end the program. Killed, it leaves the guest to the supervisor.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "next.h"
#include "oci_input.h"
#include "oci_run.h"

#include <xen/sched.h>

#define CONSOLE_WAIT_MS 5000
#define LOOK_MS 200
/* For what the console still has once the guest is gone. */
#define DRAIN_MS 3000

struct run {
	struct xl *xl;
	struct xl_config *cfg;
	const char *image;
	uint32_t domid;
	uint8_t handle[16];
	int console, reports; /* -1: it is gone */
	bool told; /* to end */
	bool left; /* alone, by whoever sits at the terminal */
	struct oci_input in;
};

/* Once: the program is asked to end. Twice: its guest is taken away. */
static volatile sig_atomic_t asked;

static void note_signal(int sig)
{
	(void)sig;
	asked++;
}

/* From here on those who mean us mean the program. */
static void catch_all(void)
{
	struct sigaction sa = { .sa_handler = note_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

/* Once. The second signal is await()'s. */
static void ask_to_end(struct run *r)
{
	if (asked && !r->told)
		st_replace(r->xl, "poweroff", "/local/domain/%u/control/shutdown", r->domid);
	r->told |= asked;
}

/*
 * Passes on what the program prints. Whoever reads it may have stopped: those who want the program to end are heard all the same.
 * False: nothing more will come.
 */
static bool pass_on(struct run *r)
{
	struct pollfd out = { .fd = 1, .events = POLLOUT };
	char buf[1 << 16], *p = buf;
	ssize_t n = read(r->console, buf, sizeof(buf)), done;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	for (; n > 0; n -= done, p += done) {
		done = 0;
		if (poll(&out, 1, LOOK_MS) > 0)
			done = write(1, p, n < PIPE_BUF ? (size_t)n : PIPE_BUF);
		if (done < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (done < 0)
			done = 0;
		ask_to_end(r);
		/* Nobody reads it, and somebody has lost patience. */
		if (!done && asked > 1)
			return true;
	}
	return p > buf;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* What comes within @ms. True: the supervisor has spoken of the guest's end. */
static bool watch(struct run *r, int ms, struct report *report)
{
	struct pollfd pfd[3] = { { .fd = r->console, .events = POLLIN },
				 { .fd = r->reports, .events = POLLIN },
				 { .fd = oci_input_wants(&r->in) ? 0 : -1, .events = POLLIN } };

	if (oci_input_has(&r->in))
		pfd[0].events |= POLLOUT;
	if (poll(pfd, 3, ms) <= 0)
		return false;
	if (pfd[2].revents)
		r->left |= !oci_input_read(&r->in);
	if (pfd[0].revents & POLLOUT && !oci_input_send(&r->in, r->console))
		close_fd(&r->console);
	if (r->console >= 0 && pfd[0].revents & ~POLLOUT && !pass_on(r))
		close_fd(&r->console);
	if (!pfd[1].revents)
		return false;
	if (read(r->reports, report, sizeof(*report)) == sizeof(*report))
		return report->what == REPORT_ENDED;
	/* It was killed; another one takes its place, whom we do not know. */
	close_fd(&r->reports);
	return false;
}

static bool is_there(struct run *r)
{
	struct xen_domctl_getdomaininfo info;

	return !pv_domain_info(r->xl->pv, r->domid, &info) && !memcmp(info.handle, r->handle, 16) &&
	       !(info.flags & XEN_DOMINF_dying);
}

/* Takes the guest away, whatever state it is in. */
static void destroy(struct run *r)
{
	int lock = xl_lock_domain(r->domid);

	if (domain_is(r->xl, r->domid, r->handle))
		domain_destroy(r->xl, r->domid);
	xl_unlock_domain(lock, r->domid);
}

/* Until the guest's end, or @enough says so. 0 with @report; or -1 after a message: how the program ended is not known. */
static int await(struct run *r, struct report *report, bool (*enough)(struct run *r))
{
	while (!watch(r, LOOK_MS, report)) {
		if (enough(r))
			return 0;
		if (r->reports < 0 && !is_there(r))
			return xl_error(
				"%s: it ended, and so had the process that looked after it: "
				"xl events may have how",
				r->cfg->name);
		if (asked > 1) {
			destroy(r);
			return xl_error("%s: interrupted again: it is destroyed", r->cfg->name);
		}
		ask_to_end(r);
	}
	return 0;
}

static bool runs(struct run *r)
{
	return oci_runs(r->xl, r->domid);
}

static bool is_left(struct run *r)
{
	return r->left;
}

static int status_of(struct run *r, const struct report *report)
{
	if (report->reason == REASON_DESTROYED) {
		xl_error("%s: it was destroyed", r->cfg->name);
		return OCI_EXIT_OURS;
	}
	if (report->reason != SHUTDOWN_poweroff && report->reason != SHUTDOWN_reboot) {
		xl_error("%s: its guest ended (%s); see " XL_CONSOLE_LOG_DIR "/guest-%s.log",
			 r->image, shutdown_reason(report->reason), r->cfg->name);
		return OCI_EXIT_OURS;
	}
	if (report->program.kind == OCI_UNKNOWN)
		xl_error("%s: its guest ended without saying how its program ended", r->image);
	if (report->program.kind == OCI_ERROR)
		xl_error("%s: %s", r->image, report->program.why);
	return oci_end_status(&report->program);
}

/* Supervisor, console, go. @lock: the domain's, given back. */
static int start(struct run *r, bool detach, int lock)
{
	int rc;

	r->reports = supervise_in_background(r->cfg, r->domid, false);
	rc = r->reports < 0;
	if (!rc && detach)
		console_ready(r->xl, r->domid, CONSOLE_WAIT_MS);
	else if (!rc)
		r->console = console_connect(r->xl, r->domid, CONSOLE_WAIT_MS);
	if (!rc) {
		rc = domain_start(r->xl, r->domid);
		if (rc)
			xl_error("'%s' cannot be unpaused: %s", r->cfg->name, strerror(-rc));
	}
	if (rc)
		domain_destroy(r->xl, r->domid);
	xl_unlock_domain(lock, r->domid);
	return rc;
}

static int stay(struct run *r, bool detach, bool interactive)
{
	struct report report = { .what = REPORT_READY }, other;
	int status = OCI_EXIT_OURS, rc = await(r, &report, runs);
	int64_t end;

	if (!rc && report.what != REPORT_ENDED && detach) {
		printf("%s\n", r->cfg->name);
		return 0;
	}
	if (!rc && report.what != REPORT_ENDED) {
		if (interactive)
			oci_input_begin(&r->in, r->cfg->oci->input[0] == 't');
		rc = await(r, &report, is_left);
		oci_input_end(&r->in);
	}
	if (r->left) {
		fprintf(stderr, "\nxl: %s goes on; xl console shows it\n", r->cfg->name);
		return 0;
	}
	if (!rc)
		status = status_of(r, &report);
	close_fd(&r->reports);
	end = xl_now() + DRAIN_MS;
	while (r->console >= 0 && xl_now() < end)
		watch(r, LOOK_MS, &other);
	return status;
}

int oci_run(struct xl *xl, struct xl_config *cfg, const char *image, bool detach, bool interactive)
{
	struct run r = { .xl = xl, .cfg = cfg, .image = image, .console = -1, .reports = -1 };
	struct xen_domctl_getdomaininfo info;
	int lock, domain_lock, rc, status = OCI_EXIT_OURS;

	xl_catch_signals();
	signal(SIGPIPE, SIG_IGN);
	lock = xl_lock();
	if (lock < 0)
		return status;
	xl_logs_prune(xl, cfg->name);
	if (oci_pack(cfg, &lock))
		return status;
	rc = domain_create(xl, cfg, lock, &r.domid, &domain_lock);
	oci_discard(cfg);
	if (rc)
		return status;
	if (!pv_domain_info(xl->pv, r.domid, &info))
		memcpy(r.handle, info.handle, 16);
	catch_all();
	if (!start(&r, detach, domain_lock))
		status = stay(&r, detach, interactive);
	close_fd(&r.console);
	close_fd(&r.reports);
	return status;
}
