# SPDX-License-Identifier: BSD-2-Clause
"""Machines that Pavise cannot start on: it says what is missing and what to do, and ends visibly."""
import re

import machine


def dies(m, *patterns):
    assert m.ended(60) == machine.HYPERVISOR_DIED
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
