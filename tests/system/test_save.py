# SPDX-License-Identifier: BSD-2-Clause
"""xl save and xl restore of Linux, with disks and an interface: its programs, its files, its connection and its clocks go on. Whole, so that it
notices nothing (-W), or suspended by itself (-S).

What dom0 still has of it afterwards its fixture looks for. Guests that notice nothing are tests/guests/test_save.py's.
"""
import re
import time

import pytest

from test_dom0 import ALONE

pytestmark = pytest.mark.grows
DIR = "/images/saved"
FILE = f"{DIR}/demo.save"
DOM0 = "10.0.2.15"
AWAY = 4  # seconds

# A program that counts in its memory and on its disk, and one that sends its numbers over one connection.
PROGRAMS = f"""
(i=0; while :; do i=$((i+1)); echo $i > /root/count; usleep 20000; done) > /dev/null 2>&1 &
(i=0; while :; do i=$((i+1)); echo line $i; usleep 50000; done | nc {DOM0} 7000) > /dev/null 2>&1 &
"""

# What stands still with it (the kernel's log goes by the time CSR), what does not, what time it is, and what was stolen.
CLOCKS = ("echo look > /dev/kmsg; dmesg | sed -n 's/^\\[ *\\([0-9.]*\\)\\] look$/\\1/p' | tail -n 1; cut -d' ' -f1 /proc/uptime; date +%s; "
          "awk '/^cpu / {print $9}' /proc/stat")


@pytest.fixture
def saver(dom0):
    dom0.run(f"mkdir -p {DIR}; truncate -s 16M {DIR}/more.img")
    dom0.run("xl create -q -w /etc/xen/demo.cfg vcpus=2", 60)
    dom0.run(f"xl block-attach demo vdev=xvdb target={DIR}/more.img", 60)
    yield dom0
    dom0.shell.try_run("xl destroy demo; killall nc tail", 60)
    dom0.run(f"rm -r {DIR}; rm -f /tmp/lines")


def begin(m):
    # With the terminal as its input it would be stopped for reading from it.
    m.send("tail -f /dev/null | nc -l -p 7000 > /tmp/lines &\n")
    m.shell.settle()
    with m.guest("demo") as g:
        g.run("until ip addr show eth0 | grep -q ' inet 10'; do usleep 100000; done; until [ -b /dev/xvdb ]; do usleep 100000; done", 60)
        g.script(PROGRAMS)
        g.run("dd if=/dev/urandom of=/dev/xvdb bs=64k count=64 conv=fsync 2>/dev/null; sha256sum < /dev/xvdb > /root/sum", 60)
        g.run("until [ -s /root/count ]; do usleep 100000; done", 60)


def clocks(g):
    """Seconds, of which the last is that of both its CPUs."""
    own, up, date, steal = g.run(CLOCKS).split()
    return float(own), float(up), int(date), int(steal) / 100


def lines(m):
    return [int(n) for n in re.findall(r"(?m)^line (\d+)$", m.run("cat /tmp/lines"))]


def goes_on(m, count, sent):
    """Its programs, from where they were: none has begun anew, and no number is missing or there twice."""
    with m.guest("demo") as g:
        g.run(f"until [ $(cat /root/count) -gt {count} ] 2>/dev/null; do usleep 100000; done", 60)
        g.run("[ \"$(sha256sum < /dev/xvdb)\" = \"$(cat /root/sum)\" ]", 60)
        g.run("dd if=/dev/urandom of=/dev/xvdb bs=64k count=64 conv=fsync 2>/dev/null; sync; echo 3 > /proc/sys/vm/drop_caches; "
              "sha256sum < /dev/xvdb > /root/sum", 60)
        log = g.run("dmesg")
        assert not re.search(r"BUG|WARNING|Oops|Call Trace|I/O error|blocked for more", log), log[-4000:]
        now = int(g.run("cat /root/count"))
    m.run(f"until [ $(grep -c . /tmp/lines) -gt {sent + 20} ]; do usleep 100000; done", 60)
    got = lines(m)
    assert got == list(range(1, len(got) + 1)), "its connection has lost or doubled something"
    assert now > count
    return now, len(got)


def away(m, seconds, save="xl save demo", restore=True):
    """Saved, and restored later. Its clocks before and after, as CLOCKS has them, and how long it took in all."""
    with m.guest("demo") as g:
        before = clocks(g)
    began = time.monotonic()
    print(m.run(f"{save} {FILE}", 120))
    if restore:
        assert list(m.domains()) == ["Domain-0"]
        time.sleep(seconds)
        print(m.run(f"xl restore {FILE}", 120))
    with m.guest("demo") as g:
        return before, clocks(g), time.monotonic() - began


def test_goes_on(saver):
    """Each way, and one after the other: a guest that was left whole can suspend itself where it came to, and the other way round."""
    m = saver
    begin(m)
    count = sent = 0
    for how in "-W", "-S", "-W":
        count, sent = goes_on(m, count, sent)
        before, after, took = away(m, AWAY, f"xl save {how} demo")
        own, up, date, steal = (y - x for x, y in zip(before, after))
        assert 0 < own < took - AWAY + 1, (before, after, took)
        # Only who has suspended himself knows that he was up meanwhile.
        assert (AWAY if how == "-S" else 0) <= up < took - (0 if how == "-S" else AWAY) + 2, (before, after, took)
        assert AWAY <= date < took + 2, (before, after, took)
        assert steal < 2 * (took - AWAY + 1), (before, after, took)
        dom0_date = int(m.run("date +%s"))
        with m.guest("demo") as g:
            assert abs(int(g.run("date +%s")) - dom0_date) <= 3
    goes_on(m, count, sent)
    m.run("xl block-detach demo xvdb", 60)
    m.run("xl shutdown -w demo", 60)


@pytest.mark.parametrize("how", ["-W", "-S"])
def test_cancelled(saver, how):
    """-c, -p, and a file that cannot be written: it goes on where it is, on the rings that it had."""
    m = saver
    begin(m)
    count, sent = goes_on(m, 0, 0)
    domid = m.run("xl domid demo")
    away(m, 0, f"xl save {how} -c demo", restore=False)
    count, sent = goes_on(m, count, sent)
    print(m.run(f"xl save {how} -p demo {FILE}", 120))
    assert "p" in m.run("xl list demo").splitlines()[1].split()[4]
    m.run("xl unpause demo")
    count, sent = goes_on(m, count, sent)
    m.run("mkdir -p /tmp/small && mount -t tmpfs -o size=4m none /tmp/small")
    out = m.fails(f"xl save {how} demo /tmp/small/x", 120)
    assert "No space left on device" in out, out
    m.run("[ -z \"$(ls /tmp/small)\" ] && umount /tmp/small && rmdir /tmp/small")
    goes_on(m, count, sent)
    assert m.run("xl domid demo") == domid
    # What it was then is in the file still: its connection is the other one's by now, its programs go on.
    m.run("xl destroy demo; killall nc tail", 60)


def test_cpus(saver):
    """One that is off stays off, and comes back; what was set of memory and vCPUs counts."""
    m = saver
    m.run("xl vcpu-set demo 1", 60)
    with m.guest("demo") as g:
        g.run("until [ $(cat /sys/devices/system/cpu/online) = 0 ]; do usleep 100000; done", 60)
    away(m, 0)
    with m.guest("demo") as g:
        assert g.run("cat /sys/devices/system/cpu/online").strip() == "0"
    m.run("xl vcpu-set demo 2", 60)
    with m.guest("demo") as g:
        g.run("until [ $(cat /sys/devices/system/cpu/online) = 0-1 ]; do usleep 100000; done", 60)
        # The one that came back gets its interrupts.
        g.run("taskset 2 sleep 0.2; taskset 2 dd if=/dev/xvdb of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null", 60)
    away(m, 0)
    with m.guest("demo") as g:
        assert g.run("cat /sys/devices/system/cpu/online").strip() == "0-1"


def test_over_a_restart(boot):
    """The machine starts again in between."""
    m = boot(dom0_cmdline=ALONE).boot()
    m.run("xl create -q -w /etc/xen/demo.cfg", 60)
    with m.guest("demo") as g:
        g.script("(i=0; while :; do i=$((i+1)); echo $i > /root/count; usleep 20000; done) > /dev/null 2>&1 &")
        g.run("until [ -s /root/count ]; do usleep 100000; done", 60)
    m.run("xl save demo /images/demo.save", 120)
    m.send("reboot\n")
    m.expect("OpenSBI v", 60)
    m.boot()
    m.run("xl restore /images/demo.save", 120)
    with m.guest("demo") as g:
        before = int(g.run("cat /root/count"))
        g.run(f"until [ $(cat /root/count) -gt {before + 20} ] 2>/dev/null; do usleep 100000; done", 60)
        assert float(g.run("cut -d' ' -f1 /proc/uptime")) > 1
    assert m.poweroff() == 0


@pytest.mark.full
def test_many_rounds(saver):
    m = saver
    begin(m)
    count = sent = 0
    for _ in range(25):
        away(m, 0)
        count, sent = goes_on(m, count, sent)
