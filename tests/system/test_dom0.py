# SPDX-License-Identifier: BSD-2-Clause
"""dom0 alone: its start, its devices, its end, its crash; and the hypervisor's own console."""
import hashlib
import re

import machine
from test_kernels import base, hardened
from test_native import check_devices

CTRL_A = "\x01"
ALONE = "pavise.noauto"


def test_boot_log(boot):
    """Version, harts, ISA, engine, memory and modules are named; dom0 finds its machine, and its kernel is hardened."""
    m = boot(dom0_cmdline=ALONE).boot()
    hardened(m.run)
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
    """It comes back, with its kernel elsewhere: one time in five hundred that is the same place."""
    m = boot(dom0_cmdline=ALONE).boot()
    first = base(m.run)
    for _ in range(3):
        m.send("reboot\n")
        m.expect("OpenSBI v", 60)
        m.boot()
        if base(m.run) != first:
            break
    assert base(m.run) != first
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
    assert "Shutting down demo: at most 300 s" in m.seen()
    assert "Destroying" not in m.seen()


KEY_PROMPT = r"debug key \(h lists them, Enter leaves\): "


def debug_keys(m):
    m.send(CTRL_A * 3)
    m.expect(KEY_PROMPT)


def test_debug_keys(boot):
    """Ctrl-A three times and back; each key shows something and does no harm. A terminal's answers are no keys."""
    m = boot().boot()
    debug_keys(m)
    m.send("h")
    m.expect(r"d +domains and vCPUs")
    for key, shows in (("d", r"d0:"), ("r", r"."), ("e", r"d0"), ("g", r"."), ("m", r"memory: \d+ pages"),
                       ("0", r"(?i)sepc|pc ")):
        m.send(key)
        m.expect(shows)
        m.expect(KEY_PROMPT)
    # What a terminal says to ESC[6n, and to the question for a title that a guest has set
    m.send("\x1b[40;1R\x1b]lRyCyFyWy\x1b\\m")
    m.expect(r"memory: \d+ pages")
    m.expect(KEY_PROMPT)
    for key in "RCFW":
        m.send(key)
        m.expect(r"\? y/N ")
        m.send("n")
        m.expect("Not done")
        m.expect(KEY_PROMPT)
    for leave in ("\r", "q", CTRL_A * 3):
        m.send(leave)
        m.expect("Input goes to Domain 0")
        m.run("true")
        if leave[0] != CTRL_A:
            debug_keys(m)
    # Nor does an answer switch to them
    m.send("\x1bP0$r" + CTRL_A * 3 + "\x1b\\")
    m.drain(0.5)
    assert m.seen().count("Input goes to the hypervisor") == 3
    m.send("\x15\n")
    m.run("true")
    # The same, asked for from dom0
    m.run("xl debug-keys m")
    assert re.search(r"memory: \d+ pages", m.run("xl dmesg"))
    assert m.poweroff() == 0


def paste(m, shell, lines=160):
    """A text of 7 KB, typed as fast as the line carries it, to a shell that is busy for 3 s before it reads."""
    text = "".join(f"{i:04} all that is typed arrives, however slow one reads\n" for i in range(lines))
    m.send("sleep 3\ncat > /tmp/pasted << 'END'\n" + text + "END\n")
    assert hashlib.md5(text.encode()).hexdigest() in shell.run("md5sum < /tmp/pasted", 60)


def test_input(boot):
    """A single Ctrl-A is dom0's: in the shell's line editor it goes to the start of the line. A long paste arrives whole."""
    m = boot().boot()
    m.run("stty echo")
    m.send(" it works" + CTRL_A + "echo\n")
    m.expect(r"\nit works\r")
    m.send("stty -echo\n")
    m.run("true")
    # What the hypervisor says in the middle of a line does not tear it.
    m.send("echo -n whole; xl debug-keys m; echo line\n")
    m.expect(r"whole\r+\n\(pavise\) memory: \d+ pages[^\r\n]*\r+\n[^\r\n]*wholeline\r")
    paste(m, m.shell)
    with m.guest("demo") as demo:
        paste(m, demo)


def panics(boot, key, cmdline=""):
    m = boot(dom0_cmdline=ALONE, cmdline=cmdline).boot()
    debug_keys(m)
    m.send(key)
    m.expect(r"which ends the machine\? y/N ")
    m.send("y")
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
