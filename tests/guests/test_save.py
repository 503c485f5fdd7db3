# SPDX-License-Identifier: BSD-2-Clause
"""xl save and xl restore: a guest that counts goes on with the next number, as often as it is restored, on a clock that stood
still meanwhile, with its console, its nodes and its watch, with its disk and its interface, whose front ends notice nothing; a file
that is cut leaves nothing."""
import re
import time

import pytest

from conftest import census

LOG = "/var/log/xen/console/guest-counter.log"
FILE = "/run/counter.save"
AWAY = 6  # seconds
# What counts, and what it needs: queues.c does so with FIFO event channels, thousands of them, disks.c on a disk.
DISK = "/run/counter.img"
COUNTERS = {"counter": {"memory": "8"}, "queues": {"memory": "24", "max_event_channels": "8191"},
            "disks": {"memory": "8", "disk": f'["{DISK},raw,xvda,w"]'}}


def counts(m, before=""):
    """(number, other vCPU's, ns) of each whole line so far. @before: what the log had before it was begun anew."""
    text = before + m.run(f"cat {LOG}")
    return [tuple(map(int, found)) for found in re.findall(r"^count (\d+) (\d+) (\d+)$", text, re.M)]


def await_count(m, number, before=""):
    """Until it has said that number: none is missing, or twice there."""
    deadline = time.monotonic() + 60
    seen = []
    while time.monotonic() < deadline and (not seen or seen[-1][0] < number):
        time.sleep(0.5)
        seen = counts(m, before)
    assert [n for n, _, _ in seen] == list(range(1, max(len(seen), number) + 1)), m.run(f"tail -20 {LOG}")
    return seen


def start(host, program="counter"):
    host.machine.run(f"truncate -s 1M {DISK}")
    host.create("counter", program, {"vcpus": "2", **COUNTERS[program]})
    host.machine.run("xl unpause counter")
    return await_count(host.machine, 10)


def end(m):
    m.shell.try_run(f"xl destroy counter 2>/dev/null; rm -f {FILE} {DISK} /run/cut.save {LOG}", 60)


def nothing_left(host, before):
    host.look_over(grows=True)
    wrong = census.differences(before, host.census(), 64)
    assert not wrong, "left behind: " + "; ".join(wrong)


@pytest.mark.parametrize("harts", [1, 4])
@pytest.mark.parametrize("program", COUNTERS)
def test_goes_on(hosts, harts, program):
    host = hosts(harts)
    m = host.machine
    before = host.census()
    try:
        start(host, program)
        print(m.run(f"xl save counter {FILE}; ls -l {FILE}", 120))
        assert list(m.domains()) == ["Domain-0"]
        # Its last line may be half there.
        first = m.run(f"cat {LOG}")
        last, other, ns = counts(m)[-1]
        time.sleep(AWAY)
        for _ in range(3):
            m.run(f"rm -f {LOG}")
            print(m.run(f"xl restore {FILE}", 120))
            seen = await_count(m, last + 10, first)
            assert seen[-1][1] > other, "its other vCPU, or its disk, does not go on"
            assert ns < seen[last][2] < ns + (AWAY - 2) * 10**9, "its clock has not stood still"
            m.run("xl destroy counter", 60)
        m.run(f"xl restore {FILE}", 120)
        # The runtime answers, by the watch that it registered in its first life.
        m.run("xl shutdown -w counter", 60)
        assert "ended with poweroff" in m.run("tail -3 /var/log/xen/xl-counter.log")
    finally:
        end(m)
    nothing_left(host, before)


def test_checkpoint_and_cut(hosts):
    host = hosts(1)
    m = host.machine
    before = host.census()
    try:
        start(host)
        m.run(f"xl save -c counter {FILE}", 120)
        # It has not ended, and misses nothing.
        last = counts(m)[-1][0]
        await_count(m, last + 10)
        m.run("xl destroy counter", 60)
        size = int(m.run(f"stat -c %s {FILE}"))
        for part in 100, size // 2, size - 1:
            m.run(f"head -c {part} {FILE} > /run/cut.save")
            assert "the stream is cut short here" in m.shell.fails("xl restore /run/cut.save 2>&1", 120)
            assert list(m.domains()) == ["Domain-0"]
    finally:
        end(m)
    nothing_left(host, before)


def test_interface(hosts):
    """What answers pings goes on doing so, saved and where it is, and has asked nobody for anything meanwhile."""
    host = hosts(1)
    m = host.machine
    before = host.census()
    shown = m.run("for i in $(seq 100); do ip -4 addr show xenbr0 | grep inet && break; sleep 0.2; done", 60)
    address = re.search(r"inet (\d+\.\d+\.\d+)\.\d+/", shown).group(1) + ".78"
    log = "/var/log/xen/console/guest-netecho.log"
    host.create("netecho", "netecho", {"vif": '[""]', "extra": address})
    try:
        m.run("xl unpause netecho")
        m.run(f"for i in $(seq 100); do grep -q answers {log} && break; sleep 0.2; done; grep answers {log}", 40)
        for way in ["-c", "", "-c", ""]:
            assert " 0% packet loss" in m.run(f"ping -c 5 -s 1000 -W 5 {address}", 60)
            print(m.run(f"xl save {way} netecho {FILE}", 120))
            if not way:
                assert list(m.domains()) == ["Domain-0"]
                print(m.run(f"xl restore {FILE}", 120))
        assert " 0% packet loss" in m.run(f"ping -c 5 -s 1000 -W 5 {address}", 60)
        m.run("xl shutdown -w netecho", 60)
        assert "ended with poweroff" in m.run("tail -3 /var/log/xen/xl-netecho.log")
    finally:
        m.shell.try_run(f"xl destroy netecho 2>/dev/null; rm -f {FILE}", 60)
    nothing_left(host, before)
