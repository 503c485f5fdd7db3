# SPDX-License-Identifier: BSD-2-Clause
"""A driver domain: a guest that has back ends for another one; its end and its next life under verified I/O.

dom0's fixture looks afterwards whether a loop device, node or page is left.
"""
import json
import re

import pytest

pytestmark = pytest.mark.grows
DISKS = "/images/driver"
DRIVER = f"""name = "driver"
kernel = "/images/boot/Image"
ramdisk = "/images/test/initrd.gz"
extra = "console=hvc0"
memory = 192
driver_domain = 1
on_crash = "restart"
disk = [ "{DISKS}/disk.img,raw,xvdb,w" ]
vif = [ "mac=00:16:3e:00:00:02" ]
"""
# Writes what it has never written before, and reads it back from the disk, round after round.
IO = """
n=0
while dd if=/dev/urandom of=/tmp/x bs=64k count=16 2>/dev/null; do
	dd if=/tmp/x of=/dev/xvdb bs=64k seek=$((n % 8 * 16)) conv=fsync 2>/dev/null || echo "round $n: write" >> /tmp/bad
	echo 3 > /proc/sys/vm/drop_caches
	dd if=/dev/xvdb bs=64k skip=$((n % 8 * 16)) count=16 2>/dev/null | cmp -s - /tmp/x || echo "round $n: read" >> /tmp/bad
	n=$((n + 1))
	echo $n > /tmp/rounds.new && mv /tmp/rounds.new /tmp/rounds
done
"""


@pytest.fixture
def driver(dom0):
    """The driver domain, demo, and a second subnet on dom0's bridge."""
    dom0.run(f"mkdir -p {DISKS}; truncate -s 32M {DISKS}/disk.img; ip addr add 192.168.77.1/24 dev xenbr0")
    dom0.shell.write_file(f"{DISKS}/driver.cfg", DRIVER)
    dom0.run(f"xl create -q -w {DISKS}/driver.cfg", 60)
    dom0.run("xl create -q -w /etc/xen/demo.cfg memory=256", 60)
    yield dom0
    dom0.shell.try_run("xl destroy demo", 60)
    dom0.shell.try_run("xl destroy driver", 60)
    dom0.run(f"rm -r {DISKS}; ip addr del 192.168.77.1/24 dev xenbr0")


def await_(shell, condition, timeout=60):
    shell.run(f"until {condition}; do usleep 100000; done", timeout)


def goes_on(m, rounds=2):
    """demo's I/O on the disk, and nothing that it has read was wrong."""
    with m.guest("demo") as g:
        g.run("cp /tmp/rounds /tmp/before")
        await_(g, f"[ $(cat /tmp/rounds) -ge $(($(cat /tmp/before) + {rounds})) ]", 90)
        g.run("[ ! -e /tmp/bad ] || { cat /tmp/bad; dmesg | tail; false; }")


def answers(m):
    """demo's packets come through the driver domain's bridge; else what either end says of it."""
    with m.guest("demo") as g:
        flows = g.try_run("n=0; until ping -c 1 -W 1 192.168.77.1 > /dev/null; do n=$((n + 1)); [ $n -lt 60 ] || break; done; [ $n -lt 60 ]", 120)[0] == 0
        end = "" if flows else g.try_run("grep eth1 /proc/net/dev; ip neigh; grep eth1 /proc/interrupts; dmesg | tail", 60)[1]
    if not flows:
        nodes = m.run("d=$(xl domid driver) g=$(xl domid demo); xenstore-ls -f /local/domain/$d/backend; xenstore-ls -f /local/domain/$g/device/vif; ip neigh")
        with m.guest("driver", prompt="driver") as g:
            there = g.try_run("cat /var/log/xen/*.log; ls /sys/class/net/xenbr0/brif; cat /proc/net/dev; dmesg | tail -n 30; grep vif /proc/interrupts", 60)[1]
        raise AssertionError("no answer from 192.168.77.1\n" + end + nodes + there)


def offers(m):
    """How often demo's disk has been offered to the driver domain's next life."""
    return int(m.shell.try_run("grep -c 'vbd 51728 is offered to driver domain' /var/log/xen/xl-demo.log")[1])


def is_back(m, before):
    """Until demo's disk has its back end in the driver domain's next life."""
    await_(m.shell, f"[ $(grep -c 'vbd 51728 is offered' /var/log/xen/xl-demo.log) -gt {before} ]")
    be = m.run("xenstore-read /tool/pavise/$(xl domid demo)/device/vbd/51728").strip()
    await_(m.shell, f"[ \"$(xenstore-read {be}/state 2> /dev/null)\" = 4 ]")


def test_lives(driver):
    """demo's disk outlives the driver domain's crash, its being destroyed and made again, and its reboot."""
    m = driver
    number = int(m.run("xl domid driver"))
    assert "no driver domain" in m.fails("xl block-attach demo vdev=xvdb backend=demo target=/dev/xvdb")
    out = m.fails("xl block-attach demo vdev=xvdb backend=driver target=/dev/none", 60)
    assert "/dev/none does not exist" in out, out
    m.run("xl block-attach demo vdev=xvdb backend=driver target=/dev/xvdb", 60)
    m.run("xl network-attach demo backend=driver mac=00:16:3e:00:00:03", 60)
    disk = json.loads(m.run("xl block-list -l demo"))[1]
    assert disk["backend_domid"] == number and disk["target"] == "/dev/xvdb" and disk["readwrite"], disk
    nic = json.loads(m.run("xl network-list --json demo"))[0]["interfaces"][1]
    assert nic["backend_domid"] == number and nic["mac"] == "00:16:3e:00:00:03", nic
    with m.guest("demo") as g:
        await_(g, "[ -b /dev/xvdb ] && [ -e /sys/class/net/eth1 ]")
        g.write_file("/tmp/io", IO)
        g.run("ip addr add 192.168.77.2/24 dev eth1; ip link set eth1 up; echo 0 > /tmp/rounds; (sh /tmp/io > /dev/null 2>&1 &)")
        await_(g, "ping -c 1 -W 1 192.168.77.1 > /dev/null")
    goes_on(m)

    before = offers(m)
    m.run("xl sysrq driver c")
    is_back(m, before)
    goes_on(m)
    answers(m)

    before = offers(m)
    m.run("xl destroy driver", 60)
    await_(m.shell, "xl block-list --json demo | grep -q 'lost.*is gone'")
    assert re.search(r"driver domain of disk 51728 is gone: start it again", m.fails("xl block-detach demo xvdb"))
    m.run(f"xl create -q -w {DISKS}/driver.cfg", 60)
    is_back(m, before)
    goes_on(m)
    answers(m)

    before = offers(m)
    m.run("xl reboot driver", 60)
    is_back(m, before)
    goes_on(m)
    answers(m)
    assert int(m.run("xl domid driver")) == number

    with m.guest("demo") as g:
        g.run("killall sh 2>/dev/null; ip link set eth1 down")
    m.run("xl block-detach demo xvdb", 60)
    m.run("xl network-detach demo 1", 60)
    with m.guest("demo") as g:
        await_(g, "[ ! -b /dev/xvdb ] && [ ! -e /sys/class/net/eth1 ]")
    # A file of the driver domain's, and its loop device
    with m.guest("driver", prompt="driver") as g:
        g.run("yes file | head -c 65536 > /tmp/file")
    m.run("xl block-attach demo vdev=xvdb readonly backend=driver target=/tmp/file", 60)
    with m.guest("demo") as g:
        await_(g, "[ -b /dev/xvdb ]")
        assert g.run("head -n 1 /dev/xvdb").strip() == "file"
    m.run("xl block-detach demo xvdb", 60)
    with m.guest("driver", prompt="driver") as g:
        assert not g.run("losetup -a; ls /sys/bus/xen-backend/devices").strip()
