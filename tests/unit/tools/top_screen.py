# SPDX-License-Identifier: BSD-2-Clause
"""Drives xl top on a pseudo-terminal and looks at the screen: top_screen.py FAKE-XL FAKE-HV, in test_xl_seeing.sh's world
with the guests a and b and some 200 others."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pyte

XL, HV = sys.argv[1:3]
LIMIT = 20
cases = 0


def ok(what):
    global cases
    cases += 1
    print(f"ok {cases} - {what}")


class Top:
    """xl top and its terminal."""

    def __init__(self, *options, rows=24, cols=200, answers_size=None, tell=True):
        self.master, slave = pty.openpty()
        self.slave = slave
        self.raw = b""
        self.answers_size = answers_size
        self.resize(rows, cols, tell)
        self.before = termios.tcgetattr(slave)
        self.p = subprocess.Popen([XL, "top", *options], stdin=slave, stdout=slave, stderr=subprocess.PIPE,
                                  preexec_fn=self.own_terminal)

    def own_terminal(self):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, rows, cols, tell=True):
        self.screen = pyte.Screen(cols, rows)
        self.stream = pyte.ByteStream(self.screen)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows if tell else 0, cols if tell else 0, 0, 0))

    def read(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        got = os.read(self.master, 65536)
        self.raw += got
        self.stream.feed(got)
        if self.answers_size and b"\x1b[6n" in got:
            os.write(self.master, b"\x1b[%d;%dR" % self.answers_size)
        return True

    def wait(self, what, condition):
        """Reads until the screen is so."""
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end, f"{what}\n" + "\n".join(self.screen.display)
            self.read(0.05)

    def shows(self, pattern):
        self.wait(f"never shows {pattern}", lambda: re.search(pattern, "\n".join(self.lines()), re.M))

    def hides(self, pattern):
        self.wait(f"always shows {pattern}", lambda: not re.search(pattern, "\n".join(self.lines()), re.M))

    def key(self, text):
        os.write(self.master, text.encode() if isinstance(text, str) else text)

    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def names(self):
        """Of the domains in the table, from top to bottom."""
        return [line.split()[0] for line in self.lines() if re.match(r" *\S+ [d-][s-][b-][c-][p-][r-]( |$)", line)]

    def ended(self):
        end = time.monotonic() + LIMIT
        while self.p.poll() is None:
            assert time.monotonic() < end, "it does not end"
            self.read(0.05)
        while self.read(0.1):
            pass
        return self.p.returncode

    def as_it_was(self):
        """The terminal's modes; and the screen: cursor, wrapping and page."""
        assert termios.tcgetattr(self.slave) == self.before
        for on, off in (b"\x1b[?25h", b"\x1b[?25l"), (b"\x1b[?7h", b"\x1b[?7l"), (b"\x1b[?1049l", b"\x1b[?1049h"):
            assert self.raw.rfind(on) > self.raw.rfind(off) >= 0, (on, self.raw[-100:])

    def close(self):
        os.close(self.master)
        os.close(self.slave)
        return self.p.stderr.read().decode()


def quit_(top):
    top.key("q")
    assert top.ended() == 0
    top.as_it_was()
    assert top.close() == ""


def test_table_and_keys():
    top = Top("-d", "60")
    top.shows(r"^ +NAME  STATE   CPU\(sec\) CPU\(%\) .* SSID STEAL\(%\)$")
    top.shows(r"^xl top - \d\d:\d\d:\d\d   Pavise 4\.17")
    top.shows(r"^\d+ domains: 1 running, \d+ blocked, 0 paused, 0 crashed, 0 dying, 0 shutdown$")
    top.shows(r"^Mem: 4194304k total, .* free    CPUs: 2 @ ")
    top.shows(r"^  Domain-0 -----r +1 +0\.0 +262144 ")
    top.shows(r"Sort order: DOMID")
    row = next(i for i, line in enumerate(top.lines()) if " NAME " in line)
    assert all(top.screen.buffer[row][c].reverse for c in range(200)), "the header is not marked"
    assert len(top.lines()) == 24 and top.names()[0] == "Domain-0"
    ok("the table")
    for key, pattern in ("v", r"^VCPUs\(sec\):   0:"), ("n", r"^Net0 "), ("b", r"^VBD BlkBack 51712 \[ca: 0\]"):
        top.hides(pattern)
        top.key(key)
        top.shows(pattern)
        top.key(key.upper())
        top.hides(pattern)
    ok("V, N, B")
    top.key("r")
    top.wait("one header", lambda: sum(" STATE " in line for line in top.lines()) > 5)
    top.key("r")
    top.wait("headers", lambda: sum(" STATE " in line for line in top.lines()) == 1)
    ok("R")
    top.key("s")
    top.shows("Sort order: NAME")
    top.shows(r"^ +>NAME")
    assert top.names()[:3] == ["Domain-0", "a", "b"], top.names()
    top.key("ss")
    top.shows(r"Sort order: CPU\(sec\)")
    top.shows(r" >CPU\(sec\)")
    assert top.names()[0] == "b", top.names()
    top.key("s" * 18)
    top.shows("Sort order: DOMID")
    ok("S")
    quit_(top)
    ok("Q leaves the terminal as it was")


def test_delay():
    top = Top("-d", "60")
    top.shows("Sort order")
    top.key("d")
    top.shows(r"^Delay in seconds \(now 60\): _")
    top.key("2x")
    top.hides("Delay in seconds")
    top.key("d")
    top.shows(r"\(now 60\)")
    top.key("99\x7f\x7f\x7f0\r")
    top.hides("Delay in seconds")
    top.key("d")
    top.shows(r"\(now 60\): _")
    top.key("0.2\r")
    top.hides("Delay in seconds")
    subprocess.run([HV, "cpu", domid("a"), "100000000"], check=True)
    top.shows(r"^ +a --b--- +100001 +[1-9]\d*\.\d ")
    top.shows(r"^ +a --b--- +100001 +0\.0 ")
    quit_(top)
    ok("D, and percentages of what is used")


def domid(name):
    return subprocess.run([XL, "domid", name], check=True, capture_output=True, text=True).stdout.strip()


def test_scrolling():
    top = Top("-d", "60")
    top.shows("Sort order")
    first = top.names()
    top.key("\x1b[B")
    top.wait("down", lambda: top.names() and top.names()[0] == first[1])
    top.key("\x1b[A\x1bOB\x1bOA\x1b[A")
    top.wait("up", lambda: top.names() == first)
    top.key("\x1b[6~")
    top.wait("page down", lambda: first[-1] not in top.names()[1:] and first[0] not in top.names())
    top.key("\x1b[5~")
    top.wait("page up", lambda: top.names() == first)
    top.key("\x1b[F")
    top.wait("end", lambda: top.names()[-1:] == ["g199"] and len(top.names()) == len(first))
    top.key("\x1b[B\x1b[6~")
    top.key("\x1b[H")
    top.wait("home", lambda: top.names() == first)
    ok("arrows and pages over 200 domains")
    top.close()
    top.p.kill()
    top.p.wait()
    top = Top("-d", "60", cols=40)
    top.shows("^  Domain-0 -----r")
    top.hides("MAXMEM")
    top.key("\x1b[C" * 30)
    top.shows(r"^      NAME.* SSID STEAL")
    top.shows(r"^  Domain-0")
    top.key("\x1b[D" * 30)
    top.shows(r"^      NAME  STATE   CPU")
    quit_(top)
    ok("columns beyond a narrow screen")


def test_sizes():
    top = Top("-d", "60")
    top.shows("Sort order")
    for rows, cols in (10, 40), (6, 20), (5, 11), (3, 80), (2, 5), (1, 1), (1, 200), (60, 300):
        top.resize(rows, cols)
        if cols > 10:
            top.wait(f"{rows}x{cols}", lambda: "".join(top.lines()).strip())
        while top.read(0.2):
            pass
        assert len(top.screen.display) == rows
        if rows >= 6 and cols >= 20:
            top.shows("^  Domain-0 ")
        # Nothing of the next line is in this one: no line went on in the next row.
        for line in top.lines()[1 if rows > 5 else 0:]:
            assert re.match(r"$| *[\w>-]|\d+ domains|Mem|Delay", line), line
        top.key("d")
        top.key("x")
        assert top.p.poll() is None
    assert len(top.names()) == 55
    quit_(top)
    ok("windows of any size, changed while it runs")
    top = Top("-d", "60", rows=30, cols=100, tell=False, answers_size=(30, 100))
    top.wait("30 rows", lambda: "Sort order" in top.screen.display[29])
    quit_(top)
    ok("a line that does not know its size asks the terminal")


def test_exits():
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT, signal.SIGSEGV):
        top = Top("-d", "60")
        top.shows("Sort order")
        top.p.send_signal(sig)
        status = top.ended()
        assert status == 0 if sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) else status == -sig, (sig, status)
        top.as_it_was()
        top.close()
    ok("signals leave the terminal as it was")
    top = Top("-d", "60")
    top.shows("Sort order")
    top.key("\x03")
    assert top.ended() == 0
    top.as_it_was()
    top.close()
    ok("Ctrl-C, too")
    top = Top("-d", "0.1", "-i", "3")
    assert top.ended() == 0
    top.as_it_was()
    top.close()
    ok("-i ends")
    top = Top("-d", "60")
    top.shows("Sort order")
    top.p.send_signal(signal.SIGTSTP)
    end = time.monotonic() + LIMIT
    while "T" not in open(f"/proc/{top.p.pid}/stat", encoding="utf-8").read().rsplit(")", 1)[1].split()[0]:
        assert time.monotonic() < end, "it does not stop"
        top.read(0.05)
    while top.read(0.1):
        pass
    top.as_it_was()
    top.screen.reset()
    top.p.send_signal(signal.SIGCONT)
    top.shows("Sort order")
    quit_(top)
    ok("stopped, the terminal is the shell's; continued, the screen is there again")
    top = Top("-d", "60")
    top.shows("Sort order")
    os.close(top.master)
    assert top.p.wait(LIMIT) == 0
    os.close(top.slave)
    ok("a terminal that goes away ends it")


def test_names():
    """xenstore's names can be anything that an administrator's tool has written."""
    top = Top("-d", "0.2", "-f")
    path = f"/local/domain/{domid('a')}/name"
    subprocess.run(["xenstore-write", path, "\x1b[31mred\x1b[6n\xc3\xa4\u4e2d"], check=True)
    top.shows(r"^\^\[\[31mred\^\[\[6n\?+ --b---")
    assert b"\x1b[31m" not in top.raw and b"\x1b[6n" not in top.raw
    subprocess.run(["xenstore-write", path, "a"], check=True)
    top.shows(r"^ +a --b---")
    quit_(top)
    ok("names do not act on the terminal")


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
print(f"{cases} cases of the screen")
