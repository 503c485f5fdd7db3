# SPDX-License-Identifier: BSD-2-Clause
"""Guests that go wrong cost themselves only, and one can read why."""
import re
import time

import pytest

BARE = 'name=\\"bare\\" memory=32 kernel=\\"/images/test/{}\\" {}'


def create_bare(payload, more=""):
    return "xl create -q -w " + BARE.format(payload, more)


def panic(m):
    with m.guest("demo") as guest:
        guest.run("((sleep 1; echo c > /proc/sysrq-trigger) &)")


def test_panic(demo):
    """on_crash = "destroy": it goes, its last words stay in the log."""
    panic(demo)
    demo.wait_gone("demo")
    assert "sysrq triggered crash" in demo.run("tail -50 /var/log/xen/console/guest-demo.log")


def test_panic_goes_on(demo):
    """The toolstack learns of a panic when that is through: panic_print's report comes before the end."""
    with demo.guest("demo") as guest:
        guest.run("echo 2 > /proc/sys/kernel/panic_print")
    panic(demo)
    demo.wait_gone("demo")
    log = demo.run("tail -60 /var/log/xen/console/guest-demo.log")
    assert "sysrq triggered crash" in log and "Mem-Info:" in log, log
    assert "ended with crash: destroy" in demo.run("tail -3 /var/log/xen/xl-demo.log")


def test_early_panic(dom0):
    """Before the first initcall and any console: it is a crash all the same, and the hypervisor's log says why."""
    out = dom0.fails("xl create -q -w /etc/xen/demo.cfg extra=\\\"mem=4M\\\"", 60)
    assert "crash" in out, out
    assert re.search(r"d\d+.*Kernel panic: ", dom0.run("xl dmesg")[-4000:])
    assert "demo" not in dom0.domains()


def test_panic_preserved(dom0):
    dom0.run("xl create -q /etc/xen/demo.cfg on_crash=\\\"preserve\\\"", 60)
    panic(dom0)
    dom0.run("while ! xl list demo | grep -q -- '---sc-\\|----c-'; do sleep 0.3; done", 30)
    assert re.fullmatch(r"---s?-?c-", dom0.domains()["demo"][3])
    dom0.run("xl destroy demo")


def test_panic_restarted(dom0):
    dom0.run("xl create -q /etc/xen/demo.cfg on_crash=\\\"restart\\\"", 60)
    first = dom0.domains()["demo"][0]
    panic(dom0)
    dom0.run(f"while [ \"$(xl domid demo 2>/dev/null || echo {first})\" = {first} ]; do sleep 0.3; done", 60)
    with dom0.guest("demo") as guest:
        guest.run("true")


@pytest.mark.grows
def test_panic_renamed(dom0):
    """on_crash = "rename-restart": the dead one stays to be looked at, another one takes over name and disk."""
    dom0.run("xl create -q /etc/xen/demo.cfg on_crash=\\\"rename-restart\\\"", 60)
    panic(dom0)
    dom0.run("until xl domid demo-1 2>/dev/null && xl domid demo 2>/dev/null; do sleep 0.3; done", 60)
    dom0.wait_prompt("demo")
    assert dom0.domains()["demo-1"][3] == "---sc-"
    assert "51712" not in dom0.run("xl block-list demo-1")
    dom0.run("xl destroy demo-1; xl shutdown -w demo", 90)


WATCHDOG = ("name = \"dog\"\nkernel = \"/images/boot/Image\"\nmemory = 64\non_watchdog = \"{}\"\n"
            "disk = [ \"/images/demo.img,raw,xvda,r\" ]\n"
            "extra = \"console=hvc0 root=/dev/xvda ro rootflags=noload init=/bin/busybox -- sh -c \\\"busybox watchdog -F "
            "-T 3 -t 1 /dev/watchdog & busybox sleep 6; echo patted; kill -STOP $!; busybox sleep 1000\\\"\"\n")


@pytest.mark.parametrize("action", ["preserve", "destroy"])
@pytest.mark.grows
def test_watchdog(dom0, action):
    """A guest that pats its watchdog lives longer than that allows; when it stops, on_watchdog follows."""
    dom0.shell.write_file("/tmp/dog.cfg", WATCHDOG.format(action))
    dom0.run("xl create -q /tmp/dog.cfg", 60)
    domid = dom0.domains()["dog"][0]
    dom0.run("until grep -q patted /var/log/xen/console/guest-dog.log; do sleep 0.3; done", 90)
    assert "s" not in dom0.domains()["dog"][3]
    if action == "preserve":
        dom0.run("until xl list dog | grep -q -- '---s--'; do sleep 0.3; done", 60)
        assert re.search(r" 4 +-$", dom0.run("xl list -v dog").rstrip(), re.M)  # SHUTDOWN_watchdog
        dom0.run("xl destroy dog")
    else:
        dom0.wait_gone("dog", 60)
    assert f"d{domid}: its watchdog fired" in dom0.run("xl dmesg | tail -20")
    assert f"ended with watchdog: {action}" in dom0.run("tail -3 /var/log/xen/xl-dog.log")


def test_jump_into_nowhere(dom0):
    """No memory at the target nor at the trap vector: the guest is killed with a reason."""
    out = dom0.fails(create_bare("nowhere"), 60)
    assert "crash" in out and "jumping into nowhere" in out, out
    log = dom0.run("xl dmesg")
    assert re.search(r"d\d+.*(vector|stvec)", log[-4000:]), log[-4000:]
    assert "bare" not in dom0.domains()


def test_faults_arrive(dom0):
    """Accesses outside of its memory and forbidden instructions are the guest's own traps."""
    out = dom0.run(create_bare("faults"), 60)
    assert "all as expected" in out, out


def test_ends_in_its_first_second(dom0):
    """xl create -w shows the last lines of a guest that dies at once, and fails; without -w its supervisor tells of it on the console."""
    out = dom0.fails(create_bare("farewell"), 60)
    assert "farewell, says the guest" in out, out
    # One that ends in good order is no failure
    dom0.run(create_bare("poweroff"), 60)
    told = "xl: bare: ended (crash) soon after its start; its console's log is /var/log/xen/console/guest-bare.log"
    if told not in dom0.run(create_bare("farewell").replace(" -w", ""), 60):
        dom0.expect(re.escape(told), 30)


def test_no_root(dom0):
    """A Linux that panics early, without a disk; its log says why."""
    dom0.shell.try_run("xl create -q -w /etc/xen/demo.cfg disk=[] root=\\\"/dev/nothing\\\"", 60)
    dom0.wait_gone("demo")
    assert "Unable to mount root" in dom0.run("tail -50 /var/log/xen/console/guest-demo.log")


def test_hogs_share_the_harts(dom0):
    """Three guests that never stop computing: dom0 answers, and each gets its share."""
    names = ("hog1", "hog2", "hog3")
    for name in names:
        dom0.run(create_bare("spin").replace("bare", name), 60)
    begin = {n: float(dom0.run(f"xl list {n}").split()[-1]) for n in names}
    start = time.monotonic()
    dom0.run("sleep 5", 60)
    got = [float(dom0.run(f"xl list {n}").split()[-1]) - begin[n] for n in names]
    wall = time.monotonic() - start
    assert min(got) > wall * 0.2, (got, wall)
    dom0.run("xl destroy hog1 hog2 hog3", 60)
