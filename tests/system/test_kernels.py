# SPDX-License-Identifier: BSD-2-Clause
"""The kernel's front ends when their driver lets go, and kernels that are not the one of build/linux."""


def rebind(guest, driver, device):
    guest.run(f"echo {device} > /sys/bus/xen/drivers/{driver}/unbind")
    guest.run(f"echo {device} > /sys/bus/xen/drivers/{driver}/bind")


def test_vif_bound_again(demo):
    """The interface comes back each time, and takes no memory with it: a page pool is a megabyte."""
    demo.wait_prompt("demo")
    with demo.guest("demo") as guest:
        rebind(guest, "vif", "vif-0")
        guest.run("ip link set eth0 up; sleep 0.3")
        before = int(guest.run("awk '/MemFree/ { print $2 }' /proc/meminfo"))
        for _ in range(8):
            rebind(guest, "vif", "vif-0")
            guest.run("for i in $(seq 100); do ip link set eth0 up 2>/dev/null && break; sleep 0.1; done; sleep 0.3; "
                      "ip link show eth0 | grep -q LOWER_UP", 60)
        after = int(guest.run("awk '/MemFree/ { print $2 }' /proc/meminfo"))
    assert before - after < 4096, f"{before - after} KiB are missing"


def test_vbd_bound_again(dom0, disk):
    """A disk whose driver was unbound can be read when it is bound again."""
    dom0.run("xl create -q /etc/xen/demo.cfg disk=\\[\\\"/images/demo.img,raw,xvda,rw\\\",\\\"/images/test/data1.img,raw,xvdb,r\\\"\\]", 60)
    with dom0.guest("demo") as guest:
        for _ in range(3):
            assert disk.sha256["data1"] in guest.run("sha256sum /dev/xvdb", 60)
            rebind(guest, "vbd", "vbd-51728")
            guest.run("for i in $(seq 100); do [ -b /dev/xvdb ] && break; sleep 0.1; done; [ -b /dev/xvdb ]")
    dom0.run("xl shutdown -w demo", 60)
