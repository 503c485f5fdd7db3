# SPDX-License-Identifier: BSD-2-Clause
"""Answers on the wire, byte for byte, over the socket and over a guest's ring."""
import os
import socket
import struct
import time

import pytest
from xswire import *


def test_replies(xs):
    c = xs.client()
    assert c.raw(WRITE, b"/a/b\0val") == (WRITE, b"OK\0")
    assert c.raw(READ, b"/a/b\0") == (READ, b"val")
    assert c.raw(READ, b"/a\0") == (READ, b"")
    assert c.raw(MKDIR, b"/a/c\0") == (MKDIR, b"OK\0")
    assert c.raw(DIRECTORY, b"/a\0") == (DIRECTORY, b"b\0c\0")
    assert c.raw(DIRECTORY, b"/a/b\0") == (DIRECTORY, b"")
    assert c.raw(GET_PERMS, b"/a\0") == (GET_PERMS, b"n0\0")
    assert c.raw(SET_PERMS, b"/a\0n5\0r6\0w7\0b8\0") == (SET_PERMS, b"OK\0")
    assert c.raw(GET_PERMS, b"/a\0") == (GET_PERMS, b"n5\0r6\0w7\0b8\0")
    kind, body = c.raw(DIRECTORY_PART, b"/a\x000\0")
    assert kind == DIRECTORY_PART and body.split(b"\0")[1:] == [b"b", b"c", b"", b""]
    assert int(body.split(b"\0")[0]) > 0
    assert c.raw(RM, b"/a/c\0") == (RM, b"OK\0")
    kind, body = c.raw(TRANSACTION_START, b"\0")
    assert kind == TRANSACTION_START and body == b"%d\0" % int(body[:-1])
    assert c.raw(TRANSACTION_END, b"F\0", int(body[:-1])) == (TRANSACTION_END, b"OK\0")
    assert c.raw(GET_DOMAIN_PATH, b"7\0") == (GET_DOMAIN_PATH, b"/local/domain/7\0")
    assert c.raw(IS_DOMAIN_INTRODUCED, b"7\0") == (IS_DOMAIN_INTRODUCED, b"F\0")
    assert c.raw(IS_DOMAIN_INTRODUCED, b"0\0") == (IS_DOMAIN_INTRODUCED, b"T\0")
    assert c.raw(WATCH, b"/a\0tok\0") == (WATCH, b"OK\0")
    assert c.message() == (WATCH_EVENT, 0, 0, b"/a\0tok\0")
    assert c.raw(UNWATCH, b"/a\0tok\0") == (UNWATCH, b"OK\0")
    assert c.raw(RESET_WATCHES, b"\0") == (RESET_WATCHES, b"OK\0")
    assert c.raw(CONTROL, b"check\0") == (CONTROL, b"OK\0")


@pytest.mark.parametrize("kind, body, tx, error", [
    (READ, b"/nope\0", 0, "ENOENT"), (READ, b"nope\0", 0, "EINVAL"), (READ, b"/a", 0, "EINVAL"),
    (READ, b"", 0, "EINVAL"), (READ, b"/a/\0", 0, "EINVAL"), (READ, b"/\0", 5, "ENOENT"),
    (WRITE, b"/a", 0, "EINVAL"), (WRITE, b"/a b\0x", 0, "EINVAL"), (RM, b"/\0", 0, "EINVAL"),
    (RM, b"/x/y\0", 0, "ENOENT"), (SET_PERMS, b"/\0", 0, "EINVAL"), (SET_PERMS, b"/\0q0\0", 0, "EINVAL"),
    (SET_PERMS, b"/x\0n0\0", 0, "ENOENT"), (DIRECTORY, b"/x\0", 0, "ENOENT"),
    (DIRECTORY_PART, b"/\0x\0", 0, "EINVAL"), (WATCH, b"/a\0", 0, "EINVAL"), (WATCH, b"/a/\0t\0", 0, "EINVAL"),
    (UNWATCH, b"/a\0t\0", 0, "ENOENT"), (TRANSACTION_END, b"T\0", 0, "ENOENT"),
    (TRANSACTION_START, b"\0", 3, "EBUSY"), (INTRODUCE, b"1\0", 0, "EINVAL"), (INTRODUCE, b"0\0001\0001\0", 0, "EINVAL"),
    (RELEASE, b"9\0", 0, "ENOENT"), (RESUME, b"9\0", 0, "ENOENT"), (SET_TARGET, b"9\0008\0", 0, "ENOENT"),
    (20, b"1\0", 0, "ENOSYS"), (99, b"", 0, "ENOSYS"), (0xffff, b"", 0, "ENOSYS"), (WATCH_EVENT, b"", 0, "ENOSYS"),
    (CONTROL, b"nope\0", 0, "EINVAL"), (GET_DOMAIN_PATH, b"x\0", 0, "EINVAL"),
])
def test_errors(xs, kind, body, tx, error):
    assert xs.client().raw(kind, body, tx) == (ERROR, error.encode() + b"\0")


def test_too_long_kills_the_connection(xs):
    c = xs.client()
    c._send(struct.pack("<4I", READ, 1, 0, 4097))
    with pytest.raises(ConnectionError):
        c.message()
    assert xs.client().raw(READ, b"/\0")[0] == READ


def test_pieces_and_pipelines(xs):
    c = xs.client()
    msg = struct.pack("<4I", WRITE, 1, 0, 7) + b"/p\0abcd"
    for i in range(len(msg)):
        c._send(msg[i:i + 1])
    assert c.message() == (WRITE, 1, 0, b"OK\0")
    n = 2000
    c._send(b"".join(struct.pack("<4I", READ, i, 0, 3) + b"/p\0" for i in range(n)))
    for i in range(n):
        assert c.message() == (READ, i, 0, b"abcd")


def test_one_who_does_not_read_harms_nobody(xs):
    lazy, busy = xs.client(), xs.client()
    busy.write(b"/big", b"x" * 4000)
    lazy.sock.settimeout(0.2)
    try:
        for i in range(100000):
            lazy._send(struct.pack("<4I", READ, i, 0, 5) + b"/big\0")
    except (socket.timeout, BlockingIOError):
        pass
    begin = time.monotonic()
    for _ in range(200):
        busy.read(b"/big")
    assert time.monotonic() - begin < 5
    with open("/proc/%d/status" % xs.pid) as f:
        rss = [int(line.split()[1]) for line in f if line.startswith("VmRSS")][0]
    assert rss < 200 << 10


def test_client_dies_in_the_middle(xs):
    for _ in range(50):
        c = xs.client()
        c.start()
        c.ask(WATCH, b"/", b"t")
        c._send(b"\1\2\3")
        c.close()
    assert xs.client().raw(CONTROL, b"check\0") == (CONTROL, b"OK\0")


def test_guest(xs):
    d0 = xs.client()
    d0.ask(WATCH, b"@introduceDomain", b"i")
    g = xs.guest(5)
    assert d0.raw(IS_DOMAIN_INTRODUCED, b"5\0") == (IS_DOMAIN_INTRODUCED, b"T\0")
    assert d0.events == [(b"@introduceDomain", b"i")] * 2
    with pytest.raises(Error, match="EACCES"):
        g.write(b"data/x", b"1")
    d0.write(b"/local/domain/5", b"")
    d0.ask(SET_PERMS, b"/local/domain/5", b"n5")
    g.write(b"data/x", b"v" * 2000)
    assert d0.read(b"/local/domain/5/data/x") == b"v" * 2000
    g.ask(WATCH, b"control", b"tok")
    d0.write(b"/local/domain/5/control/shutdown", b"halt")
    g.read(b"data/x")
    assert g.events == [(b"control", b"tok"), (b"control/shutdown", b"tok")]
    t = g.start()
    g.write(b"data/y", b"1", tx=t)
    with pytest.raises(Error, match="ENOENT"):
        d0.read(b"/local/domain/5/data/y")
    g.end(t)
    assert d0.read(b"/local/domain/5/data/y") == b"1"
    assert d0.raw(RELEASE, b"5\0") == (RELEASE, b"OK\0")
    assert d0.raw(IS_DOMAIN_INTRODUCED, b"5\0") == (IS_DOMAIN_INTRODUCED, b"F\0")


def test_dom0_directory_beyond_a_page(xs):
    """Listing /local/domain with thousands of domains, also by Debian's library, while it changes."""
    c = xs.client()
    for i in range(3000):
        c.write(b"/local/domain/%d/name" % i, b"x")
    code, out, _ = xs.deb("list", "/local/domain")
    assert code == 0 and len(out.split()) == 3000
    assert xs.our("list", "/local/domain") == (0, out, b"")
