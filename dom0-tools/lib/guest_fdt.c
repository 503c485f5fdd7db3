// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest's device tree, as docs/abi.md states it.
 * Owns what a guest learns of its CPUs: the same ISA, MMU and timebase that dom0 was told.
 * No hypervisor needed: tested on the host, where the tree is read back with libfdt.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libfdt.h>

#include "pavise.h"

/* Properties of dom0's CPU nodes that hold for guests as well; the rest is about the machine. */
static const char *const inherited[] = {
	"compatible",
	"mmu-type",
	"riscv,isa",
	"riscv,isa-base",
	"riscv,isa-extensions",
	"riscv,cbom-block-size",
	"riscv,cbop-block-size",
	"riscv,cboz-block-size",
};

#define PROP_MAX 4096

/* Reads a small file into malloc'd memory; returns its length, -ENOENT when there is none. */
static int read_prop(const char *dir, const char *name, void **out)
{
	char path[512];
	ssize_t n;
	void *buf;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	buf = malloc(PROP_MAX);
	n = buf ? read(fd, buf, PROP_MAX) : -1;
	close(fd);
	if (n < 0 || n == PROP_MAX) {
		free(buf);
		return n < 0 ? -EIO : -E2BIG;
	}
	*out = buf;
	return n;
}

/* The directory of the CPU node with the lowest reg that exists. */
static int find_cpu(const char *root, char *dir, size_t size)
{
	int i;

	for (i = 0; i < 256; i++) {
		snprintf(dir, size, "%s/cpus/cpu@%x", root, i);
		if (!access(dir, X_OK))
			return 0;
	}
	return -ENOENT;
}

/*
 * Takes an extension that only the control domain has out of dom0's list of them: "rv64imac_svpbmt_zbb", or strings one after
 * another. Returns the new length.
 */
static int drop_extension(char *data, int len, const char *name, char separator)
{
	size_t n = strlen(name);
	char *at = data, *end = data + len;

	while (at < end) {
		char *stop = memchr(at, separator, end - at), *next = stop ? stop + 1 : end;
		size_t word = strnlen(at, (stop ? stop : end) - at);

		if (word != n || memcmp(at, name, n)) {
			at = next;
			continue;
		}
		/* The last of a string loses the separator before it, and keeps the NUL. */
		if (!stop && at > data) {
			next = at + n;
			at--;
		}
		memmove(at, next, end - next);
		end -= next - at;
	}
	return end - data;
}

int pv_cpu_template_read(const char *root, struct pv_cpu_template *t, struct pv_err *err)
{
	char dir[256], cpus[256];
	void *data;
	unsigned int i;
	int len;

	memset(t, 0, sizeof(*t));
	if (find_cpu(root, dir, sizeof(dir)))
		return pv_fail(err, -ENOENT, "%s/cpus has no CPU node", root);
	snprintf(cpus, sizeof(cpus), "%s/cpus", root);
	len = read_prop(cpus, "timebase-frequency", &data);
	if (len >= 4) {
		const uint8_t *b = (const uint8_t *)data + len - 4; /* one or two cells */

		t->timebase = (uint32_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
	}
	if (len >= 0)
		free(data);
	for (i = 0; i < pv_container_size(inherited); i++) {
		len = read_prop(dir, inherited[i], &data);
		if (len < 0)
			continue;
		if (!strcmp(inherited[i], "riscv,isa"))
			len = drop_extension(data, len, "svpbmt", '_');
		else if (!strcmp(inherited[i], "riscv,isa-extensions"))
			len = drop_extension(data, len, "svpbmt", '\0');
		t->prop[t->nr].name = inherited[i];
		t->prop[t->nr].data = data;
		t->prop[t->nr].len = len;
		t->nr++;
	}
	if (!t->timebase) {
		pv_cpu_template_free(t);
		return pv_fail(err, -EINVAL, "%s: no timebase-frequency", cpus);
	}
	return 0;
}

void pv_cpu_template_free(struct pv_cpu_template *t)
{
	int i;

	for (i = 0; i < t->nr; i++)
		free(t->prop[i].data);
	memset(t, 0, sizeof(*t));
}

size_t pv_fdt_bound(uint32_t vcpus, const char *cmdline)
{
	size_t bytes = 8192 + vcpus * 1024UL + (cmdline ? strlen(cmdline) : 0);

	return (bytes + PV_PAGE_SIZE - 1) & ~(PV_PAGE_SIZE - 1);
}

/* phandles: 0 is none, so CPU n's interrupt controller has n + 1. */
static uint32_t intc_phandle(uint32_t cpu)
{
	return cpu + 1;
}

static int add_reg(void *fdt, const uint64_t *pairs, int n)
{
	fdt64_t cells[2 * (GUEST_RAM_BANKS + 1)];
	int i;

	for (i = 0; i < 2 * n; i++)
		cells[i] = cpu_to_fdt64(pairs[i]);
	return fdt_property(fdt, "reg", cells, 2 * n * sizeof(*cells));
}

static int add_cpu(void *fdt, const struct pv_cpu_template *t, uint32_t cpu)
{
	char name[24];
	int rc = 0, i;

	snprintf(name, sizeof(name), "cpu@%x", cpu);
	rc |= fdt_begin_node(fdt, name);
	rc |= fdt_property_string(fdt, "device_type", "cpu");
	rc |= fdt_property_u32(fdt, "reg", cpu);
	rc |= fdt_property_string(fdt, "status", "okay");
	for (i = 0; i < t->nr; i++)
		rc |= fdt_property(fdt, t->prop[i].name, t->prop[i].data, t->prop[i].len);
	rc |= fdt_begin_node(fdt, "interrupt-controller");
	rc |= fdt_property_string(fdt, "compatible", "riscv,cpu-intc");
	rc |= fdt_property_u32(fdt, "#interrupt-cells", 1);
	rc |= fdt_property(fdt, "interrupt-controller", "", 0);
	rc |= fdt_property_u32(fdt, "phandle", intc_phandle(cpu));
	rc |= fdt_end_node(fdt);
	rc |= fdt_end_node(fdt);
	return rc;
}

static int add_cpus(void *fdt, const struct pv_fdt_params *p)
{
	uint32_t i;
	int rc = 0;

	rc |= fdt_begin_node(fdt, "cpus");
	rc |= fdt_property_u32(fdt, "#address-cells", 1);
	rc |= fdt_property_u32(fdt, "#size-cells", 0);
	rc |= fdt_property_u32(fdt, "timebase-frequency", p->cpu->timebase);
	for (i = 0; i < p->vcpus; i++)
		rc |= add_cpu(fdt, p->cpu, i);
	rc |= fdt_end_node(fdt);
	return rc;
}

static int add_memory(void *fdt, const struct pv_fdt_params *p)
{
	static const uint64_t base[] = GUEST_RAM_BANK_BASES;
	char name[40];
	int i, rc = 0;

	for (i = 0; i < GUEST_RAM_BANKS; i++) {
		uint64_t reg[2] = { base[i], p->bank_size[i] };

		if (!reg[1])
			continue;
		snprintf(name, sizeof(name), "memory@%llx", (unsigned long long)base[i]);
		rc |= fdt_begin_node(fdt, name);
		rc |= fdt_property_string(fdt, "device_type", "memory");
		rc |= add_reg(fdt, reg, 1);
		rc |= fdt_end_node(fdt);
	}
	return rc;
}

static int add_chosen(void *fdt, const struct pv_fdt_params *p)
{
	int rc = 0;

	rc |= fdt_begin_node(fdt, "chosen");
	if (p->cmdline && *p->cmdline)
		rc |= fdt_property_string(fdt, "bootargs", p->cmdline);
	if (p->initrd < p->initrd_end) {
		rc |= fdt_property_u64(fdt, "linux,initrd-start", p->initrd);
		rc |= fdt_property_u64(fdt, "linux,initrd-end", p->initrd_end);
	}
	rc |= fdt_property(fdt, "rng-seed", p->rng_seed, sizeof(p->rng_seed));
	/* Of its own: where the kernel is tells nothing about its random numbers. */
	if (p->kaslr_seed)
		rc |= fdt_property_u64(fdt, "kaslr-seed", p->kaslr_seed);
	rc |= fdt_end_node(fdt);
	return rc;
}

static int add_hypervisor(void *fdt)
{
	static const char compatible[] = "xen,xen-4.17\0xen,xen";
	const uint64_t grants[2] = { GUEST_GNTTAB_BASE, GUEST_GNTTAB_SIZE };
	const fdt32_t upcall[2] = {
		cpu_to_fdt32(intc_phandle(0)),
		cpu_to_fdt32(GUEST_EVTCHN_INTERRUPT),
	};
	int rc = 0;

	rc |= fdt_begin_node(fdt, "hypervisor");
	rc |= fdt_property(fdt, "compatible", compatible, sizeof(compatible));
	rc |= add_reg(fdt, grants, 1);
	rc |= fdt_property(fdt, "interrupts-extended", upcall, sizeof(upcall));
	rc |= fdt_property_u64(fdt, "pavise,shared-info",
			       (uint64_t)GUEST_SHARED_INFO_PFN << PV_PAGE_SHIFT);
	rc |= fdt_end_node(fdt);
	return rc;
}

int pv_fdt_build(void *buf, size_t size, const struct pv_fdt_params *p, struct pv_err *err)
{
	static const char compatible[] = "pavise,guest";
	int rc;

	/*
	 * libfdt's calls return 0 or a negative number; or-ing keeps "some call failed". Once the
	 * buffer is too small every later call fails as well, so the order does not matter.
	 */
	rc = fdt_create(buf, size);
	rc |= fdt_finish_reservemap(buf);
	rc |= fdt_begin_node(buf, "");
	rc |= fdt_property_u32(buf, "#address-cells", 2);
	rc |= fdt_property_u32(buf, "#size-cells", 2);
	rc |= fdt_property(buf, "compatible", compatible, sizeof(compatible));
	rc |= fdt_property_string(buf, "model", p->name ? p->name : "guest");
	rc |= add_chosen(buf, p);
	rc |= add_memory(buf, p);
	rc |= add_cpus(buf, p);
	rc |= add_hypervisor(buf);
	rc |= fdt_end_node(buf);
	rc |= fdt_finish(buf);
	if (rc)
		return pv_fail(err, -ENOSPC, "the guest's device tree does not fit %zu bytes",
			       size);
	return fdt_totalsize(buf);
}
