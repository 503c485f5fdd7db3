# SPDX-License-Identifier: BSD-2-Clause
"""The xs wire protocol as tests see it: raw messages over a socket, or over the ring file of a fake domain."""
import mmap
import os
import socket
import struct
import time

(CONTROL, DIRECTORY, READ, GET_PERMS, WATCH, UNWATCH, TRANSACTION_START, TRANSACTION_END, INTRODUCE, RELEASE,
 GET_DOMAIN_PATH, WRITE, MKDIR, RM, SET_PERMS, WATCH_EVENT, ERROR, IS_DOMAIN_INTRODUCED, RESUME,
 SET_TARGET) = range(20)
RESET_WATCHES, DIRECTORY_PART, GET_FEATURE, SET_FEATURE, GET_QUOTA, SET_QUOTA = range(21, 27)


class Error(Exception):
    """An ERROR reply; args[0] is the name."""


class Client:
    """One connection. Replies and events are kept apart."""

    def __init__(self):
        self.events = []
        self.req_id = 0

    def _recv(self, n):
        raise NotImplementedError

    def _send(self, data):
        raise NotImplementedError

    def message(self):
        kind, req, tx, length = struct.unpack("<4I", self._recv(16))
        return kind, req, tx, self._recv(length)

    def raw(self, kind, body, tx=0):
        """Sends a request; returns (type, body) of its reply."""
        self.req_id += 1
        self._send(struct.pack("<4I", kind, self.req_id, tx, len(body)) + body)
        while True:
            rkind, req, rtx, rbody = self.message()
            if rkind == WATCH_EVENT:
                assert (req, rtx) == (0, 0)
                self.events.append(tuple(rbody.split(b"\0")[:2]))
                continue
            assert (req, rtx) == (self.req_id, tx)
            return rkind, rbody

    def ask(self, kind, *strings, tx=0, tail=b""):
        rkind, body = self.raw(kind, b"".join(s + b"\0" for s in strings) + tail, tx)
        if rkind == ERROR:
            raise Error(body.rstrip(b"\0").decode())
        assert rkind == kind
        return body

    def read(self, path, tx=0):
        return self.ask(READ, path, tx=tx)

    def write(self, path, value, tx=0):
        assert self.ask(WRITE, path, tx=tx, tail=value) == b"OK\0"

    def directory(self, path, tx=0):
        return self.ask(DIRECTORY, path, tx=tx).split(b"\0")[:-1]

    def start(self):
        return int(self.ask(TRANSACTION_START, b"").rstrip(b"\0"))

    def end(self, tx, commit=True):
        self.ask(TRANSACTION_END, b"T" if commit else b"F", tx=tx)


class SocketClient(Client):
    def __init__(self, path):
        super().__init__()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(path)

    def _recv(self, n):
        data = b""
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise ConnectionError
            data += piece
        return data

    def _send(self, data):
        self.sock.sendall(data)

    def close(self):
        self.sock.close()


class GuestClient(Client):
    """A guest: the daemon runs with XENSTORED_FAKE_DOMAINS=directory, and somebody INTRODUCEs the domain."""

    def __init__(self, directory, domid):
        super().__init__()
        self.domid = domid
        path = os.path.join(directory, str(domid))
        with open(path, "wb") as f:
            f.write(bytes(4096))
        self.file = open(path, "r+b")
        self.page = mmap.mmap(self.file.fileno(), 4096)
        # whole words at a time: struct would store an index byte by byte, under the daemon's eyes
        self.words = memoryview(self.page).cast("I")
        self.fifo = os.open(os.path.join(directory, "events"), os.O_WRONLY)

    def _index(self, i, value=None):
        if value is None:
            return self.words[512 + i]
        self.words[512 + i] = value & 0xffffffff
        return value

    def _kick(self):
        try:
            os.write(self.fifo, struct.pack("<I", self.domid))
        except BrokenPipeError:
            pass  # the daemon is dead: the event is lost, as a real one

    def _send(self, data):
        end = time.monotonic() + 20
        for b in data:
            while self._index(1) - self._index(0) & 0xffffffff >= 1024:
                self._kick()
                time.sleep(0.001)
                assert time.monotonic() < end
            self.page[self._index(1) % 1024] = b
            self._index(1, self._index(1) + 1)
        self._kick()

    def _recv(self, n):
        data = b""
        end = time.monotonic() + 20
        while len(data) < n:
            if self._index(2) == self._index(3):
                self._kick()
                time.sleep(0.0005)
                assert time.monotonic() < end, "no answer"
                continue
            data += self.page[1024 + self._index(2) % 1024:][:1]
            self._index(2, self._index(2) + 1)
        self._kick()
        return data
