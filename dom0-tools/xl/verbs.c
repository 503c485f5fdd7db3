// SPDX-License-Identifier: BSD-2-Clause
/*
 * The table of verbs: each with its arguments and what "xl help" says about it, in Xen's words where the verb is Xen's.
 * man/xl.1 has a section for each.
 */
#include <stddef.h>

#include "xl.h"

static const char create_options[] =
	"-c                      Connect to the console after the domain is created.\n"
	"-p, --paused            Leave the domain paused after it is created.\n"
	"-n, --dryrun            Dry run: show what the configuration means, create nothing.\n"
	"-q, --quiet             Quiet.\n"
	"-F                      Stay in the foreground until the domain ends.\n"
	"-e                      Do not wait in the background for the death of the domain.\n"
	"-f FILE, --defconfig=FILE  Use the given configuration file.\n"
	"key=value               Overrides the key of the file; several may be given, also with\n"
	"                        semicolons between them in one word.\n";
static const char shutdown_options[] =
	"-a                      All guests.\n"
	"-w                      Wait for the domains to end and to be taken away.\n"
	"-F                      Accepted, as Xen's xl has it: there is no other way to ask.\n";

const struct command commands[] = {
	{ "create", cmd_create, "[options] <ConfigFile> [key=value ...]",
	  "Create a domain from config file <ConfigFile>", create_options },
	{ "list", cmd_list, "[-l|-v] [Domain ...]", "List information about all/some domains",
	  "-l                      Output all domain details, as JSON.\n"
	  "-v                      Print also UUIDs and shutdown reasons.\n" },
	{ "console", cmd_console, "<Domain>", "Attach to domain's console", "Ctrl-] leaves.\n" },
	{ "pause", cmd_pause, "<Domain> ...", "Pause execution of a domain", NULL },
	{ "unpause", cmd_unpause, "<Domain> ...", "Unpause a paused domain", NULL },
	{ "shutdown", cmd_shutdown, "[options] <-a|Domain ...>",
	  "Issue a shutdown signal to a domain", shutdown_options },
	{ "reboot", cmd_reboot, "[options] <-a|Domain ...>", "Issue a reboot signal to a domain",
	  shutdown_options },
	{ "destroy", cmd_destroy, "[-f] <Domain> ...", "Terminate a domain immediately",
	  "-f                      Accepted, as Xen's xl has it; domain 0 is refused all the same.\n" },
	{ "rename", cmd_rename, "<Domain> <NewDomainName>", "Rename a domain", NULL },
	{ "domid", cmd_domid, "<DomainName>", "Convert a domain name to domain id", NULL },
	{ "domname", cmd_domname, "<DomainId>", "Convert a domain id to domain name", NULL },
	{ "vcpu-list", cmd_vcpu_list, "[Domain ...]", "List the VCPUs for all/some domains", NULL },
	{ "uptime", cmd_uptime, "[-s] [Domain ...]", "Print uptime for all/some domains",
	  "-s                      Short: one line as uptime(1) prints it.\n" },
	{ "block-attach", cmd_block_attach, "<Domain> <disk-spec-component(s)> ...",
	  "Create a new virtual block device",
	  "disk-spec-component(s)  As in the disk line of xl.cfg(5), such as vdev=xvdb target=/images/b.img\n" },
	{ "block-detach", cmd_block_detach, "[-f] <Domain> <DevId>",
	  "Destroy a domain's virtual block device",
	  "-f, --force             Do not ask the guest first: what it has not written yet is lost.\n" },
	{ "block-resize", cmd_block_resize, "<Domain> <DevId>",
	  "Tell a domain that a virtual block device has grown", NULL },
	{ "block-list", cmd_block_list, "[-l] <Domain> ...",
	  "List virtual block devices for a domain",
	  "-l, --long              Output all details, as JSON (also --json).\n" },
	{ "cd-insert", cmd_cd_insert, "<Domain> <VirtualDevice> <Target>",
	  "Insert a cdrom into a guest's cd drive", NULL },
	{ "cd-eject", cmd_cd_eject, "<Domain> <VirtualDevice>",
	  "Eject a cdrom from a guest's cd drive", NULL },
	{ "network-list", cmd_network_list, "<Domain> ...",
	  "List virtual network interfaces for a domain", NULL },
	{ "network-attach", cmd_network_attach, "<Domain> [key=value ...]",
	  "Create a new virtual network device",
	  "key=value               As in the vif line of xl.cfg(5): mac=, bridge=, script=, ip=,\n"
	  "                        vifname=, rate=.\n" },
	{ "network-detach", cmd_network_detach, "[-f] <Domain> <DevId|Mac>",
	  "Destroy a domain's virtual network device",
	  "-f                      Do not ask the guest first.\n" },
	{ "info", cmd_info, "", "Get information about Xen host", NULL },
	{ "dmesg", cmd_dmesg, "[-c]", "Read and/or clear dmesg buffer",
	  "-c                      Clear dmesg buffer as well as printing it.\n" },
	{ "debug-keys", cmd_debug_keys, "<Keys>", "Send debug keys to Xen", NULL },
	{ "init-dom0", cmd_init_dom0, "", "Write dom0's own nodes to xenstore (at dom0's start)",
	  NULL },
	{ "help", cmd_help, "[Command]", "Print this list, or the options of one command", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};
