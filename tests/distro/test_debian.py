# SPDX-License-Identifier: BSD-2-Clause
"""Debian as a guest, as `make images && make run GUEST=debian` gives it: systemd, containers, ssh, an orderly end. In this order."""
import os
import re
import subprocess
import time

from conftest import PATIENCE

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
        assert (status, state.strip()) == (0, "running"), g.try_run("systemctl --failed --no-pager; journalctl -p 3 -b --no-pager | tail -40")[1]
        assert "0 loaded units" in g.run("systemctl --failed --no-pager", 120)


def test_the_kernel_is_the_guests_own_and_hardened(debian):
    """It came from the disk (bootloader=), its modules fit, and what distributions turn on is on."""
    with debian.console() as g:
        release = g.run("uname -r").strip()
        assert release.endswith("-pavise")
        assert g.run(f"dpkg-query -W -f '${{db:Status-Status}}' linux-image-{release}").strip() == "installed"
        assert f"vmlinux-{release}" in g.run("cat /boot/extlinux/extlinux.conf")
        g.run("lsmod | grep -q ^xen_netfront", 60)
        config = g.run("zcat /proc/config.gz | grep -E 'STRICT_KERNEL_RWX|STACKPROTECTOR_STRONG|RANDOMIZE_BASE'")
        assert config.count("=y") == 3
        assert g.run("cat /sys/fs/cgroup/cgroup.controllers").split() >= ["cpuset", "cpu", "io", "memory"]


def test_docker_runs_an_image_built_there(debian):
    with debian.console() as g:
        g.run("systemctl is-active docker", 60)
        g.script(HELLO, PATIENCE)
        said = g.run("docker run --rm hello:1", PATIENCE)
        assert "Hello from a container" in said
        assert re.search(r"^Seccomp:\s*2$", said, re.M), said


def test_docker_limits_memory(debian):
    """A container's limit is its cgroup's, and its layers are overlayfs's."""
    with debian.console() as g:
        limit = g.run("docker run --rm -m 64m -v /sys/fs/cgroup:/c:ro hello:1 /bin/sh -c 'cat /c/system.slice/docker-*/memory.max | grep -x 67108864'",
                      PATIENCE)
        assert limit.strip() == "67108864"
        assert "overlay" in g.run("docker info -f '{{.Driver}}'", 120)


def test_ssh_from_dom0(debian):
    """A key that dom0 makes, given to the guest, lets dom0 in."""
    m = debian.machine
    m.run("mkdir -p /root/.ssh && dropbearkey -t ed25519 -f /root/.ssh/id_dropbear > /root/key 2>&1", 60)
    key = re.search(r"^ssh-ed25519 \S+", m.run("cat /root/key"), re.M).group(0)
    with debian.console() as g:
        g.run(f"mkdir -p -m 700 /root/.ssh && echo '{key}' > /root/.ssh/authorized_keys")
        address = re.search(r"inet ([0-9.]+)/", g.run("ip -4 -o addr show scope global dev $(ls /sys/class/net | grep -m 1 ^en)")).group(1)
    assert m.run(f"ssh -y -y -i /root/.ssh/id_dropbear root@{address} 'uname -n' 2> /dev/null", 120).strip().endswith("debian")


def test_poweroff_leaves_the_disk_clean(debian):
    """dom0's poweroff asks the guest and waits for it; its file system needs no repair."""
    m = debian.machine
    start = time.monotonic()
    assert m.poweroff(PATIENCE) == 0
    print(f"poweroff took {time.monotonic() - start:.0f} s")
    inner = os.path.join(os.path.dirname(debian.disk), "after.img")
    env = dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
    subprocess.run(["debugfs", "-R", f"dump /debian.img {inner}", debian.disk], check=True, env=env, capture_output=True)
    said = subprocess.run(["dumpe2fs", "-h", inner], check=True, env=env, capture_output=True, text=True).stdout
    assert re.search(r"Filesystem state:\s+clean$", said, re.M) and "needs_recovery" not in said
    done = subprocess.run(["e2fsck", "-fn", inner], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    os.unlink(inner)
