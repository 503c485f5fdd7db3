// SPDX-License-Identifier: BSD-2-Clause
/*
 * Who may still use pages of a guest that has been destroyed. The hypervisor counts its references, and does not
 * know dom0's processes: so this is a list of those that can be it. Owns the look into /proc and /sys.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xl.h"

#ifndef XL_PROC_DIR
#define XL_PROC_DIR "/proc"
#define XL_BACKEND_DIR "/sys/bus/xen-backend/devices"
#endif

/* "a" and "b" → "a, b" */
static void append(char **list, char *item)
{
	char *more = xl_sprintf("%s%s%s", *list ? *list : "", *list ? ", " : "", item);

	free(*list);
	free(item);
	*list = more;
}

/* Does the process map pages of another domain, by grant or foreign? */
static bool maps_guests(const char *pid)
{
	char *path = xl_sprintf(XL_PROC_DIR "/%s/maps", pid), *line = NULL;
	FILE *f = fopen(path, "re");
	bool found = false;
	size_t size = 0;

	while (f && !found && getline(&line, &size, f) > 0)
		found = strstr(line, "/xen/gntdev") || strstr(line, "/xen/privcmd");
	if (f)
		fclose(f);
	free(line);
	free(path);
	return found;
}

static char *process_name(const char *pid)
{
	char *path = xl_sprintf(XL_PROC_DIR "/%s/comm", pid), comm[32] = "?";
	FILE *f = fopen(path, "re");

	if (f && fgets(comm, sizeof(comm), f))
		comm[strcspn(comm, "\n")] = '\0';
	if (f)
		fclose(f);
	free(path);
	return xl_sprintf("%s (%s)", pid, comm);
}

static char *processes(void)
{
	DIR *d = opendir(XL_PROC_DIR);
	char *list = NULL;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (isdigit((unsigned char)*e->d_name) && atoi(e->d_name) != getpid() &&
		    maps_guests(e->d_name))
			append(&list, process_name(e->d_name));
	if (d)
		closedir(d);
	return list;
}

/* Devices are called kind-domid-devid. */
static char *back_ends(uint32_t domid)
{
	DIR *d = opendir(XL_BACKEND_DIR);
	char *list = NULL, middle[16];
	struct dirent *e;

	snprintf(middle, sizeof(middle), "-%u-", domid);
	while (d && (e = readdir(d)))
		if (strstr(e->d_name, middle))
			append(&list, xl_sprintf("%s", e->d_name));
	if (d)
		closedir(d);
	return list;
}

void holders_say(uint32_t domid)
{
	char *devices = back_ends(domid), *pids = processes();

	if (devices)
		xl_error("back ends of it that dom0's kernel still has: %s", devices);
	if (pids)
		xl_error("processes that have pages of guests mapped, one of which may hold it: %s",
			 pids);
	free(devices);
	free(pids);
}
