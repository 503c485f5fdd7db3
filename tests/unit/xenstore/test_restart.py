# SPDX-License-Identifier: BSD-2-Clause
"""The daemon as a process is killed and started again, or replaced by another program; clients go on."""
import os
import shutil
import signal
import struct
import subprocess
import threading
import time

import xswire
from xswire import DIRECTORY, WATCH, WRITE, Error

OUT = os.environ["XS_OUT"]
FAST = os.environ["XS_FAST"]


def home(xs, domid):
    c = xs.client()
    c.write(b"/local/domain/%d" % domid, b"")
    c.ask(xswire.SET_PERMS, b"/local/domain/%d" % domid, b"n%d" % domid)
    return b"/local/domain/%d/" % domid


def wait_for(what, seconds=20):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_killed(xs):
    """Store, permissions, a guest with its watch and its open transaction are there again."""
    g = xs.guest(3)
    path = home(xs, 3)
    g.write(b"a", b"1")
    g.ask(WATCH, b"a", b"token")
    tx = g.start()
    g.write(b"a", b"2", tx)
    g.write(b"b", b"3", tx)
    xs.client().write(b"/left", b"here")
    lost = xs.client()
    lost_tx = lost.start()
    lost.write(b"/never", b"1", lost_tx)
    xs.kill()
    xs.start()
    assert xs.client().read(b"/left") == b"here"
    g.end(tx)
    assert g.read(b"a") == b"2" and g.read(b"b") == b"3"
    assert g.events.count((b"a", b"token")) == 2  # when it was registered, and the commit
    assert xs.client().ask(xswire.GET_PERMS, path[:-1]) == b"n3\0"
    # what a socket's client had not committed is gone with it
    try:
        xs.client().read(b"/never")
        raise AssertionError("there it is")
    except Error as e:
        assert e.args[0] == "ENOENT"
    assert xs.client().ask(xswire.CONTROL, b"check") == b"OK\0"


def test_half_a_request(xs):
    """It dies after a part of a request; the rest comes to its successor."""
    g = xs.guest(5)
    home(xs, 5)
    body = b"long\0" + b"x" * 1500
    message = struct.pack("<4I", WRITE, 77, 0, len(body)) + body
    for cut in (3, 16, 30, 900):
        g._send(message[:cut])
        wait_for(lambda: g._index(0) == g._index(1))
        xs.kill()
        xs.start()
        g._send(message[cut:])
        assert g.message()[:2] == (WRITE, 77)
    assert g.read(b"long") == b"x" * 1500


def test_again_and_again(xs):
    """Guests work while the daemon is killed 25 times: every request is answered, every write there."""
    guests = [xs.guest(d) for d in (1, 2, 3)]
    for d in (1, 2, 3):
        home(xs, d)
    stop = threading.Event()
    counts, wrong = [0, 0, 0], []

    def work(i):
        g = guests[i]
        try:
            while not stop.is_set():
                n = counts[i]
                g.write(b"n", b"%d" % n)
                tx = g.start()
                assert g.read(b"n", tx) == b"%d" % n
                g.write(b"m/%d" % (n % 50), b"%d" % n, tx)
                g.end(tx)
                counts[i] += 1
        except Exception as e:  # pylint: disable=broad-except
            wrong.append((i, counts[i], repr(e)))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for _ in range(25):
        time.sleep(0.03)
        xs.kill()
        xs.start()
    time.sleep(0.1)
    stop.set()
    for t in threads:
        t.join(30)
    assert not wrong
    assert all(n > 25 for n in counts), counts
    for g, n in zip(guests, counts):
        assert g.read(b"n") == b"%d" % (n - 1)
        for k in range(max(0, n - 50), n):
            assert g.read(b"m/%d" % (k % 50)) == b"%d" % k
    log = (xs.dir / "log").read_text()
    assert "differently" not in log and "cannot be used" not in log and "dropped" not in log, log
    assert xs.client().ask(xswire.CONTROL, b"check") == b"OK\0"


def test_live_update(xs, tmp_path):
    """Another program takes over: open sockets, their watches and transactions, and guests go on."""
    other = str(tmp_path / "xenstored-new")
    shutil.copy(OUT + "/xenstored", other)
    g = xs.guest(4)
    home(xs, 4)
    c = xs.client()
    c.ask(WATCH, b"/seen", b"tok")
    tx = c.start()
    c.write(b"/in-tx", b"1", tx)
    gtx = g.start()
    g.write(b"y", b"2", gtx)
    pid = xs.pid
    for _ in range(3):
        status, out, err = xs.our("control", "live-update", "-t", "5", other)
        assert (status, out, err) == (0, b"", b"")
    assert os.readlink(f"/proc/{pid}/exe") == other
    c.write(b"/seen", b"x")
    c.read(b"/seen")
    assert (b"/seen", b"tok") in c.events
    c.end(tx)
    g.end(gtx)
    assert c.read(b"/in-tx") == b"1" and g.read(b"y") == b"2"
    xs.kill()
    xs.start()
    assert xs.client().read(b"/in-tx") == b"1"


def update(xs, other):
    assert xs.our("control", "live-update", other) == (0, b"", b"")
    assert os.readlink(f"/proc/{xs.pid}/exe") == other


def test_live_update_in_the_middle(xs, tmp_path):
    """Requests that were read in part and replies that were written in part, over ring and socket, go along."""
    other = str(tmp_path / "xenstored-new")
    shutil.copy(OUT + "/xenstored", other)
    g, c = xs.guest(5), xs.client()
    home(xs, 5)
    body = b"long\0" + b"x" * 1500
    message = struct.pack("<4I", WRITE, 77, 0, len(body)) + body
    absolute = message.replace(b"long", b"/lon")
    for cut in (3, 16, 30, 900):
        g._send(message[:cut])
        c._send(absolute[:cut])
        wait_for(lambda: g._index(0) == g._index(1))
        update(xs, other)
        g._send(message[cut:])
        c._send(absolute[cut:])
        assert g.message()[:2] == (WRITE, 77)
        assert c.message()[:2] == (WRITE, 77)
    # a reply that does not fit into the ring, and many that do not fit into the socket
    g._send(struct.pack("<4I", xswire.READ, 78, 0, 5) + b"long\0")
    wait_for(lambda: g._index(3) - g._index(2) == 1024)
    many = 200
    c.write(b"/big", b"y" * 4000)
    for i in range(many):
        c._send(struct.pack("<4I", xswire.READ, i, 0, 5) + b"/big\0")
    update(xs, other)
    assert g.message() == (xswire.READ, 78, 0, b"x" * 1500)
    for i in range(many):
        assert c.message() == (xswire.READ, i, 0, b"y" * 4000)
    assert xs.client().ask(xswire.CONTROL, b"check") == b"OK\0"


def test_live_update_refused(xs, tmp_path):
    """A program that cannot take over is not let to; nothing has changed."""
    c = xs.client()
    bad = tmp_path / "bad"
    bad.write_text("#!/bin/sh\necho this is no xenstored\nexit 9\n")
    bad.chmod(0o755)
    for file, said in ((str(bad), b"this is no xenstored"), ("/nonexistent", b"ENOENT"), ("relative", b"EINVAL")):
        status, out, err = xs.our("control", "live-update", file)
        assert status == 3 and (said in err or said == b"ENOENT" or said == b"EINVAL"), (file, out, err)
    c.write(b"/still", b"here")
    assert os.readlink(f"/proc/{xs.pid}/exe") != str(bad)


def test_fresh_and_damaged(xs):
    """A damaged journal is reported, and does not keep the daemon from starting."""
    xs.client().write(b"/x", b"1")
    xs.kill()
    for name in ("journal",):  # there is no older one yet
        data = bytearray((xs.dir / name).read_bytes())
        data[100] ^= 1
        (xs.dir / name).write_bytes(data)
    xs.start()
    assert "damaged beyond use" in (xs.dir / "log").read_text()
    assert xs.client().ask(DIRECTORY, b"/") == b"local\0tool\0vm\0"


def wait_for_reply(pid):
    """Until the program has sent its request and waits; where /proc does not tell, a second."""
    end = time.monotonic() + 1
    while time.monotonic() < end:
        with open(f"/proc/{pid}/wchan") as f:
            if "unix_stream" in f.read():
                return
        time.sleep(0.002)


PROGRAM = r"""
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenstore.h>

#define CHECK(x) do { if (!(x)) { printf("line %d: %s (%m)\n", __LINE__, #x); exit(1); } } while (0)

static struct xs_handle *h;

/* Says where it is, and goes on when told to. */
static void stop_at(const char *where)
{
	char line[16];

	puts(where);
	fflush(stdout);
	CHECK(fgets(line, sizeof(line), stdin));
}

static int events(const char *path, const char *token)
{
	int n = 0;
	char **v;

	while ((v = xs_check_watch(h))) {
		n += !strcmp(v[XS_WATCH_PATH], path) && !strcmp(v[XS_WATCH_TOKEN], token);
		free(v);
	}
	return n;
}

int main(void)
{
	xs_transaction_t t, u;
	char *s;

	CHECK((h = xs_open(0)));
	CHECK(xs_watch(h, "/w", "tok") && xs_watch(h, "/gone", "tok"));
	CHECK(xs_unwatch(h, "/gone", "tok"));
	CHECK(xs_write(h, XBT_NULL, "/before", "1", 1));
	CHECK((t = xs_transaction_start(h)) && xs_write(h, t, "/in-tx", "1", 1));
	CHECK((u = xs_transaction_start(h)) && xs_write(h, u, "/in-tx", "1", 1));
	CHECK(events("/w", "tok") == 1);
	stop_at("kill");

	/* what needs no connection's state is done as if nothing had been */
	CHECK((s = xs_read(h, XBT_NULL, "/before", NULL)) && !strcmp(s, "1"));
	free(s);
	CHECK(xs_write(h, XBT_NULL, "/after", "1", 1));
	CHECK(xs_mkdir(h, XBT_NULL, "/dir") && xs_rm(h, XBT_NULL, "/dir"));
	/* transactions: again */
	CHECK(!xs_read(h, t, "/before", NULL) && errno == EAGAIN);
	CHECK(!xs_write(h, t, "/in-tx", "2", 1) && errno == EAGAIN);
	CHECK(!xs_transaction_end(h, t, false) && errno == EAGAIN);
	CHECK(xs_transaction_end(h, u, true));
	CHECK(!xs_read(h, XBT_NULL, "/in-tx", NULL) && errno == ENOENT);
	CHECK((t = xs_transaction_start(h)) && xs_write(h, t, "/in-tx", "3", 1) && xs_transaction_end(h, t, false));
	/* the watch is there, has told that something may have happened, and tells what does */
	CHECK(events("/w", "tok") == 1);
	CHECK(xs_write(h, XBT_NULL, "/w/x", "1", 1) && xs_write(h, XBT_NULL, "/gone", "1", 1));
	CHECK((s = xs_read(h, XBT_NULL, "/w/x", NULL)));
	free(s);
	CHECK(events("/w/x", "tok") == 1 && events("/gone", "tok") == 0);
	CHECK(xs_unwatch(h, "/w", "tok") && !xs_unwatch(h, "/w", "tok") && errno == ENOENT);

	/* it dies with these on the way */
	stop_at("stop");
	CHECK(xs_write(h, XBT_NULL, "/on-the-way", "1", 1));
	stop_at("stop");
	CHECK((t = xs_transaction_start(h)));
	CHECK(xs_transaction_end(h, t, false));
	CHECK((t = xs_transaction_start(h)));
	CHECK(xs_write(h, t, "/commit", "1", 1));
	stop_at("stop");
	/* nobody knows whether that was done: so it is done again, or, as here, tried */
	CHECK(!xs_transaction_end(h, t, false) && errno == EAGAIN);
	/* and what may not be done twice is left to the caller */
	stop_at("stop");
	CHECK(!xs_control_command(h, "check", NULL, 0));
	CHECK((s = xs_control_command(h, "check", NULL, 0)) && !strcmp(s, "OK"));
	free(s);
	puts("all good");
	return 0;
}
"""


def test_library_connects_again(xs, tmp_path):
    """libxenstore makes up for a daemon that was killed and started again, also under a request."""
    here = os.path.dirname(os.path.abspath(__file__))
    (tmp_path / "p.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-o", tmp_path / "p", tmp_path / "p.c", "-I" + here + "/../../../dom0-tools/xenstore/include",
                    "-I" + os.environ["XENINC"], os.environ["XS_FAST"] + "/libxenstore.a", "-pthread"], check=True)
    with subprocess.Popen([tmp_path / "p"], env=xs.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        while (line := p.stdout.readline().strip()) in ("kill", "stop"):
            if line == "stop":
                os.kill(xs.pid, signal.SIGSTOP)
                p.stdin.write("go\n")
                p.stdin.flush()
                wait_for_reply(p.pid)
            xs.kill()
            xs.start()
            if line == "kill":
                p.stdin.write("go\n")
                p.stdin.flush()
        assert line == "all good", line
    assert xs.client().read(b"/on-the-way") == b"1"


def test_clients_begin_again(xs):
    """Killed under the transaction of an xenstore-* client: the client does all of it again, and says nothing."""
    xs.client().write(b"/kept/a", b"1")
    commands = (("read", "/kept/a"), ("exists", "/kept/a"), ("list", "/kept"), ("ls", "/kept"), ("ls", "-p", "/kept"),
                ("write", "/kept/b", "2", "/kept/c", "3"), ("chmod", "/kept/a", "n0", "r5"), ("rm", "/kept/c"))
    over, failed, rounds = threading.Event(), [], 0

    def killer():
        for i in range(100):
            time.sleep(0.003 * (i % 11))
            xs.kill()
            xs.start()
        over.set()

    thread = threading.Thread(target=killer)
    thread.start()
    while not over.is_set() and not failed:
        for name, *args in commands:
            p = subprocess.run([FAST + "/xenstore-" + name, *args], env=xs.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               check=False)
            if p.returncode or p.stderr:
                failed.append((name, args, p.returncode, p.stdout, p.stderr))
        rounds += 1
    thread.join()
    assert not failed and rounds > 1, (failed, rounds)
