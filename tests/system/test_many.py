# SPDX-License-Identifier: BSD-2-Clause
"""Two hundred guests at once: each is listed, answers on the network, and ends when it is asked to (MANY=N: N of them).

What they need of dom0 is printed (-rP shows it), and so is what the steps took; neither is compared with anything but
what dom0 has.
"""
import json
import os
import re
import subprocess
import time

import pytest

from conftest import BUILD, OUT, TOP
from test_net import address

GUESTS = int(os.environ.get("MANY") or 200)  # below 254, for their addresses
MEMORY = 8  # MiB each

CREATE = """
for n in $(seq {first} {last}); do
	xl create -q /dev/null "name='many$n'" "kernel='/images/test/netecho'" memory={memory} \\
		"vif=['mac=00:16:3e:77:00:$(printf %02x $n)']" "extra='10.77.0.$n'" || exit 1
done
"""


REACH = """
for n in $(seq {last}); do
	for try in 1 2 3; do
		ping -c 1 -W 10 10.77.0.$n > /dev/null && continue 2
		echo again
	done
	echo no answer from $n
done
echo asked
"""


@pytest.fixture
def many(boot):
    """A machine with the guest on its disk, and an address in the guests' net. The hypervisor has what dom0 and guests do not."""
    subprocess.run(["make", "-s", "-C", TOP, "guest", "SRC=pvabi/runtime/examples/netecho.c"], check=True,
                   stdout=subprocess.DEVNULL, env={k: v for k, v in os.environ.items() if k != "MAKEFLAGS"})
    image = os.path.join(OUT, "many.img")
    subprocess.run([os.path.join(TOP, "scripts", "mkimage"), "ext4", image, os.path.join(BUILD, "disk"), "--label", "images",
                    "--slack", "64M", "--add", os.path.join(BUILD, "guests", "netecho") + ":/test/netecho"],
                   check=True, stdout=subprocess.DEVNULL)
    m = boot(image=image, mem="4G", dom0_cmdline="pavise.noauto").boot()
    address(m.shell, "xenbr0")  # or DHCP would take ours away
    m.run("ip addr add 10.77.0.254/24 dev xenbr0")
    yield m
    os.unlink(image)


def available(m):
    """KiB that dom0 could still give to its programs."""
    return int(re.search(r"MemAvailable: +(\d+)", m.run("cat /proc/meminfo")).group(1))


def said(what, begin):
    print(f"{what}: {time.monotonic() - begin:.0f} s")
    return time.monotonic()


@pytest.mark.full
def test_two_hundred(many):
    m = many
    names = {f"many{n}" for n in range(1, GUESTS + 1)}
    before, pages, at = available(m), m.free_pages(), time.monotonic()
    for first in range(1, GUESTS + 1, 25):
        last = min(first + 24, GUESTS)
        m.script(CREATE.format(first=first, last=last, memory=MEMORY), 900)
        at = said(f"created {first} to {last}, {available(m) // 1024} MiB available", at)
    used = before - available(m)
    print(f"dom0: {used // GUESTS} KiB for each guest; hypervisor: {(pages - m.free_pages()) * 4 // GUESTS - MEMORY * 1024} KiB")

    table = m.domains()
    assert set(table) == names | {"Domain-0"}
    assert all("p" not in state and "c" not in state and "d" not in state for _, _, _, state in table.values()), table
    listed = json.loads(m.run("xl list -l", 120))
    assert {d["config"]["c_info"]["name"] for d in listed if d["domid"]} == names
    assert m.run("xl vcpu-list", 120).count("many") == GUESTS
    assert m.run(f"xl network-list $(seq 1 {GUESTS} | sed 's/^/many/')", 300).count("00:16:3e:77:00:") == GUESTS
    at = said("listed", at)

    # An answer from each. Who is asked for its address wakes all others, and while they run three such questions may time out;
    # so who has not answered then is asked again, twice.
    out = m.script(REACH.format(last=GUESTS), 1800)
    assert "no answer" not in out and out.split()[-1] == "asked", out
    at = said(f"reached, {out.count('again')} asked again", at)

    m.run("xl shutdown -a -w", 900)
    assert list(m.domains()) == ["Domain-0"]
    said("ended", at)
    assert m.run("xenstore-list /local/domain").split() == ["0"]
    assert not m.shell.try_run("xenstore-list /local/domain/0/backend/vif 2>/dev/null")[1].strip()
    assert "vif" not in m.run("ls /sys/class/net")
    assert m.poweroff() == 0
