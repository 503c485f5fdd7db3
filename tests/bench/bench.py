#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What Pavise costs: instructions and time of the same work natively, in a guest and in KVM's, of hypercalls, of block and
network I/O, and the hypervisor's size. docs/performance.md explains the figures.

usage: tests/bench/bench.py [--smoke] [PART...]

parts: kvm (the same work under KVM, for the tables of os, block, net and wall), size, os, compile, hypercalls, calls (where
single hypercalls spend their instructions), block, net, starts, save (xl save, restore, snapshot and clone), migrate (between two machines, wall clock), wall, trace (where reads do), nettrace (where a stream does);
without any, all of them
--smoke    as little as shows that everything runs; the numbers mean nothing, and the files' names begin with smoke-

$CPU is that of all machines but KVM's, such as rv64,v=true,vlen=256. $STARTS is how many guests part starts makes (100).

Builds nothing: "make bench" does, and then runs this. Everything goes to build/bench: the consoles, results.json, report.txt,
and the figures of several systems in systems.csv and systems.svg.
"""
import csv
import json
import os
import re
import statistics
import subprocess
import sys
import time

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(os.environ.get("BUILD") or os.path.join(TOP, "build"))
OUT = os.path.join(BUILD, "bench")
HERE = os.path.dirname(os.path.abspath(__file__))

sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(TOP, "scripts"), os.path.join(TOP, "tests", "system"), HERE]

import kvm  # noqa: E402
import machine  # noqa: E402
import moving  # noqa: E402
import plot  # noqa: E402
import storage  # noqa: E402
import tracer  # noqa: E402
from console import Machine  # noqa: E402

CPU = os.environ.get("CPU") or "rv64"
ICOUNT = ["-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "clock=vm"]
TIMEBASE = 10000000  # Hz, of QEMU's virt machine
MEMORY = 256  # MiB, natively and as a guest
KERNEL = os.path.join(BUILD, "linux", "Image")
INITRD = os.path.join(OUT, "osbench.cpio.gz")
COMPILE_INITRD = os.path.join(OUT, "compile.cpio.gz")
# KVM has these until part kvm has run, which puts its own figures there: KVM in the same emulator, kvmtool without vhost, another machine
# model; measured once, before the project began.
KVMTOOL = {"blk-4k-random": 49573, "blk-1m-sequential": 825759, "tcp-round-trip": 84277, "tcp-stream": 1806094}
KVM = dict(KVMTOOL)

OS_ROWS = (("getppid", "syscall (getppid)"), ("fork+wait", "fork + wait"), ("fork+exec", "fork + exec"),
           ("pipe", "pipe round trip"), ("touch", "first touch of an anonymous page"),
           ("messages", "hackbench: 2 groups of 5 and 5, 50 messages of 100 bytes"), ("cpu", "CPU loop, one iteration"))
COMPILE_ROWS = (("compile", "cc1 -O2 of a file of 3,900 lines"),)
IO_ROWS = (("blk-4k-random", "4 KiB random read, depth 1"), ("blk-4k-16", "4 KiB random read, depth 16"), ("blk-4k-32", "4 KiB random read, depth 32"),
           ("blk-1m-sequential", "sequential read, per MiB"))
NET_ROWS = (("tcp-round-trip", "TCP round trip of 1 byte"), ("tcp-stream", "TCP stream to dom0, per MiB"),
            ("tcp-stream-back", "TCP stream from dom0, per MiB"), ("tcp-stream-guests", "TCP stream to another guest, per MiB"),
            ("udp-round-trip", "UDP round trip of 64 bytes"), ("udp-large", "UDP, 1,400 bytes to dom0, 16 at a time, each"),
            ("udp-small", "UDP, 64 bytes to dom0, 16 at a time, each"), ("udp-large-back", "UDP, 1,400 bytes from dom0, 16 at a time, each"),
            ("udp-small-back", "UDP, 64 bytes from dom0, 16 at a time, each"), ("udp-small-guests", "UDP, 64 bytes to another guest, 16 at a time, each"))

report = []
kvm_os = {}  # part kvm's figures for OS_ROWS
systems = []  # rows of systems.csv: part, name, title, unit, system, value


def say(text=""):
    print(text, flush=True)
    report.append(text)


def progress(text):
    print(f"  BENCH    {text}", file=sys.stderr, flush=True)


def parse(text):
    """name → median nanoseconds (or instructions) for one, of the lines that osbench or a guest printed."""
    if "bench failed" in text or "bench done" not in text:
        sys.exit("bench: the benchmark did not end well; its console:\n" + text[-3000:])
    rounds = {}
    for name, count, ns in re.findall(r"^bench (\S+) (\d+) (\d+)\r?$", text, re.M):
        rounds.setdefault(name, []).append(int(ns) / int(count))
    return {name: statistics.median(values) for name, values in rounds.items()}


# --- machines --------------------------------------------------------------------------------------

def native(name, what, icount, initrd=INITRD):
    c = machine.Config(build=BUILD, smp=1, mem=f"{MEMORY}M", native=True, kernel=KERNEL, initrd=initrd, cpu=CPU,
                       dom0_cmdline=f"nokaslr bench={what}", extra=ICOUNT if icount else [])
    m = Machine(c, os.path.join(OUT, name + ".log"))
    m.ended(600)
    return parse(m.seen(0))


class Host:
    """dom0 on one hart, with the benchmark's files in /images."""

    def __init__(self, name, icount, extra=(), disk="images.img", **config):
        self.machine = Machine(machine.Config(build=BUILD, smp=1, cpu=CPU, disk=os.path.join(OUT, disk), snapshot=True, **config,
                                              dom0_cmdline="pavise.noauto nokaslr", extra=(ICOUNT if icount else []) + list(extra)),
                               os.path.join(OUT, name + ".log"), 300)
        self.machine.boot()

    def config(self, name, lines):
        self.machine.shell.write_file(f"/run/{name}.cfg", f'name = "{name}"\non_poweroff = "destroy"\non_crash = "destroy"\n' + lines)

    def linux(self, what, more="", name="bench", options="-c", ramdisk="osbench"):
        """osbench in a guest; its console."""
        self.config(name, f'kernel = "/images/boot/Image"\nramdisk = "/images/{ramdisk}.cpio.gz"\nmemory = {MEMORY}\nvcpus = 1\n'
                    f'extra = "console=hvc0 nokaslr bench={what}"\n{more}')
        return self.machine.run(f"xl create {options} /run/{name}.cfg", 900)

    def disk(self):
        """osbench's console for a disk that is a file on dom0's tmpfs."""
        self.machine.run("dd if=/dev/zero of=/run/disk.img bs=1M count=32 2>/dev/null", 120)
        return self.linux("block", 'disk = [ "/run/disk.img,raw,xvda,w" ]\n')

    def own_disk(self):
        """The same in dom0 itself: the loop device, without a guest."""
        return self.machine.run("dd if=/dev/zero of=/run/own.img bs=1M count=32 2>/dev/null; d=$(losetup -f); losetup $d /run/own.img; "
                                "/images/osbench disk $d; losetup -d $d; rm /run/own.img", 600)

    def end(self):
        self.machine.send("poweroff -f\n")
        self.machine.ended(120)


def guest(name, what, icount):
    host = Host(name, icount)
    values = parse(host.linux(what))
    host.end()
    return values


# --- parts -----------------------------------------------------------------------------------------

def table(head, rows):
    widths = [max(len(str(row[i])) for row in [head] + rows) for i in range(len(head))]
    for row in [head] + rows:
        say("  " + "  ".join(str(cell).ljust(w) if i == 0 else str(cell).rjust(w)
                             for i, (cell, w) in enumerate(zip(row, widths))))
    say()


def record(part, rows, unit, **values):
    """Puts figures of several systems (name=figures by row) into systems.csv."""
    def called(system):
        return "kvmtool, once" if system == "KVM" and not kvm_os else system.replace("_", " ")

    systems.extend((part, key, title, unit, called(system), figures[key])
                   for key, title in rows for system, figures in values.items() if key in figures)


def net_values(to_host, to_guest):
    """A guest's figures of talking to its host, and some of the same to another guest."""
    values, others = parse(to_host), parse(to_guest)
    values.update({f"{key}-guests": others[key] for key in ("tcp-stream", "udp-small")})
    return values


def part_kvm(smoke):
    """Runs before all others, whose tables have its figures beside theirs."""
    progress("the same work under KVM, instructions")
    host = kvm.KvmHost(BUILD, os.path.join(OUT, "kvm.log"), ICOUNT, MEMORY)
    versions = host.versions()
    say(versions)
    say()
    block = parse(host.block())
    to_host, to_guest = host.net()
    net = net_values(to_host, to_guest)
    kvm_os.update(parse(host.linux("os")))
    host.end()
    KVM.clear()
    KVM.update(block)
    KVM.update(net)
    return {"host": versions, "os": dict(kvm_os), "block": block, "net": net}


def beside_native(part, title, rows, ours, theirs):
    """Prints and records what runs natively and in a guest."""
    say(title)
    lines = []
    for key, text in rows:
        ratio = theirs[key] / ours[key]
        lines.append((text, f"{ours[key]:,.1f}", f"{theirs[key]:,.1f}", f"{ratio:.4f}", "1.02" + ("" if ratio <= 1.02 else "  MISSED"))
                     + ((f"{kvm_os[key]:,.1f}", f"{kvm_os[key] / ours[key]:.4f}") if key in kvm_os else ("", "") if kvm_os else ()))
    table(("", "native", "guest", "ratio", "goal") + (("KVM's guest", "ratio") if kvm_os else ()), lines)
    record(part, rows, "instructions", native=ours, Pavise=theirs, KVM=kvm_os)
    return {"native": ours, "guest": theirs}


def part_os(smoke):
    progress("the operating system natively, instructions")
    ours = native("os-native", "os", True)
    progress("the same in a guest")
    theirs = guest("os-guest", "os", True)
    return beside_native("os", "The same kernel, initramfs and memory natively and as a guest, one hart: instructions (-icount)", OS_ROWS, ours, theirs)


def part_compile(smoke):
    progress("a compiler natively, instructions")
    ours = native("compile-native", "compile", True, COMPILE_INITRD)
    progress("the same in a guest")
    host = Host("compile-guest", True, disk="compile.img")
    theirs = parse(host.linux("compile", ramdisk="compile"))
    host.end()
    return beside_native("compile", "Debian's compiler on a file without #include, one hart: instructions (-icount)", COMPILE_ROWS, ours, theirs)


def part_wall(smoke):
    sides = ("native", "guest") + (("KVM",) if kvm_os else ())
    runs, disks = {side: [] for side in sides}, {side: [] for side in ("dom0", "guest") + sides[2:]}
    host = kvm.KvmHost(BUILD, os.path.join(OUT, "kvm-wall.log"), [], MEMORY) if kvm_os else None
    for i in range(1 if smoke else 3):
        progress(f"wall time, round {i + 1}")
        runs["native"].append(native(f"wall-native{i}", "os", False))
        ours = Host(f"wall-guest{i}", False)
        runs["guest"].append(parse(ours.linux("os")))
        disks["guest"].append(parse(ours.disk()))
        disks["dom0"].append(parse(ours.own_disk()))
        ours.end()
        if host:
            runs["KVM"].append(parse(host.linux("os")))
            disks["KVM"].append(parse(host.block()))
    if host:
        host.end()

    def compare(title, rows, of, first):
        """first: the system that the others are measured by."""
        say(title)
        medians = {key: {side: statistics.median(run[key] for run in rounds) for side, rounds in of.items()} for key, _ in rows}
        others = [side for side in of if side != first]
        table(("", first) + tuple(cell for side in others for cell in (side, "ratio")),
              [(text, f"{medians[key][first]:,.1f}") + tuple(cell for side in others for cell in
               (f"{medians[key][side]:,.1f}", f"{medians[key][side] / medians[key][first]:.2f}")) for key, text in rows])
        return medians

    return {"os": compare("The same in wall time of the emulator (QEMU TCG), nanoseconds, medians of interleaved runs", OS_ROWS, runs, "native"),
            "block": compare("Disks in wall time, the same runs: a file on dom0's tmpfs, read by dom0 itself and by a guest", IO_ROWS, disks, "dom0")}


def two_guests(host, arguments):
    """Starts the guest of hypercalls and its peer."""
    m, ids = host.machine, {}
    for name, extra in (("bench", arguments), ("peer", "serve")):
        host.config(name, f'kernel = "/images/bench-hypercalls"\nmemory = 16\nextra = "{extra}"\n')
        m.run(f"xl create -q -p /run/{name}.cfg", 120)
        ids[name] = m.run(f"xl domid {name}").strip()
    m.run(f"xenstore-write /local/domain/{ids['bench']}/data/peers {ids['peer']}")
    m.run(f"xenstore-write /local/domain/{ids['peer']}/data/peers {ids['bench']}")
    m.run("xl unpause peer; xl unpause bench")


def part_hypercalls(smoke):
    progress("hypercalls, instructions")
    host = Host("hypercalls", True)
    m = host.machine
    two_guests(host, "")
    m.run("while xl domid bench > /dev/null 2>&1; do sleep 1; done; xl destroy peer", 600)
    values = parse(m.run("cat /var/log/xen/console/guest-bench.log"))
    # Two guests that do nothing but yield to one another
    for name in ("one", "two"):
        host.config(name, 'kernel = "/images/bench-hypercalls"\nmemory = 16\nextra = "yield"\n')
        m.run(f"xl create -q -p /run/{name}.cfg", 120)
    m.run("xl unpause one; xl unpause two")
    m.run("while xl domid one > /dev/null 2>&1 || xl domid two > /dev/null 2>&1; do sleep 1; done", 600)
    if "event-round-trip" not in values:
        sys.exit("bench: in no round trip did both domains sleep: the scheduler has changed, and tests/bench/guests/hypercalls.c must follow")
    switch = parse(m.run("cat /var/log/xen/console/guest-one.log; echo bench done"))["yield"]
    host.end()
    # The loop has the same registers to load and a nop where the others have their ecall.
    loop = values["loop"] - 1
    null = values["floor"] - loop
    rows = []

    def row(title, count, goal):
        above = "" if title.startswith("copying") else f"{count - null:,.1f}"
        rows.append((title, f"{count:,.1f}", above, "" if goal is None else f"{goal:,}" + ("" if count <= goal else "  MISSED")))
        return count

    say("Operations of a guest, one hart: instructions from the ecall to the next of the guest (-icount), and above the floor")
    result = {
        "floor": row("floor: an unknown hypercall", null, None),
        "null": row("null hypercall (xen_version)", values["null"] - loop, 60),
        "sbi": row("null SBI call (the long way)", values["sbi"] - loop, None),
        "evtchn-send": row("evtchn_send to an own port", values["evtchn-send"] - loop, 120),
        "grant-map-unmap": row("grant map + unmap of a page", values["grant-map-unmap"] - loop, 600),
        "grant-map-unmap-64": row("grant map + unmap of 64 pages, two hypercalls, each", (values["grant-map-unmap-64"] - loop) / 64, 350),
        "plain-copy": row("copying 4 KiB, 64 bytes an iteration, without a call", values["plain-copy"], None),
        "grant-copy": row("grant copy of 4 KiB beyond that", values["grant-copy"] - values["plain-copy"], 400),
        "event-round-trip": row("event round trip of two sleeping domains", values["event-round-trip"], 2500),
        "switch": row("switch between two vCPUs (yield)", switch / 2, None),
        "multicall": row("multicall of 64, each", (values["multicall-64"] - loop) / 64, None),
    }
    table(("", "count", "above floor", "goal"), rows)
    return result


# Name in the guest, title, the function of the hypervisor that begins each, how often it is entered
CALLS = (("evtchn-send", "evtchn_send to an own port", "evtchn_send_op", 1),
         ("grant-map-unmap", "grant map + unmap of a page", "grant_op_map", 1),
         ("grant-map-unmap-64", "grant map + unmap of 64 pages at once", "grant_op_map", 1),
         ("grant-copy", "grant copy of 4 KiB", "grant_op_copy", 1),
         ("event-round-trip", "event round trip of two sleeping domains", "evtchn_send_op", 2))


def part_calls(smoke):
    t = tracer.Tracer(OUT)
    host = Host("calls", True, t.args)
    m, symbols, result = host.machine, tracer.Symbols(BUILD, os.path.join(OUT, "hypercalls.elf")), {}
    for name, title, first, entries in CALLS[:1] if smoke else CALLS:
        progress(f"a single-stepped trace: {title}")
        two_guests(host, f"trace {name}")
        m.run("until grep -q 'bench ready' /var/log/xen/console/guest-bench.log; do sleep 0.1; done", 120)
        t.on()
        time.sleep(1)
        t.off()
        m.run("xl destroy bench; xl destroy peer", 120)
        counts = tracer.one_call(t.addresses(), symbols, first, entries)
        os.unlink(t.log)
        total = sum(counts.values())
        say(f"{title}: {total:,} instructions, the guests' included (the median one, single-stepped)")
        table(("", "instructions"), counts.most_common())
        result[name] = dict(counts)
    host.end()
    return result


def io_table(title, rows, values, beside, theirs):
    """theirs: the same without a guest; beside: what those are called."""
    say(title)

    def row(key, text):
        kvm_cells = (f"{KVM[key]:,.0f}", f"{values[key] / KVM[key]:.2f}") if key in KVM else ("", "")
        return (text, f"{values[key]:,.0f}") + kvm_cells + (f"{theirs[key]:,.0f}" if key in theirs else "",)

    table(("", "Pavise", "KVM (1)", "ratio", beside), [row(key, text) for key, text in rows])


def part_block(smoke):
    progress("block, instructions")
    host = Host("block", True)
    values = parse(host.disk())
    own = parse(host.own_disk())
    host.end()
    io_table("Block I/O from a guest to a file on dom0's tmpfs, one hart: instructions of everyone (-icount)", IO_ROWS, values, "dom0's own", own)
    record("block", IO_ROWS, "instructions", **{"dom0's own": own, "Pavise": values, "KVM": KVM})
    return {"guest": values, "dom0": own}


BENCH_VIF = "vif = [ 'bridge=bench' ]\n"


def bench_bridge(m):
    """A bridge of its own, on which nobody else talks, and dom0's end of the streams."""
    m.run("brctl addbr bench && ip addr add 10.77.0.1/24 dev bench && ip link set bench up")
    m.run("(/images/osbench serve 7777 < /dev/null > /dev/null 2>&1 &)")


def part_net(smoke):
    progress("network, instructions")
    host = Host("net", True)
    bench_bridge(host.machine)
    to_dom0 = host.linux("net", BENCH_VIF)
    host.linux("net-serve", BENCH_VIF, "serve", "-q")
    values = net_values(to_dom0, host.linux("net-guest", BENCH_VIF))
    host.machine.run("xl destroy serve")
    host.end()
    loopback = native("net-loopback", "loopback", True)
    io_table("TCP and UDP between a guest and dom0, and two guests, one hart: instructions of everyone (-icount)", NET_ROWS, values, "native loopback", loopback)
    record("net", NET_ROWS, "instructions", native_loopback=loopback, Pavise=values, KVM=KVM)
    return {"guest": values, "loopback": loopback}


def starts_wanted():
    """How many guests part starts makes, one after the other; all stay."""
    text = os.environ.get("STARTS") or "100"
    if not text.isdigit() or not 2 <= int(text) <= 4000:
        sys.exit(f"bench: STARTS={text}: no number of guests, 2 to 4000")
    return int(text)


def room_for(guests):
    """A machine's memory, and dom0's: a guest of 4 MiB has its tables, and a supervisor and files in dom0's memory."""
    return {"mem": f"{2048 + guests * 5}M", "cmdline": f"dom0_mem={512 + guests}M"} if guests > 100 else {}


def start_times(host, first, count, more=()):
    """Starts guests of a few KiB one after the other; for each (seconds to main(), seconds to the end of xl create)."""
    m = host.machine
    said = m.run(f"/images/starts {first} {count} xl create -q /run/start.cfg {' '.join(more)}", 1800)
    m.run(f"until grep -q main /var/log/xen/console/guest-start{first + count - 1}.log; do sleep 0.1; done", 120)
    mains = dict(re.findall(r"/guest-start(\d+)\.log:main (\d+)", m.run("cd /var/log/xen/console && grep -H '^main ' $PWD/guest-start*.log", 300)))
    times = []
    for n, begin, end in re.findall(r"^started (\d+) (\d+) (\d+)$", said, re.M):
        times.append(((int(mains[n]) - int(begin)) / TIMEBASE, (int(end) - int(begin)) / TIMEBASE))
    if len(times) != count:
        sys.exit("bench: not all guests started:\n" + said)
    return times


def linux_start(host):
    """Seconds from xl create to main() of a Linux guest's init."""
    host.config("linux", f'kernel = "/images/boot/Image"\nramdisk = "/images/osbench.cpio.gz"\nmemory = {MEMORY}\nvcpus = 1\n'
                'extra = "console=hvc0 nokaslr bench=start"\n')
    m, log = host.machine, "/var/log/xen/console/guest-start0.log"
    m.run(f"rm -f {log}")
    begin = re.search(r"^started 0 (\d+)", m.run("/images/starts 0 1 xl create -q /run/linux.cfg", 600), re.M).group(1)
    m.run(f"until grep -q 'bench done' {log}; do sleep 0.1; done; while xl domid start0 > /dev/null 2>&1; do sleep 0.1; done", 300)
    return (int(m.run(f"sed -n 's/^main //p' {log}")) - int(begin)) / TIMEBASE


def part_starts(smoke):
    progress("starts, instructions")
    count = 4 if smoke else starts_wanted()
    host = Host("starts", True, **room_for(count))
    m = host.machine
    host.config("start", 'kernel = "/images/bench-start"\nmemory = 4\n')
    # The first one ever reads the files from the disk.
    start_times(host, 0, 1)
    m.run("xl destroy start0")
    linux = [linux_start(host) for _ in range(4)][1:]
    times = start_times(host, 1, count)
    host.end()
    few = min(5, count // 2)
    rows, result = [], {}
    for i, title in enumerate(("until its main() runs", "until xl create is back")):
        first, last = (statistics.median(t[i] for t in part) * 1000 for part in (times[:few], times[-few:]))
        goal = (15, 1.2) if i == 0 else (None, None)
        rows.append((f"{title}, the first (ms)", f"{first:,.2f}", "" if goal[0] is None else f"{goal[0]}" + "  MISSED" * (first > goal[0])))
        # Of the 1,000th something is wanted, and of fewer the same.
        rows.append((f"{title}, the {count}th over the first", f"{last / first:.3f}",
                     "" if goal[1] is None else f"{goal[1]}" + "  MISSED" * (last / first > goal[1])))
        growth = (last - first) / (count - few) * 1e6
        rows.append((f"{title}, longer for each guest that there is (instructions)", f"{growth:,.0f}", ""))
        result[("main", "create")[i]] = [first, last]
    result["count"] = count
    boot = native("start-native", "start", True)["boot"] / 1e9
    ratio = statistics.median(linux) / boot
    rows.append((f"Linux guest of {MEMORY} MiB, from xl create until its init runs (ms)", f"{statistics.median(linux) * 1000:,.1f}", ""))
    rows.append(("the same over the kernel's own boot natively, from where it begins to keep time", f"{ratio:.3f}", "1.3" + "  MISSED" * (ratio > 1.3)))
    result["linux"] = [statistics.median(linux), boot]
    say(f"xl create of a newlib guest of 4 MiB, one hart, {count} one after the other: milliseconds, a million instructions each, of everyone "
        "(-icount), and what nobody executes")
    table(("", "", "goal"), rows)
    return result


def timed(m, command):
    """Milliseconds between two lines of dom0's kernel log, one before the command and one behind it."""
    m.run(f"echo bench begins > /dev/kmsg; {command}; echo bench ends > /dev/kmsg", 600)
    begin, end = (float(re.findall(rf"^\[ *([0-9.]+)\] bench {word}", m.run("dmesg | tail -30"), re.M)[-1]) for word in ("begins", "ends"))
    return (end - begin) * 1000


def stood(m, command):
    """Milliseconds that the guest stood still for, as xl says, and that it took in all."""
    total = timed(m, f"{command} > /run/said")
    return float(re.search(r"it stood still for ([0-9.]+) s", m.run("cat /run/said")).group(1)) * 1000, total


def linux_save(smoke):
    """An idle Linux guest with a disk on XFS and an interface."""
    host = Host("save-linux", True, shared=storage.make_xfs(os.path.join(OUT, "xfs.img")), cmdline="fork=unsafe")
    m = host.machine
    bench_bridge(m)
    m.run(f"mkdir /run/disks && mount -t xfs {storage.shared_disk(m)} /run/disks && "
          "dd if=/dev/zero of=/run/disks/idle.img bs=1M count=32 2>/dev/null; sync", 120)
    host.linux("net-serve", f"disk = [ '/run/disks/idle.img,raw,xvda,w' ]\n{BENCH_VIF}", "idle", "-q -w")
    m.run("sleep 3")
    values, rounds = {}, 1 if smoke else 3
    for how in "-W", "-S":
        values["save " + how] = statistics.median(timed(m, f"xl save {how} -c idle /run/idle.file > /dev/null") for _ in range(rounds))
    snapshots, clones, before, least = [], [], 0, None
    for n in range(rounds):
        snapshots.append(stood(m, f"xl snapshot idle s{n}"))
    for n in range(rounds):
        before = int(m.info("free_pages"))
        clones.append(stood(m, f"xl clone -p --no-reserve idle c{n}"))
        assert "is copied" not in m.run("cat /run/said")
        taken = (before - int(m.info("free_pages"))) * 4
        least = taken if least is None else min(taken, least)
    m.run("xl template --no-reserve idle gold")
    of_gold, least_of_gold = [], None
    for n in range(rounds):
        before = int(m.info("free_pages"))
        of_gold.append(timed(m, f"xl clone -p --no-reserve gold g{n} > /dev/null"))
        taken = (before - int(m.info("free_pages"))) * 4
        least_of_gold = taken if least_of_gold is None else min(taken, least_of_gold)
    host.end()
    values.update({"gold": statistics.median(of_gold), "gold KiB": least_of_gold})
    values.update({"snapshot": statistics.median(s for s, _ in snapshots), "clone": statistics.median(t for _, t in clones),
                   "clone stands": statistics.median(s for s, _ in clones), "clone KiB": least})
    return values


def part_save(smoke):
    progress("save and restore, instructions")
    host = Host("save", True)
    m = host.machine
    host.config("saved", 'kernel = "/images/bench-start"\nmemory = 8\n')
    m.run("xl create -q /run/saved.cfg", 60)
    saves, restores = [], []
    for _ in range(2 if smoke else 6):
        saves.append(timed(m, "xl save saved /run/saved.file > /dev/null"))
        restores.append(timed(m, "xl restore /run/saved.file"))
    size = int(m.run("stat -c %s /run/saved.file"))
    host.end()
    # The first ones ever read the programs from the disk.
    values = {"save": statistics.median(saves[1:]), "restore": statistics.median(restores[1:]), "bytes": size}
    say("xl save and xl restore of a newlib guest of 8 MiB without devices, to a file on dom0's tmpfs: milliseconds, a million instructions each, of everyone (-icount)")
    table(("", "ms", "goal"), [(f"xl {verb}", f"{values[verb]:,.1f}", f"{goal}" + "  MISSED" * (values[verb] > goal))
                               for verb, goal in (("save", 30), ("restore", 20))] + [("the file (KiB)", f"{size // 1024:,}", "")])
    progress("snapshot and clone of Linux, instructions")
    linux = linux_save(smoke)
    say(f"An idle Linux guest of {MEMORY} MiB with a disk (a file on XFS) and an interface, the same way")
    table(("", "", "goal"), [("xl save -c -W, whole (ms)", f"{linux['save -W']:,.1f}", ""), ("xl save -c -S, suspended by itself (ms)", f"{linux['save -S']:,.1f}", ""),
                             ("xl snapshot: it stands still (ms)", f"{linux['snapshot']:,.0f}", ""),
                             ("xl clone (ms)", f"{linux['clone']:,.1f}", "60" + "  MISSED" * (linux["clone"] > 60)),
                             ("the first one stands still for it (ms)", f"{linux['clone stands']:,.0f}", ""),
                             ("memory of it, and of what the first one writes then (KiB)", f"{linux['clone KiB']:,}", ""),
                             ("xl clone of a template (ms)", f"{linux['gold']:,.1f}", "60" + "  MISSED" * (linux["gold"] > 60)),
                             ("memory of it (KiB)", f"{linux['gold KiB']:,}", "300" + "  MISSED" * (linux["gold KiB"] > 300))])
    values["linux"] = linux
    return values


def part_migrate(smoke):
    progress("migration between two machines, wall clock")
    disk = os.path.join(OUT, "moving.img")
    with open(disk, "wb") as f:
        f.truncate(32 << 20)
    moves = moving.measure(Host, disk, 1 if smoke else 2)
    say(f"xl migrate of Linux with {MEMORY} MiB, a disk and an interface between two machines, by nc: of the clock on the wall (two emulators on one machine), "
        "the median move")
    rows = [(title, *(f"{statistics.median(column):,.2f}" for column in zip(*moves[way])))
            for way, title in (("-W", "idle, whole"), ("-S", "idle, suspends itself"), ("busy", "whole, writes half as fast as the link carries"))]
    table(("", "MiB sent", "rounds", "stood still (s)", "MiB/s"), rows)
    return moves


def part_size(smoke):
    lines = int(subprocess.run([os.path.join(HERE, "sloc"), os.path.join(TOP, "hypervisor")], check=True, text=True,
                               stdout=subprocess.PIPE).stdout.split()[-1])
    elf = os.path.join(BUILD, "hypervisor", "pavise")
    sizes = subprocess.run(["riscv64-linux-gnu-size", elf], check=True, text=True, stdout=subprocess.PIPE).stdout.split("\n")[1].split()
    loaded = os.path.getsize(elf + ".bin")
    total = int(sizes[3])
    say("The hypervisor")
    table(("", "", "goal"), [("lines without comments, blank lines and libfdt", f"{lines:,}", "12,000" + "  MISSED" * (lines > 12000)),
                             ("KiB loaded", f"{loaded / 1024:.0f}", "300" + "  MISSED" * (loaded > 300 * 1024)),
                             ("KiB in memory, with .bss and stacks", f"{total / 1024:.0f}", "")])
    return {"lines": lines, "loaded": loaded, "memory": total}


# Functions of a kernel by what they are for; the first that matches.
KINDS = (
    ("grants, event channels, rings", r"gnttab|gntdev|evtchn|xen_|xenbus|__xen|HYPERVISOR|hypercall|notify_remote|blkif|blkfront|xenvif|xennet|netfront|dispatch_rw|"
     r"set_foreign|__unmap|purge_persistent|get_free_gref|persistent|__do_block_io|do_block_io|end_block_io|fill_status|add_id_to|get_id_from"),
    ("network stack", r"^_*(tcp|skb|ip|inet|br|dev|net|netif|napi|sock|sk|nf|nft|fdb|eth|qdisc|pfifo|ipv4|csum|kfree_skb|alloc_skb)_"),
    ("files, loop device, copying", r"loop|^lo_|shmem|simple_|filemap|folio|xas_|copy_page|memcpy|fallback_scalar|iov_iter|splice|do_iter|vfs_|kiocb|touch_atime"),
    ("block layer", r"blk|bio|request|elv|dd_|deadline|sbitmap|submit|rq_|plug|disk|iov|dio|blkdev|__bread|mempool|iomap|pread"),
    ("scheduler, wake-ups, threads", r"sched|wake|rq|entity|eevdf|pick_|enqueue|dequeue|task|switch|kthread|worker|work|queue_|wait|resched|cpu_idle|idle|do_idle|load_|update_|util|pelt|complet|swake"),
    ("interrupts, timers", r"irq|timer|hrtimer|tick|clock|ktime|handle_|do_trap|upcall|sbi|ipi|rcu|softirq|time|ret_from|exception|jiffies"),
)


def trace_guest(host, t, what, settings):
    """A guest of osbench does `what` while each instruction is logged; the machine ends."""
    m = host.machine
    host.config("bench", f'kernel = "/images/boot/Image"\nramdisk = "/images/osbench.cpio.gz"\nmemory = {MEMORY}\n'
                f'extra = "console=hvc0 nokaslr bench={what}"\n{settings}')
    m.send("xl create -c /run/bench.cfg\n")
    m.expect("bench ready", 120)
    t.on()
    m.send("x\n")
    m.expect("bench traced", 900)
    t.off()
    m.kill()


def trace_table(title, t, first=None, count=None):
    """Sides, kinds and functions of what was logged; for one of `count`, or between calls of the function `first`."""
    counts, calls = tracer.split(t.addresses(), tracer.Symbols(BUILD), first)
    os.unlink(t.log)
    calls = count or calls
    total = sum(counts.values()) / calls
    groups, functions = {}, {}
    for (side, place, function), n in counts.items():
        kind = place
        if place == "linux":
            kind = next((k for k, pattern in KINDS if re.search(pattern, function)), "the rest of the kernel")
        key = f"{'while ' if place == 'hypervisor' else ''}{side if side != '?' else 'neither'}: {kind}"
        groups[key] = groups.get(key, 0) + n / calls
        functions[f"{side}: {place}: {function}"] = n / calls
    say(title.format(total=total, calls=calls))
    rows = sorted(groups.items(), key=lambda row: -row[1])
    table(("", "instructions", "share"), [(k, f"{n:,.0f}", f"{n / total:.1%}") for k, n in rows if n >= 20])
    top = sorted(functions.items(), key=lambda row: -row[1])[:25]
    table(("its functions with the most", "instructions", "share"), [(k, f"{n:,.0f}", f"{n / total:.1%}") for k, n in top])
    return {"groups": groups, "functions": dict(top)}


# What osbench does, of what that is one, how many there are in a trace (None: as often as a read begins)
TRACES = (("", "a 4 KiB read", None), ("-32", "one of 32 reads of 4 KiB at once", 1024), ("-sequential", "a MiB of a sequential read", 16))


def part_trace(smoke):
    result = {}
    for which, what, count in TRACES[:1] if smoke else TRACES:
        progress(f"a single-stepped trace: {what}")
        t = tracer.Tracer(OUT)
        host = Host("trace", True, t.args)
        host.machine.run("dd if=/dev/zero of=/run/disk.img bs=1M count=32 2>/dev/null", 120)
        trace_guest(host, t, "block-trace" + which, 'disk = [ "/run/disk.img,raw,xvda,w" ]\n')
        result[what] = trace_table(f"Where {what} spends its {{total:,.0f}} instructions (mean of {{calls}}, single-stepped)",
                                   t, None if count else "__riscv_sys_pread64", count)
    return result


def part_nettrace(smoke):
    progress("a single-stepped trace of a stream")
    t = tracer.Tracer(OUT)
    host = Host("nettrace", True, t.args)
    bench_bridge(host.machine)
    trace_guest(host, t, "net-trace", BENCH_VIF)
    return trace_table("Where the first MiB of a TCP stream to dom0 spends its {total:,.0f} instructions (single-stepped; with the connection's making)", t)


PARTS = {"kvm": part_kvm, "size": part_size, "os": part_os, "compile": part_compile, "hypercalls": part_hypercalls, "calls": part_calls, "block": part_block, "net": part_net, "starts": part_starts, "save": part_save, "migrate": part_migrate, "wall": part_wall,
         "trace": part_trace, "nettrace": part_nettrace}


def about():
    """Machine, versions, date and command, for a report that is read later."""
    def first(command):
        return subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True).stdout.split("\n")[0]

    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = re.search(r"^model name\s*: (.*)", f.read(), re.M)
    with open(KERNEL, "rb") as f:
        linux = re.search(rb"Linux version (\S+)", f.read())
    commit = subprocess.run(["git", "-C", TOP, "describe", "--always", "--dirty"], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, check=False).stdout.strip()
    return "\n".join((
        f"{time.strftime('%Y-%m-%d')}, make bench" + (f" PARTS=\"{' '.join(sys.argv[1:])}\"" if sys.argv[1:] else ""),
        f"Pavise {commit or 'of no git tree'}, Linux {linux.group(1).decode() if linux else 'of unknown version'}",
        f"{first(['qemu-system-riscv64', '--version'])} {' '.join(ICOUNT)} -smp 1, on {model.group(1) if model else os.uname().machine}"))


def write_systems(prefix, text):
    """systems.csv and systems.svg, of the parts that compare systems, if any ran."""
    if not systems:
        return
    with open(os.path.join(OUT, prefix + "systems.csv"), "w", encoding="utf-8", newline="") as f:
        out = csv.writer(f)
        out.writerow(("part", "name", "title", "unit", "system", "value"))
        out.writerows(systems)
    plot.bars(os.path.join(OUT, prefix + "systems.svg"), systems, text)


def main():
    words = sys.argv[1:]
    smoke = "--smoke" in words
    parts = [w for w in words if w != "--smoke"] or list(PARTS)
    unknown = set(parts) - set(PARTS)
    if unknown:
        print(f"bench.py: there is no part {' '.join(sorted(unknown))}", file=sys.stderr)
        sys.exit(__doc__)
    if "kvm" in parts and not os.path.exists(os.path.join(OUT, "kvm.cpio.gz")):
        if "kvm" in words:
            sys.exit("bench: there is no host with KVM in build: \"make bench PARTS=kvm\" fetches and makes it (scripts/fetch-kvm)")
        parts.remove("kvm")
    if "compile" in parts and not os.path.exists(COMPILE_INITRD):
        if "compile" in words:
            sys.exit("bench: there is no compiler in build: \"make bench PARTS=compile\" fetches it (scripts/fetch-cc1)")
        parts.remove("compile")
    parts.sort(key=lambda part: part != "kvm")
    started, results = time.monotonic(), {}
    text = about()
    say(text)
    say()
    for part in parts:
        results[part] = PARTS[part](smoke)
    if "kvm" in parts:
        say("(1) KVM in the same emulator and the same run: QEMU's guest there, with vhost-net, the same kernel and programs. Of kvmtool's guest,\n"
            "    measured once on another machine model, was known: " + ", ".join(f"{key} {count:,}" for key, count in KVMTOOL.items()))
    else:
        say("(1) KVM in the same emulator: kvmtool's guest, without vhost, another machine model; measured once, before the project began.")
    prefix = "smoke-" if smoke else ""
    write_systems(prefix, "\n".join([text] + [results[part]["host"] for part in parts if part == "kvm"]))
    with open(os.path.join(OUT, prefix + "results.json"), "w", encoding="utf-8") as f:
        json.dump(results, f, indent=1)
    with open(os.path.join(OUT, prefix + "report.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(report) + "\n")
    print(f"Written: {os.path.relpath(OUT)}/{prefix}report.txt and {prefix}results.json{f', {prefix}systems.csv and .svg' if systems else ''}, after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
