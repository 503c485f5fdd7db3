// SPDX-License-Identifier: BSD-2-Clause
/*
 * Small things that every part of xl needs: messages, time, signals, the lock, the connections.
 * Owns the rule that a memory shortage ends xl at once: it is small and holds nothing that the
 * next xl could not clean up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "xl.h"

#define LOCK_REPORT_MS 10000
#define LOOK_MIN_MS 2
#define LOOK_MAX_MS 500

volatile int xl_interrupted;
static char *last_error;

const char *xl_last_error(void)
{
	return last_error ? last_error : "";
}

void xl_forget_error(void)
{
	free(last_error);
	last_error = NULL;
}

int xl_error(const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	fflush(stdout);
	fputs("xl: ", stderr);
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	/* It may quote what a guest, or a driver for it, has written. */
	if (n >= 0) {
		pv_text_print(stderr, text, n);
		free(last_error);
		last_error = text;
	}
	fputc('\n', stderr);
	return -1;
}

char *xl_sprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		abort();
	va_end(ap);
	return s;
}

char *xl_one_line(const char *text)
{
	char *out = pv_text_show(text, strlen(text)), *p;

	if (!out)
		abort();
	for (p = out; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	return out;
}

int64_t xl_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

void xl_sleep(int ms)
{
	poll(NULL, 0, ms);
}

int xl_look_ms(int64_t begin)
{
	int64_t ms = (xl_now() - begin) / 4;

	return ms < LOOK_MIN_MS ? LOOK_MIN_MS : ms > LOOK_MAX_MS ? LOOK_MAX_MS : (int)ms;
}

void xl_sleep_since(int64_t begin)
{
	xl_sleep(xl_look_ms(begin));
}

/* A kernel that has no such descriptors is asked again and again. */
static void sleep_for_child(int fd, int64_t begin, int64_t end)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int64_t left = end - xl_now();

	if (fd < 0)
		xl_sleep_since(begin);
	else if (left > 0)
		poll(&pfd, 1, (int)left);
}

pid_t xl_wait_child(pid_t pid, int ms, int *status)
{
	int64_t begin = xl_now(), end = begin + ms;
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	pid_t got;

	for (;;) {
		got = waitpid(pid, status, WNOHANG);
		if (got > 0 || (got < 0 && errno != EINTR) || xl_now() >= end)
			break;
		sleep_for_child(fd, begin, end);
	}
	if (fd >= 0)
		close(fd);
	return got;
}

static void on_signal(int sig)
{
	(void)sig;
	xl_interrupted = 1;
}

void xl_catch_signal(int sig, struct sigaction *was)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(sig, &sa, was);
}

void xl_catch_signals(void)
{
	xl_catch_signal(SIGINT, NULL);
	xl_catch_signal(SIGTERM, NULL);
	xl_catch_signal(SIGHUP, NULL);
}

void xl_spare_me(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	/* Refused to who is not root; then it is no guest's supervisor either. */
	if (fd >= 0 && write(fd, "-999", 4) != 4)
		errno = 0;
	if (fd >= 0)
		close(fd);
}

int xl_sync_directory(const char *path)
{
	char *copy = xl_sprintf("%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) ? -errno : 0;

	free(copy);
	if (fd >= 0)
		close(fd);
	return rc;
}

int xl_mkdir(const char *path)
{
	char *copy = strdup(path), *p;
	int rc;

	if (!copy)
		abort();
	for (p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(copy, 0755);
		*p = '/';
	}
	rc = mkdir(copy, 0755) && errno != EEXIST ? -1 : 0;
	free(copy);
	return rc;
}

int xl_open(struct xl *xl)
{
	struct pv_err err = { "" };

	xl->xs = NULL;
	xl->watched = false;
	if (pv_open(&xl->pv, &err))
		return xl_error("%s", err.text);
	xl->xs = st_open(XENSTORE_MS);
	if (!xl->xs) {
		pv_close(xl->pv);
		xl->pv = NULL;
		return -1;
	}
	return 0;
}

void xl_close(struct xl *xl)
{
	if (xl->xs)
		xs_close(xl->xs);
	pv_close(xl->pv);
	xl->xs = NULL;
	xl->pv = NULL;
}

/* Says who keeps us waiting: the holder has written its pid into the file. */
static void report_holder(int fd, const char *path)
{
	char pid[16] = "";

	if (pread(fd, pid, sizeof(pid) - 1, 0) > 0)
		xl_error("waiting for process %ld, which holds %s", strtol(pid, NULL, 10), path);
}

static int wait_for_lock(int fd, const char *path)
{
	int64_t begin = xl_now();
	bool reported = false;
	int ms = 1;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if ((errno != EWOULDBLOCK && errno != EINTR) || xl_interrupted)
			return -1;
		if (!reported && xl_now() > begin + LOCK_REPORT_MS) {
			report_holder(fd, path);
			reported = true;
		}
		xl_sleep(ms);
		if (ms < 50)
			ms *= 2;
	}
	return 0;
}

static int lock_file(const char *path)
{
	char pid[16];
	struct stat st;
	int fd, n;

	xl_mkdir(XL_RUN_DIR);
	for (;;) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			return xl_error("%s: %s", path, strerror(errno));
		if (wait_for_lock(fd, path)) {
			if (xl_interrupted)
				xl_error("interrupted");
			else
				xl_error("%s: %s", path, strerror(errno));
			close(fd);
			return -1;
		}
		/* The one we waited for may have removed the file: then this is no lock at all. */
		if (!fstat(fd, &st) && st.st_nlink)
			break;
		close(fd);
	}
	n = snprintf(pid, sizeof(pid), "%d\n", getpid());
	if (ftruncate(fd, 0) || pwrite(fd, pid, n, 0) != n)
		xl_error("%s: %s", path, strerror(errno));
	return fd;
}

/* xl_lock()'s descriptor, and whose process it is: a child that was forked meanwhile has none. */
static int making = -1;
static pid_t making_pid;

int xl_lock(void)
{
	making = lock_file(XL_LOCK_FILE);
	making_pid = getpid();
	return making;
}

int xl_try_lock(bool *mine)
{
	int fd;

	*mine = making >= 0 && making_pid == getpid();
	if (*mine)
		return -1;
	fd = open(XL_LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	*mine = fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB);
	if (fd >= 0 && !*mine)
		close(fd);
	return *mine ? fd : -1;
}

void xl_unlock(int fd)
{
	if (fd < 0)
		return;
	if (fd == making)
		making = -1;
	/* Explicitly: a forked child may still hold the same open file. */
	flock(fd, LOCK_UN);
	close(fd);
}

int xl_lock_domain(uint32_t domid)
{
	char path[sizeof(XL_DOMAIN_LOCK) + 10];

	snprintf(path, sizeof(path), XL_DOMAIN_LOCK, domid);
	return lock_file(path);
}

void xl_unlock_domain(int fd, uint32_t domid)
{
	char path[sizeof(XL_DOMAIN_LOCK) + 10];

	if (fd < 0)
		return;
	/* While it is ours; see lock_file(). */
	snprintf(path, sizeof(path), XL_DOMAIN_LOCK, domid);
	unlink(path);
	xl_unlock(fd);
}

/* The directory itself: no file that could be left. */
int xl_lock_devices(void)
{
	int fd;

	xl_mkdir(XL_RUN_DIR);
	fd = open(XL_RUN_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return xl_error("%s: %s", XL_RUN_DIR, strerror(errno));
	while (flock(fd, LOCK_EX)) {
		if (errno == EINTR && !xl_interrupted)
			continue;
		xl_error("%s: %s", XL_RUN_DIR, xl_interrupted ? "interrupted" : strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

bool xl_domain_locked(uint32_t domid)
{
	char path[sizeof(XL_DOMAIN_LOCK) + 10];
	bool held;
	int fd;

	snprintf(path, sizeof(path), XL_DOMAIN_LOCK, domid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB);
	if (fd >= 0)
		close(fd);
	return held;
}
