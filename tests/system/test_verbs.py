# SPDX-License-Identifier: BSD-2-Clause
"""xl's verbs on guests that run, and their listings: what a real Linux guest and a real hypervisor make of them."""
import base64
import gzip
import json
import os
import re
import subprocess

import jsonschema

import conftest


def listing(m, verb, schema=None):
    """What a verb prints with --json, as docs/schema says."""
    with open(os.path.join(conftest.TOP, "docs", "schema", (schema or verb.split()[0]) + ".json"), encoding="utf-8") as f:
        schema = json.load(f)
    value = json.loads(m.run(f"xl {verb} --json"))
    jsonschema.Draft7Validator(schema).validate(value)
    return value


def memory(m, name="demo"):
    return m.domains()[name][1]


def guest_kib(guest, key="MemTotal"):
    return int(re.search(rf"{key}: +(\d+)", guest.run("cat /proc/meminfo")).group(1))


def test_memory_under_pressure(dom0):
    """Down and up again, with files in the guest's memory and others that want some; nothing of them changes."""
    m = dom0
    m.run("xl create -q /etc/xen/demo.cfg memory=160", 60)
    with m.guest("demo") as guest:
        before = guest_kib(guest)
        guest.run("mount -t tmpfs -o size=150m none /mnt && dd if=/dev/urandom of=/mnt/a bs=1M count=12 2>/dev/null && "
                  "sha256sum /mnt/a > /mnt/sums && cp /mnt/a /mnt/b", 120)
        # Somebody who wants memory, and gives it back, all the time
        guest.run("(while sleep 0.05; do dd if=/dev/zero of=/dev/null bs=4M count=1 2>/dev/null; done) & true")
    free = m.free_pages()
    m.run("xl mem-set demo 96m", 90)
    assert 95 <= memory(m) <= 96
    assert abs(m.free_pages() - free - 64 * 256) < 600
    for size, why in ((16, "is too little for 'demo', which has started with 160: at least 20 MiB"),
                      (256, "is more than the 160 MiB that 'demo' may have at most")):
        assert why in m.fails(f"xl mem-set demo {size}"), size
    with m.guest("demo") as guest:
        assert before - guest_kib(guest) > 60 << 10
        # It cannot take more than it has been told: its own balloon driver's knob does not help.
        guest.run("echo $((160 * 1024)) > /sys/devices/system/xen_memory/xen_memory0/target_kb; sleep 1")
        guest.run("sha256sum -c /mnt/sums && cmp /mnt/a /mnt/b", 60)
    assert memory(m) <= 98
    m.run("xl mem-set demo 160", 90)
    assert memory(m) == 160
    with m.guest("demo") as guest:
        # More than it had: 96 MiB, with the kernel in them
        guest.run("for i in c d e f g h; do cp /mnt/a /mnt/$i || exit 1; done; "
                  "for i in b c d e f g h; do cmp /mnt/a /mnt/$i || exit 1; done; sha256sum -c /mnt/sums && rm /mnt/?", 120)
    assert "mapped one to one" in m.fails("xl mem-set 0 256")
    m.run("xl pause demo")
    assert "is paused: it comes to 128 MiB" in m.run("xl mem-set demo 128 2>&1")
    m.run("xl unpause demo; until [ $(xl list demo | awk 'NR == 2 { print $3 }') = 128 ]; do sleep 0.2; done")
    # Two at once: one of them wins, whole.
    m.run("xl mem-set demo 112 & xl mem-set demo 140; wait $!; true", 90)
    m.run("until xl list demo | awk 'NR == 2 { exit $3 != 112 && $3 != 140 }'; do sleep 0.2; done", 60)
    domid, has = m.domains()["demo"][:2]
    assert m.run(f"xenstore-read /local/domain/{domid}/memory/target").strip() == str(has * 1024)


def test_vcpus_and_the_next_life(dom0):
    """A guest turns CPUs off and on when asked; what was said of one life is the next one's."""
    m = dom0
    m.run("xl create -q /etc/xen/demo.cfg vcpus=2 maxvcpus=3", 60)
    with m.guest("demo") as guest:
        assert guest.run("nproc").strip() == "2"
    m.run("xl vcpu-set demo 1", 60)
    assert m.domains()["demo"][2] == 1
    with m.guest("demo") as guest:
        assert guest.run("nproc").strip() == "1"
        guest.fails("echo 1 >/sys/devices/system/cpu/cpu1/online")
    assert m.run("xl vcpu-set -i demo 3 2>&1", 60) == ""
    with m.guest("demo") as guest:
        assert guest.run("nproc").strip() == "3"
        # What its own administrator has turned off comes back, too.
        guest.run("echo 0 >/sys/devices/system/cpu/cpu2/online")
    assert m.run("xl vcpu-set -i demo 3 2>&1", 60) == ""
    with m.guest("demo") as guest:
        assert guest.run("nproc").strip() == "3"
    vcpus = listing(m, "vcpu-list demo")[0]["vcpus"]
    assert [v["online"] for v in vcpus] == [True] * 3
    assert vcpus[0]["hard_affinity"] == vcpus[0]["soft_affinity"] == [0, 1]
    assert "'demo' has 3 at most" in m.fails("xl vcpu-set -i demo 4")
    m.run("xl vcpu-set demo 1", 60)
    assert "--ignore-host does it all the same" in m.fails("xl vcpu-set demo 3")
    m.run("xl config-update demo maxvcpus=4 && xl vcpu-set demo 2; xl mem-set demo 100; xl mem-max demo 144", 90)
    domid = m.domains()["demo"][0]
    m.run("xl trigger demo reset", 60)
    m.wait_restarted("demo", domid)
    with m.guest("demo") as guest:
        assert guest.run("nproc").strip() == "2"
    assert len(listing(m, "vcpu-list demo")[0]["vcpus"]) == 4
    m.run("until [ $(xl list demo | awk 'NR == 2 { print $3 }') = 100 ]; do sleep 0.3; done", 60)
    m.run("xl mem-set demo 144", 90)
    assert memory(m) == 144


def cpu_share(m, seconds):
    """What the guest's vCPUs had of a CPU meanwhile."""
    points = []
    for wait in (0, seconds):
        up, vcpus = m.run(f"sleep {wait}; cat /proc/uptime; xl vcpu-list --json demo", 60 + wait).split("\n", 1)
        points.append((float(up.split()[0]), sum(v["cpu_seconds"] for v in json.loads(vcpus)[0]["vcpus"])))
    return (points[1][1] - points[0][1]) / (points[1][0] - points[0][0])


def test_shares_of_cpus(demo):
    """A weight is kept, a cap holds and goes, and a vCPU runs where it is bound."""
    m = demo
    m.run("xl sched-credit2 -d demo -w 512 -c 40; xl vcpu-pin demo all 1 0-1")
    assert m.run("xl sched-credit2 -d demo").split()[-2:] == ["512", "40"]
    with m.guest("demo") as guest:
        guest.run("(while :; do :; done) & echo $! >/tmp/spins")
    share = cpu_share(m, 4)
    assert 0.25 < share < 0.5, share
    vcpu = listing(m, "vcpu-list demo")[0]["vcpus"][0]
    assert vcpu["hard_affinity"] == [1] and vcpu["soft_affinity"] == [0, 1] and vcpu["cpu"] == 1
    m.run("xl sched-credit2 -d demo -c 0; xl vcpu-pin demo all 0")
    share = cpu_share(m, 4)
    assert share > 0.5, share
    assert listing(m, "vcpu-list demo")[0]["vcpus"][0]["cpu"] == 0
    with m.guest("demo") as guest:
        guest.run("kill $(cat /tmp/spins)")
    m.run("xl vcpu-pin demo all all all; xl sched-credit2 -d demo -w 256; xl sched-credit2 -s -r 1000")
    assert "ratelimit=1000us" in m.run("xl sched-credit2 -s")
    m.run("xl sched-credit2 -s -r 0")


def test_dom0_vcpus(dom0):
    """dom0's own are turned on, too."""
    m = dom0
    m.run("xl vcpu-set 0 1", 60)
    assert m.run("nproc").strip() == "1"
    m.run("xl vcpu-set 0 2", 60)
    assert m.run("nproc").strip() == "2"
    assert "'0' has 2 at most" in m.fails("xl vcpu-set -i 0 3")
    m.run("xenstore-rm /local/domain/0/cpu")


def test_listings(demo):
    """What they say is what is there, in both forms."""
    m = demo
    domains = {d["name"]: d for d in listing(m, "list")}
    domid, mib, vcpus, _ = m.domains()["demo"]
    assert domains["demo"]["domid"] == domid and domains["demo"]["memory_kib"] >> 10 == mib
    assert domains["demo"]["vcpus_online"] == vcpus
    assert [d["name"] for d in listing(m, "vm-list")] == ["Domain-0", "demo"]
    assert m.run("xl vm-list demo").splitlines()[1].split() == [domains["demo"]["uuid"], str(domid), "demo"]
    assert all(d["claimed_kib"] == 0 for d in listing(m, "claims"))
    assert listing(m, "uptime demo")[0]["uptime_seconds"] < 300
    m.wait_prompt("demo")
    interface = listing(m, "network-list demo")[0]["interfaces"][0]
    assert interface["state"] == 4 and interface["mac"] in m.run("xl network-list demo")
    info = listing(m, "info -n", "info")
    assert [c["core"] for c in info["cpu_topology"]] == [0, 1] and info["nr_cpus"] == 2
    assert info["numa_info"][0]["memsize"] == int(m.info("total_memory"))
    assert info["xen_version"] == m.info("xen_version")
    listing(m, "info")


def test_signals(demo):
    """Alt-SysRq reaches the guest's kernel, the power button ends it, and the escape character is one's own choice."""
    m = demo
    m.wait_prompt("demo")
    m.run("xl sysrq demo h", 30)
    m.run("until grep -q 'sysrq: HELP' /var/log/xen/console/guest-demo.log; do sleep 0.3; done", 30)
    m.send("xl console -e ^t demo\n")
    m.send("\n")
    m.expect("demo# ", 30)
    m.send("\x14")
    m.expect("dom0# ", 20)
    assert "RISC-V has no non-maskable interrupt" in m.fails("xl trigger demo nmi")
    m.run("xl trigger demo power", 60)
    m.wait_gone("demo", 60)
    for verb in ("sysrq demo h", "trigger demo reset", "mem-set demo 64", "mem-max demo 64", "vcpu-set demo 1"):
        assert "'demo' is an invalid domain identifier" in m.fails("xl " + verb), verb
    # Keys that end it: no guest of that name is left half dead.
    m.run("xl create -q /etc/xen/demo.cfg 'on_crash=\"preserve\"'", 60)
    m.wait_prompt("demo")
    m.run("xl sysrq demo c", 30)
    m.run("until xl list demo | grep -q -- '---sc-'; do sleep 0.3; done", 30)
    for verb in ("sysrq demo h", "trigger demo reset", "mem-set demo 64", "mem-max demo 64", "vcpu-set demo 1"):
        assert "'demo' has ended" in m.fails("xl " + verb), verb


def gdb(path, *commands):
    """What gdb says about a core of the bare guest core."""
    elf = os.path.join(conftest.OUT, "payloads", "core.elf")
    args = [x for c in commands for x in ("-ex", c)]
    done = subprocess.run(["gdb-multiarch", "-nx", "-batch", elf, "-ex", f"core-file {path}", *args], check=True, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    return done.stdout


def take(m, path, name):
    """A (sparse) file from dom0, through its console; where it is."""
    there = os.path.join(conftest.OUT, name)
    data = gzip.decompress(base64.b64decode(m.run(f"gzip -c {path} | base64", 60)))
    with open(there, "wb") as f:
        f.write(data)
    return there


# ask N WORD: whoever is at the other end of channel N says WORD-N to it, within ten seconds
ASK = """
: > /tmp/answer
(echo $2; n=0; until grep -q "^$2-$1$" /tmp/answer || [ $((n += 1)) = 100 ]; do usleep 100000; done) | xl console -n $1 demo > /tmp/answer
grep -q "^$2-$1$" /tmp/answer
"""
# Raw as long as somebody has it open
ANSWER = ("for n in 1 2; do (exec 3<> /dev/hvc$n; stty -F /dev/hvc$n raw -echo; while read -r word <&3; do echo \"$word-$n\" >&3; done) & done; "
          "true")


def ask(m, number, word):
    m.run(f"until sh /tmp/ask {number} {word} 2> /dev/null; do usleep 300000; done", 90)


def test_channels(dom0):
    """A guest's hvc1 and hvc2, a pty and a socket of dom0: over a killed xenconsoled, and in the next life as well."""
    m = dom0
    m.shell.write_file("/tmp/ask", ASK)
    m.run("xl create -q /etc/xen/demo.cfg \"channel=['name=org.example.1,connection=pty','name=b,connection=socket,path=/run/agent']\"", 60)
    assert m.run("stat -c %a /run/agent").strip() == "600"
    with m.guest("demo") as guest:
        guest.run(ANSWER)
    ask(m, 1, "one")
    ask(m, 2, "two")
    pty, sock = listing(m, "channel-list demo", "channel-list")[0]["channels"]
    assert [pty["state"], sock["state"], pty["connection"], sock["connection"], sock["path"]] == [4, 4, "pty", "socket", "/run/agent"]
    assert re.match(rf"1 +0 +4 +{pty['event_channel']} +{pty['ring_ref']} +pty +/dev/pts/\d+ *$", m.run("xl channel-list demo").splitlines()[1])
    assert m.run(f"xenstore-read /local/domain/$(xl domid demo)/device/console/1/tty").strip() == pty["path"]
    assert "is a channel of 'demo'" in m.fails("xl create -q /etc/xen/demo.cfg \"name='b'\" \"disk=[]\" \"vif=[]\" "
                                               "\"channel=['name=b,connection=socket,path=/run/agent']\"")
    # More than its ring holds; nobody is there to take it when it begins.
    with m.guest("demo") as guest:
        guest.run("(seq 1 4000 > /dev/hvc2) & true")
    m.run("seq 1 4000 > /tmp/wanted; (xl console -n 2 demo < /dev/null > /tmp/got & echo $! > /tmp/reader); "
          "until [ $(wc -c < /tmp/got) = $(wc -c < /tmp/wanted) ]; do usleep 100000; done; kill $(cat /tmp/reader); cmp /tmp/got /tmp/wanted", 90)
    m.script("""
             old=$(pidof xenconsoled)
             kill -9 $old
             until now=$(pidof xenconsoled) && [ $now != $old ]; do usleep 100000; done""")
    ask(m, 2, "again")
    ask(m, 1, "again")
    domid = m.domains()["demo"][0]
    m.run("xl trigger demo reset")
    m.wait_restarted("demo", domid)
    with m.guest("demo") as guest:
        guest.run(ANSWER)
    ask(m, 1, "life")
    ask(m, 2, "life")
    m.run("xl destroy demo && [ ! -e /run/agent ] && rm /tmp/ask /tmp/answer /tmp/got /tmp/wanted /tmp/reader")


def test_core(dom0):
    """gdb opens a guest's core: registers, symbols, memory by both kinds of addresses; whatever fails leaves nothing."""
    m = dom0
    m.run('xl create -q -w name=\\"bare\\" memory=16 kernel=\\"/images/test/core\\" on_crash=\\"preserve\\"', 60)  # back after a second of its time
    m.run("xl dump-core bare /tmp/bare.core")
    assert m.run("stat -c %a /tmp/bare.core").strip() == "600"
    said = gdb(take(m, "/tmp/bare.core", "bare.core"), "info symbol $pc", "print/x $s1", "print/x $s11",
               "print/x *(unsigned long *)((char *)&page + 4088) - (unsigned long)&page",
               "print/x *(unsigned long *)((char *)&page - 0x80000000 + 0xffffffe000000000 + 16) - (unsigned long)&page",
               "info threads")
    assert "spin in section .image" in said, said
    values = re.findall(r"^\$\d+ = (.*)$", said, re.M)
    assert values == ["0x1111111111111111", "0x123456789abcdef", "0xff8", "0x10"], said
    assert "p" not in m.domains()["bare"][3]
    # No room: nothing is left, and the guest goes on.
    m.run("mkdir -p /tmp/small && mount -t tmpfs -o size=8k none /tmp/small")
    assert "No space left" in m.fails("xl dump-core bare /tmp/small/core")
    assert m.run("ls /tmp/small; umount /tmp/small && rmdir /tmp/small") == ""
    assert "p" not in m.domains()["bare"][3]
    assert "'nobody' is an invalid" in m.fails("xl dump-core nobody /tmp/x")
    assert "cannot dump domain 0" in m.fails("xl dump-core 0 /tmp/x")
    m.run("xl dump-core -C bare /tmp/bare.core && until xl list bare | grep -q -- '---sc-'; do sleep 0.2; done")
    assert "has ended already" in m.fails("xl dump-core -R bare /tmp/bare.core")
    m.run("xl dump-core bare /tmp/bare.core && rm /tmp/bare.core && ! ls /tmp/*.core* 2>/dev/null")
    # By itself, onto the disk
    m.run('xl destroy bare && xl create -q -w name=\\"bare\\" memory=16 kernel=\\"/images/test/core\\" on_crash=\\"coredump-destroy\\"', 60)
    m.run("xl dump-core -C bare /tmp/bare.core")
    m.wait_gone("bare")
    m.run("cmp /tmp/bare.core /images/dump/bare && rm /tmp/bare.core /images/dump/bare")
