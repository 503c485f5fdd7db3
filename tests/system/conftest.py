# SPDX-License-Identifier: BSD-2-Clause
"""Machines for the system tests.

boot      starts a machine of one's own, any kind; it is killed after the test
dom0      a machine with two harts that tests share; it is looked over after each test: what a test
          leaves behind (domain, xenstore node, loop device, page) fails that test
"""
import hashlib
import os
import random
import re
import socket
import subprocess
import sys
import types
import urllib.request

import pytest

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(os.environ.get("BUILD") or os.path.join(TOP, "build"))
OUT = os.path.join(BUILD, "tests", "system")
HERE = os.path.dirname(os.path.abspath(__file__))

sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(TOP, "scripts"), HERE]

import census  # noqa: E402
import machine  # noqa: E402
import ociimage  # noqa: E402
from console import Machine  # noqa: E402

QEMU = os.environ.get("QEMU") or "qemu-system-riscv64"
live = []  # machines of which the report shows the console: (machine, length of log at test's start)


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="the long tests as well")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--full"):
        return
    for item in items:
        if "full" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="long (make test-full)"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for m, start in live:
            text = m.seen(0.5)[start:].splitlines()
            if len(text) > 300:
                text = ["(…; all of it is in " + m.log + ")"] + text[-300:]
            report.sections.append((f"console of {os.path.basename(m.log)}", "\n".join(text)))


@pytest.fixture(autouse=True)
def mark_consoles():
    live[:] = [(m, len(m.seen(0))) for m, _ in live]
    yield


# --- what is on the test machines' disk ----------------------------------------------------------

def payloads():
    """Bare guests, each one assembly file with the header of a Linux Image in front."""
    source, out = os.path.join(HERE, "payloads"), os.path.join(OUT, "payloads")
    os.makedirs(out, exist_ok=True)
    images = {}
    for name in sorted(os.listdir(source)):
        if not name.endswith(".S"):
            continue
        stem = os.path.join(out, name[:-2])
        subprocess.run(["riscv64-linux-gnu-gcc", "-nostdlib", "-static", "-no-pie", "-fno-pic", "-march=rv64gc",
                        "-mcmodel=medany", "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments",
                        "-Wl,-T," + os.path.join(source, "payload.lds"), "-I", source, "-o", stem + ".elf", os.path.join(source, name)], check=True)
        subprocess.run(["riscv64-linux-gnu-objcopy", "-O", "binary", stem + ".elf", stem + ".img"], check=True)
        images[name[:-2]] = stem + ".img"
    return images


def programs():
    """For Linux guests, each one C file; as long as a disk can be."""
    source, out = os.path.join(HERE, "payloads"), os.path.join(OUT, "payloads")
    found = {}
    for name in sorted(os.listdir(source)):
        if name.endswith(".c"):
            found[name[:-2]] = path = os.path.join(out, name[:-2])
            subprocess.run(["riscv64-linux-gnu-gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-o", path, os.path.join(source, name)], check=True)
            os.truncate(path, -(-os.path.getsize(path) // 4096) * 4096)
    return found


class Disk:
    """The image for /images: kernel, demo's disk, the bare guests, and data with known content."""

    DATA_MIB = 4

    def __init__(self):
        self.path = os.path.join(OUT, "images.img")
        tree = os.path.join(BUILD, "disk")
        data = {f"data{i}": random.Random(i).randbytes(self.DATA_MIB << 20) for i in (1, 2)}
        self.sha256 = {name: hashlib.sha256(d).hexdigest() for name, d in data.items()}
        args = [os.path.join(TOP, "scripts", "mkimage"), "ext4", self.path, tree, "--label", "images",
                "--slack", "512M"]
        for name, content in data.items():
            path = os.path.join(OUT, name + ".img")
            if not os.path.exists(path) or os.path.getsize(path) != len(content):
                with open(path, "wb") as f:
                    f.write(content)
            args += ["--add", f"{path}:/test/{name}.img"]
        args += ["--add", os.path.join(BUILD, "dom0.cpio.gz") + ":/test/initrd.gz"]
        for path in ociimage.make(BUILD, OUT):
            args += ["--add", f"{path}:/test/{os.path.basename(path)}"]
        qemu_utils = os.path.join(BUILD, "qemu-utils")
        if os.path.exists(qemu_utils):
            args.insert(4, qemu_utils)
        for name, path in [*payloads().items(), *programs().items()]:
            args += ["--add", f"{path}:/test/{name}"]
        subprocess.run(args, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def disk():
    os.makedirs(OUT, exist_ok=True)
    return Disk()


# --- machines ------------------------------------------------------------------------------------

def start(name, disk, boot_timeout=120, **options):
    options.setdefault("disk", disk.path)
    options.setdefault("qemu", QEMU)
    config = machine.Config(build=BUILD, snapshot=True, **options)
    log = os.path.join(OUT, re.sub(r"[^A-Za-z0-9_.,=-]+", "_", name) + ".log")
    m = Machine(config, log, boot_timeout)
    live.append((m, 0))
    return m


def forget(m):
    if m.alive():
        m.drain()
    m.kill()
    live[:] = [x for x in live if x[0] is not m]


@pytest.fixture
def boot(request, disk):
    """boot(smp=…, cpu=…, …): options of scripts/machine.py's Config, or another image for /images. It does not wait for a shell."""
    mine = []

    def boot_(image=None, **options):
        on = types.SimpleNamespace(path=image) if image else disk
        mine.append(start(f"{request.node.name}.{len(mine)}", on, **options))
        return mine[-1]

    # Killed when the report is made: the fixture ends after the hook has seen the console.
    yield boot_
    for m in mine:
        forget(m)


class Shared:
    """The machine that most tests use; started again when a test has broken it."""

    def __init__(self, disk):
        self.disk, self.machine, self.starts, self.free = disk, None, 0, None

    def get(self):
        if self.machine and not self.healthy():
            forget(self.machine)
            self.machine = None
        if not self.machine:
            self.starts += 1
            self.machine = start(f"shared.{self.starts}", self.disk)
            self.machine.boot()
            # The first guest makes dom0 take memory for good (page tables, tracking of grants).
            self.clean()
            self.machine.run("xl create -q -w /etc/xen/demo.cfg", 60)
            self.clean()
            self.free = self.machine.free_pages()
        return self.machine

    def healthy(self):
        try:
            self.machine.run("grep -q dom0 /run/role", 10)
            return True
        except AssertionError:
            return False

    def clean(self):
        m = self.machine
        left = [name for name in m.domains() if name != "Domain-0"]
        for name in left:
            m.shell.try_run(f"xl destroy {name}", 60)
        return left

    def left_behind(self, growth):
        """What should not be there when no guest is. dom0's own tables may have grown by some pages."""
        m, wrong = self.machine, []
        domids = m.run("xenstore-list /local/domain").split()
        if domids != ["0"]:
            wrong.append(f"/local/domain has {domids}")
        for path in ("/local/domain/0/backend/vbd", "/local/domain/0/backend/vif", "/vm", "/tool/pavise"):
            _, out = m.shell.try_run(f"xenstore-list {path} 2>/dev/null")
            if out.strip():
                wrong.append(f"{path} has {out.split()}")
        interfaces = m.run("ls /sys/class/net /sys/class/net/xenbr0/brif").split()
        if sorted(x for x in interfaces if not x.endswith(":")) != ["eth0", "eth0", "lo", "xenbr0"]:
            wrong.append(f"interfaces: {interfaces}")
        loops = m.run("losetup -a")
        if loops.strip():
            wrong.append(f"loop devices: {loops}")
        # One that has ended is init's to take away, which it does in its own time.
        nbd = m.run("ls -d /sys/block/nbd*/backend 2>/dev/null; for p in $(pidof qemu-nbd); do grep -l '^State:.[^Z]' /proc/$p/status 2>/dev/null; done; true")
        if nbd.strip():
            wrong.append(f"network block devices and their servers: {nbd}")
        free = m.free_pages()
        if not 0 <= self.free - free <= growth:
            wrong.append(f"{self.free - free} pages are missing")
        self.free = free
        return wrong


@pytest.fixture(scope="session")
def shared(disk):
    s = Shared(disk)
    yield s
    if s.machine:
        if s.machine.alive() and s.healthy():
            s.machine.poweroff()
        forget(s.machine)


@pytest.fixture
def dom0(request, shared):
    """The shared machine's dom0, with no guest running before and after."""
    m = shared.get()
    before = census.take(m) if request.node.get_closest_marker("census") else None
    yield m
    if not shared.healthy():
        pytest.fail("dom0 no longer answers")
    shared.clean()
    growth = 64 if request.node.get_closest_marker("grows") else 0
    wrong = shared.left_behind(growth)
    if before:
        wrong += census.differences(before, census.take(m), growth)
    assert not wrong, "left behind: " + "; ".join(wrong)


@pytest.fixture
def demo(dom0):
    """The same with demo running."""
    dom0.run("xl create -q -w /etc/xen/demo.cfg", 60)
    return dom0


# --- the network -----------------------------------------------------------------------------------

@pytest.fixture
def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on."""

    def free_port_():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    return free_port_


@pytest.fixture
def fetch():
    """fetch(port, path): what a web server in the machine gives out, as its SHA-256."""

    def fetch_(port, path):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/{path}", timeout=60) as answer:
            return hashlib.sha256(answer.read()).hexdigest()

    return fetch_
