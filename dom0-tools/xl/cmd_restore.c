// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl restore: a guest goes on from a file of xl save.
 * Owns what is asked of the configuration in it, which whoever wrote the file wrote: it makes a domain, and nothing else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "next.h"
#include "saved.h"

#define CONSOLE_WAIT_MS 5000

struct options {
	bool paused, alone;
	const char *config, *file;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	int rc = 0, c;

	while ((c = command_option(argc, argv, "pe", &rc)) != -1) {
		if (c == '?')
			return rc + 1;
		o->paused |= c == 'p';
		o->alone |= c == 'e';
	}
	if (argc - optind < 1 || argc - optind > 2)
		return command_usage("restore", false) + 1;
	o->file = argv[argc - 1];
	if (argc - optind == 2)
		o->config = argv[optind];
	return 0;
}

static int read_config(struct xl_config *cfg, const struct saved *s, const struct options *o)
{
	char path[40];
	size_t n = strlen(s->config);
	int fd, rc;

	if (o->config)
		return config_read(cfg, o->config, NULL, 0, stderr);
	fd = memfd_create("config", MFD_CLOEXEC);
	if (fd < 0 || write(fd, s->config, n) != (ssize_t)n) {
		rc = xl_error("%s: %s", o->file, strerror(errno));
		config_init(cfg, stderr);
	} else {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		rc = config_read(cfg, path, NULL, 0, stderr);
		if (rc)
			xl_error("%s: the configuration in it is refused", o->file);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int check_config(const struct xl_config *cfg, const struct saved *s, const char *file)
{
	bool devices = cfg->nr_disks || cfg->nr_nics;

	/* Only who suspends itself looks for devices when it goes on. */
	if (devices && !(s->in.image.options & PV_STREAM_SUSPENDED))
		return xl_error("%s: the configuration gives the guest disks or interfaces, and "
				"none was saved with it",
				file);
	if (cfg->nr_channels || cfg->driver_domain || cfg->oci || cfg->bootloader)
		return xl_error("%s: guests with channels, boot loaders or OCI images, and driver "
				"domains, are not restored yet",
				file);
	if (s->in.ram > (cfg->maxmem * 1024 + XL_EXTRA_KIB) / 4)
		return xl_error("%s: the guest has %llu KiB, and may have %lu MiB by its "
				"configuration",
				file, (unsigned long long)s->in.ram * 4, cfg->maxmem);
	return 0;
}

/* From "whole but paused" on. @lock: the domain's, given back. */
static int let_go(struct xl *xl, struct xl_config *cfg, const struct options *o, uint32_t domid,
		  int lock)
{
	int rc = 0;

	if (!o->alone && supervise_in_background(cfg, domid, false) < 0)
		rc = -1;
	if (!rc && !console_ready(xl, domid, CONSOLE_WAIT_MS))
		xl_error("warning: xenconsoled does not serve '%s'; the guest stops when its "
			 "console is full",
			 cfg->name);
	if (!rc && !o->paused) {
		rc = domain_start(xl, domid);
		if (rc)
			xl_error("'%s' cannot be unpaused: %s", cfg->name, strerror(-rc));
	}
	if (rc)
		domain_destroy(xl, domid);
	xl_unlock_domain(lock, domid);
	return rc;
}

static int restore(struct xl *xl, struct xl_config *cfg, struct saved *s, const struct options *o)
{
	int lock, domain_lock = -1, rc;
	uint32_t domid = 0;

	lock = xl_lock();
	if (lock < 0)
		return -1;
	xl_logs_prune(xl, cfg->name);
	cfg->saved = s;
	rc = domain_create(xl, cfg, lock, &domid, &domain_lock);
	/* Its next life is made from its kernel. */
	cfg->saved = NULL;
	/* Nor does who goes on in the background keep the file. */
	saved_close(s);
	return rc ? rc : let_go(xl, cfg, o, domid, domain_lock);
}

int cmd_restore(int argc, char **argv)
{
	struct options o = { 0 };
	int rc = parse_options(argc, argv, &o);
	struct xl_config cfg;
	struct saved s;
	struct xl xl;

	if (rc)
		return rc - 1;
	if (saved_open(&s, o.file)) {
		saved_close(&s);
		return 1;
	}
	rc = read_config(&cfg, &s, &o) || next_make_absolute(&cfg) ||
	     check_config(&cfg, &s, o.file);
	if (!rc && !xl_open(&xl)) {
		xl_catch_signals();
		signal(SIGPIPE, SIG_IGN);
		rc = restore(&xl, &cfg, &s, &o);
		xl_close(&xl);
	} else {
		rc = 1;
	}
	config_free(&cfg);
	saved_close(&s);
	return rc ? 1 : 0;
}
