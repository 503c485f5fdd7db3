// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest's device tree, built and read back with libfdt.
 * Owns the comparison with docs/abi.md.
 */
#include "test.h"

#include <fcntl.h>
#include <libfdt.h>
#include <sys/stat.h>

#include "pavise.h"

static char root[] = "/tmp/test_fdt.XXXXXX";
static char path[128];

static void make(const char *name, const void *data, size_t n)
{
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, n), n);
	close(fd);
}

/* A /proc/device-tree as QEMU's virt machine gives one; CPU 0 is missing to make it harder. */
static int make_tree(void **state)
{
	(void)state;
	if (!mkdtemp(root))
		return -1;
	snprintf(path, sizeof(path), "%s/cpus", root);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/cpus/cpu@1", root);
	mkdir(path, 0700);
	make("cpus/timebase-frequency", "\x00\x98\x96\x80", 4); /* 10 MHz */
	make("cpus/cpu@1/compatible", "riscv", 6);
	make("cpus/cpu@1/riscv,isa", "rv64imafdc_svpbmt_sstc_svpbmt", 30);
	make("cpus/cpu@1/riscv,isa-extensions", "i\0svpbmt\0zbb", 13);
	make("cpus/cpu@1/mmu-type", "riscv,sv57", 11);
	make("cpus/cpu@1/riscv,cboz-block-size", "\0\0\0\x40", 4);
	make("cpus/cpu@1/phandle", "\0\0\0\x07", 4);
	make("cpus/cpu@1/reg", "\0\0\0\x01", 4);
	return 0;
}

static int remove_tree(void **state)
{
	static const char *const names[] = {
		"cpus/cpu@1/compatible",
		"cpus/cpu@1/riscv,isa",
		"cpus/cpu@1/riscv,isa-extensions",
		"cpus/cpu@1/mmu-type",
		"cpus/cpu@1/riscv,cboz-block-size",
		"cpus/cpu@1/phandle",
		"cpus/cpu@1/reg",
		"cpus/timebase-frequency",
		"cpus/cpu@1",
		"cpus",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < count_of(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, names[i]);
		remove(path);
	}
	return rmdir(root);
}

static const void *prop(const void *fdt, const char *node, const char *name, int *len)
{
	int off = fdt_path_offset(fdt, node);
	const void *p;

	if (off < 0)
		fail_msg("no node %s", node);
	p = fdt_getprop(fdt, off, name, len);
	if (!p)
		fail_msg("%s has no %s", node, name);
	return p;
}

static uint64_t number(const void *fdt, const char *node, const char *name, int index, int bytes)
{
	const uint8_t *p;
	uint64_t v = 0;
	int len, i;

	p = prop(fdt, node, name, &len);
	assert_true(len >= (index + 1) * bytes);
	for (i = 0; i < bytes; i++)
		v = v << 8 | p[index * bytes + i];
	return v;
}

static void test_tree(void **state)
{
	struct pv_cpu_template t;
	struct pv_fdt_params p = {
		.cpu = &t,
		.vcpus = 2,
		.bank_size = { 0x80000000, 0x40000000 },
		.initrd = 0x81600000,
		.initrd_end = 0x81700123,
		.cmdline = "root=/dev/xvda quiet",
		.kaslr_seed = 0x123456789abcdef0,
		.name = "demo",
	};
	size_t size = pv_fdt_bound(p.vcpus, p.cmdline);
	void *fdt = malloc(size);
	int len, i, off;

	(void)state;
	for (i = 0; i < 32; i++)
		p.rng_seed[i] = i;
	assert_int_equal(pv_cpu_template_read(root, &t, NULL), 0);
	assert_int_equal(t.timebase, 10000000);
	assert_true(pv_fdt_build(fdt, size, &p, NULL) > 0);
	assert_int_equal(fdt_check_header(fdt), 0);

	assert_string_equal(prop(fdt, "/chosen", "bootargs", &len), "root=/dev/xvda quiet");
	assert_int_equal(number(fdt, "/chosen", "linux,initrd-start", 0, 8), 0x81600000);
	assert_int_equal(number(fdt, "/chosen", "linux,initrd-end", 0, 8), 0x81700123);
	assert_memory_equal(prop(fdt, "/chosen", "rng-seed", &len), p.rng_seed, 32);
	assert_int_equal(number(fdt, "/chosen", "kaslr-seed", 0, 8), 0x123456789abcdef0);

	assert_int_equal(number(fdt, "/memory@80000000", "reg", 0, 8), 0x80000000);
	assert_int_equal(number(fdt, "/memory@80000000", "reg", 1, 8), 0x80000000);
	assert_int_equal(number(fdt, "/memory@200000000", "reg", 0, 8), 0x200000000);
	assert_int_equal(number(fdt, "/memory@200000000", "reg", 1, 8), 0x40000000);

	assert_int_equal(number(fdt, "/cpus", "timebase-frequency", 0, 4), 10000000);
	/* Memory types are the control domain's alone. */
	assert_string_equal(prop(fdt, "/cpus/cpu@1", "riscv,isa", &len), "rv64imafdc_sstc");
	assert_int_equal(len, 16);
	assert_memory_equal(prop(fdt, "/cpus/cpu@1", "riscv,isa-extensions", &len), "i\0zbb", 6);
	assert_int_equal(len, 6);
	assert_string_equal(prop(fdt, "/cpus/cpu@0", "mmu-type", &len), "riscv,sv57");
	assert_int_equal(number(fdt, "/cpus/cpu@0", "riscv,cboz-block-size", 0, 4), 64);
	assert_int_equal(number(fdt, "/cpus/cpu@1", "reg", 0, 4), 1);
	assert_true(fdt_path_offset(fdt, "/cpus/cpu@2") < 0);
	off = fdt_path_offset(fdt, "/cpus/cpu@0");
	assert_null(fdt_getprop(fdt, off, "phandle", &len));

	assert_memory_equal(prop(fdt, "/hypervisor", "compatible", &len), "xen,xen-4.17\0xen,xen",
			    21);
	assert_int_equal(len, 21);
	assert_int_equal(number(fdt, "/hypervisor", "reg", 0, 8), GUEST_GNTTAB_BASE);
	assert_int_equal(number(fdt, "/hypervisor", "reg", 1, 8), GUEST_GNTTAB_SIZE);
	assert_int_equal(number(fdt, "/hypervisor", "pavise,shared-info", 0, 8), 0x39002000);
	/* The upcall is interrupt 1 of CPU 0's controller. */
	off = fdt_node_offset_by_phandle(fdt,
					 number(fdt, "/hypervisor", "interrupts-extended", 0, 4));
	assert_int_equal(off, fdt_path_offset(fdt, "/cpus/cpu@0/interrupt-controller"));
	assert_int_equal(number(fdt, "/hypervisor", "interrupts-extended", 1, 4), 1);
	pv_cpu_template_free(&t);
	free(fdt);
}

static void test_bound(void **state)
{
	struct pv_cpu_template t;
	struct pv_fdt_params p = { .cpu = &t, .vcpus = 64, .bank_size = { PV_MIB, PV_MIB } };
	char cmdline[1024];
	size_t size;
	void *fdt;

	(void)state;
	memset(cmdline, 'x', sizeof(cmdline) - 1);
	cmdline[sizeof(cmdline) - 1] = '\0';
	p.cmdline = cmdline;
	size = pv_fdt_bound(p.vcpus, cmdline);
	fdt = malloc(size);
	assert_int_equal(pv_cpu_template_read(root, &t, NULL), 0);
	assert_true(pv_fdt_build(fdt, size, &p, NULL) > 0);
	/* And a buffer that is too small is an error, not an overrun (ASan watches). */
	free(fdt);
	fdt = malloc(600);
	assert_true(pv_fdt_build(fdt, 600, &p, NULL) < 0);
	pv_cpu_template_free(&t);
	free(fdt);
}

static void test_minimal(void **state)
{
	struct pv_cpu_template t;
	struct pv_fdt_params p = { .cpu = &t, .vcpus = 1, .bank_size = { PV_MIB, 0 } };
	char fdt[16384];
	int len, off;

	(void)state;
	assert_int_equal(pv_cpu_template_read(root, &t, NULL), 0);
	assert_true(pv_fdt_build(fdt, sizeof(fdt), &p, NULL) > 0);
	off = fdt_path_offset(fdt, "/chosen");
	assert_null(fdt_getprop(fdt, off, "bootargs", &len));
	assert_null(fdt_getprop(fdt, off, "linux,initrd-start", &len));
	assert_null(fdt_getprop(fdt, off, "kaslr-seed", &len));
	assert_true(fdt_path_offset(fdt, "/memory@200000000") < 0);
	pv_cpu_template_free(&t);
}

static void test_no_cpus(void **state)
{
	struct pv_cpu_template t;
	struct pv_err err = { "" };

	(void)state;
	assert_true(pv_cpu_template_read("/does/not/exist", &t, &err) < 0);
	assert_string_equal(err.text, "/does/not/exist/cpus has no CPU node");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_minimal),
		cmocka_unit_test(test_no_cpus),
	};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
