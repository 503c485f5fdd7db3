# SPDX-License-Identifier: BSD-2-Clause
"""The daemon as a process: start, readiness, errors and exit codes, end."""
import os
import stat
import subprocess
import time

from conftest import alive

OUT = os.environ["XS_OUT"]


def start(tmp, *args, **kw):
    return subprocess.run([OUT + "/xenstored", "--socket", str(tmp / "sock"), "--pid-file", str(tmp / "pid"), "--log",
                           str(tmp / "log"), *args], capture_output=True, text=True, timeout=20, **kw)


def end(tmp):
    pid = int((tmp / "pid").read_text())
    os.kill(pid, 15)
    for _ in range(400):
        if not alive(pid):
            return
        time.sleep(0.01)
    raise AssertionError("still there")


def test_ready_when_the_parent_returns(tmp_path):
    for _ in range(10):
        assert start(tmp_path).returncode == 0
        assert subprocess.run(["/usr/bin/xenstore-list", "/"], capture_output=True, text=True,
                              env=dict(os.environ, XENSTORED_PATH=str(tmp_path / "sock"))).stdout == "local\ntool\nvm\n"
        end(tmp_path)
        assert not (tmp_path / "sock").exists() and not (tmp_path / "pid").exists()


def test_socket_mode(tmp_path):
    start(tmp_path)
    assert stat.S_IMODE((tmp_path / "sock").stat().st_mode) == 0o600
    end(tmp_path)


def test_second_one_refuses(tmp_path):
    start(tmp_path)
    p = start(tmp_path)
    assert p.returncode == 3 and "in use" in p.stderr
    p = start(tmp_path, "--socket", str(tmp_path / "other"))
    assert p.returncode == 3 and "pid" in p.stderr
    end(tmp_path)


def test_stale_socket_is_replaced(tmp_path):
    start(tmp_path)
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, 9)
    time.sleep(0.3)
    assert (tmp_path / "sock").exists()
    assert start(tmp_path).returncode == 0
    end(tmp_path)


def test_errors(tmp_path):
    p = start(tmp_path, "--nonsense")
    assert p.returncode == 2 and "Usage" in p.stderr
    assert start(tmp_path, "extra").returncode == 2
    p = start(tmp_path, "--help")
    assert p.returncode == 0 and "--foreground" in p.stdout
    p = start(tmp_path, "--socket", "/nonexistent/dir/sock")
    assert p.returncode == 1 and "/nonexistent/dir/sock" in p.stderr
    p = start(tmp_path, "--log", "/nonexistent/log")
    assert p.returncode == 1 and "/nonexistent/log" in p.stderr
    p = start(tmp_path, "--socket", "/" + "x" * 200)
    assert p.returncode == 1


def test_foreground(tmp_path):
    p = subprocess.Popen([OUT + "/xenstored", "-F", "--socket", str(tmp_path / "sock"), "--pid-file", "none"],
                         stderr=subprocess.PIPE)
    for _ in range(500):
        if (tmp_path / "sock").exists():
            break
        time.sleep(0.01)
    p.terminate()
    assert p.wait(10) == 0
