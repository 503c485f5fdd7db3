# SPDX-License-Identifier: BSD-2-Clause
"""pvabi/runtime/examples: each does what its first lines say, and is small."""
import os
import re
import types
import zlib

import pytest

from conftest import DISK_IMAGE, DISK_SECTORS, OUT

KIB = 1024


def example(name, peers=(), **settings):
    return types.SimpleNamespace(name=name, settings=settings, peers=[(p, {}) for p in peers], timeout=60, together=False)


@pytest.mark.parametrize("name", ["hello", "pingpong", "blockread", "netecho"])
def test_size(disk, name):
    assert os.path.getsize(os.path.join(OUT, "images", name)) <= 200 * KIB


def test_hello(hosts):
    lines = hosts(1).run(example("hello", vcpus="3", memory="20", extra="one two"))
    assert lines[0] == "Hello from hello: 3 vCPUs, 20 MiB"
    assert lines[1:3] == ["argument 1: one", "argument 2: two"]


def test_blockread(hosts):
    lines = hosts(1).run(example("blockread", disk='["/images/guests/disk.img,raw,xvda,r"]'))
    with open(DISK_IMAGE, "rb") as f:
        crc = zlib.crc32(f.read())
    assert f"{DISK_SECTORS} sectors, CRC-32 {crc:08x}," in lines[0]


def test_pingpong(hosts):
    lines = hosts(1).run(example("pingpong", peers=["pingpong"]))
    assert re.match(r"domain \d+: \d{5,} events in \d+ us", lines[0])


def udp_answers(m, address, port):
    """Frames that come back for a datagram: busybox has no better client than tftp."""
    frames = f"cat /sys/class/net/vif$(xl domid netecho).0/statistics/rx_packets"
    before = int(m.run(frames))
    m.run(f"timeout 2 tftp -g -r x -l /dev/null {address} {port}; true", 20)
    return int(m.run(frames)) - before


def test_netecho(hosts):
    host = hosts(1)
    m = host.machine
    # DHCP may still be at work
    shown = m.run("for i in $(seq 100); do ip -4 addr show xenbr0 | grep inet && break; sleep 0.2; done", 60)
    net = re.search(r"inet (\d+\.\d+\.\d+)\.\d+/", shown).group(1)
    host.create("netecho", "netecho", {"vif": '[""]', "extra": f"{net}.77"})
    try:
        m.run("xl unpause netecho")
        log = "/var/log/xen/console/guest-netecho.log"
        m.run(f"for i in $(seq 100); do grep -q answers {log} && break; sleep 0.2; done; grep answers {log}", 40)
        answer = m.run(f"ping -c 5 -s 1000 -W 5 {net}.77", 60)
        assert "5 packets received" in answer, answer
        assert udp_answers(m, f"{net}.77", 8) == 0
        assert udp_answers(m, f"{net}.77", 7) > 0
        # It does nothing for that itself: the runtime answers.
        m.run("xl shutdown -w netecho", 60)
        assert "ended with poweroff" in m.run("tail -3 /var/log/xen/xl-netecho.log")
    finally:
        m.shell.try_run("xl destroy netecho", 60)
    host.look_over()
