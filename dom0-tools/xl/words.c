// SPDX-License-Identifier: BSD-2-Clause
/*
 * Words that administrators bring from Xen, or misspell.
 * Owns the tables of Xen's keys and verbs that are not ours, each with what becomes of it, and the nearest word.
 */
#include <string.h>

#include "words.h"

#define MAX_WORD 40

/* man/xl.cfg.5 has the same in words. */
static const struct xen_key keys[] = {
	/* Refused: the guest would not be the one that is described. */
	{ "bootloader", "the kernel comes from kernel=; there is no boot loader to ask" },
	{ "channel", "there are no channels" },
	{ "device_tree", "a guest's device tree is made for it" },
	{ "driver_domain", "back ends are dom0's only" },
	{ "dtdev", "no device can be given to a guest" },
	{ "gfx_passthru", "no device can be given to a guest" },
	{ "init_seclabel", "there is no XSM policy but dummy and silo" },
	{ "iomem", "no device can be given to a guest" },
	{ "ioports", "no device can be given to a guest" },
	{ "irqs", "no device can be given to a guest" },
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
	/* Without effect: tuning, other architectures', or emulated devices' that PV guests do not have on Xen either. */
	{ "acpi", NULL },
	{ "acpi_firmware", NULL },
	{ "altp2m", NULL },
	{ "apic", NULL },
	{ "bios", NULL },
	{ "blkdev_start", NULL },
	{ "boot", NULL },
	{ "bootloader_args", NULL },
	{ "cap", NULL },
	{ "claim_mode", NULL },
	{ "cpu_weight", NULL },
	{ "cpuid", NULL },
	{ "cpus", NULL },
	{ "cpus_soft", NULL },
	{ "device_model_args", NULL },
	{ "device_model_override", NULL },
	{ "device_model_version", NULL },
	{ "dm_restrict", NULL },
	{ "e820_host", NULL },
	{ "firmware", NULL },
	{ "hap", NULL },
	{ "hdtype", NULL },
	{ "hpet", NULL },
	{ "keymap", NULL },
	{ "localtime", NULL },
	{ "max_grant_frames", NULL },
	{ "max_grant_version", NULL },
	{ "max_maptrack_frames", NULL },
	{ "nestedhvm", NULL },
	{ "nomigrate", NULL },
	{ "nx", NULL },
	{ "on_soft_reset", NULL },
	{ "opengl", NULL },
	{ "pae", NULL },
	{ "parallel", NULL },
	{ "pci_msitranslate", NULL },
	{ "pci_permissive", NULL },
	{ "pci_power_mgmt", NULL },
	{ "pci_seize", NULL },
	{ "pool", NULL },
	{ "pvh", NULL },
	{ "pvshim", NULL },
	{ "rdm", NULL },
	{ "rtc_timeoffset", NULL },
	{ "sdl", NULL },
	{ "serial", NULL },
	{ "shadow_memory", NULL },
	{ "soundhw", NULL },
	{ "spice", NULL },
	{ "stdvga", NULL },
	{ "timer_mode", NULL },
	{ "tsc_mode", NULL },
	{ "usb", NULL },
	{ "usbdevice", NULL },
	{ "vga", NULL },
	{ "videoram", NULL },
	{ "viridian", NULL },
	{ "vmtrace_buf_kb", NULL },
	{ "vnc", NULL },
	{ "vncconsole", NULL },
	{ "vncdisplay", NULL },
	{ "vnclisten", NULL },
	{ "vncpasswd", NULL },
	{ "vncunused", NULL },
	{ "vnuma", NULL },
	{ "vpmu", NULL },
	{ "xen_platform_pci", NULL },
	{ "xend_suspend_evtchn_compat", NULL },
};

static const char *const verbs[] = {
	"block-attach",
	"block-detach",
	"button-press",
	"cd-eject",
	"cd-insert",
	"channel-list",
	"claims",
	"config-update",
	"cpupool-cpu-add",
	"cpupool-cpu-remove",
	"cpupool-create",
	"cpupool-destroy",
	"cpupool-list",
	"cpupool-migrate",
	"cpupool-numa-split",
	"cpupool-rename",
	"devd",
	"dump-core",
	"getenforce",
	"list-vm",
	"loadpolicy",
	"mem-max",
	"mem-set",
	"migrate",
	"network-stats",
	"p9",
	"pci-assignable-add",
	"pci-assignable-list",
	"pci-assignable-remove",
	"pci-attach",
	"pci-detach",
	"pci-list",
	"psr-cat-set",
	"qemu-monitor-command",
	"remus",
	"restore",
	"resume",
	"save",
	"sched-credit",
	"sched-credit2",
	"sched-null",
	"sched-rtds",
	"set-parameters",
	"setenforce",
	"sharing",
	"suspend",
	"suspend-to-ram",
	"sysrq",
	"trigger",
	"usb-list",
	"usbdev-attach",
	"usbdev-detach",
	"vcpu-pin",
	"vcpu-set",
	"vm-list",
	"vncviewer",
	"vtpm-attach",
	"vtpm-detach",
	"vtpm-list",
};

const struct xen_key *words_xen_key(const char *key)
{
	unsigned int i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(keys[i].key, key))
			return &keys[i];
	return NULL;
}

bool words_xen_verb(const char *verb)
{
	unsigned int i;

	for (i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(verbs[i], verb))
			return true;
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
