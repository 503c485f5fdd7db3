# SPDX-License-Identifier: BSD-2-Clause
"""What the daemon tells a service manager (sd_notify): that it serves, and that it still does, across a live update too."""
import os
import signal
import socket
import subprocess

import pytest

from conftest import OUT


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """Its socket, and what the daemon's NOTIFY_SOCKET is for that."""
    name = str(tmp_path / "notify")
    if request.param == "abstract":
        name = f"@pavise-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(name.replace("@", "\0"))
        s.settimeout(20)
        yield s, name


def start(tmp_path, name, **env):
    argv = [OUT + "/xenstored", "-F", "--no-domains", "--pid-file", "none", "--socket", str(tmp_path / "socket")]
    return subprocess.Popen(argv, env=dict(os.environ, NOTIFY_SOCKET=name, **env), stderr=subprocess.DEVNULL)


def test_ready_and_alive(manager, tmp_path):
    s, name = manager
    with start(tmp_path, name, WATCHDOG_USEC="200000") as p:
        assert s.recv(100) == b"READY=1"
        # Whoever is told so can connect.
        done = subprocess.run([OUT + "/xenstore-list", "/"], env=dict(os.environ, XENSTORED_PATH=str(tmp_path / "socket")),
                              capture_output=True, check=True, timeout=20)
        assert b"tool" in done.stdout
        # Nobody speaks to it, and it says so all the same.
        assert [s.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        # Stopped, it does not.
        p.send_signal(signal.SIGSTOP)
        s.settimeout(1)
        with pytest.raises(TimeoutError):
            for _ in range(5):
                s.recv(100)
        s.settimeout(20)
        p.send_signal(signal.SIGCONT)
        assert s.recv(100) == b"WATCHDOG=1"
        # The program that takes its place has the same process and says the same.
        subprocess.run([OUT + "/xenstore-control", "live-update", OUT + "/xenstored"], timeout=60, check=True,
                       env=dict(os.environ, XENSTORED_PATH=str(tmp_path / "socket")))
        while s.recv(100) != b"READY=1":
            pass
        assert s.recv(100) == b"WATCHDOG=1" and p.poll() is None
        p.terminate()
        assert p.wait(20) == 0


@pytest.mark.parametrize("env", [{}, {"WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "x"}])
def test_no_watchdog(tmp_path, env):
    """One that is not there, is another process's, or is nonsense."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        s.settimeout(20)
        with start(tmp_path, str(tmp_path / "notify"), **env) as p:
            assert s.recv(100) == b"READY=1"
            s.settimeout(0.5)
            with pytest.raises(TimeoutError):
                s.recv(100)
            p.terminate()
            assert p.wait(20) == 0


@pytest.mark.parametrize("name", ["relative", "/", "@", "/" + "x" * 200, "/nowhere/there"])
def test_no_manager(tmp_path, name):
    """It serves all the same."""
    with start(tmp_path, name, WATCHDOG_USEC="100000") as p:
        env = dict(os.environ, XENSTORED_PATH=str(tmp_path / "socket"))
        for _ in range(100):
            if subprocess.run([OUT + "/xenstore-exists", "/tool"], env=env, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                break
        else:
            raise AssertionError("nobody serves")
        p.terminate()
        assert p.wait(20) == 0
