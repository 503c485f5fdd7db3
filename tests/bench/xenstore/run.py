#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measures xenstored on this machine: prints a table, says which goals hold, writes curves as SVG.

What a request costs is the processor time that the daemon spent (schedstat), not what a client waited,
so that other work on the machine disturbs it less. A client does 20 things on one guest's tree, then goes on to
another at random; "another guest each time" is the hardest case, and no goal. Rounds are interleaved over the sizes; medians count.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SIZES = (1, 10, 100, 1000)
OPS = ("read", "write", "tx10", "dir", "fan")
ALL = OPS + ("scatter",)
TEXT = {"read": "read", "write": "write", "tx10": "transaction of 10 writes", "dir": "directory of 1000",
        "fan": "write that fires 100 watches", "scatter": "read, another guest each time"}
CLIENTS = 8
ECHO = ((1, 1), (CLIENTS, 1), (CLIENTS, 8))  # clients, requests that each has on the way


class Server:
    """The daemon, filled for a number of guests, or the echo server."""

    def __init__(self, out, tmp, guests, journal=True):
        self.out, self.guests, self.socket, self.filler = out, guests, os.path.join(tmp, "s"), None
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        if guests is None:
            args = [out + "/bench_sock", "echo", self.socket, "5"]
        else:
            args = [out + "/xenstore/xenstored", "-F", "--socket", self.socket, "--pid-file", "none", "--no-domains",
                    "--fresh", "--journal", tmp + "/journal" if journal else "none"]
        self.proc = subprocess.Popen(args, stderr=subprocess.DEVNULL)
        for _ in range(1000):
            if os.path.exists(self.socket):
                break
            time.sleep(0.01)
        time.sleep(0.05)
        if guests is not None:
            self.filler = subprocess.Popen([out + "/bench_sock", "fill", self.socket, str(guests)],
                                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            if self.filler.stdout.readline() != b"ready\n":
                sys.exit("bench: the daemon could not be filled")

    def used(self):
        with open("/proc/%d/schedstat" % self.proc.pid) as f:
            return int(f.read().split()[0])

    def load(self, op, clients, depth, seconds):
        """(operations a second, nanoseconds of the server's processor time for each, EAGAINs)"""
        before = self.used()
        p = subprocess.run([self.out + "/bench_sock", "load", self.socket, str(self.guests or 1), op, str(clients),
                            str(depth), str(seconds)], capture_output=True, text=True)
        if p.returncode:
            sys.exit("bench: " + p.stderr)
        n, took, again = p.stdout.split()
        return int(n) / float(took), (self.used() - before) / int(n), int(again)

    def stop(self):
        if self.filler:
            self.filler.stdin.close()
            self.filler.wait()
        self.proc.terminate()
        self.proc.wait()


def in_process(out, which, guests, seconds):
    p = subprocess.run([out + "/bench_store", which, str(guests), str(seconds)], capture_output=True, text=True)
    if p.returncode:
        sys.exit("bench: " + p.stderr)
    return {k: float(v) for k, v in (line.split() for line in p.stdout.splitlines())}


def against_echo(args, tmp, server, note):
    """Turn and turn about, since the machine's mood changes from one second to the next."""
    os.mkdir(tmp + "/echo")
    echo = Server(args.out, tmp + "/echo", None)
    for clients, depth in ECHO:
        for _ in range(2):
            note(("ours read", clients, depth), server.load("read", clients, depth, args.seconds)[0])
            note(("echo", clients, depth), echo.load("read", clients, depth, args.seconds)[0])
    echo.stop()
    shutil.rmtree(tmp + "/echo")


def measure(args):
    """Samples: (what, op, size) -> list."""
    got = {}

    def note(key, value):
        got.setdefault(key, []).append(value)

    # the journal's place is a tmpfs, as in dom0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as tmp:
        for round_ in range(args.rounds):
            if sys.stderr.isatty():
                print("round %d of %d" % (round_ + 1, args.rounds), file=sys.stderr)
            for size in SIZES:
                s = Server(args.out, tmp, size)
                for op in ALL:
                    rate, cost, again = s.load(op, CLIENTS, 1, args.seconds)
                    note(("cost", op, size), cost)
                    note(("rate", op, size), rate)
                    note(("again", op, size), again)
                if size == SIZES[0]:
                    against_echo(args, tmp, s, note)
                s.stop()
                s = Server(args.out, tmp, size, journal=False)
                for op in ("read", "write", "tx10"):
                    note(("bare", op, size), s.load(op, CLIENTS, 1, args.seconds)[1])
                s.stop()
                for which in ("ours", "naive"):
                    for op, value in in_process(args.out, which, size, args.seconds / 2).items():
                        note((which, op, size), value)
    return got


def curve(path, title, unit, lines):
    """A log-log plot: lines is {name: [(x, y)...]}."""
    import math
    w, h, left, top, right, bottom = 640, 400, 80, 40, 180, 50
    colours = ("#1b6ca8", "#c0392b", "#27825a", "#8e44ad", "#d68910", "#555555")
    xs = [x for pts in lines.values() for x, _ in pts]
    ys = [y for pts in lines.values() for _, y in pts]
    x0, x1 = math.log10(min(xs)), math.log10(max(xs))
    y0, y1 = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)) + 1e-9)

    def at(x, y):
        return (left + (math.log10(x) - x0) / (x1 - x0) * (w - left - right),
                top + (y1 - math.log10(y)) / (y1 - y0) * (h - top - bottom))

    s = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">' % (w, h),
         '<rect width="100%" height="100%" fill="white"/>',
         '<text x="%d" y="22" font-size="14">%s</text>' % (left, title)]
    for e in range(y0, y1 + 1):
        y = at(10 ** x0, 10 ** e)[1]
        s.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>' % (left, w - right, y, y))
        s.append('<text x="%d" y="%.1f" text-anchor="end">%s</text>' % (left - 6, y + 4, "{:,}".format(10 ** e)))
    for x in sorted(set(xs)):
        s.append('<text x="%.1f" y="%d" text-anchor="middle">%d</text>' % (at(x, 10 ** y0)[0], h - bottom + 18, x))
    s.append('<text x="%d" y="%d">guests</text>' % ((left + w - right) // 2 - 20, h - 10))
    s.append('<text x="14" y="%d" transform="rotate(-90 14 %d)">%s</text>' % (h // 2 + 40, h // 2 + 40, unit))
    for i, (name, pts) in enumerate(lines.items()):
        c = colours[i % len(colours)]
        s.append('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>' %
                 (c, " ".join("%.1f,%.1f" % at(*p) for p in pts)))
        s += ['<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>' % (*at(*p), c) for p in pts]
        s.append('<text x="%d" y="%d" fill="%s">%s</text>' % (w - right + 12, top + 14 + 18 * i, c, name))
    s.append("</svg>")
    with open(path, "w") as f:
        f.write("\n".join(s) + "\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--out", required=True, help="where the programs were built, and the plots go")
    ap.add_argument("--rounds", type=int, default=7)
    ap.add_argument("--seconds", type=float, default=0.2, help="for each single measurement")
    ap.add_argument("--strict", action="store_true", help="exit status 1 when a goal does not hold")
    args = ap.parse_args()
    got = measure(args)

    def med(*key):
        return statistics.median(got[key])

    small, big = SIZES[0], SIZES[-1]
    print("Over the socket, %d clients: processor time of the daemon for each operation, in us" % CLIENTS)
    print("%-30s" % "guests" + "".join("%10d" % n for n in SIZES) + "%10s" % "%d/%d" % (big, small))
    worst = 0
    for op in ALL:
        row = [med("cost", op, n) / 1e3 for n in SIZES]
        if op in OPS:
            worst = max(worst, row[-1] / row[0])
        print("%-30s" % TEXT[op] + "".join("%10.2f" % v for v in row) + "%10.2f" % (row[-1] / row[0]))
    for op in ("read", "write", "tx10"):
        row = [med("bare", op, n) / 1e3 for n in SIZES]
        print("%-30s" % ("no journal: " + TEXT[op][:18]) + "".join("%10.2f" % v for v in row) +
              "%10.2f" % (row[-1] / row[0]))
    print("operations a second, all clients")
    for op in ALL:
        print("%-30s" % TEXT[op] + "".join("%10.0f" % med("rate", op, n) for n in SIZES))
    for which, text in (("ours", "The store alone"), ("naive", "The naive tree alone")):
        print("%s, without sockets, in us" % text)
        for op in ALL:
            row = [med(which, op, n) / 1e3 for n in SIZES]
            print("%-30s" % TEXT[op] + "".join("%10.2f" % v for v in row) + "%10.2f" % (row[-1] / row[0]))
        print("%-30s" % "bytes for each node" + "".join("%10.0f" % med(which, "bytes", n) for n in SIZES))
    print("Reads a second over the socket / an echo server with the same framing")
    ratios = []
    for clients, depth in ECHO:
        ours, echo = med("ours read", clients, depth), med("echo", clients, depth)
        ratios.append(ours / echo)
        print("%d client(s), %d request(s) each on the way: %10.0f / %8.0f = %.2f" %
              (clients, depth, ours, echo, ours / echo))
    again = sum(sum(got["again", "tx10", n]) for n in SIZES)
    print("EAGAIN in %d clients' transactions on paths of their own: %d" % (CLIENTS, again))

    goals = (("each cost at %d guests <= 1.3 x that at %d: worst %.2f" % (big, small, worst), worst <= 1.3),
             ("reads a second >= 0.7 x echo: worst %.2f" % min(ratios), min(ratios) >= 0.7),
             ("no EAGAIN without a conflict: %d" % again, again == 0))
    for text, ok in goals:
        print("goal %s: %s" % ("holds" if ok else "MISSED", text))

    def points(which, op):
        return [(n, med(which, op, n) / 1e3) for n in SIZES]

    curve(args.out + "/socket.svg", "xenstored over the socket", "us of processor time",
          {TEXT[op]: points("cost", op) for op in ALL})
    for op in ALL:
        curve(args.out + "/store-%s.svg" % op, "The stores alone: " + TEXT[op], "us",
              {"ours": points("ours", op), "naive tree": points("naive", op)})
    curve(args.out + "/memory.svg", "Memory for each node", "bytes",
          {"ours": [(n, med("ours", "bytes", n)) for n in SIZES],
           "naive tree": [(n, med("naive", "bytes", n)) for n in SIZES]})
    print("plots: %s/*.svg" % args.out)
    return 1 if args.strict and not all(ok for _, ok in goals) else 0


if __name__ == "__main__":
    sys.exit(main())
