// SPDX-License-Identifier: BSD-2-Clause
/*
 * What dom0's back ends count, from sysfs: a directory for each, named by domain and device.
 * Owns that a device that goes while one reads is simply not there.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stats.h"

#ifndef XL_BACKEND_DIR
#define XL_BACKEND_DIR "/sys/bus/xen-backend/devices"
#endif

/* A file that holds one number; 0 when it does not. */
static uint64_t read_number(int dir, const char *file)
{
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char text[32];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return strtoull(text, NULL, 10);
}

struct counter {
	const char *file;
	size_t offset; /* of a uint64_t */
};

/* False when the directory is not there. */
static bool read_counters(const char *path, const struct counter *c, size_t n, void *to)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t i;

	if (dir < 0)
		return false;
	for (i = 0; i < n; i++)
		*(uint64_t *)((char *)to + c[i].offset) = read_number(dir, c[i].file);
	close(dir);
	return true;
}

bool stats_read_vbd(uint32_t domid, uint32_t devid, struct stats_vbd *vbd)
{
#define AT(file, member) \
	{ \
		file, offsetof(struct stats_vbd, member) \
	}
	static const struct counter counters[] = {
		AT("oo_req", no_room),		AT("rd_req", reads),	AT("wr_req", writes),
		AT("f_req", flushes),		AT("ds_req", discards), AT("rd_sect", read_sectors),
		AT("wr_sect", written_sectors),
	};
#undef AT
	char path[sizeof(XL_BACKEND_DIR) + 64];

	memset(vbd, 0, sizeof(*vbd));
	vbd->devid = devid;
	/* The back end makes it once the front end has connected; a disk without it has done nothing yet. */
	snprintf(path, sizeof(path), XL_BACKEND_DIR "/vbd-%u-%u", domid, devid);
	if (access(path, F_OK))
		return false;
	snprintf(path, sizeof(path), XL_BACKEND_DIR "/vbd-%u-%u/statistics", domid, devid);
	read_counters(path, counters, pv_container_size(counters), vbd);
	return true;
}

/* The name of the interface that the back end has made, which hotplug scripts change; NULL: none. The caller frees. */
static char *interface_of(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char *name = NULL;

	while (d && !name && (e = readdir(d)))
		if (e->d_name[0] != '.')
			name = strdup(e->d_name);
	if (d)
		closedir(d);
	return name;
}

bool stats_read_vif(uint32_t domid, uint32_t devid, struct stats_vif *vif)
{
#define AT(file, member) \
	{ \
		file, offsetof(struct stats_vif, member) \
	}
	static const struct counter counters[] = {
		AT("rx_bytes", sent_bytes),	  AT("rx_packets", sent_packets),
		AT("rx_errors", sent_errors),	  AT("rx_dropped", sent_dropped),
		AT("tx_bytes", received_bytes),	  AT("tx_packets", received_packets),
		AT("tx_errors", received_errors), AT("tx_dropped", received_dropped),
	};
#undef AT
	char net[sizeof(XL_BACKEND_DIR) + 64], *name, *path;

	memset(vif, 0, sizeof(*vif));
	vif->devid = devid;
	snprintf(net, sizeof(net), XL_BACKEND_DIR "/vif-%u-%u/net", domid, devid);
	name = interface_of(net);
	if (!name)
		return false;
	path = xl_sprintf("%s/%s/statistics", net, name);
	read_counters(path, counters, pv_container_size(counters), vif);
	vif->interface = pv_text_show(name, strlen(name));
	free(path);
	free(name);
	return vif->interface != NULL;
}

unsigned int stats_vif_queues(uint32_t domid, uint32_t devid)
{
	char net[sizeof(XL_BACKEND_DIR) + 64], *name, *path;
	unsigned int n = 0;
	struct dirent *e;
	DIR *d;

	snprintf(net, sizeof(net), XL_BACKEND_DIR "/vif-%u-%u/net", domid, devid);
	name = interface_of(net);
	if (!name)
		return 0;
	/* The back end's receiving is the guest's sending, and there are as many queues of both. */
	path = xl_sprintf("%s/%s/queues", net, name);
	d = opendir(path);
	while (d && (e = readdir(d)))
		n += !strncmp(e->d_name, "tx-", 3);
	if (d)
		closedir(d);
	free(path);
	free(name);
	return n;
}

/* "vbd-3-51712" */
static bool parse_device(const char *name, uint32_t *domid, uint32_t *devid)
{
	unsigned long a, b;
	char *end;

	errno = 0;
	a = strtoul(name + 4, &end, 10);
	if (end == name + 4 || *end != '-' || a >= DOMID_FIRST_RESERVED)
		return false;
	name = end + 1;
	b = strtoul(name, &end, 10);
	if (end == name || *end || errno || b > UINT32_MAX)
		return false;
	*domid = a;
	*devid = b;
	return true;
}

void stats_each_device(void (*fn)(const char *kind, uint32_t domid, uint32_t devid, void *ctx),
		       void *ctx)
{
	DIR *d = opendir(XL_BACKEND_DIR);
	uint32_t domid, devid;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		bool vbd = !strncmp(e->d_name, "vbd-", 4), vif = !strncmp(e->d_name, "vif-", 4);

		if ((vbd || vif) && parse_device(e->d_name, &domid, &devid))
			fn(vbd ? "vbd" : "vif", domid, devid, ctx);
	}
	if (d)
		closedir(d);
}
