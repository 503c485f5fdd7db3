// SPDX-License-Identifier: BSD-2-Clause
/*
 * A kernel as an ELF file (System V ABI, "Object Files"; RISC-V ELF psABI): what is to be loaded of it, and where.
 * Owns the checks of its headers. Not one number of them is used before it has been looked at.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "image.h"
#include "pavise.h"

/* No sum of numbers below this wraps; it is more than the first piece of a guest's memory, too. */
#define NUMBER_LIMIT (1ULL << 48)
#define HEADERS_MAX 64

/* A program header that is to be loaded. */
struct part {
	uint64_t offset, vaddr, paddr, filesz, memsz;
	bool runs;
};

static bool before(const struct part *a, const struct part *b)
{
	return a->paddr + a->memsz <= b->paddr;
}

static int check_header(const Elf64_Ehdr *h, size_t len, const char *path, struct pv_err *err)
{
	const unsigned char *id = h->e_ident;

	if (len < sizeof(*h))
		return pv_fail(err, -ENOEXEC, "%s: ELF file that is cut short in its header", path);
	if (h->e_machine != EM_RISCV || id[EI_CLASS] != ELFCLASS64 || id[EI_DATA] != ELFDATA2LSB)
		return pv_fail(err, -ENOEXEC,
			       "%s: ELF file, but not of a 64-bit little-endian RISC-V", path);
	if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
		return pv_fail(err, -ENOEXEC, "%s: ELF file of type %u, which is no program", path,
			       h->e_type);
	if (h->e_phentsize != sizeof(Elf64_Phdr) || !h->e_phnum || h->e_phnum > HEADERS_MAX ||
	    h->e_phoff > len || h->e_phnum * sizeof(Elf64_Phdr) > len - h->e_phoff)
		return pv_fail(
			err, -ENOEXEC,
			"%s: ELF file whose program headers are not at its beginning, or more "
			"than %u",
			path, HEADERS_MAX);
	return 0;
}

/* @nr: its number among the headers, for the message */
static int get_part(const Elf64_Phdr *p, unsigned int nr, uint64_t file_size, const char *path,
		    struct part *part, struct pv_err *err)
{
	if (p->p_filesz > p->p_memsz || p->p_memsz >= NUMBER_LIMIT || p->p_paddr >= NUMBER_LIMIT ||
	    p->p_vaddr > UINT64_MAX - p->p_memsz)
		return pv_fail(err, -ENOEXEC, "%s: ELF file whose segment %u makes no sense", path,
			       nr);
	if (p->p_filesz && (p->p_offset > file_size || p->p_filesz > file_size - p->p_offset))
		return pv_fail(
			err, -ENOEXEC,
			"%s: the file is cut short: its segment %u ends behind its %llu bytes",
			path, nr, (unsigned long long)file_size);
	part->offset = p->p_offset;
	part->vaddr = p->p_vaddr;
	part->paddr = p->p_paddr;
	part->filesz = p->p_filesz;
	part->memsz = p->p_memsz;
	part->runs = p->p_flags & PF_X;
	return 0;
}

/* Into @part; their number, or a negative errno. */
static int get_parts(const uint8_t *head, const Elf64_Ehdr *h, uint64_t file_size, const char *path,
		     struct part part[PV_IMAGE_SEGMENTS], struct pv_err *err)
{
	unsigned int i, j, n = 0;
	Elf64_Phdr p;

	for (i = 0; i < h->e_phnum; i++) {
		memcpy(&p, head + h->e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type != PT_LOAD || !p.p_memsz)
			continue;
		if (n == PV_IMAGE_SEGMENTS)
			return pv_fail(err, -ENOEXEC,
				       "%s: ELF file with more than %d segments to load", path,
				       PV_IMAGE_SEGMENTS);
		if (get_part(&p, i, file_size, path, &part[n], err))
			return -ENOEXEC;
		for (j = 0; j < n; j++)
			if (!before(&part[j], &part[n]) && !before(&part[n], &part[j]))
				return pv_fail(err, -ENOEXEC,
					       "%s: ELF file whose segment %u lies over another",
					       path, i);
		n++;
	}
	if (!n)
		return pv_fail(err, -ENOEXEC, "%s: ELF file with nothing to load", path);
	return n;
}

/* The entry is a virtual address, of a kernel that has not yet made them. */
static int find_entry(const struct part *part, int n, uint64_t entry, uint64_t low,
		      const char *path, struct pv_image *img, struct pv_err *err)
{
	int i;

	for (i = 0; i < n; i++) {
		if (!part[i].runs || entry < part[i].vaddr || entry % 2 ||
		    entry - part[i].vaddr >= part[i].memsz)
			continue;
		img->entry = part[i].paddr - low + (entry - part[i].vaddr);
		return 0;
	}
	return pv_fail(err, -ENOEXEC, "%s: ELF file whose entry (0x%llx) is in no code of it", path,
		       (unsigned long long)entry);
}

int pv_elf_parse(const void *head, size_t len, uint64_t file_size, const char *path,
		 struct pv_image *img, struct pv_err *err)
{
	struct part part[PV_IMAGE_SEGMENTS];
	uint64_t low = UINT64_MAX, high = 0;
	Elf64_Ehdr h = { .e_type = 0 };
	int i, n;

	memcpy(&h, head, len < sizeof(h) ? len : sizeof(h));
	if (check_header(&h, len, path, err))
		return -ENOEXEC;
	n = get_parts(head, &h, file_size, path, part, err);
	if (n < 0)
		return n;
	for (i = 0; i < n; i++) {
		low = part[i].paddr < low ? part[i].paddr : low;
		if (part[i].paddr + part[i].memsz > high)
			high = part[i].paddr + part[i].memsz;
	}
	img->size = high - low;
	img->file_size = file_size;
	img->elf = true;
	img->nr_segments = n;
	for (i = 0; i < n; i++) {
		img->segment[i].offset = part[i].offset;
		img->segment[i].place = part[i].paddr - low;
		img->segment[i].size = part[i].filesz;
	}
	if (find_entry(part, n, h.e_entry, low, path, img, err))
		return -ENOEXEC;
	if (high > GUEST_RAM0_BASE + GUEST_RAM0_SIZE || img->size >= PV_IMAGE_LIMIT)
		return pv_fail(
			err, -ENOEXEC,
			"%s: ELF file for addresses 0x%llx to 0x%llx, where a guest's memory "
			"is not",
			path, (unsigned long long)low, (unsigned long long)high);
	if (low < GUEST_RAM0_BASE)
		return 1;
	img->text_offset = low - GUEST_RAM0_BASE;
	return 0;
}
