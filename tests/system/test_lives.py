# SPDX-License-Identifier: BSD-2-Clause
"""Guests come and go in every way and at every moment, and leave nothing.

That nothing is left is what the fixture dom0 looks at after each test (census.py). SEED=N in the
environment repeats a random run; each prints its seed.
"""
import os
import random
import re
import time
import zlib

import pytest

import census

pytestmark = pytest.mark.census
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1, 1 << 31))

# A root of its own that nobody writes; what the guest does stands on its command line.
CONFIG = """
name = "{name}"
kernel = "/images/boot/Image"
memory = {memory}
vcpus = {vcpus}
disk = [ "/images/demo.img,raw,xvda,r", "/images/{name}.img,raw,xvdb,w" ]
vif = [ "mac=00:16:3e:00:02:{number:02x}" ]
extra = "console=hvc0 root=/dev/xvda ro rootflags=noload init=/bin/busybox {command}"
{more}
"""
# Disks: both directions at once, to the end and past it; network: each answer is followed by the next
# question; for ever. Nothing in dom0 has a connection that would outlive the guest.
TRAFFIC = ("-- sh -c 'while :; do busybox dd if=/dev/xvda of=/dev/xvdb bs=64k 2>/dev/null; done & "
           "while :; do busybox dd if=/dev/xvdb of=/dev/null bs=16k 2>/dev/null; done & "
           "busybox ifconfig eth0 10.0.2.{number} netmask 255.255.255.0; "
           "while :; do busybox ping -A -q -c 1000 -s 3000 10.0.2.15 >/dev/null; done'")
REBOOT = "-- reboot -f"
DESTROY_ALL = "for d in $(xl list | awk 'NR > 1 && $2 != 0 { print $2 }'); do xl destroy $d; done"


def config(m, name, command=TRAFFIC, memory=64, vcpus=1, more=""):
    """A configuration file in dom0."""
    m.run(f"[ -e /images/{name}.img ] || truncate -s 4M /images/{name}.img")
    number = 100 + zlib.crc32(name.encode()) % 150
    command = command.replace("{number}", str(number)).replace("'", '\\"')
    m.shell.write_file(f"/tmp/{name}.cfg", CONFIG.format(
        name=name, number=number, memory=memory, vcpus=vcpus, more=more, command=command))
    return f"/tmp/{name}.cfg"


def await_line(m, command, timeout=180):
    """Until the command succeeds in dom0."""
    m.run(f"until {command}; do usleep 200000; done", timeout)


# --- all rounds are alike ------------------------------------------------------------------------

# Destroyed once its disk has been written and dom0 has answered it some packets, while all that goes on
ROUND = """
xl create -q {cfg} &
until id=$(xl domid life 2>/dev/null) &&
      [ $(cat /sys/bus/xen-backend/devices/vbd-$id-51728/statistics/wr_req) -gt 3 ] &&
      [ $(cat /sys/class/net/vif$id.0/statistics/tx_packets) -gt 20 ]; do usleep 50000; done 2>/dev/null
xl destroy life
wait
"""


def rounds(m, n):
    """Create, traffic, destroy. The counts are compared after some rounds and after all; what dom0's own
    tables may still grow by is less than a page for every third round."""
    m.shell.write_file("/tmp/round", ROUND.format(cfg=config(m, "life")))
    for i in range(n):
        if i == 5:
            before = census.take(m)
        m.run("sh /tmp/round", 180)
    after = census.take(m)
    print(f"{before['free'] - after['free']} pages fewer after {n - 5} rounds")
    wrong = census.differences(before, after, growth=8)
    assert not wrong, "; ".join(wrong)


@pytest.mark.grows
def test_thirty_rounds(dom0):
    rounds(dom0, 30)


@pytest.mark.full
@pytest.mark.grows
def test_two_hundred_rounds(dom0):
    rounds(dom0, 200)


def reboots(m, n):
    """A guest that reboots as soon as it is up; n lives, then it is destroyed in one of them. Nothing holds the
    lives back."""
    cfg = config(m, "again", REBOOT, more='on_reboot = "restart"')
    m.run(f"XL_RESTART_PAUSE=0 xl create -q {cfg}", 180)
    first = int(m.run("grep -c 'started again' /var/log/xen/xl-again.log || true"))
    await_line(m, f"[ $(grep -c 'started again' /var/log/xen/xl-again.log) -ge {first + n} ]", 60 + 30 * n)
    await_line(m, "xl destroy again 2>/dev/null")
    m.run("sleep 1")
    assert "again" not in m.domains()


@pytest.mark.grows
def test_reboot_loop(dom0):
    reboots(dom0, 6)


@pytest.mark.full
@pytest.mark.grows
def test_long_reboot_loop(dom0):
    reboots(dom0, 100)


# --- no two are alike ----------------------------------------------------------------------------

def at_random(m, n):
    """Guests are made, shut down, rebooted, renamed, destroyed, and their xl killed, at any moment."""
    print(f"SEED={SEED}")
    rng = random.Random(SEED)
    files = {name: config(m, name, more='on_reboot = "restart"') for name in ("any1", "any2")}
    for i in range(n):
        name, other = rng.sample(sorted(files), 2)
        wait = rng.choice([rng.uniform(0, 0.3), rng.uniform(0, 0.6), rng.uniform(0, 3)])
        kill = "kill -9 $p;" if rng.random() < 0.3 else ""
        during = rng.choice(["true", f"xl reboot {name}", f"xl shutdown {name}", f"xl pause {name}", "xl list -l",
                             f"xl create -q {files[other]}", f"xl rename {name} {name}x",
                             "pkill -9 xenconsoled"])
        m.script(f"""
                 xl create -q {files[name]} > /tmp/out 2>&1 & p=$!
                 usleep {int(wait * 1e6)}
                 {kill}
                 timeout 5 {during} > /dev/null 2>&1
                 xl destroy {name} > /dev/null 2>&1
                 wait $p
                 {DESTROY_ALL}""", 180)
    # The last supervisor may be about to start what had asked for a reboot.
    for _ in range(20):
        if len(m.domains()) == 1:
            break
        m.run(DESTROY_ALL, 180)


@pytest.mark.grows
def test_destroyed_at_random_moments(dom0):
    at_random(dom0, 15)


@pytest.mark.full
@pytest.mark.grows
def test_destroyed_at_many_random_moments(dom0):
    at_random(dom0, 150)


@pytest.mark.grows
def test_two_xl_at_once(dom0):
    """create, destroy, shutdown, rename and list of the same guests by four shells for some seconds."""
    files = [config(dom0, name) for name in ("here1", "here2")]
    jobs = [f"xl create -q {files[0]}; xl create -q {files[1]}", "xl destroy here1; usleep 300000; xl destroy here2",
            "xl list -l; xl list -v; xl vcpu-list; xl block-list here1", "xl rename here1 here3; xl destroy here3; "
            f"xl create -q {files[0]}; timeout 3 xl shutdown here2"]
    loops = "\n".join(f"while [ -e /tmp/go ]; do {job}; done >/tmp/job{i} 2>&1 &" for i, job in enumerate(jobs))
    dom0.script(f"touch /tmp/go\n{loops}\nsleep 12\nrm /tmp/go\nwait", 180)
    out = dom0.run("cat /tmp/job?; rm /tmp/job?")
    for line in out.splitlines():
        assert "error" not in line.lower() or "identifier" in line, line
    dom0.run(DESTROY_ALL, 180)
    # Twice the same name was not there at any time: the list has unique names.
    dom0.script(f"for i in 1 2 3; do xl create -q {files[0]} 2>/dev/null & done; wait; true", 180)
    assert list(dom0.domains()) == ["Domain-0", "here1"]


# --- helpers that die ----------------------------------------------------------------------------

@pytest.mark.grows
def test_killed_creations(dom0):
    """kill -9 of xl create, earlier and later: xl destroy takes away what is left, by name or number."""
    cfg = config(dom0, "half")
    for ms in (20, 60, 120, 200, 300, 450):
        dom0.script(f"xl create -q {cfg} >/dev/null 2>&1 & p=$!\nusleep {ms}000; kill -9 $p; wait $p 2>/dev/null\n{DESTROY_ALL}", 180)
        assert list(dom0.domains()) == ["Domain-0"], ms
        dom0.run(f"xl create -q {cfg} && xl destroy half", 180)


@pytest.mark.grows
def test_killed_supervisor(dom0):
    """It gets another one, which acts on reboot and end; the minder, killed as well, too. While there is none xl says so."""
    alive = "until xl list --json demo | grep -q '\"supervisor\": \"alive\"'; do usleep 200000; done"
    dom0.run("xl create -q /etc/xen/demo.cfg", 180)
    dom0.wait_prompt("demo")
    assert "supervisor" not in dom0.run("xl list 2>&1")
    keeper = dom0.run("pidof supervise").strip()
    # Nobody starts the minder again meanwhile.
    dom0.run(f"kill -STOP {keeper}; kill -9 $(pidof xl)")
    assert "the supervisor of 'demo' is gone" in dom0.run("xl list 2>&1")
    domid = dom0.run("xl domid demo").strip()
    dom0.run("xl reboot demo; until xl list demo | grep -q -- '---s'; do usleep 200000; done", 180)
    dom0.run(f"kill -CONT {keeper}; until now=$(xl domid demo 2>/dev/null) && [ $now != {domid} ]; do usleep 200000; done", 180)
    dom0.run(alive, 60)
    dom0.wait_prompt("demo")
    dom0.run(f"old=$(xenstore-read /tool/pavise/$(xl domid demo)/supervisor | cut -d' ' -f1); kill -9 $old; {alive}", 60)
    dom0.run("xl shutdown demo; until ! xl domid demo 2>/dev/null; do usleep 200000; done", 180)
    assert dom0.run("xl events -n 20 | grep -c 'supervised *demo'").strip() == "2"


@pytest.mark.grows
def test_killed_xenconsoled(dom0):
    """It comes back by itself and serves the guests that there are; what they said meanwhile is in their logs."""
    cfg = config(dom0, "talk", "-- sh -c 'n=0; while :; do n=$((n+1)); echo line $n; busybox sleep 0.1; done'")
    dom0.run(f"xl create -q {cfg}", 180)
    log = "/var/log/xen/console/guest-talk.log"
    await_line(dom0, f"grep -q 'line 5' {log}")
    dom0.script("""
                old=$(pidof xenconsoled)
                kill -9 $old
                until now=$(pidof xenconsoled) && [ $now != $old ]; do usleep 100000; done""")
    last = int(dom0.run(f"tail -1 {log} | tr -dc 0-9"))
    await_line(dom0, f"[ $(tail -1 {log} | tr -dc 0-9) -gt {last + 5} ]")
    numbers = [int(line.split()[1]) for line in dom0.run(f"grep '^line [0-9]' {log}").replace("\r", "").splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))
    dom0.run("xl destroy talk")


@pytest.mark.grows
def test_lost_back_end(dom0):
    """The driver is taken off a busy disk: the guest gets errors, xl a report, and nothing hangs."""
    cfg = config(dom0, "lost", "-- sh -c 'while busybox dd if=/dev/xvdb of=/dev/null bs=64k 2>/dev/null; do :; done; "
                 "echo the disk has gone; busybox sleep 1000'")
    dom0.run(f"xl create -q -w {cfg}", 180)
    domid = dom0.run("xl domid lost").strip()
    dom0.run("usleep 500000")
    dom0.run(f"echo vbd-{domid}-51728 > /sys/bus/xen-backend/drivers/vbd/unbind")
    await_line(dom0, "grep -q \"domain .* ('lost'): the back end of vbd 51728, xvdb is lost\" /var/log/xen/xl-lost.log", 180)
    states = {line.split()[0]: line.split()[3] for line in dom0.run("xl block-list lost").splitlines()[1:]}
    assert states == {"51712": "4", "51728": "6"}
    await_line(dom0, "grep -q 'disk has gone' /var/log/xen/console/guest-lost.log", 180)
    begin = time.monotonic()
    dom0.run("xl destroy lost", 180)
    assert time.monotonic() - begin < 60


@pytest.mark.grows
def test_disk_that_shrinks(dom0):
    """The file behind a disk loses its second half: errors there, data in the first half as before."""
    cfg = config(dom0, "short", "-- sh -c 'busybox dd if=/dev/xvdb bs=1M count=1 2>/dev/null | busybox sha256sum; "
                 "while busybox dd if=/dev/xvdb of=/dev/null bs=64k iflag=direct 2>/dev/null; do :; done; echo end; "
                 "busybox dd if=/dev/xvdb bs=1M count=1 iflag=direct 2>/dev/null | busybox sha256sum; "
                 "echo done; busybox sleep 1000'")
    dom0.run("dd if=/images/test/data1.img of=/images/short.img bs=1M 2>/dev/null")
    dom0.run(f"xl create -q -w {cfg}; usleep 500000; truncate -s 2M /images/short.img", 180)
    log = "/var/log/xen/console/guest-short.log"
    await_line(dom0, f"grep -q '^done' {log}")
    sums = dom0.run(f"grep -o '^[0-9a-f]*  -' {log}").split("\n")[:2]
    assert len(sums[0]) == 67 and sums[0] == sums[1], sums
    assert "I/O error, dev xvdb" in dom0.run(f"cat {log}")
    assert "I/O error, dev loop" in dom0.run("dmesg | tail -50")
    dom0.run("xl destroy short", 180)


# --- the end of dom0 -----------------------------------------------------------------------------

def test_poweroff_asks_all_at_once(boot):
    """A paused guest in front and one that takes the request and never ends: the one behind them shuts down
    properly, and only the two are destroyed, by name, when the time is over."""
    m = boot(dom0_cmdline="pavise.noauto").boot()
    m.run("echo SHUTDOWN_GRACE=20 >> /etc/xen/guests.conf")
    for name in ("asleep", "deaf"):
        m.run(f"xl create -q {config(m, name, '-- sleep 1000')}", 60)
    m.run("xl pause asleep; cp /images/demo.img /images/own.img; sed s/demo.img/own.img/ /etc/xen/demo.cfg > /tmp/demo.cfg", 60)
    m.run("xl create -q /tmp/demo.cfg", 60)
    m.wait_prompt("demo")
    m.send("poweroff\n")
    m.expect("Shutting down asleep, deaf, demo: at most 20 s")
    m.expect("'asleep' is paused", 10)
    m.expect("demo is down", 20)
    m.expect(r"Waiting for asleep, deaf: \d+ s left", 20)
    m.expect("Destroying asleep: it has not shut down within 20 s", 30)
    m.expect("Destroying deaf: it has not", 30)
    assert m.ended() == 0
    assert "Destroying demo" not in m.seen(0)


# --- a bad neighbour -----------------------------------------------------------------------------

def neighbours(m, seconds):
    """One guest hammers at random at what is not there; another one's results stay right; dom0 answers."""
    print(f"SEED={SEED}")
    sums = config(m, "sums", "-- sh -c 'while :; do busybox dd if=/dev/xvda bs=1M count=4 2>/dev/null | busybox sha256sum; done'")
    m.run(f"xl create -q {sums}", 180)
    m.run(f"xl create -q name=\\\"hammer\\\" memory=32 kernel=\\\"/images/test/hammer\\\" "
          f"extra=\\\"seed={SEED}\\\"", 180)
    m.run(f"sleep {seconds}; xl list", seconds + 60)
    blows = m.run("cat /var/log/xen/console/guest-hammer.log")
    assert "wrong" not in blows and blows.count("4096 times") >= seconds, blows[-2000:]
    assert f"seed {SEED:016x}" in blows
    assert set(m.domains()) == {"Domain-0", "sums", "hammer"}
    expected = m.run("dd if=/images/demo.img bs=1M count=4 2>/dev/null | sha256sum").split()[0]
    got = re.findall(r"^([0-9a-f]{64})  -", m.run("cat /var/log/xen/console/guest-sums.log"), re.M)
    assert len(got) >= 3 and set(got) == {expected}, got
    m.run("xl destroy sums hammer", 180)


@pytest.mark.grows
def test_hammering_neighbour(dom0):
    neighbours(dom0, 8)


@pytest.mark.full
@pytest.mark.grows
def test_long_hammering(dom0):
    neighbours(dom0, 300)
