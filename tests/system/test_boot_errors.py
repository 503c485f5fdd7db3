# SPDX-License-Identifier: BSD-2-Clause
"""Machines that Pavise cannot start on: it says what is missing and what to do, and ends visibly."""
import os
import re
import subprocess
import sys

import pytest

import machine


def dies(m, *patterns):
    """With a sentence, and without backtraces: it is no fault of the hypervisor's."""
    assert m.ended(60) == machine.HYPERVISOR_DIED
    assert "backtrace" not in m.seen()
    for pattern in patterns:
        assert re.search(pattern, m.seen()), f"the console has no '{pattern}'"


def test_no_h_extension(boot):
    dies(boot(cpu="rv64,h=off"), r"no hypervisor \(H\) extension", r"-cpu rv64")


def test_no_modules(boot):
    dies(boot(kernel=None, initrd=None), r"no dom0 kernel", r"guest-loader")


def test_no_ramdisk(boot):
    """The kernel alone starts; it is dom0's panic then, and not the hypervisor's silence."""
    m = boot(initrd=None)
    assert m.ended(60) == machine.DOM0_CRASHED
    assert "Unable to mount root" in m.seen()


def test_kernel_is_no_image(boot):
    dies(boot(kernel="/etc/passwd"), r"(no|not a).*RISC-V.*Image")


def test_too_little_memory(boot):
    dies(boot(mem="256M", cmdline="dom0_mem=1G"), r"too little memory", r"MEM=|-m ")


def test_bad_option(boot):
    dies(boot(cmdline="dom0_mem=plenty"), r"dom0_mem=plenty")


def test_too_much_for_dom0(boot):
    """The advice is about the option, with a number that works."""
    m = boot(mem="1G", cmdline="dom0_mem=8G")
    dies(m, r"too little memory for dom0_mem=8G: \d+ MiB are free", r"dom0_mem=\d+M .*MEM=4G")


def test_misspelt_option(boot):
    m = boot(cmdline="dom0_men=512M xsm=silo", dom0_cmdline="pavise.noauto")
    m.expect(r"option dom0_men=512M is not known, ignored", 60)
    m.expect(r"xsm=silo\)", 60)
    assert "option xsm" not in m.seen()


@pytest.mark.parametrize("variable, message", [
    ("SMP=abc", "SMP=abc: want a number of harts"), ("SMP=0", "SMP=0: want a number"), ("MEM=much", "MEM=much: want a size"),
    ("QEMU_EXTRA='", "QEMU_EXTRA: No closing quotation"), ("DATA=/", "DATA=/: Is a directory")])
def test_bad_variable(variable, message):
    """Before anything is built, in one sentence."""
    name, value = variable.split("=", 1)
    done = subprocess.run([sys.executable, machine.__file__, "--check"], env=dict(os.environ, **{name: value}),
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr, done.stderr
