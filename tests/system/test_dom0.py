# SPDX-License-Identifier: BSD-2-Clause
"""dom0 alone: its start, its devices, its end, its crash; and the hypervisor's own console."""
import re

import machine
from test_native import check_devices

CTRL_A = "\x01"
ALONE = "pavise.noauto"


def test_boot_log(boot):
    """Version, harts, ISA, engine, memory and modules are named; dom0 finds its machine."""
    m = boot(dom0_cmdline=ALONE).boot()
    log = m.seen()
    for pattern in (r"Pavise \d", r"harts: 2", r"ISA: .*rv64", r"engine.*hext", r"memory: .*MiB",
                    r"module: kernel", r"module: ramdisk"):
        assert re.search(pattern, log), f"the boot log has no '{pattern}'"
    assert list(m.domains()) == ["Domain-0"]
    assert m.run("nproc").strip() == "2"
    assert 400 < int(m.run("awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo")) <= 512
    assert m.poweroff() == 0
    assert "Shutting guests down" not in m.seen()


def test_devices(boot, disk, free_port, fetch):
    port = free_port()
    m = boot(dom0_cmdline=ALONE, hostfwd=[(port, 80)]).boot()
    check_devices(m, disk, port, fetch, "xenbr0")
    assert m.poweroff() == 0


def test_reboot(boot):
    m = boot(dom0_cmdline=ALONE).boot()
    m.send("reboot\n")
    m.expect("OpenSBI v", 60)
    m.boot()
    assert m.poweroff() == 0


def test_crash(boot):
    """A dom0 that panics ends the machine, says so, and the exit status tells."""
    m = boot(dom0_cmdline=ALONE).boot()
    m.send("echo c > /proc/sysrq-trigger\n")
    assert m.ended() == machine.DOM0_CRASHED
    assert re.search(r"(?i)(dom0|domain 0|d0\b).*crash", m.seen())


def test_poweroff_takes_guests_along(boot):
    m = boot().boot()
    m.wait_prompt("demo")
    assert m.poweroff() == 0
    assert "Shutting guests down" in m.seen()
    assert "Destroying" not in m.seen()


def debug_keys(m):
    m.send(CTRL_A * 3)
    m.drain(0.5)


def test_debug_keys(boot):
    """Ctrl-A three times and back; each key shows something and does no harm."""
    m = boot().boot()
    debug_keys(m)
    m.send("h")
    m.expect(r"q +domains and vCPUs")
    for key, shows in (("q", r"d0:"), ("r", r"."), ("e", r"d0"), ("g", r"."), ("m", r"memory: \d+ pages"),
                       ("0", r"(?i)sepc|pc ")):
        m.send(key)
        m.expect(shows)
    debug_keys(m)
    m.send("\n")
    m.run("true")
    # The same, asked for from dom0
    m.run("xl debug-keys m")
    assert re.search(r"memory: \d+ pages", m.run("xl dmesg"))
    assert m.poweroff() == 0


def test_ctrl_a_reaches_dom0(boot):
    """A single Ctrl-A is dom0's: in the shell's line editor it goes to the start of the line."""
    m = boot(dom0_cmdline=ALONE).boot()
    m.run("stty echo")
    m.send(" it works" + CTRL_A + "echo\n")
    m.expect(r"\nit works\r")
    m.send("stty -echo\n")
    m.run("true")


def panics(boot, key, cmdline=""):
    m = boot(dom0_cmdline=ALONE, cmdline=cmdline).boot()
    debug_keys(m)
    m.send(key)
    assert m.ended() == machine.HYPERVISOR_DIED
    return m.seen()


def test_panic(boot):
    log = panics(boot, "C")
    assert "asked for by debug key" in log
    assert re.search(r"key_crash", log), "no backtrace with names"


def test_fault(boot):
    """A fault of the hypervisor: registers, a backtrace with names, the vCPU that ran."""
    log = panics(boot, "F")
    assert re.search(r"(?i)\bsepc\b.*[0-9a-f]{8}", log) or re.search(r"(?i)\bpc\b.*[0-9a-f]{8}", log)
    assert re.search(r"key_fault", log)
    assert re.search(r"d\d+ ?v\d+|d0v\d", log)


def test_watchdog(boot):
    log = panics(boot, "W", "watchdog=3")
    assert "watchdog" in log
    assert re.search(r"key_hang|spin", log)
