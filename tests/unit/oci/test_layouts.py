#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""OCI layouts, good, damaged and hostile, unpacked by oci-unpack on the host.

usage: test_layouts.py OCI-UNPACK         runs the tests
       test_layouts.py --seeds DIRECTORY  writes first inputs for fuzz_oci
"""
import gzip
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
import unittest

M = "application/vnd.oci.image."
UNPACK = None


def entry(name, data=b"", **more):
    """One member of a layer: a file, unless type= says otherwise."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def tar(entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as t:
        for info, data in entries:
            t.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return out.getvalue()


def directory(name, **more):
    return entry(name, type=tarfile.DIRTYPE, mode=0o755, **more)


def symlink(name, to):
    return entry(name, type=tarfile.SYMTYPE, linkname=to)


def zstd(data):
    return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


class Layout:
    def __init__(self):
        self.blobs, self.index = {}, []

    def blob(self, data, kind, **more):
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return dict({"mediaType": M + kind, "digest": "sha256:" + digest, "size": len(data)}, **more)

    def image(self, layers, name=None, config=None, arch="riscv64", kind="layer.v1.tar", top=True, pack=None, **platform):
        text = {"architecture": arch, "os": "linux", "config": config or {},
                "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(x).hexdigest() for x in layers]}}
        pack = pack or (gzip.compress if kind.endswith("gzip") else zstd if kind.endswith("zstd") else bytes)
        manifest = {"schemaVersion": 2, "config": self.blob(json.dumps(text).encode(), "config.v1+json"),
                    "layers": [self.blob(pack(x), kind) for x in layers]}
        d = self.blob(json.dumps(manifest).encode(), "manifest.v1+json", **platform)
        if name:
            d["annotations"] = {"org.opencontainers.image.ref.name": name}
        if top:
            self.index.append(d)
        return d

    def archive(self, index=None, without=()):
        index = index if index is not None else json.dumps({"schemaVersion": 2, "manifests": self.index}).encode()
        files = [("index.json", index), ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')]
        files += [("./blobs/sha256/" + d, data) for d, data in self.blobs.items()]
        return tar(entry(n, d) for n, d in files if n not in without)


class Layouts(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.root = os.path.join(self.dir.name, "root")
        os.mkdir(self.root)

    def tearDown(self):
        self.dir.cleanup()

    def unpack(self, archive, name="", user=None):
        path = os.path.join(self.dir.name, "image.tar")
        with open(path, "wb") as f:
            f.write(archive)
        done = subprocess.run([UNPACK, path, name, self.root] + ([user] if user else []), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        self.assertIn(done.returncode, (0, 1), done.stdout)
        return done.returncode, done.stdout

    def good(self, *layers, **more):
        layout = Layout()
        layout.image([x if isinstance(x, bytes) else tar(x) for x in layers], **more)
        rc, out = self.unpack(layout.archive())
        self.assertEqual(rc, 0, out)
        return out

    def bad(self, text, archive, name=""):
        rc, out = self.unpack(archive, name)
        self.assertEqual(rc, 1, out)
        self.assertIn(text, out)
        self.assertEqual(os.listdir(self.dir.name).count("escaped"), 0)

    def bad_layer(self, text, *entries):
        layout = Layout()
        layout.image([tar(entries)])
        self.bad(text, layout.archive())

    def read(self, path):
        with open(os.path.join(self.root, path), "rb") as f:
            return f.read()

    # --- what layers are made of ---

    def test_kinds(self):
        long = "d/" + "n" * 200
        out = self.good([directory("d"), entry("d/file", b"x" * 100000, mode=0o4755, mtime=1000), symlink("d/link", "/nowhere"),
                         entry("d/hard", type=tarfile.LNKTYPE, linkname="d/file"), entry("d/fifo", type=tarfile.FIFOTYPE),
                         entry(long, b"long"), entry("made/on/the/way", b"y")], config={"WorkingDir": "/d"}, kind="layer.v1.tar+gzip")
        self.assertEqual(out, "layers 1 workdir /d\n")
        st = os.stat(os.path.join(self.root, "d/file"))
        self.assertEqual((st.st_size, st.st_mode & 0o7777, st.st_mtime, st.st_nlink), (100000, 0o4755, 1000, 2))
        self.assertEqual(os.readlink(os.path.join(self.root, "d/link")), "/nowhere")
        self.assertTrue(stat.S_ISFIFO(os.stat(os.path.join(self.root, "d/fifo")).st_mode))
        self.assertEqual((self.read(long), self.read("made/on/the/way")), (b"long", b"y"))

    def test_gnu_and_old(self):
        self.good(tar([entry("a" * 150 + "/" + "c" * 150, b"1", uid=3000000)], tarfile.GNU_FORMAT),
                  tar([entry("b" * 90 + "/" + "d" * 90, b"2")], tarfile.USTAR_FORMAT))
        self.assertEqual(self.read("a" * 150 + "/" + "c" * 150), b"1")
        self.assertEqual(self.read("b" * 90 + "/" + "d" * 90), b"2")

    def test_owners(self):
        if os.geteuid():
            self.skipTest("not root")
        self.good([entry("f", b"", uid=3000000, gid=7, mode=0o6711), entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)])
        st = os.stat(os.path.join(self.root, "f"))
        self.assertEqual((st.st_uid, st.st_gid, st.st_mode & 0o7777), (3000000, 7, 0o6711))
        self.assertEqual(os.stat(os.path.join(self.root, "null")).st_rdev, os.makedev(1, 3))

    # --- layers over layers ---

    def test_whiteouts(self):
        self.good([directory("a"), entry("a/1"), entry("a/2"), directory("b"), directory("b/deep"), entry("b/deep/x"), entry("c")],
                  [entry("a/.wh.1"), entry(".wh.c"), entry("b/new"), entry("b/.wh..wh..opq"), entry(".wh.never")])
        self.assertEqual(sorted(os.listdir(self.root)), ["a", "b"])
        self.assertEqual((os.listdir(self.root + "/a"), os.listdir(self.root + "/b")), (["2"], ["new"]))

    def test_opaque_behind_its_siblings(self):
        """It is about lower layers, wherever in its layer it stands."""
        self.good([directory("b"), directory("b/c"), entry("b/c/old"), entry("b/old")],
                  [entry("b/c/new", b"1"), directory("b/d"), entry("b/.wh..wh..opq"), entry("b/.wh.c")])
        self.assertEqual((sorted(os.listdir(self.root + "/b")), os.listdir(self.root + "/b/c")), (["c", "d"], ["new"]))

    def test_replaced(self):
        self.good([directory("dir"), entry("dir/x"), entry("file", b"old"), symlink("link", "dir"), directory("kept"), entry("kept/x")],
                  [entry("dir", b"now a file"), directory("file"), directory("link"), directory("kept"), entry("kept/y")])
        self.assertEqual(self.read("dir"), b"now a file")
        self.assertFalse(os.path.islink(self.root + "/link"))
        self.assertEqual(sorted(os.listdir(self.root + "/kept")), ["x", "y"])

    def test_links_stay_inside(self):
        """What a symbolic link names is looked for in the image."""
        os.mkdir(self.dir.name + "/outside")
        self.good([symlink("out", self.dir.name + "/outside"), symlink("up", "../../../outside"), directory("outside")],
                  [entry("up/here", b"in the image")])
        self.assertEqual(os.listdir(self.dir.name + "/outside"), [])
        self.assertEqual(self.read("outside/here"), b"in the image")
        self.bad_layer("its directory", symlink("a", "/no/such"), entry("a/f"))
        self.bad_layer("its directory", symlink("l1", "l2"), symlink("l2", "l1"), entry("l1/f"))

    def test_no_way_out(self):
        self.bad_layer("leads out of the image", entry("../escaped"))
        self.bad_layer("leads out of the image", entry("a/../../escaped"))
        self.bad_layer("leads out of the image", entry("x", type=tarfile.LNKTYPE, linkname="../image.tar"))
        self.bad_layer("x: ", entry("x", type=tarfile.LNKTYPE, linkname="/etc/passwd"))
        self.bad_layer(".wh...", entry("a/.wh..."))
        self.good([entry("/absolute", b"is the image's")])
        self.assertEqual(self.read("absolute"), b"is the image's")

    def test_odd_entries(self):
        self.bad_layer("unknown kind", entry("x", type=b"Z"))
        self.bad_layer("the root is no directory", entry(".", b"x"))
        layout = Layout()
        damaged = tar([entry("p" * 200)]).replace(b"path=ppp", b"path\nppp", 1)
        layout.image([damaged])
        self.bad("a pax header without '='", layout.archive())
        layout = Layout()
        layout.image([damaged.replace(b" path", b"9path", 1)])
        self.bad("a pax header that makes no sense", layout.archive())

    # --- damage ---

    def test_digests(self):
        for which in range(3):
            layout = Layout()
            d = layout.image([tar([entry("f", b"x" * 5000)])])
            manifest = json.loads(layout.blobs[d["digest"][7:]])
            digest = (d, manifest["config"], manifest["layers"][0])[which]["digest"][7:]
            data = bytearray(layout.blobs[digest])
            data[len(data) // 3] ^= 1
            layout.blobs[digest] = bytes(data)
            self.bad("is damaged: it is not what sha256:" + digest, layout.archive())
            del layout.blobs[digest]
            self.bad("is not in the archive", layout.archive())

    def test_gzip(self):
        layout = Layout()
        good = gzip.compress
        gzip.compress = lambda data: good(data)[:-9]
        try:
            layout.image([tar([entry("f", os.urandom(30000))])], kind="layer.v1.tar+gzip")
        finally:
            gzip.compress = good
        rc, out = self.unpack(layout.archive())
        self.assertEqual(rc, 1, out)
        layout = Layout()
        layout.image([tar([entry("f")])], kind="layer.v1.tar+xz")
        self.bad("only tar, gzip and zstd", layout.archive())

    def test_zstd(self):
        self.good(tar([entry("f", b"x" * 300000)]), kind="layer.v1.tar+zstd")
        self.assertEqual(self.read("f"), b"x" * 300000)
        layout = Layout()
        layout.image([zstd(tar([entry("f", os.urandom(30000))]))[:-9]], kind="layer.v1.tar+zstd", pack=bytes)
        self.assertEqual(self.unpack(layout.archive())[0], 1)
        layout = Layout()
        layout.image([tar([entry("f")])], kind="layer.v1.tar+zstd", pack=bytes)
        self.assertEqual(self.unpack(layout.archive())[0], 1)

    def test_cut(self):
        layout = Layout()
        layout.image([tar([entry("f", b"x" * 5000)])[:1024]])
        self.bad("the archive ends in the middle of", layout.archive())
        # Without padding and end, as umoci insert leaves them
        self.good(tar([entry("f", b"x" * 700)])[:512 + 700])
        self.assertEqual(self.read("f"), b"x" * 700)
        good = Layout()
        good.image([tar([entry("f")])])
        whole = good.archive()
        for n in range(512, len(whole) - 10240, 1024):
            rc, out = self.unpack(whole[:n])
            self.assertEqual(rc, 1, (n, out))
        self.bad("no tar archive", b"\x1f\x8b" + b"x" * 1022)
        self.bad("no archive of an OCI layout", tar([entry("manifest.json", b"[]")]))

    def test_json(self):
        layout = Layout()
        layout.image([tar([entry("f")])])
        self.bad("its index is no JSON: at byte 1:", layout.archive(index=b"{]"))
        self.bad("it is too deep", layout.archive(index=b"[" * 100000))
        self.bad("its index has 5000000 bytes", layout.archive(index=b" " * 5000000))
        self.bad("there is no image in it", layout.archive(index=b"{}"))
        self.bad("there is no image in it", layout.archive(index=b'{"manifests":[{"mediaType":7},3,null]}'))
        self.bad("has no SHA-256 digest", layout.archive(index=json.dumps({"manifests": [dict(layout.index[0], digest="sha512:00")]}).encode()))
        self.bad("has another size", layout.archive(index=json.dumps({"manifests": [dict(layout.index[0], size=1)]}).encode()))

    # --- which image ---

    def test_names(self):
        layout = Layout()
        layout.image([tar([entry("one")])], name="one")
        layout.image([tar([entry("two")])], name="two")
        self.bad("there are several images: say which; there are: one two", layout.archive())
        self.bad("there is no image 'three' in it; there are: one two", layout.archive(), "three")
        self.assertEqual(self.unpack(layout.archive(), "two")[0], 0)
        self.assertEqual(os.listdir(self.root), ["two"])

    def test_platforms(self):
        layout = Layout()
        inner = [layout.image([tar([entry(a)])], arch=a, top=False, platform={"architecture": a, "os": "linux"}) for a in ("amd64", "riscv64")]
        layout.index.append(layout.blob(json.dumps({"manifests": inner}).encode(), "index.v1+json"))
        self.assertEqual(self.unpack(layout.archive())[0], 0)
        self.assertEqual(os.listdir(self.root), ["riscv64"])
        other = Layout()
        other.image([tar([entry("f")])], arch="amd64")
        self.bad("it is for linux on amd64, not for linux on riscv64", other.archive())
        other.index[0]["platform"] = {"architecture": "amd64", "os": "linux"}
        self.bad("there is no image for riscv64 in it", other.archive())

    def test_deep_index(self):
        layout = Layout()
        d = layout.image([tar([entry("f")])], top=False)
        for _ in range(6):
            d = layout.blob(json.dumps({"manifests": [d]}).encode(), "index.v1+json")
        layout.index = [d]
        self.bad("again and again", layout.archive())

    # --- users ---

    def test_users(self):
        layout = Layout()
        layout.image([tar([entry("etc/passwd", b"junk\nroot:x:0:0::/root:/bin/sh\nweb:x:7:8::/srv:/\nbad:x:-1:2::/:\n"),
                           entry("etc/group", b"web:x:8:\ndisk:x:6:root,web\n:::\n")])])
        for user, said in (("web", "user 7:8 groups 1 home /srv"), ("7", "user 7:8 groups 1 home /srv"), ("web:disk", "user 7:6 groups 0 home /srv"),
                           ("1234", "user 1234:0 groups 0 home /"), ("1234:99", "user 1234:99 groups 0 home /"), ("0", "user 0:0 groups 1 home /root"),
                           ("nobody", "'nobody' is not in the image's /etc/passwd"), ("bad", "'bad' is not"), ("web:no", "'no' is not in the image's /etc/group"),
                           ("4294967295", "is not in"), (":disk", "user 0:6 groups 0 home /root")):
            self.assertIn(said, self.unpack(layout.archive(), user=user)[1], user)


def write_seeds(path):
    os.makedirs(path, exist_ok=True)
    layout = Layout()
    d = layout.image([tar([entry("f", b"x" * 600), symlink("l", "f"), entry("p" * 200, b"y")])], config={"Env": ["A=\u00e9"]})
    seeds = {"input": b"iab\x10Pc\x10Od\x10D", "json": b"j" + layout.blobs[d["digest"][7:]], "numbers": b'j[0,-1.5e-3,"\\ud83d\\ude00",{"a":null}]',
             "pax": b"t" + tar([entry("p" * 200, b"y", uid=3000000)]), "seek": b"s" + tar([entry("a", b"1" * 700)]),
             "gnu": b"t" + tar([entry("g" * 200, b"z")], tarfile.GNU_FORMAT)}
    for name, data in seeds.items():
        with open(os.path.join(path, name), "wb") as f:
            f.write(data)


if sys.argv[1] == "--seeds":
    write_seeds(sys.argv[2])
else:
    UNPACK = sys.argv[1]
    unittest.main(argv=sys.argv[:1], verbosity=1)
