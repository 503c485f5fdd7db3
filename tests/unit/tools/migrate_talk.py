#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Says messages to an xl migrate-receive that no xl migrate would say, with right sums, and prints the answers' types and texts.

migrate_talk.py COMMAND MESSAGE...: TYPE[:BODY in hexadecimal], or hello:NAME[:LENGTH that it says], or raw:HEXADECIMAL. Its exit
status is the command's. $TALK_UUID is the guest's. (dom0-tools/xl/migrate.h; the sum is lib/sum.h's.)

migrate_talk.py --target MESSAGE...: what no xl migrate-receive would say, on standard output; target:BOOT is a HELLO of one. Then it
reads what comes, and forgets it.
"""
import os
import struct
import subprocess
import sys

MAGIC = 0x474D5650
MASK = (1 << 64) - 1
UUID = bytes.fromhex(os.environ.get("TALK_UUID", bytes(range(16)).hex()).replace("-", ""))


def sum64(h, data):
    h ^= len(data)
    for at in range(0, len(data), 8):
        word = int.from_bytes(data[at:at + 8], "little")
        h = (h ^ word) * 0x9E3779B97F4A7C15 & MASK
        h ^= h >> 29
    return h


def message(kind, body=b""):
    head = struct.pack("<IHHII", MAGIC, 1, 0, kind, len(body))
    return head + struct.pack("<Q", sum64(sum64(MAGIC, head), body)) + body


def encode(text):
    kind, _, rest = text.partition(":")
    if kind == "raw":
        return bytes.fromhex(rest)
    if kind == "hello":
        name, _, length = rest.partition(":")
        name = bytes.fromhex(name[2:]) if name.startswith("0x") else name.encode()
        return message(1, UUID + bytes(16) + struct.pack("<QII", 4098, 0, int(length or len(name))) + name)
    if kind == "target":
        return message(1, struct.pack("<40sHHI", rest.encode(), 1, 0, 0))
    return message(int(kind), bytes.fromhex(rest))


def answers(data):
    while len(data) >= 24:
        magic, _, _, kind, length, _ = struct.unpack("<IHHIIQ", data[:24])
        if magic != MAGIC:
            break
        body = data[24:24 + length]
        yield f"answer {kind}" + (f": {body.decode(errors='replace')}" if kind == 7 else "")
        data = data[24 + length:]
    if data:
        yield f"and {len(data)} bytes that are none"


def target(messages):
    for text in messages:
        sys.stdout.buffer.write(encode(text))
        sys.stdout.buffer.flush()
    while sys.stdin.buffer.read(65536):
        pass
    return 0


def main():
    if sys.argv[1] == "--target":
        return target(sys.argv[2:])
    said = subprocess.run(["sh", "-c", sys.argv[1]], input=b"".join(encode(m) for m in sys.argv[2:]), stdout=subprocess.PIPE,
                          check=False)
    for line in answers(said.stdout):
        print(line)
    return said.returncode


if __name__ == "__main__":
    sys.exit(main())
