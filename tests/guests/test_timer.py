# SPDX-License-Identifier: BSD-2-Clause
"""timer.c where harts have no Sstc: the guest's timer is the hypervisor's, and its interrupt comes by hvip."""
import os

from conftest import HERE, Guest
from test_guests import judge


def test_timer_without_sstc(hosts):
    host = hosts(1, cpu="rv64,sstc=off")
    assert "Sstc" not in host.machine.seen().split("engine: ")[0]
    judge(host.run(Guest(os.path.join(HERE, "timer.c"))))
    host.look_over()
