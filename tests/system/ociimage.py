# SPDX-License-Identifier: BSD-2-Clause
"""An OCI image for the machines' disk: Debian's busybox and a greeting, made by umoci."""
import os
import subprocess

APPLETS = "sh echo id cat seq hostname pwd sleep head sha256sum readlink ip wget touch sync mount".split()


def run(work, *command):
    subprocess.run(command, check=True, cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def make(build, out):
    """The path of its archive: two layers, of which the second takes a file of the first away."""
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
    return os.path.join(work, "hello.tar")
