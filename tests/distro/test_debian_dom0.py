# SPDX-License-Identifier: BSD-2-Clause
"""Debian as dom0, as `make run DOM0=debian` gives it: first screen, guests, disks, ssh, an upgrade under guests, an orderly end. In this order."""
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

import machine
from conftest import BUILD, OUT, PATIENCE, QEMU, TOP
from console import Machine

UNITS = "xenstored xenconsoled xen-minder xen-init-dom0 xendomains xen-metrics"
TWO = """
name = "two"
kernel = "/images/boot/Image"
root = "/dev/xvda rw"
extra = "console=hvc0"
memory = 96
disk = [ "/srv/clone.img,raw,xvda,rw", "/srv/more.qcow2,qcow2,xvdb,rw", "/dev/vg0/raw,raw,xvdc,rw" ]
"""
# Guests' disks of all kinds that Debian's tools make; the volume group is on a file, as the machine has no disk to spare.
DISKS = """
set -e
truncate -s 1G /var/lib/pv
pv=$(losetup --find --show /var/lib/pv)
pvcreate -q $pv
vgcreate -q vg0 $pv
lvcreate -q -y -n files -L 500M vg0
lvcreate -q -y -n raw -L 64M vg0
mkfs.xfs -q -m reflink=1 /dev/vg0/files
mount /dev/vg0/files /srv
cp /images/demo.img /srv/demo.img
cp --reflink=always /srv/demo.img /srv/clone.img
qemu-img create -q -f qcow2 /srv/more.qcow2 64M
"""
# A guest's rounds: each disk written, synced and read again, and the console told. $1: where to stop
ROUNDS = """
n=0
while [ ! -e $1 ]; do
    n=$((n + 1)) said=right
    for disk in xvdb xvdc; do
        head -c 300000 /dev/urandom > /tmp/round
        dd if=/tmp/round of=/dev/$disk conv=fsync 2> /dev/null || said=wrong
        echo 3 > /proc/sys/vm/drop_caches
        head -c 300000 /dev/$disk | cmp -s - /tmp/round || said=wrong
    done
    echo "round $n $said" > /dev/hvc0
done
"""


def ext4_is_clean(image):
    """Unmounted, and nothing wrong with it."""
    state = subprocess.run(["/sbin/dumpe2fs", "-h", image], check=True, capture_output=True, text=True).stdout
    assert re.search(r"^Filesystem state: +clean$", state, re.M), state
    assert "needs_recovery" not in state
    done = subprocess.run(["/sbin/e2fsck", "-fn", image], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def xfs_is_clean(image):
    """Unmounted (its log has nothing to be done), and nothing wrong with it."""
    assert "<CLEAN>" in subprocess.run(["/sbin/xfs_logprint", "-t", image], check=True, capture_output=True, text=True).stdout
    done = subprocess.run(["/sbin/xfs_repair", "-n", "-f", image], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def take_out(image, path, out):
    """The file at path on the ext4 file system in image."""
    subprocess.run(["/sbin/debugfs", "-R", f"dump {path} {out}", image], check=True, capture_output=True)
    return out


def content(image, path):
    """A short text that is on the ext4 file system in image."""
    return subprocess.run(["/sbin/debugfs", "-R", f"cat {path}", image], check=True, capture_output=True, text=True).stdout


def next_packages(out):
    """The packages on the disk, as a later build would give them: the same files with a higher version."""
    os.makedirs(out)
    for name in os.listdir(os.path.join(BUILD, "deb")):
        if not name.endswith(".deb") or "dbgsym" in name:
            continue
        tree = os.path.join(out, "tree")
        subprocess.run(["dpkg-deb", "-R", os.path.join(BUILD, "deb", name), tree], check=True)
        control = os.path.join(tree, "DEBIAN", "control")
        with open(control, encoding="utf-8") as f:
            text = f.read()
        version = re.search(r"^Version: (.*)$", text, re.M).group(1)
        with open(control, "w", encoding="utf-8") as f:
            f.write(text.replace(version, version + ".next"))
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", tree, os.path.join(out, "next-" + name)], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(tree)


class Dom0:
    """The booted machine and its two disks, which keep what is written."""

    def __init__(self):
        work = os.path.join(OUT, "dom0")
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        made = os.path.join(BUILD, "dom0-debian", "dom0.img")
        if not os.path.exists(made):
            pytest.fail(f"there is no {made}: make dom0-debian")
        self.disk, self.images = os.path.join(work, "dom0.img"), os.path.join(work, "images.img")
        subprocess.run(["cp", "--sparse=always", made, self.disk], check=True)
        next_packages(os.path.join(work, "tree", "next"))
        subprocess.run([os.path.join(TOP, "scripts", "mkimage"), "ext4", self.images, os.path.join(BUILD, "disk"), os.path.join(work, "tree"),
                        "--label", "images", "--slack", "512M", "--always"], check=True, stdout=subprocess.DEVNULL)
        self.key = os.path.join(work, "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", self.key], check=True)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        config = machine.Config(build=BUILD, dom0_disk=self.disk, disk=self.images, kept=True, mem="3G", qemu=QEMU,
                                dom0_cmdline=machine.key_credential(self.key + ".pub") + " systemd.default_timeout_start_sec=600", hostfwd=((self.port, 22),))
        self.machine = Machine(config, os.path.join(OUT, "dom0.log"), PATIENCE)

    def run(self, command, timeout=PATIENCE):
        return self.machine.run(command, timeout)

    def guest(self, name):
        """Its shell. Both guests are demo's disk, which says its own name at the prompt."""
        return self.machine.guest(name, PATIENCE, "demo")

    def rounds(self):
        """What the guest two's console log has of its ROUNDS: pairs of number and verdict."""
        return re.findall(r"round (\d+) (\w+)", self.run("grep -ao 'round [0-9]* [a-z]*' /var/log/xen/console/guest-two.log || true"))

    def more_rounds(self):
        """Until there are two more: one at least began since."""
        begun, end = len(self.rounds()), time.monotonic() + PATIENCE
        while len(self.rounds()) < begun + 2:
            assert time.monotonic() < end, "the guest two has stopped writing to its disks"
            time.sleep(1)

    def boot_id(self, name):
        """Which life of a guest's this is, from inside."""
        with self.guest(name) as g:
            return g.run("cat /proc/sys/kernel/random/boot_id", PATIENCE).strip()


@pytest.fixture(scope="module")
def dom0():
    d = Dom0()
    yield d
    d.machine.kill()


def test_first_screen(dom0):
    """The prompt is below what it says of itself, and the demo runs by then."""
    dom0.machine.boot("root@dom0:~")
    # From here on the kernel's lines do not come between those of commands.
    dom0.run("dmesg -n 1; bind 'set enable-bracketed-paste off'; export TERM=dumb PAGER=cat SYSTEMD_COLORS=0 SYSTEMD_PAGER=cat LC_ALL=C.UTF-8")
    seen = dom0.machine.seen()
    assert "This is dom0, Pavise's control domain, a Debian." in seen
    assert "demo" in dom0.machine.domains()
    assert dom0.run("apt list --installed 2>/dev/null | grep -o '^pavise-[a-z]*'").split() == ["pavise-bootloader", "pavise-hypervisor", "pavise-tools"]


def test_systemd_is_content(dom0):
    state = dom0.machine.shell.try_run("systemctl is-system-running --wait", PATIENCE)[1].split()[-1:]
    assert state == ["running"], dom0.run("systemctl --failed --no-pager; journalctl -p 3 -b --no-pager | tail -n 40")
    assert dom0.run(f"systemctl is-active {UNITS}").split() == ["active"] * len(UNITS.split())
    assert dom0.run("dpkg --audit; apt-get -q check").count("\n") <= 3


def test_what_became_of_guests_is_in_the_journal(dom0):
    assert "/etc/xen/auto/demo.cfg: started" in dom0.run("journalctl -b -u xendomains --no-pager")
    assert "xenstored" in dom0.run("journalctl -b -u xenstored --no-pager")
    assert dom0.run("ls -d /var/log/journal/*").strip()


def test_the_demo_is_on_the_bridge(dom0):
    """It gets its address from beyond the card, and networkd leaves its interface alone."""
    assert re.search(r"xenbr0 .*10\.0\.2\.15", dom0.run("ip -4 -br addr"))
    vif = f"vif{dom0.machine.domains()['demo'][0]}.0"
    assert f"{vif}" in dom0.run("ls /sys/class/net/xenbr0/brif")
    assert "unmanaged" in dom0.run(f"networkctl list {vif} --no-legend --no-pager")
    with dom0.guest("demo") as g:
        assert "10.0.2." in g.run("for i in $(seq 60); do ip -4 addr show eth0 | grep -q inet && break; sleep 1; done; ip -4 addr show eth0", PATIENCE)
        g.run("ping -c 1 -w 60 10.0.2.15", PATIENCE)


def test_ssh_with_the_key_given(dom0):
    said = subprocess.run(["ssh", "-i", dom0.key, "-p", str(dom0.port), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                           "-o", "ConnectTimeout=120", "root@127.0.0.1", "xl list"], check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert "Domain-0" in said.stdout and "demo" in said.stdout, said


def test_figures(dom0):
    """node_exporter's, with the guests' among them."""
    dom0.machine.shell.write_file("/tmp/figures", "exec 3<>/dev/tcp/127.0.0.1/9100\nprintf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3\ncat <&3")
    found = dom0.run("for i in $(seq 60); do bash /tmp/figures | grep -m 1 '^pavise_.*demo' && break; sleep 2; done")
    assert found.startswith("pavise_"), found


def test_disks_of_all_kinds(dom0):
    """A guest on a reflink copy in XFS, with a qcow2 and a logical volume beside it."""
    dom0.machine.script(DISKS, PATIENCE)
    dom0.machine.shell.write_file("/etc/xen/two.cfg", TWO)
    dom0.run("xl create -q /etc/xen/two.cfg")
    with dom0.guest("two") as g:
        for disk in "xvdb", "xvdc":
            g.run(f"head -c 1000000 /dev/urandom > /tmp/x && dd if=/tmp/x of=/dev/{disk} conv=fsync 2>/dev/null", PATIENCE)
            g.run(f"echo 3 > /proc/sys/vm/drop_caches; head -c 1000000 /dev/{disk} | cmp - /tmp/x", PATIENCE)
    assert "qcow2" in dom0.run("xl block-list two 2>&1; xl list -l two")
    dom0.run("cmp -n 1024 /srv/demo.img /images/demo.img")


def test_what_stays_with_guests_has_scopes(dom0):
    """Supervisors and qemu-nbd; one that is killed has a successor, in a scope too."""
    listed = dom0.run("systemctl list-units --full --no-legend --plain --no-pager 'xen-guest-*'")
    assert len(re.findall(r"^xen-guest-demo-\d+\.scope", listed, re.M)) == 1, listed
    assert len(re.findall(r"^xen-guest-two-\d+\.scope", listed, re.M)) == 1, listed
    assert re.search(r"^xen-guest-vbd-\d+-\d+-\d+\.scope", listed, re.M), listed
    old = re.search(r"xen-guest-two-(\d+)\.scope", listed).group(1)
    dom0.run(f"kill -9 {old}")
    end = time.monotonic() + PATIENCE
    while True:
        found = re.search(r"xen-guest-two-(\d+)\.scope", dom0.run("systemctl list-units --full --no-legend --plain --no-pager 'xen-guest-*'"))
        if found and found.group(1) != old:
            break
        assert time.monotonic() < end, "no new supervisor in a scope"
        time.sleep(1)


def test_upgrade_under_guests(dom0):
    """xenstored is another program in the same process, xenconsoled another process; the guests are the same, and what one writes to
    its disks and console meanwhile is there and complete; the host was not booted again."""
    lives = {name: dom0.boot_id(name) for name in ("demo", "two")}
    with dom0.guest("two") as g:
        g.write_file("/tmp/rounds", ROUNDS)
        g.run("dmesg -n 1; { sh /tmp/rounds /tmp/stop & }", PATIENCE)
    dom0.more_rounds()
    before, pid = dom0.machine.domains(), dom0.run("pidof xenstored").strip()
    consoled = dom0.run("systemctl show -P MainPID xenconsoled").strip()
    host = dom0.run("cat /proc/sys/kernel/random/boot_id")
    inode = dom0.run(f"stat -Lc %i /proc/{pid}/exe")
    said = dom0.run("dpkg -i /images/next/*.deb 2>&1")
    assert "goes on with the old program" not in said, said
    dom0.more_rounds()
    with dom0.guest("two") as g:
        g.run("touch /tmp/stop; wait", PATIENCE)
    found = dom0.rounds()
    assert found == [(str(n + 1), "right") for n in range(len(found))], found
    assert dom0.run("dpkg-query -W -f '${Version}' pavise-tools").strip().endswith(".next")
    assert dom0.run("pidof xenstored").strip() == pid
    assert dom0.run(f"stat -Lc %i /proc/{pid}/exe") != inode
    assert dom0.run(f"stat -Lc %i /proc/{pid}/exe") == dom0.run("stat -c %i /usr/sbin/xenstored")
    assert dom0.run("systemctl show -P MainPID xenconsoled").strip() != consoled
    assert {n: d[0] for n, d in dom0.machine.domains().items()} == {n: d[0] for n, d in before.items()}
    assert {name: dom0.boot_id(name) for name in lives} == lives
    assert dom0.run("cat /proc/sys/kernel/random/boot_id") == host
    assert dom0.run(f"systemctl is-active {UNITS}").split() == ["active"] * len(UNITS.split())
    assert "0 loaded units" in dom0.run("systemctl --failed --no-pager")
    dom0.run("test -e /boot/pavise.bin.old")


def test_tools_are_not_removed_under_guests(dom0):
    assert "there are guests: demo two" in dom0.machine.fails("dpkg -r pavise-tools 2>&1", PATIENCE)
    assert dom0.run("systemctl is-active xenstored").strip() == "active"


def test_poweroff_leaves_all_clean(dom0):
    """Guests first, with what they have not written yet; then what they need: the file system in a logical volume, and that below it."""
    m, work = dom0.machine, os.path.join(OUT, "dom0")
    where = {}
    for name in "files", "raw":
        _, size, _, _, start = dom0.run(f"dmsetup table vg0-{name}").split()
        where[name] = int(start), int(size)
    with dom0.guest("demo") as g:
        g.run("echo last of demo > /written", PATIENCE)
    with dom0.guest("two") as g:
        g.run("mke2fs -F /dev/xvdc > /dev/null && mount /dev/xvdc /mnt && echo last of two > /mnt/written", PATIENCE)
    before = len(m.seen())
    assert m.poweroff(PATIENCE) == 0
    end = m.seen(0)[before:]
    order = [re.search(what, end) for what in (r"Stopped .*xendomains", r"Stopping .*xenstored")]
    assert all(order) and order[0].start() < order[1].start(), end
    ext4_is_clean(dom0.disk)
    ext4_is_clean(dom0.images)
    demo = take_out(dom0.images, "/demo.img", os.path.join(work, "demo.img"))
    ext4_is_clean(demo)
    assert content(demo, "/written") == "last of demo\n"
    pv = take_out(dom0.disk, "/var/lib/pv", os.path.join(work, "pv.img"))
    for name, (start, size) in where.items():
        subprocess.run(["dd", f"if={pv}", f"of={work}/{name}.img", "bs=512", f"skip={start}", f"count={size}", "status=none"], check=True)
    xfs_is_clean(os.path.join(work, "files.img"))
    raw = os.path.join(work, "raw.img")
    ext4_is_clean(raw)
    assert content(raw, "/written") == "last of two\n"
