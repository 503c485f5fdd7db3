// SPDX-License-Identifier: BSD-2-Clause
/*
 * Adding up what a guest uses over its life (usage.h).
 * Owns the file of sums: its supervisor adds to it, whoever destroys the guest closes the account. It outlives the supervisor,
 * and a guest without one still has what can be asked at its end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "jsonl.h"
#include "stats.h"
#include "usage.h"

#define MAGIC \
	0x55534731 /* "USG1": of this program's own making, and no longer than dom0's present life */
#define DEVICES 64 /* those beyond are not counted */

/* A device's counters at the last look. */
struct device_sum {
	uint32_t vif, devid;
	uint64_t last[4];
};

/* The file. */
struct sums {
	uint32_t magic, nr_devices;
	uint8_t uuid[16];
	int64_t created; /* ms since 1970 */
	int64_t looked; /* ms of the clock that does not jump */
	uint64_t memory; /* bytes, then */
	double byte_seconds;
	double vbd[4],
		vif[2]; /* bytes read, written, requests read, written; bytes sent, received */
	struct device_sum device[DEVICES];
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static int open_sums(uint32_t domid, int flags)
{
	char path[sizeof(XL_USAGE_FILE) + 12];

	snprintf(path, sizeof(path), XL_USAGE_FILE, domid);
	return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void remove_sums(uint32_t domid)
{
	char path[sizeof(XL_USAGE_FILE) + 12];

	snprintf(path, sizeof(path), XL_USAGE_FILE, domid);
	unlink(path);
}

/* True when they are those of the domain with this UUID now, or before it was put aside. */
static bool read_sums(int fd, struct sums *s)
{
	return fd >= 0 && pread(fd, s, sizeof(*s), 0) == sizeof(*s) && s->magic == MAGIC &&
	       s->nr_devices <= DEVICES;
}

static void write_sums(int fd, const struct sums *s)
{
	/* /run is memory; without room the sums stay at the last look. */
	if (pwrite(fd, s, sizeof(*s), 0) != sizeof(*s))
		errno = 0;
}

bool usage_is_open(uint32_t domid)
{
	int fd = open_sums(domid, O_RDONLY);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* --- adding ---------------------------------------------------------------------------------- */

static struct device_sum *find_device(struct sums *s, bool vif, uint32_t devid)
{
	uint32_t i;

	for (i = 0; i < s->nr_devices; i++)
		if (s->device[i].vif == vif && s->device[i].devid == devid)
			return &s->device[i];
	if (s->nr_devices == DEVICES)
		return NULL;
	memset(&s->device[i], 0, sizeof(s->device[i]));
	s->device[i].vif = vif;
	s->device[i].devid = devid;
	s->nr_devices++;
	return &s->device[i];
}

/* Counters that are lower than before have begun anew. */
static void add(struct device_sum *d, const uint64_t *now, unsigned int n, double *sum)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		sum[i] += now[i] >= d->last[i] ? now[i] - d->last[i] : now[i];
		d->last[i] = now[i];
	}
}

static void add_device(struct sums *s, bool is_vif, uint32_t domid, uint32_t devid)
{
	struct device_sum *d = find_device(s, is_vif, devid);
	struct stats_vbd vbd;
	struct stats_vif vif;

	if (!d)
		return;
	if (!is_vif && stats_read_vbd(domid, devid, &vbd)) {
		const uint64_t now[] = { vbd.read_sectors * 512, vbd.written_sectors * 512,
					 vbd.reads, vbd.writes };

		add(d, now, 4, s->vbd);
	} else if (is_vif && stats_read_vif(domid, devid, &vif)) {
		const uint64_t now[] = { vif.sent_bytes, vif.received_bytes };

		add(d, now, 2, s->vif);
		free(vif.interface);
	}
}

/* Those of our own records: dom0's kernel lists all guests' together, and each guest is looked at for itself. */
static void add_devices(struct xl *xl, struct sums *s, uint32_t domid)
{
	static const char *const kind[] = { "vbd", "vif" };
	unsigned int n, i, k;
	char **devs;

	for (k = 0; k < pv_container_size(kind); k++) {
		devs = st_list(xl, &n, XL_PRIVATE "/%u/device/%s", domid, kind[k]);
		for (i = 0; i < n; i++)
			add_device(s, k == 1, domid, strtoul(devs[i], NULL, 10));
		free(devs);
	}
}

/* What it had until now; a change is dated to now. */
static void look_at_memory(struct sums *s, const struct xen_domctl_getdomaininfo *info)
{
	int64_t now = now_ms();

	if (now > s->looked)
		s->byte_seconds += (double)s->memory * (now - s->looked) / 1000;
	s->looked = now;
	s->memory = pv_pages(info) * PV_PAGE_SIZE;
}

void usage_begin(struct xl *xl, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;
	struct sums s = { .magic = MAGIC, .created = json_now(), .looked = now_ms() };
	int fd;

	if (pv_domain_info(xl->pv, domid, &info))
		return;
	memcpy(s.uuid, info.handle, sizeof(s.uuid));
	s.memory = pv_pages(&info) * PV_PAGE_SIZE;
	xl_mkdir(XL_RUN_DIR);
	remove_sums(domid);
	fd = open_sums(domid, O_RDWR | O_CREAT | O_EXCL);
	if (fd < 0)
		return;
	write_sums(fd, &s);
	close(fd);
}

void usage_sample(struct xl *xl, uint32_t domid, bool memory)
{
	struct xen_domctl_getdomaininfo info;
	int fd = open_sums(domid, O_RDWR);
	struct sums s;

	/* Not there: whoever destroyed it has closed the account. One writes at a time. */
	if (fd < 0)
		return;
	if (!flock(fd, LOCK_EX | LOCK_NB) && read_sums(fd, &s) &&
	    !pv_domain_info(xl->pv, domid, &info)) {
		if (memory)
			look_at_memory(&s, &info);
		add_devices(xl, &s, domid);
		write_sums(fd, &s);
	}
	close(fd);
}

/* --- the account ----------------------------------------------------------------------------- */

static bool account(struct xl *xl, uint32_t domid, struct usage *u)
{
	struct xen_domctl_getdomaininfo info;
	int fd = open_sums(domid, O_RDONLY);
	struct sums s;
	bool ok = read_sums(fd, &s) && !pv_domain_info(xl->pv, domid, &info);

	if (fd >= 0)
		close(fd);
	if (!ok)
		return false;
	look_at_memory(&s, &info);
	add_devices(xl, &s, domid);
	memset(u, 0, sizeof(*u));
	u->name = domain_name(xl, domid);
	uuid_format(s.uuid, u->uuid);
	u->domid = domid;
	u->created = s.created;
	u->cpu_seconds = info.cpu_time / 1e9;
	u->memory_byte_seconds = s.byte_seconds;
	u->disk_read_bytes = s.vbd[0];
	u->disk_written_bytes = s.vbd[1];
	u->disk_reads = s.vbd[2];
	u->disk_writes = s.vbd[3];
	u->net_sent_bytes = s.vif[0];
	u->net_received_bytes = s.vif[1];
	if (info.flags & XEN_DOMINF_shutdown)
		u->reason = xl_sprintf("%s", shutdown_reason(domain_reason(&info)));
	return true;
}

bool usage_now(struct xl *xl, uint32_t domid, struct usage *u)
{
	return account(xl, domid, u);
}

void usage_end(struct xl *xl, uint32_t domid)
{
	struct usage u;
	char *line;

	if (!account(xl, domid, &u))
		return;
	u.ended = json_now();
	if (!u.reason)
		u.reason = xl_sprintf("destroyed");
	line = usage_json(&u);
	jsonl_append(XL_ACCOUNTING, line);
	remove_sums(domid);
	free(line);
	usage_free(&u);
}

void usage_free(struct usage *u)
{
	free(u->name);
	free(u->reason);
}

/* --- as text --------------------------------------------------------------------------------- */

char *usage_json(const struct usage *u)
{
	char created[JSON_TIME], ended[JSON_TIME], *text = NULL;
	char *name = u->name ? json_quote(u->name) : NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	json_time(u->created, created);
	json_time(u->ended, ended);
	fprintf(f, "{\"name\": %s, \"uuid\": \"%s\", \"domid\": %u, \"created\": \"%s\", ",
		name ? name : "null", u->uuid, u->domid, created);
	if (u->ended)
		fprintf(f, "\"ended\": \"%s\", ", ended);
	else
		fputs("\"ended\": null, ", f);
	if (u->reason)
		fprintf(f, "\"reason\": \"%s\", ", u->reason);
	else
		fputs("\"reason\": null, ", f);
	fprintf(f,
		"\"cpu_seconds\": %.3f, \"memory_byte_seconds\": %.0f, \"disk_read_bytes\": %.0f, "
		"\"disk_written_bytes\": %.0f, \"disk_reads\": %.0f, \"disk_writes\": %.0f, "
		"\"net_sent_bytes\": %.0f, \"net_received_bytes\": %.0f}",
		u->cpu_seconds, u->memory_byte_seconds, u->disk_read_bytes, u->disk_written_bytes,
		u->disk_reads, u->disk_writes, u->net_sent_bytes, u->net_received_bytes);
	fclose(f);
	free(name);
	return text;
}

static char *copy(const char *s)
{
	char *c = s ? strdup(s) : NULL;

	if (s && !c)
		abort();
	return c;
}

bool usage_parse(const char *line, struct usage *u)
{
	size_t n;
	struct jsonl_field *f = jsonl_parse(line, &n);
	const char *created = f ? jsonl_get(f, n, "created") : NULL;
	const char *ended = f ? jsonl_get(f, n, "ended") : NULL;
	const char *uuid = f ? jsonl_get(f, n, "uuid") : NULL;

	memset(u, 0, sizeof(*u));
	u->created = created ? json_time_parse(created) : -1;
	if (u->created < 0 || !uuid || strlen(uuid) >= sizeof(u->uuid)) {
		jsonl_free(f, n);
		return false;
	}
	strcpy(u->uuid, uuid);
	u->ended = ended ? json_time_parse(ended) : 0;
	u->ended = u->ended < 0 ? 0 : u->ended;
	u->name = copy(jsonl_string(f, n, "name"));
	u->reason = copy(jsonl_string(f, n, "reason"));
	u->domid = jsonl_number(f, n, "domid");
	u->cpu_seconds = jsonl_number(f, n, "cpu_seconds");
	u->memory_byte_seconds = jsonl_number(f, n, "memory_byte_seconds");
	u->disk_read_bytes = jsonl_number(f, n, "disk_read_bytes");
	u->disk_written_bytes = jsonl_number(f, n, "disk_written_bytes");
	u->disk_reads = jsonl_number(f, n, "disk_reads");
	u->disk_writes = jsonl_number(f, n, "disk_writes");
	u->net_sent_bytes = jsonl_number(f, n, "net_sent_bytes");
	u->net_received_bytes = jsonl_number(f, n, "net_received_bytes");
	jsonl_free(f, n);
	return true;
}
