# SPDX-License-Identifier: BSD-2-Clause
"""Guests on pvabi/runtime that test the PV ABI from inside.

Each NAME.c here is a guest that prints TAP (tap.h), and a test on each machine that it asks for. Its
first comment may say how it wants to run:

 * guest: memory=32 vcpus=2       settings of xl.cfg; NAME="text" too
 * peer: NAME guest settings      a second domain, from peers/NAME.c, beside it (more lines: more domains)
 * harts: 1 4                     the machines, by number of harts; 1 and 4 when it says nothing
 * icount                         machines whose clock counts instructions, 1 ns each
 * timeout: 60                    seconds; a sum too
 * full                           only in make test-full
 * together                       its peers print TAP and end as well, and are waited for
 * census                         everything that a guest could leave behind is counted before and after it
 * grows                          dom0 may take up to 64 pages for good: tables, the first time that it maps so much at once
 * dom0: REGEX                    what a line of dom0's kernel log, in which nothing is raw, says afterwards

$SEED and $FUZZ_SECONDS there are make's environment's, or 1 and 60. $RACE_FACTOR is 1, and 20 in make test-full;
$RACE_SECONDS what that may take longer. $LITMUS_ROUNDS and $LITMUS_SECONDS: litmus.c, whichever ends first.

A guest and its peers find one another through xenstore: each has the others' domain ids, separated by
spaces, in its node data/peers.
"""
import os
import random
import re
import shlex
import string
import subprocess
import sys
import time
import types

import pytest

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(os.environ.get("BUILD") or os.path.join(TOP, "build"))
OUT = os.path.join(BUILD, "tests", "guests")
DISK_IMAGE, DISK_SECTORS = os.path.join(OUT, "disk.img"), 2051
HERE = os.path.dirname(os.path.abspath(__file__))

sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(TOP, "scripts"), os.path.join(TOP, "tests", "system")]

import census  # noqa: E402
import machine  # noqa: E402
from console import Machine  # noqa: E402

FULL = "--full" in sys.argv
VARIABLES = {"SEED": "1", "FUZZ_SECONDS": "60", "RACE_FACTOR": "20" if FULL else "1",
             "RACE_SECONDS": "1800" if FULL else "60",
             "LITMUS_ROUNDS": "1000000" if FULL else "20000", "LITMUS_SECONDS": "1200" if FULL else "20", **os.environ}
live = []
called = {}  # (hypercall, operation): bits of its results, by all the guests of this session


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="the long tests as well")


def pytest_collection_modifyitems(config, items):
    # One machine after another, and last who looks at what they all did
    def which(item):
        if "last" in item.keywords:
            return 1000, True
        params = item.callspec.params if hasattr(item, "callspec") else {}
        return params.get("harts", 1), "guest" in params and params["guest"].icount

    items.sort(key=which)
    for item in items:
        if "full" in item.keywords and not config.getoption("--full"):
            item.add_marker(pytest.mark.skip(reason="long (make test-full)"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for m in live:
            text = m.seen(0.5).splitlines()[-60:]
            report.sections.append((f"console of {os.path.basename(m.log)}", "\n".join(text)))


class Guest:
    """One source file and what its first comment says."""

    def __init__(self, path):
        self.name = os.path.basename(path)[:-2]
        self.settings, self.peers, self.harts, self.timeout, self.dom0 = {}, [], [1, 4], 60, None
        self.full = self.icount = self.census = self.grows = self.together = False
        with open(path, encoding="utf-8") as f:
            comments = f.read().split("*/")
        for line in "".join(comments[:2]).splitlines():
            found = re.match(r"^ \* (guest|peer|harts|timeout|full|icount|census|grows|together|dom0)(?:: (.*))?$", line)
            if not found:
                continue
            key, value = found.groups()
            value = string.Template(value or "").safe_substitute(VARIABLES)
            if key == "guest":
                self.settings = dict(word.split("=", 1) for word in shlex.split(value))
            elif key == "peer":
                name, *words = shlex.split(value)
                self.peers.append((name, dict(word.split("=", 1) for word in words)))
            elif key == "harts":
                self.harts = [int(n) for n in value.split()]
            elif key == "dom0":
                self.dom0 = value
            elif key == "timeout":
                self.timeout = sum(int(n) for n in value.split("+"))
            else:
                setattr(self, key, True)


def config(name, image, settings):
    """The text of an xl.cfg."""
    lines = [f'name = "{name}"', f'kernel = "/images/guests/{image}"',
             'on_poweroff = "destroy"', 'on_reboot = "destroy"', 'on_crash = "destroy"']
    values = {"memory": "16", "vcpus": "1", **settings}
    for key, value in values.items():
        number = re.fullmatch(r"-?\d+", value)
        lines.append(f"{key} = {value}" if number or value.startswith("[") else f'{key} = "{value}"')
    return "\n".join(lines)


class Host:
    """A machine on which guests run one after another."""

    def __init__(self, harts, disk, icount=False, hypervisor="", name=None, cpu="", qemu="", cmdline=""):
        options = {"extra": ["-icount", "shift=0,sleep=off"]} if icount else {}
        if cpu:
            options["cpu"] = cpu
        os.makedirs(OUT, exist_ok=True)
        c = machine.Config(build=BUILD, smp=harts, disk=disk, snapshot=True, dom0_cmdline="pavise.noauto",
                           hypervisor=hypervisor, cmdline=cmdline,
                           qemu=qemu or os.environ.get("QEMU") or "qemu-system-riscv64", **options)
        self.machine = Machine(c, os.path.join(OUT, f"{name or f'harts{harts}'}{'-icount' * icount}.log"), 180)
        live.append(self.machine)
        self.machine.boot()
        self.free = None
        self.peers = {}  # lines of the last guest's, by name

    def create(self, name, image, settings):
        m = self.machine
        m.shell.write_file(f"/run/{name}.cfg", config(name, image, settings))
        m.run(f"xl create -q -p /run/{name}.cfg", 60)
        return int(m.run(f"xl domid {name}"))

    def run(self, guest):
        """The lines that the guest printed, once it is gone."""
        m = self.machine
        names = [guest.name] + [f"{guest.name}-{name}" for name, _ in guest.peers]
        ids = [self.create(guest.name, guest.name, guest.settings)]
        ids += [self.create(n, image, settings) for n, (image, settings) in zip(names[1:], guest.peers)]
        for domid in ids:
            others = " ".join(str(i) for i in ids if i != domid)
            m.run(f"xenstore-write /local/domain/{domid}/data/peers '{others}'")
        for name in reversed(names):
            m.run(f"xl unpause {name}")
        # By dom0's clock: where xl itself takes a second, rounds would last longer than we wait for them
        gone = " && ".join(f"! xl domid {name} >/dev/null 2>&1" for name in (names if guest.together else names[:1]))
        status, _ = m.shell.try_run("now() { cut -d. -f1 /proc/uptime; }; "
                                    f"end=$(($(now) + {guest.timeout})); until {gone} || [ $(now) -ge $end ]; do sleep 0.2; "
                                    f"done; {gone}", guest.timeout + 60)
        for name in names:
            m.shell.try_run(f"xl destroy {name} 2>/dev/null")
        text = "".join(f"\n# console of {name}:\n" * (name != names[0])
                       + m.shell.try_run(f"cat /var/log/xen/console/guest-{name}.log; rm /var/log/xen/console/guest-{name}.log")[1]
                       for name in names)
        print(text)
        assert not status, f"{guest.name} still ran after {guest.timeout} s; it printed:\n{text}"
        lines, *others = [part.splitlines() for part in text.split("\n# console of ")]
        self.peers = {other[0].rstrip(":"): other[1:] for other in others}
        for found in filter(None, (re.match(r"# called (\d+)\.(\d+) ([0-9a-f]+)$", line) for line in lines)):
            row = int(found.group(1)), int(found.group(2))
            called[row] = called.get(row, 0) | int(found.group(3), 16)
        return lines

    def look_at_log(self, pattern):
        """dom0's kernel log has a line that matches, and nothing raw; nor had the console, where errors appear."""
        log = self.machine.run("dmesg")
        for text in log, self.machine.seen():
            lines = [line for line in text.splitlines() if re.search(pattern, line)]
            assert lines, f"no line matches {pattern}:\n" + "\n".join(log.splitlines()[-20:])
            assert not [line for line in lines if not line.replace("\t", "").isprintable()], lines
        raw = [line for line in log.splitlines() if re.search(r"[\0-\x08\x0b-\x1f\x7f-\x9f]", line)]
        assert not raw, f"raw in dom0's kernel log: {raw}"

    def census(self):
        """What there is (tests/system/census.py), once a first guest has made dom0 take memory for good."""
        if self.free is None:
            self.run(types.SimpleNamespace(name="hello", settings={}, peers=[], timeout=60, together=False))
            self.look_over()
        return census.take(self.machine)

    def look_over(self, grows=False):
        """Nothing of the guests is left, and the machine has all its memory, but for what dom0's tables may have grown by."""
        m = self.machine
        deadline = time.monotonic() + 20
        while len(m.domains()) > 1 and time.monotonic() < deadline:
            time.sleep(0.3)
        assert list(m.domains()) == ["Domain-0"]
        free = m.free_pages()
        wrong = self.free is not None and free < self.free - 64 * grows
        missing, self.free = (self.free or 0) - free, free
        assert not wrong, f"{missing} pages are missing"


@pytest.fixture(scope="session")
def disk():
    """The test guests, on /images/guests."""
    os.makedirs(OUT, exist_ok=True)
    path = os.path.join(OUT, "images.img")
    args = [os.path.join(TOP, "scripts", "mkimage"), "ext4", path, "--label", "images", "--slack", "32M"]
    images = os.path.join(OUT, "images")
    for name in sorted(os.listdir(images)):
        if os.path.isfile(os.path.join(images, name)) and "." not in name:
            args += ["--add", f"{os.path.join(images, name)}:/guests/{name}"]
    # For the block front end: 1 MiB and a bit, the same each time
    with open(DISK_IMAGE, "wb") as f:
        f.write(random.Random(5).randbytes(DISK_SECTORS * 512))
    args += ["--add", f"{DISK_IMAGE}:/guests/disk.img"]
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL)
    return path


@pytest.fixture(scope="session")
def hosts(disk):
    machines = {}

    def get(harts, icount=False, cpu="", qemu="", cmdline=""):
        host = machines.get((harts, icount, cpu, qemu, cmdline))
        if host and not host.machine.alive():
            live.remove(host.machine)
            host = None
        if not host:
            # One after another: two machines would share this one's processors.
            for other in machines.values():
                if other.machine.alive():
                    other.machine.poweroff()
                    other.machine.kill()
                    live.remove(other.machine)
            machines.clear()
            name = re.sub(r"[^a-z0-9]+", "_", cpu) + (re.sub(r"[^a-z0-9]+", "_", cmdline) + str(harts) if cmdline else "")
            host = Host(harts, disk, icount, name=name, cpu=cpu, qemu=qemu, cmdline=cmdline)
            machines[harts, icount, cpu, qemu, cmdline] = host
        return host

    yield get
    for host in machines.values():
        if host.machine.alive():
            host.machine.poweroff()
        host.machine.kill()


def sources():
    return [os.path.join(HERE, name) for name in sorted(os.listdir(HERE)) if name.endswith(".c") and name != "tap.c"]
