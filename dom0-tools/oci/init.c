// SPDX-License-Identifier: BSD-2-Clause
/*
 * The first program of a guest that is an OCI image: it unpacks the image from a disk into memory or onto another, runs its program
 * and says how that ended (params.h). xl(1), oci, is what people see of it.
 * Owns the order of all that. dom0 reads nothing of the image: whatever it makes of this guest, it has nothing but that disk.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include <xenstore.h>

#include "image.h"
#include "layer.h"
#include "net.h"
#include "params.h"
#include "run.h"
#include "volume.h"

#define ROOT "/image"
#define ARCH "riscv64"
#define GRACE 10
#define ASKS 100
#define ASK_US 100000
#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static struct xs_handle *xs;
static struct image image;
static int root_fd = -1;

/* --- what xl says and is told ---------------------------------------------------------------- */

/* NULL: there is no such node. */
static char *param(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), OCI_DIR "/%s", name);
	return xs_read(xs, XBT_NULL, path, NULL);
}

static char *param_nr(const char *dir, int i)
{
	char name[32];

	snprintf(name, sizeof(name), "%s/%d", dir, i);
	return param(name);
}

/* The last thing that happens. */
static void finish(const char *result, bool again) __attribute__((noreturn));
static void finish(const char *result, bool again)
{
	int fd;

	/* What the program has written is with the console's driver by then. */
	tcdrain(1);
	if (xs)
		xs_write(xs, XBT_NULL, OCI_RESULT, result, strlen(result));
	volume_unmount_all(root_fd);
	sync();
	/* "Power down" is not the program's. */
	fd = open("/proc/sys/kernel/printk", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "0\n", 2) < 0)
		errno = 0;
	reboot(again ? RB_AUTOBOOT : RB_POWER_OFF);
	for (;;)
		pause();
}

static void give_up(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void give_up(const char *fmt, ...)
{
	char text[900], result[1000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(result, sizeof(result), "error 125 %s", text);
	finish(result, false);
}

/* --- the machine ----------------------------------------------------------------------------- */

/* Bytes are passed on as they are. */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY), i;
	struct termios t;

	for (i = 0; fd >= 0 && i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
	if (tcgetattr(0, &t))
		return;
	cfmakeraw(&t);
	tcsetattr(0, TCSANOW, &t);
}

static void mount_all(void)
{
	mkdir(ROOT, 0755);
	mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, NULL);
}

static int open_disk(void)
{
	int fd = volume_open(OCI_DISK, O_RDONLY);

	if (fd < 0)
		give_up("there is no disk with the image: %s", strerror(errno));
	return fd;
}

/* --- the image's root ------------------------------------------------------------------------ */

static void unpack(int disk)
{
	char why[512], *vdev = param(OCI_ROOT);
	int i;

	if (vdev && volume_make_root(vdev, ROOT, why, sizeof(why)))
		give_up("%s", why);
	if (!vdev && mount("image", ROOT, "tmpfs", 0, "mode=755,size=90%"))
		give_up("no memory for the image: %s", strerror(errno));
	free(vdev);
	root_fd = open(ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		give_up(ROOT ": %s", strerror(errno));
	unlinkat(root_fd, "lost+found", AT_REMOVEDIR);
	for (i = 0; i < image.nr_layers; i++)
		if (layer_unpack(disk, &image.layer[i], root_fd, why, sizeof(why)))
			give_up("layer %d: %s", i + 1, why);
}

/* On a directory of the image, made if it is not there, and never through a link that leads out of it. */
static void mount_at(const char *path, const char *type, unsigned long flags, const char *options)
{
	int fd = layer_open_dir(root_fd, path);
	char at[48];

	snprintf(at, sizeof(at), "/proc/self/fd/%d", fd);
	if (fd < 0 || mount(type, at, type, flags, options))
		give_up("/%s of the image: %s", path, strerror(errno));
	close(fd);
}

static void make_dev(void)
{
	static const struct {
		const char *name;
		unsigned int major, minor;
	} nodes[] = { { "null", 1, 3 },	   { "zero", 1, 5 }, { "full", 1, 7 },	 { "random", 1, 8 },
		      { "urandom", 1, 9 }, { "tty", 5, 0 },  { "console", 5, 1 } };
	static const char *const links[][2] = { { "fd", "/proc/self/fd" },
						{ "stdin", "/proc/self/fd/0" },
						{ "stdout", "/proc/self/fd/1" },
						{ "stderr", "/proc/self/fd/2" },
						{ "ptmx", "pts/ptmx" } };
	unsigned int i;
	int dev;

	mount_at("dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=64k");
	dev = layer_open(root_fd, "dev", O_PATH | O_DIRECTORY, 0);
	umask(0);
	for (i = 0; i < sizeof(nodes) / sizeof(*nodes); i++)
		if (mknodat(dev, nodes[i].name, S_IFCHR | 0666,
			    makedev(nodes[i].major, nodes[i].minor)))
			give_up("/dev/%s: %s", nodes[i].name, strerror(errno));
	for (i = 0; i < sizeof(links) / sizeof(*links); i++)
		if (symlinkat(links[i][1], dev, links[i][0]))
			give_up("/dev/%s: %s", links[i][0], strerror(errno));
	umask(022);
	close(dev);
	mount_at("dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620");
	mount_at("dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=64m");
}

/* A file of ours in the image's /etc; @keep: only if it has none. */
static void write_file(const char *name, const char *text, bool keep)
{
	int etc = layer_open_dir(root_fd, "etc"), fd;

	if (!keep)
		unlinkat(etc, name, 0);
	fd = openat(etc, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		give_up("/etc/%s of the image: %s", name, strerror(errno));
	close(fd);
	close(etc);
}

static void set_names(void)
{
	char *name = param(OCI_HOSTNAME), text[512];

	if (!name)
		return;
	if (sethostname(name, strlen(name)))
		give_up("the host name '%s': %s", name, strerror(errno));
	snprintf(text, sizeof(text), "%s\n", name);
	write_file("hostname", text, false);
	snprintf(text, sizeof(text), "127.0.0.1\tlocalhost %s\n", name);
	write_file("hosts", text, true);
	free(name);
}

/* "ADDRESS/BITS GATEWAY DNS ..." */
static void set_static_network(char *how)
{
	char *at = how, *address = strsep(&at, " "), *gateway = strsep(&at, " "), *dns;
	char why[256], text[4096] = "";
	size_t n = 0;

	if (net_static(address, gateway ? gateway : "-", why, sizeof(why)))
		give_up("%s", why);
	while ((dns = strsep(&at, " ")) && n < sizeof(text))
		n += (size_t)snprintf(text + n, sizeof(text) - n, "nameserver %s\n", dns);
	if (n)
		write_file("resolv.conf", text, false);
}

static void set_lease(void)
{
	char why[128], text[4096];
	ssize_t n;
	int fd;

	if (net_dhcp(why, sizeof(why)))
		give_up("%s (--network=none does without)", why);
	fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n > 0) {
		text[n] = 0;
		write_file("resolv.conf", text, false);
	}
	if (fd >= 0)
		close(fd);
}

static void set_network(void)
{
	char *how = param(OCI_NETWORK);

	net_loopback();
	if (how && strcmp(how, "dhcp"))
		set_static_network(how);
	else if (how)
		set_lease();
	free(how);
}

/* --- what is run ----------------------------------------------------------------------------- */

/* Of @list, a JSON array of strings, or of the nodes @dir/0, ...: appended to what is there, NULL at the end. */
static int append(char **to, int n, const struct json *list, const char *dir)
{
	const struct json *v = list ? list->child : NULL;
	char *text;
	int i;

	for (; v; v = v->next) {
		if (v->type != JSON_STRING || n == OCI_TEXTS)
			give_up("the image's configuration has %s",
				n == OCI_TEXTS ? "too many texts" :
						 "a list of something else than texts");
		to[n++] = strdup(v->text);
	}
	for (i = 0; dir && n < OCI_TEXTS && (text = param_nr(dir, i)); i++)
		to[n++] = text;
	to[n] = NULL;
	return n;
}

/* Entry point and command: whoever changes the first does away with the image's second (as podman does). */
static void set_argv(struct run *r)
{
	static char *argv[OCI_TEXTS + 1];
	char *entry = param(OCI_ENTRYPOINT), *first = param_nr(OCI_ARG, 0);
	int n = 0;

	if (entry && *entry)
		argv[n++] = entry;
	else if (!entry)
		n = append(argv, n, json_get(image.config, "Entrypoint", JSON_ARRAY), NULL);
	if (first)
		n = append(argv, n, NULL, OCI_ARG);
	else if (!entry)
		n = append(argv, n, json_get(image.config, "Cmd", JSON_ARRAY), NULL);
	if (!n || !argv[0][0])
		give_up("the image says no program, and none was given");
	argv[n] = NULL;
	r->argv = argv;
	free(first);
}

/* The last one of a name wins; "NAME" alone is none here. */
static void set_env(struct run *r)
{
	static char *env[OCI_TEXTS + 5];
	int n, i, j;

	n = append(env, 0, json_get(image.config, "Env", JSON_ARRAY), OCI_ENV);
	for (i = 0; i < n; i++) {
		size_t len = strcspn(env[i], "=") + 1;

		for (j = i + 1; j < n && strncmp(env[i], env[j], len); j++)
			;
		if (j == n)
			continue;
		memmove(&env[i], &env[i + 1], (size_t)(n - i) * sizeof(*env));
		n--;
		i--;
	}
	r->env = env;
}

static void add_variable(struct run *r, const char *name, const char *value)
{
	size_t len = strlen(name);
	char *text;
	int i;

	for (i = 0; r->env[i]; i++)
		if (!strncmp(r->env[i], name, len) && r->env[i][len] == '=')
			return;
	if (asprintf(&text, "%s=%s", name, value) < 0)
		give_up("there is no memory for its environment");
	r->env[i] = text;
	r->env[i + 1] = NULL;
}

static void set_user(struct run *r)
{
	char *wanted = param(OCI_USER), why[256];
	const char *own = json_string(image.config, "User");

	if (user_find(root_fd, wanted ? wanted : own ? own : "", &r->user, why, sizeof(why)))
		give_up("%s", why);
	free(wanted);
}

static void set_rest(struct run *r)
{
	char *dir = param(OCI_WORKDIR), *grace = param(OCI_GRACE), *name = param(OCI_HOSTNAME);
	const char *own = json_string(image.config, "WorkingDir");
	const char *stop = json_string(image.config, "StopSignal");
	int fd;

	r->workdir = dir ? dir : own && *own ? own : "/";
	if (!dir) {
		fd = layer_open_dir(root_fd, r->workdir + (*r->workdir == '/'));
		if (fd >= 0)
			close(fd);
	}
	r->grace = grace ? atoi(grace) : GRACE;
	r->stop_signal = stop ? run_signal(stop) : SIGTERM;
	if (r->stop_signal < 0)
		give_up("the image's StopSignal is '%.40s'", stop);
	add_variable(r, "PATH", strchr(DEFAULT_PATH, '=') + 1);
	add_variable(r, "HOME", r->user.home);
	if (name)
		add_variable(r, "HOSTNAME", name);
	free(name);
	free(grace);
}

static void started(void)
{
	xs_write(xs, XBT_NULL, OCI_RESULT, "running", 7);
}

/* "tty ROWS COLUMNS", "tty", or "pipe" */
static void set_input(struct run *r)
{
	char *how = param(OCI_INPUT);

	if (how && !strcmp(how, "pipe"))
		r->input = RUN_PIPE;
	else if (how)
		r->input = RUN_TTY;
	if (how && sscanf(how, "tty %hu %hu", &r->rows, &r->columns) != 2)
		r->rows = r->columns = 0;
	free(how);
}

static void mount_volumes(void)
{
	char why[512], *spec;
	int i;

	for (i = 0; i < OCI_VOLUMES && (spec = param_nr(OCI_VOLUME, i)); i++) {
		if (volume_mount(root_fd, spec, why, sizeof(why)))
			give_up("%s", why);
		free(spec);
	}
}

static void prepare(struct run *r)
{
	char *read_only = param(OCI_READ_ONLY);

	set_names();
	set_network();
	set_argv(r);
	set_env(r);
	set_user(r);
	set_rest(r);
	set_input(r);
	mount_volumes();
	mount_at("proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_at("sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL);
	make_dev();
	if (read_only && mount(NULL, ROOT, NULL, MS_REMOUNT | MS_RDONLY, NULL))
		give_up("the root cannot be made read-only: %s", strerror(errno));
	free(read_only);
}

/*
 * The kernel may call this before the first process is this program, which blocks the signal: until then it is lost. So it is sent for
 * a while; that it comes more than once changes nothing.
 */
static int ask_for(int sig)
{
	int i;

	for (i = 0; i < ASKS; i++) {
		if (kill(1, sig))
			return 1;
		usleep(ASK_US);
	}
	return 0;
}

/* The kernel calls "poweroff" when xl shutdown asks for it, and "reboot" for xl reboot. */
int main(int argc, char **argv)
{
	struct run r = { .root = ROOT, .started = started };
	char result[RUN_RESULT], *ref;
	bool again;
	int disk;

	if (argc && strstr(argv[0], "poweroff"))
		return ask_for(RUN_END);
	if (argc && strstr(argv[0], "reboot"))
		return ask_for(RUN_AGAIN);
	if (getpid() != 1) {
		fprintf(stderr, "oci-init is the first program of a guest that xl oci makes\n");
		return 1;
	}
	run_block_signals();
	umask(022);
	mount_all();
	xs = xs_open(0);
	open_console();
	if (!xs) {
		printf("oci: xenstore cannot be reached: %s\n", strerror(errno));
		finish("", false);
	}
	disk = open_disk();
	ref = param(OCI_REF);
	if (image_open(&image, disk, ref, ARCH))
		give_up("%s", image.why);
	unpack(disk);
	close(disk);
	prepare(&r);
	again = run(&r, result);
	finish(result, again);
}
