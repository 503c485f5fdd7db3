# SPDX-License-Identifier: BSD-2-Clause
"""Guests with many vCPUs: more than there are harts, coming and going under load, and what they waited."""
import random
import re
import time

import pytest

from test_lives import SEED

# So many processes that never stop; $p has their numbers.
LOAD = "for i in {}; do (while :; do :; done) & p=\"$p $!\"; done"


def cpus(listing):
    """xl vcpu-list of one domain: vCPU → (hart or "-", state, seconds)"""
    rows = [line.split() for line in listing.splitlines()[1:]]
    return {int(r[2]): (r[3], r[4], float(r[5])) for r in rows}


def eight_vcpus(m, toggles):
    """All eight work; then CPUs go off and on at random while a load runs on all of them."""
    print(f"SEED={SEED}")
    rng = random.Random(SEED)
    m.run("xl create -q /etc/xen/demo.cfg vcpus=8", 120)
    with m.guest("demo", 120) as guest:
        assert guest.run("nproc").strip() == "8"
        guest.run("for i in 1 2 3 4 5 6 7 8; do (dd if=/dev/zero bs=64k count=16 2>/dev/null | sha256sum > /tmp/s$i) & done; wait",
                  120)
        assert len(set(guest.run("cat /tmp/s?").split())) == 2  # one sum, and the dash behind it
        guest.run(LOAD.format(" ".join("12345678")))
        switches = "".join(f"echo {rng.randrange(2)} > cpu{rng.randrange(1, 8)}/online; " for _ in range(toggles))
        guest.run(f"cd /sys/devices/system/cpu; {switches} for i in 1 2 3 4 5 6 7; do echo $((i % 2)) > cpu$i/online; done", 300)
        assert guest.run("cat online").strip() == "0-1,3,5,7"
    states = cpus(m.run("xl vcpu-list demo"))
    assert [i for i in states if states[i][0] == "-" and states[i][1] == "--p"] == [2, 4, 6], states
    assert m.domains()["demo"][2] == 5
    with m.guest("demo", 120) as guest:
        guest.run("for i in 2 4 6; do echo 1 > cpu$i/online; done; [ $(cat online) = 0-7 ]; kill $p", 120)
    assert all(s[1] != "--p" for s in cpus(m.run("xl vcpu-list demo")).values())
    m.run("xl destroy demo")


@pytest.mark.grows
def test_eight_vcpus_on_two_harts(dom0):
    eight_vcpus(dom0, 20)


def test_eight_vcpus_on_four_harts(boot):
    eight_vcpus(boot(smp=4, boot_timeout=240, dom0_cmdline="pavise.noauto").boot(), 10)


@pytest.mark.full
def test_eight_vcpus_on_eight_harts(boot):
    eight_vcpus(boot(smp=8, boot_timeout=480, dom0_cmdline="pavise.noauto").boot(), 60)


@pytest.mark.full
@pytest.mark.grows
def test_long_hotplug(dom0):
    eight_vcpus(dom0, 300)


def test_steal_time(dom0):
    """A guest that shares two harts with two others that never stop: what it waited is stolen time in its
    /proc/stat, what it had is what xl says, and a CPU that it had off itself is no theft."""
    dom0.run("xl create -q /etc/xen/demo.cfg vcpus=2", 60)
    with dom0.guest("demo") as guest:
        guest.run("echo 0 > /sys/devices/system/cpu/cpu1/online; sleep 3; echo 1 > /sys/devices/system/cpu/cpu1/online")
        stolen = int(guest.run("grep ^cpu1 /proc/stat").split()[8])
        assert stolen < 150, stolen  # 100 a second
        guest.run("echo 0 > /sys/devices/system/cpu/cpu1/online")
        guest.run("(while :; do :; done) & echo")
    for name in ("hog1", "hog2"):
        dom0.run(f"xl create -q name=\\\"{name}\\\" memory=32 kernel=\\\"/images/test/spin\\\"", 60)

    def look():
        with dom0.guest("demo") as guest:
            text = guest.run("cat /proc/stat /proc/uptime", 60)
        had = cpus(dom0.run("xl vcpu-list demo"))[0][2]
        fields = [int(x) / 100 for x in re.search(r"^cpu0 (.*)$", text, re.M).group(1).split()]
        return fields, float(text.split()[-2]), had

    fields, up, had = look()
    time.sleep(8)
    fields2, up2, had2 = look()
    wall, ran, steal = up2 - up, had2 - had, fields2[7] - fields[7]
    worked = sum(fields2[:3] + fields2[5:7]) - sum(fields[:3] + fields[5:7])
    print(f"in {wall:.1f} s it had {ran:.1f} s; it says {worked:.1f} s of work, {steal:.1f} s stolen")
    assert steal > 0.1 * wall
    assert abs(steal - (wall - ran)) < 0.15 * wall, (wall, ran, steal, worked)
    assert abs(worked - ran) < 0.15 * wall, (wall, ran, steal, worked)
    dom0.run("xl destroy hog1 hog2 demo", 60)
