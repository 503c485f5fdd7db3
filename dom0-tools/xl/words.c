// SPDX-License-Identifier: BSD-2-Clause
/*
 * Words that administrators bring from Xen, or misspell.
 * Owns the tables of Xen's keys and verbs that are not ours, each with what becomes of it, and the nearest word.
 */
#include <stdlib.h>
#include <string.h>

#include "words.h"

#define MAX_WORD 40

/* man/xl.cfg.5 has the same in words. */
static const struct xen_key keys[] = {
	/* Refused: the guest would not be the one that is described. */
	{ "arm_sci", "no device can be given to a guest" },
	{ "bootargs", "Xen's xl calls it bootloader_args" },
	{ "device_tree", "a guest's device tree is made for it" },
	{ "dtdev", "no device can be given to a guest" },
	{ "gfx_passthru", "no device can be given to a guest" },
	{ "init_seclabel", "there is no XSM policy but dummy and silo" },
	{ "iomem", "no device can be given to a guest" },
	{ "ioports", "no device can be given to a guest" },
	{ "irqs", "no device can be given to a guest" },
	{ "llc_colors", "there is no cache colouring" },
	{ "p9", "there are no 9pfs devices" },
	{ "passthrough", "no device can be given to a guest" },
	{ "pci", "no device can be given to a guest" },
	{ "pvcalls", "there are no pvcalls devices" },
	{ "seclabel", "there is no XSM policy but dummy and silo" },
	{ "tee", "there is no TEE for guests" },
	{ "usbctrl", "there are no USB devices" },
	{ "usbdev", "there are no USB devices" },
	{ "vdispl", "there are no displays" },
	{ "vfb", "there are no frame buffers, the console is text" },
	{ "virtio", "there are no virtio devices" },
	{ "vkb", "there are no keyboards" },
	{ "vsnd", "there is no sound" },
	{ "vtpm", "there are no TPMs" },
	{ "vuart", "there is no UART but the console" },
	/*
	 * Without effect: tuning, other architectures', or emulated devices' that PV guests do not have on Xen either; and
	 * xm's, which other tools still write.
	 */
	{ "acpi", NULL },
	{ "acpi_firmware", NULL },
	{ "acpi_laptop_slate", NULL },
	{ "acpi_s3", NULL },
	{ "acpi_s4", NULL },
	{ "altp2m", NULL },
	{ "altp2m_count", NULL },
	{ "altp2mhvm", NULL },
	{ "apic", NULL },
	{ "assisted_x2apic", NULL },
	{ "assisted_xapic", NULL },
	{ "bios", NULL },
	{ "bios_path_override", NULL },
	{ "blkdev_start", NULL },
	{ "boot", NULL },
	{ "claim_mode", NULL },
	{ "cpu", NULL },
	{ "cpu_cap", NULL },
	{ "cpuid", NULL },
	{ "device_model", NULL },
	{ "device_model_args", NULL },
	{ "device_model_args_hvm", NULL },
	{ "device_model_args_pv", NULL },
	{ "device_model_override", NULL },
	{ "device_model_stubdomain_override", NULL },
	{ "device_model_stubdomain_seclabel", NULL },
	{ "device_model_user", NULL },
	{ "device_model_version", NULL },
	{ "dhcp", NULL },
	{ "display", NULL },
	{ "dm_restrict", NULL },
	{ "e820_host", NULL },
	{ "firmware", NULL },
	{ "firmware_override", NULL },
	{ "gateway", NULL },
	{ "gic_version", NULL },
	{ "hap", NULL },
	{ "hdtype", NULL },
	{ "hostname", NULL },
	{ "hpet", NULL },
	{ "keymap", NULL },
	{ "lmce", NULL },
	{ "localtime", NULL },
	{ "mca_caps", NULL },
	{ "mmio_hole", NULL },
	{ "ms_vm_genid", NULL },
	{ "msr_relaxed", NULL },
	{ "nestedhvm", NULL },
	{ "netmask", NULL },
	{ "nographic", NULL },
	{ "nomigrate", NULL },
	{ "nr_spis", NULL },
	{ "nx", NULL },
	{ "on_soft_reset", NULL },
	{ "on_xend_start", NULL },
	{ "on_xend_stop", NULL },
	{ "oos", NULL },
	{ "opengl", NULL },
	{ "pae", NULL },
	{ "parallel", NULL },
	{ "pci_msitranslate", NULL },
	{ "pci_permissive", NULL },
	{ "pci_power_mgmt", NULL },
	{ "pci_seize", NULL },
	{ "pvh", NULL },
	{ "pvshim", NULL },
	{ "pvshim_cmdline", NULL },
	{ "pvshim_extra", NULL },
	{ "pvshim_path", NULL },
	{ "rdm", NULL },
	{ "rdm_mem_boundary", NULL },
	{ "rtc_timeoffset", NULL },
	{ "sdl", NULL },
	{ "serial", NULL },
	{ "shadow_memory", NULL },
	{ "smbios_firmware", NULL },
	{ "soundhw", NULL },
	{ "spice", NULL },
	{ "spice_clipboard_sharing", NULL },
	{ "spice_image_compression", NULL },
	{ "spice_streaming_video", NULL },
	{ "spiceagent_mouse", NULL },
	{ "spicedisable_ticketing", NULL },
	{ "spicehost", NULL },
	{ "spicepasswd", NULL },
	{ "spiceport", NULL },
	{ "spicetls_port", NULL },
	{ "spiceusbredirection", NULL },
	{ "spicevdagent", NULL },
	{ "stdvga", NULL },
	{ "stubdomain_cmdline", NULL },
	{ "stubdomain_kernel", NULL },
	{ "stubdomain_memory", NULL },
	{ "stubdomain_ramdisk", NULL },
	{ "sve", NULL },
	{ "timer_mode", NULL },
	{ "tsc_mode", NULL },
	{ "usb", NULL },
	{ "usbdevice", NULL },
	{ "usbversion", NULL },
	{ "vendor_device", NULL },
	{ "vga", NULL },
	{ "videoram", NULL },
	{ "viridian", NULL },
	{ "vkb_device", NULL },
	{ "vmtrace_buf_kb", NULL },
	{ "vnc", NULL },
	{ "vncconsole", NULL },
	{ "vncdisplay", NULL },
	{ "vnclisten", NULL },
	{ "vncpasswd", NULL },
	{ "vncunused", NULL },
	{ "vncviewer", NULL },
	{ "vnuma", NULL },
	{ "vpmu", NULL },
	{ "vpt_align", NULL },
	{ "xauthority", NULL },
	{ "xen_platform_pci", NULL },
	{ "xend_suspend_evtchn_compat", NULL },
};

#define no_pci "no device can be given to a guest: dom0 has them all"
#define no_psr "allocating and monitoring caches is a feature of x86 processors"
#define no_usb "there are no USB devices for guests"
#define no_tpm "there are no TPMs"

/* man/xl.1 has them as well. Without a reason: it comes with a later version. */
static const struct {
	const char *verb, *why_not;
} verbs[] = {
	{ "button-press", "a guest has no ACPI buttons; xl trigger has power and reset" },
	{ "dt-overlay", "devices are dom0's: no device tree is changed while the machine runs" },
	{ "getenforce",
	  "there is no FLASK policy: access is checked by the rules of xsm=dummy or xsm=silo" },
	{ "list-vm", "it is called vm-list" },
	{ "loadpolicy",
	  "there is no FLASK policy to load: access is checked by the rules of xsm=dummy or xsm=silo" },
	{ "loglevels",
	  "what is printed is said when the hypervisor starts, by loglvl= on its command line; xl dmesg has messages of all levels" },
	{ "network-stats", "an interface's counters are those of its vif in dom0: ip -s link" },
	{ "p9", "there are no 9pfs devices" },
	{ "pci-assignable-add", no_pci },
	{ "pci-assignable-list", no_pci },
	{ "pci-assignable-remove", no_pci },
	{ "pci-attach", no_pci },
	{ "pci-detach", no_pci },
	{ "pci-list", no_pci },
	{ "psr-cat-cbm-set", no_psr },
	{ "psr-cat-set", no_psr },
	{ "psr-cat-show", no_psr },
	{ "psr-cmt-attach", no_psr },
	{ "psr-cmt-detach", no_psr },
	{ "psr-cmt-show", no_psr },
	{ "psr-hwinfo", no_psr },
	{ "psr-mba-set", no_psr },
	{ "psr-mba-show", no_psr },
	{ "qemu-monitor-command", "no QEMU stands behind a guest: nothing is emulated" },
	{ "remus",
	  "a guest is not copied to another host while it runs; it may come with migrate" },
	{ "resume", NULL },
	{ "sched-credit",
	  "the scheduler is one of its own, nearest to credit2: xl sched-credit2 has its settings" },
	{ "sched-null", "there is no null scheduler; xl vcpu-pin gives a vCPU a CPU" },
	{ "sched-rtds", "there is no real-time scheduler" },
	{ "set-parameters",
	  "the hypervisor's parameters are fixed when it starts, on its command line (xl info shows it)" },
	{ "setenforce",
	  "there is no FLASK policy to enforce: access is checked by the rules of xsm=dummy or xsm=silo" },
	{ "sharing", "guests' memory is not shared: each page has one owner" },
	{ "shutdown-all", "it is called shutdown -a" },
	{ "suspend", NULL },
	{ "suspend-to-ram", "a guest has no ACPI sleep states; see xl pause" },
	{ "usb-list", no_usb },
	{ "usbctrl-attach", no_usb },
	{ "usbctrl-detach", no_usb },
	{ "usbdev-attach", no_usb },
	{ "usbdev-detach", no_usb },
	{ "vdispl-attach", "there are no displays: a guest's console is text" },
	{ "vdispl-detach", "there are no displays: a guest's console is text" },
	{ "vdispl-list", "there are no displays: a guest's console is text" },
	{ "vkb-attach", "there are no keyboards: a guest's console is text" },
	{ "vkb-detach", "there are no keyboards: a guest's console is text" },
	{ "vkb-list", "there are no keyboards: a guest's console is text" },
	{ "vncviewer", "a guest has no screen; xl console shows its console" },
	{ "vsnd-attach", "there is no sound" },
	{ "vsnd-detach", "there is no sound" },
	{ "vsnd-list", "there is no sound" },
	{ "vtpm-attach", no_tpm },
	{ "vtpm-detach", no_tpm },
	{ "vtpm-list", no_tpm },
};

const struct xen_key *words_xen_key(const char *key)
{
	unsigned int i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(keys[i].key, key))
			return &keys[i];
	return NULL;
}

bool words_xen_verb(const char *verb, const char **why_not)
{
	unsigned int i;

	for (i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (!strcmp(verbs[i].verb, verb)) {
			*why_not = verbs[i].why_not;
			return true;
		}
	}
	return false;
}

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	if (b < a)
		a = b;
	return c < a ? c : a;
}

/* Letters to put in, to leave out, to change or to swap with their neighbour. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int d[MAX_WORD + 1][MAX_WORD + 1], i, j, n = strlen(a), m = strlen(b);

	if (n > MAX_WORD || m > MAX_WORD)
		return MAX_WORD;
	for (i = 0; i <= n; i++)
		d[i][0] = i;
	for (j = 0; j <= m; j++)
		d[0][j] = j;
	for (i = 1; i <= n; i++) {
		for (j = 1; j <= m; j++) {
			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1,
				       d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[n][m];
}

void words_nearest(const char *word, const char *known, const char **best)
{
	unsigned int d = distance(word, known), len = strlen(word);

	if (d <= (len < 4 ? 1 : 2) && d < len && (!*best || d < distance(word, *best)))
		*best = known;
}

char *words_copy(const char *word)
{
	char *copy = strdup(word);

	if (!copy)
		abort();
	return copy;
}
