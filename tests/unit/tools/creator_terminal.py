#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whether a guest's supervisor tells of its early end on the terminal that it was created from.

usage: creator_terminal.py stays|leaves|given|full XL FAKE_HV KEY=VALUE...

Makes a terminal and a session in it, in which "XL create -q -f /dev/null KEY=VALUE..." runs; ends the guest then (FAKE_HV end), and prints what
the terminal shows until a moment after the supervisor has gone.
stays    the session is still there
leaves   its leader has ended
given    its leader has let go of the terminal, which another session has taken
full     as stays, but nobody reads what the terminal shows, of which it takes no more
"""
import fcntl
import os
import re
import select
import signal
import subprocess
import sys
import termios
import time

how, xl, fake_hv, *words = sys.argv[1:]
NAME = next(w for w in words if w.startswith("name=")).split('"')[1]


def lead(slave, ready, go):
    """The session's leader: runs xl create, says how that was, and does as how says."""
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.close(slave)
    if how == "full":
        # What has arrived is not read: until it takes no more, nor a while later, when the kernel has moved what it took.
        os.set_blocking(1, False)
        full_since = time.monotonic()
        while time.monotonic() - full_since < 0.5:
            try:
                os.write(1, b"x" * 512)
                full_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.02)
        os.set_blocking(1, True)
    status = subprocess.run([xl, "create", "-q", "-f", "/dev/null", *words], check=False, stdin=subprocess.DEVNULL).returncode
    if how == "given":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        fcntl.ioctl(0, termios.TIOCNOTTY)
    os.write(ready, bytes([status]))
    if how != "leaves":
        os.read(go, 1)
    os._exit(0)


def arrived(master, seconds):
    """What the terminal shows in that time; its end is one of what there is, too."""
    text, end = b"", time.monotonic() + seconds
    while time.monotonic() < end and select.select([master], [], [], max(0, end - time.monotonic()))[0]:
        try:
            text += os.read(master, 4096)
        except OSError:
            break
    return text.decode(errors="replace")


def supervisor(domid):
    node = subprocess.run(["xenstore-read", f"/tool/pavise/{domid}/supervisor"], check=True, text=True, stdout=subprocess.PIPE)
    return int(node.stdout.split()[0])


def is_there(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return ") Z " not in f.read()
    except OSError:
        return False


def main():
    master, slave = os.openpty()
    ready_out, ready = os.pipe()
    go, go_in = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(master)
        lead(slave, ready, go)
    if not os.read(ready_out, 1) == b"\0":
        sys.exit("xl create failed: " + arrived(master, 0.5))
    if how == "leaves":
        os.waitpid(pid, 0)
    other = None
    if how == "given":
        other = os.fork()
        if not other:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            os.read(go, 1)
            os._exit(0)
    domid = subprocess.run([xl, "domid", NAME], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    process = supervisor(domid)
    subprocess.run([fake_hv, "end", domid], check=True)
    end = time.monotonic() + 30
    while is_there(process) and time.monotonic() < end:
        time.sleep(0.02)
    print("the supervisor has ended" if not is_there(process) else "the supervisor is still there")
    print(re.sub("x{2,}", "", arrived(master, 0.3).replace("\r", "")))
    os.write(go_in, b"..")
    for child in (pid, other):
        if child and not (child == pid and how == "leaves"):
            os.waitpid(child, 0)


main()
