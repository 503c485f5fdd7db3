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
