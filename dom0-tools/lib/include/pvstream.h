/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stream of a saved domain, over a file descriptor: docs/save-format.md has its layout.
 * It owns framing, sums, the order of records and what each may hold; not what is done with them.
 *
 * Contract:
 * - What is read may be anything. A record is handed out only once its place, length, sum and content are right; what is
 *   refused is named in the message: record, type, offset. A reader holds one record, PV_STREAM_MAX bytes, and the memory map.
 * - A stream is whole only once pv_stream_next() has returned 0. Until then nothing of it may run.
 * - HVM_CONTEXT is the hypervisor's to check, CONNECTION xenstored's, CONFIG that of who reads configurations: here they are bytes of a fair length.
 * - Errors: -EBADMSG damaged or against the format; -ENODATA cut; -EOPNOTSUPP newer or of another kind; else the descriptor's.
 */
#ifndef PVSTREAM_H
#define PVSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct pv_err;

#define PV_STREAM_MAJOR 1
#define PV_STREAM_MINOR 1
#define PV_STREAM_MINOR_PACKED 1 /* from this one on PV_STREAM_PACKED is known */

/* Types of records. Xen's numbers where the meaning is Xen's. */
enum pv_record_type {
	PV_REC_END = 0,
	PV_REC_PAGE_DATA = 1,
	PV_REC_HVM_CONTEXT = 9,
	PV_REC_HVM_PARAMS = 10,
	PV_REC_STATIC_DATA_END = 16,
	PV_REC_HOST = 0x100,
	PV_REC_CONFIG = 0x101,
	PV_REC_MEMORY_MAP = 0x102,
	PV_REC_STORE = 0x103,
	PV_REC_DISK = 0x104,
	PV_REC_CONNECTION = 0x105,
	PV_REC_PAGE_PACKED = 0x106,
	PV_REC_DISKS = 0x107,
};
#define PV_REC_OPTIONAL 0x80000000u /* whoever does not know it goes on without it */

#define PV_STREAM_BATCH 256 /* pages in a PAGE_DATA at most */
#define PV_STREAM_MAX (4u << 20) /* bytes in any record at most */
#define PV_STREAM_RUNS 4096 /* in a MEMORY_MAP at most */
#define PV_STREAM_GFNS (1ull << 44) /* guest frames are below */
#define PV_STREAM_ISA 2048

/* --- what lies in the stream; all little-endian ---------------------------------------------- */

struct pv_stream_image_header {
	uint64_t marker; /* all ones */
	uint32_t magic; /* "PVSD" */
	uint16_t major, minor;
	uint32_t options; /* PV_STREAM_* */
	uint32_t reserved; /* 0 here and everywhere */
	uint64_t key; /* random: the seed of all sums, so that records of another stream do not fit */
	uint64_t sum;
};

/*
 * The guest has suspended itself (xen/arch-riscv/hvm/save.h): it registers all anew when it goes on, is given new ports, and finds its
 * devices as new ones.
 */
#define PV_STREAM_SUSPENDED 1u
/*
 * Never with the above, since version 1.1. It notices nothing: its front ends find their rings, grants and ports as they were. So its connection to
 * xenstore and its tree come along, as xenstored has them (CONNECTION, behind STORE), and STORE has nodes of its back ends instead: what they
 * offered it. Such a path is backend/KIND/NUMBER/NODE, and the flags are 0.
 */
#define PV_STREAM_CONNECTED 2u
#define PV_STREAM_HOW (PV_STREAM_SUSPENDED | PV_STREAM_CONNECTED)
/*
 * There may be PAGE_PACKED: a PAGE_DATA's body as one zstd frame that says how long that is. A reader gets it as a PAGE_DATA. Since
 * version 1.1.
 */
#define PV_STREAM_PACKED 4u
/* Disks come along: which ones is in DISKS, behind MEMORY_MAP, and what is on them in DISK, among the pages. Since version 1.1. */
#define PV_STREAM_DISKS 8u

struct pv_stream_domain_header {
	uint32_t type; /* PV_STREAM_DOMAIN */
	uint16_t page_shift; /* 12 */
	uint16_t reserved;
	uint32_t hv_major, hv_minor; /* of the hypervisor that wrote it, for people */
	uint64_t sum;
};
#define PV_STREAM_DOMAIN 0x52560001u /* RISC-V, second stage by the hypervisor */

struct pv_stream_record {
	uint32_t type, length; /* without the zeros that fill it up to 8 bytes */
	uint64_t seq; /* 0, 1, ... */
	uint64_t sum; /* of the three before, and then of the body */
};

/* What a guest may have measured or been told of its machine: another must have the same. */
struct pv_stream_host {
	uint64_t timebase; /* Hz */
	uint32_t asid_bits;
	uint32_t satp_modes; /* bit n: mode n of satp can be had */
	uint32_t cbom, cbop, cboz; /* block sizes in bytes; 0: not there */
	uint32_t abi; /* domctl's interface version */
	uint32_t isa_length, reserved;
	/* uint8_t isa[isa_length]: as in the device tree, without a NUL */
};

/* MEMORY_MAP is an array of them, ascending and apart: RAM that the domain has been given. */
struct pv_stream_run {
	uint64_t gfn, pages;
};

/* PAGE_DATA: this, count words (gfn | kind << 60), then the bytes of the pages of kind 0. */
struct pv_stream_pages {
	uint32_t count, reserved;
};
#define PV_STREAM_KIND 60
#define PV_STREAM_PAGES_MAX (sizeof(struct pv_stream_pages) + PV_STREAM_BATCH * (8 + 4096))
enum { PV_STREAM_DATA, PV_STREAM_ZERO, PV_STREAM_HOLE };

/* DISKS is an array of them, each with its path (absolute, without NUL) behind it, filled up to 8 bytes. */
struct pv_stream_disk {
	uint64_t size; /* bytes */
	uint32_t path_length, reserved;
};
#define PV_STREAM_DISKS_MAX 64
#define PV_STREAM_DISK_PATH 4000

/* DISK: this, and then the bytes; or nothing, and they are zeros. What is never sent is zeros. What comes again counts as it came last. */
struct pv_stream_disk_data {
	uint32_t disk, reserved; /* in DISKS, from 0 */
	uint64_t offset, bytes;
};
#define PV_STREAM_DISK_BYTES (1u << 20) /* in one of them at most, but for zeros */

/* HVM_PARAMS is an array of them, ascending by index. */
struct pv_stream_param {
	uint64_t index, value;
};

/* STORE is an array of them, each filled up to 8 bytes: nodes of the domain's tree, and what it watches. */
struct pv_stream_node {
	uint16_t path_length, value_length; /* behind this: path without NUL, relative; value */
	uint32_t flags; /* PV_NODE_* */
};
#define PV_NODE_GUESTS 1 /* the guest owns it; else dom0 does, and it may read it */
#define PV_NODE_READ 2 /* the guest's: all others may read it, */
#define PV_NODE_WRITE 4 /* and write */
#define PV_NODE_WATCH \
	8 /* alone: no node but a watch of the guest's on that path; the value is its token */

struct pv_stream_end {
	uint64_t records; /* without END */
	uint64_t pages[3]; /* of each kind: PV_STREAM_DATA, ZERO, HOLE */
	uint64_t sums; /* the sum of the records' sums */
};

/* --- writing --------------------------------------------------------------------------------- */

struct pv_stream_out {
	int fd;
	uint64_t key, bytes; /* so many have been written */
	struct pv_stream_end end;
	void *packer; /* with PV_STREAM_PACKED */
	/* The caller's, from pv_stream_begin() on: */
	int patience; /* ms for which a descriptor that does not block may take nothing; 0: as long as it likes */
	volatile int *
		stop; /* once it is set no more is written, and the signal that did so ends a wait: -EINTR; or NULL */
};

/*
 * The two headers. @fd stays the caller's; it blocks, or @o->patience is set. @options: PV_STREAM_*. After an error, too, pv_stream_finish() is
 * due.
 */
int pv_stream_begin(struct pv_stream_out *o, int fd, uint32_t options, uint32_t hv_major,
		    uint32_t hv_minor, struct pv_err *err);
/* Would pv_stream_next() take a record of this length and content? Not for PAGE_DATA and END. 0 or negative, with a message in @err. */
int pv_stream_readable(uint32_t type, const void *body, size_t length, struct pv_err *err);
/* A record of these pieces; at most 6. The order is the caller's care: a reader refuses another. */
int pv_stream_put(struct pv_stream_out *o, uint32_t type, const struct iovec *piece, int n,
		  struct pv_err *err);
/* @n pages, PV_STREAM_BATCH at most: @pages[] 4096 bytes each, also for those whose @kind[] is not DATA and whose bytes stay out. */
int pv_stream_put_pages(struct pv_stream_out *o, const uint64_t *gfns, const uint8_t *kind,
			unsigned int n, const void *pages, struct pv_err *err);
int pv_stream_put_end(struct pv_stream_out *o, struct pv_err *err);
/* Gives back what @o has of memory; also one of zeroes. */
void pv_stream_finish(struct pv_stream_out *o);

/* --- reading --------------------------------------------------------------------------------- */

struct pv_record {
	uint32_t type, length;
	const uint8_t *body; /* 8-aligned, until the next call */
};

struct pv_stream_in {
	int fd;
	struct pv_stream_image_header image;
	struct pv_stream_domain_header domain;
	uint64_t at, record_at, key; /* bytes read; where the record began */
	int phase; /* what may come */
	uint8_t *body;
	size_t room;
	void *unpacker; /* with PV_STREAM_PACKED: */
	uint8_t *unpacked; /* PV_STREAM_PAGES_MAX bytes */
	struct pv_stream_run *run; /* of MEMORY_MAP, once it was there */
	unsigned int nr_runs;
	uint64_t ram; /* pages in it */
	struct pv_stream_disk_in {
		uint64_t size;
		char *path;
	} * disk; /* of DISKS */
	unsigned int nr_disks;
	struct pv_stream_end end; /* as counted so far */
	int patience;
};

/* Reads the two headers. After an error, too, pv_stream_close() is due; @fd stays the caller's. */
int pv_stream_open(struct pv_stream_in *i, int fd, struct pv_err *err);
/* The same of a pipe or socket that may be silent for so many ms at most, here and later (-ETIMEDOUT); 0: as long as it likes. */
int pv_stream_open_peer(struct pv_stream_in *i, int fd, int patience, struct pv_err *err);
/* The next known record: 1. END, and all of the stream was right: 0. Or an error, after which there is nothing more to be had. */
int pv_stream_next(struct pv_stream_in *i, struct pv_record *r, struct pv_err *err);
/* For a file: nothing may follow. After pv_stream_next() has returned 0. */
int pv_stream_at_end(struct pv_stream_in *i, struct pv_err *err);
void pv_stream_close(struct pv_stream_in *i);
/* What a record is called in messages. */
const char *pv_stream_name(uint32_t type);

/* --- stream_pack.c: pages as zstd frames ------------------------------------------------------ */

/* NULL: no memory. For pv_stream_finish() and pv_stream_close(), which know what to do with NULL. */
void *pv_pack_begin(void);
void pv_pack_end(void *packer);
void *pv_unpack_begin(void);
void pv_unpack_end(void *unpacker);
/* So much room @to needs for @n bytes. */
size_t pv_pack_bound(size_t n);
/* How long it has become; 0: not shorter, or it could not be: @to is nothing then. */
size_t pv_pack_pages(void *packer, const void *from, size_t n, void *to, size_t room);
/* Exactly one frame, of at most @room bytes. How many; 0: it is none, or longer, or damaged. */
size_t pv_unpack_pages(void *unpacker, const void *from, size_t n, void *to, size_t room);

/* --- stream_body.c: what is in a record that was handed out ---------------------------------- */

/* For pv_stream_next(): NULL, or what is wrong with the content. Counts pages and keeps the memory map. */
const char *pv_stream_check(struct pv_stream_in *i, const struct pv_record *r);

/* Nodes of STORE, one after another: *@at begins at 0. False: no more. Path and value are the record's, and without a NUL. */
struct pv_node {
	const char *path, *value;
	unsigned int path_length, value_length;
	uint32_t flags;
};
bool pv_stream_node(const struct pv_record *r, uint32_t *at, struct pv_node *n);

/* What a DISK says; *@data is its bytes, or NULL. */
void pv_stream_disk_data(const struct pv_record *r, struct pv_stream_disk_data *d,
			 const uint8_t **data);

/* The pages of a PAGE_DATA: gfns and kinds, and those of kind DATA one after another. Returns how many. */
unsigned int pv_stream_pages(const struct pv_record *r, uint64_t gfns[PV_STREAM_BATCH],
			     uint8_t kind[PV_STREAM_BATCH], const uint8_t **data);

#endif
