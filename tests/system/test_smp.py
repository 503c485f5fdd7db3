# SPDX-License-Identifier: BSD-2-Clause
"""Guests with many vCPUs: more than there are harts, coming and going under load."""
import hashlib
import random
import re
import time

import pytest

from test_lives import SEED

# So many processes that never stop; $p has their numbers.
LOAD = "for i in {}; do (while :; do :; done) & p=\"$p $!\"; done"


def cpus(listing):
    """xl vcpu-list of one domain: vCPU → (hart or "-", state, seconds)"""
    rows = [line.split() for line in listing.splitlines()[1:]]
    return {int(r[2]): (r[3], r[4], float(r[5])) for r in rows}


def eight_vcpus(m, toggles, patience=120):
    """All eight work; then CPUs go off and on at random while a load runs on all of them. No step takes longer than patience."""
    print(f"SEED={SEED}")
    rng = random.Random(SEED)
    m.run("xl create -q /etc/xen/demo.cfg vcpus=8", patience)
    with m.guest("demo", patience) as guest:
        assert guest.run("nproc").strip() == "8"
        guest.run("for i in 1 2 3 4 5 6 7 8; do (dd if=/dev/zero bs=64k count=16 2>/dev/null | sha256sum > /tmp/s$i) & done; wait",
                  patience)
        # The shell tells of jobs that ended as well, and its prompt may stand before the first.
        sums = re.findall(r"\b[0-9a-f]{64}\b", guest.run("cat /tmp/s?"))
        assert len(sums) == 8 and len(set(sums)) == 1, sums
        guest.run(LOAD.format(" ".join("12345678")))
        guest.run("cd /sys/devices/system/cpu")
        while toggles > 0:
            # A line for the shell has its limit.
            guest.run(" ".join(f"echo {rng.randrange(2)} > cpu{rng.randrange(1, 8)}/online;" for _ in range(min(toggles, 20))) + " true", 3 * patience)
            toggles -= 20
        guest.run("for i in 1 2 3 4 5 6 7; do echo $((i % 2)) > cpu$i/online; done", 3 * patience)
        assert guest.run("cat online").strip() == "0-1,3,5,7"
    states = cpus(m.run("xl vcpu-list demo"))
    assert [i for i in states if states[i][0] == "-" and states[i][1] == "--p"] == [2, 4, 6], states
    assert m.domains()["demo"][2] == 5
    with m.guest("demo", patience) as guest:
        guest.run("for i in 2 4 6; do echo 1 > cpu$i/online; done; [ $(cat online) = 0-7 ]; kill $p", patience)
    assert all(s[1] != "--p" for s in cpus(m.run("xl vcpu-list demo")).values())
    m.run("xl destroy demo")


@pytest.mark.grows
def test_eight_vcpus_on_two_harts(dom0):
    eight_vcpus(dom0, 20)


def test_eight_vcpus_on_four_harts(boot):
    eight_vcpus(boot(smp=4, boot_timeout=240, dom0_cmdline="pavise.noauto").boot(), 10)


@pytest.mark.full
def test_eight_vcpus_on_eight_harts(boot):
    m = boot(smp=8, boot_timeout=480, dom0_cmdline="pavise.noauto").boot()
    # blkback may say in the middle of a listing that it has no time to give persistent grants back.
    m.run("dmesg -n 1")
    # Eight harts on two CPUs: each waits for others that do not run.
    eight_vcpus(m, 60, 600)


@pytest.mark.full
@pytest.mark.grows
def test_long_hotplug(dom0):
    eight_vcpus(dom0, 300)


def paste(shell):
    """Types 20 KiB at once, as a terminal's paste does; all of it arrives."""
    text = "".join(f"line {i}: {'what is typed is read ' * 3}\n" for i in range(260))
    shell.owner.send("echo ready$((1 + 1)); cat > /tmp/pasted\n")
    shell.owner.expect("ready2\r*\n", 60)
    shell.owner.send(text + "\x04")
    assert shell.run("md5sum < /tmp/pasted; rm /tmp/pasted", 120).split()[0] == hashlib.md5(text.encode()).hexdigest()


def test_paste(dom0):
    """Input for who is slow to read it waits: dom0 and a guest, both beside vCPUs that never stop."""
    dom0.run("xl create -q /etc/xen/demo.cfg vcpus=4", 60)
    with dom0.guest("demo") as guest:
        guest.run(LOAD.format("1 2 3 4"))
        paste(guest)
    paste(dom0.shell)
    dom0.run("xl destroy demo")


@pytest.mark.grows
def test_no_theft(dom0):
    """A CPU that the guest itself has off is not stolen from it: /proc/stat does not count that time."""
    dom0.run("xl create -q /etc/xen/demo.cfg vcpus=2", 60)
    with dom0.guest("demo") as guest:
        cpu = "/sys/devices/system/cpu/cpu1/online"
        stolen = "grep '^cpu1 ' /proc/stat"
        before = int(guest.run(stolen).split()[8])
        guest.run(f"echo 0 > {cpu}; sleep 5; echo 1 > {cpu}; (i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done)")
        assert int(guest.run(stolen).split()[8]) - before < 300  # 100 a second
    dom0.run("xl destroy demo")


def cpu_times(guest):
    """What the guest itself says: seconds since its start, and of each CPU (busy, stolen)."""
    out = guest.run("cut -d' ' -f1 /proc/uptime; grep '^cpu[0-9]' /proc/stat")
    up = float(re.search(r"^\d+\.\d+", out, re.M)[0])
    # user nice system idle iowait irq softirq steal, in hundredths
    rows = [list(map(int, m[1].split())) for m in re.finditer(r"^cpu\d+ ([\d ]+)", out, re.M)]
    return up, [((r[0] + r[1] + r[2] + r[5] + r[6]) / 100, r[7] / 100) for r in rows]


def shares(m, ncpus, seconds):
    """Two guests whose CPUs are all busy, twice as many as the machine has harts. What the guests and xl say of each
    CPU's time meanwhile: (seconds that passed, busy, stolen, time that xl shows)."""
    prompts = {"demo": "demo", "rival": "guest"}
    m.run(f"xl create -q /etc/xen/demo.cfg vcpus={ncpus}", 300)
    m.run(f"xl create -q /dev/null name=\\\"rival\\\" vcpus={ncpus} memory=128 kernel=\\\"/images/boot/Image\\\" "
          "ramdisk=\\\"/images/test/initrd.gz\\\" extra=\\\"console=hvc0\\\"", 300)
    for name, prompt in prompts.items():
        with m.guest(name, 300, prompt=prompt) as guest:
            guest.run(LOAD.format("1 2"[:2 * ncpus]))

    def sample():
        xl = {name: [t for _, _, t in cpus(m.run(f"xl vcpu-list {name}", 300)).values()] for name in prompts}
        own = {}
        for name, prompt in prompts.items():
            with m.guest(name, 300, prompt=prompt) as guest:
                own[name] = cpu_times(guest)
        return xl, own

    first = sample()
    m.run(f"sleep {seconds}", 300)
    last = sample()
    for name in prompts:
        passed = last[1][name][0] - first[1][name][0]
        for i in range(ncpus):
            busy, stolen = (b - a for a, b in zip(first[1][name][1][i], last[1][name][1][i]))
            given = last[0][name][i] - first[0][name][i]
            print(f"{name}, CPU {i}: {passed:.1f} s, busy {busy:.1f}, stolen {stolen:.1f}, xl: {given:.1f}")
            yield passed, busy, stolen, given
    m.run(f"xl destroy {' '.join(prompts)}", 300)


@pytest.mark.grows
def test_fair_shares(dom0):
    """Each CPU gets half a hart; what the guest calls stolen is what xl does not call its time."""
    for passed, _, stolen, given in shares(dom0, 2, 20):
        assert abs(given + stolen - passed) < 0.1 * passed
        assert abs(given - passed / 2) < 0.15 * passed


@pytest.mark.grows
def test_cpu_pools(dom0):
    """A guest whose two CPUs never rest is moved to a pool of its own: it runs there alone, dom0 elsewhere, and both go on when it is back."""
    def where(name):
        return {hart for _ in range(4) for hart, _, _ in cpus(dom0.run(f"xl vcpu-list {name}; sleep 0.3")).values()}

    dom0.run("xl create -q /etc/xen/demo.cfg vcpus=2", 60)
    with dom0.guest("demo") as guest:
        guest.run(LOAD.format("1 2"))
    dom0.run("xl cpupool-cpu-remove Pool-0 1")
    assert where("demo") == where("Domain-0") == {"0"}
    assert "free_cpus              : 1" in dom0.run("xl info")
    dom0.run("xl cpupool-create name=fast cpus=1; xl cpupool-migrate demo fast")
    assert dom0.run("xl list -c demo").split()[-1] == "fast"
    assert where("demo") == {"1"} and where("Domain-0") == {"0"}
    assert "'fast' keeps a CPU" in dom0.fails("xl cpupool-cpu-remove fast 1")
    assert "none of those CPUs is in the guest's CPU pool" in dom0.fails("xl vcpu-pin demo 0 0")
    # One CPU's worth, and all of that; they wake each other there as well.
    before, start = sum(t for _, _, t in cpus(dom0.run("xl vcpu-list demo")).values()), time.monotonic()
    with dom0.guest("demo") as guest:
        assert guest.run("taskset 1 true; taskset 2 true; kill $p; (sleep 0.1 | sleep 0.1); nproc").split()[-1] == "2"
        guest.run(LOAD.format("1 2"))
    passed, given = time.monotonic() - start, sum(t for _, _, t in cpus(dom0.run("xl vcpu-list demo")).values()) - before
    assert given < 1.2 * passed, (given, passed)
    dom0.run("xl cpupool-migrate demo Pool-0; xl cpupool-destroy fast; xl cpupool-cpu-add Pool-0 1")
    assert where("demo") | where("Domain-0") == {"0", "1"}
    dom0.run("xl destroy demo")
    # A pool does not outlast a guest that dies in it, and a new one can be made there.
    dom0.run("xl cpupool-cpu-remove Pool-0 1; xl cpupool-create name=fast; xl create -q /etc/xen/demo.cfg pool=fast", 60)
    assert where("demo") == {"1"}
    dom0.run("xl destroy demo; xl cpupool-destroy fast; xl cpupool-cpu-add Pool-0 1")
    assert dom0.run("xl cpupool-list").splitlines()[1].split() == ["Pool-0", "2", "credit2", "y", "1"]


def test_steal_time(boot):
    """With a clock that counts instructions, so that QEMU itself loses no tick: busy and stolen time are right, as
    top shows them."""
    m = boot(smp=1, extra=["-icount", "shift=0,sleep=off"], boot_timeout=400, dom0_cmdline="pavise.noauto").boot()
    for passed, busy, stolen, given in shares(m, 1, 5):
        assert abs(busy - given) < 0.05 * passed
        assert abs(stolen - passed / 2) < 0.05 * passed
        assert abs(busy + stolen - passed) < 0.05 * passed
