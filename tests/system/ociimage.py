# SPDX-License-Identifier: BSD-2-Clause
"""An OCI image for the machines' disk: Debian's busybox and a greeting, made by umoci."""
import gzip
import hashlib
import json
import os
import subprocess
import sys

APPLETS = "sh echo id cat seq hostname pwd sleep head sha256sum readlink ip wget touch sync mount nproc ls ping".split()


def run(work, *command):
    subprocess.run(command, check=True, cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def pack_with_zstd(layout):
    """Its layers, which are gzip's."""
    blobs = os.path.join(layout, "blobs", "sha256")

    def read(d):
        with open(os.path.join(blobs, d["digest"][7:]), "rb") as f:
            return f.read()

    def write(d, data):
        d["digest"], d["size"] = "sha256:" + hashlib.sha256(data).hexdigest(), len(data)
        with open(os.path.join(blobs, d["digest"][7:]), "wb") as f:
            f.write(data)

    with open(os.path.join(layout, "index.json"), encoding="utf-8") as f:
        index = json.load(f)
    manifest = json.loads(read(index["manifests"][0]))
    for layer in manifest["layers"]:
        plain = gzip.decompress(read(layer))
        write(layer, subprocess.run(["zstd", "-qc"], input=plain, stdout=subprocess.PIPE, check=True).stdout)
        layer["mediaType"] = layer["mediaType"].replace("+gzip", "+zstd")
    write(index["manifests"][0], json.dumps(manifest).encode())
    with open(os.path.join(layout, "index.json"), "w", encoding="utf-8") as f:
        json.dump(index, f)


def make(build, out):
    """The paths of its archive, two layers of which the second takes a file of the first away, and of the same with zstd's."""
    work = os.path.join(out, "oci")
    subprocess.run(["rm", "-rf", work], check=True)
    os.makedirs(os.path.join(work, "first", "bin"))
    os.makedirs(os.path.join(work, "first", "etc"))
    run(work, "cp", os.path.join(build, "busybox", "busybox"), "first/bin/")
    for name in APPLETS:
        os.symlink("busybox", os.path.join(work, "first", "bin", name))
    for name, text in (("passwd", "web:x:1000:1001::/home/web:/bin/sh\n"), ("group", "web:x:1001:\nextra:x:50:web\n"), ("gone", "x")):
        with open(os.path.join(work, "first", "etc", name), "w", encoding="utf-8") as f:
            f.write(text)
    run(work, "umoci", "init", "--layout", "layout")
    run(work, "umoci", "new", "--image", "layout:hello")
    run(work, "umoci", "insert", "--image", "layout:hello", "--rootless", "first", "/")
    run(work, "umoci", "insert", "--image", "layout:hello", "--rootless", "--whiteout", "/etc/gone")
    run(work, "umoci", "config", "--image", "layout:hello", "--architecture", "riscv64", "--os", "linux", "--config.entrypoint", "/bin/sh",
        "--config.entrypoint", "-c", "--config.cmd", "echo hello from $(hostname), $(id -u):$(id -g):$(id -G), in $(pwd), $GREETING; exit 7",
        "--config.user", "web", "--config.workingdir", "/work", "--config.env", "GREETING=good morning")
    run(work, "tar", "-C", "layout", "-cf", "hello.tar", ".")
    pack_with_zstd(os.path.join(work, "layout"))
    run(work, "tar", "-C", "layout", "-cf", "zstd.tar", ".")
    return os.path.join(work, "hello.tar"), os.path.join(work, "zstd.tar")


if __name__ == "__main__":
    make(*sys.argv[1:])
