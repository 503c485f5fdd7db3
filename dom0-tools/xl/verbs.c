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
	"-w, --wait[=SECONDS]    Wait for its first second, or so many: exit status 1 if it crashes.\n"
	"-f FILE, --defconfig=FILE  Use the given configuration file.\n"
	"key=value               Overrides the key of the file; several may be given, also with\n"
	"                        semicolons between them in one word.\n";
static const char shutdown_options[] =
	"-a                      All guests.\n"
	"-w                      Wait for the domains to end and to be taken away.\n"
	"-F                      Accepted, as Xen's xl has it: there is no other way to ask.\n";

static const char sched_options[] =
	"-d DOMAIN, --domain=DOMAIN     Domain to modify; alone, show it.\n"
	"-w WEIGHT, --weight=WEIGHT     Its share beside others: 1 to 65535, 256 unless set.\n"
	"-c CAP, --cap=CAP              Per cent of one CPU that it may have at most; 0: no limit.\n"
	"-s, --schedparam               Query or modify the scheduler's own parameters.\n"
	"-r LIMIT, --ratelimit_us=LIMIT  So many microseconds whoever has come to a CPU stays there.\n"
	"-p CPUPOOL, --cpupool=CPUPOOL  Restrict output to CPUPOOL, or with -s: that one's parameters.\n"
	"--json                         Show it as JSON.\n";

static const char migrate_options[] =
	"-s SSHCOMMAND           Use SSHCOMMAND instead of ssh; it is passed to sh. If it is empty, run\n"
	"                        Host instead of ssh Host xl migrate-receive.\n"
	"-C CONFIG               Send CONFIG instead of what the domain was made from.\n"
	"-e                      Do not wait in the background (on Host) for the death of the domain.\n"
	"-p                      Do not unpause domain after migrating it.\n"
	"-W                      As it stands, with its devices, or not at all.\n"
	"-S                      Have it suspend itself, or not at all.\n"
	"--max-bandwidth=MIB     Send at most MIB MiB a second while it runs.\n"
	"--downtime=MS           Stop it once the rest can be sent in MS milliseconds; 300 unless set.\n"
	"--cold                  Stop it before any of its memory is sent.\n"
	"--copy-disks            Send its disks, too, which are new files on Host.\n"
	"--compress              Send less, for links that are slower than packing it.\n"
	"--recover               Find out what became of a domain that was given to Host and not heard of.\n"
	"--force                 With it: let it go on here if Host does not say; without Host, do not ask.\n";
static const char json_option[] = "--json                  As JSON.\n";
static const char top_options[] =
	"-d, --delay=SECONDS     Seconds between updates; default 3.\n"
	"-n, --networks          Output network interfaces.\n"
	"-x, --vbds              Output block devices.\n"
	"-v, --vcpus             Output VCPUs, with the time that each waited for a CPU.\n"
	"-r, --repeat-header     Repeat the table's header before each domain.\n"
	"-f, --full-name         Output the full name of each domain (not truncated).\n"
	"-b, --batch             Redirect output data to stdout (batch mode).\n"
	"-i, --iterations=N      End after N updates.\n"
	"--csv                   Batch mode with exact figures, comma separated.\n"
	"Keys: D delay, N networks, B block devices, V VCPUs, R repeat header, S sort order,\n"
	"arrows, Page Up, Page Down, Home and End scroll, Q quits.\n";
static const char metrics_options[] =
	"--textfile FILE         Into FILE, in one step, for node_exporter's textfile collector.\n"
	"--interval SECONDS      Again and again.\n"
	"--listen [ADDR:]PORT    Answer GET /metrics there; ADDR is 127.0.0.1 unless given.\n"
	"--any                   Allow an ADDR that other hosts can reach.\n";
static const char events_options[] =
	"--json                  As the log has them, an object a line.\n"
	"-n N, --last=N          The last N events.\n"
	"--since=TIME            Those since then: 2026-11-28T05:00:00Z (UTC), @seconds, or 30s,\n"
	"                        10m, 2h, 1d ago.\n"
	"-f, --follow            Then follow what comes; without -n and --since it always does.\n";

static const char oci_options[] =
	"Image                   An OCI layout's directory, or a tar archive of it (skopeo's oci-archive:).\n"
	"--name=NAME             The guest's name; default the image's with a number.\n"
	"-m, --memory=SIZE       Its memory, 256m unless given; the image lives in it, unpacked.\n"
	"--vcpus=N, --cpus=N     Its virtual CPUs.\n"
	"--network=none|bridge[:BRIDGE]  none, the default, or an interface with DHCP.\n"
	"--ip=ADDRESS/BITS[,gateway=ADDRESS][,dns=ADDRESS]  A fixed address instead of DHCP's.\n"
	"-i, --interactive       Pass standard input on; without it the program's is empty.\n"
	"-t, --tty               The console is the program's terminal; with -i Ctrl-] leaves it running.\n"
	"-d, --detach            Print its name and do not wait for its end.\n"
	"-e, --env=NAME[=VALUE]  A variable; may be given several times.\n"
	"--entrypoint=PROGRAM    Instead of the image's.\n"
	"-u, --user=USER[:GROUP] Instead of the image's.\n"
	"-w, --workdir=DIR       Instead of the image's.\n"
	"--hostname=NAME         Default the guest's name.\n"
	"-v, --volume=FILE:/PATH[:ro]  A disk with a file system, mounted there.\n"
	"--root-disk=FILE        The root is on this (empty) disk and not in memory.\n"
	"--read-only             The image's root cannot be written to.\n"
	"--stop-timeout=SECONDS  From the wish that it end to SIGKILL; default 10.\n"
	"--rm                    Accepted, as podman has it: nothing is ever left.\n"
	"Exit status: the program's, or 128 + its signal's number; 125: there is no guest or it\n"
	"crashed; 126: the program cannot be run; 127: it is not in the image.\n";

const struct command commands[] = {
	{ "create", cmd_create, "[options] <ConfigFile> [key=value ...]",
	  "Create a domain from config file <ConfigFile>", create_options },
	{ "config-update", cmd_config_update, "<Domain> [<ConfigFile>] [options] [key=value ...]",
	  "Update a running domain's saved configuration, used when rebuilding the domain after reboot",
	  "-f FILE, --defconfig=FILE  Use the given configuration file.\n"
	  "-q, --quiet             Quiet.\n"
	  "key=value               Overrides the key of the file, or of the present configuration.\n" },
	{ "list", cmd_list, "[options] [Domain ...]", "List information about all/some domains",
	  "-l, --long              Output all domain details, as Xen's JSON.\n"
	  "-v, --verbose           Print also UUIDs and shutdown reasons.\n"
	  "-Z, --context           Print also security labels.\n"
	  "-c, --cpupool           Print also the CPU pools.\n"
	  "-n, --numa              Print also the NUMA nodes.\n"
	  "--json                  As JSON.\n" },
	{ "vm-list", cmd_vm_list, "[--json] [Domain ...]", "List guest domains with their UUIDs",
	  json_option },
	{ "claims", cmd_claims, "[--json]", "List outstanding claim information about all domains",
	  json_option },
	{ "console", cmd_console, "[options] <Domain>", "Attach to domain's console",
	  "Ctrl-] leaves.\n"
	  "-t pv                   The kind of console; serial is refused, there is none.\n"
	  "-n NUM                  The console's number: 0, or a channel's (xl channel-list).\n"
	  "-e ESC                  The character that leaves: x, or ^x for Ctrl-x.\n" },
	{ "save", cmd_save, "[-c|-p] [-W|-S] <Domain> <CheckpointFile> [<ConfigFile>]",
	  "Save a domain state to restore later",
	  "-c                      Leave domain running after creating the snapshot.\n"
	  "-p                      Leave domain paused after creating the snapshot.\n"
	  "-W                      As it stands, with its devices, or not at all.\n"
	  "-S                      Have it suspend itself, or not at all.\n"
	  "ConfigFile              Goes into the file, instead of what the domain was made from.\n" },
	{ "restore", cmd_restore, "[-p] [-e] [<ConfigFile>] <CheckpointFile>",
	  "Restore a domain from a saved state",
	  "-p                      Do not unpause domain after restoring it.\n"
	  "-e                      Do not wait in the background for the death of the domain.\n"
	  "ConfigFile              Counts instead of the one in the saved state.\n" },
	{ "snapshot", cmd_snapshot, "[--memory|--disk] [--copy] <Domain> <Name>",
	  "Keep what a domain and its disks are at this moment",
	  "--memory                Its memory alone.\n"
	  "--disk                  Its disks alone.\n"
	  "--copy                  Copy disks whose file system cannot share blocks; it stands still meanwhile.\n" },
	{ "snapshot-list", cmd_snapshot_list, "[--json] [<Domain>]", "List snapshots",
	  json_option },
	{ "snapshot-revert", cmd_snapshot_revert, "[-p] <Domain> <Name>",
	  "Give a domain up, and let it go on from a snapshot",
	  "-p                      Do not unpause domain after that.\n" },
	{ "snapshot-delete", cmd_snapshot_delete, "<Domain> <Name>", "Delete a snapshot", NULL },
	{ "clone", cmd_clone, "[options] <Domain> <NewName>",
	  "Make another domain that goes on as this one does",
	  "-p                      Do not unpause the new domain.\n"
	  "--snapshot=NAME         Of what the domain was in that snapshot.\n"
	  "--no-reserve            Keep no free memory for what the two will write.\n"
	  "--copy                  Copy disks whose file system cannot share blocks.\n" },
	{ "template", cmd_template, "[options] <Domain> <Name>",
	  "Make a template of a domain, which clone makes domains of",
	  "--no-reserve            Keep no free memory for what the domain will write.\n"
	  "--copy                  Copy disks whose file system cannot share blocks.\n" },
	{ "migrate", cmd_migrate, "[options] <Domain> <Host>", "Migrate a domain to another host",
	  migrate_options },
	{ "migrate-receive", cmd_migrate_receive, "[-e] [-p] | --ask=UUID",
	  "Receive a domain from another host (run there by migrate)",
	  "-e                      Do not wait in the background for the death of the domain.\n"
	  "-p                      Do not unpause domain after migrating it.\n"
	  "--ask=UUID              Say whether that domain has come here to stay: here or not here.\n" },
	{ "dump-core", cmd_dump_core, "[-L|-C|-R] <Domain> <filename>", "Core dump a domain",
	  "-L, --live              Do not stop the guest meanwhile.\n"
	  "-C, --crash             End it as crashed afterwards.\n"
	  "-R, --reset             End its present life afterwards, as a reboot.\n" },
	{ "sysrq", cmd_sysrq, "<Domain> <letter>", "Send a sysrq to a domain", NULL },
	{ "trigger", cmd_trigger, "<Domain> <nmi|reset|init|power|sleep|s3resume> [<VCPU>]",
	  "Send a trigger to a domain",
	  "reset                   Ends the guest's present life at once, as the button does.\n"
	  "power                   Asks it to power off.\n"
	  "The others are refused, each with the reason why there is no such thing here.\n" },
	{ "pause", cmd_pause, "<Domain> ...", "Pause execution of a domain", NULL },
	{ "unpause", cmd_unpause, "<Domain> ...", "Unpause a paused domain", NULL },
	{ "shutdown", cmd_shutdown, "[options] <-a|Domain ...>",
	  "Issue a shutdown signal to a domain", shutdown_options },
	{ "reboot", cmd_reboot, "[options] <-a|Domain ...>", "Issue a reboot signal to a domain",
	  shutdown_options },
	{ "destroy", cmd_destroy, "[-f] <Domain> ...", "Terminate a domain immediately",
	  "-f                      Accepted, as Xen's xl has it; domain 0 is refused all the same.\n" },
	{ "rename", cmd_rename, "<Domain> <NewDomainName>", "Rename a domain", NULL },
	{ "mem-set", cmd_mem_set, "<Domain> <MemMB['b'|'k'|'m'|'g'|'t']>",
	  "Set the current memory usage for a domain", NULL },
	{ "mem-max", cmd_mem_max, "<Domain> <MemMB['b'|'k'|'m'|'g'|'t']>",
	  "Set the maximum amount reservation for a domain", NULL },
	{ "domid", cmd_domid, "<DomainName>", "Convert a domain name to domain id", NULL },
	{ "domname", cmd_domname, "<DomainId>", "Convert a domain id to domain name", NULL },
	{ "vcpu-list", cmd_vcpu_list, "[--json] [Domain ...]",
	  "List the VCPUs for all/some domains", json_option },
	{ "vcpu-set", cmd_vcpu_set, "[-i] <Domain> <VCPUs>",
	  "Set the number of active VCPUs allowed for the domain",
	  "-i, --ignore-host       Also more than the machine has CPUs.\n" },
	{ "vcpu-pin", cmd_vcpu_pin,
	  "[-f] <Domain> <VCPU|all> <Hard affinity|-|all> [<Soft affinity|-|all>]",
	  "Set which CPUs a VCPU can use",
	  "-f, --force             Accepted, as Xen's xl has it: no guest's kernel binds a VCPU itself.\n"
	  "Affinities are lists such as 0-3,5,^1; - leaves one as it is.\n" },
	{ "sched-credit2", cmd_sched_credit2,
	  "[-d <Domain> [-w <Weight>] [-c <Cap>]] [-s [-r <Limit>]] [-p <Cpupool>] [--json]",
	  "Get/set credit2 scheduler parameters", sched_options },
	{ "cpupool-create", cmd_cpupool_create, "[options] [<ConfigFile>] [key=value ...]",
	  "Create a new CPU pool",
	  "-f FILE, --defconfig=FILE  Use the given configuration file.\n"
	  "-n, --dryrun            Dry run: show what the configuration means, create nothing.\n"
	  "key=value               Overrides the key of the file: name=, sched=, cpus=, nodes=.\n" },
	{ "cpupool-list", cmd_cpupool_list, "[-c] [--json] [<CPU Pool>]", "List CPU pools on host",
	  "-c, --cpus              Output list of CPUs used by a pool.\n"
	  "--json                  As JSON.\n" },
	{ "cpupool-destroy", cmd_cpupool_destroy, "<CPU Pool>", "Deactivates a CPU pool", NULL },
	{ "cpupool-rename", cmd_cpupool_rename, "<CPU Pool> <new name>", "Renames a CPU pool",
	  NULL },
	{ "cpupool-cpu-add", cmd_cpupool_cpu_add, "<CPU Pool> <CPU list>|node:<node nr>",
	  "Adds a CPU to a CPU pool",
	  "The CPU list is such as 0-3,5,^1; all of them must be free.\n" },
	{ "cpupool-cpu-remove", cmd_cpupool_cpu_remove, "<CPU Pool> <CPU list>|node:<node nr>",
	  "Removes a CPU from a CPU pool",
	  "The CPU list is such as 0-3,5,^1; they are free then.\n" },
	{ "cpupool-migrate", cmd_cpupool_migrate, "<Domain> <CPU Pool>",
	  "Moves a domain into a CPU pool", NULL },
	{ "cpupool-numa-split", cmd_cpupool_numa_split, "",
	  "Splits up the machine into one CPU pool per NUMA node", NULL },
	{ "uptime", cmd_uptime, "[-s] [--json] [Domain ...]", "Print uptime for all/some domains",
	  "-s                      Short: one line as uptime(1) prints it.\n"
	  "--json                  As JSON.\n" },
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
	{ "channel-list", cmd_channel_list, "[--json] <Domain> ...",
	  "List virtual channel devices for a domain", json_option },
	{ "network-list", cmd_network_list, "[--json] <Domain> ...",
	  "List virtual network interfaces for a domain", json_option },
	{ "network-attach", cmd_network_attach, "<Domain> [key=value ...]",
	  "Create a new virtual network device",
	  "key=value               As in the vif line of xl.cfg(5): mac=, bridge=, script=, ip=,\n"
	  "                        vifname=, rate=, mtu=, gatewaydev=, untrusted.\n" },
	{ "network-detach", cmd_network_detach, "[-f] <Domain> <DevId|Mac>",
	  "Destroy a domain's virtual network device",
	  "-f                      Do not ask the guest first.\n" },
	{ "info", cmd_info, "[-n] [--json]", "Get information about Xen host",
	  "-n, --numa              Also the CPUs' and the memory's places.\n"
	  "--json                  As JSON.\n" },
	{ "dmesg", cmd_dmesg, "[-c]", "Read and/or clear dmesg buffer",
	  "-c                      Clear dmesg buffer as well as printing it.\n" },
	{ "debug-keys", cmd_debug_keys, "<Keys>", "Send debug keys to Xen", NULL },
	{ "top", cmd_top, "[options]", "Monitor a host and its domains in realtime", top_options },
	{ "metrics", cmd_metrics, "[--textfile FILE [--interval S] | --listen [ADDR:]PORT [--any]]",
	  "Print the host's figures for Prometheus", metrics_options },
	{ "events", cmd_events, "[--json] [-n N] [--since TIME] [-f]",
	  "Show what happens to guests", events_options },
	{ "usage", cmd_usage, "[--json] [Domain ...]",
	  "Show what guests use, and what past ones have used",
	  "--json                  As a list of objects.\n" },
	{ "devd", cmd_devd, "[options]", "Serve the back ends of a driver domain (runs in it)",
	  "-F                      Stay in the foreground; otherwise it is a daemon.\n"
	  "-p, --pidfile=FILE      Write the process's number to FILE.\n" },
	{ "oci", cmd_oci, "run [options] <Image>[:<Name>] [Arg ...]",
	  "Run an OCI image as a guest of its own, with its program's exit status", oci_options },
	{ "minder", cmd_minder, "[<Domain>]",
	  "Give guests whose supervisors were killed new ones (stays), or give one to <Domain>",
	  NULL },
	{ "init-dom0", cmd_init_dom0, "", "Write dom0's own nodes to xenstore (at dom0's start)",
	  NULL },
	{ "help", cmd_help, "[Command]", "Print this list, or the options of one command", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};
