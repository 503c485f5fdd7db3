# SPDX-License-Identifier: BSD-2-Clause
"""Other numbers of harts and other CPUs. Features go in pairs, not in all combinations."""
import functools
import re
import subprocess

import pytest

import conftest

OFF = {
    "Sstc and Svpbmt": "sstc svpbmt",
    "Zbb and Svinval": "zbb svinval",
    "Zba and Zihintpause": "zba zihintpause",
    "all that is not needed": "sstc svpbmt svinval svnapot svadu zba zbb zbc zbs zihintpause zicbom zicboz zawrs "
                              "zfa zicond",
}
ON = {
    "Svpbmt and Svinval": "svpbmt svinval",
    "all there is": "sstc svpbmt svinval svnapot svadu zba zbb zbc zbs zihintpause zicbom zicboz zawrs zfh zfa "
                    "zicond sscofpmf v",
}


@functools.cache
def known_features():
    """What this QEMU can switch, by the lower-case name: older ones know less, and other spellings."""
    text = subprocess.run([conftest.QEMU, "-M", "none", "-device", "rv64-riscv-cpu,help"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return {name.lower(): name for name in re.findall(r"^ *([A-Za-z][A-Za-z0-9_]*)=<bool>", text, re.M)}


def cpu(features, value):
    known = known_features()
    return "rv64" + "".join(f",{known[f]}={value}" for f in features.split() if f in known)


def works(m):
    """dom0 and demo both run, with a disk, and end in order."""
    m.boot()
    with m.guest("demo", 120) as guest:
        guest.run("df / && dd if=/dev/zero of=/root/x bs=64k count=16 conv=fsync && rm /root/x", 60)
        guest.run("sleep 0.1")
    assert m.poweroff() == 0


@pytest.mark.parametrize("features", OFF)
def test_without(boot, features):
    works(boot(cpu=cpu(OFF[features], "off")))


@pytest.mark.parametrize("features", ON)
def test_with(boot, features):
    works(boot(cpu=cpu(ON[features], "on")))


@pytest.mark.parametrize("smp", [1, 4])
def test_harts(boot, smp):
    m = boot(smp=smp, boot_timeout=240)
    works(m)
    assert f"harts: {smp}," in m.seen()


@pytest.mark.full
def test_eight_harts(boot):
    works(boot(smp=8, boot_timeout=480))


def test_fewer_vcpus_than_harts(boot):
    m = boot(cmdline="dom0_max_vcpus=1").boot()
    assert m.run("nproc").strip() == "1"
    assert m.info("nr_cpus") == "2"
    m.wait_prompt("demo")
    assert m.poweroff() == 0
