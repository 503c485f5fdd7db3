# SPDX-License-Identifier: BSD-2-Clause
"""The same kernel and initramfs without the hypervisor: what fails here is not Pavise's fault."""
import re


def test_boots_and_powers_off(boot):
    m = boot(native=True).boot("native")
    assert m.run("nproc").strip() == "2"
    assert re.search(r"^/dev/vda on /images type ext4", m.run("mount"), re.M)
    assert "NAME" not in m.run("ls /sys/hypervisor")
    assert m.poweroff() == 0


def test_devices(boot, disk, free_port, fetch):
    port = free_port()
    m = boot(native=True, hostfwd=[(port, 80)]).boot("native")
    check_devices(m, disk, port, fetch)
    assert m.poweroff() == 0


def test_unattended(boot):
    m = boot(native=True, dom0_cmdline='pavise.run="cd /images && ls -1"')
    assert m.ended(90) == 0
    assert re.search(r"^demo\.img$", m.seen(), re.M)
    assert "pavise.run: exit status 0" in m.seen()


def check_devices(m, disk, port, fetch, interface="eth0"):
    """The disk holds what was put there, the network carries it to the host undamaged."""
    data = m.run("sha256sum /images/test/data1.img", 60).split()[0]
    assert data == disk.sha256["data1"]
    # Writes, past the page cache
    m.run("cp /images/test/data1.img /images/copy && sync && echo 3 > /proc/sys/vm/drop_caches", 60)
    assert m.run("sha256sum /images/copy", 60).split()[0] == data
    m.run(f"for i in $(seq 50); do ip addr show {interface} | grep -q 'inet 10.0.2.15' && exit; sleep 0.2; done;"
          " cat /var/log/udhcpc.log; false" .join(("(", ")")), 60)
    m.run("ping -c 1 -W 5 10.0.2.2")
    m.run("httpd -p 80 -h /images/test")
    assert fetch(port, "data1.img") == data
