# SPDX-License-Identifier: BSD-2-Clause
"""Disks of a running Linux guest: they come, are written and verified, grow, give space back, and go.

dom0's fixture looks afterwards whether a loop device, node or page is left.
"""
import json
import re

import pytest

pytestmark = pytest.mark.grows
IMAGES = "/images/plug"


@pytest.fixture
def plug(dom0):
    """demo, and a directory for images that is emptied afterwards. Each disk costs Linux some MiB of its memory."""
    dom0.run("xl create -q -w /etc/xen/demo.cfg memory=384", 60)
    dom0.run(f"mkdir -p {IMAGES}")
    yield dom0
    dom0.shell.try_run("xl destroy demo", 60)
    dom0.run(f"losetup -d /dev/loop6 2>/dev/null; rm -r {IMAGES}")


def await_(shell, condition, timeout=60):
    shell.run(f"until {condition}; do usleep 100000; done", timeout)


def has(shell, dev, there=True):
    """Until the guest has the disk, or has it no more."""
    await_(shell, f"[ {'' if there else '!'} -b /dev/{dev} ]")


def sectors(shell, dev):
    return int(shell.run(f"cat /sys/block/{dev}/size"))


def blocks(m, name):
    """How much of a file is really there, in KiB."""
    return int(m.run(f"stat -c %b {IMAGES}/{name}")) // 2


def rounds_of_io(m, rounds):
    for i in range(rounds):
        m.run(f"xl block-attach demo vdev=xvdb target={IMAGES}/io.img")
        with m.guest("demo") as g:
            has(g, "xvdb")
            g.run("dd if=/dev/urandom of=/tmp/x bs=64k count=32 2>/dev/null")
            g.run("dd if=/tmp/x of=/dev/xvdb bs=64k seek=1 conv=fsync 2>/dev/null", 60)
            wrote = g.run("sha256sum < /tmp/x").split()[0]
            read = g.run("dd if=/dev/xvdb bs=64k skip=1 count=32 2>/dev/null | sha256sum").split()[0]
            assert read == wrote, f"round {i}"
        m.run("xl block-detach demo xvdb")
        stored = m.run(f"dd if={IMAGES}/io.img bs=64k skip=1 count=32 2>/dev/null | sha256sum").split()[0]
        assert stored == wrote, f"round {i}"


def test_attach_write_detach(plug):
    """What the guest has written and flushed is in the file, round after round."""
    plug.run(f"truncate -s 8M {IMAGES}/io.img")
    rounds_of_io(plug, 3)


@pytest.mark.full
def test_many_rounds(plug):
    plug.run(f"truncate -s 8M {IMAGES}/io.img")
    rounds_of_io(plug, 60)


def test_detach_of_a_disk_in_use(plug):
    """A guest that is paused keeps its disk, and goes on with it; one that runs lets go, and its writer hears of it."""
    plug.run(f"truncate -s 8M {IMAGES}/busy.img")
    plug.run(f"xl block-attach demo vdev=xvdb target={IMAGES}/busy.img")
    with plug.guest("demo") as g:
        has(g, "xvdb")
        g.run("(while dd if=/dev/zero of=/dev/xvdb bs=64k count=64 conv=fsync 2>/tmp/err; do echo >> /tmp/rounds; done; "
              "echo > /tmp/ended) & await() { until [ $(wc -l < /tmp/rounds) -ge $1 ]; do usleep 50000; done; }; await 2", 60)
    plug.run("xl pause demo")
    out = plug.fails("xl block-detach demo xvdb", 60)
    assert re.search(r"domain \d+ has not let go of disk xvdb in 10 s \(it is paused\): it stays", out), out
    disk = json.loads(plug.run("xl block-list -l demo"))[1]
    assert disk["vdev"] == "xvdb" and disk["state"] == 4 and disk["target"] == f"{IMAGES}/busy.img", disk
    plug.run("xl unpause demo")
    with plug.guest("demo") as g:
        # More than was on its way when the guest was stopped
        g.run("await $(($(wc -l < /tmp/rounds) + 3)); [ ! -e /tmp/ended ]", 60)
    plug.run("xl block-detach demo xvdb", 60)
    with plug.guest("demo") as g:
        await_(g, "[ -e /tmp/ended ]")
        has(g, "xvdb", False)
    assert "xvdb" not in plug.run("xl block-list -l demo")
    # The number and the file are free again.
    plug.run(f"xl block-attach demo vdev=xvdb target={IMAGES}/busy.img")
    with plug.guest("demo") as g:
        has(g, "xvdb")
        g.run("dd if=/dev/xvdb of=/dev/null bs=64k count=1 2>/dev/null")
    plug.run("xl block-detach --force demo xvdb", 60)


@pytest.mark.full
def test_26_disks(plug):
    """Each with its own bytes, under its own name."""
    names = [f"xvd{c}" for c in "bcdefghijklmnopqrstuvwxyz"] + ["xvdaa"]
    plug.script(f"cd {IMAGES}\nfor n in {' '.join(names)}; do\n"
                "yes $n | head -c 65536 > $n && xl block-attach demo vdev=$n readonly target=$PWD/$n || exit 1\ndone", 300)
    with plug.guest("demo") as g:
        has(g, names[-1])
        g.run(f"for n in {' '.join(names)}; do [ $(head -n 1 /dev/$n) = $n ] || {{ echo $n; false; break; }}; done", 60)
        assert g.try_run("dd if=/dev/zero of=/dev/xvdb count=1")[0]
    assert len(plug.run("xl block-list demo").splitlines()) == 2 + len(names)
    plug.script(f"for n in {' '.join(names)}; do xl block-detach demo $n || exit 1; done", 300)


def test_cd(plug):
    """A drive, empty; a medium; another one; the guest reads each and cannot write."""
    plug.run(f"yes one | head -c 65536 > {IMAGES}/one; yes two | head -c 131072 > {IMAGES}/two")
    plug.run("xl block-attach demo vdev=xvdc cdrom")
    assert re.search(r"^51744 .*\(empty\)$", plug.run("xl block-list demo"), re.M)
    for name, size in (("one", 128), ("two", 256), ("one", 128)):
        plug.run(f"xl cd-insert demo xvdc {IMAGES}/{name}", 60)
        with plug.guest("demo") as g:
            await_(g, f"[ \"$(head -n 1 /dev/xvdc 2>/dev/null)\" = {name} ]")
            assert sectors(g, "xvdc") == size
            assert g.try_run("dd if=/dev/zero of=/dev/xvdc count=1")[0]
    plug.run("xl cd-eject demo xvdc", 60)
    with plug.guest("demo") as g:
        has(g, "xvdc", False)
    plug.run("xl block-detach demo xvdc")
    assert "is no CD drive" in plug.fails("xl cd-eject demo xvdc")


def test_space_comes_back(plug):
    """What a guest discards its file no longer has; with no-discard it keeps it."""
    for word, back in (("discard", True), ("no-discard", False)):
        plug.run(f"rm -f {IMAGES}/space; truncate -s 16M {IMAGES}/space")
        plug.run(f"xl block-attach demo vdev=xvdb {word} target={IMAGES}/space")
        with plug.guest("demo") as g:
            has(g, "xvdb")
            g.run("dd if=/dev/urandom of=/dev/xvdb bs=64k count=256 conv=fsync 2>/dev/null", 60)
            full = g.run("cat /sys/block/xvdb/queue/discard_max_bytes").strip()
            assert (full != "0") == back, (word, full)
        plug.run("sync")
        assert blocks(plug, "space") >= 16384
        with plug.guest("demo") as g:
            status, out = g.try_run("blkdiscard -o 4194304 -l 8388608 /dev/xvdb")
            assert (status == 0) == back, out
        plug.run("sync")
        left = blocks(plug, "space")
        assert 8192 <= left < 8192 + 512 if back else left >= 16384, left
        plug.run("xl block-detach demo xvdb", 60)


def test_growing(plug):
    """The guest sees and uses the new size while it has the disk open."""
    m = plug
    m.run(f"truncate -s 8M {IMAGES}/grow; truncate -s 8M {IMAGES}/loop; losetup /dev/loop6 {IMAGES}/loop")
    m.run(f"xl block-attach demo vdev=xvdb target={IMAGES}/grow; xl block-attach demo vdev=xvdc target=/dev/loop6")
    with m.guest("demo") as g:
        has(g, "xvdc")
        assert sectors(g, "xvdb") == sectors(g, "xvdc") == 16384
        g.run("sleep 1000 < /dev/xvdb & sleep 1000 < /dev/xvdc & true")
    assert f"{IMAGES}/grow: 8 MiB, as before" in m.run("xl block-resize demo xvdb")
    m.run(f"truncate -s 24M {IMAGES}/grow; truncate -s 16M {IMAGES}/loop")
    assert f"{IMAGES}/grow: 24 MiB" in m.run("xl block-resize demo xvdb", 60)
    m.run("losetup -c /dev/loop6")  # an administrator's own: nothing more is needed
    with m.guest("demo") as g:
        await_(g, "[ $(cat /sys/block/xvdb/size) = 49152 ]")
        await_(g, "[ $(cat /sys/block/xvdc/size) = 32768 ]")
        g.run("echo end | dd of=/dev/xvdb bs=512 seek=49151 conv=fsync,notrunc 2>/dev/null")
        assert g.run("dd if=/dev/xvdb bs=512 skip=49151 2>/dev/null | head -n 1").strip() == "end"
        g.run("kill %1 %2")
    assert m.run(f"dd if={IMAGES}/grow bs=512 skip=49151 2>/dev/null | head -n 1").strip() == "end"
    assert "16 MiB" in m.run("xl block-resize demo 51744", 60)
    m.run(f"truncate -s 4M {IMAGES}/grow")
    assert "a disk in use cannot shrink" in m.fails("xl block-resize demo xvdb")
    m.run(f"rm {IMAGES}/grow; truncate -s 64M {IMAGES}/grow")
    assert "another file by now" in m.fails("xl block-resize demo xvdb")
    for dev in ("xvdb", "xvdc"):
        m.run(f"xl block-detach demo {dev}", 60)
