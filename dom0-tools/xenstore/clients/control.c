// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenstore-control: asks the daemon itself.
 * Commands are the daemon's; only live-update, which takes several requests, is known here.
 * Messages and exit codes are those of Xen's client: 1 no daemon, 2 wrong usage, 3 refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "client.h"

enum { OK = 0, NO_DAEMON = 1, USAGE = 2, REFUSED = 3 };

#define LIVE_UPDATE_SECONDS "60"

/* NUL-terminated arguments one after another. */
struct args {
	char buf[XENSTORE_PAYLOAD_MAX];
	size_t len;
};

static bool add(struct args *a, const char *s)
{
	size_t n = strlen(s) + 1;

	if (a->len + n > sizeof(a->buf))
		return false;
	memcpy(a->buf + a->len, s, n);
	a->len += n;
	return true;
}

/* One step of a live update. Says what failed; *busy: the daemon wants to be asked again. */
static int step(struct xs_handle *h, const char *what, const struct args *a, bool *busy)
{
	char *ret = xs_control_command(h, "live-update", (void *)a->buf, (unsigned int)a->len);
	int rc = OK;

	*busy = ret && !strcmp(ret, "BUSY");
	if (!*busy && (!ret || strcmp(ret, "OK"))) {
		fprintf(stderr, "%s failed:\n%s\n", what, ret ? ret : strerror(errno));
		rc = REFUSED;
	}
	free(ret);
	return rc;
}

static int start(struct xs_handle *h, const char *seconds, bool force)
{
	static const char what[] = "Starting live update";
	time_t end = time(NULL) + atoi(seconds);
	struct args a = { .len = 0 };
	bool busy;
	int rc;

	add(&a, "-s");
	add(&a, "-t");
	if (!add(&a, seconds) || (force && !add(&a, "-F")))
		return USAGE;
	for (;;) {
		rc = step(h, what, &a, &busy);
		if (!busy)
			return rc;
		if (time(NULL) >= end)
			break;
		sleep(1);
	}
	fprintf(stderr, "%s failed:\nBUSY\n", what);
	return REFUSED;
}

/* live-update [-c command line] [-F] [-t seconds] binary */
static int live_update(struct xs_handle *h, int argc, char **argv)
{
	const char *binary = NULL, *cmdline = NULL, *seconds = LIVE_UPDATE_SECONDS;
	struct args a = { .len = 0 }, b = { .len = 0 };
	bool force = false, busy;
	int rc;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "-F")) {
			force = true;
		} else if (!strcmp(argv[i], "-c") || !strcmp(argv[i], "-t")) {
			if (i + 1 == argc) {
				fprintf(stderr, "Missing %s value\n",
					argv[i][1] == 'c' ? "command line" : "timeout");
				return USAGE;
			}
			*(argv[i][1] == 'c' ? &cmdline : &seconds) = argv[i + 1];
			i++;
		} else {
			binary = argv[i];
		}
	}
	if (!binary) {
		fprintf(stderr, "Missing binary specification\n");
		return USAGE;
	}
	if (!add(&a, "-f") || !add(&a, binary) || !add(&b, "-c") ||
	    (cmdline && !add(&b, cmdline))) {
		fprintf(stderr, "arguments too long\n");
		return USAGE;
	}
	rc = step(h, "Setting update binary", &a, &busy);
	if (rc)
		return rc;
	if (cmdline)
		rc = step(h, "Setting command line", &b, &busy);
	if (!rc)
		rc = start(h, seconds, force);
	if (rc)
		free(xs_control_command(h, "live-update", "-a", 3));
	return rc;
}

/* Commands of ours that have many ways to fail: the reply is OK, or which it was. */
static bool says_why(const char *command)
{
	return !strcmp(command, "export-domain") || !strcmp(command, "import-domain");
}

static int command(struct xs_handle *h, int argc, char **argv)
{
	struct args a = { .len = 0 };
	char *ret;

	for (int i = 1; i < argc; i++) {
		if (!add(&a, argv[i])) {
			fprintf(stderr, "arguments too long\n");
			return USAGE;
		}
	}
	ret = xs_control_command(h, argv[0], a.buf, (unsigned int)a.len);
	if (ret && says_why(argv[0]) && strcmp(ret, "OK")) {
		fprintf(stderr, "%s failed:\n%s\n", argv[0], ret);
		free(ret);
		return REFUSED;
	}
	if (ret) {
		if (*ret)
			printf("%s\n", ret);
		free(ret);
		return fflush(stdout) ? NO_DAEMON : OK;
	}
	if (errno != EINVAL) {
		fprintf(stderr, "Error %d when trying to execute command.\n", errno);
		return REFUSED;
	}
	ret = xs_control_command(h, "help", NULL, 0);
	if (ret)
		fprintf(stderr, "Command not supported. Valid commands are:\n%s\n", ret);
	else
		fprintf(stderr, "Error when executing command.\n");
	free(ret);
	return REFUSED;
}

/* The steps of a live update go through as they are. */
static bool raw_step(int argc, char **argv)
{
	return argc && (!strcmp(argv[0], "-f") || !strcmp(argv[0], "-s") || !strcmp(argv[0], "-a"));
}

int control_main(const char *prog, int argc, char **argv)
{
	struct xs_handle *h;
	int rc;

	if (!argc || !strcmp(argv[0], "-h") || !strcmp(argv[0], "--help")) {
		fprintf(argc ? stdout : stderr, "Usage:\n%s <command> [<arg>...]\n", prog);
		if (argc)
			printf("Commands of the daemon: %s help\n", prog);
		return argc ? OK : USAGE;
	}
	h = xs_open(0);
	if (!h) {
		fprintf(stderr, "Failed to contact Xenstored.\n");
		return NO_DAEMON;
	}
	rc = !strcmp(argv[0], "live-update") && !raw_step(argc - 1, argv + 1) ?
		     live_update(h, argc - 1, argv + 1) :
		     command(h, argc, argv);
	xs_close(h);
	return rc;
}
