// SPDX-License-Identifier: BSD-2-Clause
/*
 * The verbs that act on a guest at once: console, pause, unpause, destroy, rename.
 * Owns that none of them meets a guest half made, half destroyed or between two lives.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bootloader.h"
#include "migrate.h"
#include "whole.h"

#define TTY_WAIT_MS 5000

static int no_option(int argc, char **argv, int min, int max)
{
	int rc = 0;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc + 1;
	if (argc - optind < min || argc - optind > max)
		return command_usage(argv[0], false) + 1;
	return 0;
}

/* "^x" for Ctrl-x, or one character; -1: neither. */
static int parse_escape(const char *text)
{
	size_t n = strlen(text);

	if (n == 2 && *text == '^' && text[1] >= '?' && text[1] <= '~')
		return text[1] == '?' ? 0x7f : text[1] & 0x1f;
	return n == 1 ? (unsigned char)*text : -1;
}

/* The message why there is no such console, or 0. */
static int check_console(int option, const char *value)
{
	if (option == 't' && !strcmp(value, "serial"))
		return xl_error("a guest has no emulated serial port: its console is the PV one "
				"(-t pv)");
	if (option == 't' && strcmp(value, "pv"))
		return xl_error("'%s' is none of pv, serial", value);
	if (option == 'n' && (*value < '0' || *value > '9' || value[1]))
		return xl_error("'%s' is no console's number: 0 to 9", value);
	if (option == 'e' && parse_escape(value) < 0)
		return xl_error("'%s' is no escape character: one character, or ^ and a letter for "
				"Ctrl with it",
				value);
	return 0;
}

int cmd_console(int argc, char **argv)
{
	int rc = 0, c, fd, escape = CONSOLE_ESCAPE, console = 0;
	struct xl xl;
	uint32_t domid;

	while ((c = command_option(argc, argv, "t:n:e:", &rc)) != -1) {
		if (c == '?')
			return rc;
		if (check_console(c, optarg))
			return 1;
		if (c == 'e')
			escape = parse_escape(optarg);
		if (c == 'n')
			console = *optarg - '0';
	}
	if (argc - optind != 1)
		return command_usage("console", false);
	if (xl_open(&xl))
		return 1;
	signal(SIGPIPE, SIG_IGN);
	rc = domain_find_guest(&xl, argv[optind], "open the console of", &domid);
	fd = rc ? -1 : console_connect_to(&xl, domid, console, TTY_WAIT_MS);
	xl_close(&xl);
	return fd < 0 ? 1 : console_run(fd, escape);
}

/*
 * Runs @fn on each domain named, with its lock: not while another xl makes, destroys or restarts it. The
 * exit status tells whether all went well.
 */
static int each_guest(int argc, char **argv, const char *options, const char *verb,
		      int (*fn)(struct xl *xl, uint32_t domid))
{
	int rc = 0, failed = 0, c, lock;
	struct xl xl;
	uint32_t domid = 0;

	while ((c = command_option(argc, argv, options, &rc)) != -1)
		if (c == '?')
			return rc;
	if (optind == argc)
		return command_usage(argv[0], false);
	if (xl_open(&xl))
		return 1;
	for (; optind < argc; optind++) {
		/* One whose disk is being read is not there, and is about to be. */
		if (fn == domain_destroy && bootloader_end(&xl, argv[optind]))
			continue;
		lock = domain_lock(&xl, argv[optind], verb, &domid);
		if (lock < 0 || fn(&xl, domid))
			failed = 1;
		xl_unlock_domain(lock, domid);
	}
	xl_close(&xl);
	return failed;
}

static int pause_one(struct xl *xl, uint32_t domid)
{
	int rc = pv_domain_pause(xl->pv, domid);

	return rc ? xl_error("cannot pause domain %u: %s", domid, strerror(-rc)) : 0;
}

int cmd_pause(int argc, char **argv)
{
	return each_guest(argc, argv, "", "pause", pause_one);
}

static int unpause_one(struct xl *xl, uint32_t domid)
{
	char *why = migrate_bars(xl, domid);
	int rc;

	if (why) {
		rc = xl_error("cannot unpause domain %u: %s", domid, why);
		free(why);
		return rc;
	}
	/* Who saved it was killed behind the last byte, and the file is gone (dump.c). */
	whole_undo(xl, domid);
	rc = pv_domain_unpause(xl->pv, domid);
	if (rc == -EINVAL)
		return xl_error("cannot unpause domain %u: it is not paused", domid);
	return rc ? xl_error("cannot unpause domain %u: %s", domid, strerror(-rc)) : 0;
}

int cmd_unpause(int argc, char **argv)
{
	return each_guest(argc, argv, "", "unpause", unpause_one);
}

int cmd_destroy(int argc, char **argv)
{
	/* -f: would allow to destroy domain 0, which cannot be here. */
	return each_guest(argc, argv, "f", "destroy", domain_destroy);
}

/* --- rename ---------------------------------------------------------------------------------- */

/* xl_lock(), and who it is whose lock nobody has for long. -1 after a message. */
static int lock_to_rename(struct xl *xl, const char *arg, uint32_t *domid)
{
	int lock, domain_lock;

	for (;;) {
		lock = xl_lock();
		if (lock < 0 || domain_find_guest(xl, arg, "rename", domid)) {
			xl_unlock(lock);
			return -1;
		}
		if (!xl_domain_locked(*domid))
			return lock;
		/* Whoever saves or moves it may be at it for long: all others who make guests do not wait for him. */
		xl_unlock(lock);
		domain_lock = xl_lock_domain(*domid);
		if (domain_lock < 0)
			return -1;
		xl_unlock_domain(domain_lock, *domid);
	}
}

/* By its name it is known what is to become of such a one. */
static int rename_one(struct xl *xl, uint32_t domid, const char *name)
{
	char *why = migrate_bars(xl, domid);
	int rc = why ? xl_error("cannot rename domain %u: %s", domid, why) :
		       domain_rename(xl, domid, name);

	free(why);
	return rc;
}

int cmd_rename(int argc, char **argv)
{
	int rc = no_option(argc, argv, 2, 2), lock, domain_lock;
	uint32_t domid = 0;
	struct xl xl;

	if (rc)
		return rc - 1;
	if (xl_open(&xl))
		return 1;
	lock = lock_to_rename(&xl, argv[optind], &domid);
	domain_lock = lock < 0 ? -1 : xl_lock_domain(domid);
	rc = domain_lock < 0 || rename_one(&xl, domid, argv[optind + 1]);
	xl_unlock_domain(domain_lock, domid);
	xl_unlock(lock);
	xl_close(&xl);
	return rc;
}
