# SPDX-License-Identifier: BSD-2-Clause
"""Answers on the wire, byte for byte, over the socket and over a guest's ring."""
import os
import re
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


# Request and answer as the protocol's text has them: type, payload, transaction -> payload; ERROR where that is what
# comes. Domain 5 has a ring file; nothing else is there at first. TX stands for the transaction's number.
OK = b"OK\0"
DOM0 = [
    (INTRODUCE, b"5\x001\x001\0", 0, OK), (IS_DOMAIN_INTRODUCED, b"5\0", 0, b"T\0"),
    (INTRODUCE, b"5\x00-1\x002\0more\0", 0, OK), (RESUME, b"5\0", 0, OK), (SET_TARGET, b"5\x000\0", 0, OK),
    (GET_FEATURE, b"", 0, b"15\0"), (GET_FEATURE, b"5\0", 0, b"15\0"), (SET_FEATURE, b"6\x003\0", 0, OK),
    (GET_FEATURE, b"6\0", 0, b"3\0"), (SET_FEATURE, b"5\x003\0", 0, "EBUSY"), (SET_FEATURE, b"6\x0099\0", 0, "EINVAL"),
    (GET_QUOTA, b"", 0, b"nodes node-size watches transactions transaction-nodes outstanding events node-permissions "
                        b"path-max transaction-time memory\0"),
    (GET_QUOTA, b"nodes\0", 0, b"1000\0"), (SET_QUOTA, b"5\0nodes\x007\0", 0, OK), (GET_QUOTA, b"5\0nodes\0", 0, b"7\0"),
    (SET_QUOTA, b"nodes\x001001\0", 0, OK), (GET_QUOTA, b"nodes\0", 0, b"1001\0"), (GET_QUOTA, b"x\0", 0, "EINVAL"),
    (CONTROL, b"check\0", 0, OK), (CONTROL, b"print\0hello\0", 0, OK), (CONTROL, b"nope\0", 0, "EINVAL"),
    (RELEASE, b"5\0", 0, OK), (RELEASE, b"5\0", 0, "ENOENT"), (IS_DOMAIN_INTRODUCED, b"5\0", 0, b"F\0"),
]
ANYBODY = [
    (WRITE, b"/h/b\0val", 0, OK), (WRITE, b"/h/e\0", 0, OK), (WRITE, b"/h/n\0a\0b", 0, OK), (MKDIR, b"/h/d/x\0", 0, OK),
    (MKDIR, b"/h/b\0", 0, OK), (READ, b"/h/b\0", 0, b"val"), (READ, b"/h/e\0", 0, b""), (READ, b"/h/n\0", 0, b"a\0b"),
    (DIRECTORY, b"/h\0", 0, b"b\0d\0e\0n\0"), (DIRECTORY, b"/h/b\0", 0, b""),
    (DIRECTORY_PART, b"/h\x002\0", 0, rb"\d+\x00d\x00e\x00n\x00\x00"), (DIRECTORY_PART, b"/h\x008\0", 0, rb"\d+\x00\x00"),
    (SET_PERMS, b"/h/b\0n5\0r6\0w7\0b8\0", 0, OK), (GET_PERMS, b"/h/b\0", 0, b"n5\0r6\0w7\0b8\0"),
    (SET_PERMS, b"/h/b\0q5\0", 0, "EINVAL"), (WATCH, b"/h\0tok\0", 0, OK), (WATCH, b"/h\0tok\0", 0, "EEXIST"),
    (WATCH, b"/h/d\0tok\x001\0", 0, OK), (WATCH, b"@anything\0t\0\0", 0, OK), (UNWATCH, b"/h\0tok\0", 0, OK),
    (UNWATCH, b"/h\0tok\0", 0, "ENOENT"), (RESET_WATCHES, b"\0", 0, OK), (UNWATCH, b"/h/d\0tok\0", 0, "ENOENT"),
    (TRANSACTION_START, b"\0", 0, rb"\d+\x00"), (WRITE, b"/h/t\x001", "TX", OK), (READ, b"/h/t\0", "TX", b"1"),
    (READ, b"/h/t\0", 0, "ENOENT"), (RM, b"/h/n\0", "TX", OK), (TRANSACTION_START, b"\0", "TX", "EBUSY"),
    (TRANSACTION_END, b"X\0", "TX", "EINVAL"), (TRANSACTION_END, b"T\0", "TX", OK), (READ, b"/h/t\0", 0, b"1"),
    (TRANSACTION_END, b"F\0", "TX", "ENOENT"), (RM, b"/h/d\0", 0, OK), (RM, b"/h/d\0", 0, OK), (RM, b"/h/d/x\0", 0, "ENOENT"),
    (GET_DOMAIN_PATH, b"007\0", 0, b"/local/domain/7\0"), (GET_FEATURE, b"\0", 0, b"15\0"),
    (20, b"5\0", 0, "ENOSYS"), (ERROR, b"", 0, "ENOSYS"), (WATCH_EVENT, b"/\0t\0", 0, "ENOSYS"), (27, b"", 0, "ENOSYS"),
]


def exchange(client, table):
    tx = 0
    for n, (kind, body, use, want) in enumerate(table, 100):
        use = tx if use else 0
        client._send(struct.pack("<4I", kind, n, use, len(body)) + body)
        while True:
            got = client.message()
            if got[0] != WATCH_EVENT:
                break
            assert got[1:3] == (0, 0)
        if isinstance(want, str):
            assert got == (ERROR, n, use, want.encode() + b"\0"), (kind, body)
            continue
        assert got[:3] == (kind, n, use), (kind, body, got)
        assert got[3] == want or (want.startswith(b"\\d") and re.fullmatch(want, got[3])), (kind, body, got)
        if kind == TRANSACTION_START:
            tx = int(got[3][:-1])


def test_each_request_over_the_socket(xs):
    (xs.dir / "5").write_bytes(bytes(4096))
    for domid in 5, 6, 7, 8:
        xs.client().ask(GET_QUOTA, b"%d" % domid, b"nodes")
    exchange(xs.client(), ANYBODY)
    exchange(xs.client(), DOM0)
    assert {k for k, *_ in ANYBODY + DOM0} >= set(range(27))


def test_each_request_over_a_ring(xs):
    g, d0 = xs.guest(5), xs.client()
    for domid in 6, 7, 8:
        d0.ask(GET_QUOTA, b"%d" % domid, b"nodes")
    d0.write(b"/h", b"")
    d0.ask(SET_PERMS, b"/h", b"n5")
    exchange(g, ANYBODY)
    exchange(g, [(kind, body, tx, "EACCES") for kind, body, tx, _ in DOM0
                 if kind != IS_DOMAIN_INTRODUCED and (kind, body) != (GET_FEATURE, b"")])


@pytest.mark.parametrize("kind, body, tx, error", [
    (READ, b"/nope\0", 0, "ENOENT"), (READ, b"nope\0", 0, "ENOENT"), (READ, b"/a", 0, "EINVAL"),
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
