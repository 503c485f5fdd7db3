// SPDX-License-Identifier: BSD-2-Clause
/*
 * A compressed kernel: gzip or zstd unpacks it, in a process that has nothing but the file and a place for what is in it.
 * Owns that process and its limits: what a guest brings as its kernel may be made to fill memory or to take hours.
 * What comes out is in memory only, and cannot change any more.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image.h"
#include "pavise.h"
#include "unpack.h"

#ifndef UNPACK_CPU_S
#define UNPACK_CPU_S 30 /* of the process's own time: a busy machine takes nothing of it away */
#endif
#define LOOK_MS 50
#define NOBODY 65534
#define NO_PROGRAM 127

static const struct program {
	char *argv[4];
	uint64_t memory; /* address space */
} programs[] = {
	[PV_GZIP] = { { "gzip", "-dc" }, 64 * PV_MIB },
	/*
	 * It keeps as much of what it has unpacked as the file says: 128 MiB at most without being told otherwise, which is what
	 * Linux's kernels are packed for, but never more than the kernel has.
	 */
	[PV_ZSTD] = { { "zstd", "-dcq", "--no-asyncio" }, 192 * PV_MIB },
};

const char *pv_unpack_program(enum pv_packing packing)
{
	return programs[packing].argv[0];
}

/* What the process says when it fails: its first words are enough. */
struct words {
	char text[160];
	size_t n;
};

static void bound(int what, rlim_t value)
{
	/* A second between the two limits of time: that is what makes it a signal of its own. */
	const struct rlimit limit = { value, value + (what == RLIMIT_CPU) };

	if (setrlimit(what, &limit))
		_exit(NO_PROGRAM);
}

/* In the child: @in and @out become the program's, and @say its stderr. */
static void __attribute__((noreturn))
run(const struct program *p, int in, int out, int say, uint64_t limit, pid_t parent)
{
	const char *path = getenv("PATH");
	char where[512] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *env[] = { where, "LC_ALL=C", NULL };
	sigset_t none;

	if (path && strlen(path) < sizeof(where) - 5)
		strcpy(where + 5, path);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	/* Any of them may have a number that the next one is to have. */
	in = fcntl(in, F_DUPFD_CLOEXEC, 3);
	out = fcntl(out, F_DUPFD_CLOEXEC, 3);
	say = fcntl(say, F_DUPFD_CLOEXEC, 3);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(say, 2) < 0 || close_range(3, ~0U, 0))
		_exit(NO_PROGRAM);
	bound(RLIMIT_CORE, 0);
	bound(RLIMIT_FSIZE, limit);
	bound(RLIMIT_CPU, UNPACK_CPU_S);
	/* As nobody: what it reads may be made to take it over. */
	if (!getuid() && (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)))
		_exit(NO_PROGRAM);
	/* After that, which would undo it. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL) ||
	    getppid() != parent)
		_exit(NO_PROGRAM);
	bound(RLIMIT_AS, p->memory);
	execvpe(p->argv[0], p->argv, env);
	_exit(NO_PROGRAM);
}

/* Hears the process out. Its status, or -1: @stop was set, or it was lost. */
static int await(pid_t pid, int say, const volatile int *stop, struct words *w)
{
	struct pollfd p = { .fd = say, .events = POLLIN };
	char more[256];
	int status;
	pid_t got;

	for (;;) {
		if (stop && *stop)
			kill(pid, SIGKILL);
		if (poll(&p, 1, p.fd < 0 ? 2 : LOOK_MS) > 0) {
			size_t room = sizeof(w->text) - 1 - w->n;
			ssize_t n = read(say, more, sizeof(more));

			if (n > 0) {
				room = (size_t)n < room ? (size_t)n : room;
				memcpy(w->text + w->n, more, room);
				w->n += room;
			}
			/* It has ended, as a rule. */
			if (!n)
				p.fd = -1;
		}
		got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			break;
		if (got < 0 && errno != EINTR)
			return -1;
	}
	w->text[w->n] = 0;
	return stop && *stop ? -1 : status;
}

/* Its words on one line, without what a terminal would take for orders; the caller frees. */
static char *spoken(struct words *w)
{
	char *p;

	while (w->n && w->text[w->n - 1] == '\n')
		w->text[--w->n] = 0;
	for (p = w->text; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	p = w->text + strspn(w->text, " ");
	return pv_text_show(p, strlen(p));
}

/* Why it failed. @made: bytes that there were by then. */
static int explain(const char *path, const char *program, int status, uint64_t made,
		   const struct pv_unpack *how, struct words *w, struct pv_err *err)
{
	char *said;
	int rc;

	if (made >= how->limit)
		return pv_fail(err, -EFBIG, "%s: unpacks to more than %llu MiB (%s)", path,
			       (unsigned long long)(how->limit / PV_MIB), how->limit_is);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
		return pv_fail(err, -ETIME,
			       "%s: unpacking it took more than %d s of CPU time, for %llu bytes",
			       path, UNPACK_CPU_S, (unsigned long long)made);
	if (WIFSIGNALED(status))
		return pv_fail(err, -EIO,
			       "%s: %s was killed by signal %d after it had unpacked %llu bytes",
			       path, program, WTERMSIG(status), (unsigned long long)made);
	if (WEXITSTATUS(status) == NO_PROGRAM)
		return pv_fail(err, -ENOENT, "%s: dom0 has no %s that could unpack it", path,
			       program);
	said = spoken(w);
	rc = pv_fail(err, -EBADMSG, "%s: cannot be unpacked beyond its first %llu bytes: %s%s",
		     path, (unsigned long long)made, said && *said ? said : program,
		     said && *said ? "" : " does not say why");
	free(said);
	return rc;
}

/*
 * gzip's last four bytes are the size of what is in it (RFC 1952, 2.3.1). Programs differ in what they do about bytes behind
 * them, and about a second file there, which no boot loader unpacks.
 */
static int check_end(int fd, const char *path, uint64_t made, struct pv_err *err)
{
	struct stat st;
	uint8_t b[4];

	if (fstat(fd, &st) || pread(fd, b, 4, st.st_size - 4) != 4)
		return pv_fail(err, -EIO, "%s: cannot read its end", path);
	if ((uint32_t)made == (b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24))
		return 0;
	return pv_fail(err, -EBADMSG,
		       "%s: trailing garbage: the file goes on behind its compressed %llu bytes, "
		       "or is several gzip files in one",
		       path, (unsigned long long)made);
}

/* Fills @out, a memory file. 0 or a negative errno. */
static int fill(int fd, int out, enum pv_packing packing, const char *path,
		const struct pv_unpack *how, struct pv_err *err)
{
	pid_t self = getpid(), pid;
	struct words w = { .n = 0 };
	int say[2], status;
	struct stat st;

	if (pipe2(say, O_CLOEXEC))
		return pv_fail(err, -errno, "%s: %s", path, strerror(errno));
	pid = fork();
	if (!pid)
		run(&programs[packing], fd, out, say[1], how->limit, self);
	close(say[1]);
	status = pid < 0 ? -1 : await(pid, say[0], how->stop, &w);
	close(say[0]);
	if (pid < 0)
		return pv_fail(err, -EAGAIN, "%s: no process to unpack it in", path);
	if (status == -1)
		return pv_fail(err, -EINTR, "%s: interrupted while it was unpacked", path);
	if (fstat(out, &st))
		return pv_fail(err, -errno, "%s: %s", path, strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return explain(path, pv_unpack_program(packing), status, st.st_size, how, &w, err);
	/* zstd takes nothing behind what it has unpacked, but for more of the same. */
	return packing == PV_GZIP ? check_end(fd, path, st.st_size, err) : 0;
}

/* A file that is @part of @fd and no more: the program reads to its file's end. Or a negative errno. */
static int cut_out(int fd, const struct pv_part *part, const char *path,
		   const struct pv_unpack *how, struct pv_err *err)
{
	uint64_t done = 0, left;
	char buf[65536];
	int piece;
	ssize_t n;

	if (part->size > how->limit)
		return pv_fail(err, -EFBIG, "%s: what is packed in it is more than %llu MiB (%s)",
			       path, (unsigned long long)(how->limit / PV_MIB), how->limit_is);
	piece = memfd_create("packed", MFD_CLOEXEC);
	if (piece < 0)
		return pv_fail(err, -errno, "%s: no memory file to unpack it from: %s", path,
			       strerror(errno));
	while ((left = part->size - done)) {
		if (how->stop && *how->stop) {
			close(piece);
			return pv_fail(err, -EINTR, "%s: interrupted while it was unpacked", path);
		}
		n = pread(fd, buf, left < sizeof(buf) ? left : sizeof(buf),
			  (off_t)(part->offset + done));
		if (n <= 0 || write(piece, buf, n) != n) {
			n = n < 0 ? -errno : -EIO;
			close(piece);
			return pv_fail(err, (int)n, "%s: its packed part cannot be read", path);
		}
		done += n;
	}
	return piece;
}

int pv_unpack(int fd, const struct pv_part *part, const char *path, const struct pv_unpack *how,
	      struct pv_err *err)
{
	int in = part->offset ? cut_out(fd, part, path, how, err) : fd, out, rc;
	struct pv_unpack rest = *how;

	if (in < 0)
		return in;
	/* Both are in memory. */
	if (in != fd) {
		rest.limit -= part->size;
		rest.limit_is = "what its packed part leaves of the limit";
	}
	out = memfd_create("kernel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (out < 0)
		rc = pv_fail(err, -errno, "%s: no memory file to unpack it into: %s", path,
			     strerror(errno));
	else
		rc = lseek(in, 0, SEEK_SET) ? -EIO : fill(in, out, part->packing, path, &rest, err);
	if (in != fd)
		close(in);
	if (out < 0)
		return rc;
	/* What is looked at is what will run. */
	if (!rc &&
	    fcntl(out, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		rc = pv_fail(err, -errno, "%s: cannot be sealed: %s", path, strerror(errno));
	if (!rc)
		return out;
	close(out);
	return rc;
}
