// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest as an ELF core file, as gdb opens it.
 * Owns its layout: registers of each vCPU as a thread's, RAM at its physical addresses, and the same bytes once more
 * at the addresses at which the guest's kernel has them. Page tables are the guest's and may be anything: how many are
 * looked at has a bound.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core.h"

#define CHUNK 256 /* pages that are mapped at a time */
#define MAX_SEGMENTS 1024
#define MAX_TABLES 4096
#define PTE_V 1
#define PTE_LEAF 0xa /* R or X */
#define PTE_N (1ULL << 63)
#define PTE_PPN(pte) ((pte) >> 10 & ((1ULL << 44) - 1))

/* struct elf_prstatus of 64-bit RISC-V Linux, whose registers are in the order of vcpu_guest_core_regs. */
struct prstatus {
	int32_t info[3];
	int16_t signal, pad;
	uint64_t pending, held;
	int32_t pid, ppid, pgrp, sid;
	uint64_t times[8];
	struct vcpu_guest_core_regs regs;
	int32_t fp_valid, pad2;
};
_Static_assert(sizeof(struct prstatus) == 376, "elf_prstatus");

struct note {
	Elf64_Nhdr head;
	char name[8]; /* "CORE" and padding */
	struct prstatus status;
} __attribute__((packed));
_Static_assert(sizeof(struct note) == 396, "a note has no holes");

struct core {
	struct xl *xl;
	uint32_t domid;
	const char *path;
	const char *part;
	const struct cores *cores;
	int fd;
	struct {
		uint64_t base, size, offset;
	} bank[GUEST_RAM_BANKS];
	struct note *note;
	unsigned int nr_notes;
	uint64_t satp; /* of the first vCPU that has one */
	Elf64_Phdr *seg;
	unsigned int nr_segs, nr_tables;
	bool cut; /* there was more than the bounds allow */
};

static int write_at(struct core *k, const void *data, size_t n, uint64_t offset)
{
	const char *p = data;

	while (n) {
		ssize_t w = pwrite(k->fd, p, n, offset);

		if (w < 0 && errno == EINTR && !xl_interrupted)
			continue;
		if (w <= 0)
			return xl_error("%s: %s", k->path, w ? strerror(errno) : "nothing written");
		p += w;
		n -= w;
		offset += w;
	}
	return 0;
}

/* --- registers ------------------------------------------------------------------------------- */

static int read_vcpus(struct core *k)
{
	struct xen_domctl_getdomaininfo info;
	struct vcpu_guest_context ctx;
	uint32_t i;
	int rc;

	if (pv_domain_info(k->xl->pv, k->domid, &info))
		return xl_error("domain %u has just gone", k->domid);
	k->note = calloc(info.max_vcpu_id + 1, sizeof(*k->note));
	if (!k->note)
		abort();
	for (i = 0; i <= info.max_vcpu_id; i++) {
		struct note *n = &k->note[k->nr_notes];

		rc = pv_vcpu_get(k->xl->pv, k->domid, i, &ctx);
		if (rc == -ENODATA) /* it has never run */
			continue;
		if (rc)
			return xl_error("cannot read vCPU %u of domain %u: %s", i, k->domid,
					strerror(-rc));
		n->head.n_namesz = 5;
		n->head.n_descsz = sizeof(n->status);
		n->head.n_type = NT_PRSTATUS;
		memcpy(n->name, "CORE", 5);
		n->status.pid = i + 1;
		n->status.regs = ctx.user_regs;
		if (!k->satp)
			k->satp = ctx.satp;
		k->nr_notes++;
	}
	return k->nr_notes ? 0 : xl_error("no vCPU of domain %u has ever run", k->domid);
}

/* --- addresses ------------------------------------------------------------------------------- */

static void add_segment(struct core *k, uint64_t va, uint64_t pa, uint64_t size, uint64_t offset)
{
	Elf64_Phdr *last = k->nr_segs ? &k->seg[k->nr_segs - 1] : NULL;

	if (last && last->p_vaddr + last->p_memsz == va && last->p_paddr + last->p_memsz == pa) {
		last->p_memsz += size;
		last->p_filesz += size;
		return;
	}
	if (k->nr_segs == MAX_SEGMENTS) {
		k->cut = true;
		return;
	}
	k->seg[k->nr_segs++] = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_W | PF_X,
		.p_offset = offset,
		.p_vaddr = va,
		.p_paddr = pa,
		.p_filesz = size,
		.p_memsz = size,
		.p_align = PV_PAGE_SIZE,
	};
}

/* What of it is RAM. */
static void add_leaf(struct core *k, uint64_t va, uint64_t pa, uint64_t size)
{
	unsigned int i;

	for (i = 0; i < GUEST_RAM_BANKS; i++) {
		uint64_t base = k->bank[i].base, end = base + k->bank[i].size;
		uint64_t from = pa > base ? pa : base, to = pa + size < end ? pa + size : end;

		if (from < to)
			add_segment(k, va + (from - pa), from, to - from,
				    k->bank[i].offset + (from - base));
	}
}

static void walk(struct core *k, uint64_t gfn, int level, uint64_t va, unsigned int first)
{
	uint64_t table[512], *page;
	unsigned int i;

	if (k->nr_tables++ >= MAX_TABLES) {
		k->cut = true;
		return;
	}
	page = pv_map_range(k->xl->pv, k->domid, PROT_READ, gfn, 1);
	if (!page)
		return;
	memcpy(table, page, sizeof(table));
	pv_unmap(page, 1);
	for (i = first; i < 512; i++) {
		uint64_t pte = table[i], size = PV_PAGE_SIZE << 9 * level;
		uint64_t at = va + i * size, ppn = PTE_PPN(pte);

		if (!(pte & PTE_V))
			continue;
		/* Svnapot's 64 KiB: the low bits of the frame's number are the address's. */
		if (pte & PTE_N && !level)
			ppn = (ppn & ~0xfULL) | (i & 0xf);
		if (pte & PTE_LEAF)
			add_leaf(k, at, ppn << PV_PAGE_SHIFT, size);
		else if (level)
			walk(k, ppn, level - 1, at, 0);
	}
}

/* The kernel's half of the address space: the same for all vCPUs. */
static void add_kernel(struct core *k)
{
	unsigned int mode = k->satp >> 60, levels = mode - 8 + 3;

	if (mode < 8 || mode > 10)
		return;
	walk(k, k->satp & ((1ULL << 44) - 1), levels - 1, ~0ULL << (12 + 9 * levels), 256);
}

/* --- memory ---------------------------------------------------------------------------------- */

static bool is_zero(const char *page)
{
	static const char zero[PV_PAGE_SIZE];

	return !memcmp(page, zero, sizeof(zero));
}

/* What the guest does not have, or has never written, is a hole. */
static int write_chunk(struct core *k, uint64_t gfn, unsigned int n, uint64_t offset, char *copy)
{
	bool there[CHUNK];
	void *map = pv_map_present(k->xl->pv, k->domid, gfn, n, there);
	unsigned int i, run;
	int rc = 0;

	if (!map)
		return xl_error("cannot map the memory of domain %u: %s", k->domid,
				strerror(errno));
	for (i = 0; i < n; i++) {
		if (there[i])
			memcpy(copy + i * PV_PAGE_SIZE, (char *)map + i * PV_PAGE_SIZE,
			       PV_PAGE_SIZE);
		there[i] = there[i] && !is_zero(copy + i * PV_PAGE_SIZE);
	}
	pv_unmap(map, n);
	for (i = 0; !rc && i < n; i += run + 1) {
		for (run = 0; i + run < n && there[i + run]; run++)
			;
		rc = write_at(k, copy + i * PV_PAGE_SIZE, run * PV_PAGE_SIZE,
			      offset + i * PV_PAGE_SIZE);
	}
	return rc;
}

/* Is there room for a further chunk, and for others? */
static int check_room(const struct core *k)
{
	struct statvfs fs;

	if (!k->cores)
		return 0;
	if (cores_make_room(k->cores, k->part, CHUNK * PV_PAGE_SIZE))
		return -1;
	if (fstatvfs(k->fd, &fs) ||
	    (uint64_t)fs.f_bavail * fs.f_frsize >= CORE_LEAVE + CHUNK * PV_PAGE_SIZE)
		return 0;
	return xl_error("%s: no room: the last %llu MiB of its disk are for others", k->path,
			(unsigned long long)CORE_LEAVE / PV_MIB);
}

static int write_memory(struct core *k)
{
	char *copy = malloc(CHUNK * PV_PAGE_SIZE);
	unsigned int b, n;
	int rc = 0;

	if (!copy)
		abort();
	for (b = 0; b < GUEST_RAM_BANKS; b++) {
		uint64_t pages = k->bank[b].size / PV_PAGE_SIZE, done;

		for (done = 0; !rc && done < pages; done += n) {
			n = pages - done < CHUNK ? pages - done : CHUNK;
			rc = check_room(k) ||
			     write_chunk(k, k->bank[b].base / PV_PAGE_SIZE + done, n,
					 k->bank[b].offset + done * PV_PAGE_SIZE, copy);
			if (!rc && xl_interrupted)
				rc = xl_error("interrupted");
		}
	}
	free(copy);
	return rc;
}

/* --- the file -------------------------------------------------------------------------------- */

/* Headers with room for all segments there may be, then notes, then RAM. */
static uint64_t lay_out(struct core *k, uint64_t ram)
{
	static const uint64_t base[] = GUEST_RAM_BANK_BASES, size[] = GUEST_RAM_BANK_SIZES;
	uint64_t at = sizeof(Elf64_Ehdr) + (MAX_SEGMENTS + 1) * sizeof(Elf64_Phdr) +
		      k->nr_notes * sizeof(*k->note);
	unsigned int i;

	for (i = 0; i < GUEST_RAM_BANKS; i++) {
		at = (at + PV_PAGE_SIZE - 1) & ~(PV_PAGE_SIZE - 1);
		k->bank[i].base = base[i];
		k->bank[i].size = ram < size[i] ? ram : size[i];
		k->bank[i].offset = at;
		ram -= k->bank[i].size;
		at += k->bank[i].size;
	}
	return at;
}

static int write_headers(struct core *k)
{
	uint64_t notes = sizeof(Elf64_Ehdr) + (MAX_SEGMENTS + 1) * sizeof(Elf64_Phdr);
	Elf64_Ehdr head = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_CORE,
		.e_machine = EM_RISCV,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = k->nr_segs + 1,
	};
	Elf64_Phdr note = {
		.p_type = PT_NOTE,
		.p_offset = notes,
		.p_filesz = k->nr_notes * sizeof(*k->note),
		.p_align = 4,
	};

	return write_at(k, &head, sizeof(head), 0) ||
	       write_at(k, &note, sizeof(note), sizeof(head)) ||
	       write_at(k, k->seg, k->nr_segs * sizeof(*k->seg), sizeof(head) + sizeof(note)) ||
	       write_at(k, k->note, note.p_filesz, notes);
}

static int fill(struct core *k, uint64_t ram)
{
	uint64_t end;
	unsigned int i;

	if (read_vcpus(k))
		return -1;
	end = lay_out(k, ram);
	for (i = 0; i < GUEST_RAM_BANKS; i++)
		if (k->bank[i].size)
			add_segment(k, k->bank[i].base, k->bank[i].base, k->bank[i].size,
				    k->bank[i].offset);
	add_kernel(k);
	if (k->cut)
		xl_error("warning: the guest's page tables have more than is looked at: some of "
			 "its virtual addresses are missing in %s",
			 k->path);
	if (ftruncate(k->fd, end))
		return xl_error("%s: %s", k->path, strerror(errno));
	return write_headers(k) || write_memory(k);
}

/* What is there goes when the new one is whole: nobody wants that of a device. */
static int check_place(const char *path)
{
	struct stat st;

	if (!lstat(path, &st) && !S_ISREG(st.st_mode))
		return xl_error("%s is there and no regular file: name another", path);
	return 0;
}

int core_write(struct xl *xl, uint32_t domid, const char *path, const char *part,
	       const struct cores *cores)
{
	struct core k = { .xl = xl, .domid = domid, .path = path, .part = part, .cores = cores };
	long kib = st_read_long(xl, XL_PRIVATE "/%u/memory", domid);
	int rc;

	if (kib <= 0)
		return xl_error("it is not known where domain %u has its memory: it was not made "
				"by this xl",
				domid);
	if (cores && kib * 1024ULL + 2 * CHUNK * PV_PAGE_SIZE > cores->limit)
		return xl_error(
			"%s: no room: domain %u's %ld MiB are more than all cores may have together, %llu (coredump_limit in " XL_CONF
			")",
			path, domid, kib / 1024, (unsigned long long)(cores->limit / PV_MIB));
	if (check_place(path))
		return -1;
	/* Under another name until it is whole. Whatever a guest has in its memory is its owner's business alone. */
	k.fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (k.fd < 0)
		return xl_error("%s: %s", part, strerror(errno));
	k.seg = calloc(MAX_SEGMENTS, sizeof(*k.seg));
	if (!k.seg)
		abort();
	rc = fill(&k, kib * 1024ULL) ? -1 : 0;
	if (!rc && fsync(k.fd))
		rc = xl_error("%s: %s", path, strerror(errno));
	close(k.fd);
	if (!rc && cores)
		cores_rotate(cores, path);
	if (!rc && rename(part, path))
		rc = xl_error("%s: %s", path, strerror(errno));
	if (rc)
		unlink(part);
	free(k.note);
	free(k.seg);
	return rc;
}
