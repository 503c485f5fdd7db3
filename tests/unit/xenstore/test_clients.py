# SPDX-License-Identifier: BSD-2-Clause
"""Debian's xenstore-* programs and library against our daemon; our programs and library against Debian's."""
import glob
import os
import random
import shutil
import subprocess
import time

import pytest

FAST = os.environ["XS_FAST"]
OUT = os.environ["XS_OUT"]
LIB = os.environ["XS_FAST"]
DEBIAN_CONTROL = os.environ["XS_DEBIAN_CONTROL"]


def fill(xs):
    rng = random.Random(1)
    c = xs.client()
    for n in range(1, 90):
        c.write(b"/w/" + b"k" * n, b"v" * rng.choice([0, 1, 5, 30, 40, 50, 60, 70, 80]))
        c.write(b"/w/s%d" % n, b"v" * n)
    c.write(b"/w/d/e/f/g/h/i", b"1")
    for b in range(256):
        c.write(b"/bytes/b%d" % b, bytes([b]))
    c.ask(14, b"/w/d", b"n0", b"r3", b"w4", b"b5")


def test_debian_clients(xs):
    """As its documentation shows."""
    assert xs.deb("write", "/a/b", "1", "/a/c", "x\\x41\\n") == (0, b"", b"")
    assert xs.deb("read", "/a/b", "/a/c") == (0, b"1\nxA\\n\n", b"")
    assert xs.deb("read", "-p", "/a/b") == (0, b"/a/b: 1\n", b"")
    assert xs.deb("read", "/nope")[0] == 1
    assert xs.deb("list", "/a") == (0, b"b\nc\n", b"")
    assert xs.deb("exists", "/a/b")[0] == 0
    assert xs.deb("exists", "/a/nope")[0] == 1
    assert xs.deb("chmod", "/a", "n3", "r4") == (0, b"", b"")
    assert b"(n3,r4)" in xs.deb("ls", "-p", "/")[1]
    assert xs.deb("chmod", "-r", "/a", "b7") == (0, b"", b"")
    assert xs.deb("ls", "-f", "-p", "/a")[1].count(b"(b7)") == 2
    assert xs.deb("rm", "/a") == (0, b"", b"")
    assert xs.deb("rm", "/no/where")[0] == 1
    assert xs.deb("write", "/bad//path", "1")[0] == 1
    assert xs.deb("ls", "/a")[0] == 1


def test_debian_watch(xs):
    p = subprocess.Popen(["/usr/bin/xenstore-watch", "-n", "3", "/w"], env=xs.env, stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"/w\n"
    xs.deb("write", "/w/x", "1")
    assert p.stdout.readline() == b"/w/x\n"
    xs.our("rm", "/w")
    assert p.stdout.readline() == b"/w\n"
    assert p.wait(10) == 0


SAME = [
    ["ls"], ["ls", "/w"], ["ls", "-p", "/w"], ["ls", "-f", "/w"], ["ls", "-f", "-p", "/w"], ["ls", "-p"],
    ["ls", "/nope"], ["ls", "/w/d", "/w/d/e"], ["ls", "-h"], ["read", "/nope"], ["read", "/w/k", "/nope"],
    ["read", "-p", "/w/k", "/w/kk"], ["read"], ["write", "/x"], ["write", "/a", "1", "/b"], ["write", "-h"],
    ["list", "/w", "/bytes"], ["list", "-p", "/w"], ["list", "/nope"], ["list"], ["exists", "/w"], ["exists", "/q"],
    ["exists", "/w", "/q"], ["exists"], ["rm"], ["rm", "/q/q"], ["rm", "/"], ["rm", "/zz"], ["chmod"],
    ["chmod", "/w"], ["chmod", "/w", "q1"], ["chmod", "/nope", "r1"], ["chmod", "/w", "r5", "b6", "w7", "n8"],
    ["chmod", "-r", "/w/d/e", "r5"], ["chmod", "-u", "/w/d/e/f", "r5"], ["watch"], ["watch", "-n", "2", "/a", "/b"],
    ["write", "-R", "/x/r", "a\\n"], ["read", "-R", "/x/r"], ["ls", "-p", "/w/d"],
]


def test_same_output(xs):
    """Our clients print what Debian's print."""
    fill(xs)
    for args in SAME:
        assert xs.our(*args) == xs.deb(*args), args
    every = ["/bytes/b%d" % b for b in range(1, 256)]
    assert xs.our("read", *every) == xs.deb("read", *every)
    assert xs.our("read", "-R", *every) == xs.deb("read", "-R", *every)


@pytest.mark.parametrize("text", ["a\\x41\\n\\\\b", "\\x4", "\\1", "\\12", "\\123", "\\1234", "\\8", "\\q", "\\x", "\\xg",
                                  "\\r\\t\\\"", "\\0", "\\400", "\\777", "\\X41", "plain"])
def test_same_escapes(xs, text):
    c = xs.client()
    assert xs.deb("write", "/e", text)[0] == 0
    theirs = c.read(b"/e")
    assert xs.our("write", "/e", text)[0] == 0
    assert c.read(b"/e") == theirs


def test_rm_tidy(xs):
    c = xs.client()
    for where in (xs.deb, xs.our):
        c.write(b"/t/a/b/c", b"1")
        assert where("rm", "-t", "/t/a/b/c")[0] == 0
        assert where("exists", "/t")[0] == 1
        c.write(b"/t/a/b/c", b"1")
        c.write(b"/t/a", b"kept")
        assert where("rm", "-t", "/t/a/b/c")[0] == 0
        assert where("read", "/t/a") == (0, b"kept\n", b"")
        where("rm", "/t")


MODES = {"read": ["/tool"], "write": ["/x", "1"], "list": ["/"], "exists": ["/tool"], "rm": ["/x/y"],
         "chmod": ["/tool", "n0"], "ls": ["/tool"], "watch": ["-n", "1", "/tool"]}
OPTIONS = ["-h", "-f", "-s", "-p", "-t", "-u", "-r", "-n", "-R", "-z", "--help", "--flat", "--prefix", "--tidy", "--upto",
           "--recurse", "--raw", "--number=1", "--number", "--nonsense", "--pre", "-n1", "-pR", "-sp", "--"]


@pytest.mark.parametrize("mode", MODES)
def test_same_options(xs, mode):
    """Every option with every mode: the same output, messages and exit status."""
    for option in OPTIONS:
        for args in [option, *MODES[mode]], [*MODES[mode], option]:
            if args[:2] == ["--", "-n"]:
                continue  # then these are (relative) paths, and it waits for ever
            ours = xs.run(FAST, mode, *args)
            if mode in ("write", "rm"):
                xs.run(FAST, "rm", "/x")
            assert ours == xs.deb(mode, *args), args


def test_same_without_arguments(xs):
    env = dict(xs.env)
    for args in [], ["nope"], ["-h"], ["read"], ["read", "-h"], ["read", "/tool"]:
        ours, theirs = (subprocess.run([d + "/xenstore", *args], env=env, capture_output=True)
                        for d in (OUT, "/usr/bin"))
        assert (ours.returncode, ours.stdout, ours.stderr.replace(OUT.encode() + b"/", b"")) == (
            theirs.returncode, theirs.stdout, theirs.stderr.replace(b"/usr/bin/", b"")), args


def test_our_control(xs):
    """Exit codes and messages of Xen's xenstore-control, which Debian has in another package."""
    assert xs.our("control", "check") == (0, b"OK\n", b"")
    assert xs.our("control", "quota")[1].startswith(b"Quota settings:\nnodes            :     1000 Nodes per domain\n")
    assert xs.our("control", "quota", "set", "nodes", "900") == (0, b"OK\n", b"")
    assert b"\nnodes            :      900 " in xs.our("control", "quota")[1]
    code, out, err = xs.our("control", "nope")
    assert (code, out) == (3, b"") and err.startswith(b"Command not supported. Valid commands are:\ncheck ")
    assert xs.our("control", "quota", "9") == (3, b"", b"Error 2 when trying to execute command.\n")
    assert xs.our("control") == (2, b"", b"Usage:\nxenstore-control <command> [<arg>...]\n")
    assert xs.our("control", "--help")[0] == 0
    assert xs.our("control", "live-update") == (2, b"", b"Missing binary specification\n")
    assert xs.our("control", "live-update", "-t") == (2, b"", b"Missing timeout value\n")
    assert xs.our("control", "check", env={"XENSTORED_PATH": "/nonexistent"}) == (
        1, b"", b"Failed to contact Xenstored.\n")
    # Debian's wrapper finds no Xen running here; the program itself says the same as ours where it is installed
    theirs = sorted(glob.glob("/usr/lib/xen-*/bin/xenstore-control"))
    for args in (["check"], ["nope"], [], ["quota", "9"], ["print", "x"]) if theirs else ():
        p = subprocess.run([theirs[-1], *args], env=xs.env, capture_output=True)
        assert xs.our("control", *args)[:2] == (p.returncode, p.stdout), args


@pytest.mark.skipif(not os.path.exists(DEBIAN_CONTROL), reason="Debian's xen-utils cannot be downloaded")
@pytest.mark.parametrize("args", [
    ("check",), ("check", "extra"), ("log", "on"), ("log", "off"), ("log",), ("logfile", "{dir}/log"), ("memreport",),
    ("print", "hello"), ("print",), ("quota",), ("quota", "set", "nodes", "900"), ("quota", "set", "nope", "1"), ("quota", "3"),
    ("quota", "max"), ("quota", "max", "-r"), ("quota-set", "3", "nodes", "5"), ("help",), ("nope",), ("-x",), (),
    ("live-update", "{dir}/new"), ("live-update", "-F", "-t", "5", "{dir}/new"), ("live-update", "-c", "--trace", "{dir}/new"),
    ("live-update", "/nonexistent"), ("live-update",),
], ids=" ".join)
def test_same_control(xs, args):
    """Debian's xenstore-control, which its package of clients does not have, says and does the same."""
    shutil.copy(OUT + "/xenstored", xs.dir / "new")
    args = [a.format(dir=xs.dir) for a in args]
    assert xs.run(os.path.dirname(DEBIAN_CONTROL), "control", *args) == xs.our("control", *args)


def exported(lib):
    out = subprocess.run(["nm", "-D", "--defined-only", lib], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in out.splitlines()}


def test_same_symbols():
    """Ours has each function of Debian's library, under the same version, and no others."""
    theirs = subprocess.run(["gcc", "-print-file-name=libxenstore.so"], capture_output=True, text=True).stdout.strip()
    assert exported(LIB + "/libxenstore.so.4") == exported(theirs)


PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>
#include <xenstore.h>

#define CHECK(x) do { if (!(x)) { printf("line %d: %s (%m)\n", __LINE__, #x); exit(1); } } while (0)

static void *waiter(void *p)
{
	unsigned int num;
	char **v;

	do {
		v = xs_read_watch(p, &num);
		CHECK(v && num >= 2 && !strcmp(v[XS_WATCH_TOKEN], "thread"));
		num = !strcmp(v[XS_WATCH_PATH], "/th/end");
		free(v);
	} while (!num);
	return NULL;
}

int main(void)
{
	struct xs_permissions p[2] = { { 3, XS_PERM_NONE }, { 4, XS_PERM_READ | XS_PERM_WRITE } }, *q;
	struct xs_handle *h = xs_open(0);
	struct pollfd pfd;
	unsigned int n;
	char **v, *s, path[32];
	pthread_t th;
	xs_transaction_t t;

	CHECK(h);
	CHECK(xs_write(h, XBT_NULL, "/l/a", "one", 3));
	s = xs_read(h, XBT_NULL, "/l/a", &n);
	CHECK(s && n == 3 && !strcmp(s, "one"));
	free(s);
	CHECK(!xs_read(h, XBT_NULL, "/l/nope", &n) && errno == ENOENT);
	CHECK(xs_mkdir(h, XBT_NULL, "/l/dir") && !errno);
	v = xs_directory(h, XBT_NULL, "/l", &n);
	CHECK(v && n == 2 && !strcmp(v[0], "a") && !strcmp(v[1], "dir"));
	free(v);
	v = xs_directory(h, XBT_NULL, "/l/dir", &n);
	CHECK(v && n == 0);
	free(v);
	CHECK(xs_set_permissions(h, XBT_NULL, "/l", p, 2));
	q = xs_get_permissions(h, XBT_NULL, "/l", &n);
	CHECK(q && n == 2 && q[0].id == 3 && q[0].perms == 0 && q[1].id == 4 && q[1].perms == 3);
	free(q);
	for (int i = 0; i < 1500; i++) {
		snprintf(path, sizeof(path), "/many/%05d", i);
		CHECK(xs_write(h, XBT_NULL, path, "", 0));
	}
	v = xs_directory(h, XBT_NULL, "/many", &n);
	CHECK(v && n == 1500 && !strcmp(v[1499], "01499"));
	free(v);

	t = xs_transaction_start(h);
	CHECK(t);
	CHECK(xs_write(h, t, "/l/t", "1", 1));
	CHECK(!xs_read(h, XBT_NULL, "/l/t", NULL));
	CHECK(xs_transaction_end(h, t, false));
	t = xs_transaction_start(h);
	s = xs_read(h, t, "/l/t", NULL);
	free(s);
	CHECK(xs_write(h, t, "/l/u", "1", 1));
	CHECK(xs_write(h, XBT_NULL, "/l/t", "2", 1));
	CHECK(!xs_transaction_end(h, t, false) && errno == EAGAIN);
	t = xs_transaction_start(h);
	CHECK(xs_transaction_end(h, t, true));

	/* events that arrive while we wait for a reply are not lost, and make the fd ready */
	CHECK(xs_watch(h, "/l/w", "tok"));
	CHECK(!xs_watch(h, "/l/w", "tok") && errno == EEXIST);
	CHECK(xs_write(h, XBT_NULL, "/l/w/x", "1", 1));
	CHECK(xs_write(h, XBT_NULL, "/l/other", "1", 1));
	pfd = (struct pollfd){ .fd = xs_fileno(h), .events = POLLIN };
	CHECK(poll(&pfd, 1, 5000) == 1);
	v = xs_read_watch(h, &n);
	CHECK(v && !strcmp(v[XS_WATCH_PATH], "/l/w") && !strcmp(v[XS_WATCH_TOKEN], "tok"));
	free(v);
	CHECK(poll(&pfd, 1, 5000) == 1);
	v = xs_check_watch(h);
	CHECK(v && !strcmp(v[XS_WATCH_PATH], "/l/w/x"));
	free(v);
	CHECK(poll(&pfd, 1, 50) == 0);
	CHECK(!xs_check_watch(h) && errno == EAGAIN);
	CHECK(xs_unwatch(h, "/l/w", "tok"));
	CHECK(!xs_unwatch(h, "/l/w", "tok") && errno == ENOENT);

	/* one thread waits for events while another asks */
	CHECK(xs_watch(h, "/th", "thread"));
	CHECK(!pthread_create(&th, NULL, waiter, h));
	for (int i = 0; i < 500; i++) {
		CHECK(xs_write(h, XBT_NULL, "/th/x", "1", 1));
		s = xs_read(h, XBT_NULL, "/th/x", NULL);
		CHECK(s);
		free(s);
	}
	CHECK(xs_write(h, XBT_NULL, "/th/end", "1", 1));
	CHECK(!pthread_join(th, NULL));

	s = xs_get_domain_path(h, 7);
	CHECK(s && !strcmp(s, "/local/domain/7"));
	free(s);
	CHECK(!xs_is_domain_introduced(h, 7));
	CHECK(!xs_introduce_domain(h, 0, 1, 1) && errno == EINVAL);
	CHECK(!xs_release_domain(h, 7) && errno == ENOENT);
	CHECK(!xs_resume_domain(h, 7) && errno == ENOENT);
	CHECK(!xs_set_target(h, 7, 8) && errno == ENOENT);
	CHECK(!xs_restrict(h, 7));
	s = xs_control_command(h, "check", NULL, 0);
	CHECK(s && !strcmp(s, "OK"));
	free(s);
	CHECK(xs_path_is_subpath("/a", "/a/b") && !xs_path_is_subpath("/a", "/ab"));
	CHECK(xs_strings_to_perms(p, 2, "r5\0b6") && p[0].id == 5 && p[1].perms == 3);
	CHECK(!xs_strings_to_perms(p, 1, "q5"));
	CHECK(xs_rm(h, XBT_NULL, "/l"));
	CHECK(!xs_rm(h, XBT_NULL, "/l/a/b") && errno == ENOENT);
	CHECK(xs_suspend_evtchn_port(9) == -1);
	xs_close(h);
	xs_close(NULL);
	puts("all good");
	return 0;
}
"""


def build(tmp_path, *args):
    (tmp_path / "p.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-o", tmp_path / "p", tmp_path / "p.c", "-pthread", *args], check=True)
    return str(tmp_path / "p")


def go(prog, xs, **env):
    p = subprocess.run([prog], env=dict(xs.env, **env), capture_output=True, text=True, timeout=30)
    assert (p.returncode, p.stdout) == (0, "all good\n"), p.stdout + p.stderr


def test_program_with_debians_library(xs, tmp_path):
    """Debian's header, Debian's library, our daemon; then the same binary on our library."""
    prog = build(tmp_path, "-lxenstore")
    go(prog, xs)
    go(prog, xs, LD_LIBRARY_PATH=LIB)


def test_program_with_our_header(xs, tmp_path):
    here = os.path.dirname(os.path.abspath(__file__))
    prog = build(tmp_path, "-I" + here + "/../../../dom0-tools/xenstore/include", "-I" + os.environ["XENINC"],
                 LIB + "/libxenstore.a", "-static")
    go(prog, xs)


def test_debian_clients_on_our_library(xs):
    env = {"LD_LIBRARY_PATH": LIB}
    fill(xs)
    assert xs.deb("ls", "-p", env=env) == xs.deb("ls", "-p")
    assert xs.deb("write", "/q", "1", env=env) == (0, b"", b"")
    assert xs.deb("watch", "-n", "1", "/q", env=env) == (0, b"/q\n", b"")


def test_library_says_when_the_daemon_goes(tmp_path, xs):
    p = subprocess.Popen([OUT + "/xenstore-watch", "/x"], env=xs.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.stdout.readline() == b"/x\n"
    before = time.monotonic()
    other = subprocess.run([FAST + "/xenstored", "--socket", str(tmp_path / "s2"), "--pid-file", str(tmp_path / "p2"),
                            "--no-domains"], timeout=10)
    assert other.returncode == 0
    q = subprocess.Popen([OUT + "/xenstore-watch", "/x"], env=dict(xs.env, XENSTORED_PATH=str(tmp_path / "s2")),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert q.stdout.readline() == b"/x\n"
    os.kill(int((tmp_path / "p2").read_text()), 9)
    assert q.wait(10) == 1
    assert b"xs_read_watch" in q.stderr.read()
    assert time.monotonic() - before < 10
    p.kill()
    p.wait()
