# SPDX-License-Identifier: BSD-2-Clause
"""xl migrate between two machines with one hart each, as docs/migration.md makes them: one link, one disk, ssh.

A Linux guest whose root is on that disk goes there and back: its programs, what they have written, its connection, its console and its
clocks go on. All orders of deaths are tests/unit/tools/test_xl_migrate_kill.sh's.
"""
import os
import re
import shutil
import time

import pytest

from conftest import BUILD, OUT
from storage import free_ports, make_xfs, shared_disk
from test_dom0 import ALONE

ADDRESS = ("10.9.0.1", "10.9.0.2", "10.9.0.3")  # the hosts', the guest's
CONFIG = "/etc/xen/moves.cfg"

# What it does all the while: it counts on its disk, on one connection to the first host, and on its console; writes to its memory; and looks at two clocks.
PROGRAMS = f"""
(i=0; while :; do i=$((i+1)); echo $i > /root/count; usleep 50000; done) > /dev/null 2>&1 &
(i=0; while :; do i=$((i+1)); echo line $i; usleep 50000; done | nc {ADDRESS[0]} 7000) > /dev/null 2>&1 &
(i=0; while :; do i=$((i+1)); echo "tick $i." > /dev/console; sleep 1; done) > /dev/null 2>&1 &
(while :; do
	dd if=/dev/urandom of=/tmp/page bs=64k count=8 2>/dev/null
	sum=$(sha256sum < /tmp/page)
	usleep 300000
	[ "$(sha256sum < /tmp/page)" = "$sum" ] || echo memory >> /root/back
done) > /dev/null 2>&1 &
(last=0 day=0; while read now rest < /proc/uptime; do
	now=${{now%.*}}${{now#*.}} today=$(date +%s)
	[ $now -ge $last -a $today -ge $day ] || echo $last $now $day $today >> /root/back
	last=$now day=$today
	usleep 50000
done) > /dev/null 2>&1 &
"""


def log_in(m, other, address):
    """m's root may log in to the other."""
    public = m.run("mkdir -p /root/.ssh && dropbearkey -t ed25519 -f /root/.ssh/id_dropbear 2>/dev/null | grep '^ssh-'").strip()
    other.run("mkdir -p /etc/dropbear")
    other.shell.write_file("/etc/dropbear/authorized_keys", public)
    m.run(f"until ssh -y {address} xl list > /dev/null 2> /tmp/ssh.log; do sleep 1; done", 60)


def start(boot, disks, config):
    """Two hosts with one link, and a guest on the first; config(m, whether it is that): sed's script that makes its configuration from the demo's."""
    ports = free_ports()
    both = [boot(smp=1, dom0_cmdline=ALONE, shared=disk, link=link) for disk, link in zip(disks, (ports, ports[::-1]))]
    for m, address in zip(both, ADDRESS):
        m.boot()
        # Nobody answers it here.
        m.run(f"killall udhcpc; ip addr flush dev xenbr0; ip addr add {address}/24 dev xenbr0")
    for m, other, address in zip(both, both[::-1], ADDRESS[1::-1]):
        log_in(m, other, address)
        m.run(f"sed '{config(m, m is both[0])}; s,^memory = .*,memory = 64,' /etc/xen/demo.cfg > {CONFIG}")
    both[0].run(f"xl create -q -w {CONFIG}", 60)
    return both


@pytest.fixture
def hosts(boot):
    disk = os.path.join(OUT, "shared.img")
    shutil.copyfile(os.path.join(BUILD, "demo.img"), disk)
    return start(boot, (disk, disk), lambda m, _: f"s,/images/demo.img,{shared_disk(m)},")


@pytest.fixture
def apart(boot):
    """Hosts that have no disk in common, but each an XFS."""
    def config(m, first):
        m.run(f"mkdir -p /mnt && mount -t xfs {shared_disk(m)} /mnt", 60)
        if first:
            m.run("cp /images/demo.img /mnt/demo.img && sync", 120)
        return "s,/images/demo.img,/mnt/demo.img,"

    disks = []
    for n in range(2):
        disks.append(make_xfs(os.path.join(OUT, f"xfs{n}.img")))
    return start(boot, disks, config)


def begin(m):
    # With the terminal as its input it would be stopped for reading from it.
    m.send("tail -f /dev/null | nc -l -p 7000 > /tmp/lines &\n")
    m.shell.settle()
    with m.guest("demo") as g:
        g.run(f"killall udhcpc; ip addr flush dev eth0; ip addr add {ADDRESS[2]}/24 dev eth0")
        g.run(f"until ping -c 1 -W 1 {ADDRESS[0]} > /dev/null; do sleep 1; done", 60)
        g.script(PROGRAMS)
        g.run("dd if=/dev/urandom of=/root/data bs=64k count=32 conv=fsync 2>/dev/null; sha256sum < /root/data > /root/sum", 60)
        g.run("until [ -s /root/count ]; do usleep 100000; done", 60)


def ticks(m):
    """What its console has counted in its present life on m, or its last one: each has a log of its own."""
    return [int(n) for n in re.findall(r"tick (\d+)\.", m.run("cat /var/log/xen/console/guest-demo.log"))]


def goes_on(both, m, count, sent, told=()):
    """It is on m, and its programs go on from where they were; told: what its console has in earlier logs. The numbers that they have come to."""
    with m.guest("demo") as g:
        g.run(f"until [ $(cat /root/count) -gt {count} ] 2>/dev/null; do usleep 100000; done", 60)
        g.run("sync; echo 3 > /proc/sys/vm/drop_caches; [ \"$(sha256sum < /root/data)\" = \"$(cat /root/sum)\" ]", 60)
        g.run("dd if=/dev/urandom of=/root/data bs=64k count=32 conv=fsync 2>/dev/null; sha256sum < /root/data > /root/sum", 60)
        g.run("[ ! -e /root/back ] || { cat /root/back; false; }")
        log = g.run("dmesg")
        assert not re.search(r"BUG|WARNING|Oops|Call Trace|I/O error|EXT4-fs error|blocked for more", log), log[-4000:]
        now = int(re.search(r"(?m)^(\d+)$", g.run("cat /root/count")).group(1))
        here = int(re.search(r"(?m)^(\d+)$", g.run("date +%s")).group(1))
    assert now > count
    assert abs(here - int(m.run("date +%s"))) <= 3
    both[0].run(f"until [ $(grep -c . /tmp/lines) -gt {sent + 10} ]; do usleep 100000; done", 60)
    got = [int(n) for n in re.findall(r"(?m)^line (\d+)$", both[0].run("cat /tmp/lines"))]
    assert got == list(range(1, len(got) + 1)), "its connection has lost or doubled something"
    counted = [*told, *ticks(m)]
    assert counted == list(range(1, len(counted) + 1)), "its console has lost or doubled something"
    return now, len(got)


def left_behind(m):
    """Of a guest that is no more."""
    m.wait_gone("demo")
    assert list(m.domains()) == ["Domain-0"]
    m.run("until [ -z \"$(ls /sys/class/net/xenbr0/brif | grep vif)\" ]; do usleep 100000; done", 30)
    for path in "/local/domain/0/backend/vbd", "/local/domain/0/backend/vif", "/vm", "/tool/pavise":
        assert not m.shell.try_run(f"xenstore-list {path} 2>/dev/null")[1].strip(), path
    assert not m.run("ls /run/xen/migrate 2>/dev/null; true").strip()


@pytest.mark.parametrize("ways", ["WS", pytest.param("WWSSWSWWSW", marks=pytest.mark.full)])
def test_there_and_back(hosts, ways):
    """Whole, so that it notices nothing, or suspended by itself; the former is what happens if nobody asks."""
    begin(hosts[0])
    count, sent = goes_on(hosts, hosts[0], 0, 0)
    told = []
    for n, way in enumerate(ways):
        here, there = hosts[n % 2], hosts[1 - n % 2]
        began = time.monotonic()
        print(here.run(f"xl migrate -{way} demo {ADDRESS[1 - n % 2]}", 180))
        print(f"move {n + 1} (-{way}): {time.monotonic() - began:.1f} s")
        left_behind(here)
        told += ticks(here)
        count, sent = goes_on(hosts, there, count, sent, told)
    here = hosts[len(ways) % 2]
    here.run("xl shutdown -w demo", 60)
    left_behind(here)
    assert [m.poweroff() for m in hosts] == [0, 0]


def bridge_port(m, mac):
    """Where m's bridge has last heard that address: the interface's name."""
    # struct __fdb_entry of the kernel: address, port, whether it is the bridge's own, ...
    for line in m.run("hexdump -v -e '16/1 \"%02x\" \"\\n\"' /sys/class/net/xenbr0/brforward").split():
        if line.startswith(mac.replace(":", "")):
            return m.run(f"for p in /sys/class/net/xenbr0/brif/*; do [ $(($(cat $p/port_no))) != {int(line[12:14], 16)} ] || echo ${{p##*/}}; done").strip()
    return None


@pytest.mark.full
def test_neighbours(hosts):
    """One that says nothing, as it stays paused: the bridges on both sides know where it is now."""
    here, there = hosts
    begin(here)
    with here.guest("demo") as g:
        mac = g.run("cat /sys/class/net/eth0/address").strip()
        # Heard at the other end of the link
        g.run(f"until ping -c 1 -W 1 {ADDRESS[1]} > /dev/null; do sleep 1; done", 60)
    assert bridge_port(here, mac).startswith("vif") and bridge_port(there, mac).startswith("eth")
    print(here.run(f"xl migrate -W -p demo {ADDRESS[1]}", 180))
    assert "p" in there.run("xl list demo").splitlines()[1].split()[4]
    assert bridge_port(there, mac).startswith("vif") and bridge_port(here, mac).startswith("eth")
    there.run("xl destroy demo", 60)


@pytest.mark.full
def test_disks_go_along(apart):
    here, there = apart
    begin(here)
    count, sent = goes_on(apart, here, 0, 0)
    # Much is other while the first round is on its way.
    with here.guest("demo") as g:
        g.script("(while :; do dd if=/dev/urandom of=/root/more bs=64k count=64 conv=fsync; sleep 1; done) > /dev/null 2>&1 &")
    print(here.run(f"xl migrate --copy-disks demo {ADDRESS[1]}", 300))
    left_behind(here)
    assert here.run("ls -A /mnt").split() == ["demo.img"]
    goes_on(apart, there, count, sent, ticks(here))
    there.run("xl shutdown -w demo", 60)
    # What is on its disk there is all of it.
    there.run(f"xl create -q -w {CONFIG}", 60)
    with there.guest("demo") as g:
        log = g.run("find / -xdev -type f -exec cat {} + > /dev/null; [ \"$(sha256sum < /root/data)\" = \"$(cat /root/sum)\" ] && dmesg", 60)
    assert not re.search(r"I/O error|EXT4-fs (error|warning)", log), log[-4000:]
    there.run("xl destroy demo", 60)


@pytest.mark.full
def test_given_up(hosts):
    """Ctrl-C while its memory is on its way; a target that has no way to its disk. It goes on where it was, and nothing is left there."""
    here, there = hosts
    begin(here)
    count, sent = goes_on(hosts, here, 0, 0)
    here.send(f"xl migrate demo {ADDRESS[1]}\n")
    there.run("until xl list | grep -q '^demo--incoming '; do usleep 100000; done", 60)
    here.send("\x03")
    here.shell.settle()
    count, sent = goes_on(hosts, here, count, sent)
    there.run("until ! xl list | grep -q demo; do sleep 1; done", 90)
    left_behind(there)
    disk = shared_disk(there)
    there.run(f"mv {disk} /dev/away")
    out = here.fails(f"xl migrate demo {ADDRESS[1]}", 180)
    assert disk in out, out
    count, sent = goes_on(hosts, here, count, sent)
    left_behind(there)
    there.run(f"mv /dev/away {disk}")
    print(here.run(f"xl migrate demo {ADDRESS[1]}", 180))
    goes_on(hosts, there, count, sent, ticks(here))
