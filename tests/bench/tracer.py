# SPDX-License-Identifier: BSD-2-Clause
"""Which instructions a piece of work executes: QEMU single-steps and logs each of them, and this file reads the log.

The log knows addresses only. The hypervisor and Linux are told apart by address; dom0 and the guest, which run the same kernel
at the same addresses, by whose vCPU the hypervisor loaded last, and that by what ran there.
"""
import bisect
import os
import re
import socket
import subprocess
import time
from collections import Counter

HYPERVISOR = 0xffffffffc0000000
LINUX = 0xffffffff80000000
USER_END = 1 << 38


class Tracer:
    """QEMU's monitor; args are for its command line."""

    def __init__(self, out):
        self.path, self.log = os.path.join(out, "monitor"), os.path.join(out, "trace.log")
        for path in (self.path, self.log):
            if os.path.exists(path):
                os.unlink(path)
        self.args = ["-monitor", f"unix:{self.path},server=on,wait=off"]
        self.socket = None

    def command(self, line):
        if not self.socket:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(self.path)
            self.answer()
        self.socket.sendall(line.encode() + b"\n")
        return self.answer()

    def answer(self):
        text = b""
        while not text.endswith(b"(qemu) "):
            piece = self.socket.recv(4096)
            if not piece:
                raise RuntimeError("QEMU's monitor is gone: " + text.decode(errors="replace"))
            text += piece
        return text

    def on(self):
        self.command("stop")
        self.command(f"logfile {self.log}")
        self.command("singlestep on")
        self.command("log exec,nochain")
        self.command("cont")

    def off(self):
        self.command("stop")
        self.command("log none")
        self.command("singlestep off")
        self.command("cont")
        time.sleep(0.2)

    def addresses(self):
        """Each instruction's address, in order."""
        with open(self.log, encoding="ascii", errors="replace") as f:
            for line in f:
                if line.startswith("Trace"):
                    yield int(line.split("/", 2)[1], 16)


class Symbols:
    """Functions of hypervisor, kernel (run with nokaslr) and perhaps a guest without Linux by address."""

    def __init__(self, build, guest=None):
        table, self.guest = [], guest
        files = [os.environ.get("HYPERVISOR") or os.path.join(build, "hypervisor", "pavise"),
                 os.path.join(build, "linux", "build", "vmlinux")]
        for file in files + ([guest] if guest else []):
            text = subprocess.run(["riscv64-linux-gnu-nm", file], check=True, text=True, stdout=subprocess.PIPE).stdout
            for line in text.splitlines():
                found = re.match(r"([0-9a-f]{16}) [tTwW] ([A-Za-z_][\w.]*)$", line)
                if found:
                    table.append((int(found.group(1), 16), found.group(2)))
        table.sort()
        self.starts, self.names = [a for a, _ in table], [n for _, n in table]
        self.known = {}

    def name(self, address):
        if address < USER_END and not self.guest:
            return "(user)"
        name = self.known.get(address)
        if name is None:
            i = bisect.bisect_right(self.starts, address) - 1
            name = self.known[address] = ("guest: " if address < USER_END else "") + (self.names[i] if i >= 0 else "?")
        return name


def where(address):
    if address < USER_END:
        return "user"
    return "hypervisor" if address >= HYPERVISOR else "linux"


def one_call(addresses, symbols, first, entries=1):
    """Counter of function names for one operation, which enters the function `first` so many times: of all operations in the
    trace the one with the median number of instructions, because timers and dom0 come between some."""
    entry = next(a for a, n in zip(symbols.starts, symbols.names) if n == first)
    operations, seen = [], 0
    for a in addresses:
        if a == entry:
            if seen % entries == 0:
                operations.append(Counter())
            seen += 1
        if operations:
            operations[-1][symbols.name(a)] += 1
    if len(operations) < 4:
        raise RuntimeError(f"the trace has only {len(operations)} calls of {first}")
    return sorted(operations[1:-1], key=lambda counter: sum(counter.values()))[(len(operations) - 2) // 2]


def split(addresses, symbols, first=None, switch="hext_load"):
    """Counters (side, where, function) of the instructions from the first to the last call of the function `first`.

    A side is what ran between two loads of a vCPU: "guest" if front-end code ran there, "dom0" if back-end code did, "?" else.
    """
    front = re.compile(r"^(blkfront|blkif_(?!.*be)|blkif_queue|xennet|netfront|__riscv_sys_pread64|tcp_sendmsg)")
    back = re.compile(r"^(xen_blkif|xen_blkbk|dispatch_rw|xenvif|netbk|loop_|lo_|do_block_io|end_block_io|__end_block)")
    total, pending, segment, side = Counter(), Counter(), Counter(), "?"
    calls, entry = 0, None
    if first:
        entry = next((a for a, n in zip(symbols.starts, symbols.names) if n == first), None)
    switch_at = next((a for a, n in zip(symbols.starts, symbols.names) if n == switch), None)

    def close():
        nonlocal side
        for (w, f), n in segment.items():
            pending[(side, w, f)] += n
        segment.clear()
        side = "?"

    for a in addresses:
        if a == entry:
            close()
            if calls:
                total.update(pending)
            pending.clear()
            calls += 1
        elif a == switch_at:
            close()
        if entry and not calls:
            continue
        name = symbols.name(a)
        segment[(where(a), name)] += 1
        if side == "?":
            side = "guest" if front.match(name) else "dom0" if back.match(name) else "?"
    close()
    if not entry:
        total.update(pending)
    return total, max(calls - 1, 1)
