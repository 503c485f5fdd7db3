// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest that goes on from a stream: what xl restore and xl migrate-receive share (restoring.h).
 * Owns what is asked of the configuration in it, which whoever wrote the stream wrote: it makes a domain, and nothing else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "next.h"
#include "restoring.h"
#include "whole.h"

#define CONSOLE_WAIT_MS 5000

static int read_config(struct xl_config *cfg, const struct saved *s, const char *file,
		       char *const *args, int nr)
{
	char path[40];
	size_t n = strlen(s->config);
	int fd, rc;

	if (file)
		return config_read(cfg, file, args, nr, stderr);
	fd = memfd_create("config", MFD_CLOEXEC);
	if (fd < 0 || write(fd, s->config, n) != (ssize_t)n) {
		rc = xl_error("%s: %s", s->path, strerror(errno));
		config_init(cfg, stderr);
	} else {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		rc = config_read(cfg, path, args, nr, stderr);
		if (rc)
			xl_error("%s: the configuration in it is refused", s->path);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int check_config(const struct xl_config *cfg, const struct saved *s)
{
	const char *file = s->path;
	bool devices = cfg->nr_disks || cfg->nr_nics;

	/* Who suspends itself looks for devices when it goes on; all others go on with what was saved with them. */
	if (devices && !(s->in.image.options & PV_STREAM_SUSPENDED) && !whole_comes(s))
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

int restoring_config(struct xl_config *cfg, const struct saved *s, const char *file)
{
	return read_config(cfg, s, file, NULL, 0) || next_make_absolute(cfg) ||
			       check_config(cfg, s) ?
		       -1 :
		       0;
}

int restoring_config_as(struct xl_config *cfg, const struct saved *s, char *const *args, int nr)
{
	return read_config(cfg, s, NULL, args, nr) || next_make_absolute(cfg) ||
			       check_config(cfg, s) ?
		       -1 :
		       0;
}

int restoring_attend(struct xl *xl, struct xl_config *cfg, uint32_t domid, bool alone)
{
	if (!alone && supervise_in_background(cfg, domid, false) < 0)
		return -1;
	if (!console_ready(xl, domid, CONSOLE_WAIT_MS))
		xl_error("warning: xenconsoled does not serve '%s'; the guest stops when its "
			 "console is full",
			 cfg->name);
	return 0;
}

/* From "whole but paused" on. @lock: the domain's, given back. */
static int let_go(struct xl *xl, struct xl_config *cfg, uint32_t domid, int lock, bool paused,
		  bool alone)
{
	int rc = restoring_attend(xl, cfg, domid, alone);

	if (!rc && !paused) {
		rc = domain_start(xl, domid);
		if (rc)
			xl_error("'%s' cannot be unpaused: %s", cfg->name, strerror(-rc));
	}
	if (rc)
		domain_destroy(xl, domid);
	xl_unlock_domain(lock, domid);
	return rc;
}

int restoring_run(struct xl *xl, struct xl_config *cfg, struct saved *s, bool paused, bool alone)
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
	return rc ? rc : let_go(xl, cfg, domid, domain_lock, paused, alone);
}
