# SPDX-License-Identifier: BSD-2-Clause
"""A guest that writes to its memory in all ways there are is copied while it runs, by what the dirty log tells, and then stopped: no
page that it has written is missed. Harts of the system's QEMU set D; those of newer ones with Svade leave it to a fault."""
import re
import time

import newest
import pytest


def copy_it(host):
    m = host.machine
    host.census()
    domid = host.create("writer", "writer", {"memory": "24", "vcpus": "2"})
    m.run("xl unpause writer")
    time.sleep(1)
    try:
        status, said = m.shell.try_run(f"/images/guests/dom0-log {domid} 3", 120)
    finally:
        m.run("xl destroy writer")
    print(said)
    assert not status and said.splitlines()[-1] == "nothing was missed", said
    host.look_over(grows=True)
    return sum(int(n) for n in re.findall(r"^clean: .*, (\d+) faults", said, re.M))


@pytest.mark.parametrize("harts", [1, 4])
def test_no_written_page_is_missed(hosts, harts):
    assert copy_it(hosts(harts)) == 0


def test_first_writes_fault(hosts):
    qemu, why = newest.fetch()
    if not qemu:
        pytest.skip(why)
    assert copy_it(hosts(2, cpu="rva23s64", qemu=qemu)) > 0
