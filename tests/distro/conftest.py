# SPDX-License-Identifier: BSD-2-Clause
"""The machine of make test-distro: dom0 and the Debian guest of `make images`, which all tests here share.

debian    (machine, shell in the guest): booted once, ended by the last test
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
        shell.run("bind 'set enable-bracketed-paste off'; export TERM=dumb PAGER=cat SYSTEMD_COLORS=0; cd /root", 60)
        return shell


class Debian:
    """A booted machine with the guest debian, and what was seen of it."""

    def __init__(self):
        os.makedirs(OUT, exist_ok=True)
        self.disk = os.path.join(OUT, "images.img")
        images = os.path.join(BUILD, "images")
        if not os.path.exists(os.path.join(images, "debian.img")):
            pytest.fail(f"{images} has no debian.img: make images")
        subprocess.run([os.path.join(TOP, "scripts", "mkimage"), "ext4", self.disk, os.path.join(BUILD, "disk"), images,
                        "--label", "images", "--slack", "1G", "--always"], check=True, stdout=subprocess.DEVNULL)
        # The disk keeps what is written: the last test looks at it.
        config = machine.Config(build=BUILD, disk=self.disk, kept=True, mem="3G", qemu=QEMU, cmdline="dom0_mem=512M")
        self.machine = Machine(config, os.path.join(OUT, "debian.log"), PATIENCE)
        self.machine.boot()

    def console(self):
        """The guest's shell, on its console: with debian.console() as g: g.run(…)"""
        return Console(self.machine, "debian", PATIENCE, "root@debian:~")


@pytest.fixture(scope="session")
def debian():
    d = Debian()
    yield d
    d.machine.kill()
