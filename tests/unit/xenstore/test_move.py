# SPDX-License-Identifier: BSD-2-Clause
"""A guest goes on with another daemon, under another number: xenstore-control moves its connection by a file."""
import os
import shutil
import struct
import time

import pytest

from conftest import Daemon
from test_restart import home, update, wait_for
import xswire
from xswire import DIRECTORY, WATCH, WRITE, Error

OUT = os.environ["XS_OUT"]


@pytest.fixture
def there(tmp_path_factory):
    d = Daemon(tmp_path_factory.mktemp("there"))
    yield d
    assert d.alive(), (d.dir / "log").read_text()[-3000:]
    d.stop()


def ok(xs, *args):
    assert xs.our("control", *args) == (0, b"OK\n", b"")


def land(xs, guest, domid):
    """The guest's memory in another domain, introduced and not served yet."""
    g = xswire.GuestClient(str(xs.dir), domid)
    g.page[:] = guest.page[:]
    g.req_id = guest.req_id
    ok(xs, "park-domain", str(domid))
    xs.client().ask(xswire.INTRODUCE, b"%d" % domid, b"1", b"1")
    assert g.page[:] == guest.page[:]
    return g


def test_moved(xs, there, tmp_path):
    """Half a request, a watch and an alias; either daemon dies or is replaced while the guest is on its way."""
    file, other = str(tmp_path / "guest"), str(tmp_path / "xenstored-new")
    shutil.copy(OUT + "/xenstored", other)
    g = xs.guest(3)
    home(xs, 3)
    g.write(b"data/a", b"one")
    g.ask(WATCH, b"/local/domain/3/data", b"token")
    g.read(b"data/a")
    g.events.clear()
    body = b"/local/domain/3/data/b\0" + b"x" * 1500
    message = struct.pack("<4I", WRITE, 77, 0, len(body)) + body
    g._send(message[:700])
    wait_for(lambda: g._index(0) == g._index(1))
    ok(xs, "export-domain", "3", file)
    assert os.stat(file).st_mode == 0o100600 and os.listdir(tmp_path).count("guest.new") == 0
    # it waits, whoever serves; its own memory is what goes along
    xs.kill()
    xs.start()
    update(xs, other)
    g._send(message[700:900])
    time.sleep(0.1)
    assert (g._index(1) - g._index(0)) & 0xffffffff == 200
    # another has its number there
    stranger = there.guest(3)
    home(there, 3)
    stranger.write(b"data/a", b"the stranger's")
    c = there.client()
    c.ask(WATCH, b"/local/domain/5", b"seen")
    h = land(there, g, 5)
    ok(there, "import-domain", "5", file)
    c.read(b"/local/domain/5/data/a")
    assert set(c.events) == {(b"/local/domain/5", b"seen")}
    there.kill()
    there.start()
    update(there, other)
    assert (h._index(1) - h._index(0)) & 0xffffffff == 200
    there.client().ask(xswire.RESUME, b"5")
    h._send(message[900:])
    assert h.message()[:2] == (WRITE, 77)
    assert h.message()[3] == b"/local/domain/3/data/b\0token\0"
    there.kill()
    there.start()
    assert h.read(b"/local/domain/3/data/b") == b"x" * 1500
    assert h.read(b"/local/domain/3/data/a") == h.read(b"data/a") == b"one"
    assert h.ask(xswire.GET_PERMS, b"data/a") == b"n3\0"
    assert there.client().ask(xswire.GET_PERMS, b"/local/domain/5/data/a") == b"n5\0"
    assert stranger.read(b"/local/domain/3/data/a") == b"the stranger's"
    assert stranger.directory(b"data") == [b"a"]
    assert there.client().ask(xswire.CONTROL, b"check") == b"OK\0"
    # the move is given up where it came from: as if nothing had been
    xs.client().ask(xswire.RESUME, b"3")
    g._send(message[900:])
    assert g.message()[:2] == (WRITE, 77)
    assert g.message()[3] == b"/local/domain/3/data/b\0token\0"


def test_refused(xs, there, tmp_path):
    """Each with its own words, and nothing has changed."""
    file = tmp_path / "guest"

    def refused(*args):
        code, out, err = there.our("control", *args)
        assert (code, out) == (3, b"")
        return err.decode()

    g = xs.guest(3)
    home(xs, 3)
    ok(xs, "export-domain", "3", str(file))
    good = file.read_bytes()
    land(there, g, 5)
    before = there.our("ls", "-p")
    for bad, said in ((good[:20], "no domain's connection"), (good[:-1], "its length is wrong"),
                      (good[:-1] + bytes([good[-1] ^ 1]), "its sum is wrong"), (b"\0" + good[1:], "no domain's connection"),
                      (good[:8] + b"\x02" + good[9:], "a version"), (b"", "no domain's connection")):
        file.write_bytes(bad)
        assert said in refused("import-domain", "5", str(file)), said
    assert "No such file" in refused("import-domain", "5", str(file) + "x")
    assert "no file" in refused("import-domain", "5", str(tmp_path))
    os.mkfifo(tmp_path / "fifo")
    assert "no file" in refused("import-domain", "5", str(tmp_path / "fifo"))
    assert "No such file" in refused("export-domain", "5", str(tmp_path / "none" / "x"))
    assert "Valid commands are" in refused("import-domain", "5", "relative")
    assert "Error 2 " in refused("import-domain", "6", str(file))
    assert there.our("ls", "-p") == before
    file.write_bytes(good)
    ok(there, "import-domain", "5", str(file))
    assert "before" in refused("import-domain", "5", str(file))
    with pytest.raises(Error, match="EACCES"):
        g2 = there.guest(7)
        g2.ask(xswire.CONTROL, b"import-domain", b"5", str(file).encode())
    assert there.client().ask(DIRECTORY, b"/local/domain") == b"5\0"
