# SPDX-License-Identifier: BSD-2-Clause
"""U-Boot instead of QEMU loads hypervisor, kernel and initramfs, as on a board (docs/boards.md)."""
import os
import re
import subprocess

import pytest

import machine
from conftest import BUILD, OUT, TOP

ARGS = machine.Config(build=BUILD, cmdline="loglvl=debug", dom0_cmdline="pavise.noauto from=pavise.txt")


@pytest.fixture
def boot_disk(request):
    """boot_disk("Image", …): a disk with boot.scr, pavise.txt and these of the three files."""

    def boot_disk_(*names):
        path = os.path.join(OUT, request.node.name + ".boot.img")
        script, args = path + ".scr", path + ".txt"
        subprocess.run(["mkimage", "-A", "riscv", "-T", "script", "-C", "none", "-d",
                        os.path.join(TOP, "scripts", "uboot", "boot.cmd"), script],
                       check=True, stdout=subprocess.DEVNULL)
        with open(args, "w", encoding="ascii") as f:
            f.write(machine.uboot_args(ARGS))
        files = {"pavise.bin": "hypervisor/pavise.bin", "Image": "linux/Image", "dom0.cpio.gz": "dom0.cpio.gz"}
        add = [f"{script}:/boot/boot.scr", f"{args}:/boot/pavise.txt"]
        add += [f"{os.path.join(BUILD, files[name])}:/boot/{name}" for name in names]
        subprocess.run([os.path.join(TOP, "scripts", "mkimage"), "ext4", path, "--label", "pavise-boot",
                        "--partition", "--slack", "16M"] + [word for item in add for word in ("--add", item)],
                       check=True, stdout=subprocess.DEVNULL)
        return path

    return boot_disk_


def test_boots_dom0_with_its_options(boot, boot_disk):
    m = boot(boot_disk=boot_disk("pavise.bin", "Image", "dom0.cpio.gz")).boot()
    assert re.search(r"^U-Boot 20", m.seen(), re.M), "something else than U-Boot loaded it"
    assert m.run("cat /proc/cmdline").strip() == machine.options(machine.DOM0_CMDLINE, ARGS.dom0_cmdline)
    assert machine.options(machine.CMDLINE, ARGS.cmdline) in m.run("xl info")
    # All harts, the disk for guests, and a guest
    assert m.run("nproc").strip() == "2"
    m.run("xl create -q /etc/xen/demo.cfg", 60)
    with m.guest("demo") as g:
        assert g.run("mount | head -n 1").startswith("/dev/root on / type ext4")
    assert m.poweroff() == 0


def test_missing_file(boot, boot_disk):
    m = boot(boot_disk=boot_disk("pavise.bin", "Image"))
    m.expect(r"Pavise: a file is missing on virtio 0:1, directory /boot/", 90)
