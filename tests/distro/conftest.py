# SPDX-License-Identifier: BSD-2-Clause
"""The machine of make test-distro: dom0, and the Debian guest of `make images` twice, which all tests here share.

debian    booted once, ended by the last test: debian.machine, debian.console()
node2     the name of a second guest, made of a copy of the disk when a test first needs it; it runs until the last test
tools     where tests/distro/make-tools' disk is mounted in the guest debian; tools2 in node2
"""
import os
import subprocess
import sys

import pytest

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.abspath(os.environ.get("BUILD") or os.path.join(TOP, "build"))
OUT = os.path.join(BUILD, "tests", "distro")

sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(TOP, "scripts"), os.path.join(TOP, "tests", "system")]

import machine  # noqa: E402
from console import GuestConsole, Machine  # noqa: E402

QEMU = os.environ.get("QEMU") or "qemu-system-riscv64"
# A guest boots in half a minute of a free host; a busy one may take twenty times that.
PATIENCE = int(os.environ.get("PATIENCE") or 900)


class Console(GuestConsole):
    """The same for bash, which would mark pasted text and show pages."""

    def __enter__(self):
        shell = super().__enter__()
        shell.run("bind 'set enable-bracketed-paste off'; export TERM=dumb PAGER=cat SYSTEMD_COLORS=0; dmesg -n 1; cd /root", 60)
        return shell


class Debian:
    """A booted machine with the guest debian, and what was seen of it."""

    def __init__(self):
        os.makedirs(OUT, exist_ok=True)
        self.disk = os.path.join(OUT, "images.img")
        images = os.path.join(BUILD, "images")
        if not os.path.exists(os.path.join(images, "debian.img")):
            pytest.fail(f"{images} has no debian.img: make images")
        tools = os.path.join(OUT, "tools.img")
        subprocess.run([os.path.join(TOP, "tests", "distro", "make-tools"), tools, os.path.join(BUILD, "debian"),
                        os.path.join(BUILD, "linux-distro", "linux-image.deb")], check=True)
        # A file of its own: two names of one would be one disk for both guests.
        copy = os.path.join(OUT, "node2.img")
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", os.path.join(images, "debian.img"), copy], check=True)
        subprocess.run([os.path.join(TOP, "scripts", "mkimage"), "ext4", self.disk, os.path.join(BUILD, "disk"), images,
                        "--add", f"{copy}:/node2.img", "--add", f"{tools}:/tools.img",
                        "--label", "images", "--slack", "2G", "--always"], check=True, stdout=subprocess.DEVNULL)
        os.unlink(copy)
        # The disk keeps what is written: the last test looks at it.
        config = machine.Config(build=BUILD, disk=self.disk, kept=True, mem="3G", qemu=QEMU, cmdline="dom0_mem=512M")
        self.machine = Machine(config, os.path.join(OUT, "debian.log"), PATIENCE)
        self.machine.boot()
        # On a busy host xen-blkback alerts of late work, in the middle of what a guest prints.
        self.machine.run("dmesg -n 1")

    def console(self, name="debian"):
        """The guest's shell, on its console: with debian.console() as g: g.run(…)"""
        return Console(self.machine, name, PATIENCE, f"root@{name}:~")

    def attach_tools(self, name):
        """The disk of make-tools, while the guest runs; where it is mounted."""
        self.machine.run(f"xl block-attach {name} format=raw,vdev=xvdb,access=ro,target=/images/tools.img", 120)
        with self.console(name) as g:
            g.run("udevadm wait -t 600 /dev/xvdb && mkdir -p /mnt/tools && mount -o ro /dev/xvdb /mnt/tools", PATIENCE)
        return "/mnt/tools"


@pytest.fixture(scope="session")
def debian():
    d = Debian()
    yield d
    d.machine.kill()


@pytest.fixture(scope="session")
def tools(debian):
    return debian.attach_tools("debian")


@pytest.fixture(scope="session")
def node2(debian):
    debian.machine.script("""
set -e
sed -e 's/name = "debian"/name = "node2"/' -e 's/hostname=debian/hostname=node2/' -e 's,/images/debian.img,/images/node2.img,' \\
    -e 's/00:00:0d/00:00:0e/' -e 's/^memory = .*/memory = 768/' -e 's/^on_crash = .*/on_crash = "coredump-restart"/' /images/debian.cfg > /images/node2.cfg
xl create -q /images/node2.cfg
""", PATIENCE)
    with debian.console("node2") as g:
        g.run("systemctl is-system-running --wait", PATIENCE)
    return "node2"


@pytest.fixture(scope="session")
def tools2(debian, node2):
    return debian.attach_tools(node2)
