// SPDX-License-Identifier: BSD-2-Clause
/*
 * The hotplug script of disks that are not raw. "add" opens the files as xl has checked them, starts qemu-nbd in its sandbox with
 * a socket of which nobody else has the other end, and gives that end to the kernel; "remove" undoes it, also what an "add" that was
 * killed has left: the process is noted before it may begin, and the device has a name of its own in sysfs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cfg.h"
#include "image_server.h"
#include "minder.h"
#include "nbd.h"
#include "sandbox.h"
#include "scope.h"
#include "settings.h"

/* Together less than a script may take (HOTPLUG_WAIT_MS). */
#ifndef IMAGE_START_MS
#define IMAGE_START_MS 20000
#define IMAGE_STOP_MS 20000
#endif
#define KILL_MS 2000
#define TREE "/images/qemu"
#define QEMU_NBD "/usr/bin/qemu-nbd"
#define NBD_LOCK XL_RUN_DIR "/nbd.lock"

struct job {
	struct xl xl;
	const char *be, *verb;
	char *params, *mode;
	enum image_format format;
	char *backing[IMAGE_BACKING_MAX];
	int nr_backing;
	struct image_chain chain;
};

/* --- saying ---------------------------------------------------------------------------------- */

static void note(const struct job *j, const char *text)
{
	time_t now = time(NULL);
	char when[32];
	struct tm tm;

	strftime(when, sizeof(when), "%F %T", localtime_r(&now, &tm));
	fprintf(stderr, "%s " IMAGE_SCRIPT " %s %s: %s\n", when, j->verb, j->be, text);
}

/* Where xl looks for it, unless the device is being removed. Takes @text. */
static int fail(struct job *j, char *text)
{
	note(j, text);
	if (st_read_long(&j->xl, "%s/online", j->be) == 1) {
		st_write(&j->xl, XBT_NULL, text, "%s/hotplug-error", j->be);
		st_write(&j->xl, XBT_NULL, "error", "%s/hotplug-status", j->be);
	}
	free(text);
	return -1;
}

/* --- where qemu-nbd is ------------------------------------------------------------------------ */

char *image_qemu(char *msg, size_t size)
{
	const struct cfg_setting *s = NULL;
	FILE *quiet = fopen("/dev/null", "we");
	struct cfg conf;
	const char *roots[] = { NULL, "/", TREE };
	char *root = NULL, *path;
	unsigned int i;

	settings_read(&conf, quiet ? quiet : stderr);
	s = cfg_find(&conf, "qemu_dir");
	if (s && !s->list)
		roots[0] = s->v[0].text;
	for (i = 0; !root && i < (roots[0] ? 1 : pv_container_size(roots)); i++) {
		if (!roots[i])
			continue;
		path = xl_sprintf("%s" QEMU_NBD, *roots[i] == '/' && !roots[i][1] ? "" : roots[i]);
		if (!access(path, X_OK))
			root = xl_sprintf("%s", roots[i]);
		free(path);
	}
	if (!root && roots[0])
		snprintf(msg, size,
			 "there is no %s" QEMU_NBD ", where qemu_dir in " XL_CONF " says",
			 roots[0]);
	else if (!root)
		snprintf(
			msg, size,
			"dom0 has no qemu-nbd, which reads it: on Debian, apt-get install qemu-utils; "
			"elsewhere 'make qemu-utils' makes a directory for " TREE);
	cfg_free(&conf);
	if (quiet)
		fclose(quiet);
	return root;
}

/* --- the process ------------------------------------------------------------------------------ */

/* The one that is noted, as a descriptor, if it still is that; -1. */
static int open_server(struct xl *xl, const char *be)
{
	char *noted = st_read(xl, XBT_NULL, "%s/" IMAGE_SERVER_NODE, be);
	uint64_t when;
	long pid;
	int fd = -1;

	if (noted && sscanf(noted, "%ld %" SCNu64, &pid, &when) == 2 && pid > 1) {
		fd = pidfd_open(pid, 0);
		if (fd >= 0 && process_began(pid) != when) {
			close(fd);
			fd = -1;
		}
	}
	free(noted);
	return fd;
}

static bool ends_within(int pidfd, int ms)
{
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };
	int64_t end = xl_now() + ms, left;

	while ((left = end - xl_now()) > 0)
		if (poll(&pfd, 1, (int)left) > 0)
			return true;
	return poll(&pfd, 1, 0) > 0;
}

/* What the device is called in sysfs: whose it is, by which it is found, and what files it has, which sharing.c reads. */
static char *device_name(const char *be)
{
	return xl_sprintf(NBD_OURS " %s", be);
}

/*
 * The kernel is told a device's number only: one that is being cut must not be another disk's by then. Nobody waits for a server
 * under this lock. -1: without it, there would be no disk, or none would go.
 */
static int lock_devices(void)
{
	int fd = open(NBD_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	while (fd >= 0 && flock(fd, LOCK_EX) && errno == EINTR)
		;
	return fd;
}

static void disconnect(const char *be)
{
	int lock = lock_devices(), index;
	char *name = device_name(be);

	index = nbd_find(name);
	if (index >= 0)
		nbd_disconnect(index);
	xl_unlock(lock);
	free(name);
}

bool image_server_noted(struct xl *xl, const char *be)
{
	char *value = st_read(xl, XBT_NULL, "%s/" IMAGE_SERVER_NODE, be);
	bool noted = value;

	free(value);
	return noted;
}

bool image_server_ended(struct xl *xl, const char *be)
{
	int fd;

	if (!image_server_noted(xl, be))
		return false;
	fd = open_server(xl, be);
	if (fd >= 0) {
		close(fd);
		return false;
	}
	return true;
}

bool image_server_cut(struct xl *xl, const char *be)
{
	if (!image_server_ended(xl, be))
		return false;
	disconnect(be);
	return true;
}

/*
 * It writes what it has, and ends. Killed it loses nothing that the guest has been told is on the disk: that is in dom0's files by
 * then. The kernel lets go of it last: it says goodbye to a server first, and would wait for one that does not listen, with
 * all of generic netlink.
 */
static int remove_disk(struct job *j, int ms)
{
	int fd = open_server(&j->xl, j->be);
	bool ended = fd < 0;

	if (!ended) {
		pidfd_send_signal(fd, SIGTERM, NULL, 0);
		pidfd_send_signal(fd, SIGCONT, NULL, 0);
		ended = ends_within(fd, ms);
		if (!ended) {
			note(j, "qemu-nbd does not end: killed");
			pidfd_send_signal(fd, SIGKILL, NULL, 0);
			ended = ends_within(fd, KILL_MS);
		}
		close(fd);
	}
	if (!ended) {
		note(j, "qemu-nbd cannot be killed: it and its device stay");
		return -1;
	}
	disconnect(j->be);
	st_remove(&j->xl, XBT_NULL, "%s/" IMAGE_SERVER_NODE, j->be);
	note(j, "released");
	return 0;
}

/* --- add --------------------------------------------------------------------------------------- */

/* What xl has written, and nobody else can. */
static int read_nodes(struct job *j)
{
	char *format = st_read(&j->xl, XBT_NULL, "%s/" IMAGE_FORMAT_NODE, j->be), *b;

	j->params = st_read(&j->xl, XBT_NULL, "%s/params", j->be);
	j->mode = st_read(&j->xl, XBT_NULL, "%s/mode", j->be);
	j->format = format ? image_format_of(format, strlen(format)) : IMAGE_UNKNOWN;
	free(format);
	while (j->nr_backing < IMAGE_BACKING_MAX) {
		b = st_read(&j->xl, XBT_NULL, "%s/" IMAGE_BACKING_NODE "/%d", j->be, j->nr_backing);
		if (!b)
			break;
		j->backing[j->nr_backing++] = b;
	}
	if (j->params && j->mode && j->format != IMAGE_UNKNOWN && j->format != IMAGE_RAW)
		return 0;
	return fail(j, xl_sprintf("no params, mode or format in xenstore"));
}

/* "f:1:2 f:1:3": the files that are open now, whatever names they have. */
static char *files_of(const struct image_chain *c)
{
	char *all = xl_sprintf("%s", ""), *more;
	int i;

	for (i = 0; i < c->nr; i++) {
		more = xl_sprintf("%s%sf:%" PRIu64 ":%" PRIu64, all, i ? " " : "",
				  (uint64_t)c->link[i].st.st_dev, (uint64_t)c->link[i].st.st_ino);
		free(all);
		all = more;
	}
	return all;
}

/* Each of them must be among what xl has looked for at others: names may stand for other files by now. */
static bool still_same(struct job *j)
{
	char *key = st_read(&j->xl, XBT_NULL, "%s/sharing-key", j->be), *p, *id;
	bool same = key;
	size_t len;
	int i;

	for (i = 0; same && i < j->chain.nr; i++) {
		id = xl_sprintf("%sf:%" PRIu64 ":%" PRIu64, i ? "r:" : "",
				(uint64_t)j->chain.link[i].st.st_dev,
				(uint64_t)j->chain.link[i].st.st_ino);
		len = strlen(id);
		for (p = key; (p = strstr(p, id)); p += len)
			if ((p == key || p[-1] == ' ') && (!p[len] || p[len] == ' '))
				break;
		same = p && (i || p == key);
		free(id);
	}
	free(key);
	return same;
}

/* What qemu-nbd is told to open: exactly this, nothing that a header names. The caller frees. */
static char *description(const struct job *j, bool readonly)
{
	char *below = NULL, *text;
	int i;

	for (i = j->chain.nr - 1; i >= 0; i--) {
		enum image_format f = j->chain.link[i].format;
		bool based = f == IMAGE_QCOW2 || f == IMAGE_QED || f == IMAGE_VMDK;
		const char *ro = readonly || i ? "true" : "false";

		text = xl_sprintf("{\"driver\": \"%s\", \"read-only\": %s, \"discard\": \"unmap\", "
				  "\"file\": {\"driver\": \"file\", \"filename\": \"/image%d\", "
				  "\"read-only\": %s, \"discard\": \"unmap\"}%s%s}",
				  image_driver(f), ro, i, ro, based ? ", \"backing\": " : "",
				  !based ? "" :
				  below	 ? below :
					   "null");
		free(below);
		below = text;
	}
	text = xl_sprintf("json:%s", below);
	free(below);
	return text;
}

/*
 * A socket that listens, with one connection waiting, and that one's other end: its name is gone before anybody else could
 * use it. 0 or -1 with errno.
 */
static int make_sockets(int *listening, int *ours)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int rc = -1, e;

	snprintf(a.sun_path, sizeof(a.sun_path), XL_RUN_DIR "/image-%d.sock", (int)getpid());
	*listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*ours = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(a.sun_path);
	if (*listening >= 0 && *ours >= 0 && !fchmod(*listening, 0600) &&
	    !bind(*listening, (struct sockaddr *)&a, sizeof(a)) && !listen(*listening, 1))
		rc = connect(*ours, (struct sockaddr *)&a, sizeof(a));
	e = errno;
	unlink(a.sun_path);
	errno = e;
	return rc;
}

static pid_t start(struct job *j, const char *root, int listening, int errors, int *go)
{
	bool readonly = *j->mode == 'r';
	char *what = description(j, readonly);
	char *argv[] = { QEMU_NBD,
			 "--discard=unmap",
			 "--cache=writeback",
			 what,
			 readonly ? "--read-only" : NULL,
			 NULL };
	/* One arena for all threads: each takes 64 MiB of what it may have. */
	char *envp[] = { "LISTEN_PID=1", "LISTEN_FDS=1", "MALLOC_ARENA_MAX=1", "LC_ALL=C", NULL };
	struct sandbox_file file[1 + IMAGE_BACKING_MAX];
	struct sandbox s = { .root = root,
			     .file = file,
			     .nr_files = j->chain.nr,
			     .socket = listening,
			     .errors = errors,
			     .argv = argv,
			     .envp = envp };
	pid_t pid;
	int i;

	for (i = 0; i < j->chain.nr; i++)
		file[i] = (struct sandbox_file){ .path = j->chain.link[i].path,
						 .st = j->chain.link[i].st,
						 .readonly = i || readonly };
	pid = sandbox_start(&s, go);
	free(what);
	return pid;
}

/* What it is called where the host's service manager keeps it: backend/vbd/3/51712 is vbd-3-51712. */
static void keep(struct job *j, pid_t pid)
{
	const char *vbd = strstr(j->be, "vbd/");
	char *name = xl_sprintf("%s", vbd ? vbd : j->be), *p;

	for (p = name; *p; p++)
		if (*p == '/')
			*p = '-';
	if (scope_enter(pid, name))
		note(j, "it lives no longer than what xl was run from: " XL_SCOPE " failed");
	free(name);
}

/* Noted first, then it may begin: whoever is killed in between leaves a process that ends by itself. */
static int let_go(struct job *j, pid_t pid, int go)
{
	char *text = xl_sprintf("%ld %" PRIu64, (long)pid, process_began(pid));
	bool ok = st_write(&j->xl, XBT_NULL, text, "%s/" IMAGE_SERVER_NODE, j->be) &&
		  write(go, "g", 1) == 1;

	free(text);
	return ok ? 0 : fail(j, xl_sprintf("cannot write to xenstore: %s", strerror(errno)));
}

/* The last line of what it has said. The caller frees. */
static char *complaint(int errors)
{
	struct pollfd pfd = { .fd = errors, .events = POLLIN };
	char text[2048], *line;
	ssize_t n = 0, got;

	/* It has ended, or is not waited for. */
	while (n < (ssize_t)sizeof(text) - 1 && poll(&pfd, 1, KILL_MS) > 0 &&
	       (got = read(errors, text + n, sizeof(text) - 1 - n)) > 0)
		n += got;
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	line = strrchr(text, '\n');
	return xl_one_line(line ? line + 1 : text);
}

static int greet(struct job *j, int sock, int errors, struct nbd_export *e)
{
	int rc = nbd_greet(sock, IMAGE_START_MS, e);
	char *said, *why;

	/* The kernel complains loudly of a size that it takes for a negative one. */
	if (!rc && e->bytes >= 512 && e->bytes <= INT64_MAX)
		return 0;
	if (!rc)
		return fail(j, xl_sprintf("too %s for a disk (%" PRIu64 " bytes)",
					  e->bytes < 512 ? "small" : "large", e->bytes));
	said = complaint(errors);
	why = rc == -ETIMEDOUT ?
		      xl_sprintf("qemu-nbd does not answer within %d s", IMAGE_START_MS / 1000) :
	      *said ? xl_sprintf("%s", said) :
		      xl_sprintf("qemu-nbd ended without a word");
	free(said);
	return fail(j, why);
}

static int hand_over(struct job *j, int sock, const struct nbd_export *e)
{
	char *files = files_of(&j->chain), *name = device_name(j->be), *whole, *node, *numbers;
	dev_t dev;
	bool ok;
	int index, lock;

	whole = xl_sprintf("%s %s", name, files);
	lock = lock_devices();
	index = nbd_connect(sock, e, whole);
	xl_unlock(lock);
	free(whole);
	free(files);
	free(name);
	if (index == -ENOENT)
		return fail(j, xl_sprintf("dom0's kernel has no network block devices (nbd)"));
	if (index < 0)
		return fail(j, xl_sprintf("no network block device: %s", strerror(-index)));
	if (!nbd_number(index, &dev))
		return fail(j, xl_sprintf("nbd%d is not in sysfs", index));
	node = xl_sprintf("/dev/nbd%d", index);
	numbers = xl_sprintf("%x:%x", major(dev), minor(dev));
	/* physical-device starts the back end; the rest must be there before. */
	ok = st_write(&j->xl, XBT_NULL, node, "%s/node", j->be) &&
	     st_write(&j->xl, XBT_NULL, numbers, "%s/physical-device", j->be) &&
	     st_write(&j->xl, XBT_NULL, "connected", "%s/hotplug-status", j->be);
	if (ok)
		note(j, node);
	free(node);
	free(numbers);
	return ok ? 0 : fail(j, xl_sprintf("cannot write to xenstore: %s", strerror(errno)));
}

/* With all files open: the process, and the device that leads to it. */
static int serve(struct job *j, const char *root)
{
	int listening = -1, sock = -1, errors[2] = { -1, -1 }, go = -1, rc = -1;
	struct nbd_export e;
	pid_t pid;

	/* What nobody reads any more must not stop it. */
	if (pipe2(errors, O_CLOEXEC) || fcntl(errors[1], F_SETFL, O_NONBLOCK) ||
	    make_sockets(&listening, &sock)) {
		fail(j, xl_sprintf("cannot make a socket: %s", strerror(errno)));
	} else {
		pid = start(j, root, listening, errors[1], &go);
		/* Its end of them is the only one: it is seen when it ends. */
		close(listening);
		close(errors[1]);
		listening = errors[1] = -1;
		if (pid < 0) {
			char *said = complaint(errors[0]);

			fail(j, xl_sprintf("cannot start qemu-nbd: %s",
					   *said ? said : strerror(errno)));
			free(said);
		} else {
			keep(j, pid);
			rc = let_go(j, pid, go);
		}
	}
	if (!rc)
		rc = greet(j, sock, errors[0], &e);
	if (!rc)
		rc = hand_over(j, sock, &e);
	close(go);
	close(listening);
	close(errors[0]);
	close(errors[1]);
	close(sock);
	return rc;
}

static int add_disk(struct job *j)
{
	char msg[512], *root = NULL;
	int rc = read_nodes(j);

	if (!rc && image_chain_open(&j->chain, j->params, j->format, *j->mode == 'r', j->backing,
				    j->nr_backing, msg, sizeof(msg)))
		rc = fail(j, xl_sprintf("%s", msg));
	if (!rc && !still_same(j))
		rc = fail(j, xl_sprintf("%s, or what it is based on, has just become another file",
					j->params));
	if (!rc)
		root = image_qemu(msg, sizeof(msg));
	if (!rc && !root)
		rc = fail(j, xl_sprintf("%s", msg));
	/* As in the script block: another xl may have destroyed the domain meanwhile. */
	if (!rc && st_read_long(&j->xl, "%s/online", j->be) != 1)
		rc = fail(j, xl_sprintf("the device is being removed"));
	if (!rc)
		rc = serve(j, root);
	if (rc)
		remove_disk(j, KILL_MS);
	free(root);
	return rc;
}

int image_script(int argc, char **argv)
{
	struct job j = { .be = getenv("XENBUS_PATH"), .verb = argc == 2 ? argv[1] : "" };
	bool add = !strcmp(j.verb, "add");
	int rc;

	if (!j.be || (!add && strcmp(j.verb, "remove"))) {
		fprintf(stderr, "usage: XENBUS_PATH=/local/domain/0/backend/vbd/<domid>/<devid> "
				"block-image add|remove\n");
		return EXIT_USAGE;
	}
	j.xl.xs = st_open(XENSTORE_MS);
	if (!j.xl.xs)
		return EXIT_FAILURE;
	rc = add ? add_disk(&j) : remove_disk(&j, IMAGE_STOP_MS);
	image_chain_close(&j.chain);
	while (j.nr_backing > 0)
		free(j.backing[--j.nr_backing]);
	free(j.params);
	free(j.mode);
	xs_close(j.xl.xs);
	return rc ? EXIT_FAILURE : 0;
}
