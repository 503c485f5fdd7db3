#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A saved domain as one who can compute sums would change it: stream_forge.py FROM TO TYPE OFFSET XOR

A byte in the body of the first record of that type becomes another one, and all sums are right (docs/save-format.md).
"""

import pathlib
import struct
import sys

MASK = (1 << 64) - 1
RECORD = struct.Struct("<IIQQ")
HEADERS = 40 + 24
END = 0


def sum64(h: int, data: bytes) -> int:
    """lib/sum.h's"""
    h ^= len(data)
    for at in range(0, len(data), 8):
        w = int.from_bytes(data[at:at + 8], "little")
        h = ((h ^ w) * 0x9E3779B97F4A7C15) & MASK
        h ^= h >> 29
    return h


def main() -> None:
    data = pathlib.Path(sys.argv[1]).read_bytes()
    wanted, offset, xor = (int(a, 0) for a in sys.argv[3:6])
    key = struct.unpack_from("<Q", data, 24)[0]
    out, at, sums, done = bytearray(data[:HEADERS]), HEADERS, 0, False
    while at < len(data):
        kind, length, seq, old = RECORD.unpack_from(data, at)
        body = bytearray(data[at + RECORD.size:at + RECORD.size + length])
        at += RECORD.size + (length + 7 & ~7)
        changed = kind == wanted and not done
        if changed:
            body[offset] ^= xor
            done = True
        if kind == END:
            struct.pack_into("<Q", body, 32, sums)
            changed = True
        head = struct.pack("<IIQ", kind, length, seq)
        total = sum64(sum64(key, head), bytes(body)) if changed else old
        sums = sum64(sums, struct.pack("<Q", total))
        out += head + struct.pack("<Q", total) + body + bytes(-length % 8)
    assert done, "there is no such record"
    pathlib.Path(sys.argv[2]).write_bytes(out)


main()
