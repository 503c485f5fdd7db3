/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an xl.cfg means: the description of one guest.
 * Owns every key, its type, its limits and its message.
 */
#ifndef XL_CONFIG_H
#define XL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cfg.h"
#include "channel.h"
#include "cpus.h"
#include "disk.h"
#include "nic.h"

enum xl_action {
	ACTION_DESTROY,
	ACTION_RESTART,
	ACTION_PRESERVE,
	ACTION_RENAME_RESTART,
	ACTION_COREDUMP_DESTROY,
	ACTION_COREDUMP_RESTART,
};

struct boot_dir;
struct xl_oci;
struct saved;

struct xl_config {
	struct cfg tree; /* for messages about keys, also later */
	char *name, *kernel, *ramdisk;
	char *cmdline; /* root= and extra put together, or cmdline; never NULL */
	bool driver_domain; /* others may have their back ends in it */
	bool bootloader; /* kernel, ramdisk and cmdline come from the first disk: bootloader.c sets them */
	char *bootloader_entry; /* of the menu there, or NULL: its own choice */
	char *bootloader_kernel; /* what was fetched, in words for the administrator */
	char *bootloader_extra; /* what the configuration adds to the menu's command line */
	struct boot_dir
		*bootloader_files; /* what was fetched, or NULL; bootloader_discard() frees it */
	char *reader_dir,
		*reader_for; /* of a guest that is bootloader.c's: its files, and whose kernel it reads */
	struct xl_oci *oci; /* the guest is an OCI image (oci.h); NULL: it is none */
	struct saved *
		saved; /* it goes on from this stream (saved.h), for domain_create(); NULL: it begins with its kernel */
	const char *
		incoming; /* it comes from another host, and this is what it will be called then; the caller's; or NULL */
	unsigned long memory, maxmem; /* MiB */
	unsigned int vcpus, maxvcpus;
	char *pool; /* its CPU pool's name or number; NULL: Pool-0 */
	bool had_a_life; /* pools may have changed since cpus= was read: what is not in the pool binds nothing */
	unsigned int cpu_weight, cap; /* cpu_weight 0: the hypervisor's default */
	struct cpus *cpus,
		*cpus_soft; /* [maxvcpus], mask 0: nothing is said of that one; NULL: of none */
	unsigned int max_event_channels;
	int max_grant_frames, max_maptrack_frames; /* -1: the hypervisor's default */
	bool have_uuid,
		uuid_chosen; /* chosen: not by the configuration, and for the next life alone */
	uint8_t uuid[16];
	struct xl_disk *disk;
	int nr_disks;
	struct xl_nic *nic; /* with a MAC each, which they keep over reboots */
	int nr_nics;
	struct xl_channel *channel;
	int nr_channels;
	enum xl_action on_poweroff, on_reboot, on_crash, on_watchdog;
};

/* What a guest is of which nothing is said: xl.cfg(5)'s defaults. Complaints about it go to @log. */
void config_init(struct xl_config *c, FILE *log);
/* @args: "key=value" from the command line. 0, or -1 with messages in @log. */
int config_read(struct xl_config *c, const char *path, char *const *args, int nr_args, FILE *log);
/*
 * The same of settings that are in @c->tree already, behind config_init(): for what makes configurations itself.
 */
int config_interpret(struct xl_config *c);
void config_free(struct xl_config *c);
/* A configuration that has nothing but one interface, or disk; for xl network-attach and block-attach. */
int config_read_nic(struct xl_config *c, const char *spec, FILE *log);
int config_read_disk(struct xl_config *c, const char *spec, FILE *log);

/* Prefixes a message with "file:line: key: " of that key, for errors found later. */
void config_error(struct xl_config *c, const char *key, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* May this be the name of a domain? NULL, or why not. */
const char *config_bad_name(const char *name);
int uuid_parse(const char *text, uint8_t uuid[16]);
/* @text: 37 bytes */
void uuid_format(const uint8_t uuid[16], char *text);
const char *action_name(enum xl_action a);

#endif /* XL_CONFIG_H */
