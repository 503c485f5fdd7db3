/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xl's own parts and how they see each other.
 * Layers, each using only those above it: store, domain, device, life (create, destroy),
 * backends, supervise, then the commands.
 * Unless stated otherwise functions return 0, or -1 after having said why on stderr.
 */
#ifndef XL_H
#define XL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <pavise.h>
#include <xenstore.h>

#include "config.h"

/* Tests on the host have directories of their own. */
#ifndef XL_RUN_DIR
#define XL_RUN_DIR "/run/xen"
#define XL_LOG_DIR "/var/log/xen"
#define XL_SCRIPT_DIR "/etc/xen/scripts"
#define XL_CONF "/etc/xen/xl.conf"
#endif
#define XL_LOCK_FILE XL_RUN_DIR "/xl.lock"
#define XL_DOMAIN_LOCK XL_RUN_DIR "/xl-%u.lock"
#define XL_CONSOLE_LOG_DIR XL_LOG_DIR "/console"
/* Our private records: what must be found again when a guest ends. */
#define XL_PRIVATE "/tool/pavise"
/*
 * A dead guest's whose supervisor holds the next life back, and for how many seconds; whoever writes
 * XL_RESTART_OFF does away with that life.
 */
#define XL_RESTART XL_PRIVATE "/%u/restart"
#define XL_RESTART_OFF "off"
/* While it is there no guest is started again: the host is going down (rc.shutdown makes it). */
#define XL_NO_RESTART XL_RUN_DIR "/no-restart"

/* Beside a guest's RAM: ring pages, and a reserve as Xen's toolstack grants (maxmem + 1 MiB). */
#define XL_EXTRA_KIB 1024

#define EXIT_USAGE 2

struct xl {
	struct pv *pv;
	struct xs_handle *xs;
	bool watched; /* whoever watches with @xs wants all its events: st_wait() takes none */
};

/* --- util.c ---------------------------------------------------------------------------------- */

/* "xl: text" on stderr. Returns -1. */
int xl_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The last of these texts, until the next one; "": there was none since xl_forget_error(). As it was given: not yet fit for a terminal. */
const char *xl_last_error(void);
void xl_forget_error(void);
char *xl_sprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A guest's text, fit for a terminal and for one line of a log. The caller frees. */
char *xl_one_line(const char *text);
/* Milliseconds of the monotonic clock. */
int64_t xl_now(void);
void xl_sleep(int ms);
/*
 * Between two looks of a wait that began at @begin, xl_now(): the longer it lasts, the rarer they are. Hundreds may wait at
 * once, for what the looks of all of them hold up.
 */
void xl_sleep_since(int64_t begin);
int xl_look_ms(int64_t begin);
/* Waits for a child's end, for @ms at most: @pid with *@status; 0: it still runs; -1 with errno. */
pid_t xl_wait_child(pid_t pid, int ms, int *status);
/* Set by SIGINT and SIGTERM once xl_catch_signals() was called. */
extern volatile int xl_interrupted;
void xl_catch_signals(void);
/* One of them, for a while; *@was: what is to be restored by sigaction(). */
void xl_catch_signal(int sig, struct sigaction *was);
/* dom0's kernel does not end this process, nor its children, when memory is short. */
void xl_spare_me(void);
int xl_mkdir(const char *path);
/* The directory that @path is in is on the disk. 0 or -errno. */
int xl_sync_directory(const char *path);

/* Opens both connections; privileged commands only. */
int xl_open(struct xl *xl);
void xl_close(struct xl *xl);

/*
 * The locks, each a descriptor to give to its unlock function, or -1. They wait, and say for whom
 * when that takes long. A dead holder's lock is free.
 *
 * xl_lock: who makes a domain, from the look whether its name and memory are free until it has both,
 * or gives a name. Taken before a domain's, never after it.
 * xl_lock_domain: who builds, destroys or otherwise changes this domain's devices and nodes.
 * xl_lock_devices: who looks whether a disk is another's until it has noted that it is its own. Never held for
 * long; nothing is taken after it. Given back by xl_unlock().
 */
int xl_lock(void);
/*
 * The same without waiting. *@mine: it is held; then also -1, where this process has it already. What is returned is given back by
 * xl_unlock().
 */
int xl_try_lock(bool *mine);
void xl_unlock(int fd);
int xl_lock_domain(uint32_t domid);
void xl_unlock_domain(int fd, uint32_t domid);
int xl_lock_devices(void);
/* Does somebody (else) hold it at this moment? */
bool xl_domain_locked(uint32_t domid);

/* --- logs.c ---------------------------------------------------------------------------------- */

/* For appending; an older half is put aside when it has become long. A descriptor or -1 with errno. */
int xl_log_open(const char *path);
/*
 * Deletes logs of guests that are not there any more, the oldest first, until all together are within the limit.
 * Not again within a few seconds. @keep: the guest whose logs stay.
 */
void xl_logs_prune(struct xl *xl, const char *keep);

/* --- store.c: xenstore with formatted paths -------------------------------------------------- */

/* A request that has no answer by then never gets one. */
#ifndef XENSTORE_MS
#define XENSTORE_MS 30000
#endif
/*
 * A connection to xenstored on which no request waits for longer than @ms, nor once xl_interrupted is set.
 * NULL after a message. @ms -1: for ever, without messages, and NULL with errno.
 */
struct xs_handle *st_open(int ms);
/*
 * True once a request had no answer in time, or waiting for it was interrupted. That has been said then,
 * and all further ones fail at once.
 */
extern bool xl_store_lost;

/*
 * For waits that end with a change: st_wait_begin() before the first look at @path, st_wait() between two, st_wait_end() at last.
 * st_wait() is back when something at @path or below has changed since it was last back, or after @ms; or earlier, for whoever
 * calls looks again.
 */
void st_wait_begin(struct xl *xl, const char *path);
void st_wait(struct xl *xl, int ms);
void st_wait_end(struct xl *xl, const char *path);

/* NULL when there is no such node. The caller frees. */
char *st_read(struct xl *xl, xs_transaction_t t, const char *path, ...)
	__attribute__((format(printf, 3, 4)));
bool st_write(struct xl *xl, xs_transaction_t t, const char *value, const char *path, ...)
	__attribute__((format(printf, 4, 5)));
/* -1 when there is none or it is no number. */
long st_read_long(struct xl *xl, const char *path, ...) __attribute__((format(printf, 2, 3)));
/*
 * Writes only if the node is there: whoever removes a domain's nodes meanwhile removes them for good.
 */
bool st_replace(struct xl *xl, const char *value, const char *path, ...)
	__attribute__((format(printf, 3, 4)));
/* Removes a node and all below; not there is fine. */
bool st_remove(struct xl *xl, xs_transaction_t t, const char *path, ...)
	__attribute__((format(printf, 3, 4)));
/* A directory that @owner owns and @reader may read as well; what is made below inherits it. */
bool st_dir(struct xl *xl, xs_transaction_t t, unsigned int owner, unsigned int reader,
	    const char *path, ...) __attribute__((format(printf, 5, 6)));
/* Children's names; free() the array. NULL and *n = 0 when there are none. */
char **st_list(struct xl *xl, unsigned int *n, const char *path, ...)
	__attribute__((format(printf, 3, 4)));
/* Removes @path's directory, then its parents up to and without @stop, as long as they are empty. */
void st_prune(struct xl *xl, const char *path, const char *stop);

/* --- names.c --------------------------------------------------------------------------------- */

/* Is there a domain of this name, or one on its way here that is to have it (not counting @except)? xl_lock() is held. */
bool domain_name_used(struct xl *xl, const char *name, uint32_t except);
/* The domain with this number and handle is about to be called so. xl_lock() is held. */
void names_note(uint32_t domid, const uint8_t handle[16], const char *name);
/* It is no longer called so. xl_lock() is held. */
void names_forget(uint32_t domid, const uint8_t handle[16], const char *name);
/* It has gone, and its nodes with it. xl_lock() may be held by anybody, also by the caller. */
void names_gone(uint32_t domid, const uint8_t handle[16], const char *name);
/* Another name for a domain whose lock is held, as xl_lock() is. */
int domain_rename(struct xl *xl, uint32_t domid, const char *name);

/* --- domain.c: who is there ------------------------------------------------------------------ */

/* NULL when it has none. The caller frees. */
char *domain_name(struct xl *xl, uint32_t domid);
/* A name or a domid. */
int domain_find(struct xl *xl, const char *arg, uint32_t *domid);
/* The same, by number alone and without a message. */
bool domain_numbered(struct xl *xl, const char *arg, uint32_t *domid);
/* The same, by name alone and without a message. */
bool domain_named(struct xl *xl, const char *name, uint32_t *domid);
/* The same as domain_find(), and dom0 is refused for @verb. */
int domain_find_guest(struct xl *xl, const char *arg, const char *verb, uint32_t *domid);
/*
 * The lock of the guest that @arg names, to change it with @verb: for xl_unlock_domain(). A guest that is
 * just being started again is waited for. No lock may be held.
 */
int domain_lock(struct xl *xl, const char *arg, const char *verb, uint32_t *domid);
/* The same, 0 or -1, where dom0 may be meant, too: nobody takes that away, and *@lock is -1, which xl_unlock_domain() knows. */
int domain_lock_any(struct xl *xl, const char *arg, const char *verb, uint32_t *domid, int *lock);
/* So many vCPUs it has been given. */
static inline uint32_t domain_vcpus(const struct xen_domctl_getdomaininfo *info)
{
	return info->max_vcpu_id == XEN_INVALID_MAX_VCPU_ID ? 0 : info->max_vcpu_id + 1;
}
/*
 * Lets a domain run that has been made, whether or not somebody else has unpaused it already. Its lock is
 * held. 0 or -errno, without a message.
 */
int domain_start(struct xl *xl, uint32_t domid);
const char *shutdown_reason(unsigned int reason);
/* info.flags → the guest's shutdown code */
unsigned int domain_reason(const struct xen_domctl_getdomaininfo *info);

/* --- device*.c: PV devices; device.h has what the kinds share -------------------------------- */

extern const struct device_kind device_vbd, device_vif;

/* The image is there and of a kind that can be a disk; message by config_error(). */
int device_check_disk(struct xl_config *cfg, const struct xl_disk *d);
int device_add_disk(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct xl_disk *d);
/*
 * Why nobody else may write to this raw file now, a sentence's end; NULL: nobody has it, but for @except (0: none). xl_lock_devices() is held. The
 * caller frees.
 */
char *device_disk_used(struct xl *xl, const char *path, uint32_t except);
/* A guest's CD drives, with or without a medium: /tool/pavise/<domid>/cdrom/<number>. */
#define XL_CDROM XL_PRIVATE "/%u/cdrom"
/* The script is there; message by config_error(). */
int device_check_nic(struct xl_config *cfg, const struct xl_nic *n);
int device_add_nic(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct xl_nic *n);
/*
 * The same in two halves, for several at once: device_end() waits for all that were begun, which it or device_drop() frees. *@w is NULL for
 * a drive without a medium, and after a failure.
 */
struct device_work;
int device_begin_disk(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct xl_disk *d,
		      struct device_work **w);
int device_begin_nic(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct xl_nic *n,
		     struct device_work **w);
int device_end(struct xl *xl, struct xl_config *cfg, struct device_work **w, int nr);
void device_drop(struct device_work **w, int nr);
/*
 * An interface with a limit that sends in several queues: each gets its share of it. @be: the back end's directory. The
 * domain's lock is held.
 */
void device_hold_rate(struct xl *xl, uint32_t domid, uint32_t devid, const char *be,
		      void (*say)(const char *fmt, ...));
/*
 * Takes one device from a domain that may run, and whose lock is held. The guest is asked first, but
 * for @force; if it does not answer, an interface goes all the same and a disk stays, and that is an error.
 */
int device_detach(struct xl *xl, uint32_t domid, const struct device_kind *kind, unsigned int devid,
		  bool force);
/* All devices of a domain that no longer runs. Never gives up half way. */
void device_remove_all(struct xl *xl, uint32_t domid);
/* Those whose back ends are in driver domains, which may take their time. */
void device_remove_foreign(struct xl *xl, uint32_t domid);
/* The domain's directories below its back ends', and what was wrong with those, once it has no devices. */
void device_remove_directories(struct xl *xl, uint32_t domid);

/* The domain in the path of a back end's directory. */
uint32_t backend_domid(const char *be);
/* Where a device's configuration can be read and believed; the caller frees. @be: its back end's directory. */
char *device_nodes(uint32_t domid, const char *kind, unsigned int devid, const char *be);
/*
 * The number that a driver domain of this name has to have, for guests that wait for it: the one that its last life
 * had. 0: nobody waits for it.
 */
uint32_t driver_number(struct xl *xl, const char *name);
/*
 * Has any domain that there is had back ends in one of this number? Pages may be granted to the number still, and event
 * channels open to it: nobody else may get it.
 */
bool driver_number_kept(struct xl *xl, uint32_t domid);
/* This domain ends, and is no reason any more to keep a number. */
void driver_forget_numbers(struct xl *xl, uint32_t domid);
/* Does a device of some domain, but of a dead one that is kept, have its back end there? */
bool driver_in_use(struct xl *xl, uint32_t domid);
/* This domain may have back ends for others. Another value in each life. */
#define XL_DRIVER XL_PRIVATE "/%u/driver-domain"

/* --- device_channel.c: channels, which xenconsoled serves ------------------------------------- */

/* Could their sockets be made now? Messages by config_error(). */
int channels_check(struct xl *xl, struct xl_config *cfg);
/* All nodes of a new domain's. False, with errno, as soon as one cannot be written. */
bool channels_write(struct xl *xl, xs_transaction_t t, uint32_t domid, const struct xl_config *cfg);
/* Waits for xenconsoled to have made them: one that cannot be is an error, one that takes its time a warning. */
int channels_await(struct xl *xl, struct xl_config *cfg, uint32_t domid);
/* The paths of a domain's sockets, for channels_remove_sockets(), which removes those that nobody else has removed by then. */
char **channels_sockets(struct xl *xl, uint32_t domid);
void channels_remove_sockets(struct xl *xl, char **paths);
/* From a domain that stays but will not run any more. Its lock is held. */
void channels_remove(struct xl *xl, uint32_t domid);

/* --- kernel.c -------------------------------------------------------------------------------- */

/* The configuration's kernel, unpacked if it is compressed, until pv_image_close(). As pv_image_open(), but knows the limits. */
int kernel_open(const struct xl_config *cfg, struct pv_image *img, struct pv_err *err);

/* --- life.c ---------------------------------------------------------------------------------- */

/*
 * Makes the guest, whole but paused; nothing is left of it on failure, which is negative: -ENOMEM for lack of memory.
 * @lock: from xl_lock(); given back as soon as others may create again, in any case.
 * @domain_lock: the new domain's, held; for xl_unlock_domain() once it runs.
 */
int domain_create(struct xl *xl, struct xl_config *cfg, int lock, uint32_t *domid,
		  int *domain_lock);
/* One that nobody has. */
int uuid_random(uint8_t uuid[16]);
/* Could it be made from this: are kernel, ramdisk, disks and scripts there, and does it fit its memory? */
int domain_check(struct xl_config *cfg);
/* Would there be memory for it if it were alone with dom0? */
bool domain_can_fit(struct xl *xl, const struct xl_config *cfg);
/* Is there memory for it now, without waiting for what is being freed? */
bool domain_fits(struct xl *xl, const struct xl_config *cfg);
/* Will there be, once what is being freed is free? Waits for that. */
bool domain_will_fit(struct xl *xl, const struct xl_config *cfg);
/* Ends a guest in any state and removes every trace. Its lock is held. */
int domain_destroy(struct xl *xl, uint32_t domid);
/* Is it still the one with this UUID? Its lock is held, or the answer may be old. */
bool domain_is(struct xl *xl, uint32_t domid, const uint8_t handle[16]);

/* --- backends.c ------------------------------------------------------------------------------ */

/* A back end in this kernel that no driver serves: nobody will answer for it. */
bool backend_unbound(const char *kind, uint32_t domid, const char *devid);
/* Watch events with the token "backend" when a back end of this domain changes. */
bool backends_watch(struct xl *xl, uint32_t domid);
/* Watch events with the token "devices" when backends_any() may say something else: one comes at once. */
bool backends_watch_any(struct xl *xl, uint32_t domid);
/* Has the domain a disk or an interface, or did it leave one with a driver domain? Without any backends_suspect() finds nothing. */
bool backends_any(struct xl *xl, uint32_t domid);
/*
 * Without an event: can there be anything for backends_check() to find? An unbound driver raises none, and a driver domain may
 * have missed what it was told. Asked every now and then for each guest, so it costs little and takes no lock.
 */
bool backends_suspect(struct xl *xl, uint32_t domid);
/* Says, once for each, which back ends are lost, and marks them as closed. The domain's lock is held. */
void backends_check(struct xl *xl, uint32_t domid, void (*say)(const char *fmt, ...));

/* --- holders.c ------------------------------------------------------------------------------- */

/* Says on stderr who may still use pages of a destroyed domain: nothing when nobody is found. */
void holders_say(uint32_t domid);

/* --- supervise.c ----------------------------------------------------------------------------- */

enum { REPORT_READY = 'R', REPORT_ENDED = 'E' };
#define REASON_DESTROYED 255
/* What came after the end. */
enum next {
	NEXT_GONE, /* nothing of it is left */
	NEXT_KEPT, /* preserved */
	NEXT_LIFE, /* it runs again */
	NEXT_FAILED, /* it was to run again, and could not be started */
};
/* How the program of a guest that is an OCI image ended (oci.h). */
struct oci_end {
	enum {
		OCI_UNKNOWN, /* the guest has not said it, or crashed */
		OCI_EXIT,
		OCI_SIGNAL,
		OCI_ERROR, /* it did not begin: @status is podman's 125 to 127, @why what is wrong */
	} kind;
	int status;
	char why[240]; /* printable */
};

struct report {
	char what; /* REPORT_* */
	uint8_t reason; /* SHUTDOWN_*, REASON_DESTROYED */
	uint8_t next; /* enum next */
	uint32_t domid; /* the present life's */
	struct oci_end program; /* of the life that has ended */
};
/*
 * Waits for the guest's end and does what the configuration says, life after life.
 * @report: descriptor for struct report, or -1. Returns the process's exit status.
 */
int supervise(struct xl *xl, struct xl_config *cfg, uint32_t domid, int report);
/*
 * The same in a background process, which has begun; the descriptor to read further reports from, or -1 after a message. @tell: it
 * tells of an early end on the terminal that this one has on stderr.
 */
int supervise_in_background(struct xl_config *cfg, uint32_t domid, bool tell);
/* What has come after the end @r that a guest met @when, a sentence without its full stop. The caller frees. */
char *early_end_text(const char *name, const struct report *r, const char *when);
/*
 * A new supervisor for the guest called @name whose last one was killed, from its record, in a background process. 0 once it has
 * that; -1: somebody else does, or there is no such record any more.
 */
int supervise_again(const char *id, const char *name);

/* --- console.c ------------------------------------------------------------------------------- */

/* A connection to a guest's console, waiting up to @ms for xenconsoled to serve it. */
int console_connect(struct xl *xl, uint32_t domid, int ms);
#define CONSOLE_ESCAPE 0x1d /* Ctrl-] */
/* The same to its console @number, where 0 is the one above: the other end of a channel. */
int console_connect_to(struct xl *xl, uint32_t domid, unsigned int number, int ms);
/* Terminal and guest until @escape is typed or the guest's end. Closes @fd. */
int console_run(int fd, char escape);
/* Waits until xenconsoled serves the guest, @ms at most. */
bool console_ready(struct xl *xl, uint32_t domid, int ms);
/* The last @lines of a guest's log, indented, on stderr. */
void console_log_tail(const char *name, int lines);

/* --- the commands ---------------------------------------------------------------------------- */

struct command {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *args;
	const char *summary;
	const char *options; /* NULL or lines for "xl help name" */
};
extern const struct command commands[];
const struct command *command_find(const char *name);
/* Prints the usage of the command that runs; returns EXIT_USAGE (or 0 for --help). */
int command_usage(const char *name, bool asked);
/*
 * getopt() with -h/--help and complaints done: a letter, -1 at the end, or '?' with *rc set to
 * the exit status.
 */
int command_option(int argc, char **argv, const char *letters, int *rc);

int cmd_create(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_mem_set(int argc, char **argv);
int cmd_mem_max(int argc, char **argv);
int cmd_sysrq(int argc, char **argv);
int cmd_trigger(int argc, char **argv);
int cmd_config_update(int argc, char **argv);
int cmd_save(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_clone(int argc, char **argv);
int cmd_template(int argc, char **argv);
int cmd_snapshot_list(int argc, char **argv);
int cmd_snapshot_revert(int argc, char **argv);
int cmd_snapshot_delete(int argc, char **argv);
int cmd_migrate(int argc, char **argv);
int cmd_migrate_receive(int argc, char **argv);
int cmd_dump_core(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_pause(int argc, char **argv);
int cmd_unpause(int argc, char **argv);
int cmd_shutdown(int argc, char **argv);
int cmd_reboot(int argc, char **argv);
int cmd_destroy(int argc, char **argv);
int cmd_claims(int argc, char **argv);
int cmd_vm_list(int argc, char **argv);
int cmd_domid(int argc, char **argv);
int cmd_domname(int argc, char **argv);
int cmd_rename(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_dmesg(int argc, char **argv);
int cmd_vcpu_list(int argc, char **argv);
int cmd_vcpu_pin(int argc, char **argv);
int cmd_sched_credit2(int argc, char **argv);
int cmd_cpupool_list(int argc, char **argv);
int cmd_cpupool_create(int argc, char **argv);
int cmd_cpupool_destroy(int argc, char **argv);
int cmd_cpupool_rename(int argc, char **argv);
int cmd_cpupool_cpu_add(int argc, char **argv);
int cmd_cpupool_cpu_remove(int argc, char **argv);
int cmd_cpupool_migrate(int argc, char **argv);
int cmd_cpupool_numa_split(int argc, char **argv);
int cmd_vcpu_set(int argc, char **argv);
int cmd_uptime(int argc, char **argv);
int cmd_block_list(int argc, char **argv);
int cmd_block_attach(int argc, char **argv);
int cmd_block_detach(int argc, char **argv);
int cmd_block_resize(int argc, char **argv);
int cmd_cd_insert(int argc, char **argv);
int cmd_cd_eject(int argc, char **argv);
int cmd_channel_list(int argc, char **argv);
int cmd_network_list(int argc, char **argv);
int cmd_network_attach(int argc, char **argv);
int cmd_network_detach(int argc, char **argv);
int cmd_devd(int argc, char **argv);
int cmd_oci(int argc, char **argv);
int cmd_minder(int argc, char **argv);
int cmd_debug_keys(int argc, char **argv);
int cmd_help(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_usage(int argc, char **argv);
int cmd_init_dom0(int argc, char **argv);

#endif /* XL_H */
