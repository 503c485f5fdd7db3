# SPDX-License-Identifier: BSD-2-Clause
"""Configurations that cannot work: each has its own clear error, and nothing stays behind (the dom0
fixture looks)."""
import re

import pytest

GOOD = """name = "bad"
kernel = "/images/boot/Image"
extra = "console=hvc0"
root = "/dev/xvda rw"
memory = 128
disk = [ "format=raw, vdev=xvda, access=rw, target=/images/demo.img" ]
"""

# What is wrong: (line to replace, by what, what the message must say)
CASES = {
    "no name": (1, "", r"name: missing"),
    "no kernel": (2, "", r"kernel: missing"),
    "syntax": (5, "memory = = 3", r"bad\.cfg:5:"),
    "unterminated string": (3, 'extra = "console', r"bad\.cfg:3:"),
    "no such kernel": (2, 'kernel = "/images/nothing"', r"bad\.cfg:2:.*kernel.*No such file"),
    "kernel is no Image": (2, 'kernel = "/bin/busybox"', r"bad\.cfg:2:.*kernel.*ELF"),
    "kernel is a directory": (2, 'kernel = "/images"', r"bad\.cfg:2:.*kernel"),
    "kernel is compressed": (2, 'kernel = "/images/test/initrd.gz"', r"bad\.cfg:2:.*kernel.*gzip"),
    "too little memory": (5, "memory = 4", r"bad\.cfg:5:.*memory"),
    "more memory than there is": (5, "memory = 100000", r"bad\.cfg:5:.*memory.*free"),
    "memory is a word": (5, 'memory = "much"', r"bad\.cfg:5:.*memory.*not a number"),
    "no vCPU": (5, "memory = 128\nvcpus = 0", r"bad\.cfg:6:.*vcpus"),
    "no such ramdisk": (4, 'ramdisk = "/images/nothing"', r"bad\.cfg:4:.*ramdisk.*No such file"),
    "no such disk": (6, 'disk = [ "/images/nothing,raw,xvda,rw" ]', r"bad\.cfg:6:.*disk.*No such file"),
    "second disk missing": (6, 'disk = [ "/images/demo.img,raw,xvda,rw",\n"/images/nothing,raw,xvdb,rw" ]',
                            r"bad\.cfg:7:.*disk.*No such file"),
    "a vdev twice": (6, 'disk = [ "/images/demo.img,raw,xvda,r", "/images/demo.img,raw,xvda,r" ]',
                     r"bad\.cfg:6:.*disk.*twice"),
    "no such vdev": (6, 'disk = [ "/images/demo.img,raw,sofa,rw" ]', r"bad\.cfg:6:.*disk.*sofa"),
    "format unknown": (6, 'disk = [ "/images/demo.img,qcow2,xvda,rw" ]', r"bad\.cfg:6:.*disk.*qcow2"),
    "disk is no list": (6, 'disk = "/images/demo.img,raw,xvda,rw"', r"bad\.cfg:6:.*disk.*list"),
    "vif is no list": (4, 'vif = "bridge=xenbr0"', r"bad\.cfg:4:.*vif.*list"),
    "unknown key of vif": (4, 'vif = [ "", "brigde=xenbr0" ]', r"bad\.cfg:4:.*vif.*brigde"),
    "bad MAC": (4, 'vif = [ "",\n"mac=00:16:3e:00:00" ]', r"bad\.cfg:5:.*vif.*mac.*00:16:3e:00:00"),
    "no such vif script": (4, 'vif = [ "script=vif-nothing" ]', r"bad\.cfg:4:.*vif.*vif-nothing.*No such file"),
    "no such bridge": (4, 'vif = [ "",\n"bridge=nobridge" ]', r"bad\.cfg:5:.*vif.*interface 1.*nobridge does not exist"),
    "bridge is no bridge": (4, 'vif = [ "bridge=eth0" ]', r"bad\.cfg:4:.*vif.*eth0.*no bridge"),
    "vifname in use": (4, 'vif = [ "vifname=eth0" ]', r"bad\.cfg:4:.*vif.*eth0 already"),
    "vif script fails": (4, 'vif = [ "script=/bin/false" ]', r"bad\.cfg:4:.*vif.*/bin/false failed.*xen-hotplug\.log"),
    "no such action": (4, 'on_crash = "cry"', r"bad\.cfg:4:.*on_crash.*cry"),
    "Xen's, and changes the guest": (4, 'pci = [ "00:01.0" ]', r"bad\.cfg:4:.*pci.*not supported"),
    "builder": (4, 'builder = "hvm"', r"bad\.cfg:4:.*builder.*hvm.*not supported"),
    "bad name": (1, 'name = "b/d"', r"bad\.cfg:1:.*name"),
    "name is a number": (1, 'name = "12"', r"bad\.cfg:1:.*name"),
}


@pytest.mark.parametrize("case", CASES)
def test_config_error(dom0, case):
    number, text, message = CASES[case]
    lines = GOOD.splitlines()
    lines[number - 1] = text
    dom0.shell.write_file("/tmp/bad.cfg", "\n".join(lines))
    out = dom0.fails("xl create /tmp/bad.cfg", 60)
    assert re.search(message, out), out
    assert list(dom0.domains()) == ["Domain-0"]


def test_no_such_file(dom0):
    assert "No such file" in dom0.fails("xl create /tmp/nothing.cfg")


def test_name_in_use(demo):
    out = demo.fails("xl create /etc/xen/demo.cfg", 60)
    assert re.search(r"demo\.cfg:\d+:.*name.*exists already", out), out
    assert len(demo.domains()) == 2


def test_key_without_effect_is_a_warning(dom0):
    dom0.run("sed 's/^memory/localtime = 1\\nmemory/' /etc/xen/demo.cfg > /tmp/odd.cfg")
    out = dom0.run("xl create /tmp/odd.cfg", 60)
    assert re.search(r"odd\.cfg:\d+:.*localtime.*Xen's, without effect", out), out


def test_override_on_the_command_line(dom0):
    dom0.run("xl create -q /etc/xen/demo.cfg memory=160", 60)
    assert dom0.domains()["demo"][1] == 160


def test_dry_run_creates_nothing(dom0):
    assert 'name = "demo"' in dom0.run("xl create -n /etc/xen/demo.cfg")
    assert list(dom0.domains()) == ["Domain-0"]
