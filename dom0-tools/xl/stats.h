/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the host does at one moment: the one place that asks hypervisor, xenstored and dom0's kernel for figures; xl top,
 * metrics and usage show them, each in its way.
 *
 * Counters only grow in a domain's life, but for a device's: those begin at 0 again when its back end connects anew.
 * A domain or a device that goes while it is looked at is left out, or has 0 where nothing could be read any more: never an
 * error. Names are shown ones (pv_text_show()); figures of guests' own making are not used.
 */
#ifndef XL_STATS_H
#define XL_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "xl.h"

struct stats_vcpu {
	uint32_t id, hart; /* hart: where it runs or ran last */
	bool online, running, blocked;
	uint64_t cpu_ns; /* that it ran */
	bool has_steal;
	uint64_t steal_ns; /* that it wanted to run and had no hart */
};

struct stats_vbd {
	uint32_t devid;
	uint64_t no_room; /* requests that had to wait for room in the back end */
	uint64_t reads, writes, flushes, discards; /* requests */
	uint64_t read_sectors, written_sectors; /* 512 bytes */
};

/* As the guest sees it: what it sent is what dom0's interface received. */
struct stats_vif {
	uint32_t devid;
	char *interface; /* in dom0, shown */
	uint64_t sent_bytes, sent_packets, sent_errors, sent_dropped;
	uint64_t received_bytes, received_packets, received_errors, received_dropped;
};

struct stats_store_domain {
	bool known;
	uint64_t nodes, watches, transactions, bytes;
};

struct stats_domain {
	uint32_t domid, ssid;
	char *name; /* "(null)" when it has none */
	uint8_t uuid[16];
	uint32_t flags; /* XEN_DOMINF_* */
	uint32_t reason; /* SHUTDOWN_*, when it has shut down */
	uint64_t cpu_ns;
	uint64_t memory, max_memory; /* bytes; max: ~0 when there is no limit */
	uint64_t target; /* bytes it is asked to have; 0: not known */
	uint32_t vcpus_online, nr_vcpus; /* nr: in the array */
	struct stats_vcpu *vcpu;
	uint32_t nr_vbds, nr_vifs;
	struct stats_vbd *vbd;
	struct stats_vif *vif;
	struct stats_store_domain store;
};

struct stats_pool {
	struct pv_pool pool;
	char *name;
};

struct stats {
	int64_t ns; /* monotonic; when the domains were asked */
	uint32_t cpus, cpu_khz;
	uint64_t *idle_ns; /* of each hart; NULL: not told */
	uint64_t memory, free, scrub, claimed; /* the hypervisor's heap, bytes */
	uint32_t scheduler; /* XEN_SCHEDULER_*; ~0: not told */
	char version[40]; /* 4.17-name */
	bool store; /* xenstored answers */
	uint64_t store_nodes, store_bytes, store_watches;
	uint32_t nr;
	struct stats_domain *domain; /* by domid */
	uint32_t nr_pools; /* with STATS_STORE, as what follows */
	struct stats_pool *pool; /* CPU pools, by number */
	uint64_t free_cpus; /* mask: those in none */
};

/* What costs more than a list of domains. */
#define STATS_VCPUS 1
#define STATS_STORE 2 /* xenstored's own figures: it counts its nodes for it; and CPU pools */

struct stats_source {
	struct xl xl; /* xs: NULL while xenstored does not answer */
	int64_t retry; /* xl_now() from which on it is asked again */
};

/* -1 after a message when the hypervisor cannot be asked. xenstored may be away, now and later. */
int stats_open(struct stats_source *s);
void stats_close(struct stats_source *s);
/* @what: STATS_*. -1 after a message. For stats_free(). */
int stats_gather(struct stats_source *s, unsigned int what, struct stats *st);
void stats_free(struct stats *st);
/* NULL when there is none. */
const struct stats_domain *stats_find(const struct stats *st, uint32_t domid);
/* The sum of the vCPUs' steal; false when it is not known of one. */
bool stats_steal(const struct stats_domain *d, uint64_t *ns);

/* One device's counters, from the directory of its back end in sysfs. False: it is not there. */
bool stats_read_vbd(uint32_t domid, uint32_t devid, struct stats_vbd *vbd);
/* The same; @vif->interface is for free(). */
bool stats_read_vif(uint32_t domid, uint32_t devid, struct stats_vif *vif);
/* In how many queues the guest sends on it, as dom0's kernel has it; 0: not known. */
unsigned int stats_vif_queues(uint32_t domid, uint32_t devid);
/* Calls @fn for each back end of dom0's kernel. @kind: "vbd" or "vif". */
void stats_each_device(void (*fn)(const char *kind, uint32_t domid, uint32_t devid, void *ctx),
		       void *ctx);

/* The name of XEN_SCHEDULER_* as Xen's xl has it; NULL: none that is known. */
const char *stats_scheduler(uint32_t id);

#endif /* XL_STATS_H */
