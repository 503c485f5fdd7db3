# SPDX-License-Identifier: BSD-2-Clause
"""xl snapshot and xl snapshot-revert of Linux with its root on a disk: what has been done to it since is undone, in memory and on the
disk, and of one moment. On XFS, where the disks' files share their blocks, and on what cannot, with --copy.

What fails, and who is killed, is tests/unit/tools/test_xl_snapshot.sh's.
"""
import os
import re

import pytest

from conftest import OUT
from storage import make_xfs, shared_disk
from test_dom0 import ALONE

CONFIG = "/etc/xen/kept.cfg"
DISK = os.path.join(OUT, "snapshots.img")
# It counts in its memory, and has on its disk what it has come to.
COUNTER = "(i=0; while :; do i=$((i+1)); echo $i > /root/count; usleep 10000; done) > /dev/null 2>&1 &"


@pytest.fixture(params=["shared", pytest.param("copied", marks=pytest.mark.full)])
def kept(request, boot):
    """The machine, where the guest's disk lies, and what xl snapshot is told besides."""
    shared = request.param == "shared"
    m = boot(smp=1, dom0_cmdline=ALONE, shared=make_xfs(DISK) if shared else None)
    m.boot()
    place = "/images"
    if shared:
        place = "/mnt"
        m.run(f"mkdir -p /mnt && mount -t xfs {shared_disk(m)} /mnt", 60)
    m.run(f"cp /images/demo.img {place}/kept.img && sync", 120)
    m.run(f"sed 's,/images/demo.img,{place}/kept.img,' /etc/xen/demo.cfg > {CONFIG}")
    yield m, place, "" if shared else "--copy "


def count(g):
    # For a moment, each time, there is nothing in it.
    return int(g.run("until c=$(cat /root/count) && [ \"$c\" ]; do :; done; echo $c"))


def look(m, least, most):
    """It goes on from within those numbers, which its disk and its memory agree in."""
    with m.guest("demo") as g:
        first = count(g)
        assert least <= first < most, (least, first, most)
        g.run(f"until [ $(cat /root/count) -gt {first + 20} ] 2>/dev/null; do usleep 100000; done", 60)
        g.run("sync; echo 3 > /proc/sys/vm/drop_caches; [ \"$(sha256sum < /root/data)\" = \"$(cat /root/sum)\" ] && [ ! -e /root/later ]", 60)
        log = g.run("dmesg")
        assert not re.search(r"BUG|WARNING|Oops|Call Trace|I/O error|EXT4-fs (error|warning)|blocked for more", log), log[-4000:]


def free(m, place):
    return int(m.run(f"sync; df -k {place} | awk 'END {{ print $4 }}'"))


def test_wrecked(kept):
    m, place, how = kept
    m.run(f"xl create -q -w {CONFIG}", 60)
    with m.guest("demo") as g:
        g.script(COUNTER)
        g.run("dd if=/dev/urandom of=/root/data bs=64k count=32 conv=fsync 2>/dev/null; sha256sum < /root/data > /root/sum; sync", 60)
        g.run("until [ -s /root/count ]; do usleep 100000; done", 60)
        least = count(g)
    room = free(m, place)
    print(m.run(f"xl snapshot {how}demo before", 180))
    if not how:
        # The file of its memory lies in /images; of the disk only what it has written since is there twice.
        assert room - free(m, place) < 8 << 10
    with m.guest("demo") as g:
        most = count(g)
    print(m.run("xl snapshot-list"))
    for _ in range(2):
        with m.guest("demo") as g:
            # Further than it can come to before it is looked at again
            g.run(f"until [ $(cat /root/count) -gt {most + 300} ] 2>/dev/null; do usleep 100000; done", 60)
            wrecked = count(g)
            g.run("echo x > /root/later; rm -r /root/data /etc; dd if=/dev/urandom of=/dev/xvda bs=64k seek=16 count=64 conv=fsync 2>/dev/null; true", 60)
        print(m.run("xl snapshot-revert demo before", 180))
        look(m, least, wrecked)
    m.run("xl shutdown -w demo", 60)
    # Its disk is one from which it starts, too.
    m.run(f"xl create -q -w {CONFIG}", 60)
    with m.guest("demo") as g:
        log = g.run("find / -xdev -type f -exec cat {} + > /dev/null; [ \"$(sha256sum < /root/data)\" = \"$(cat /root/sum)\" ] && dmesg", 60)
        assert not re.search(r"I/O error|EXT4-fs (error|warning)", log), log[-4000:]
    m.run("xl shutdown -w demo", 60)
    m.run("xl snapshot-delete demo before", 60)
    assert not m.run(f"find {place}/.snapshots /images/snapshots -mindepth 1 2>/dev/null; true").strip()
    assert m.poweroff() == 0
