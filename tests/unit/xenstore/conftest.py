# SPDX-License-Identifier: BSD-2-Clause
"""A daemon per test, under sanitizers, with a directory for fake domains."""
import os
import random
import subprocess
import time

import pytest

import xswire

OUT = os.environ["XS_OUT"]


def alive(pid):
    """A zombie that nobody has waited for yet is dead."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Daemon:
    def __init__(self, tmp):
        self.dir = tmp
        self.socket = str(tmp / "socket")
        self.env = dict(os.environ, XENSTORED_PATH=self.socket, XENSTORED_FAKE_DOMAINS=str(tmp))
        self.start()

    def start(self):
        subprocess.run([OUT + "/xenstored", "--pid-file", str(self.dir / "pid"), "--log", str(self.dir / "log")],
                       env=self.env, check=True, timeout=20)
        self.pid = int((self.dir / "pid").read_text())

    def kill(self):
        """As if it had crashed."""
        os.kill(self.pid, 9)
        while self.alive():
            time.sleep(0.002)

    def client(self):
        return xswire.SocketClient(self.socket)

    def guest(self, domid):
        g = xswire.GuestClient(str(self.dir), domid)
        self.client().ask(xswire.INTRODUCE, b"%d" % domid, b"1", b"1")
        return g

    def run(self, where, prog, *args, timeout=20, env=None):
        """A client program: exit code, stdout, stderr with the program's directory taken out."""
        p = subprocess.run([where + "/xenstore-" + prog, *args], env=dict(self.env, **(env or {})),
                           capture_output=True, timeout=timeout)
        return p.returncode, p.stdout, p.stderr.replace(where.encode() + b"/", b"")

    def deb(self, prog, *args, **kw):
        return self.run("/usr/bin", prog, *args, **kw)

    def our(self, prog, *args, **kw):
        return self.run(OUT, prog, *args, **kw)

    def alive(self):
        return alive(self.pid)

    def stop(self):
        os.kill(self.pid, 15)
        for _ in range(400):
            if not self.alive():
                break
            time.sleep(0.01)
        log = (self.dir / "log").read_text()
        assert not self.alive() and "ended by signal 15" in log, log[-3000:]


@pytest.fixture
def xs(tmp_path):
    d = Daemon(tmp_path)
    yield d
    assert d.alive(), (tmp_path / "log").read_text()[-3000:]
    d.stop()


@pytest.fixture
def seed():
    s = int(os.environ.get("SEED") or random.randrange(1 << 30))
    print("seed", s)
    return s
