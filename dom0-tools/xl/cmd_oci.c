// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl oci run: an OCI image as a guest of its own (dom0-tools/oci/init.c is what runs in it).
 * Owns the guest's description, its whole life, and its exit status. Nobody in dom0 reads the image: it is a disk of the guest.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../oci/params.h"
#include "xl.h"

#include <xen/sched.h>

#define DEFAULT_KERNEL "/images/boot/Image"
#define DEFAULT_RAMDISK "/images/boot/oci.cpio.gz"
#define DEFAULT_MEMORY 256 /* MiB */
#define CMDLINE "console=hvc0 quiet loglevel=1 rdinit=/init"
#define CONSOLE_WAIT_MS 5000
#define LOOK_MS 20
/* For what the console still has once the guest is gone. */
#define DRAIN_MS 3000
/* podman's: what is wrong is not the program's doing. */
#define EXIT_OURS 125

struct texts {
	char *text[OCI_TEXTS];
	int nr;
};

struct oci {
	struct xl *xl;
	struct xl_config cfg;
	const char *image, *ref;
	char *path;
	const char *name, *memory, *vcpus, *network, *grace;
	const char *entrypoint, *user, *workdir, *hostname;
	bool read_only;
	struct texts env, args;
	uint32_t domid;
	uint8_t handle[16];
};

/* Once: the program is asked to end. Twice: its guest is taken away. */
static volatile sig_atomic_t asked;

static void note_signal(int sig)
{
	(void)sig;
	asked++;
}

/* --- the command line ------------------------------------------------------------------------ */

static const struct option longs[] = {
	{ "name", required_argument, NULL, 'N' },
	{ "memory", required_argument, NULL, 'm' },
	{ "vcpus", required_argument, NULL, 'C' },
	{ "cpus", required_argument, NULL, 'C' },
	{ "network", required_argument, NULL, 'n' },
	{ "env", required_argument, NULL, 'e' },
	{ "entrypoint", required_argument, NULL, 'E' },
	{ "user", required_argument, NULL, 'u' },
	{ "workdir", required_argument, NULL, 'w' },
	{ "hostname", required_argument, NULL, 'H' },
	{ "read-only", no_argument, NULL, 'R' },
	{ "stop-timeout", required_argument, NULL, 'T' },
	{ "rm", no_argument, NULL, 'r' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int add_text(struct texts *t, const char *text, const char *what)
{
	if (t->nr == OCI_TEXTS)
		return xl_error("oci: more than %d %ss", OCI_TEXTS, what);
	if (strlen(text) >= OCI_TEXT_BYTES)
		return xl_error("oci: %s %d is longer than %d bytes", what, t->nr + 1,
				OCI_TEXT_BYTES - 1);
	t->text[t->nr++] = xl_sprintf("%s", text);
	return 0;
}

/* NAME alone is this environment's, as with podman; one that is not set is left out. */
static int add_env(struct oci *o, const char *text)
{
	const char *value;
	char *both;
	int rc;

	if (!*text || *text == '=')
		return xl_error("oci: --env %s: no NAME=VALUE", text);
	if (strchr(text, '='))
		return add_text(&o->env, text, "variable");
	value = getenv(text);
	if (!value)
		return 0;
	both = xl_sprintf("%s=%s", text, value);
	rc = add_text(&o->env, both, "variable");
	free(both);
	return rc;
}

static int take_option(struct oci *o, int c)
{
	const char **to = c == 'N' ? &o->name :
			  c == 'm' ? &o->memory :
			  c == 'C' ? &o->vcpus :
			  c == 'n' ? &o->network :
			  c == 'E' ? &o->entrypoint :
			  c == 'u' ? &o->user :
			  c == 'w' ? &o->workdir :
			  c == 'H' ? &o->hostname :
			  c == 'T' ? &o->grace :
				     NULL;

	if (to && strlen(optarg) >= OCI_TEXT_BYTES)
		return xl_error("oci: an option's value is longer than %d bytes",
				OCI_TEXT_BYTES - 1);
	if (to)
		*to = optarg;
	o->read_only |= c == 'R';
	/* --rm is what happens anyhow. */
	return c == 'e' ? add_env(o, optarg) : 0;
}

/* 0; or an exit status + 1 */
static int parse(struct oci *o, int argc, char **argv)
{
	int c;

	if (argc > 1 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")))
		return command_usage("oci", true) + 1;
	if (argc < 2 || strcmp(argv[1], "run")) {
		if (argc > 1)
			xl_error("oci: there is no '%.40s', only run", argv[1]);
		command_usage("oci", false);
		return EXIT_OURS + 1;
	}
	optind = 2;
	/* What stands behind the image is the program's. */
	while ((c = getopt_long(argc, argv, "+m:e:u:w:h", longs, NULL)) != -1) {
		if (c == 'h')
			return command_usage("oci", true) + 1;
		if (c == '?' || take_option(o, c)) {
			if (c == '?')
				command_usage("oci", false);
			return EXIT_OURS + 1;
		}
	}
	if (optind == argc) {
		xl_error("oci: which image?");
		command_usage("oci", false);
		return EXIT_OURS + 1;
	}
	o->image = argv[optind++];
	for (; optind < argc; optind++)
		if (add_text(&o->args, argv[optind], "argument"))
			return EXIT_OURS + 1;
	return 0;
}

/* --- the guest's description ----------------------------------------------------------------- */

/* xl.conf's, or @def. */
static char *setting(struct cfg *conf, const char *key, const char *def)
{
	const struct cfg_setting *s = cfg_find(conf, key);

	if (s && (s->list || s->v[0].text[0] != '/')) {
		cfg_error(conf, s, 0, "not a path from the root; %s is used", def);
		s = NULL;
	}
	return xl_sprintf("%s", s ? s->v[0].text : def);
}

static void set_files(struct xl_config *cfg)
{
	struct cfg conf;

	cfg_init(&conf, stderr);
	if (!access(XL_CONF, F_OK))
		cfg_parse_file(&conf, XL_CONF);
	cfg->kernel = setting(&conf, "oci_kernel", DEFAULT_KERNEL);
	cfg->ramdisk = setting(&conf, "oci_ramdisk", DEFAULT_RAMDISK);
	cfg_free(&conf);
}

static bool number(const char *text, unsigned long most, unsigned long *out)
{
	char *end;

	*out = strtoul(text, &end, 10);
	return isdigit((unsigned char)*text) && !*end && *out <= most;
}

/* MiB of "512m", "1g" or, as podman has it, bytes; rounded up. */
static int set_memory(struct oci *o)
{
	static const char units[] = "bkmg";
	unsigned long long n;
	const char *unit;
	char *end;
	int shift;

	if (!o->memory) {
		o->cfg.memory = DEFAULT_MEMORY;
		return 0;
	}
	errno = 0;
	n = strtoull(o->memory, &end, 10);
	unit = *end ? strchr(units, tolower((unsigned char)*end)) : units;
	shift = unit ? 10 * (int)(unit - units) : 0;
	if (!isdigit((unsigned char)*o->memory) || errno || !unit || (*end && end[1]) ||
	    n > 1ull << (50 - shift) || !n)
		return xl_error("oci: --memory %s: no size; 256m is one", o->memory);
	o->cfg.memory = (unsigned long)(((n << shift) + PV_MIB - 1) / PV_MIB);
	return 0;
}

/* "oci-archive:PATH[:NAME]" as skopeo has it, or PATH[:NAME]: a file of the whole name comes first. */
static int find_image(struct oci *o)
{
	const char *arg = o->image;
	char *colon;
	struct stat st;

	if (!strncmp(arg, "oci-archive:", 12))
		arg += 12;
	o->path = realpath(arg, NULL);
	if (!o->path && (colon = strrchr(arg, ':')) && colon > arg && !strchr(colon, '/')) {
		char *file = xl_sprintf("%.*s", (int)(colon - arg), arg);

		o->path = realpath(file, NULL);
		free(file);
		o->ref = colon + 1;
	}
	if (!o->path)
		return xl_error("oci: %s: %s", arg, strerror(errno));
	if (stat(o->path, &st))
		return xl_error("oci: %s: %s", o->path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return xl_error("oci: %s is a directory; an archive of it is what can be run: tar "
				"-C %s -cf image.tar .",
				o->path, o->path);
	if (!S_ISREG(st.st_mode))
		return xl_error("oci: %s is no regular file", o->path);
	if (st.st_size % 512 || !st.st_size)
		return xl_error("oci: %s is no tar archive: its length is no multiple of 512",
				o->path);
	return 0;
}

/* The image's name without its directory and its ending, as far as it may be one of a domain, and this process's number. */
static char *make_name(const struct oci *o)
{
	const char *base = strrchr(o->path, '/') + 1;
	size_t n = strspn(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return xl_sprintf("%.*s-%d", n > 40 ? 40 : (int)n, n ? base : "oci", (int)getpid());
}

static int describe(struct oci *o)
{
	struct xl_config *cfg = &o->cfg;
	unsigned long vcpus = 1, grace;
	const char *why;

	config_init(cfg, stderr);
	if (find_image(o) || set_memory(o))
		return -1;
	if (o->vcpus && (!number(o->vcpus, 64, &vcpus) || !vcpus))
		return xl_error("oci: --vcpus %s: no number of CPUs", o->vcpus);
	if (o->grace && !number(o->grace, 86400, &grace))
		return xl_error("oci: --stop-timeout %s: no number of seconds", o->grace);
	cfg->name = o->name ? xl_sprintf("%s", o->name) : make_name(o);
	why = config_bad_name(cfg->name);
	if (why)
		return xl_error("oci: --name %s: %s", cfg->name, why);
	set_files(cfg);
	free(cfg->cmdline);
	cfg->cmdline = xl_sprintf("%s", CMDLINE);
	cfg->maxmem = cfg->memory;
	cfg->vcpus = cfg->maxvcpus = (unsigned int)vcpus;
	cfg->disk = calloc(1, sizeof(*cfg->disk));
	if (!cfg->disk)
		abort();
	snprintf(cfg->disk->vdev, sizeof(cfg->disk->vdev), OCI_DISK);
	disk_devid(OCI_DISK, &cfg->disk->devid);
	cfg->disk->target = xl_sprintf("%s", o->path);
	cfg->disk->readonly = true;
	cfg->nr_disks = 1;
	return 0;
}

/* --- its nodes ------------------------------------------------------------------------------- */

static bool put(struct oci *o, const char *name, const char *value)
{
	return !value ||
	       st_write(o->xl, XBT_NULL, value, "/local/domain/%u/" OCI_DIR "/%s", o->domid, name);
}

static bool put_all(struct oci *o, const char *dir, const struct texts *t)
{
	bool ok = true;
	int i;

	for (i = 0; ok && i < t->nr; i++)
		ok = st_write(o->xl, XBT_NULL, t->text[i], "/local/domain/%u/" OCI_DIR "/%s/%d",
			      o->domid, dir, i);
	return ok;
}

/* What the guest's init reads. It is dom0's, and the guest's to read. */
static int write_nodes(struct oci *o)
{
	bool ok = st_dir(o->xl, XBT_NULL, 0, o->domid, "/local/domain/%u/" OCI_DIR, o->domid);

	ok = ok && put(o, OCI_REF, o->ref) && put(o, OCI_ENTRYPOINT, o->entrypoint) &&
	     put(o, OCI_USER, o->user) && put(o, OCI_WORKDIR, o->workdir) &&
	     put(o, OCI_HOSTNAME, o->hostname ? o->hostname : o->cfg.name) &&
	     put(o, OCI_READ_ONLY, o->read_only ? "1" : NULL) && put(o, OCI_GRACE, o->grace) &&
	     put(o, OCI_NETWORK, o->cfg.nr_nics ? "dhcp" : NULL) && put_all(o, OCI_ARG, &o->args) &&
	     put_all(o, OCI_ENV, &o->env);
	return ok ? 0 :
		    xl_error("oci: cannot write the guest's nodes to xenstore: %s",
			     strerror(errno));
}

/* --- its life -------------------------------------------------------------------------------- */

/* Passes on what the program prints. False: nothing more will come. */
static bool pass_on(int console)
{
	char buf[1 << 16], *p = buf;
	ssize_t n = read(console, buf, sizeof(buf)), done;

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	for (; n > 0; n -= done, p += done) {
		done = write(1, p, (size_t)n);
		if (done < 0 && errno != EINTR)
			return false;
		if (done < 0)
			done = 0;
	}
	return p > buf;
}

/* What comes within @ms; false: nothing more will come. */
static bool watch(int console, int ms)
{
	struct pollfd pfd = { .fd = console, .events = POLLIN };

	return poll(&pfd, 1, ms) <= 0 || pass_on(console);
}

static void ask_for_end(struct oci *o)
{
	st_replace(o->xl, "poweroff", "/local/domain/%u/control/shutdown", o->domid);
}

/* Until it has ended. 0, with its shutdown code in *reason; or -1 after a message: it is to be destroyed, or is gone. */
static int await_end(struct oci *o, int *console, unsigned int *reason)
{
	struct xen_domctl_getdomaininfo info;
	bool told = false;

	for (;;) {
		if (*console >= 0 && !watch(*console, LOOK_MS)) {
			close(*console);
			*console = -1;
		} else if (*console < 0) {
			xl_sleep(LOOK_MS);
		}
		if (pv_domain_info(o->xl->pv, o->domid, &info) ||
		    memcmp(info.handle, o->handle, 16) || info.flags & XEN_DOMINF_dying)
			return xl_error("%s: it was destroyed", o->cfg.name);
		if (info.flags & XEN_DOMINF_shutdown) {
			*reason = domain_reason(&info);
			return 0;
		}
		if (asked > 1)
			return xl_error("%s: interrupted again: it is destroyed", o->cfg.name);
		if (asked && !told) {
			ask_for_end(o);
			told = true;
		}
	}
}

/* The exit status that the guest's word stands for; it may be any text. */
static int status_of(struct oci *o, const char *text)
{
	char *end, *what;
	long n;

	if (text && !strncmp(text, "exit ", 5)) {
		n = strtol(text + 5, &end, 10);
		if (isdigit((unsigned char)text[5]) && !*end && n <= 255)
			return (int)n;
	} else if (text && !strncmp(text, "signal ", 7)) {
		n = strtol(text + 7, &end, 10);
		if (isdigit((unsigned char)text[7]) && !*end && n > 0 && n < 128)
			return 128 + (int)n;
	} else if (text && !strncmp(text, "error ", 6)) {
		n = strtol(text + 6, &end, 10);
		if (n >= 125 && n <= 127 && *end == ' ') {
			what = xl_one_line(end + 1);
			xl_error("%s: %s", o->image, what);
			free(what);
			return (int)n;
		}
	}
	xl_error("%s: its guest ended without saying how its program ended", o->image);
	return EXIT_OURS;
}

/* Takes it away, whatever state it is in, with all that it has printed. */
static void take_away(struct oci *o, int console)
{
	int lock = xl_lock_domain(o->domid);
	int64_t end;

	if (domain_is(o->xl, o->domid, o->handle))
		domain_destroy(o->xl, o->domid);
	xl_unlock_domain(lock, o->domid);
	end = xl_now() + DRAIN_MS;
	while (console >= 0 && xl_now() < end && watch(console, LOOK_MS))
		;
}

static int live(struct oci *o, int lock)
{
	int console = console_connect(o->xl, o->domid, CONSOLE_WAIT_MS), rc, status = EXIT_OURS;
	unsigned int reason = 0;
	char *text;

	rc = write_nodes(o);
	if (!rc) {
		rc = domain_start(o->xl, o->domid);
		if (rc)
			xl_error("'%s' cannot be unpaused: %s", o->cfg.name, strerror(-rc));
	}
	xl_unlock_domain(lock, o->domid);
	if (!rc && !await_end(o, &console, &reason)) {
		text = st_read(o->xl, XBT_NULL, "/local/domain/%u/" OCI_RESULT, o->domid);
		if (reason != SHUTDOWN_poweroff)
			xl_error("%s: its guest ended (%s); see " XL_CONSOLE_LOG_DIR
				 "/guest-%s.log",
				 o->image, shutdown_reason(reason), o->cfg.name);
		else
			status = status_of(o, text);
		free(text);
	}
	take_away(o, console);
	if (console >= 0)
		close(console);
	return status;
}

static int add_network(struct oci *o)
{
	struct xl_config one;
	char *spec;
	int rc;

	if (!o->network || !strcmp(o->network, "none"))
		return 0;
	spec = xl_sprintf("bridge=%s", strncmp(o->network, "bridge", 6) ? o->network :
				       o->network[6] == ':'		? o->network + 7 :
									  "xenbr0");
	rc = config_read_nic(&one, spec, stderr);
	free(spec);
	if (!rc) {
		o->cfg.nic = one.nic;
		o->cfg.nr_nics = one.nr_nics;
		one.nic = NULL;
		one.nr_nics = 0;
	}
	config_free(&one);
	return rc;
}

static int make_and_run(struct oci *o)
{
	struct sigaction sa = { .sa_handler = note_signal };
	struct xen_domctl_getdomaininfo info;
	int lock, domain_lock;

	xl_catch_signals();
	signal(SIGPIPE, SIG_IGN);
	lock = xl_lock();
	if (lock < 0)
		return EXIT_OURS;
	xl_logs_prune(o->xl, o->cfg.name);
	if (domain_create(o->xl, &o->cfg, lock, &o->domid, &domain_lock))
		return EXIT_OURS;
	if (!pv_domain_info(o->xl->pv, o->domid, &info))
		memcpy(o->handle, info.handle, 16);
	/* From here on they are the program's. */
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	return live(o, domain_lock);
}

int cmd_oci(int argc, char **argv)
{
	struct oci *o = calloc(1, sizeof(*o));
	struct xl xl;
	int rc, i;

	if (!o)
		abort();
	rc = parse(o, argc, argv);
	if (rc) {
		rc--;
	} else {
		rc = EXIT_OURS;
		if (!describe(o) && !add_network(o) && !xl_open(&xl)) {
			o->xl = &xl;
			rc = make_and_run(o);
			xl_close(&xl);
		}
		config_free(&o->cfg);
	}
	for (i = 0; i < o->env.nr; i++)
		free(o->env.text[i]);
	for (i = 0; i < o->args.nr; i++)
		free(o->args.text[i]);
	free(o->path);
	free(o);
	return rc;
}
