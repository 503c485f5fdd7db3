// SPDX-License-Identifier: BSD-2-Clause
/*
 * The sandbox of qemu-nbd (docs/security.md has it as a row): name spaces of its own for mounts, network, processes and IPC, a root
 * of its own that has nothing but /usr, read-only, and the files it was given, a user of its own, no privilege but one, and limits.
 *
 * That one is CAP_DAC_OVERRIDE: qemu-nbd opens its files by name, and they belong to whoever they belong to. There is no other
 * file in there for which it would make a difference.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"
#include "xl.h"

/* Where its root is built, in its own name space: a directory that is on the root file system wherever there is one. */
#define NEW_ROOT "/etc"
/*
 * In there, what it sees as its root: not the root of a mount, as the kernel makes no user name space then, in which it would have
 * every privilege, and all of the kernel to try these on.
 */
#define INSIDE "/inside"
/* No two have the same user, and nobody else has it: this and the process's number. */
#define UID_BASE (1u << 30)
#define ADDRESSES (768ull << 20)
#define STACK (1ull << 20) /* of each thread */
#define THREADS 128
#define DESCRIPTORS 64

static void die(const char *what)
{
	dprintf(2, "sandbox: %s: %s\n", what, strerror(errno));
	_exit(126);
}

/* mountinfo has \040 for a blank. */
static void unescape(char *text)
{
	char *in, *out = text;
	unsigned int c;

	for (in = text; *in; out++) {
		if (*in == '\\' && sscanf(in + 1, "%3o", &c) == 1) {
			*out = (char)c;
			in += 4;
		} else {
			*out = *in++;
		}
	}
	*out = '\0';
}

/* What it could not reach it would still keep from being unmounted. The last one mounted goes first. */
static void detach_others(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, **at = NULL;
	size_t size = 0;
	int nr = 0;

	if (!f)
		die("/proc/self/mountinfo");
	while (getline(&line, &size, f) > 0) {
		at = realloc(at, (nr + 1) * sizeof(*at));
		if (!at)
			abort();
		if (sscanf(line, "%*u %*u %*s %*s %ms", &at[nr]) == 1)
			nr++;
	}
	fclose(f);
	while (nr-- > 0) {
		unescape(at[nr]);
		if (strcmp(at[nr], "/") && strcmp(at[nr], NEW_ROOT) &&
		    strncmp(at[nr], NEW_ROOT "/", strlen(NEW_ROOT) + 1))
			umount2(at[nr], MNT_DETACH | UMOUNT_NOFOLLOW);
	}
}

/* @readonly is what the mount is, whatever the file says. */
static void bind_to(const char *from, const char *to, bool readonly)
{
	if (mount(from, to, NULL, MS_BIND, NULL) ||
	    mount(NULL, to, NULL,
		  MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | (readonly ? MS_RDONLY : 0), NULL))
		die(to);
}

/* Found again, as a mount of a name space can come from there only. A descriptor. */
static int find_file(const struct sandbox_file *f)
{
	int fd = open(f->path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		die(f->path);
	if (st.st_dev != f->st.st_dev || st.st_ino != f->st.st_ino) {
		errno = ESTALE;
		die(f->path);
	}
	return fd;
}

static void make_root(const struct sandbox *s)
{
	int i, fd, image[SANDBOX_FILES];
	char from[4096], to[64];

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("mounts of its own");
	/* All before the new root is there, which may be above them. */
	for (i = 0; i < s->nr_files; i++)
		image[i] = find_file(&s->file[i]);
	snprintf(from, sizeof(from), "%s/usr", s->root);
	fd = open(from, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die(from);
	if (mount("tmpfs", NEW_ROOT, "tmpfs", MS_NOSUID | MS_NODEV,
		  "size=64k,nr_inodes=64,mode=755"))
		die("a root of its own");
	if (mkdir(NEW_ROOT INSIDE, 0755) || mkdir(NEW_ROOT INSIDE "/usr", 0755) ||
	    mkdir(NEW_ROOT INSIDE "/dev", 0755))
		die("a root of its own");
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	bind_to(from, NEW_ROOT INSIDE "/usr", true);
	close(fd);
	if (symlink("usr/lib", NEW_ROOT INSIDE "/lib") ||
	    symlink("usr/lib64", NEW_ROOT INSIDE "/lib64") ||
	    symlink("usr/bin", NEW_ROOT INSIDE "/bin"))
		die("a root of its own");
	for (i = 0; i < s->nr_files; i++) {
		snprintf(to, sizeof(to), NEW_ROOT INSIDE "/image%d", i);
		fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			die(to);
		close(fd);
		snprintf(from, sizeof(from), "/proc/self/fd/%d", image[i]);
		bind_to(from, to, s->file[i].readonly);
		close(image[i]);
	}
	/* QEMU tries on it which locks there are, and without it takes none on images. */
	fd = open(NEW_ROOT INSIDE "/dev/null", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || mount("/dev/null", NEW_ROOT INSIDE "/dev/null", NULL, MS_BIND, NULL))
		die("/dev/null");
	close(fd);
	detach_others();
	if (mount(NULL, NEW_ROOT, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV,
		  NULL) ||
	    chdir(NEW_ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot("." INSIDE) ||
	    chdir("/"))
		die("a root of its own");
}

static void limit(int what, rlim_t n)
{
	struct rlimit r = { .rlim_cur = n, .rlim_max = n };

	if (setrlimit(what, &r))
		die("limits");
}

static void set_limits(void)
{
	limit(RLIMIT_AS, ADDRESSES);
	limit(RLIMIT_STACK, STACK);
	limit(RLIMIT_NPROC, THREADS);
	limit(RLIMIT_NOFILE, DESCRIPTORS);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_MEMLOCK, 0);
	limit(RLIMIT_MSGQUEUE, 0);
}

/* No way back: neither from the bounding set nor by a program with a bit. */
static void drop_privileges(uid_t uid)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 }, { 0 } };
	int cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (cap != CAP_DAC_OVERRIDE && prctl(PR_CAPBSET_DROP, cap))
			die("privileges");
	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setresgid(uid, uid, uid) ||
	    setresuid(uid, uid, uid))
		die("a user of its own");
	data[0].effective = data[0].permitted = data[0].inheritable = 1u << CAP_DAC_OVERRIDE;
	if (syscall(SYS_capset, &h, data) ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("privileges");
	/* Whoever has a keyring from xl has the keys in it. A kernel without keys says ENOSYS. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		die("keys");
}

/* It may be dom0's choice when memory is short, as any process, whatever the xl that started it is. */
static void be_ordinary(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "0", 1) != 1)
		dprintf(2, "sandbox: oom_score_adj: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void run(const struct sandbox *s, int go, int number)
{
	sigset_t none;
	long pid;
	char c;

	/* The number that it has outside, of which its user is made; it comes when that has been noted. */
	if (read(number, &pid, sizeof(pid)) != sizeof(pid) || read(go, &c, 1) != 1)
		_exit(125);
	setsid();
	be_ordinary();
	make_root(s);
	set_limits();
	/* Whatever else has been there is done with. */
	if (dup3(s->socket, 3, 0) < 0 && errno != EINVAL)
		die("socket");
	fcntl(3, F_SETFD, 0);
	drop_privileges(UID_BASE + (uid_t)pid);
	closefrom(4);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(s->argv[0], s->argv, s->envp);
	die(s->argv[0]);
}

/* In between: a name space for processes is for children only. Writes the process's number to @to. */
static void fork_inside(const struct sandbox *s, int go, int to)
{
	int number[2];
	long pid;

	/* A script's output goes to its log; this one's, to whoever started it. */
	if (dup2(s->errors, 2) < 0)
		_exit(126);
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWUTS))
		die("name spaces (mnt, net, ipc, pid, uts)");
	if (pipe2(number, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (!pid) {
		close(number[1]);
		close(to);
		run(s, go, number[0]);
	}
	if (pid < 0)
		die("fork");
	if (write(number[1], &pid, sizeof(pid)) != sizeof(pid) ||
	    write(to, &pid, sizeof(pid)) != sizeof(pid))
		_exit(126);
	_exit(0);
}

pid_t sandbox_start(const struct sandbox *s, int *go)
{
	int go_pipe[2], number[2], status, null;
	pid_t child;
	long pid = 0;

	if (pipe2(go_pipe, O_CLOEXEC))
		return -1;
	if (pipe2(number, O_CLOEXEC)) {
		close(go_pipe[0]);
		close(go_pipe[1]);
		return -1;
	}
	child = fork();
	if (!child) {
		close(go_pipe[1]);
		close(number[0]);
		null = open("/dev/null", O_RDWR);
		if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
			_exit(126);
		fork_inside(s, go_pipe[0], number[1]);
	}
	close(go_pipe[0]);
	close(number[1]);
	if (child < 0 || read(number[0], &pid, sizeof(pid)) != sizeof(pid))
		pid = -1;
	close(number[0]);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (pid <= 0) {
		close(go_pipe[1]);
		errno = ECHILD;
		return -1;
	}
	*go = go_pipe[1];
	return (pid_t)pid;
}
