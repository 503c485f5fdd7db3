# SPDX-License-Identifier: BSD-2-Clause
"""No hypercall and no other exit keeps a hart from its interrupts for long, measured in instructions by a hypervisor
built with CONFIG_LATENCY: its own clock at each exit, each look for interrupts, and each return."""
import os
import re

import pytest

from conftest import BUILD, Guest, HERE, Host, live

LIMIT_NS = 100000


def report(m):
    """(hypercall, operation): (ns, from, to) since the last report."""
    before = len(m.seen())
    m.run("xl debug-keys l", 60)
    found = re.findall(r"latency: (\d+)\.(\d+) (\d+) ns, from (.*) to (.*)", m.seen()[before:])
    assert found, "the hypervisor was built without CONFIG_LATENCY"
    return {(int(nr), int(op)): (int(ns), a, b) for nr, op, ns, a, b in found}


def check(what, rows):
    slow = sorted(rows.items(), key=lambda row: -row[1][0])
    text = [f"{what}: hypercall {nr}, operation {op} (64: other exits): {ns / 1000:.1f} us from {a} to {b}"
            for (nr, op), (ns, a, b) in slow]
    print("\n".join(text[:8]))
    return [line for line, (_, (ns, _, _)) in zip(text, slow) if ns > LIMIT_NS]


@pytest.fixture(scope="module")
def host(disk):
    hypervisor = os.path.join(BUILD, "latency", "hypervisor", "pavise")
    h = Host(1, disk, icount=True, hypervisor=hypervisor, name="latency", cmdline="fork=unsafe")
    yield h
    h.machine.poweroff()
    h.machine.kill()
    live.remove(h.machine)


def test_steps_between_looks_for_interrupts(host):
    m, slow = host.machine, []
    report(m)
    # The largest that fits: extents of 1 GiB and of 2 MiB, and their way back
    domid = host.create("big", "start", {"memory": "1280"})
    slow += check("create", report(m))
    m.run(f"/images/guests/dom0-log {domid}", 60)
    slow += check("its dirty log", report(m))
    m.run("xl destroy big", 60)
    slow += check("destroy", report(m))
    domid = host.create("cow", "cow", {"memory": "256"})
    m.run(f"xl unpause cow; sleep 1; /images/guests/dom0-fork {domid}", 60)
    slow += check("its forks", report(m))
    m.run("xl destroy cow", 60)
    host.create("heavy", "heavy", {"memory": "32", "max_event_channels": "131071"})
    m.run("xl unpause heavy")
    m.expect(r"heavy: done", 120)
    slow += check("a domain with as much as one may have", report(m))
    m.run("xl destroy heavy", 60)
    slow += check("its end", report(m))
    for n in range(20):
        host.create(f"one{n}", "start", {"memory": "4", "vcpus": "8"})
    slow += check("many domains", report(m))
    for command in "xl list -v", "xl info", "xl dmesg", "xl vcpu-list":
        m.run(f"{command} > /dev/null", 60)
        slow += check(command, report(m))
    m.run("for i in $(seq 0 19); do xl destroy one$i; done", 120)
    slow += check("many ends", report(m))
    host.run(Guest(os.path.join(HERE, "latency.c")))
    slow += check("latency", report(m))
    assert not slow, "\n".join(slow)
    host.look_over()
