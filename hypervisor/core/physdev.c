/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * physdev_op: physical interrupts of the domain that has the devices.
 */
#include <domain.h>
#include <handlers.h>
#include <xsm.h>

long physdev_eoi(struct physdev_eoi *a)
{
	if (!xsm_may_use_pirq(current_domain(), a->irq))
		return -EINVAL;
	arch_pirq_eoi(a->irq);
	return 0;
}

long physdev_irq_status(struct physdev_irq_status_query *a)
{
	if (!xsm_may_use_pirq(current_domain(), a->irq))
		return -EINVAL;
	a->flags = XENIRQSTAT_needs_eoi;
	return 0;
}

/*
 * The hypervisor has no use for the list: all devices are the control domain's, and there is no
 * IOMMU to set up.
 */
long physdev_pci_device(struct physdev_pci_device_add *a)
{
	(void)a;
	return 0;
}

long physdev_pci_device_remove(struct physdev_pci_device *a)
{
	(void)a;
	return 0;
}
