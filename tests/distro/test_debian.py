# SPDX-License-Identifier: BSD-2-Clause
"""Debian as a guest, as `make images && make run GUEST=debian` gives it: systemd, containers, ssh, an orderly end. In this order."""
import json
import os
import re
import subprocess
import time

import pytest

from conftest import PATIENCE

# The guest's own apt, with the packages of make-tools' disk only
APT = "apt-get -q -o Dir::Etc::sourcelist=/root/tools.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0"

HELLO = """
set -e
rm -rf /root/hello && mkdir -p /root/hello/root/bin /root/hello/root/lib /root/hello/root/tmp
cd /root/hello
# Debian's own programs and the libraries that they load
for program in sh cat grep echo; do
    cp -L /usr/bin/$program root/bin/
    ldd /usr/bin/$program | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p root$(dirname $library) && cp -L $library root$library
    done
done
tar -C root -c . | docker import - base:1
printf 'FROM base:1\\nCMD ["/bin/sh", "-c", "echo Hello from a container; grep ^Seccomp: /proc/self/status"]\\n' > Dockerfile
DOCKER_BUILDKIT=0 docker build -q -t hello:1 .
"""


def test_systemd_is_running_with_nothing_failed(debian):
    with debian.console() as g:
        status, state = g.try_run("systemctl is-system-running --wait", PATIENCE)
        assert (status, state.split()[-1:]) == (0, ["running"]), g.try_run("systemctl --failed --no-pager; journalctl -p 3 -b --no-pager | tail -40")[1]
        assert "0 loaded units" in g.run("systemctl --failed --no-pager", 120)


def test_the_kernel_is_the_guests_own_and_hardened(debian):
    """It came from the disk (bootloader=), its modules fit, and what distributions turn on is on."""
    with debian.console() as g:
        release = g.run("uname -r").strip()
        assert release.endswith("-pavise")
        assert g.run(f"dpkg-query -W -f '${{db:Status-Status}}' linux-image-{release}").strip() == "installed"
        assert f"vmlinux-{release}" in g.run("cat /boot/extlinux/extlinux.conf")
        g.run("lsmod | grep -q ^xen_netfront", 60)
        config = g.run("zcat /proc/config.gz | grep -E '^CONFIG_(STRICT_KERNEL_RWX|STACKPROTECTOR_STRONG|RANDOMIZE_BASE)='")
        assert config.count("=y") == 3
        assert {"cpuset", "cpu", "io", "memory", "pids"} <= set(g.run("cat /sys/fs/cgroup/cgroup.controllers").split())


def test_docker_runs_an_image_built_there(debian):
    with debian.console() as g:
        g.run("systemctl is-active docker", 60)
        g.script(HELLO, PATIENCE)
        said = g.run("docker run --rm hello:1", PATIENCE)
        assert "Hello from a container" in said
        assert re.search(r"^Seccomp:\s*2$", said, re.M), said


def address(g):
    """The guest's IPv4 address."""
    return re.search(r"inet ([0-9.]+)/", g.run("ip -c=never -4 -o addr show scope global dev $(ls /sys/class/net | grep -m 1 ^en)")).group(1)


def make_busybox_image(g, tools, engine):
    """An image box:1 with busybox as its every program."""
    g.script(f"""
set -e
mkdir -p /root/box/bin /root/box/tmp /root/box/www
cp {tools}/bin/busybox /root/box/bin/
for name in sh cat dd echo grep httpd ping sleep wget; do ln -sf busybox /root/box/bin/$name; done
echo served > /root/box/www/index.html
tar -C /root/box -c . | {engine} import - box:1
""", PATIENCE)


@pytest.fixture(scope="session")
def box(debian, tools):
    """Docker in the guest debian has it."""
    with debian.console() as g:
        make_busybox_image(g, tools, "docker")
    return "box:1"


def test_docker_limits_memory_and_processors(debian, box):
    """A container sees the limits as its cgroup's, and one that exceeds its memory is killed. Its layers are overlayfs's."""
    with debian.console() as g:
        run = f"docker run --rm -m 32m --memory-swap 32m --cpus 0.5 {box} "
        assert g.run(run + "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max", PATIENCE).split() == ["33554432", "50000", "100000"]
        g.run(run + "dd if=/dev/zero of=/dev/null bs=1M count=1", PATIENCE)
        assert g.try_run(run + "dd if=/dev/zero of=/dev/null bs=64M count=1", PATIENCE)[0] == 137
        said = g.run(run + "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done; grep ^nr_throttled /sys/fs/cgroup/cpu.stat'", PATIENCE)
        assert int(said.split()[-1]) > 0, said
        assert "overlay" in g.run("docker info -f '{{.Driver}}'", 120)


def test_docker_networks(debian, box):
    """A published port answers dom0; two containers on a bridge find each other by name, and reach each other by IPv6."""
    with debian.console() as g:
        g.run("docker network create --ipv6 --subnet fd0d::/64 pair", PATIENCE)
        g.run(f"docker run -d --name server --network pair -p 8080:80 {box} httpd -f -h /www", PATIENCE)
        where = address(g)
        assert g.run(f"docker run --rm --network pair {box} wget -q -O - http://server/", PATIENCE).strip() == "served"
        six = g.run("docker inspect -f '{{.NetworkSettings.Networks.pair.GlobalIPv6Address}}' server", 120).strip()
        assert six.startswith("fd0d::")
        assert g.run(f"docker run --rm --network pair {box} wget -q -O - 'http://[{six}]/'", PATIENCE).strip() == "served"
    assert debian.machine.run(f"wget -q -O - http://{where}:8080/", 120).strip() == "served"
    with debian.console() as g:
        g.run("docker rm -f server && docker network rm pair", PATIENCE)
    debian.machine.fails(f"wget -q -T 20 -O - http://{where}:8080/", 120)


def test_ssh_from_dom0(debian):
    """A key that dom0 makes, given to the guest, lets dom0 in."""
    m = debian.machine
    m.run("mkdir -p /root/.ssh && rm -f /root/.ssh/id_dropbear && dropbearkey -t ed25519 -f /root/.ssh/id_dropbear > /root/key 2>&1", 60)
    key = re.search(r"^ssh-ed25519 \S+", m.run("cat /root/key"), re.M).group(0)
    with debian.console() as g:
        g.run(f"mkdir -p -m 700 /root/.ssh && echo '{key}' > /root/.ssh/authorized_keys")
        where = address(g)
    assert m.run(f"ssh -y -y -i /root/.ssh/id_dropbear root@{where} 'uname -n' 2> /dev/null", 120).strip().endswith("debian")


def test_apt_installs_podman(debian, tools):
    """From a source of packages on another disk; podman runs an image, filtered."""
    with debian.console() as g:
        g.run(f"echo 'deb [trusted=yes] file:{tools}/repo ./' > /root/tools.list")
        g.run(f"{APT} update", PATIENCE)
        g.run(f"{APT} install -y podman", PATIENCE)
        make_busybox_image(g, tools, "podman")
        said = g.run("podman run --rm --network host -m 64m box:1 grep ^Seccomp: /proc/self/status", PATIENCE)
        assert re.search(r"^Seccomp:\s*2$", said, re.M), said


def test_files_are_what_was_written(debian, tools):
    """fio reads back and compares what it wrote at random places, past the page cache."""
    with debian.console() as g:
        said = g.run(f"LD_LIBRARY_PATH={tools}/lib {tools}/bin/fio --name=v --filename=/root/fio --size=96M --rw=randwrite --bs=4k "
                     "--ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c --verify_fatal=1 && rm /root/fio", PATIENCE)
        assert re.search(r"err= 0", said), said
        print(*re.findall(r"^ +(?:read|write): .*", said, re.M), sep="\n")


def test_computing_is_right(debian, tools):
    """stress-ng checks its own results, on all processors and in memory that is taken and given back."""
    with debian.console() as g:
        said = g.run(f"LD_LIBRARY_PATH={tools}/lib {tools}/bin/stress-ng --cpu 2 --vm 1 --vm-bytes 128M --switch 1 --verify -t 40s 2>&1", PATIENCE)
        assert "failed: 0" in said and "passed: 4" in said, said


def test_two_guests_exchange_packets(debian, tools, tools2):
    """iperf3 in both directions, on IPv4 and IPv6."""
    with debian.console() as g:
        where = address(g)
        link = re.search(r"inet6 (fe80:[0-9a-f:]+)/", g.run("ip -c=never -6 -o addr show dev enX0")).group(1)
        g.run(f"LD_LIBRARY_PATH={tools}/lib {tools}/bin/iperf3 -s -D", 60)
    with debian.console("node2") as g:
        g.run(f"ping -c 3 -6 {link}%enX0", 120)
        for options in f"-c {where}", f"-c {where} -R", f"-6 -c {link}%enX0", f"-6 -c {link}%enX0 -R":
            result = json.loads(g.run(f"LD_LIBRARY_PATH={tools2}/lib {tools2}/bin/iperf3 -t 5 -J {options}", PATIENCE))
            bits = result["end"]["sum_received"]["bits_per_second"]
            print(f"iperf3 {options}: {bits / 1e6:.0f} Mbit/s")
            assert bits > 0
    with debian.console() as g:
        g.run("pkill iperf3")


def test_two_guests_in_a_swarm(debian, box, tools2):
    """Docker's own cluster: a service in one guest reaches one in the other by name, over an overlay network."""
    with debian.console("node2") as g:
        make_busybox_image(g, tools2, "docker")
    with debian.console() as g:
        where = address(g)
        g.run(f"docker swarm init --advertise-addr {where}", PATIENCE)
        token = re.search(r"SWMTKN\S+", g.run("docker swarm join-token -q worker", 120)).group(0)
    with debian.console("node2") as g:
        g.run(f"docker swarm join --token {token} {where}:2377", PATIENCE)
    with debian.console() as g:
        nodes = g.run("docker node ls --format '{{.Hostname}} {{.Status}}'", 120).splitlines()
        assert {"debian Ready", "node2 Ready"} <= set(nodes), nodes
        g.run("docker network create -d overlay over", PATIENCE)
        # Services have the time that they need: docker run --network gives up after 20 s.
        service = "docker service create -q -d --no-resolve-image --network over --constraint node.hostname=="
        g.run(f"{service}debian --name alpha {box} httpd -f -h /www", PATIENCE)
        ask = "until wget -T 20 -q -O - http://alpha/; do sleep 5; done"
        g.run(f"{service}node2 --name ask --restart-condition none {box} sh -c '{ask}'", PATIENCE)
        g.run(f"timeout {PATIENCE} sh -c 'until docker service ps ask | grep -q Complete; do sleep 5; done'", PATIENCE + 60)
        where = g.run("docker service ps alpha ask --filter desired-state=running --filter desired-state=shutdown --format '{{.Node}} {{.Name}}'", 120)
        assert {"debian alpha.1", "node2 ask.1"} <= set(where.splitlines()), where
        g.run("docker service rm alpha ask && docker network rm over", PATIENCE)
    with debian.console("node2") as g:
        g.run("docker swarm leave", PATIENCE)
    with debian.console() as g:
        # Docker waits ten seconds for it and says that it failed; it goes on with it all the same.
        state = "docker info --format '{{.Swarm.LocalNodeState}}'"
        g.run(f"timeout {PATIENCE} sh -c 'until [ \"$({state})\" = inactive ]; do docker swarm leave --force; sleep 5; done'", PATIENCE + 60)


def test_kexec_is_refused(debian):
    """Loading a kernel says at once that it cannot be started, as the patch for kexec promises: kexec_load(2) of one page."""
    with debian.console() as g:
        memory = int(re.search(r"^([0-9a-f]+)-[0-9a-f]+ : System RAM", g.run("cat /proc/iomem"), re.M).group(1), 16)
        page = memory + (64 << 20)
        g.write_file("/root/load.pl", f"""
$page = "x" x 4096;
$segment = pack("PQQQ", $page, 4096, {page}, 4096);
print syscall(104, {page}, 1, $segment, 0), " $!\\n";
""")
        said = g.run("perl /root/load.pl && cat /sys/kernel/kexec_loaded && dmesg | grep kexec", 60)
        assert said.splitlines()[:2] == ["-1 Operation not supported", "0"] and "kexec does not work in a Xen domain" in said, said


def test_a_panic_leaves_a_core(debian, node2):
    """on_crash="coredump-restart": what kdump is for. dom0 has the guest's memory as it was, and the guest is back."""
    m = debian.machine
    domid = m.domains()["node2"][0]
    with debian.console("node2") as g:
        g.run("sync; echo mark-$((6 * 7 * 1000)) > /dev/kmsg; echo 1 > /proc/sys/kernel/sysrq")
        g.run("systemd-run -q --on-active=3 sh -c 'echo c > /proc/sysrq-trigger'", 60)
    m.wait_restarted("node2", domid, PATIENCE)
    for text in "mark-42000", "Kernel panic - not syncing: sysrq triggered crash":
        m.run(f"grep -q -a '{text}' /var/lib/xen/dump/node2", PATIENCE)
    m.run("rm /var/lib/xen/dump/node2")
    with debian.console("node2") as g:
        assert g.run("systemctl is-system-running --wait", PATIENCE).split()[-1] == "running"


def test_kernel_is_upgraded_from_inside(debian, tools):
    """apt installs another kernel, the guest's boot menu names it, and the guest comes back with it; removed, the old one is the menu's."""
    with debian.console() as g:
        old = g.run("uname -r").strip()
        package = re.search(r"linux-image-\S+", g.run(f"ls {tools}/repo | grep ^linux-image")).group(0).removesuffix(".deb")
        new = package.removeprefix("linux-image-")
        assert new != old
        g.run(f"echo 'deb [trusted=yes] file:{tools}/repo ./' > /root/tools.list; {APT} update", PATIENCE)
        g.run(f"{APT} install -y {package}", PATIENCE)
    domid = debian.machine.domains()["debian"][0]
    with debian.console() as g:
        g.run("systemd-run -q --on-active=3 systemctl reboot")
    debian.machine.wait_restarted("debian", domid, PATIENCE)
    with debian.console() as g:
        assert g.run("uname -r").strip() == new
        assert g.run("systemctl is-system-running --wait", PATIENCE).split()[-1] == "running"
        g.run("lsmod | grep -q ^xen_netfront", 60)
        g.run(f"apt-get remove -y {package}", PATIENCE)
        assert old in g.run("cat /boot/extlinux/extlinux.conf") and new not in g.run("cat /boot/extlinux/extlinux.conf")


def test_poweroff_leaves_the_disk_clean(debian):
    """dom0's poweroff asks the guests and waits for them; their file systems need no repair."""
    m = debian.machine
    start = time.monotonic()
    assert m.poweroff(PATIENCE) == 0
    print(f"poweroff took {time.monotonic() - start:.0f} s")
    inner = os.path.join(os.path.dirname(debian.disk), "after.img")
    env = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
    for name in "debian", "node2":
        subprocess.run(["debugfs", "-R", f"dump /{name}.img {inner}", debian.disk], check=True, env=env, capture_output=True)
        said = subprocess.run(["dumpe2fs", "-h", inner], check=True, env=env, capture_output=True, text=True).stdout
        assert re.search(r"Filesystem state:\s+clean$", said, re.M) and "needs_recovery" not in said
        done = subprocess.run(["e2fsck", "-fn", inner], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        os.unlink(inner)
