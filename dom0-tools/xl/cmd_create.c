// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl create: from a configuration to a running guest.
 * Owns what the administrator sees of it: messages, the console, and with -w the verdict on the guest's first second.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bootloader.h"
#include "next.h"
#include "oci.h"

#include <xen/io/xenbus.h>
#include <xen/sched.h>

#define FIRST_SECOND_MS 1000
#define CONSOLE_WAIT_MS 5000
#define FIRST_SECOND_MAX_MS 4000
#define SAMPLE_MS 25
#define IDLE_SAMPLES 6
#define TAIL_LINES 20

#define WAIT_MAX_S 86400

struct options {
	bool console, paused, dryrun, quiet, foreground, alone, wait;
	int seconds; /* of wait; 0: the guest's first one */
	const char *file;
	char **args;
	int nr_args;
};

/* -w alone is the guest's first second. */
static int take_wait(struct options *o, const char *text)
{
	char *end = "";
	long n = text ? strtol(text, &end, 10) : 0;

	o->wait = true;
	o->seconds = n;
	if (text && (*text < '0' || *text > '9' || *end || n < 1 || n > WAIT_MAX_S))
		return xl_error("create: --wait=%s: no number of seconds, 1 to %d", text,
				WAIT_MAX_S);
	return 0;
}

/* Who waits for a guest's first second must let it run, and not do something else meanwhile. */
static int check_wait(const struct options *o)
{
	const char *other = o->console	  ? "-c" :
			    o->paused	  ? "-p" :
			    o->foreground ? "-F" :
			    o->alone	  ? "-e" :
					    NULL;

	return o->wait && other ? xl_error("create: -w and %s exclude each other", other) : 0;
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "dryrun", no_argument, NULL, 'n' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "paused", no_argument, NULL, 'p' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "defconfig", required_argument, NULL, 'f' },
		{ "wait", optional_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "cpnqFef:w::h", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->console = true;
			break;
		case 'p':
			o->paused = true;
			break;
		case 'n':
			o->dryrun = true;
			break;
		case 'q':
			o->quiet = true;
			break;
		case 'F':
			o->foreground = true;
			break;
		case 'e':
			o->alone = true;
			break;
		case 'f':
			o->file = optarg;
			break;
		case 'w':
			if (take_wait(o, optarg))
				return EXIT_USAGE + 1;
			break;
		default:
			return command_usage("create", c == 'h') + 1;
		}
	}
	for (; optind < argc; optind++) {
		if (strchr(argv[optind], '=')) {
			o->args[o->nr_args++] = argv[optind];
		} else if (!o->file) {
			o->file = argv[optind];
		} else {
			xl_error("'%s' is no key=value, and there is a config file already",
				 argv[optind]);
			return EXIT_USAGE + 1;
		}
	}
	if (!o->file && !o->nr_args)
		return command_usage("create", false) + 1;
	return check_wait(o) ? EXIT_USAGE + 1 : 0;
}

static void show_nic(const struct xl_nic *n)
{
	char mac[NIC_MAC_LEN] = "random";

	if (n->have_mac)
		nic_mac_format(n->mac, mac);
	printf("'mac=%s, bridge=%s, script=%s", mac, n->bridge, n->script);
	if (n->vifname[0])
		printf(", vifname=%s", n->vifname);
	if (n->backend)
		printf(", backend=%s", n->backend);
	if (n->ip)
		printf(", ip=%s", n->ip);
	if (n->rate_bytes)
		printf(", rate=%lluB/s@%uus",
		       (unsigned long long)(n->rate_bytes * 1000000 / n->rate_usec), n->rate_usec);
	if (n->mtu)
		printf(", mtu=%u", n->mtu);
	if (n->gatewaydev[0])
		printf(", gatewaydev=%s", n->gatewaydev);
	if (n->untrusted)
		printf(", untrusted");
	putchar('\'');
}

static void show_channels(const struct xl_config *c)
{
	int i;

	printf("channel = [");
	for (i = 0; i < c->nr_channels; i++)
		printf("%s'name=%s, connection=%s%s'", i ? ", " : " ", c->channel[i].name,
		       c->channel[i].path ? "socket, path=" : "pty",
		       c->channel[i].path ? c->channel[i].path : "");
	printf(" ]\n");
}

static void show_cpus(const char *key, const struct cpus *sets, unsigned int n)
{
	unsigned int i;
	char *text;

	if (!sets)
		return;
	printf("%s = [", key);
	for (i = 0; i < n; i++) {
		text = cpus_text(sets[i].mask ? sets[i].mask : CPUS_ALL, CPUS_ALL);
		printf("%s'%s'", i ? ", " : " ", text);
		free(text);
	}
	printf(" ]\n");
}

static int dry_run(const struct xl_config *c)
{
	char *disk;
	int i;

	printf("name = \"%s\"\n", c->name);
	if (c->oci)
		printf("oci = \"%s\"\n", c->oci->spec);
	if (c->bootloader)
		printf("bootloader = \"pygrub\"\n");
	if (c->bootloader_entry)
		printf("bootloader_args = [ '--entry=%s' ]\n", c->bootloader_entry);
	if (c->kernel)
		printf("kernel = \"%s\"\n", c->kernel);
	if (c->ramdisk)
		printf("ramdisk = \"%s\"\n", c->ramdisk);
	printf("cmdline = \"%s\"\nmemory = %lu\nmaxmem = %lu\nvcpus = %u\nmaxvcpus = %u\n"
	       "max_event_channels = %u\n",
	       c->cmdline, c->memory, c->maxmem, c->vcpus, c->maxvcpus, c->max_event_channels);
	if (c->pool)
		printf("pool = \"%s\"\n", c->pool);
	if (c->cpu_weight)
		printf("cpu_weight = %u\n", c->cpu_weight);
	if (c->cap)
		printf("cap = %u\n", c->cap);
	show_cpus("cpus", c->cpus, c->maxvcpus);
	show_cpus("cpus_soft", c->cpus_soft, c->maxvcpus);
	if (c->driver_domain)
		printf("driver_domain = 1\n");
	if (c->max_grant_frames >= 0)
		printf("max_grant_frames = %d\n", c->max_grant_frames);
	if (c->max_maptrack_frames >= 0)
		printf("max_maptrack_frames = %d\n", c->max_maptrack_frames);
	printf("on_poweroff = \"%s\"\non_reboot = \"%s\"\non_crash = \"%s\"\n"
	       "on_watchdog = \"%s\"\ndisk = [",
	       action_name(c->on_poweroff), action_name(c->on_reboot), action_name(c->on_crash),
	       action_name(c->on_watchdog));
	for (i = 0; i < c->nr_disks; i++) {
		disk = disk_format(&c->disk[i]);
		printf("%s'%s'", i ? ", " : " ", disk);
		free(disk);
	}
	printf(" ]\nvif = [");
	for (i = 0; i < c->nr_nics; i++) {
		printf("%s", i ? ", " : " ");
		show_nic(&c->nic[i]);
	}
	printf(" ]\n");
	if (c->nr_channels)
		show_channels(c);
	return 0;
}

static bool in_use(struct xl *xl, uint32_t domid, const char *kind, unsigned int devid)
{
	char *be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/%s/%u", domid, kind, devid);
	bool used = be && st_read_long(xl, "%s/state", be) == XenbusStateConnected;

	free(be);
	return used;
}

static bool devices_in_use(struct xl *xl, const struct xl_config *cfg, uint32_t domid)
{
	int i;

	for (i = 0; i < cfg->nr_disks; i++)
		if (cfg->disk[i].target && !in_use(xl, domid, "vbd", cfg->disk[i].devid))
			return false;
	for (i = 0; i < cfg->nr_nics; i++)
		if (!in_use(xl, domid, "vif", cfg->nic[i].devid))
			return false;
	return cfg->nr_disks + cfg->nr_nics > 0;
}

/* Waits for the supervisor to have dealt with the end; so all is gone when xl returns. */
static void await_report(int fd, struct report *r, int ms)
{
	int64_t end = xl_now() + ms;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	while (fd >= 0 && xl_now() < end && poll(&pfd, 1, (int)(end - xl_now())) > 0) {
		if (read(fd, r, sizeof(*r)) != sizeof(*r) || r->what == REPORT_ENDED)
			return;
	}
}

/*
 * Until the guest dies (true) or its first second is over, or so many @seconds of ours. Its first second is its own: under emulation a
 * guest may need several of ours for one of CPU time; and it is over early for a guest that uses its devices and has nothing more to do.
 */
static bool dies_early(struct xl *xl, const struct xl_config *cfg, uint32_t domid, int seconds)
{
	int64_t begin = xl_now(), now;
	struct xen_domctl_getdomaininfo info;
	int idle = 0;

	while (!xl_interrupted) {
		xl_sleep(SAMPLE_MS);
		if (pv_domain_info(xl->pv, domid, &info) ||
		    (info.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying)))
			return true;
		now = xl_now() - begin;
		if (seconds && now >= seconds * 1000LL)
			break;
		if (seconds)
			continue;
		idle = info.flags & XEN_DOMINF_blocked ? idle + 1 : 0;
		if (now >= FIRST_SECOND_MAX_MS)
			break;
		if (now >= FIRST_SECOND_MS && (idle || info.cpu_time >= 1000000000))
			break;
		if (idle >= IDLE_SAMPLES && devices_in_use(xl, cfg, domid))
			break;
	}
	return false;
}

/* -w: the exit status. @seconds: 0, its first one. */
static int watch_start(struct xl *xl, const struct xl_config *cfg, uint32_t domid, int reports,
		       int seconds)
{
	struct report r = { .reason = REASON_DESTROYED };
	char *when, *text;
	bool crash;

	if (!dies_early(xl, cfg, domid, seconds))
		return 0;
	await_report(reports, &r, 20000);
	when = seconds > 1 ? xl_sprintf("in its first %d seconds", seconds) :
			     xl_sprintf("in its first second");
	if (r.reason == REASON_DESTROYED) {
		xl_error("%s: destroyed %s", cfg->name, when);
		free(when);
		return 1;
	}
	/* xenconsoled writes the rest of the log when it hears of the end. */
	xl_sleep(200);
	text = early_end_text(cfg->name, &r, when);
	xl_error("%s", text);
	free(text);
	free(when);
	console_log_tail(cfg->name, TAIL_LINES);
	crash = r.reason != SHUTDOWN_poweroff && r.reason != SHUTDOWN_reboot;
	return r.next == NEXT_FAILED || (crash && r.next != NEXT_LIFE);
}

/* From "created" on: supervisor, console, go. @lock: the domain's, given back. */
static int start(struct xl *xl, struct xl_config *cfg, struct options *o, uint32_t domid, int lock)
{
	int reports = -1, console = -1, rc;

	if (!o->alone && !o->foreground) {
		reports =
			supervise_in_background(cfg, domid, !o->wait && !o->paused && !o->console);
		if (reports < 0) {
			domain_destroy(xl, domid);
			xl_unlock_domain(lock, domid);
			return 1;
		}
	}
	if (o->console)
		console = console_connect(xl, domid, CONSOLE_WAIT_MS);
	else if (!console_ready(xl, domid, CONSOLE_WAIT_MS))
		xl_error("warning: xenconsoled does not serve '%s'; the guest stops when its "
			 "console is full",
			 cfg->name);
	rc = o->paused ? 0 : domain_start(xl, domid);
	if (rc) {
		xl_error("'%s' cannot be unpaused: %s", cfg->name, strerror(-rc));
		domain_destroy(xl, domid);
		xl_unlock_domain(lock, domid);
		return 1;
	}
	xl_unlock_domain(lock, domid);
	if (o->foreground && console < 0)
		return supervise(xl, cfg, domid, -1);
	if (console >= 0)
		rc = console_run(console, CONSOLE_ESCAPE);
	else if (o->wait)
		rc = watch_start(xl, cfg, domid, reports, o->seconds);
	if (o->foreground)
		return supervise(xl, cfg, domid, -1);
	return rc ? 1 : 0;
}

/* Before a boot loader runs for nothing: domain_create() looks again. */
static int may_be_made(struct xl *xl, struct xl_config *cfg)
{
	if (!cfg->bootloader)
		return 0;
	if (domain_name_used(xl, cfg->name, DOMID_INVALID)) {
		config_error(cfg, "name", 0, "a domain called '%s' exists already", cfg->name);
		return -1;
	}
	if (bootloader_reads_for(xl, cfg->name)) {
		config_error(cfg, "name", 0,
			     "a domain called '%s' is being made already: its disk is being read",
			     cfg->name);
		return -1;
	}
	return 0;
}

/* Whole but paused, with *@domain_lock held. */
static int make(struct xl *xl, struct xl_config *cfg, uint32_t *domid, int *domain_lock)
{
	int lock, rc;

	bootloader_sweep(xl);
	lock = xl_lock();
	if (lock < 0)
		return -1;
	xl_logs_prune(xl, cfg->name);
	if (may_be_made(xl, cfg)) {
		xl_unlock(lock);
		return -1;
	}
	if (bootloader_fetch(xl, cfg, &lock) || oci_pack(cfg, &lock))
		return -1;
	rc = domain_create(xl, cfg, lock, domid, domain_lock);
	oci_discard(cfg);
	bootloader_discard(cfg);
	return rc;
}

int cmd_create(int argc, char **argv)
{
	struct options o = { .args = calloc(argc + 1, sizeof(char *)) };
	struct xl_config cfg;
	struct xl xl;
	uint32_t domid;
	int rc, lock;

	if (!o.args)
		abort();
	rc = parse_options(argc, argv, &o);
	if (rc) {
		free(o.args);
		return rc - 1;
	}
	if (!o.quiet && o.file)
		printf("Parsing config from %s\n", o.file);
	fflush(stdout);
	rc = config_read(&cfg, o.file, o.args, o.nr_args, stderr);
	free(o.args);
	if (!rc)
		rc = next_make_absolute(&cfg);
	if (rc || o.dryrun) {
		rc = rc ? 1 : dry_run(&cfg);
		config_free(&cfg);
		return rc;
	}
	rc = 1;
	if (xl_open(&xl))
		goto out;
	xl_catch_signals();
	signal(SIGPIPE, SIG_IGN);
	if (!make(&xl, &cfg, &domid, &lock))
		rc = start(&xl, &cfg, &o, domid, lock);
	xl_close(&xl);
out:
	config_free(&cfg);
	return rc;
}
