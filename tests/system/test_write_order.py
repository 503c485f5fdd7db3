# SPDX-License-Identifier: BSD-2-Clause
"""A guest's flush reaches the disk under dom0 before it is answered, and behind the writes that it covers.

Under two disks of the machine's lies QEMU's log of writes (writelog.py): /dev/vdb has a file system of dom0's with images for the
guest, /dev/vdc is given to it whole. SEED=N repeats a random choice.
"""
import os
import random
import re
import shutil
import subprocess

import pytest

import writelog
from conftest import OUT

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1, 1 << 31))
MKE2FS = ["/sbin/mke2fs", "-q", "-F", "-t", "ext4"]

# One block, again and again: if a flush were answered early, or lost, the next record would take the place of the one before in
# some cache, and that would never be seen on the disk.
RECORDS = """i=0; while [ $i -lt {n} ]; do i=$((i + 1)); echo "<{word} $i>" | dd of=/dev/{dev} bs=4096 conv={conv} {flags} 2>/dev/null || break; done; [ $i = {n} ]"""
FILES = """i=0; while [ $i -lt {n} ]; do i=$((i + 1)); yes "file $i" | head -c 20000 | dd of=/mnt/f$i bs=4096 conv=fsync 2>/dev/null || break; done; [ $i = {n} ]"""


def content(i):
    return (f"file {i}\n".encode() * 20000)[:20000]


class Logged:
    """Images and logs of the two disks, as they were before the machine ran."""

    def __init__(self, name):
        self.base = os.path.join(OUT, f"{name}.vdb.orig")
        self.image = {d: os.path.join(OUT, f"{name}.{d}") for d in ("vdb", "vdc")}
        self.log = {d: path + ".log" for d, path in self.image.items()}
        tree = os.path.join(OUT, name + ".tree")
        shutil.rmtree(tree, ignore_errors=True)
        os.makedirs(tree)
        for image in ("fs.img", "rec.img"):
            with open(os.path.join(tree, image), "wb") as f:
                f.truncate(16 << 20)
        subprocess.run(MKE2FS + [os.path.join(tree, "fs.img")], check=True)
        with open(self.base, "wb") as f:
            f.truncate(96 << 20)
        subprocess.run(MKE2FS + ["-d", tree, self.base], check=True)
        shutil.copy(self.base, self.image["vdb"])
        with open(self.image["vdc"], "wb") as f:
            f.truncate(16 << 20)

    def options(self):
        return [o for d in ("vdb", "vdc") for o in writelog.logged_disk(d, self.image[d], self.log[d])]


def records(entries, word):
    """In the log's order: a record's number for each write of it, None for a flush."""
    found = []
    for e in entries:
        if e.flush:
            found.append(None)
        for number in re.findall(rb"<%s (\d+)>\n" % word.encode(), e.data):
            found.append(int(number))
    return found


def each_flushed(found, n):
    """Was each record on the disk, and a flush behind it, before the next one came?"""
    flushed, last = [], 0
    for item in found:
        if item is not None:
            last = item
        elif last and last not in flushed:
            flushed.append(last)
    return flushed == list(range(1, n + 1))


def fsck(image):
    """Its journal is replayed; then nothing at all may be wrong."""
    subprocess.run(["/sbin/e2fsck", "-y", "-E", "journal_only", image], check=False, capture_output=True)
    done = subprocess.run(["/sbin/e2fsck", "-fn", image], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def look_inside(image, work):
    """A crash's image of /dev/vdb: dom0's file system is whole, the guest's in it, and its files. How many those are."""
    inner, out = os.path.join(work, "fs.img"), os.path.join(work, "files")
    fsck(image)
    subprocess.run(["/sbin/debugfs", "-R", f"dump fs.img {inner}", image], check=True, capture_output=True)
    fsck(inner)
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    subprocess.run(["/sbin/debugfs", "-R", f"rdump / {out}", inner], check=True, capture_output=True)
    files = sorted(int(name[1:]) for name in os.listdir(out) if re.fullmatch(r"f\d+", name))
    assert files == list(range(1, len(files) + 1)), files
    for i in files[:-1]:
        with open(os.path.join(out, f"f{i}"), "rb") as f:
            assert f.read() == content(i), f"f{i} is not whole, and f{files[-1]} is there"
    return len(files)


def crashes(entries, some, choose):
    """The disk as a crash at each flush (or at `some` of them) leaves it: the writes until then, and any of those behind it."""
    flushes = [i for i, e in enumerate(entries) if e.flush]
    wanted = set(flushes if not some else flushes[::max(1, len(flushes) // some)] + flushes[-1:])
    for i in flushes:
        if i in wanted:
            behind = []
            for e in entries[i + 1:]:
                if e.flush:
                    break
                behind.append(e)
            yield i, [e for e in behind if choose.random() < 0.5]


def replay(base, entries, work, some, seed):
    """Looks inside after each crash; the number of files found, in order."""
    choose, counts, done = random.Random(seed), [], 0
    disk, crash = os.path.join(work, "disk"), os.path.join(work, "crash")
    shutil.copy(base, disk)
    for i, extra in crashes(entries, some, choose):
        with open(disk, "r+b") as f:
            for e in entries[done:i + 1]:
                writelog.apply(e, f)
        done = i + 1
        subprocess.run(["cp", "--sparse=always", disk, crash], check=True)
        with open(crash, "r+b") as f:
            for e in extra:
                writelog.apply(e, f)
        counts.append(look_inside(crash, work))
    return counts


def run_guest(m, n, files):
    m.run("mkdir -p /mnt/vdb && mount -t ext4 /dev/vdb /mnt/vdb")
    m.run("xl create -q /etc/xen/demo.cfg", 60)
    for dev, target in (("xvdb", "/mnt/vdb/rec.img"), ("xvdc", "/dev/vdc"), ("xvdd", "/mnt/vdb/fs.img")):
        m.run(f"xl block-attach demo vdev={dev} target={target}", 60)
    with m.guest("demo") as g:
        g.run("until [ -b /dev/xvdb -a -b /dev/xvdc -a -b /dev/xvdd ]; do usleep 100000; done; mount -t ext4 /dev/xvdd /mnt", 60)
        for dev in ("xvdb", "xvdc"):
            g.run(RECORDS.format(n=n, word=f"kept-{dev}", dev=dev, conv="sync,notrunc,fsync", flags=""), 600)
            # Past the guest's cache, but with nothing that would make dom0's or the disk's write it out in this order
            g.run(RECORDS.format(n=n, word=f"loose-{dev}", dev=dev, conv="sync,notrunc", flags="oflag=direct"), 600)
            g.run(f"echo | dd of=/dev/{dev} bs=4096 seek=1 conv=sync,notrunc,fsync 2>/dev/null")
        g.run(FILES.format(n=files), 1200)
        g.run("umount /mnt")
    m.run("xl destroy demo", 60)
    m.run("umount /mnt/vdb")


def write_order(boot, name, n, files, some):
    disks = Logged(name)
    m = boot(extra=disks.options(), dom0_cmdline="pavise.noauto").boot()
    run_guest(m, n, files)
    assert m.poweroff() == 0
    entries = {d: writelog.read(log) for d, log in disks.log.items()}
    for dev, disk in (("xvdb", "vdb"), ("xvdc", "vdc")):
        found = records(entries[disk], f"kept-{dev}")
        assert each_flushed(found, n), (dev, found)
        # The same without flushes is found out: so the check above can fail.
        found = records(entries[disk], f"loose-{dev}")
        assert n in found and not each_flushed(found, n), (dev, found)
    work = os.path.join(OUT, name + ".work")
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    print(f"SEED={SEED}")
    counts = replay(disks.base, entries["vdb"], work, some, SEED)
    assert counts == sorted(counts) and counts[-1] == files, counts
    assert len(set(counts)) > files // 2 or some, counts
    shutil.rmtree(work)


def test_flushes_reach_the_disk(boot):
    write_order(boot, "order", 12, 8, 20)


@pytest.mark.full
def test_every_crash(boot):
    """Each flush of a longer run is where the machine might have lost its power."""
    write_order(boot, "order-full", 60, 40, None)
