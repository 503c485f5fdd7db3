# SPDX-License-Identifier: BSD-2-Clause
"""Machines that Pavise cannot start on: it says what is missing and what to do, and ends visibly."""
import base64
import os
import re
import shlex
import socket
import subprocess
import sys

import pytest

import machine


def dies(m, *patterns):
    """With a sentence, and without backtraces: it is no fault of the hypervisor's."""
    assert m.ended(60) == machine.HYPERVISOR_DIED
    assert "backtrace" not in m.seen()
    for pattern in patterns:
        assert re.search(pattern, m.seen()), f"the console has no '{pattern}'"


def test_no_h_extension(boot):
    dies(boot(cpu="rv64,h=off"), r"no hypervisor \(H\) extension", r"-cpu rv64")


def test_no_modules(boot):
    dies(boot(kernel=None, initrd=None), r"no dom0 kernel", r"guest-loader")


def test_no_ramdisk(boot):
    """The kernel alone starts; it is dom0's panic then, and not the hypervisor's silence."""
    m = boot(initrd=None)
    assert m.ended(60) == machine.DOM0_CRASHED
    assert "Unable to mount root" in m.seen()


def test_kernel_is_no_image(boot):
    dies(boot(kernel="/etc/passwd"), r"(no|not a).*RISC-V.*Image")


def test_too_little_memory(boot):
    dies(boot(mem="256M", cmdline="dom0_mem=1G"), r"too little memory", r"MEM=|-m ")


def test_bad_option(boot):
    dies(boot(cmdline="dom0_mem=plenty"), r"dom0_mem=plenty")


def test_bad_policy(boot):
    dies(boot(cmdline="fork=maybe"), r"fork=maybe: want safe or unsafe")


def test_too_much_for_dom0(boot):
    """The advice is about the option, with a number that works."""
    m = boot(mem="1G", cmdline="dom0_mem=8G")
    dies(m, r"too little memory for dom0_mem=8G: \d+ MiB are free", r"dom0_mem=\d+M .*MEM=4G")


def test_misspelt_option(boot):
    m = boot(cmdline="dom0_men=512M xsm=silo", dom0_cmdline="pavise.noauto")
    m.expect(r"option dom0_men=512M is not known, ignored", 60)
    m.expect(r"xsm=silo\)", 60)
    assert "option xsm" not in m.seen()


@pytest.mark.parametrize("variable, message", [
    ("SMP=abc", "SMP=abc: want a number of harts"), ("SMP=0", "SMP=0: want a number"), ("MEM=much", "MEM=much: want a size"),
    ("QEMU_EXTRA='", "QEMU_EXTRA: No closing quotation"), ("DATA=/", "DATA=/: Is a directory"),
    ("KEEP=abc", "KEEP=abc: want KEEP=1"), ("IMAGES_SIZE=3x", "IMAGES_SIZE=3x: want a size"),
    ("IMAGES=/nowhere/x", "IMAGES=/nowhere/x: there is no directory /nowhere"), ("IMAGES=/proc/x", "IMAGES=/proc/x: it is not there, and cannot be made in /proc: "),
    ("IMAGES=/etc/passwd", "IMAGES=/etc/passwd: it is no ext4 image"), ("IMAGES=/dev/null", "neither a file nor a block device"),
    ("SSH_KEY=/nowhere", "SSH_KEY=/nowhere: No such file or directory; ssh-keygen"), ("SSH_KEY=/etc/passwd", "no public key of ssh's: 'root:"),
    ("SSH_PORT=ssh", "SSH_PORT=ssh: want a TCP port"), ("SSH_PORT=65536", "SSH_PORT=65536: want a TCP port"),
    ("LINK=7001", "LINK=7001: want two UDP ports"), ("LINK=7001:65536", "LINK=7001:65536: want two UDP ports"), ("LINK=7001:7001", "want two UDP ports"),
    ("SHARED=/nowhere", "SHARED=/nowhere: No such file or directory; truncate -s 1G /nowhere"), ("SHARED=/dev/null", "SHARED=/dev/null: it has 0 bytes")])
def test_bad_variable(variable, message):
    """Before anything is built, in one sentence."""
    refused(message, variable)


def refused(message, *variables):
    env = dict(os.environ, **dict(v.split("=", 1) for v in variables))
    done = subprocess.run([sys.executable, machine.__file__, "--check"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_bad_files(tmp_path):
    """The private key by mistake; a disk of another label; a port that is taken; two that contradict one another."""
    key, disk = tmp_path / "key", tmp_path / "disk.img"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    refused(f"SSH_KEY={key}: this is the private key, which stays where it is. The public one is wanted: {key}.pub", f"SSH_KEY={key}")
    refused(f"KEEP=0 says that none is kept", "KEEP=0", f"IMAGES={disk}")
    refused(f"IMAGES={disk}: this is the disk that make run without KEEP=1 makes anew", f"IMAGES={disk}", f"DISK={tmp_path}/./disk.img")
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-L", "mine", disk, "8M"], check=True)
    refused("its label is 'mine', but dom0 looks for 'images'", f"IMAGES={disk}")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        refused("that port of 127.0.0.1 is taken", f"SSH_PORT={s.getsockname()[1]}")
    refused(f"SHARED={disk}: that is this machine's own disk already", f"SHARED={disk}", f"DISK={disk}")
    refused("SSH_PORT= leads to dom0 by QEMU's user network", "LINK=7001:7002", "SSH_PORT=2222")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
        refused(f"LINK={port}:7002: port {port} of 127.0.0.1: Address already in use. Is it the other machine's? Then it is LINK=7002:{port} here", f"LINK={port}:7002")


def test_dom0_with_a_disk(tmp_path):
    """DOM0=debian: that disk is the first, there is no initramfs, and the keys are systemd's to read; not through U-Boot."""
    key, disk = tmp_path / "key", tmp_path / "dom0.img"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    env = dict(os.environ, DOM0_DISK=str(disk), SSH_KEY=f"{key}.pub", DISK=str(tmp_path / "images.img"), SSH_PORT="", DATA="", IMAGES="", KEEP="")
    argv = shlex.split(subprocess.run([sys.executable, machine.__file__, "--print"], env=env, capture_output=True, text=True, check=True).stdout)
    drives = [a for a in argv if a.startswith("if=none")]
    assert f"file={disk}" in drives[0] and "images.img" in drives[1] and len(drives) == 2, drives
    assert "dom0_mem=1G" in argv[argv.index("-append") + 1]
    loader, = [a for a in argv if a.startswith("guest-loader")]
    assert "linux-distro/Image" in loader and " root=/dev/vda rw " in loader and "pavise." not in loader
    coded = re.search(r"ssh\.authorized_keys\.root:(\S+)", loader).group(1)
    assert base64.b64decode(coded) == (tmp_path / "key.pub").read_bytes()
    (tmp_path / "many.pub").write_bytes((tmp_path / "key.pub").read_bytes() * 20)
    refused("many.pub: too long for dom0's command line", f"DOM0_DISK={disk}", f"SSH_KEY={tmp_path}/many.pub")
    done = subprocess.run([sys.executable, machine.__file__, "--uboot"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "DOM0=debian is for make run alone" in done.stderr


def on_disk(disk, command):
    return subprocess.run(["/sbin/debugfs", "-w", "-R", command, disk], capture_output=True, text=True, check=True).stdout


def test_kept_disk(tmp_path):
    """What is in the way of a file stays, and so does what has its name elsewhere; growing that was interrupted goes on."""
    disk, tree = tmp_path / "disk.img", tmp_path / "tree"
    command = [os.path.join(os.path.dirname(machine.__file__), "keep-disk"), disk, "images", "16M", tree]
    (tree / "sub").mkdir(parents=True)
    (tree / "note").write_text("mine\n")
    (tree / "sub" / "note").write_text("ours\n")
    subprocess.run(command, check=True)
    for clear, obstacle in ("rm /sub/note", None), ("rmdir /sub", "symlink sub /elsewhere"), ("rm /sub", f"write {tree}/note sub"):
        on_disk(disk, clear)
        if obstacle:
            on_disk(disk, obstacle)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert on_disk(disk, "cat /note") == "mine\n"
            assert done.returncode == 1 and "/sub is no directory there" in done.stderr, done.stderr
    on_disk(disk, "rm /sub")
    subprocess.run(command, check=True)
    assert on_disk(disk, "cat /sub/note") == "ours\n"
    os.symlink('x"\nrm "/note', tree / "link")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "/link: a name, or a symbolic link to one, with a quotation mark" in done.stderr, done.stderr
    assert on_disk(disk, "cat /note") == "mine\n"
    os.unlink(tree / "link")
    os.truncate(disk, 32 << 20)
    subprocess.run(command + ["--grow", "32M"], check=True)
    assert "Block count:              8192\n" in on_disk(disk, "stats")
