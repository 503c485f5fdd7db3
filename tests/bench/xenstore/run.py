#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measures xenstored on this machine: prints a table, says which goals hold, writes curves as SVG.

What a request costs is the processor time that the daemon spent (schedstat), not what a client waited,
so that other work on the machine disturbs it less. A client does 20 things on one guest's tree, then goes on to
another at random; "another guest each time" is the hardest case, and no goal.

What else runs on the machine only ever adds to a cost, and how much changes from one second to the next. So all
daemons, one for each size, stand ready at once; each round asks all of them one after the other for a moment (after a
moment that does not count: the round's others have used the caches); and of the rounds the quarter counts that was
disturbed least. Client and daemon share one processor: on two, each wake-up costs what the other one's mood says.
"""
import argparse
import os
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
JOURNALED = ("read", "write", "tx10")
ECHO = ((1, 1), (CLIENTS, 1), (CLIENTS, 8))  # clients, requests that each has on the way


class Server:
    """The daemon, filled for a number of guests, or the echo server."""

    def __init__(self, out, tmp, guests, journal=True):
        self.out, self.guests, self.filler = out, guests, None
        self.dir = tempfile.mkdtemp(dir=tmp)
        self.socket = os.path.join(self.dir, "s")
        if guests is None:
            args = [out + "/bench_sock", "echo", self.socket, "5"]
        else:
            args = [out + "/xenstore/xenstored", "-F", "--socket", self.socket, "--pid-file", "none", "--no-domains",
                    "--fresh", "--journal", self.dir + "/journal" if journal else "none"]
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
        self.load_once(op, clients, depth, seconds)
        return self.load_once(op, clients, depth, seconds)

    def load_once(self, op, clients, depth, seconds):
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


def output(*argv):
    p = subprocess.run([str(a) for a in argv], capture_output=True, text=True)
    if p.returncode:
        sys.exit("bench: " + p.stderr)
    return p.stdout


def in_process(args, note):
    for _ in range(3):
        for size in SIZES:
            for which in ("ours", "naive"):
                for line in output(args.out + "/bench_store", which, size, args.seconds).splitlines():
                    op, value = line.split()
                    note((which, op, size), float(value))


def journals(args, tmp, note):
    """What the journal costs requests over a ring, and how long it takes to read the longest one."""
    path = tmp + "/j"
    for size in SIZES:
        for line in output(args.out + "/bench_journal", size, 2 * args.rounds, path).splitlines():
            what, op, value = line.split()
            note((what, op, size), float(value))
        for _ in range(3):
            before = os.times().children_user + os.times().children_system
            output(args.out + "/xenstore/xenstored", "--check-journal", path)
            note(("reading", "log", size), (os.times().children_user + os.times().children_system - before) * 1e3)
        note(("file", "log", size), os.path.getsize(path))
        os.unlink(path)


def measure(args):
    """Samples: (what, op, size) -> list, one for each round."""
    got = {}

    def note(key, value):
        got.setdefault(key, []).append(value)

    # the journal's place is a tmpfs, as in dom0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as tmp:
        servers = {size: Server(args.out, tmp, size) for size in SIZES}
        bare = {size: Server(args.out, tmp, size, journal=False) for size in SIZES}
        echo = Server(args.out, tmp, None)
        for round_ in range(args.rounds):
            if sys.stderr.isatty():
                print("round %d of %d" % (round_ + 1, args.rounds), file=sys.stderr)
            # there and back again: what comes first is not always the same
            sizes = SIZES if round_ % 2 else SIZES[::-1]
            for op in ALL:
                for size in sizes:
                    rate, cost, again = servers[size].load(op, CLIENTS, 1, args.seconds)
                    note(("cost", op, size), cost)
                    note(("rate", op, size), rate)
                    note(("again", op, size), again)
                    if op in JOURNALED:
                        note(("bare", op, size), bare[size].load(op, CLIENTS, 1, args.seconds)[1])
            for clients, depth in ECHO:
                note(("ours rate", clients, depth), servers[SIZES[0]].load("read", clients, depth, args.seconds)[0])
                note(("echo rate", clients, depth), echo.load("read", clients, depth, args.seconds)[0])
        for s in [*servers.values(), *bare.values(), echo]:
            s.stop()
        journals(args, tmp, note)
    in_process(args, note)
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


def print_journal(typical, ratio):
    def row(text, form, value):
        print("%-30s" % text + "".join(form % value(n) for n in SIZES))

    print("The journal: processor time of the daemon over the socket, with / without")
    for op in JOURNALED:
        row(TEXT[op], "%10.3f", lambda n: ratio(("cost", op, n), ("bare", op, n)))
    print("and over a ring, the daemon and its client in one process, us of processor time and requests a second")
    for op in JOURNALED:
        requests = 12 if op == "tx10" else 1

        def whole(n):
            share = typical("bytes", op, n) / typical("room", "log", n)
            return typical("with", op, n) / 1e3 + typical("pause", "checkpoint", n) * requests * share

        row(TEXT[op], "%10.2f", lambda n: typical("without", op, n) / 1e3)
        row("  with the journal", "%10.2f", lambda n: typical("with", op, n) / 1e3)
        row("  and its share of checkpoints", "%10.2f", whole)
        row("  requests a second, without", "%10.0f", lambda n: requests * 1e9 / typical("without", op, n))
        row("  requests a second, with all", "%10.0f", lambda n: requests * 1e6 / whole(n))
        row("  bytes for each request", "%10.0f", lambda n: typical("bytes", op, n))
    row("a checkpoint, ms", "%10.2f", lambda n: typical("pause", "checkpoint", n) / 1e3)
    row("requests from one to the next", "%10.0f", lambda n: typical("room", "log", n) / typical("bytes", "write", n))
    row("the file, KiB", "%10.0f", lambda n: typical("file", "log", n) / 1024)
    row("reading it at a start, ms", "%10.0f", lambda n: typical("reading", "log", n))


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--out", required=True, help="where the programs were built, and the plots go")
    ap.add_argument("--rounds", type=int, default=9)
    ap.add_argument("--seconds", type=float, default=0.1, help="for each single measurement")
    ap.add_argument("--strict", action="store_true", help="exit status 1 when a goal does not hold")
    args = ap.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    got = measure(args)

    def typical(*key):
        """What counts: the lower quartile of costs, the upper one of rates."""
        values = sorted(got[key], reverse="rate" in key[0])
        return values[len(values) // 4]

    def ratio(key, to):
        return typical(*key) / typical(*to)

    small, big = SIZES[0], SIZES[-1]
    print("Over the socket, %d clients: processor time of the daemon for each operation, in us" % CLIENTS)
    print("%-30s" % "guests" + "".join("%10d" % n for n in SIZES) + "%10s" % "%d/%d" % (big, small))
    worst = 0
    for op in ALL:
        grown = ratio(("cost", op, big), ("cost", op, small))
        if op in OPS:
            worst = max(worst, grown)
        print("%-30s" % TEXT[op] + "".join("%10.2f" % (typical("cost", op, n) / 1e3) for n in SIZES) + "%10.2f" % grown)
    print("operations a second, all clients")
    for op in ALL:
        print("%-30s" % TEXT[op] + "".join("%10.0f" % typical("rate", op, n) for n in SIZES))
    print_journal(typical, ratio)
    for which, text in (("ours", "The store alone"), ("naive", "The naive tree alone")):
        print("%s, without sockets, in us" % text)
        for op in ALL:
            row = [typical(which, op, n) / 1e3 for n in SIZES]
            print("%-30s" % TEXT[op] + "".join("%10.2f" % v for v in row) + "%10.2f" % (row[-1] / row[0]))
        print("%-30s" % "bytes for each node" + "".join("%10.0f" % typical(which, "bytes", n) for n in SIZES))
    print("Reads a second over the socket / an echo server with the same framing")
    ratios = []
    for clients, depth in ECHO:
        ours, echo = ("ours rate", clients, depth), ("echo rate", clients, depth)
        ratios.append(ratio(ours, echo))
        print("%d client(s), %d request(s) each on the way: %10.0f / %8.0f = %.2f" %
              (clients, depth, typical(*ours), typical(*echo), ratios[-1]))
    again = sum(sum(got["again", "tx10", n]) for n in SIZES)
    print("EAGAIN in %d clients' transactions on paths of their own: %d" % (CLIENTS, again))

    goals = (("each cost at %d guests <= 1.3 x that at %d: worst %.2f" % (big, small, worst), worst <= 1.3),
             ("reads a second >= 0.7 x echo: worst %.2f" % min(ratios), min(ratios) >= 0.7),
             ("no EAGAIN without a conflict: %d" % again, again == 0))
    for text, ok in goals:
        print("goal %s: %s" % ("holds" if ok else "MISSED", text))

    def points(which, op):
        return [(n, typical(which, op, n) / 1e3) for n in SIZES]

    curve(args.out + "/socket.svg", "xenstored over the socket", "us of processor time",
          {TEXT[op]: points("cost", op) for op in ALL})
    for op in ALL:
        curve(args.out + "/store-%s.svg" % op, "The stores alone: " + TEXT[op], "us",
              {"ours": points("ours", op), "naive tree": points("naive", op)})
    curve(args.out + "/memory.svg", "Memory for each node", "bytes",
          {"ours": [(n, typical("ours", "bytes", n)) for n in SIZES],
           "naive tree": [(n, typical("naive", "bytes", n)) for n in SIZES]})
    print("plots: %s/*.svg" % args.out)
    return 1 if args.strict and not all(ok for _, ok in goals) else 0


if __name__ == "__main__":
    sys.exit(main())
