# SPDX-License-Identifier: BSD-2-Clause
"""The demo guest as a user meets it: the first screen, its disk."""
import re


def test_first_screen(boot):
    """What make run promises: a greeting, both domains, demo# on an ext4 root that is a PV disk,
    and what is written there survives a shutdown."""
    m = boot().boot()
    assert "This is dom0, Pavise's control domain." in m.seen()
    table = m.domains()
    assert set(table) == {"Domain-0", "demo"}
    assert table["demo"][1:3] == (128, 1)
    with m.guest("demo") as demo:
        assert re.search(r"^/dev/(root|xvda) ", demo.run("df /"), re.M)
        assert re.search(r"^/dev/(root|xvda) / ext4 ", demo.run("cat /proc/mounts"), re.M)
        assert demo.run("cat /sys/hypervisor/type").strip() == "xen"
        assert "vbd-51712" in demo.run("ls /sys/bus/xen/devices")
        demo.run("echo written by the first life > /root/note")
    m.run("xl shutdown -w demo; xl create /etc/xen/demo.cfg", 120)
    with m.guest("demo") as demo:
        assert demo.run("cat /root/note").strip() == "written by the first life"
    assert m.poweroff() == 0


def test_console_log_from_the_first_byte(demo):
    demo.wait_prompt("demo")
    log = demo.run("cat /var/log/xen/console/guest-demo.log")
    # The last life's log, at least, begins with the kernel's first line.
    assert re.search(r"\[ +0\.000000\] Linux version 6\.12", log)
    assert "Run /sbin/init as init process" in log
