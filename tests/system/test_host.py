# SPDX-License-Identifier: BSD-2-Clause
"""A host that stays: one kept disk for everything, settings of dom0's own, guests that start with it, ssh, a login."""
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from conftest import BUILD, OUT, TOP, payloads

import machine

PASSWORD = "correct horse"
KEEP_DISK = os.path.join(TOP, "scripts", "keep-disk")


def ssh(port, key, command, *options):
    """One command over ssh, as root: the finished process."""
    return subprocess.run(
        ["ssh", "-F", "/dev/null", "-i", key, "-p", str(port), "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=accept-new",
         "-o", f"UserKnownHostsFile={OUT}/known_hosts", "-o", "ConnectTimeout=60", "-o", "NumberOfPasswordPrompts=1", *options,
         "root@127.0.0.1", command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)


def ssh_when_up(port, key, command):
    """The daemon comes up beside the guests."""
    end = time.monotonic() + 60
    while True:
        done = ssh(port, key, command)
        if done.returncode != 255 or time.monotonic() > end:
            return done
        time.sleep(1)


def make_key(name):
    path = os.path.join(OUT, name)
    for old in path, path + ".pub":
        if os.path.exists(old):
            os.unlink(old)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
    return path


def keep_disk(path, *more):
    """What make images-disk does, with the tests' small guests beside."""
    tree = os.path.join(OUT, "kept-tree")
    os.makedirs(tree, exist_ok=True)
    shutil.copy(payloads()["idle"], os.path.join(tree, "idle"))
    return subprocess.run([KEEP_DISK, path, "images", "1G", os.path.join(BUILD, "disk"), tree, "--dir", "auto", "--dir", "etc",
                           "--dir", "log", *more], capture_output=True, text=True, check=False)


@pytest.fixture
def kept():
    path = os.path.join(OUT, "kept.img")
    for old in path, os.path.join(OUT, "known_hosts"):
        if os.path.exists(old):
            os.unlink(old)
    done = keep_disk(path)
    assert done.returncode == 0, done.stderr
    yield path
    os.unlink(path)


def unmounted(m):
    """At its end nobody had files open for writing on the kept disk, so that nothing written was lost."""
    end = m.seen(0).rsplit(":0>", 1)[1]
    return "reboot: Power down" in end and "Emergency Remount" not in end and "EXT4-fs" not in end and "WARNING" not in end


def login(m, password):
    m.expect(r"login: ?$", 120)
    m.send("root\n")
    m.expect(r"Password: ?$", 30)
    m.send(password + "\n")


def test_host_that_stays(boot, kept, free_port):
    """One disk, one machine, a reboot in its middle: keys, passwords, names, guests and logs are there after it."""
    port, key, other = free_port(), make_key("key"), make_key("other")
    config = machine.Config(build=BUILD)
    m = boot(image=kept, kept=True, hostfwd=((port, 22),), initrd=machine.initrd_with_keys(config, key + ".pub"),
             dom0_cmdline=f"pavise.noauto pavise.ssh={port}").boot()
    assert f"ssh -p {port} root@127.0.0.1" in m.seen() and "/images is kept" in m.seen()

    # In with the key, and with nothing else.
    done = ssh_when_up(port, key, "xl list")
    assert done.returncode == 0 and "Domain-0" in done.stdout, done.stderr
    refused = ssh(port, other, "xl list")
    assert refused.returncode == 255 and "Permission denied (publickey)" in refused.stderr, refused.stderr
    refused = ssh(port, key, "true", "-v", "-o", "PubkeyAuthentication=no")
    assert refused.returncode == 255 and "can continue: publickey\n" in refused.stderr and "password" not in re.sub(
        r"(?m)^debug1: (?!Authentications).*$", "", refused.stderr), refused.stderr
    # Who logs in pays for a lack of memory like every other.
    assert ssh(port, key, "cat /proc/self/oom_score_adj").stdout.strip() == "0"
    # The disk is nobody else's meanwhile, neither for a run nor for a repair.
    for command in ([KEEP_DISK, kept, "images", "1G"], [sys.executable, machine.__file__, "--check"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ, IMAGES=kept))
        assert done.returncode == 1 and "is another machine's at the moment" in done.stderr, done.stderr

    # What is to be there afterwards
    with open(key + ".pub", encoding="ascii") as f:
        m.shell.write_file("/images/etc/authorized_keys", "not a key\n" + f.read())
    m.run("echo rock > /data/etc/hostname; rm /images/demo.img; echo mine > /images/boot/mine")
    m.run("printf 'START_DELAY=0.5\\nSHUTDOWN_GRACE=2\\nrm -rf /\\n' > /data/etc/guests.conf; printf 'NIC=eth0\\nexit 1\\nwhile :\\n' > /data/etc/network.conf")
    m.run("printf 'log_limit = 30\\n' > /data/etc/xl.conf")
    for name in ("30-last", "10-first", "20-middle"):
        m.shell.write_file(f"/images/auto/{name}.cfg", f"""name = "{name[3:]}"
kernel = "/images/idle"
memory = 16 """)
    m.run("echo 'kernel = /nowhere' > /images/auto/15-bad.cfg; : > /images/auto/demo.cfg; echo > /images/auto/README")
    m.send("passwd\n")
    for _ in range(2):
        m.expect(r"password: ?$", 30)
        m.send(PASSWORD + "\n")
    m.shell.run("true")
    host_key = m.run("dropbearkey -y -f /data/etc/dropbear_ed25519_host_key | grep ^ssh- | cut -d' ' -f2")

    # The same machine with the same disk, and without what it was given on its command line.
    assert m.poweroff() == 0 and unmounted(m), m.tail()
    assert "clean" in subprocess.run(["/sbin/dumpe2fs", "-h", kept], capture_output=True, text=True, check=False).stdout.split(
        "Filesystem state:")[1].splitlines()[0]
    done = keep_disk(kept, "--grow", "1500M")
    assert done.returncode == 0 and "PUT      /demo.img onto" in done.stdout and "GROW" in done.stdout, done.stdout + done.stderr
    assert machine.has_keys(kept) and os.path.getsize(kept) == 1500 << 20
    m = boot(image=kept, kept=True, hostfwd=((port, 22),), dom0_cmdline=f"pavise.ssh={port}")
    login(m, "wrong horse")
    m.expect("Login incorrect", 30)
    login(m, PASSWORD)
    m.boot("rock")
    table = m.domains()
    assert table.keys() == {"Domain-0", "first", "middle", "last"}
    assert table["first"][0] < table["middle"][0] < table["last"][0]
    seen = m.seen()
    assert "the guest of /data/auto/15-bad.cfg does not start" in seen and "not started: 15-bad.cfg" in seen
    assert "/data/etc/guests.conf: no setting: rm -rf /" in seen and "/data/etc/network.conf: no setting: while :" in seen
    log = m.run("cat /images/log/auto.log")
    assert re.search(r"first.cfg: started\n(?s:.*)15-bad.cfg: does not start:\n(?s:.*)middle.cfg: started\n", log), log
    assert "demo.cfg is empty" in log and "README: left out" in log
    # Logs of the life before, dom0's kernel log among them
    assert m.run("grep -c 'Linux version' /images/log/dom0.log").strip() == "2"
    assert "--log-total=20" in m.run("tr '\\0' ' ' < /proc/$(pidof xenconsoled)/cmdline")
    m.run("df -k /images | awk 'NR == 2 { exit !($2 > 1300000) }'; test -s /images/boot/mine; test -s /images/demo.img")
    assert m.run("dropbearkey -y -f /data/etc/dropbear_ed25519_host_key | grep ^ssh- | cut -d' ' -f2") == host_key
    done = ssh_when_up(port, key, "hostname")
    assert done.stdout.strip() == "rock" and done.returncode == 0, done.stderr
    assert ssh(port, other, "true").returncode == 255
    m.run("> /images/etc/authorized_keys; test \"$(/etc/rc.ssh keys)\" = '0 keys may log in as root'")
    assert ssh(port, key, "true").returncode == 255
    # Whoever kills the daemon of either kind meets another one.
    m.script("""
for name in dropbear xenconsoled xenstored syslogd; do
	old=$(pidof $name) && kill -9 $old || exit 1
	n=0
	until new=$(pidof $name) && [ "$new" != "$old" ]; do
		n=$((n + 1)) && [ $n -lt 30 ] || { echo "no new $name"; exit 1; }
		sleep 1
	done
done
xl list > /dev/null""")
    m.send("exit\n")
    login(m, PASSWORD)
    m.shell.attach(30)
    # The guests know of no shutdown.
    assert m.poweroff() == 0 and "it has not shut down within 2 s" in m.seen(0) and unmounted(m), m.tail()


def test_damaged_settings(boot, kept):
    """dom0 comes up with whatever is in the files of the kept disk; and without them when it is told so."""
    noise = os.path.join(OUT, "noise")
    with open(noise, "wb") as f:
        f.write(b"\x1b[6n\0" + bytes(range(256)) * 40)
    names = ("hostname", "xl.conf", "guests.conf", "network.conf", "shadow", "authorized_keys", "dropbear_ed25519_host_key")
    done = subprocess.run(["/sbin/debugfs", "-w", "-f", "-", kept], input="cd /etc\n" + "".join(f"write {noise} {n}\n" for n in names),
                          capture_output=True, text=True, check=True)
    assert done.stdout.count("Allocated inode") == len(names), done.stdout + done.stderr
    m = boot(image=kept, kept=True, dom0_cmdline="pavise.noauto")
    m.expect("dom0 login: ?$", 120)
    seen = m.seen()
    assert "/data/etc/hostname: no name" in seen and "/data/etc/shadow has no line for root" in seen and "\x1b[6n" not in seen
    m.kill()
    m = boot(image=kept, kept=True, dom0_cmdline="pavise.noauto pavise.defaults").boot()
    # DHCP goes on beside the boot.
    m.run("until ip addr show xenbr0 | grep -q 'inet '; do sleep 0.2; done")
    assert m.poweroff() == 0
