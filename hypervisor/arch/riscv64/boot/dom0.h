/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between dom0.c (memory, modules) and dom0_fdt.c (the FDT that dom0 gets).
 */
#ifndef PAVISE_BOOT_DOM0_H
#define PAVISE_BOOT_DOM0_H

#include <arch.h>

struct dom0_layout {
	struct range bank[MAX_RANGES];
	unsigned int nr_banks;
	unsigned int nr_vcpus;
	paddr_t entry, fdt, initrd_start, initrd_end;
	struct range grant, ext;
	bool has_ext;
	paddr_t shared_info;
	const char *cmdline;
};

/* Addresses of a device; give: dom0 gets it. Else the hypervisor keeps it, or the FDT says that it is not in use. */
struct device_range {
	paddr_t start, end;
	bool give;
};

/*
 * All device addresses that the firmware's FDT names, PCI windows included: the first max of them into dev. Returns how
 * many there are.
 */
unsigned int dom0_devices(struct device_range *dev, unsigned int max);
/* dom0's FDT from the firmware's. Returns 0 or a negative libfdt error. */
int dom0_fdt_make(void *buf, int size, const struct dom0_layout *l);

/* Interrupt controllers and specifiers of dom0's FDT (boot/dom0_irq.c). Returns 0 or a negative libfdt error. */
int dom0_fdt_interrupts(void *fdt);

#define TRY(x) \
	do { \
		int _rc = (x); \
		if (_rc < 0) \
			return _rc; \
	} while (0)

#endif
