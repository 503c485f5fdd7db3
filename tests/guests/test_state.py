# SPDX-License-Identifier: BSD-2-Clause
"""A guest in user mode, with floating point and a timer, is stopped wherever it is; a domain made of its state and memory goes
on from there, and one made of that, in the same mode, with the same registers, in a time that stood still meanwhile."""
import time

import pytest


@pytest.mark.parametrize("harts", [1, 4])
def test_copies_go_on(hosts, harts):
    host = hosts(harts)
    m = host.machine
    host.census()
    domid = host.create("pattern", "pattern", {"memory": "8"})
    m.run("xl unpause pattern")
    time.sleep(1)
    try:
        status, said = m.shell.try_run(f"/images/guests/dom0-state {domid} 5", 120)
    finally:
        m.shell.try_run("for d in $(xl list | awk 'NR > 2 { print $2 }'); do xl destroy $d; done")
    print(said)
    assert not status and said.splitlines()[-1] == "all went on", said
    host.look_over(grows=True)
