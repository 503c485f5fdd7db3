#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""image_seeds.py DIRECTORY: kernels that are good, also for fuzz_image to begin with: ELF as guests' and as Linux's, Image, the same with PE header."""
import os
import struct
import sys


def image(text_offset=0x200000, size=0x10000):
    return struct.pack("<IIQQQIIQQII", 0, 0, text_offset, size, 0, 2, 0, 0, 0x5643534952, 0x05435352, 0)


def pe():
    head = bytearray(image())
    head[0:2] = b"MZ"
    struct.pack_into("<I", head, 60, 64)
    sections = b"".join(struct.pack("<8sIIIIIIHHI", b".text", 256, 0, 256, at, 0, 0, 0, 0, 0) for at in (512, 768))
    return bytes(head) + b"PE\0\0" + struct.pack("<HHIIIHH", 0x5064, 2, 0, 0, 0, 0, 0) + sections + bytes(1024)


def zboot(packed, kind=b"gzip", offset=512, size=None):
    head = b"MZ\0\0zimg" + struct.pack("<IIQ", offset, len(packed) if size is None else size, 0) + kind.ljust(32, b"\0")
    return (head + struct.pack("<II", 0x818223cd, 64)).ljust(512, b"\0") + packed


def elf(low, code, memory=0x3000):
    parts = [(5, 512, 0, len(code), len(code)), (6, 512 + len(code), 0x1000, 16, memory - 0x1000)]
    head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, 1 << 63, 64, 0, 0, 64, 56, len(parts), 0, 0, 0)
    for flags, offset, place, filesz, memsz in parts:
        head += struct.pack("<IIQQQQQQ", 1, flags, offset, (1 << 63) + place, low + place, filesz, memsz, 4096)
    return head.ljust(512, b"\0") + code + bytes(16)


os.makedirs(sys.argv[1], exist_ok=True)
for name, data in {"image": image(), "pe": pe(), "elf": elf(0x80200000, bytes(64)), "vmlinux": elf(0, image()),
                   "zboot": zboot(bytes(64)), "zstd": zboot(bytes(64), b"zstd22"),
                   "large": elf(0x80200000, bytes(64), 32 << 20)}.items():
    with open(os.path.join(sys.argv[1], name), "wb") as f:
        f.write(data + b"\0\0")
