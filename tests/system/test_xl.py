# SPDX-License-Identifier: BSD-2-Clause
"""Each of xl's verbs does what its name says, in Xen's words."""
import re


def test_list(demo):
    header, *lines = demo.run("xl list").splitlines()
    assert header == "Name                                        ID   Mem VCPUs\tState\tTime(s)"
    assert len(lines) == 2
    assert re.fullmatch(r"Domain-0 +0 +512 +2 +r----- +\d+\.\d", lines[0])
    assert re.fullmatch(r"demo +\d+ +128 +1 +[r-][b-]---- +\d+\.\d", lines[1])
    assert len(demo.run("xl list demo").splitlines()) == 2
    demo.fails("xl list nobody")


def test_domid_and_domname(demo):
    domid = demo.run("xl domid demo").strip()
    assert int(domid) == demo.domains()["demo"][0]
    assert demo.run(f"xl domname {domid}").strip() == "demo"
    assert demo.run("xl domname 0").strip() == "Domain-0"
    assert demo.run("xl domid Domain-0").strip() == "0"
    demo.fails("xl domid nobody")
    demo.fails("xl domname 4711")


def test_pause(demo):
    """A paused guest uses no time and does not answer; unpaused it goes on where it was."""
    with demo.guest("demo") as guest:
        guest.run("(while true; do true; done &)")
    demo.run("xl pause demo")
    assert demo.domains()["demo"][3] == "--p---"
    before = demo.run("xl list demo").split()[-1]
    demo.run("sleep 1")
    assert demo.run("xl list demo").split()[-1] == before
    demo.run("xl unpause demo")
    demo.run("sleep 1")
    assert float(demo.run("xl list demo").split()[-1]) > float(before)
    with demo.guest("demo") as guest:
        guest.run("true")


def test_create_paused(dom0):
    dom0.run("xl create -p -q /etc/xen/demo.cfg", 60)
    assert dom0.domains()["demo"][3] == "--p---"
    dom0.run("sleep 0.5")
    assert dom0.run("xl list demo").split()[-1] == "0.0"
    dom0.run("xl unpause demo")
    dom0.wait_prompt("demo")


def test_create_with_console(dom0):
    """xl create -c: the console from the first line on; Ctrl-] leaves it and the guest runs on."""
    dom0.send("xl create -c /etc/xen/demo.cfg\n")
    dom0.expect("Linux version 6", 60)
    dom0.expect("demo# ", 60)
    dom0.leave_console()
    assert "demo" in dom0.domains()


def test_pty(demo):
    """console/tty names a terminal that anything can open, as with Xen; a reader that stops reading holds nobody up."""
    domid = demo.run("xl domid demo").strip()
    assert demo.run(f"xenstore-read /local/domain/{domid}/console/output").strip() == "pty"
    tty = demo.run(f"xenstore-read /local/domain/{domid}/console/tty").strip()
    demo.run(f"test -c {tty} && ls -l {tty} | grep -q '^crw------- .* root'")
    with demo.guest("demo") as guest:
        guest.run("true")
    for _ in range(2):  # people come and go
        demo.run(f"timeout 8 cat {tty} > /tmp/pty & sleep 1; printf 'echo at the $((2 * 2)) p''ty\\n' > {tty}; "
                 "until grep 'at the 4 pty' /tmp/pty; do sleep 0.2; done; kill %1; wait", 30)
    demo.run(f"sleep 1000 < {tty} & xl console demo < /dev/null > /dev/null & sleep 1; kill -STOP %2")
    with demo.guest("demo") as guest:
        # More than a reader's buffers hold, once we have gone
        guest.run("((sleep 3; head -c 3000000 /dev/zero | tr '\\0' x > /dev/hvc0; echo through > /dev/hvc0) &)")
    demo.run("until tail -c 100 /var/log/xen/console/guest-demo.log | grep -q through; do sleep 0.3; done", 120)
    demo.run("kill -CONT %2; kill %1 %2; wait")
    # It is no device of dom0's kernel's. (The shell says of its jobs what they were.)
    demo.run("ls /sys/bus/xen-backend/devices | grep vbd && ! ls /sys/bus/xen-backend/devices | grep console")


def test_shutdown(demo):
    demo.wait_prompt("demo")
    assert "Shutting down domain" in demo.run("xl shutdown -w demo", 60)
    assert list(demo.domains()) == ["Domain-0"]
    demo.fails("xl shutdown demo")


def test_shutdown_from_within(demo):
    with demo.guest("demo") as guest:
        guest.run("((sleep 1; poweroff) > /dev/null 2>&1 &)")
    demo.wait_gone("demo")


def test_reboot(demo):
    """on_reboot = "restart": another domain of the same name."""
    first = demo.domains()["demo"][0]
    demo.wait_prompt("demo")
    demo.run("xl reboot demo", 60)
    demo.wait_restarted("demo", first)
    with demo.guest("demo") as guest:
        assert float(guest.run("cut -d' ' -f1 /proc/uptime")) < 60
    assert demo.domains()["demo"][0] > first


def test_destroy(demo):
    demo.run("xl destroy demo")
    assert list(demo.domains()) == ["Domain-0"]
    demo.fails("xl destroy demo")
    demo.fails("xl destroy 0")
    demo.fails("xl destroy Domain-0")


def test_info(dom0):
    text = dom0.run("xl info")
    keys = dict(re.split(r" *: ?", line, maxsplit=1) for line in text.splitlines())
    assert keys["host"] == "dom0"
    assert keys["release"].startswith("6.12")
    assert keys["nr_cpus"] == "2"
    assert keys["total_memory"] == "2048"
    assert 1024 < int(keys["free_memory"]) < 2048 - 512
    assert keys["xen_major"] == "4"
    assert keys["xen_minor"] == "17"
    assert "riscv64" in keys["xen_caps"]
    assert "dom0_mem=512M" in keys["xen_commandline"]


def test_dmesg(dom0):
    text = dom0.run("xl dmesg")
    assert "Pavise" in text
    assert "engine: hext" in text
    times = [float(t) for t in re.findall(r"^\[ *(\d+\.\d{6})\] ", text, re.M)]
    # The oldest line may be half gone.
    assert len(times) >= len(text.splitlines()) - 1 > 5
    assert times == sorted(times) and times[-1] > 0


def test_rename(demo):
    demo.run("xl rename demo other")
    assert set(demo.domains()) == {"Domain-0", "other"}
    demo.run("xl destroy other")


def test_tables(demo):
    demo.wait_prompt("demo")
    assert re.search(r"^demo +\d+ +0 +[01] +[r-][b-]- ", demo.run("xl vcpu-list"), re.M)
    assert re.search(r"^demo +\d+ +0:0\d:\d\d", demo.run("xl uptime"), re.M)
    assert re.search(r"^51712 .*/local/domain/0/backend/vbd/\d+/51712", demo.run("xl block-list demo"), re.M)


def test_help(dom0):
    text = dom0.run("xl help")
    for verb in ("create", "list", "console", "pause", "unpause", "shutdown", "destroy", "domid", "domname",
                 "info", "dmesg"):
        assert re.search(rf"^ {verb} ", text, re.M), verb
    dom0.fails("xl")
    assert "help" in dom0.fails("xl frobnicate")


def test_xenstore_clients(demo):
    """The store from the shell: what xl wrote, a node of one's own, and a guest's view of it."""
    domid = demo.run("xl domid demo").strip()
    assert demo.run(f"xenstore-read /local/domain/{domid}/name").strip() == "demo"
    demo.run("xenstore-write /test/a 1 /test/b 2")
    assert demo.run("xenstore-list /test").split() == ["a", "b"]
    demo.run("xenstore-rm /test")
    demo.fails("xenstore-read /test/a")


def test_maxmem(dom0):
    """A guest begins with maxmem, goes down to memory by itself, and comes up again when it is told."""
    m = dom0
    m.run("xl create -q /etc/xen/demo.cfg memory=96 maxmem=160", 60)

    def settles_at(mib):
        m.run(f"until [ $(xl list demo | awk 'NR > 1 {{ print $3 }}') = {mib} ]; do sleep 1; done", 60)

    settles_at(96)
    out = m.run("xl list -l demo")
    assert '"max_memkb": 163840, "target_memkb": 98304' in out, out
    m.run("xenstore-write /local/domain/$(xl domid demo)/memory/target $((144 << 10))")
    settles_at(144)
    with m.guest("demo") as g:
        assert int(re.search(r"MemTotal: +(\d+)", g.run("cat /proc/meminfo")).group(1)) > 100 << 10
    m.run("xl shutdown -w demo", 120)
