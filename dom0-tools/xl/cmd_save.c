// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl save: a guest's whole state into a file.
 * Owns that a guest that was not saved goes on as if nothing had been, and leaves no file; which ones can be is saving_guest.c's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump.h"
#include "next.h"
#include "saving.h"
#include "suspend.h"

struct options {
	bool running, paused;
	const char *config;
};

static int parse_options(int argc, char **argv, struct options *o, struct saving *s)
{
	int rc = 0, c;

	while ((c = command_option(argc, argv, "cpWS", &rc)) != -1) {
		if (c == '?')
			return rc + 1;
		o->running |= c == 'c';
		o->paused |= c == 'p';
		s->how = c == 'W' ? SAVING_WHOLE : c == 'S' ? SAVING_SUSPENDED : s->how;
	}
	if (argc - optind < 2 || argc - optind > 3)
		return command_usage("save", false) + 1;
	if (o->running && o->paused) {
		xl_error("-c and -p exclude each other");
		return EXIT_USAGE + 1;
	}
	s->guest = argv[optind];
	s->file = argv[optind + 1];
	o->config = argv[optind + 2];
	return 0;
}

/* --- the file --------------------------------------------------------------------------------- */

/* Whole and on the disk, or not there. */
static int write_file(struct saving *s, const struct options *o, struct dump *d)
{
	int fd = open(d->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;

	/* One that was there would be open for whoever has made it. */
	if (fd < 0)
		return xl_error("%s: %s", errno == EEXIST ? d->part : s->file, strerror(errno));
	rc = saving_write(s, fd);
	if (rc && *s->err.text)
		xl_error("%s: %s", s->file, s->err.text);
	if (!rc && fsync(fd))
		rc = xl_error("%s: %s", s->file, strerror(errno));
	if (close(fd) && !rc)
		rc = xl_error("%s: %s", s->file, strerror(errno));
	if (!rc && !o->running && dump_keep(d))
		rc = xl_error("%s: cannot note that the guest stays as it is", s->file);
	if (!rc && rename(d->part, s->file))
		rc = xl_error("%s: %s", s->file, strerror(errno));
	if (rc)
		unlink(d->part);
	if (!rc && xl_sync_directory(s->file)) {
		rc = xl_error("%s: %s", s->file, strerror(errno));
		/* The guest goes on. */
		unlink(s->file);
	}
	return rc;
}

static int check_file(const char *path)
{
	struct stat st;

	if (!lstat(path, &st) && !S_ISREG(st.st_mode))
		return xl_error("%s is there and no regular file", path);
	return 0;
}

/* From the guest's standing still on. */
static int save_now(struct saving *s, const struct options *o, struct dump *d)
{
	int rc = dump_pause(s->xl, d);

	if (rc)
		return xl_error("cannot pause '%s': %s", s->guest, strerror(-rc));
	return saving_state(s) || saving_map(s) || write_file(s, o, d);
}

/* It goes on, or stays paused, or goes. */
static int end(struct saving *s, const struct options *o, struct dump *d, int rc)
{
	bool stays = rc || o->running || o->paused;

	if (stays && saving_undo(s))
		rc = -1;
	/* The file is it now: it must not run on from here. */
	if (!stays || (!rc && o->paused))
		d->paused = false;
	return stays ? rc : domain_destroy(s->xl, s->domid);
}

/* Its lock is held. */
static int save(struct saving *s, const struct options *o)
{
	struct dump d;
	int rc;

	/* First: whoever was killed over it before has left it as it was then, once this is through. */
	rc = dump_begin(s->xl, s->domid, s->file, false, &d);
	if (rc)
		return xl_error("'%s' cannot be saved: %s", s->guest, strerror(-rc));
	rc = saving_check(s) || check_file(s->file) || saving_config(s, o->config) ||
	     (s->suspended && suspend_guest(s->xl, s->domid, s->guest));
	if (!rc)
		rc = end(s, o, &d, save_now(s, o, &d));
	dump_end(s->xl, &d);
	if (!rc)
		printf("%s: %llu MiB of memory, %.1f MiB in the file\n", s->guest,
		       (unsigned long long)(s->pages * PV_PAGE_SIZE / PV_MIB),
		       (double)s->out.bytes / PV_MIB);
	return rc;
}

int cmd_save(int argc, char **argv)
{
	struct options o = { 0 };
	struct saving s = { 0 };
	int rc = parse_options(argc, argv, &o, &s), lock;
	struct xl xl;

	if (rc)
		return rc - 1;
	/* An interrupted one leaves no guest paused and no file. */
	xl_catch_signals();
	signal(SIGPIPE, SIG_IGN);
	if (xl_open(&xl))
		return 1;
	s.xl = &xl;
	lock = domain_lock(&xl, s.guest, "save", &s.domid);
	rc = lock < 0 || save(&s, &o);
	xl_unlock_domain(lock, s.domid);
	xl_close(&xl);
	saving_free(&s);
	return rc ? 1 : 0;
}
