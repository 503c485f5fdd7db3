/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kinds of PV devices (device_disk.c, device_nic.c) and their common part (device.c)
 * know of each other. A kind owns its nodes; device.c owns the protocol.
 */
#ifndef XL_DEVICE_H
#define XL_DEVICE_H

#include "xl.h"

#define HOTPLUG_LOG XL_LOG_DIR "/xen-hotplug.log"

struct device_kind {
	const char *name; /* in xenstore's paths and in dom0's sysfs: vbd, vif */
	const char *key; /* in xl.cfg: disk, vif */
	const char *driver; /* of the back end, for messages */
	const char *start, *stop; /* the hotplug script's verbs */
	bool net; /* the script gets the interface's name */
	bool stays; /* a guest that does not give it back when asked keeps it: taking it would lose data */
	/*
	 * NULL, or why this device cannot be beside those that there are: no other is made meanwhile. The caller
	 * frees. May be NULL itself.
	 */
	char *(*refuse)(struct xl *xl, const void *of_kind);
	/*
	 * The kind's own nodes, below the front end's and the back end's directory.
	 * @devid: the number in words. False, with errno, as soon as one cannot be written.
	 */
	bool (*write)(struct xl *xl, xs_transaction_t t, const void *of_kind, const char *fe,
		      const char *be, const char *devid);
	/* The back end has written what it offers, and nobody has read it: before the script. May be NULL. */
	bool (*offered)(struct xl *xl, const void *of_kind, const char *be);
};

/* A device to be made. */
struct device_spec {
	unsigned int devid;
	int line; /* in the config */
	const char *label; /* for messages */
	const char *script; /* absolute */
	const void *of_kind; /* struct xl_nic, device_disk.c's struct disk */
};

/*
 * Makes a device and runs its script. The domain's lock is held; messages by config_error(). After a failure
 * device_remove_all() or device_detach() takes away what is left.
 */
int device_add(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct device_kind *kind,
	       const struct device_spec *spec);

#endif /* XL_DEVICE_H */
