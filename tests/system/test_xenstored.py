# SPDX-License-Identifier: BSD-2-Clause
"""xenstored is killed and replaced under load, and nobody loses anything.

The load: a guest that writes and reads its disk and compares, and guests that are created, looked into and
destroyed. Kills come from a loop in dom0, at random moments (SEED=N repeats them).
"""
import random
import re

import pytest
from test_lives import SEED

PID = "/run/xenstored/xenstored.pid"
LOG = "/var/log/xen/xenstored.log"
SHORT = '''
name = "short"
memory = 96
vcpus = 1
kernel = "/images/boot/Image"
ramdisk = "/images/test/initrd.gz"
extra = "console=hvc0"
disk = [ "/images/test/data1.img,raw,xvdb,r" ]
'''
# Kills xenstored after each of the pauses given, once it serves again; then on and on, every second, until
# /tmp/enough is there.
KILLER = f"""
n=0
while [ $# -gt 0 ] || [ ! -e /tmp/enough ]; do
	sleep ${{1:-1}}
	[ $# = 0 ] || shift
	old=$(cat {PID})
	kill -9 $old && n=$((n + 1))
	until [ "$(cat {PID})" != "$old" ] && xenstore-exists /local/domain; do sleep 0.05; done
done
echo $n > /tmp/kills
"""
LOAD = """
n=0
while [ ! -e /tmp/stop ]; do
	dd if=/dev/urandom of=/tmp/a bs=64k count=8 2>/dev/null
	cp /tmp/a /b
	sync
	echo 3 > /proc/sys/vm/drop_caches
	cmp /tmp/a /b || touch /tmp/bad
	n=$((n + 1))
	echo $n > /tmp/rounds
done
touch /tmp/ended
"""


def check_log(m):
    """Nothing in xenstored's log that tells of a loss."""
    log = m.run("cat " + LOG)
    for bad in ("differently", "cannot be used", "dropped", "damaged", "no checkpoint", "cannot serve", "by its account"):
        assert bad not in log, log[-3000:]


def taken_up(m):
    return int(m.run(f"grep -c 'taken up' {LOG} || true"))


def start_load(m):
    m.run("dmesg -c > /dev/null")
    with m.guest("demo") as g:
        g.run("rm -f /tmp/stop /tmp/bad /tmp/ended")
        g.write_file("/tmp/load", LOAD)
        g.run("(sh /tmp/load > /dev/null 2>&1 &)")


def stop_load(m):
    """How often the disk was written and read meanwhile."""
    with m.guest("demo") as g:
        g.run("touch /tmp/stop; until [ -e /tmp/ended ]; do sleep 0.1; done", 60)
        g.run("[ ! -e /tmp/bad ]")
        return int(g.run("cat /tmp/rounds"))


def look_into_short(m, disk):
    """It has come up, with its disk."""
    with m.guest("short", 120, prompt="guest") as g:
        assert g.run("sha256sum /dev/xvdb", 120).split()[0] == disk.sha256["data1"]


def lives(m, disk, until, least):
    """Guests come and go until the file is there, at least so many of them."""
    n = 0
    while n < least or m.shell.try_run(f"[ -e {until} ]")[0]:
        m.run("xl create -q /tmp/short.cfg", 180)
        table = m.domains()
        assert "short" in table and "demo" in table, table
        if n % 2:
            look_into_short(m, disk)
        m.run("xl destroy short", 120)
        m.wait_gone("short")
        n += 1
        if n == least:
            m.run("touch /tmp/enough")


def works(m, disk):
    """All of dom0's administration, and what a guest has of its ring, console and devices."""
    assert "demo" in m.domains()
    m.run("xenstore-control check | grep -q OK")
    with m.guest("demo") as g:
        g.run("dd if=/dev/urandom of=/tmp/a bs=64k count=8 2>/dev/null; cp /tmp/a /b; sync; "
              "echo 3 > /proc/sys/vm/drop_caches; cmp /tmp/a /b", 60)
    # The guest's xenbus: it hears of a new device, and both ends agree on it through xenstore.
    m.run("xl network-attach demo", 60)
    with m.guest("demo") as g:
        g.run("until [ -e /sys/class/net/eth1 ]; do sleep 0.2; done", 60)
    m.run("xl network-detach demo 1", 60)
    m.run("xl create -q /tmp/short.cfg", 120)
    look_into_short(m, disk)
    m.run("xl destroy short", 60)
    m.wait_gone("short")
    m.run("! dmesg -c | grep -i 'xenbus.*\\(error\\|fail\\)'")


def killed(m, disk, times, least):
    print(f"SEED={SEED}")
    rng = random.Random(SEED)
    m.shell.write_file("/tmp/killer", KILLER)
    m.shell.write_file("/tmp/short.cfg", SHORT)
    m.run("rm -f /tmp/kills /tmp/enough")
    before = taken_up(m)
    start_load(m)
    pauses = " ".join(f"{rng.uniform(0, 1.6):.2f}" for _ in range(times))
    m.run(f"(sh /tmp/killer {pauses} > /dev/null 2>&1 &)")
    lives(m, disk, "/tmp/kills", least)
    kills, rounds = int(m.run("cat /tmp/kills")), stop_load(m)
    check_log(m)
    assert kills >= times and taken_up(m) - before == kills and rounds >= 2, (kills, taken_up(m) - before, rounds)
    works(m, disk)


@pytest.mark.grows
def test_killed_10_times_under_load(demo, disk):
    killed(demo, disk, 10, 3)


@pytest.mark.full
@pytest.mark.grows
def test_killed_50_times_under_load(demo, disk):
    killed(demo, disk, 50, 15)


@pytest.mark.grows
def test_killed_and_started_again(demo, disk):
    """xl list, xl create, console and disk of a running guest work after it; requests that were on the way are answered."""
    m = demo
    m.shell.write_file("/tmp/short.cfg", SHORT)
    m.run("xenstore-write /lasting value; xenstore-chmod /lasting n0 r5")
    before, ids, names = m.run("xenstore-ls -fp /"), m.domains(), m.run("xenstore-list /local/domain")
    m.run(f"kill -9 $(cat {PID}); xl list")
    works(m, disk)
    # It stops, is asked, and dies without having answered.
    m.run("rm -f /tmp/listed; kill -STOP $(cat %s); (xl list > /tmp/listed &) ; sleep 1; [ ! -s /tmp/listed ]; "
          "kill -9 $(cat %s); until [ -s /tmp/listed ]; do sleep 0.1; done; grep demo /tmp/listed" % (PID, PID), 60)
    works(m, disk)
    # The same domains, and all that was in the store but what devices and guests that came and went have changed.
    assert m.domains()["demo"][0] == ids["demo"][0]
    assert m.run("xenstore-list /local/domain") == names
    after = set(m.run("xenstore-ls -fp /").splitlines())
    missing = [line for line in before.splitlines() if line not in after and "/state" not in line]
    assert not missing, missing
    m.run("xenstore-rm /lasting")
    check_log(m)
    m.run("xl shutdown -w demo", 90)


@pytest.mark.grows
def test_live_update_under_load(demo, disk):
    """Another binary takes over while guests come and go and a disk is used; the process stays, and its clients."""
    m = demo
    m.shell.write_file("/tmp/short.cfg", SHORT)
    m.run("cp /usr/sbin/xenstored /tmp/xenstored-new")
    pid = m.run(f"cat {PID}").strip()
    m.run("rm -f /tmp/updates; xenstore-write /seen 0; "
          "( (xenstore-watch -n 9 /seen > /tmp/seen; echo $? >> /tmp/seen) &)")
    start_load(m)
    m.run("( (for i in 1 2 3 4 5 6; do xenstore-control live-update /tmp/xenstored-new || exit; "
          "xenstore-write /seen $i; sleep 1; done; touch /tmp/updates) > /tmp/update.log 2>&1 &)")
    lives(m, disk, "/tmp/updates", 2)
    assert stop_load(m) >= 2
    assert not m.run("cat /tmp/update.log")
    assert m.run(f"cat {PID}").strip() == pid
    assert m.run(f"readlink /proc/{pid}/exe").strip() == "/tmp/xenstored-new"
    # A client's connection and its watch went along each time: the first event, and one for each write.
    m.run("xenstore-write /seen 7; xenstore-write /seen 8; sleep 1")
    assert m.run("cat /tmp/seen").split() == ["/seen"] * 9 + ["0"]
    check_log(m)
    works(m, disk)
    # Back to the one that the supervisor knows.
    m.run("xenstore-control live-update /usr/sbin/xenstored; rm /tmp/xenstored-new; xenstore-rm /seen")
    assert m.run(f"readlink /proc/{pid}/exe").strip() == "/usr/sbin/xenstored"
