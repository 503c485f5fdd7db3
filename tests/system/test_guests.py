# SPDX-License-Identifier: BSD-2-Clause
"""Several guests and larger ones: disks side by side, an initramfs, more vCPUs."""
import base64
import re
import struct

import pytest

CONFIG = """
name = "{name}"
kernel = "/images/boot/Image"
root = "/dev/xvda rw"
extra = "console=hvc0"
memory = 96
vcpus = {vcpus}
disk = [ "format=raw, vdev=xvda, access=rw, target=/images/{name}.img",
         "/images/test/{data}.img,raw,xvdb,r",
         "format=raw, vdev=xvdc, access=rw, target=/images/{name}.out" ]
"""


@pytest.mark.grows
def test_two_guests_at_once(dom0, disk):
    """Two guests read and write at the same time; every byte is where it belongs."""
    guests = {"one": "data1", "two": "data2"}
    try:
        for name, data in guests.items():
            dom0.run(f"cp /images/demo.img /images/{name}.img; "
                     f"truncate -s {disk.DATA_MIB}M /images/{name}.out", 60)
            dom0.shell.write_file(f"/tmp/{name}.cfg", CONFIG.format(name=name, data=data, vcpus=1))
        for name in guests:
            dom0.run(f"xl create -q /tmp/{name}.cfg", 60)
        for name in guests:
            with dom0.guest(name, prompt="demo") as guest:
                # In the background, so that the other one starts before this one is done
                guest.run("((for i in 1 2 3; do cat /dev/xvdb > /dev/xvdc; sync; done; "
                          "sha256sum /dev/xvdb /dev/xvdc > /root/sums; touch /root/done) "
                          "> /root/log 2>&1 &)")
        for name, data in guests.items():
            with dom0.guest(name, prompt="demo") as guest:
                guest.run("while [ ! -e /root/done ]; do sleep 0.2; done", 120)
                sums = guest.run("cat /root/sums")
                assert [line.split()[0] for line in sums.splitlines()] == [disk.sha256[data]] * 2, sums
                # Read-only means that the guest cannot write
                guest.fails("dd if=/dev/zero of=/dev/xvdb bs=4096 count=1 conv=fsync")
        dom0.run("xl shutdown -w -a", 90)
        for name, data in guests.items():
            assert dom0.run(f"sha256sum /images/{name}.out", 60).split()[0] == disk.sha256[data]
            assert dom0.run(f"sha256sum /images/test/{data}.img", 60).split()[0] == disk.sha256[data]
    finally:
        dom0.shell.try_run("xl destroy one two 2>/dev/null; rm -f /images/one.* /images/two.*", 60)


def elf_headers(size, memory):
    """Those of a vmlinux: Linux's addresses, code and data in segments that meet within a page."""
    first = 0x200800
    segments = [(5, 4096, 0, first, first), (6, 4096 + first, first, size - first, memory - first)]
    head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, 0xffffffff80000000, 64, 0, 0, 64, 56,
                                                    len(segments), 0, 0, 0)
    for flags, offset, place, filesz, memsz in segments:
        head += struct.pack("<IIQQQQQQ", 1, flags, offset, 0xffffffff80000000 + place, place, filesz, memsz, 4096)
    return head


def test_elf_guest(dom0):
    """A vmlinux, made of the Image that is there."""
    size = int(dom0.run("stat -c %s /images/boot/Image"))
    memory = struct.unpack("<Q", base64.b64decode(dom0.run("dd if=/images/boot/Image bs=8 skip=2 count=1 2>/dev/null | base64")))[0]
    dom0.run(f"echo {base64.b64encode(elf_headers(size, memory)).decode()} | base64 -d > /tmp/vmlinux")
    dom0.run("dd if=/images/boot/Image of=/tmp/vmlinux bs=4096 seek=1 2>/dev/null", 60)
    # dom0's zstd is Debian's. It keeps as much of what it has unpacked as it can here.
    dom0.run("zstd -q -1 --long=27 /tmp/vmlinux", 120)
    dom0.run("xl create -q name=\\\"elf\\\" kernel=\\\"/tmp/vmlinux.zst\\\" memory=128 "
             "ramdisk=\\\"/images/test/initrd.gz\\\" extra=\\\"console=hvc0\\\"", 60)
    with dom0.guest("elf", prompt="guest") as guest:
        assert guest.run("cat /sys/hypervisor/type").strip() == "xen"
    dom0.run("xl shutdown -w elf; head -c 1000000 /tmp/vmlinux.zst > /tmp/half.zst", 60)
    out = dom0.fails("xl create -q name=\\\"half\\\" memory=128 kernel=\\\"/tmp/half.zst\\\"", 60)
    assert "/tmp/half.zst: cannot be unpacked beyond its first" in out, out
    dom0.run("rm /tmp/vmlinux /tmp/vmlinux.zst /tmp/half.zst")


def test_initramfs_guest(dom0):
    """No disk at all: a ramdisk from the configuration, and the root console in it. Kernel and ramdisk are compressed."""
    dom0.run("gzip -c /images/boot/Image > /tmp/Image.gz", 60)
    dom0.run("xl create -q name=\\\"mini\\\" kernel=\\\"/tmp/Image.gz\\\" memory=128 "
             "ramdisk=\\\"/images/test/initrd.gz\\\" extra=\\\"console=hvc0\\\"", 60)
    with dom0.guest("mini", prompt="guest") as guest:
        assert guest.run("cat /sys/hypervisor/type").strip() == "xen"
        assert "control_d" not in guest.run("cat /proc/xen/capabilities")
        assert not re.search("xvd", guest.run("cat /proc/partitions"))
    dom0.run("xl shutdown -w mini", 60)
    # Half of it, and with something behind it: dom0's gzip is busybox's
    dom0.run("head -c 1000000 /tmp/Image.gz > /tmp/half.gz; echo more >> /tmp/Image.gz", 60)
    for name, reason in {"half": "cannot be unpacked beyond its first", "Image": "trailing garbage"}.items():
        out = dom0.fails(f"xl create -q name=\\\"mini\\\" memory=128 kernel=\\\"/tmp/{name}.gz\\\"", 60)
        assert f"/tmp/{name}.gz: {reason}" in out, out
    dom0.run("rm /tmp/Image.gz /tmp/half.gz")
    assert "mini" not in dom0.domains()


@pytest.mark.grows
def test_more_vcpus_than_harts(dom0):
    """Four vCPUs on two harts, all of them busy."""
    dom0.run("xl create -q /etc/xen/demo.cfg vcpus=4", 90)
    with dom0.guest("demo", 90) as guest:
        assert guest.run("nproc").strip() == "4"
        guest.run("(for i in 1 2 3 4; do (j=0; while [ $j -lt 3000 ]; do j=$((j + 1)); done) & done; wait)", 120)
        online = guest.run("cat /sys/devices/system/cpu/online").strip()
        assert online == "0-3"
    lines = dom0.run("xl vcpu-list demo").splitlines()
    assert len(lines) == 5
