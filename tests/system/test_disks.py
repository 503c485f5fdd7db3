# SPDX-License-Identifier: BSD-2-Clause
"""The same bytes under two names never go to two writers, dom0 being one of them."""
import re

import pytest

CFG = """name = "{name}"
kernel = "/images/test/spin"
memory = 8
disk = [ "format=raw, vdev=xvda, access={access}, target={target}" ]
"""

# A file, its second name, a loop device on each of them, and a disk (loop, so that there is one) with two partitions.
SETUP = """
mkdir -p /images/two /tmp/mnt
cd /images/two
[ -e a ] || { dd if=/dev/zero of=a bs=1M count=0 seek=8 2>/dev/null; ln a hard; mke2fs -F a >/dev/null; }
[ -e b ] || { dd if=/dev/zero of=b bs=1M count=0 seek=8 2>/dev/null; }
printf 'n\\np\\n1\\n2048\\n8191\\nn\\np\\n2\\n8192\\n16383\\nw\\n' | fdisk b >/dev/null
losetup /dev/loop6 a
losetup -P /dev/loop5 b
ls /dev/loop5p1 /dev/loop5p2
mke2fs -F /dev/loop5p1 >/dev/null
"""


@pytest.fixture
def two(dom0):
    dom0.script(SETUP)
    yield dom0
    for name in ("one", "other"):
        dom0.shell.try_run(f"xl destroy {name}", 60)
    dom0.script("umount /tmp/mnt 2>/dev/null; swapoff -a\nfor n in 5 6 7; do losetup -d /dev/loop$n 2>/dev/null; done\n"
                "rm -rf /images/two; rmdir /tmp/mnt")


def config(m, name, target, access="w"):
    m.shell.write_file(f"/tmp/{name}.cfg", CFG.format(name=name, target=target, access=access))
    return f"xl create -q /tmp/{name}.cfg"


def test_two_guests(two):
    """The first gets its disk, the second does not, whichever comes first; other bytes are free."""
    m = two
    file, hard, loop = "/images/two/a", "/images/two/hard", "/dev/loop6"
    disk, part, part2 = "/dev/loop5", "/dev/loop5p1", "/dev/loop5p2"
    for first, second in ((file, loop), (loop, hard), (hard, file), (disk, part), (part, "/images/two/b")):
        m.run(config(m, "one", first), 60)
        out = m.fails(config(m, "other", second), 60)
        assert re.search(rf"other\.cfg:4: disk: {second}: in use by domain 'one' \(as {first}\)", out), out
        out = m.fails(config(m, "other", second, "r"), 60)
        assert "in use by domain 'one'" in out, out
        if first == part:
            m.run(config(m, "other", part2), 60)
            m.run("xl destroy other", 60)
        m.run("xl destroy one", 60)
    m.run(config(m, "one", disk, "r"), 60)
    m.run(config(m, "other", part, "r"), 60)
    m.run("xl destroy one other", 60)


def test_dom0_has_it(two):
    m = two

    def refused(why, *targets):
        for target in targets:
            out = m.fails(config(m, "one", target), 60)
            assert f"{target}: {why}" in out, out

    m.run("mount /dev/loop5p1 /tmp/mnt")
    refused("is mounted in dom0 at /tmp/mnt", "/dev/loop5", "/dev/loop5p1", "/images/two/b")
    assert "is mounted in dom0" in m.fails(config(m, "one", "/dev/loop5", "r"), 60)
    m.run(config(m, "one", "/dev/loop5p2"), 60)
    m.run("xl destroy one", 60)
    m.run("umount /tmp/mnt; mount -o ro /dev/loop6 /tmp/mnt")
    refused("is mounted in dom0 at /tmp/mnt", "/images/two/a", "/images/two/hard", "/dev/loop6")
    m.run(config(m, "one", "/images/two/hard", "r"), 60)
    m.run("xl destroy one; umount /tmp/mnt", 60)
    refused("is mounted in dom0 at /images", "/dev/vda")
    m.run(config(m, "one", "/images/two/hard"), 60)


def test_the_name_of_a_loop_devices_file_is_gone(two):
    """The kernel still knows which file it is."""
    m = two
    m.run("rm /images/two/a")
    m.run(config(m, "one", "/dev/loop6"), 60)
    assert "in use by domain 'one'" in m.fails(config(m, "other", "/images/two/hard"), 60)
