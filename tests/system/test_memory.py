# SPDX-License-Identifier: BSD-2-Clause
"""dom0 out of memory, or of room on its root: who pays, and that all that guests need goes on."""
import re

# Names and pids of what must live
KEEPERS = "for n in xenstored xenconsoled supervise xl; do echo $n $(pidof $n | tr ' ' '\\n' | sort -n); done"


def keepers(m):
    return {name: pids.split() for name, pids in re.findall(r"^([a-z]+) ([\d ]+)$", m.run(KEEPERS), re.M)}


def test_hogs(demo):
    """Most of it in files of a tmpfs, which ending a process does not free, and two processes that want the rest."""
    m = demo
    before = keepers(m)
    assert len(before["xl"]) == 2 and len(before["xenstored"]) == 1 and len(before["xenconsoled"]) == 1, before
    for name, pids in before.items():
        for pid in pids:
            assert m.run(f"cat /proc/{pid}/oom_score_adj").strip() == "-999", name
    assert m.run("cat /proc/self/oom_score_adj").strip() == "0"
    # Some room stays, or nothing that the kernel could end would help.
    m.run("mkdir -p /tmp/hog && mount -t tmpfs -o size=$(($(awk '/MemAvailable/ { print $2 }' /proc/meminfo) - 65536))k "
          "hog /tmp/hog")
    mark = len(m.seen())
    m.shell.try_run("dd if=/dev/zero of=/tmp/hog/files bs=1M 2>/dev/null", 120)
    for _ in range(2):
        m.send("dd if=/dev/zero of=/dev/null bs=150M &\n")
    for _ in range(2):
        m.expect(r"Out of memory: Killed process", 120)
    # The shell may be among them: then there is another one.
    for _ in range(60):
        m.send("stty -echo; rm -f /tmp/hog/*; umount /tmp/hog; echo \"cleaned$((1 + 1))\"\n")
        m.drain(2)
        if "cleaned2" in m.seen()[mark:]:
            break
    else:
        raise AssertionError("no shell after the hogs:\n" + m.tail())
    m.shell.settle()
    m.shell.try_run("killall dd; umount /tmp/hog; rmdir /tmp/hog")
    assert "System is deadlocked on memory" not in m.seen()[mark:]
    assert keepers(m) == before
    killed = set(re.findall(r"Killed process \d+ \((\S+)\)", m.seen()[mark:]))
    assert not killed & {"xenstored", "xenconsoled", "supervise", "xl"}, killed
    m.run("xl list demo; xl destroy demo", 60)
    m.run("xl create -q /etc/xen/demo.cfg", 60)


def test_who_starts_the_starters(demo):
    """xenstored and what starts it again, killed in one moment."""
    m = demo
    m.run("xenstore-write /seen yes")
    m.run("kill -9 $(pidof supervise) $(pidof xenstored) $(pidof xenconsoled)")
    m.run("until [ $(pidof supervise | wc -w) = 3 ] && pidof xenstored && pidof xenconsoled; do sleep 1; done", 60)
    assert m.run("xenstore-read /seen").strip() == "yes"
    m.run("xenstore-rm /seen")
    assert m.domains().keys() == {"Domain-0", "demo"}
    m.run("xl shutdown -w demo", 120)


def test_file_systems_in_memory_are_bounded(dom0):
    """All of them full still leaves room for the programs."""
    sizes = dom0.run("stat -f -c '%b %S' / /run /tmp /dev/shm")
    total = sum(int(blocks) * int(size) for blocks, size in re.findall(r"(\d+) (\d+)", sizes))
    memory = int(re.search(r"MemTotal: +(\d+)", dom0.run("cat /proc/meminfo")).group(1)) << 10
    assert memory / 4 < total < memory * 3 / 4, (sizes, memory)


def test_full_root(dom0):
    """Guests come and go all the same, and a log that could not be written is not called empty."""
    m = dom0
    m.shell.write_file("/tmp/loud.cfg", 'name = "loud"\nkernel = "/images/test/farewell"\nmemory = 8\non_crash = "destroy"')
    m.run("rm -f /var/log/xen/console/guest-loud.log*; dd if=/dev/zero of=/root/fill bs=64k 2>/dev/null; "
          "dd if=/dev/zero of=/root/fill2 bs=1k 2>/dev/null; ! echo x > /root/more 2>/dev/null || stat -f /")
    try:
        _, out = m.shell.try_run("xl create -w /tmp/loud.cfg", 60)
        assert "guest-loud.log lacks what it printed last: the file system is full" in out, out
        assert "printed nothing" not in out
        m.run("xl create -q /etc/xen/demo.cfg", 60)
        m.run("kill -9 $(pidof xenstored) $(pidof xenconsoled); sleep 2; "
              "until pidof xenstored && pidof xenconsoled; do sleep 1; done", 60)
        m.run("xl destroy demo", 60)
    finally:
        m.run("rm -f /root/fill /root/fill2 /root/more")
    _, out = m.shell.try_run("xl create -w /tmp/loud.cfg", 60)
    assert "Its last lines, from /var/log/xen/console/guest-loud.log" in out and "lacks" not in out, out
