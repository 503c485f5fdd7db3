# SPDX-License-Identifier: BSD-2-Clause
"""What the hypervisor of make test-debug (CONFIG_LOCK_CHECK) says of its locks after a busy time on several harts. A wrong order
has ended the machine by then; how long harts waited and held is printed, for whoever reads: on a machine shared with others
it says nothing that a test could insist on."""
import os
import re

import pytest

from conftest import HERE, Guest, Host, live

HYPERVISOR = os.environ.get("HYPERVISOR", "")
pytestmark = pytest.mark.skipif("debug" not in HYPERVISOR, reason="make test-debug's")

# What the guests below and their creation cannot do without
USED = {"end of a domain", "domain", "grant table", "events", "map handles", "page list", "p2m", "small objects", "heap",
        "domain list", "scheduler", "timers", "console"}


def report(m):
    """kind of lock: (times, longest wait and longest hold in ns, who waited, who held) since the last report"""
    before = len(m.seen())
    m.run("xl debug-keys k", 60)
    found = re.findall(r"lock: ([a-z0-9 ]+): (\d+) times, longest wait (\d+) ns in (\S+), longest hold (\d+) ns in (\S+)",
                       m.seen()[before:])
    assert found, "the hypervisor was built without CONFIG_LOCK_CHECK"
    return {name: (int(times), int(wait), int(hold), waiter, holder)
            for name, times, wait, waiter, hold, holder in found}


@pytest.mark.parametrize("harts", [2, 4])
def test_order_and_time_of_locks(disk, harts):
    h = Host(harts, disk, name=f"locks{harts}")
    m = h.machine
    report(m)
    # Domains are made and ended beside the races, so that domctls meet.
    m.shell.write_file("/run/round.cfg", 'kernel = "/images/guests/start"\nmemory = 64\nvcpus = 4\non_poweroff = "destroy"')
    m.run("(while [ ! -e /run/stop ]; do xl create -q /run/round.cfg name=round; xl destroy round; done) > /dev/null 2>&1 & true")
    for name in "adv_grant", "adv_event", "adv_memory":
        h.run(Guest(os.path.join(HERE, name + ".c")))
    m.run("touch /run/stop; wait", 60)
    found = report(m)
    for name, (times, wait, hold, waiter, holder) in found.items():
        print(f"{harts} harts: {name}: {times} times, waited {wait / 1000:.1f} us in {waiter}, held {hold / 1000:.1f} us in {holder}")
    unused = {name for name in USED if not found[name][0]}
    assert not unused, f"never taken: {unused}"
    m.poweroff()
    m.kill()
    live.remove(m)
