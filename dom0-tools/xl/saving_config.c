// SPDX-License-Identifier: BSD-2-Clause
/*
 * The configuration of a guest that is being saved (saving.h).
 * Owns that it is the guest as it is now: with the devices, addresses, name, memory and vCPUs that it has been given since it was made.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "next.h"
#include "whole.h"

#define GIVE_IT "give its config file behind the file's name"

static int unknown(const struct saving *s, const char *key, unsigned int number)
{
	return xl_error("it is not known what %s %u of '%s' was made from: " GIVE_IT, key, number,
			s->guest);
}

static int put_spec(struct saving *s, const struct device_kind *kind, unsigned int number,
		    struct next_list *l)
{
	char *spec = st_read(s->xl, XBT_NULL, XL_SPEC, s->domid, kind->name, number);

	if (!spec)
		return unknown(s, kind->key, number);
	next_list_add(l, spec);
	return 0;
}

/* Those without a medium are no devices. */
static void put_empty_drives(struct saving *s, struct next_list *l)
{
	unsigned int n, i;
	char **drive = st_list(s->xl, &n, XL_CDROM, s->domid), *be, *vdev;

	for (i = 0; i < n; i++) {
		be = st_read(s->xl, XBT_NULL, XL_PRIVATE "/%u/device/vbd/%s", s->domid, drive[i]);
		vdev = st_read(s->xl, XBT_NULL, XL_CDROM "/%s", s->domid, drive[i]);
		if (!be && vdev)
			next_list_add(l, xl_sprintf("vdev=%s, devtype=cdrom, target=", vdev));
		free(be);
		free(vdev);
	}
	free(drive);
}

/* "disk=[ ... ]" of those that it has now, or NULL after a message. */
static char *device_list(struct saving *s, const struct device_kind *kind)
{
	unsigned int n, i;
	char **dev = st_list(s->xl, &n, XL_PRIVATE "/%u/device/%s", s->domid, kind->name);
	struct next_list l;
	int rc = 0;

	next_list_begin(&l, kind->key);
	/* An interface's number is its place in the list. */
	for (i = 0; i < n && !rc; i++)
		rc = put_spec(s, kind, kind->net ? i : (unsigned int)atoi(dev[i]), &l);
	if (!kind->net)
		put_empty_drives(s, &l);
	free(dev);
	return next_list_end(&l, rc);
}

/* What the guest has that its file does not say: as many settings of it in @args, at most 9; or -1 after a message. */
static int add_settings(struct saving *s, struct xl_config *was, bool devices, char **args)
{
	struct xen_domctl_getdomaininfo info;
	char uuid[37];
	int n = 0;

	if (pv_domain_info(s->xl->pv, s->domid, &info))
		return xl_error("'%s' has been destroyed", s->guest);
	next_adopt(s->xl, s->domid, was);
	uuid_format(info.handle, uuid);
	args[n++] = xl_sprintf("name=\"%s\"", was->name);
	args[n++] = xl_sprintf("uuid=\"%s\"", uuid);
	args[n++] = xl_sprintf("memory=%lu", was->memory);
	args[n++] = xl_sprintf("maxmem=%lu", was->maxmem);
	args[n++] = xl_sprintf("vcpus=%u", was->vcpus);
	/* What it was made with, which the state goes by: without the key it would be what is on now. */
	args[n++] = xl_sprintf("maxvcpus=%u", info.max_vcpu_id + 1);
	if (was->pool)
		args[n++] = xl_sprintf("pool=\"%s\"", was->pool);
	if (!devices)
		return n;
	args[n] = device_list(s, &device_vbd);
	if (!args[n++])
		return -1;
	args[n] = device_list(s, &device_vif);
	return args[n++] ? n : -1;
}

/* For what it has no place of its own for in a stream. */
static int check(struct saving *s, const struct xl_config *cfg)
{
	if (cfg->oci || cfg->bootloader)
		return xl_error("'%s' has its kernel from %s, and such guests cannot be saved yet",
				s->guest, cfg->oci ? "an OCI image" : "its disk (bootloader)");
	return 0;
}

/* "vif=[ ... ]" of those, with the addresses that the configuration leaves open. */
static char *nic_list(const struct xl_config *cfg)
{
	struct next_list l;
	int i;

	next_list_begin(&l, "vif");
	for (i = 0; i < cfg->nr_nics; i++)
		next_list_add(&l, nic_format(&cfg->nic[i]));
	return next_list_end(&l, 0);
}

/* What a guest that notices nothing has been told of its interfaces is in @cfg by now, and in its text so far what @file leaves open. */
static int say_macs(struct xl_config *cfg, const char *path, char **args, int n)
{
	args[n] = nic_list(cfg);
	config_free(cfg);
	return config_read(cfg, path, args, n + 1, stderr) || next_make_absolute(cfg);
}

int saving_config(struct saving *s, const char *file)
{
	char *path = file ? strdup(file) : xl_sprintf(XL_NEXT_FILE, s->domid);
	struct xl_config was = { 0 }, cfg = { 0 };
	char *args[10] = { NULL };
	int n, rc = -1;

	if (!file && next_is_updated(s->domid)) {
		xl_error("'%s' has been given another configuration for its next life "
			 "(config-update): give the one that it runs with behind the file's name",
			 s->guest);
	} else if (config_read(&was, path, NULL, 0, file ? stderr : NULL)) {
		xl_error("it is not known what '%s' was made from: " GIVE_IT, s->guest);
	} else if (!check(s, &was)) {
		n = add_settings(s, &was, !file, args);
		rc = n < 0 || config_read(&cfg, path, args, n, stderr) ||
		     next_make_absolute(&cfg) || (s->connected && whole_check_config(s, &cfg)) ||
		     (s->connected && file && say_macs(&cfg, path, args, n));
		if (!rc)
			s->config = next_text(&cfg);
		rc = rc ? -1 : 0;
	}
	for (n = 0; n < 10; n++)
		free(args[n]);
	config_free(&was);
	config_free(&cfg);
	free(path);
	return rc;
}
