# SPDX-License-Identifier: BSD-2-Clause
"""Vector registers of two guests and of dom0 never mix: vector.c, twice, beside a program of dom0's that does the same, on one
hart, for registers of two lengths, and on two, between which they go. (Without vectors vector.c is one of test_guests.py's.)"""
import os

import pytest

from conftest import HERE, Guest
from test_guests import judge


@pytest.mark.parametrize("harts, vlen", [(1, 256), pytest.param(1, 128, marks=pytest.mark.full),
                                         pytest.param(2, 128, marks=pytest.mark.full)])
def test_vectors_never_mix(hosts, harts, vlen):
    host = hosts(harts, cpu=f"rv64,v=true,vlen={vlen}")
    m = host.machine
    assert f"vectors: {vlen} bits" in m.seen()
    letters = m.run("cat /proc/device-tree/cpus/cpu@0/riscv,isa").split("_")[0]
    assert "v" in letters[len("rv64"):]
    guest = Guest(os.path.join(HERE, "vector.c"))
    guest.settings["extra"] = f"{vlen // 8} 1"
    guest.peers = [("vector", {**guest.settings, "extra": f"{vlen // 8} 2"})]
    guest.together = True
    # No job of the shell, which would tell of its end
    m.run("( (/images/guests/dom0-vectors /run/vectors.end; echo $?) > /run/vectors.out 2>&1 & )")
    try:
        lines = host.run(guest)
    finally:
        m.run("touch /run/vectors.end; until grep -q '^[0-9]*$' /run/vectors.out; do sleep 0.2; done", 60)
    judge(lines)
    judge(host.peers["vector-vector"])
    said = m.run("cat /run/vectors.out; rm /run/vectors.out /run/vectors.end").splitlines()
    assert said[-1] == "0" and "all kept" in said[0], said
    host.look_over()
