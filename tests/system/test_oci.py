# SPDX-License-Identifier: BSD-2-Clause
"""OCI images as guests (xl oci run): one that umoci made of Debian's busybox (ociimage.py), run by one command."""
import hashlib

import pytest


@pytest.fixture
def image(dom0):
    dom0.run("mkdir -p /images/oci && cp /images/test/hello.tar /images/oci/", 60)
    yield dom0
    dom0.run("rm -rf /images/oci")


def oci(m, options, *, status, timeout=120):
    got, out = m.shell.try_run("xl oci run " + options, timeout)
    assert got == status, (got, out)
    return out


@pytest.mark.grows
def test_oci(image):
    """Entry point, user, environment, directory, layers, exit status; what the command line changes; what goes wrong."""
    m, run_it = image, "/images/oci/hello.tar"
    out = oci(m, f"--name greeter {run_it}", status=7)
    assert "hello from greeter, 1000:1001:1001 50, in /work, good morning" in out.replace("\r", ""), out
    script = 'echo $GREETING $MORE $(id -u) $(pwd); cat /etc/gone; (touch /x) 2>/dev/null || echo no; seq 5000 | sha256sum; seq 5000; kill -9 $$'
    out = oci(m, f"-m 192m --vcpus 2 -u 0 -w /etc -e MORE=yes -e GREETING=hi --read-only {run_it}:hello '{script}'", status=137)
    lines = out.replace("\r", "").split("\n")
    text = "".join(f"{i}\n" for i in range(1, 5001))
    assert "hi yes 0 /etc" in lines and "no" in lines and "cat: can't open '/etc/gone': No such file or directory" in lines, out[:500]
    assert hashlib.sha256(text.encode()).hexdigest() + "  -" in lines
    # Not a byte of it is lost or changed.
    assert text.strip() in "\n".join(lines)
    assert "/bin/nothing: No such file" in oci(m, f"--entrypoint /bin/nothing {run_it}", status=127)
    assert "/etc/passwd: Permission denied" in oci(m, f"--entrypoint /etc/passwd {run_it}", status=126)
    assert "there is no image 'other' in it; there are: hello" in oci(m, f"{run_it}:other", status=125)

    # A network, and the end that somebody asks for
    out = oci(m, f"--network bridge -u 0 {run_it} 'ip -o addr show dev eth0'", status=0)
    assert " inet 10.0.2." in out, out
    m.script(f"xl oci run --name slow {run_it} 'trap \"echo asked; exit 3\" TERM; echo up; while :; do sleep 1; done' > /tmp/said & pid=$!\n"
             "until grep -q up /tmp/said; do sleep 0.2; done\nxl shutdown slow\nwait $pid\necho status $? >> /tmp/said\n")
    assert m.run("cat /tmp/said; rm /tmp/said").replace("\r", "").split() == ["up", "asked", "status", "3"]
    # A layer with another byte in it
    m.script("cd /images/oci; printf x | dd of=hello.tar bs=1 seek=700000 conv=notrunc 2>/dev/null\n")
    assert "is damaged: it is not what sha256:" in oci(m, run_it, status=125)
    assert m.domains().keys() == {"Domain-0"}


LIFE = "echo life $GREETING $(nproc) $(ip -o -4 addr show dev eth0 2>&1 | grep -o inet.10.0.2) $(head -n 1 /proc/meminfo); trap 'echo asked; exit 5' TERM; while :; do sleep 1; done"
LOG = "/var/log/xen/console/guest-%s.log"


def wait_for_lines(m, name, text, n):
    m.script(f"""n=0
until [ $(grep -c '{text}' {LOG % name}) -ge {n} ]; do
	n=$((n + 1))
	[ $n -lt 400 ] || {{ cat {LOG % name} /var/log/xen/xl-{name}.log; exit 1; }}
	sleep 0.3
done
""")


@pytest.mark.grows
def test_oci_as_any_guest(image):
    """xl create makes one; it reboots, is restarted and shut down as any guest; whoever looks after it may be killed."""
    m = image
    m.script(f"""cat > /tmp/o.cfg <<'END'
name = "service"
oci = "/images/oci/hello.tar"
oci_args = [ "{LIFE}" ]
oci_env = [ "GREETING=hello" ]
memory = 160
vcpus = 2
vif = [ '' ]
END
xl create -q /tmp/o.cfg
""")
    wait_for_lines(m, "service", "^life", 1)
    assert '"supervisor": "alive"' in m.run("xl list --json service")
    # xl reboot ends the program in order and begins with a new root; each life has a log of its own.
    m.run("xl reboot -w service", 60)
    m.shell.run(f"until [ -e {LOG % 'service'}.1 ]; do sleep 0.3; done", 60)
    wait_for_lines(m, "service", "^life", 1)
    m.run("xl shutdown -w service", 60)
    for log in (LOG % "service", LOG % "service" + ".1"):
        said = m.run(f"cat {log}").replace("\r", "").strip().split("\n")
        assert len(said) == 2, said
        life, asked = said
        assert life.startswith("life hello 2 inet 10.0.2 MemTotal:") and asked == "asked", (life, asked)
        assert 120 << 10 < int(life.split()[-2]) < 160 << 10, life
    assert '"program": "exit status 5"' in m.run("xl events --json -n 6")

    # xl oci run: Ctrl-C's signal, a death that it cannot tell of, and none that waits for it
    run = f"rm -f /tmp/said\nxl oci run --name now -e GREETING=hi /images/oci/hello.tar '{LIFE}' > /tmp/said & pid=$!\nuntil grep -q ^life /tmp/said; do sleep 0.2; done\n"
    run = run.replace("trap 'echo asked; exit 5' TERM", 'trap "echo asked; exit 5" TERM')
    m.script(run + "kill -INT $pid\nwait $pid\necho status $? >> /tmp/said\n")
    said = m.run("cat /tmp/said").replace("\r", "").rstrip()
    assert "\nasked\n" in said and said.endswith("status 5"), said
    # The image as a layout in a directory
    m.run("mkdir /images/oci/layout && tar -C /images/oci/layout -xf /images/oci/hello.tar", 60)
    m.script(run.replace("hello.tar", "layout") + "kill -9 $pid\n")
    assert '"supervisor": "alive"' in m.run("xl list --json now")
    m.run("xl shutdown -w now", 60)
    assert m.run("ls /images/.oci; rm -r /images/oci/layout") == ""
    assert m.run("xl oci run -d --name now -u 0 --ip 10.0.2.77/24,gateway=10.0.2.2,dns=10.0.2.3 /images/oci/hello.tar "
                 "'ip -o addr show dev eth0; ip route; cat /etc/resolv.conf; ping -c 1 -W 5 10.0.2.2; echo done'", 60).split() == ["now"]
    wait_for_lines(m, "now", "^done", 1)
    out = m.run(f"cat {LOG % 'now'}")
    for text in (" inet 10.0.2.77/24 ", "default via 10.0.2.2 dev eth0", "nameserver 10.0.2.3", " 0% packet loss"):
        assert text in out, out
    m.run("until ! xl domid now 2>/dev/null; do sleep 0.2; done; rm /tmp/said /tmp/o.cfg", 60)
    assert m.domains().keys() == {"Domain-0"}


@pytest.mark.grows
def test_oci_input(image):
    """Standard input reaches the program byte by byte, and its end does; or the console is its terminal. Layers may be zstd."""
    m, run_it = image, "/images/test/zstd.tar"
    m.run("head -c 150000 /dev/urandom > /tmp/in", 60)
    want = m.run("sha256sum < /tmp/in; tr -d '\\020' < /tmp/in | wc -c").split()
    assert 0 < int(want[2]) < 150000, want  # it has the byte that is marked
    assert want[0] in m.run(f"xl oci run -i {run_it} 'sha256sum' < /tmp/in", 120)
    out = m.run(f"xl oci run -i {run_it} 'head -c 5; sleep 1' < /tmp/in | wc -c; xl oci run -t {run_it} 'test -t 0 && test -t 1 && echo terminal'", 120)
    assert out.replace("\r", "").split() == ["5", "terminal"], out
    # What is typed at a terminal is echoed there, and ends with a key.
    out = m.run(f"printf 'echo $((6*7)) $(readlink /proc/self/fd/0)\\nexit 3\\n' | xl oci run -it --entrypoint /bin/sh {run_it}; echo status $?; rm /tmp/in", 120)
    assert "42 /dev/hvc0" in out and "status 3" in out, out


@pytest.mark.grows
def test_oci_disks(image):
    """A root on a disk is a new one each time, never over something else; a volume keeps what is written."""
    m, run_it = image, "/images/test/hello.tar"
    m.run("cd /images/oci && truncate -s 48M root.img data.img && mke2fs -F data.img > /dev/null && cp data.img used.img", 60)
    script = "head -c 20000000 /dev/zero > /big && touch /left; cat /proc/mounts; ls /left /lost+found; true"
    for _ in range(2):
        out = m.run(f"xl oci run -u 0 -m 96m --root-disk /images/oci/root.img {run_it} 'ls /left; {script}'", 120)
        assert "/dev/xvdb / ext4 " in out and out.count("ls: /left: No such file") + out.count("ls: /lost+found: No such file") == 2, out
    assert "something on it that is no image's root" in oci(m, f"--root-disk /images/oci/used.img {run_it}", status=125)
    m.run(f"xl oci run -u 0 -v /images/oci/data.img:/srv/data {run_it} 'echo kept > /srv/data/file'", 60)
    out = m.run(f"xl oci run -u 0 -v /images/oci/data.img:/data:ro {run_it} 'cat /data/file; touch /data/x || echo no'", 60)
    assert out.replace("\r", "").split("\n")[0] == "kept" and out.rstrip().endswith("no"), out
    assert "it needs a file system" in oci(m, f"-v {run_it}:/data:ro {run_it}", status=125)
