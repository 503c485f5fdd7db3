# SPDX-License-Identifier: BSD-2-Clause
"""Disks and links that machines have beside their own; for the benchmark as well."""
import socket
import subprocess


def make_xfs(path):
    """An empty file system of a GiB whose files can share their blocks."""
    with open(path, "wb") as f:
        f.truncate(1 << 30)
    subprocess.run(["/sbin/mkfs.xfs", "-q", "-f", "-m", "reflink=1", path], check=True)
    return path


def shared_disk(m):
    """What m calls the disk that it was given as Config's shared, which the other disks decide."""
    return m.run("for d in /sys/block/vd*; do [ \"$(cat $d/serial)\" != shared ] || echo /dev/${d##*/}; done").strip()


def free_ports():
    """Two UDP ports; nobody else takes them so soon."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
        for s in a, b:
            s.bind(("127.0.0.1", 0))
        return a.getsockname()[1], b.getsockname()[1]
