/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libpavise: what dom0's tools need of the hypervisor, and nothing of policy.
 * It owns hypercalls through privcmd, foreign mappings and the building of a guest's first memory.
 * Every function returns 0 (or a count) or a negative errno; one handle serves one thread.
 */
#ifndef PAVISE_H
#define PAVISE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>

#define PV_PAGE_SHIFT 12
#define PV_PAGE_SIZE 4096UL
#define PV_MIB (1024UL * 1024)

#define pv_container_size(a) (sizeof(a) / sizeof((a)[0]))

struct pv;

/* A message for the administrator beside the errno. The first failure's text is kept. */
struct pv_err {
	char text[600];
};
/* Sets the text (when @err is not NULL and still empty) and returns @rc. */
int pv_fail(struct pv_err *err, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* --- hypercall.c: the handle and its buffers ------------------------------------------------- */

/* Opens /dev/xen/privcmd. Not to be used across fork: open again in the child. */
int pv_open(struct pv **out, struct pv_err *err);
void pv_close(struct pv *pv);

/*
 * Memory that the hypervisor can read and write at any time: never swapped, never migrated.
 * NULL with errno on failure. pv_buf_free() wants the same size again.
 */
void *pv_buf_alloc(struct pv *pv, size_t bytes);
void pv_buf_free(struct pv *pv, void *buf, size_t bytes);

long pv_hypercall(struct pv *pv, unsigned int op, uint64_t a1, uint64_t a2, uint64_t a3);
/* Hypercall whose second argument is a structure that goes in and comes back. */
long pv_hypercall_struct(struct pv *pv, unsigned int op, uint64_t cmd, void *arg, size_t bytes);
/* The same for calls whose first argument is the structure (domctl, sysctl). */
long pv_hypercall_struct1(struct pv *pv, unsigned int op, void *arg, size_t bytes);
/* For other files of the library: the privcmd file descriptor. */
int pv_fd(const struct pv *pv);
/* And a buffer of the handle's own, as pv_buf_alloc()'s: the same one each time, of the first call's size. */
void *pv_batch(struct pv *pv, size_t bytes);

/* --- sockfile.c: files of UNIX sockets ------------------------------------------------------- */

/*
 * Is there a socket of mode 0600 and ours, in which nobody listens any more? It is connected to for that: not to be asked about
 * one that somebody may be served through. No side effects otherwise.
 */
bool pv_socket_is_dead(const char *path);

/* --- text.c: bytes that a guest chose ---------------------------------------------------------- */

/*
 * As text of one's own, which the caller frees; NULL: no memory. Printable ASCII and UTF-8, tabs and ends of lines stay as they
 * are; other bytes are shown as ^[ (C0) or \x9b (all else, so that C1 controls do not get through in UTF-8 either).
 */
char *pv_text_show(const char *text, size_t n);
/* The same to a stream. */
void pv_text_print(FILE *f, const char *text, size_t n);
/*
 * Old output for a terminal on which the guest's own will follow: in place; returns the new length. Text and colours stay, all
 * that could make the terminal answer or change its state goes.
 */
size_t pv_text_replay(char *text, size_t n);

/* --- domctl.c -------------------------------------------------------------------------------- */

struct pv_create {
	uint32_t domid; /* 0: any that is free */
	uint8_t handle[16]; /* UUID */
	uint32_t max_vcpus;
	uint32_t max_evtchn_port; /* the highest event channel that it may have */
	int32_t max_grant_frames, max_maptrack_frames; /* -1: the hypervisor's default */
	uint32_t engine; /* XEN_DOMCTL_CONFIG_ENGINE_* */
	uint32_t pool; /* the CPU pool's number */
};
/* @timebase (Hz) may be NULL. */
int pv_domain_create(struct pv *pv, const struct pv_create *c, uint32_t *domid, uint64_t *timebase);
int pv_domain_destroy(struct pv *pv, uint32_t domid);
int pv_domain_pause(struct pv *pv, uint32_t domid);
int pv_domain_unpause(struct pv *pv, uint32_t domid);
/* Ends it as if it had done so itself. @reason: SHUTDOWN_* */
int pv_domain_shutdown(struct pv *pv, uint32_t domid, unsigned int reason);
int pv_domain_info(struct pv *pv, uint32_t domid, struct xen_domctl_getdomaininfo *info);
/* Pages that a domain has: its own, and those that it shares with others of the same origin (pv_fork()) until one of them writes them. */
static inline uint64_t pv_pages(const struct xen_domctl_getdomaininfo *info)
{
	return info->tot_pages + info->shr_pages;
}
int pv_domain_max_mem(struct pv *pv, uint32_t domid, uint64_t kib);
int pv_domain_max_vcpus(struct pv *pv, uint32_t domid, uint32_t max);
int pv_domain_set_handle(struct pv *pv, uint32_t domid, const uint8_t handle[16]);
int pv_vcpu_set(struct pv *pv, uint32_t domid, uint32_t vcpu, const struct vcpu_guest_context *ctx);
int pv_vcpu_get(struct pv *pv, uint32_t domid, uint32_t vcpu, struct vcpu_guest_context *ctx);
/* The harts that a vCPU may use, and those that it should, one bit each. */
int pv_vcpu_affinity(struct pv *pv, uint32_t domid, uint32_t vcpu, uint64_t *hard, uint64_t *soft);
/* NULL: stays as it is. -EINVAL: none of those CPUs is there. Comes back as what the two amount to together. */
int pv_vcpu_set_affinity(struct pv *pv, uint32_t domid, uint32_t vcpu, uint64_t *hard,
			 uint64_t *soft);
/* Weight (1 to 65535) and cap (per cent of one CPU, 0: none). */
int pv_sched_share(struct pv *pv, uint32_t domid, uint16_t *weight, uint16_t *cap);
int pv_sched_set_share(struct pv *pv, uint32_t domid, uint16_t weight, uint16_t cap);
int pv_vcpu_info(struct pv *pv, uint32_t domid, uint32_t vcpu, struct xen_domctl_getvcpuinfo *info);
/* Nanoseconds that a vCPU wanted to run and had no hart. */
int pv_vcpu_steal(struct pv *pv, uint32_t domid, uint32_t vcpu, uint64_t *ns);

/* --- sysctl.c -------------------------------------------------------------------------------- */

/* All domains into a malloc'd array, ordered by domid; returns their number. */
int pv_domain_list(struct pv *pv, struct xen_domctl_getdomaininfo **out);
int pv_physinfo(struct pv *pv, struct xen_sysctl_physinfo *info);
/* The harts into a malloc'd array; returns their number. */
int pv_cputopo(struct pv *pv, struct xen_sysctl_cputopo **out);
int pv_sched_id(struct pv *pv, uint32_t *id);
/* So many microseconds whoever has come to a CPU of that pool stays there; 0, or 100 to 500000. -ESRCH: no such pool. */
int pv_rate_limit(struct pv *pv, uint32_t pool, uint32_t *us);
int pv_set_rate_limit(struct pv *pv, uint32_t pool, uint32_t us);
struct pv_pool {
	uint32_t id, scheduler; /* XEN_SCHEDULER_* */
	uint32_t domains; /* so many are in it */
	uint64_t cpus; /* mask */
};
/* The CPU pool of that number, or of the next one that there is. -ENOENT: there is none. */
int pv_pool_info(struct pv *pv, uint32_t from, struct pv_pool *pool);
/* Those CPUs (mask) that are in no pool. */
int pv_pool_free_cpus(struct pv *pv, uint64_t *cpus);
/* A new one, without CPUs. -ENOSPC: there are as many as there can be. */
int pv_pool_create(struct pv *pv, uint32_t *id);
/* -ENOENT: no such pool. -EBUSY: it has CPUs or domains. */
int pv_pool_destroy(struct pv *pv, uint32_t id);
/*
 * -ENOENT: no such pool. -EINVAL: no such CPU. -ENODEV: it is not free, or not in that pool. -EBUSY: it is the last one of a pool with
 * domains.
 */
int pv_pool_add_cpu(struct pv *pv, uint32_t id, uint32_t cpu);
int pv_pool_remove_cpu(struct pv *pv, uint32_t id, uint32_t cpu);
/* -ENOENT: no such pool, or it has no CPU. -EPERM: domain 0. -EINVAL: it is dying. -ESRCH. */
int pv_pool_move(struct pv *pv, uint32_t id, uint32_t domid);
/* Nanoseconds that each of the first @max harts was idle; returns their number. */
int pv_cpu_idle(struct pv *pv, uint64_t *ns, uint32_t max);
int pv_debug_keys(struct pv *pv, const char *keys);
/* The hypervisor's log into a malloc'd string. */
int pv_console_read(struct pv *pv, bool clear, char **out, size_t *len);
/* XENVER_*: @arg may be NULL when @bytes is 0. */
long pv_version(struct pv *pv, unsigned int cmd, void *arg, size_t bytes);

/* --- memory.c -------------------------------------------------------------------------------- */

/* Gives @pages of new memory to the guest from @gfn on, in the largest extents that fit. */
int pv_populate(struct pv *pv, uint32_t domid, uint64_t gfn, uint64_t pages);
/*
 * @child, which has never run and has no memory, gets a copy of @parent's, whose pages both share until one of them writes: docs/abi.md, "Forks". Free memory is kept for
 * all that either may write (-ENOMEM: there is not so much), but for whom @flags (PAVISE_FORK_*) name: that one waits, paused, when there is none.
 */
int pv_fork(struct pv *pv, uint32_t parent, uint32_t child, uint16_t flags);
/* Whether the hypervisor does that on this machine. */
bool pv_can_fork(struct pv *pv);
/* Maps @n consecutive frames of a guest. NULL with errno on failure. */
void *pv_map_range(struct pv *pv, uint32_t domid, int prot, uint64_t gfn, size_t n);
/* The same to read, of which some may be missing: those are not @there and must not be touched. */
void *pv_map_present(struct pv *pv, uint32_t domid, uint64_t gfn, size_t n, bool *there);
void *pv_map_grant_table(struct pv *pv, uint32_t domid, uint32_t first, uint32_t n);
void pv_unmap(void *addr, size_t n);
int pv_param_set(struct pv *pv, uint32_t domid, uint32_t index, uint64_t value);
int pv_param_get(struct pv *pv, uint32_t domid, uint32_t index, uint64_t *value);
/* A port in @domid that waits for @remote to bind. */
int pv_port_alloc(struct pv *pv, uint32_t domid, uint32_t remote, uint32_t *port);

/* --- state.c --------------------------------------------------------------------------------- */

/*
 * A domain's whole state but its memory: records of <xen/hvm/save.h>, END included. The domain is paused or shut down. @buf NULL:
 * *@size becomes what is needed; else what was written (-ENOSPC: it is too small). <xen/arch-riscv/hvm/save.h> says what else may
 * be wrong with the domain. One that has suspended itself (it is shut down with SHUTDOWN_suspend) needs no more than registers and time.
 */
int pv_domain_get_state(struct pv *pv, uint32_t domid, void *buf, uint32_t *size);
/*
 * Into a domain that has never run, with its vCPUs made and its memory there (what is in it may come later). -EINVAL: a record is
 * wrong; -EOPNOTSUPP: this machine lacks what the guest had; -EBUSY: it has run, or has a state. After an error it can only be
 * destroyed. The state of one that had suspended itself (HVM_DOMAIN_SUSPENDED) leaves rings, ports and HVM parameters alone: it gets
 * those as pv_guest_build() gives them, before or after.
 */
int pv_domain_set_state(struct pv *pv, uint32_t domid, const void *buf, uint32_t size);
/*
 * A domain that is shut down goes on where it is. @cancelled: it has suspended itself on vCPU 0, whose HYPERVISOR_suspend() says so
 * by its result, 1 instead of 0: the guest goes on with all that it has. Else it must register all anew, which only a new domain lets it.
 */
int pv_domain_resume(struct pv *pv, uint32_t domid, bool cancelled);

/*
 * What a domain has mapped from *@gfn on: at most @n runs, and *@gfn is where to go on. Returns how many; fewer than @n and 128:
 * there are no more. Pages that the guest has given up, and those of others, are in none of PAVISE_RUN_ram.
 */
int pv_memory_map(struct pv *pv, uint32_t domid, uint64_t *gfn, struct pavise_memory_run *runs,
		  unsigned int n);
#define PV_MEMORY_BATCH 256
enum {
	PV_PAGE_DATA = PAVISE_MEMORY_data,
	PV_PAGE_ZERO = PAVISE_MEMORY_zero,
	PV_PAGE_HOLE = PAVISE_MEMORY_hole
};
/*
 * @n pages (PV_MEMORY_BATCH at most): @pages[] n * 4096 bytes, @kind[] one of the above each; of ZERO and HOLE nothing is in
 * @pages. The domain may run. -E2BIG: too many.
 */
int pv_memory_read(struct pv *pv, uint32_t domid, const uint64_t *gfns, unsigned int n, void *pages,
		   uint8_t *kind);
/* -ENOENT: one of them is a hole; those before it may have been written. */
int pv_memory_write(struct pv *pv, uint32_t domid, const uint64_t *gfns, unsigned int n,
		    const void *pages);

/* --- dirty_log.c: what is written to a domain's RAM while it runs ------------------------------ */

/* One bit for each guest frame below @frames, which is a multiple of 64. */
struct pv_log {
	uint64_t frames;
	uint64_t *written;
	uint64_t *maybe; /* only read, or changed by what a hart writes into page tables; not in @written. Who has the page's sum knows */
};
/* Zeroed or freed before: *@l is as after pv_log_free(). 0 or -errno. */
int pv_log_alloc(struct pv *pv, uint64_t frames, struct pv_log *l);
void pv_log_free(struct pv *pv, struct pv_log *l);
/*
 * Nothing of the domain's counts as written from here on. A log that somebody has left on begins anew: the caller has the domain for himself.
 * -EOPNOTSUPP: this machine does not notice writes.
 */
int pv_log_on(struct pv *pv, uint32_t domid);
/* 0 also if it was off. */
int pv_log_off(struct pv *pv, uint32_t domid);
enum pv_log_how {
	PV_LOG_LOOK, /* nothing changes */
	PV_LOG_ROUND, /* what is told counts as not written from here on: it is to be copied after this */
	PV_LOG_LAST, /* the same of a domain at rest; pages that others hold, and so may write, are told as well */
};
/* Into @l. -EINVAL: the log is off, or the domain dies. After an error what is in @l is nothing to go by. */
int pv_log_told(struct pv *pv, uint32_t domid, enum pv_log_how how, struct pv_log *l);

/* --- image.c: the RISC-V Image, or an ELF file ----------------------------------------------- */

#define PV_IMAGE_SEGMENTS 16
/* A piece of the file, and its place behind the start of the kernel. */
struct pv_segment {
	uint64_t offset, place, size;
};
struct pv_image {
	uint64_t text_offset; /* of its start from the start of RAM */
	uint64_t size; /* in memory, bss included */
	uint64_t file_size;
	uint64_t entry; /* from its start */
	bool elf;
	int nr_segments; /* nowhere over each other; an Image is one */
	struct pv_segment segment[PV_IMAGE_SEGMENTS];
	int fd; /* the file, unpacked; -1 unless opened by pv_image_open */
};
#define PV_IMAGE_HEADER 64
#define PV_IMAGE_HEAD 4096 /* has an EFI stub's PE header, too */

/* @head: the file's first @len bytes, up to PV_IMAGE_HEAD. The text in @err names @path and what it is instead. */
int pv_image_parse(const void *head, size_t len, uint64_t file_size, const char *path,
		   struct pv_image *img, struct pv_err *err);
/* What unpacking may cost; what it takes to do so is freed with the image. */
struct pv_unpack {
	uint64_t limit; /* bytes of a compressed kernel when unpacked */
	const char *limit_is; /* for the message: "the guest's memory" */
	const volatile int *stop; /* gives up once this is not 0; may be NULL */
};
/* A file compressed with gzip, or an EFI zboot image of one, is unpacked first, once, in a process of its own. */
int pv_image_open(const char *path, const struct pv_unpack *how, struct pv_image *img,
		  struct pv_err *err);
void pv_image_close(struct pv_image *img);

/* --- guest_fdt.c ----------------------------------------------------------------------------- */

#define PV_CPU_PROPS 12
/* What a guest's CPU nodes take from the machine's. */
struct pv_cpu_template {
	struct {
		const char *name;
		void *data;
		int len;
	} prop[PV_CPU_PROPS];
	int nr;
	uint32_t timebase; /* Hz */
};
/* @root: a directory as /proc/device-tree. */
int pv_cpu_template_read(const char *root, struct pv_cpu_template *t, struct pv_err *err);
void pv_cpu_template_free(struct pv_cpu_template *t);

struct pv_fdt_params {
	const struct pv_cpu_template *cpu;
	uint32_t vcpus;
	uint64_t bank_size[GUEST_RAM_BANKS]; /* bytes; 0 = no such bank */
	uint64_t initrd, initrd_end; /* guest physical; equal = none */
	const char *cmdline;
	uint8_t rng_seed[32];
	uint64_t kaslr_seed; /* 0: none */
	const char *name; /* goes into "model" */
};
/* Bytes that suffice for pv_fdt_build() with these parameters. */
size_t pv_fdt_bound(uint32_t vcpus, const char *cmdline);
/* Writes the blob to @buf; returns its size. */
int pv_fdt_build(void *buf, size_t size, const struct pv_fdt_params *p, struct pv_err *err);

/* --- build.c --------------------------------------------------------------------------------- */

/* Where things lie in a new guest (guest physical addresses). */
struct pv_layout {
	uint64_t bank_size[GUEST_RAM_BANKS];
	uint64_t kernel, entry, kernel_end;
	uint64_t fdt;
	size_t fdt_bound;
	uint64_t initrd, initrd_end;
	uint64_t minimum; /* bytes of memory this guest needs at least */
};
int pv_layout_plan(const struct pv_image *img, uint64_t ramdisk_size, uint64_t memory,
		   uint32_t vcpus, const char *cmdline, struct pv_layout *l, struct pv_err *err);

struct pv_guest {
	uint32_t domid;
	uint32_t vcpus; /* as many as the FDT names */
	const struct pv_image *image;
	const char *kernel_path, *ramdisk_path;
	int ramdisk_fd; /* -1: none */
	const char *cmdline, *name;
	struct pv_layout layout;
	uint32_t store_domid, console_domid;
	/* out: */
	uint32_t store_port, console_port;
};
/* Fills a freshly created, still paused domain: memory, kernel, FDT, rings, vCPU 0. */
int pv_guest_build(struct pv *pv, struct pv_guest *g, struct pv_err *err);
/* Of that only the way to xenstore and the console: grants of the rings, ports, HVM parameters. Its memory is there. */
int pv_guest_rings(struct pv *pv, struct pv_guest *g, struct pv_err *err);

#endif /* PAVISE_H */
