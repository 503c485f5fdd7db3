# SPDX-License-Identifier: BSD-2-Clause
"""xl clone of Linux that runs, with its root on a disk of an XFS and an interface: each clone goes on from one moment, is another one on the
network, and neither sees what the others write; the first one may go before them.

Who a clone is, and what fails, is tests/unit/tools/test_xl_clone.sh's; what a fork is, tests/guests/test_fork.py's.
"""
import re

import pytest

from storage import make_xfs, shared_disk
from test_dom0 import ALONE
from test_snapshot import CONFIG, COUNTER, DISK, count

CLONE_KIB = 300  # of the hypervisor's memory, before it has written


def address(g, others):
    """Its address in its interface's network, which is none of the others'."""
    not_theirs = "".join(f" | grep -v '^{a}$'" for a in others)
    return g.run(f"until ip -4 -o addr show eth0 | awk '{{ sub(\"/.*\", \"\", $4); print $4 }}'{not_theirs} | grep .; do sleep 1; done", 90).split()[-1]


@pytest.mark.parametrize("copies", [3, pytest.param(20, marks=pytest.mark.full)])
def test_clones(boot, copies):
    # QEMU 7.2 may set bits in tables that are another clone's as well: who boots it for clones says that they may trust each other.
    m = boot(smp=1, mem="4G", cmdline="fork=unsafe", dom0_cmdline=ALONE, shared=make_xfs(DISK)).boot()
    m.run(f"mkdir -p /mnt && mount -t xfs {shared_disk(m)} /mnt", 60)
    m.run("cp /images/demo.img /mnt/kept.img && sync", 120)
    m.run(f"sed 's,/images/demo.img,/mnt/kept.img,' /etc/xen/demo.cfg > {CONFIG}")
    # Those whom QEMU has no address for take one of 169.254/16.
    m.run("ip addr add 169.254.0.1/16 dev xenbr0")
    m.run(f"xl create -q -w {CONFIG}", 60)
    m.run("xl destroy demo", 60)
    before = m.free_pages()
    m.run(f"xl create -q -w {CONFIG}", 60)
    with m.guest("demo") as g:
        first = address(g, ())
        g.script(COUNTER)
        g.run("dd if=/dev/urandom of=/root/data bs=64k count=32 conv=fsync 2>/dev/null; sha256sum < /root/data > /root/sum; sync", 60)
        g.run("until [ -s /root/count ]; do usleep 100000; done", 60)
        least = count(g)
    names = [f"clone{n}" for n in range(copies)]
    # What the first one writes from then on it gets pages of its own for, once: what a clone takes shows of a template.
    print(m.run(f"xl clone --no-reserve demo {names[0]}; xl template --no-reserve demo gold", 120))
    m.run("sleep 5")
    for name in names[1:]:
        free = m.free_pages()
        print(m.run(f"xl clone -p --no-reserve gold {name}", 120))
        taken = (free - m.free_pages()) * 4
        print(f"{name}: {taken} KiB")
        assert taken <= CLONE_KIB, name
    for name in names[1:]:
        m.run(f"xl unpause {name}")
    with m.guest("demo") as g:
        assert address(g, ()) == first
        g.run("echo demo > /root/mine; sync")
    addresses, random = [first], set()
    for name in names:
        with m.guest(name, prompt="demo") as g:
            addresses.append(address(g, addresses))
            g.run(f"[ ! -e /root/mine ]; echo {name} > /root/mine; sync")
            random.add(g.run("head -c 16 /dev/urandom | md5sum").split()[0])
    assert len(random) == copies
    for a in addresses:
        m.run(f"ping -c 1 -W 10 {a}", 60)
    m.run("xl destroy demo; xl destroy gold", 60)
    for name in names:
        with m.guest(name, prompt="demo") as g:
            now = count(g)
            assert now > least
            g.run(f"until [ $(cat /root/count) -gt {now} ] 2>/dev/null; do usleep 100000; done", 60)
            g.run("sync; echo 3 > /proc/sys/vm/drop_caches; [ \"$(sha256sum < /root/data)\" = \"$(cat /root/sum)\" ]", 60)
            g.run(f"[ \"$(cat /root/mine)\" = {name} ]")
            log = g.run("dmesg")
            assert not re.search(r"BUG|WARNING|Oops|Call Trace|I/O error|EXT4-fs (error|warning)|blocked for more", log), log[-4000:]
    for name in names:
        m.run(f"xl destroy {name}", 60)
    m.run("rm /mnt/clone*.img; umount /mnt")
    # Less than a thousandth of what one guest has: what dom0 needed to have so many at once it keeps.
    assert before - m.free_pages() < 32
    assert m.poweroff() == 0
