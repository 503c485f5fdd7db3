# SPDX-License-Identifier: BSD-2-Clause
"""A guest in user mode, with floating point and a timer, is stopped wherever it is; a domain made of its state and memory goes
on from there, and one made of that, in the same mode, with the same registers, in a time that stood still meanwhile. And one that
suspends itself goes on in a domain that knows nothing of it but registers and memory, or where it was."""
import time

import pytest


def go(host, peer, settings, program):
    m = host.machine
    host.census()
    domid = host.create(peer, peer, {"memory": "8", **settings})
    m.run(f"xl unpause {peer}")
    time.sleep(1)
    try:
        status, said = m.shell.try_run(f"/images/guests/{program.format(domid)}", 120)
    finally:
        m.shell.try_run("for d in $(xl list | awk 'NR > 2 { print $2 }'); do xl destroy $d; done")
    print(said)
    assert not status and said.splitlines()[-1] == "all went on", said
    host.look_over(grows=True)


@pytest.mark.parametrize("harts", [1, 4])
def test_copies_go_on(hosts, harts):
    go(hosts(harts), "pattern", {}, "dom0-state {} 5")


@pytest.mark.parametrize("harts", [1, 4])
def test_suspended_ones_go_on(hosts, harts):
    go(hosts(harts), "suspender", {"vcpus": "2"}, "dom0-suspend {} 6")
