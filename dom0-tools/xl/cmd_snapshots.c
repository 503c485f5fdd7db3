// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl snapshot-list, snapshot-revert, snapshot-delete (snapshot.h).
 * Owns that a guest is given up only once all of what it goes back to is seen to be there and right.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bootloader.h"
#include "disk_store.h"
#include "json.h"
#include "migrate.h"
#include "restoring.h"
#include "snapshot.h"

/* --- list -------------------------------------------------------------------------------------- */

static struct json list_json;
static bool as_json;
static unsigned int listed;

/* What of the disks' files is theirs alone cannot be told apart from what they share. */
static void show(const char *guest, const struct snapshot *s, void *ctx)
{
	time_t t = s->time;
	char when[32] = "";
	struct tm tm;

	(void)ctx;
	if (localtime_r(&t, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	if (as_json) {
		json_object(&list_json, NULL);
		json_text(&list_json, "guest", guest);
		json_text(&list_json, "name", s->name);
		json_text(&list_json, "uuid", s->uuid);
		json_signed(&list_json, "time", s->time);
		json_number(&list_json, "memory_kib", s->pages * (PV_PAGE_SIZE / 1024));
		json_number(&list_json, "disks", s->nr_disks);
		json_end(&list_json);
		return;
	}
	if (!listed++)
		printf("%-24s %-24s %-19s %8s %5s\n", "Guest", "Snapshot", "Time", "Mem(MiB)",
		       "Disks");
	printf("%-24s %-24s %-19s ", guest, s->name, when);
	if (s->pages)
		printf("%8" PRIu64, s->pages * PV_PAGE_SIZE / PV_MIB);
	else
		printf("%8s", "-");
	printf(" %5u\n", s->nr_disks);
}

int cmd_snapshot_list(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *bad;
	int c, rc;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h' || c == '?')
			return command_usage("snapshot-list", c == 'h');
		as_json = true;
	}
	if (argc - optind > 1)
		return command_usage("snapshot-list", false);
	bad = argv[optind] ? config_bad_name(argv[optind]) : NULL;
	if (bad) {
		xl_error("%s: %s", argv[optind], bad);
		return 1;
	}
	if (as_json) {
		json_init(&list_json, stdout, 2);
		json_array(&list_json, NULL);
	}
	rc = snapshots_each(argv[optind], show, NULL);
	if (as_json)
		json_end(&list_json);
	return rc ? 1 : 0;
}

/* --- what revert and delete are told ------------------------------------------------------------ */

/* 0; or an exit status, plus 1. @guest: its name, not its number, for it need not be there. */
static int parse(int argc, char **argv, bool *paused)
{
	const char *options = paused ? "p" : "", *bad;
	int rc = 0, c;

	while ((c = command_option(argc, argv, options, &rc)) != -1) {
		if (c == '?')
			return rc + 1;
		*paused = true;
	}
	if (argc - optind != 2)
		return command_usage(argv[0], false) + 1;
	bad = config_bad_name(argv[optind]);
	if (bad) {
		xl_error("%s: %s; snapshots go by the name that the guest had", argv[optind], bad);
		return EXIT_USAGE + 1;
	}
	return 0;
}

int cmd_snapshot_delete(int argc, char **argv)
{
	int rc = parse(argc, argv, NULL);
	struct snapshots all;
	struct snapshot s = { 0 };

	if (rc)
		return rc - 1;
	rc = snapshots_lock(&all, argv[optind], false) ||
	     snapshot_read(&all, &s, argv[optind + 1]) || snapshot_remove(&all, &s);
	snapshot_free(&s);
	snapshots_unlock(&all);
	return rc ? 1 : 0;
}

/* --- revert ------------------------------------------------------------------------------------- */

struct reverting {
	struct xl xl;
	struct snapshots all;
	struct snapshot snap;
	char *memory; /* the path of its stream */
	const char *guest;
	bool paused;
};

/* What the guest has in its memory of its disks must be of the same moment as they are. */
static int check_config(const struct reverting *r, const struct saved *s)
{
	struct xl_config cfg;
	int rc = restoring_config(&cfg, s, NULL), i;
	unsigned int k;

	for (i = 0; !rc && i < cfg.nr_disks; i++) {
		if (!cfg.disk[i].target || cfg.disk[i].readonly || cfg.disk[i].cdrom)
			continue;
		for (k = 0; k < r->snap.nr_disks; k++)
			if (!strcmp(r->snap.disk[k].vdev, cfg.disk[i].vdev))
				break;
		if (k == r->snap.nr_disks)
			rc = xl_error(
				"disk %s of '%s' is not in snapshot '%s': put it back to that "
				"moment yourself, then: xl restore %s",
				cfg.disk[i].vdev, r->guest, r->snap.name, r->memory);
	}
	/* Its kernel is in its memory. */
	cfg.saved = (struct saved *)s;
	if (!rc && domain_check(&cfg))
		rc = -1;
	cfg.saved = NULL;
	config_free(&cfg);
	return rc;
}

/* All of the stream is read, and nothing done with it. */
static int check_memory(const struct reverting *r)
{
	struct progress p;
	struct pv_err err = { "" };
	struct pv_record record;
	struct saved s;
	int more = 1, rc = saved_open(&s, r->memory);

	if (!rc && s.in.ram != r->snap.pages)
		rc = xl_error("%s: it is another guest's memory", r->memory);
	if (!rc)
		rc = check_config(r, &s);
	progress_begin(&p, "Checking", r->snap.pages * PV_PAGE_SIZE);
	while (!rc && more) {
		more = pv_stream_next(&s.in, &record, &err);
		if (more < 0)
			rc = xl_error("%s: %s", r->memory, err.text);
		else if (xl_interrupted)
			rc = xl_error("interrupted: '%s' is as it was", r->guest);
		else if (more && record.type == PV_REC_PAGE_DATA)
			progress_add(&p, record.length);
	}
	if (!rc && pv_stream_at_end(&s.in, &err))
		rc = xl_error("%s: %s", r->memory, err.text);
	progress_end(&p);
	saved_close(&s);
	return rc;
}

/* Nobody's but this guest's (@domid; 0: it is not there), so that none must find that out when it is gone. */
static int check_owner(struct reverting *r, uint32_t domid)
{
	const struct snapshot_disk *d = r->snap.disk;
	int lock = xl_lock_devices(), rc = lock < 0 ? -1 : 0;
	unsigned int i;
	char *why;

	for (i = 0; i < r->snap.nr_disks && !rc; i++) {
		why = device_disk_used(&r->xl, d[i].target, domid);
		if (why)
			rc = xl_error("disk %s, %s: %s", d[i].vdev, d[i].target, why);
		free(why);
	}
	xl_unlock(lock);
	return rc;
}

static int check_disks(const struct reverting *r)
{
	const struct snapshot_disk *d = r->snap.disk;
	unsigned int i;
	struct stat st;

	for (i = 0; i < r->snap.nr_disks; i++, d++)
		if (stat(d->file, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != d->size)
			return xl_error("disk %s, %s: it is not there any more, or not whole",
					d->vdev, d->file);
	return 0;
}

/* Another domain may have the guest's UUID by now, and then it could not go on. */
static int check_uuid(struct reverting *r, bool there, uint32_t domid)
{
	uint8_t uuid[16];
	uint32_t other;
	char *name;
	int rc = 0;

	if (!r->snap.pages)
		return 0;
	if (uuid_parse(r->snap.uuid, uuid))
		return xl_error("%s: its UUID is none", r->snap.dir);
	if (migrate_find(&r->xl, uuid, &other) && !(there && other == domid)) {
		name = domain_name(&r->xl, other);
		rc = xl_error("'%s' (domain %u) has its UUID: has it been renamed?",
			      name ? name : "", other);
		free(name);
	}
	return rc;
}

static char *new_path(const struct reverting *r, unsigned int i)
{
	return xl_sprintf("%s.revert-%d", r->snap.disk[i].target, getpid());
}

/* The first @n of them have a new file beside them. */
static void drop_new(const struct reverting *r, unsigned int n)
{
	char *new;

	while (n--) {
		new = new_path(r, n);
		unlink(new);
		free(new);
	}
}

/* Each disk beside what it is to replace: until all are there, none is. */
static int make_new(const struct reverting *r)
{
	const struct snapshot_disk *d = r->snap.disk;
	unsigned int i;
	char *new;
	int rc = 0;

	for (i = 0; i < r->snap.nr_disks && !rc; i++, d++) {
		new = new_path(r, i);
		rc = disk_store_clone(d->file, new, true);
		if (!rc) {
			rc = disk_store_sync(new);
			if (rc)
				unlink(new);
		}
		if (rc)
			xl_error("disk %s, %s: %s", d->vdev, new,
				 rc == -EINTR ? "interrupted" : strerror(-rc));
		free(new);
	}
	if (rc)
		drop_new(r, i - 1);
	return rc ? -1 : 0;
}

/* Somebody else's must not be taken from under him. The guest itself is gone. */
static int put_in_place(struct reverting *r)
{
	const struct snapshot_disk *d = r->snap.disk;
	int lock = xl_lock_devices(), rc = lock < 0 ? -1 : 0;
	char *why, *new;
	unsigned int i;

	for (i = 0; i < r->snap.nr_disks && !rc; i++) {
		why = device_disk_used(&r->xl, d[i].target, 0);
		if (why)
			rc = xl_error("disk %s, %s: %s", d[i].vdev, d[i].target, why);
		free(why);
	}
	for (i = 0; i < r->snap.nr_disks && !rc; i++) {
		new = new_path(r, i);
		if (rename(new, d[i].target))
			rc = xl_error("%s: %s; of its disks %u are back: revert once more",
				      d[i].target, strerror(errno), i);
		free(new);
	}
	xl_unlock(lock);
	if (rc)
		drop_new(r, r->snap.nr_disks);
	for (i = 0; i < r->snap.nr_disks && !rc; i++) {
		rc = xl_sync_directory(d[i].target);
		if (rc)
			xl_error("%s: %s", d[i].target, strerror(-rc));
	}
	return rc ? -1 : 0;
}

/* From here on there is no way back but this one to its end. */
static int no_more_interrupted(const struct reverting *r)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	return xl_interrupted ? xl_error("interrupted: '%s' is as it was", r->guest) : 0;
}

/* The present one, if it is there. */
static int give_up(struct reverting *r)
{
	uint32_t domid = 0;
	int lock, rc;

	if (bootloader_end(&r->xl, r->guest) || !domain_named(&r->xl, r->guest, &domid))
		return check_uuid(r, false, 0) || check_owner(r, 0) || no_more_interrupted(r) ? -1 :
												0;
	lock = domain_lock(&r->xl, r->guest, "revert", &domid);
	if (lock < 0)
		return -1;
	rc = check_uuid(r, true, domid) || check_owner(r, domid) || no_more_interrupted(r) ||
			     domain_destroy(&r->xl, domid) ?
		     -1 :
		     0;
	xl_unlock_domain(lock, domid);
	return rc;
}

/* It goes on from its memory. */
static int go_on(struct reverting *r)
{
	struct xl_config cfg;
	struct saved s;
	int rc;

	if (!r->snap.pages) {
		printf("%s: its disks are as they were; it is not running: xl create\n", r->guest);
		return 0;
	}
	if (saved_open(&s, r->memory)) {
		saved_close(&s);
		return -1;
	}
	rc = restoring_config(&cfg, &s, NULL);
	if (!rc)
		rc = restoring_run(&r->xl, &cfg, &s, r->paused, false);
	config_free(&cfg);
	saved_close(&s);
	if (!rc)
		printf("%s: as in snapshot '%s'\n", r->guest, r->snap.name);
	return rc;
}

static int revert(struct reverting *r)
{
	int rc;

	r->memory = snapshot_path(&r->snap, "memory");
	rc = (r->snap.pages && check_memory(r)) || check_disks(r) || make_new(r) ? -1 : 0;
	if (!rc && give_up(r)) {
		drop_new(r, r->snap.nr_disks);
		rc = -1;
	}
	if (!rc)
		rc = put_in_place(r) || go_on(r) ? -1 : 0;
	free(r->memory);
	return rc;
}

int cmd_snapshot_revert(int argc, char **argv)
{
	struct reverting r = { 0 };
	int rc = parse(argc, argv, &r.paused);

	if (rc)
		return rc - 1;
	r.guest = argv[optind];
	xl_catch_signals();
	signal(SIGPIPE, SIG_IGN);
	rc = snapshots_lock(&r.all, r.guest, false) ||
	     snapshot_read(&r.all, &r.snap, argv[optind + 1]);
	if (!rc && !xl_open(&r.xl)) {
		rc = revert(&r);
		xl_close(&r.xl);
	} else {
		rc = -1;
	}
	snapshot_free(&r.snap);
	snapshots_unlock(&r.all);
	return rc ? 1 : 0;
}
