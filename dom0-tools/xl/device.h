/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kinds of PV devices (device_disk.c, device_nic.c) and their common part (device.c)
 * know of each other. A kind owns its nodes; device.c owns the protocol.
 */
#ifndef XL_DEVICE_H
#define XL_DEVICE_H

#include "xl.h"

#define HOTPLUG_LOG XL_LOG_DIR "/xen-hotplug.log"

/* What dom0's kernel shows of its back ends */
#ifndef XL_SYS_BACKEND
#define XL_SYS_BACKEND "/sys/bus/xen-backend"
#endif

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
	char *text; /* it in the language of xl.cfg; freed by device.c */
	const char *script; /* absolute */
	uint32_t backend; /* a driver domain; 0: dom0 */
	const void *of_kind; /* struct xl_nic, device_disk.c's struct disk */
};

/* One device that exists, seen from either side. */
struct device {
	const struct device_kind *kind;
	uint32_t domid; /* the guest's */
	unsigned int devid;
	uint32_t backend; /* the domain of its back end */
	char *be; /* the back end's directory */
	bool probed;
	bool comes; /* to a guest that is connected to it already (whole.h) */
};

/* --- hotplug.c ------------------------------------------------------------------------------- */

#ifndef HOTPLUG_WAIT_MS
#define HOTPLUG_WAIT_MS 30000
#endif

/* A script that runs, or waits for its turn. */
struct hotplug {
	pid_t pid; /* 0: none */
	int go; /* closed at its other end when it has its turn */
};

/* Runs a script to its end. Its own report is in xenstore; this is about running at all. */
int hotplug_run(const struct device *d, const char *script, const char *verb);
/* The same in two halves, so that others run beside it. */
int hotplug_start(const struct device *d, const char *script, const char *verb, struct hotplug *h);
int hotplug_finish(const struct device *d, const char *script, const char *verb, struct hotplug *h);

/* What a guest's device was made from: for whoever makes it once more, elsewhere. */
#define XL_SPEC XL_PRIVATE "/%u/spec/%s/%u"

/* --- device.c -------------------------------------------------------------------------------- */

/* A device on its way: its nodes are there, and its back end has heard of it. */
struct device_work {
	const struct device_kind *kind;
	struct device_spec spec;
	struct device d;
	struct hotplug script;
	/* Once its script is through. 0, or -1 after a message. May be NULL. */
	int (*made)(struct xl *xl, struct xl_config *cfg, struct device_work *w);
	/* Frees what the kind has in @spec, and @w. */
	void (*release)(struct device_work *w);
};

/*
 * The first half of making the device @w->spec of @w->kind; device_end() is the other. The domain's lock is held; messages by
 * config_error(). After a failure device_remove_all() or device_detach() takes away what is left. 0; or -1, and @w is released.
 */
int device_begin(struct xl *xl, struct xl_config *cfg, uint32_t domid, struct device_work *w);

/* --- driver.c: back ends in driver domains ---------------------------------------------------- */

/* What dom0 knows of such a device; the driver domain can write what it likes into its own nodes. */
#define XL_FOREIGN XL_PRIVATE "/%u/foreign/%s/%u"
/* The name that a domain had in which this one has had back ends: until this one ends it may have granted pages to it. */
#define XL_NUMBER XL_PRIVATE "/%u/backends/%u"
/* The same the other way round: below it are the domains that have, or have had, back ends in this one. */
#define XL_USERS "/tool/pavise-users/%u"

/* A driver domain that runs; message by config_error(). */
int driver_find(struct xl *xl, struct xl_config *cfg, const char *key, int line, const char *arg,
		uint32_t *domid);
/* Is it there, a driver domain, and not dead? */
bool driver_alive(struct xl *xl, uint32_t domid);
/* XL_NUMBER and XL_USERS are written. False with errno. */
bool driver_note_number(struct xl *xl, xs_transaction_t t, uint32_t domid, uint32_t backend,
			const char *name);
/*
 * Writes the back end's nodes from what XL_FOREIGN has, for the driver domain to find: at first, and again
 * for the next life of that domain. False with errno.
 */
bool driver_offer(struct xl *xl, xs_transaction_t t, const struct device *d);
/* If that is a life that has not been offered it yet; then true. The guest's lock is held. */
bool driver_offer_again(struct xl *xl, const struct device *d);
/*
 * Says again that there is a device that its back end has not looked at: a Linux that starts lists its devices and only
 * then asks to be told of others, and whatever comes in between it never sees. The guest's lock is held.
 */
void driver_nudge(struct xl *xl, const struct device *d);
/* Waits for the driver domain's hotplug script. NULL or why not; the caller frees. */
char *driver_await_script(struct xl *xl, const struct device *d);
/* The same for the script's undoing, for at most @ms. False: it has not said so. */
bool driver_await_release(struct xl *xl, const struct device *d, int ms);
/* May another guest have this disk of a driver domain's? NULL or why not; the caller frees. */
char *driver_disk_clash(struct xl *xl, uint32_t backend, const char *target, bool readonly);

#endif /* XL_DEVICE_H */
