# SPDX-License-Identifier: BSD-2-Clause
"""Runs each guest and reads its TAP."""
import re

import pytest

from conftest import Guest, census, sources

CASES = [pytest.param(guest, harts, id=f"{guest.name}-{harts}", marks=[pytest.mark.full] if guest.full else [])
         for guest in map(Guest, sources()) for harts in guest.harts]


@pytest.mark.parametrize("guest, harts", CASES)
def test_guest(hosts, guest, harts):
    host = hosts(harts, guest.icount)
    before = host.census() if guest.census else None
    judge(host.run(guest))
    host.look_over(guest.grows)
    if guest.dom0:
        host.look_at_log(guest.dom0)
    if before:
        wrong = census.differences(before, host.census())
        assert not wrong, "left behind: " + "; ".join(wrong)


def judge(lines):
    """TAP: every check is there, in order, and good, and the plan is the last of it."""
    count, bad, plan = 0, [], None
    for line in lines:
        found = re.match(r"^(not )?ok (\d+)\b(.*)", line)
        if found:
            count += 1
            assert int(found.group(2)) == count, f"check {count} is missing before: {line}"
            if found.group(1):
                bad.append(line)
        elif re.match(r"^1\.\.\d+$", line):
            assert plan is None, "two plans"
            plan = int(line[3:])
    assert plan is not None, "no plan: the guest ended early; it printed:\n" + "\n".join(lines[-40:])
    assert plan == count, f"{plan} checks planned, {count} made"
    assert count, "no check at all"
    assert not bad, f"{len(bad)} of {count} checks failed:\n" + "\n".join(bad)
