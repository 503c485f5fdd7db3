#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Good streams to begin with, as fuzz_stream.c takes them: stream_seeds.py DIRECTORY"""

import pathlib
import struct
import subprocess
import sys

HOST, CONFIG, MAP, STATIC_END, PAGES, CONTEXT, PARAMS, STORE = range(8)
CONNECTION, PACKED, DISKS, DISK = range(11, 15)
ISA = b"rv64imafdc"


def rec(kind: int, body: bytes) -> bytes:
    return struct.pack("<BHB", kind, len(body), 0) + body


def node(path: bytes, value: bytes, flags: int) -> bytes:
    n = struct.pack("<HHI", len(path), len(value), flags) + path + value
    return n + bytes(-len(n) % 8)


def main() -> None:
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    records = [
        rec(HOST, struct.pack("<QIIIIIIII", 10**7, 0, 0, 64, 64, 64, 0, len(ISA), 0) + ISA),
        rec(CONFIG, b'name = "g"\n'),
        rec(MAP, struct.pack("<QQQQ", 8, 16, 64, 2)),
        rec(STATIC_END, b""),
        rec(PAGES, struct.pack("<IIQQ", 2, 0, 8 | 1 << 60, 64 | 2 << 60)),
        rec(PAGES, struct.pack("<IIQ", 1, 0, 9) + bytes(range(256)) * 16),
        rec(CONTEXT, bytes(8)),
        rec(PARAMS, struct.pack("<QQQQ", 1, 2, 3, 4)),
        rec(STORE, node(b"data", b"", 1) + node(b"data/a", b"b", 1)),
    ]
    # A PAGE_PACKED in a PAGE_DATA's place
    content = struct.pack("<IIQQ", 2, 0, 8 | 1 << 60, 64 | 2 << 60)
    frame = subprocess.run(["zstd", "-q", "-c", f"--stream-size={len(content)}"], input=content, stdout=subprocess.PIPE, check=True).stdout
    end = struct.pack("<BHB", 8, 0, 1)
    # Without the page's bytes first: END's counts of pages would be those that the writer did not make.
    for i in range(len(records) + 1):
        (out / f"cut-{i}").write_bytes(b"\1" + b"".join(records[:i]) + end)
    no_pages = records[:4] + records[6:]
    (out / "packed").write_bytes(b"\x09" + b"".join(records[:4]) + rec(PACKED, frame) + b"".join(records[6:]) + end)
    disks = rec(DISKS, struct.pack("<QII", 512, 2, 0) + b"/a" + bytes(6))
    disk = rec(DISK, struct.pack("<IIQQ", 0, 0, 100, 8) + bytes(8)) + rec(DISK, struct.pack("<IIQQ", 0, 0, 0, 512))
    (out / "disks").write_bytes(b"\x11" + b"".join(records[:3]) + disks + records[3] + disk + b"".join(records[6:]) + end)
    (out / "whole").write_bytes(b"\1" + b"".join(no_pages) + end)
    connected = [*no_pages[:-1], rec(STORE, node(b"backend/vbd/51712/sectors", b"8", 0)), rec(CONNECTION, bytes(8))]
    (out / "connected").write_bytes(b"\5" + b"".join(connected) + end)


main()
