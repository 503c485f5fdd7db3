/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domain 0: its memory (1:1), the machine's devices, kernel, initrd and FDT from the boot modules.
 */
#include <arch.h>
#include <boot/dom0.h>
#include <console.h>
#include <lib.h>
#include <libfdt.h>
#include <sched.h>

#define FDT_ROOM (64UL << 10) /* beside the firmware's size */
#define MIN_DOM0_MIB 64UL
#define KERNEL_ALIGN (2UL << 20)
/* Pages below 4 GiB that Domain 0 leaves, if there are higher ones */
#define LOW_SPARE (32UL << (20 - PAGE_SHIFT))

/* Linux RISC-V boot image header, version 0.2 (Documentation/arch/riscv/boot-image-header.rst) */
struct image_header {
	u32 code[2];
	u64 text_offset, image_size, flags;
	u32 version, res1;
	u64 res2, magic;
	u32 magic2, res3;
};
#define IMAGE_MAGIC2 0x05435352

static struct dom0_layout layout;

static u64 dom0_mem_option(void)
{
	/* The heap has only what lies low yet. */
	u64 free = (heap_free_pages() + free_ram(boot.heap_end, DIRECT_MAX, false)) << PAGE_SHIFT,
	    want;
	char value[32];
	const char *end;

	if (!cmdline_get("dom0_mem", value, sizeof(value))) {
		want = ROUND_DOWN(free / 2, KERNEL_ALIGN);
	} else {
		want = ROUND_DOWN(parse_size(value, &end), KERNEL_ALIGN);
		if (*end || want < MIN_DOM0_MIB << 20)
			give_up("dom0_mem=%s: want a size of at least %luM, such as dom0_mem=512M",
				value, MIN_DOM0_MIB);
	}
	if (cmdline_get("dom0_mem", value, sizeof(value)) && want > free &&
	    free >= MIN_DOM0_MIB << 20)
		give_up("too little memory for dom0_mem=%s: %lu MiB are free. Give Domain 0 less, such as "
			"dom0_mem=%luM (make run CMDLINE=\"dom0_mem=...\"), or the machine more (make run MEM=4G)",
			value, free >> 20, ROUND_DOWN(free / 2, KERNEL_ALIGN) >> 20);
	if (want < MIN_DOM0_MIB << 20 || want > free)
		give_up("too little memory: Domain 0 wants %lu MiB (dom0_mem=), %lu MiB are free. "
			"Give the machine more (make run MEM=2G) or Domain 0 less",
			max(want >> 20, MIN_DOM0_MIB), free >> 20);
	return want;
}

static unsigned int dom0_vcpus_option(void)
{
	char value[32];
	u64 n = boot.nr_harts;

	if (cmdline_get("dom0_max_vcpus", value, sizeof(value)))
		n = parse_size(value, NULL);
	if (!n || n > boot.nr_harts) {
		pr_warn("dom0_max_vcpus=%lu: using %u, the number of harts\n", n, boot.nr_harts);
		n = boot.nr_harts;
	}
	return n;
}

static void add_bank(paddr_t start, u64 size)
{
	unsigned int i = layout.nr_banks;

	while (i && layout.bank[i - 1].start > start) {
		layout.bank[i] = layout.bank[i - 1];
		i--;
	}
	layout.bank[i].start = start;
	layout.bank[i].end = start + size;
	layout.nr_banks++;
	for (i = 1; i < layout.nr_banks; i++) {
		if (layout.bank[i - 1].end != layout.bank[i].start)
			continue;
		layout.bank[i - 1].end = layout.bank[i].end;
		layout.nr_banks--;
		for (unsigned int j = i; j < layout.nr_banks; j++)
			layout.bank[j] = layout.bank[j + 1];
		i--;
	}
}

static void map_ram(struct domain *d, struct page *pg, unsigned int order)
{
	for (u64 done = 0; done < BIT(order);) {
		unsigned int leaf = order >= 18 ? 18 : 9;
		mfn_t mfn = page_to_mfn(pg) + done;
		int rc = p2m_map(d, mfn, mfn, leaf, P2M_RAM, P2M_RWX);

		if (rc)
			panic("mapping Domain 0's memory: error %d", rc);
		done += BIT(leaf);
	}
}

/*
 * As few and as large pieces as the heap has; 1:1, so where they are is where the guest sees them. Returns how many pages
 * could not be had.
 */
static u64 take_ram(struct domain *d, u64 pages)
{
	unsigned int order = MAX_ORDER;

	while (pages) {
		struct page *pg = NULL;

		while (order > 9 && BIT(order) > pages)
			order--;
		pg = alloc_domain_pages(d, order);
		if (!pg) {
			if (order-- == 9)
				return pages;
			continue;
		}
		if (layout.nr_banks == MAX_RANGES - 1)
			give_up("Domain 0's memory is in more than %u pieces", MAX_RANGES - 1);
		map_ram(d, pg, order);
		add_bank(page_to_mfn(pg) << PAGE_SHIFT, PAGE_SIZE << order);
		pages -= BIT(order);
	}
	return 0;
}

/*
 * First from below 4 GiB, where devices with 32-bit DMA reach it and Linux has its bounce buffers: the heap has nothing else
 * yet. The rest, after some for the tables of it, from wherever there is more.
 */
static void alloc_ram(struct domain *d, u64 pages)
{
	u64 high = free_ram(boot.heap_end, DIRECT_MAX, false), low = pages, missing;

	if (high)
		low = min(pages, ROUND_DOWN(heap_free_pages() - min(heap_free_pages(), LOW_SPARE),
					    BIT(9)));
	missing = take_ram(d, low);
	free_ram(boot.heap_end, DIRECT_MAX, true);
	missing = take_ram(d, pages - low + missing);
	if (missing)
		give_up("Domain 0's memory is too scattered: %lu MiB are missing", missing >> 8);
}

static bool in_ram(paddr_t start, paddr_t end)
{
	for (unsigned int i = 0; i < boot.nr_mem; i++) {
		if (boot.mem[i].start < end && boot.mem[i].end > start)
			return true;
	}
	return false;
}

static void map_devices(struct domain *d, const struct device_range *dev, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		paddr_t pos = ROUND_DOWN(dev[i].start, PAGE_SIZE),
			end = ROUND_UP(dev[i].end, PAGE_SIZE);

		if (!dev[i].give || in_ram(pos, end))
			continue;
		while (pos < end) {
			unsigned int order = 18;

			while (order && (!IS_ALIGNED(pos, PAGE_SIZE << order) ||
					 end - pos < PAGE_SIZE << order))
				order -= 9;
			/* -EEXIST: two devices share a page */
			p2m_map(d, pos >> PAGE_SHIFT, pos >> PAGE_SHIFT, order, P2M_SPECIAL,
				P2M_RW);
			pos += PAGE_SIZE << order;
		}
	}
}

/*
 * The first gap of size (aligned to align) in [from, to) that neither RAM nor any device of the FDT touches.
 */
static bool find_gap(const struct device_range *dev, unsigned int n, paddr_t from, paddr_t to,
		     u64 size, u64 align, struct range *gap)
{
	for (paddr_t pos = ROUND_UP(from, align); pos + size <= to; pos += align) {
		bool taken = in_ram(pos, pos + size);

		for (unsigned int i = 0; i < n && !taken; i++)
			taken = dev[i].start < pos + size && dev[i].end > pos;
		if (!taken) {
			gap->start = pos;
			gap->end = pos + size;
			return true;
		}
	}
	return false;
}

static void choose_regions(const struct device_range *dev, unsigned int n)
{
	paddr_t ram_end = 0;

	for (unsigned int i = 0; i < boot.nr_mem; i++)
		ram_end = max(ram_end, boot.mem[i].end);
	if (!find_gap(dev, n, 16UL << 20, 4UL << 30, GUEST_GNTTAB_SIZE, 2UL << 20, &layout.grant))
		panic("no 16 MiB of free addresses below 4 GiB for Domain 0's grant region");
	layout.shared_info = layout.grant.end - PAGE_SIZE;
	/* For foreign and grant mappings; Linux falls back to ballooning without it. */
	for (u64 size = 4UL << 30; size >= 256UL << 20; size >>= 1) {
		if (find_gap(dev, n, ram_end, DIRECT_MAX, size, 128UL << 20, &layout.ext)) {
			layout.has_ext = true;
			return;
		}
	}
	pr_warn("no 256 MiB of free addresses for Domain 0's extended region\n");
}

/* Into dom0's RAM, which is in the direct map. Kernel, initrd and FDT share one bank. */
static void load_modules(struct domain *d)
{
	const struct image_header *h = pa_to_va(boot.kernel.start);
	u64 span, fdt_size = ROUND_UP(boot.fdt_size + FDT_ROOM, KERNEL_ALIGN);
	u64 initrd = boot.ramdisk.present ? boot.ramdisk.size : 0;
	struct range *bank = NULL;
	paddr_t pos;
	int size;

	if (boot.kernel.size < sizeof(*h) || h->magic2 != IMAGE_MAGIC2)
		give_up("the dom0 kernel module at %lx is no RISC-V Linux Image (compressed kernels are not)",
			boot.kernel.start);
	span = h->text_offset + ROUND_UP(max(h->image_size, boot.kernel.size), KERNEL_ALIGN) +
	       ROUND_UP(initrd, KERNEL_ALIGN) + fdt_size;
	for (unsigned int i = 0; i < layout.nr_banks && !bank; i++) {
		if (layout.bank[i].end - ROUND_UP(layout.bank[i].start, KERNEL_ALIGN) >= span)
			bank = &layout.bank[i];
	}
	if (!bank)
		give_up("Domain 0's memory is too small: kernel and initrd need %lu MiB in one piece; "
			"raise dom0_mem=",
			span >> 20);
	pos = ROUND_UP(bank->start, KERNEL_ALIGN) + h->text_offset;
	layout.entry = pos;
	memcpy(pa_to_va(pos), h, boot.kernel.size);
	pos += ROUND_UP(max(h->image_size, boot.kernel.size), KERNEL_ALIGN);
	if (initrd) {
		memcpy(pa_to_va(pos), pa_to_va(boot.ramdisk.start), initrd);
		layout.initrd_start = pos;
		layout.initrd_end = pos + initrd;
		pos += ROUND_UP(initrd, KERNEL_ALIGN);
	}
	layout.cmdline = boot.kernel.cmdline;
	layout.fdt = pos;
	size = dom0_fdt_make(pa_to_va(pos), boot.fdt_size + FDT_ROOM, &layout);
	if (size < 0)
		panic("making Domain 0's FDT: %s", fdt_strerror(size));
	(void)d;
}

static void release_module(const struct boot_module *m)
{
	if (m->present)
		heap_add(m->start >> PAGE_SHIFT,
			 ROUND_UP(m->start + m->size, PAGE_SIZE) >> PAGE_SHIFT);
}

int dom0_build(void)
{
	struct xen_domctl_createdomain config = {
		.max_evtchn_port = -1,
		.max_grant_frames = -1,
		.max_maptrack_frames = -1,
	};
	unsigned int nr_devices = dom0_devices(NULL, 0);
	struct device_range *devices;
	struct domain *d;
	u64 mem;
	int rc;

	if (!boot.kernel.present)
		give_up("no dom0 kernel: the FDT has no multiboot,kernel module. On QEMU add "
			"-device guest-loader,addr=0x84000000,kernel=Image,bootargs=...; on a board, a multiboot,kernel node in /chosen");
	mem = dom0_mem_option();
	config.max_vcpus = layout.nr_vcpus = dom0_vcpus_option();
	rc = domain_create(0, &config, &d);
	if (rc) {
		pr_err("creating Domain 0: error %d\n", rc);
		return rc;
	}
	d->is_privileged = true;
	d->direct_mapped = true;
	d->max_pages = mem >> PAGE_SHIFT;
	alloc_ram(d, mem >> PAGE_SHIFT);
	devices = xzalloc(nr_devices * sizeof(devices[0]));
	if (!devices)
		panic("no memory for the list of %u devices", nr_devices);
	dom0_devices(devices, nr_devices);
	map_devices(d, devices, nr_devices);
	choose_regions(devices, nr_devices);
	xfree(devices);
	load_modules(d);
	for (unsigned int i = 0; i < layout.nr_vcpus; i++) {
		rc = vcpu_create(d, i);
		if (rc)
			panic("creating Domain 0's vCPU %u: error %d", i, rc);
	}
	arch_vcpu_start(d->vcpu[0], layout.entry, layout.fdt);
	clear_bit(VPF_DOWN, &d->vcpu[0]->pause_flags);
	dom0 = d;
	printk("Domain 0: %lu MiB in %u piece%s at %lx, %u vCPU%s, kernel at %lx\n", mem >> 20,
	       layout.nr_banks, layout.nr_banks == 1 ? "" : "s", layout.bank[0].start,
	       layout.nr_vcpus, layout.nr_vcpus == 1 ? "" : "s", layout.entry);
	printk("Domain 0: grant region %lx-%lx, extended region %lx-%lx\n", layout.grant.start,
	       layout.grant.end, layout.ext.start, layout.ext.end);
	release_module(&boot.kernel);
	release_module(&boot.ramdisk);
	printk("Domain 0 starts; Ctrl-A three times switches the input to the hypervisor.\n");
	domain_controller_unpause(d);
	return 0;
}
