# SPDX-License-Identifier: BSD-2-Clause
"""A booted machine as tests see it: its console, shells on it, and how it ended."""
import os
import re
import shlex
import time

import pexpect

import machine

LEAVE_CONSOLE = "\x1d"  # Ctrl-]


class CommandFailed(AssertionError):
    pass


class Shell:
    """A busybox shell at the other end of the machine's console."""

    def __init__(self, owner, name):
        self.owner, self.name, self.count = owner, name, 0
        self.prompt = f"{name}# "

    def attach(self, timeout):
        """From a prompt that is there or will come. After it nothing that we type is echoed."""
        self.owner.expect(re.escape(self.prompt), timeout)
        self.settle()

    def settle(self):
        self.owner.send("stty -echo; echo \"settled$((1 + 1))\"\n")
        self.owner.expect("settled2\r*\n", 30)

    def try_run(self, command, timeout=30):
        """Runs one line; (exit status, output)."""
        self.count += 1
        mark = f"{self.name}.{self.count}"
        # What is typed has $?, what is printed has a number: an echo cannot be taken for the end.
        self.owner.send(f'{command}; echo "<{mark}:$?>"\n')
        found = self.owner.expect(rf"<{re.escape(mark)}:(\d+)>\r*\n", timeout,
                                  f"'{command}' on {self.name}")
        output = self.owner.child.before.replace("\r", "")
        # A line in which the hypervisor had something to say was printed again after that.
        output = re.sub(r"(?m)^(.+)\n((?:\(pavise\) .*\n)+)\1", r"\2\1", output)
        # The prompt that the line was typed at
        output = re.sub(rf"(?m)^(?:{re.escape(self.prompt)})+", "", output)
        return int(found.group(1)), output

    def run(self, command, timeout=30):
        """Runs one line that must succeed; its output."""
        status, output = self.try_run(command, timeout)
        if status:
            raise CommandFailed(f"on {self.name}: {command}\nexit status {status}\n{output}")
        return output

    def fails(self, command, timeout=30):
        """Runs one line that must fail; its output."""
        status, output = self.try_run(command, timeout)
        if not status:
            raise CommandFailed(f"on {self.name}: {command}\nshould have failed\n{output}")
        return output

    def write_file(self, path, text):
        """In small pieces: a terminal's line takes 4095 bytes."""
        self.run(f": > {path}")
        for line in text.strip().splitlines():
            self.run(f"echo {shlex.quote(line)} >> {path}")

    def script(self, text, timeout=180):
        """A shell script that must succeed, however long; its output. No notices of jobs between it."""
        self.write_file("/tmp/script", text)
        return self.run("sh /tmp/script", timeout)


class Machine:
    """QEMU with a console. Everything it says is in the file log."""

    def __init__(self, config, log, boot_timeout=120):
        self.config, self.boot_timeout = config, boot_timeout
        self.logfile = open(log, "w", encoding="utf-8", errors="replace", newline="")
        argv = machine.command(config)
        self.logfile.write(" ".join(argv) + "\n")
        self.child = pexpect.spawn(argv[0], argv[1:], timeout=None, encoding="utf-8",
                                   codec_errors="replace", logfile=None, maxread=65536,
                                   env=dict(os.environ, TMPDIR=os.path.dirname(log)))
        self.child.logfile_read = self.logfile
        self.child.delaybeforesend = None
        self.status = None
        self.shell = None
        self.log = log

    # --- the console ---------------------------------------------------------------------------

    def send(self, text):
        self.child.send(text)

    def expect(self, pattern, timeout=30, what=None):
        """Waits until the console shows pattern; the match."""
        what = what or f"'{pattern}'"
        try:
            self.child.expect(pattern, timeout=timeout)
        except pexpect.TIMEOUT:
            raise AssertionError(f"{what}: nothing after {timeout} s. The last lines:\n" + self.hangs()) from None
        except pexpect.EOF:
            self.ended()
            raise AssertionError(f"{what}: the machine ended before, status {self.status}. "
                                 "The last lines:\n" + self.tail()) from None
        return self.child.match

    def tail(self, lines=15):
        return "".join(f"    {line}\n" for line in self.seen(0).splitlines()[-lines:])

    def seen(self, wait=0.2):
        """All that the console has shown so far, and what comes within wait seconds."""
        if wait:
            self.drain(wait)
        if not self.logfile.closed:
            self.logfile.flush()
        with open(self.log, encoding="utf-8", errors="replace", newline="") as f:
            return f.read().replace("\r", "")

    def hangs(self):
        """The last lines, and what the hypervisor's debug keys say of dom0, the scheduler, events and guests: for a machine that says no more."""
        last = self.tail()
        before = len(self.seen(0))
        for key in ("\x01\x01\x01", "0", "r", "e", "d", "v", "0", "\n"):
            if self.alive():
                self.send(key)
                self.drain(2)
        return last + "The debug keys 0, r, e, d, v and 0 then:\n" + "".join(f"    {line}\n" for line in self.seen(0)[before:].splitlines())

    def drain(self, seconds=0.2):
        """Takes what has arrived, so that the log is up to date."""
        if self.child.closed:
            return
        try:
            self.child.expect(pexpect.TIMEOUT, timeout=seconds)
        except pexpect.EOF:
            pass

    # --- start and end -------------------------------------------------------------------------

    def boot(self, name="dom0"):
        """Waits for the first shell."""
        self.shell = Shell(self, name)
        self.shell.attach(self.boot_timeout)
        return self

    def run(self, command, timeout=30):
        return self.shell.run(command, timeout)

    def fails(self, command, timeout=30):
        return self.shell.fails(command, timeout)

    def script(self, text, timeout=180):
        return self.shell.script(text, timeout)

    def alive(self):
        return self.child.isalive()

    def ended(self, timeout=60):
        """Waits for QEMU's end; its exit status."""
        try:
            self.child.expect(pexpect.EOF, timeout=timeout)
        except pexpect.TIMEOUT:
            raise AssertionError(f"the machine still runs after {timeout} s. The last lines:\n" + self.hangs()) from None
        # QEMU closes its console before it is gone; a hang-up now would change its exit status.
        end = time.monotonic() + 60
        while self.child.isalive() and time.monotonic() < end:
            time.sleep(0.02)
        self.child.close()
        self.status = self.child.exitstatus
        if self.status is None:
            self.status = -self.child.signalstatus
        return self.status

    def poweroff(self, timeout=90):
        self.send("poweroff\n")
        return self.ended(timeout)

    def kill(self):
        self.child.close(force=True)
        self.logfile.close()

    # --- guests --------------------------------------------------------------------------------

    def guest(self, name, timeout=60, prompt=None):
        """Goes to a guest's console, where a shell is or will be."""
        return GuestConsole(self, name, timeout, prompt or name)

    def leave_console(self):
        """From xl console back to dom0's shell. xl takes what is typed until it has gone."""
        self.send(LEAVE_CONSOLE)
        self.expect(re.escape(self.shell.prompt), 20)

    def wait_prompt(self, name, timeout=60):
        """Until a guest's shell is there."""
        with self.guest(name, timeout):
            pass

    def domains(self):
        """What xl list shows: name → (id, MiB, vCPUs, state)."""
        table = {}
        # The shell may tell of a job that ended.
        for line in re.findall(r"^\S+ +\d+ +\d+ +\d+ +[-a-z]{6} .*$", self.run("xl list"), re.M):
            name, domid, mem, vcpus, state, _ = line.split()
            table[name] = (int(domid), int(mem), int(vcpus), state)
        return table

    def info(self, key):
        return re.search(rf"^{key} *: (.*)$", self.run("xl info"), re.M).group(1)

    def free_pages(self):
        """Once it no longer moves: pages are given back and scrubbed in the background."""
        last = -1
        for _ in range(50):
            now = int(self.info("free_pages"))
            if now == last:
                return now
            last = now
            time.sleep(0.3)
        raise AssertionError("the number of free pages does not settle")

    def wait_restarted(self, name, old, timeout=90):
        """Until a guest that was domain old is another one, and runs: it has a console by then."""
        end = time.monotonic() + timeout
        while True:
            domid, _, _, state = self.domains().get(name, (old, 0, 0, ""))
            if domid != old and "p" not in state:
                return
            assert time.monotonic() < end, f"{name} has not restarted after {timeout} s"
            time.sleep(0.3)

    def wait_gone(self, name, timeout=30):
        end = time.monotonic() + timeout
        while name in self.domains():
            assert time.monotonic() < end, f"{name} is still there after {timeout} s"
            time.sleep(0.3)


class GuestConsole:
    """xl console NAME, from inside of a with statement; a shell of the guest."""

    def __init__(self, owner, name, timeout, prompt):
        self.owner, self.name, self.timeout = owner, name, timeout
        self.shell = Shell(owner, prompt)

    def __enter__(self):
        self.owner.send(f"xl console {self.name}\n")
        try:
            self.wait_for_prompt()
        except AssertionError:
            if self.owner.alive():
                self.owner.send(LEAVE_CONSOLE)
            raise
        return self.shell

    def wait_for_prompt(self):
        end = time.monotonic() + self.timeout
        while True:
            # A shell that is there already repeats its prompt.
            self.owner.send("\n")
            try:
                self.owner.child.expect(re.escape(self.shell.prompt), timeout=2)
                break
            except pexpect.TIMEOUT:
                assert time.monotonic() < end, (
                    f"no prompt from {self.name} after {self.timeout} s. The last lines:\n"
                    + self.owner.tail())
            except pexpect.EOF:
                self.owner.expect("never", 1)
        self.shell.settle()

    def __exit__(self, kind, error, trace):
        if not self.owner.alive():
            return
        try:
            self.owner.leave_console()
        except AssertionError:
            # What went wrong first is what is to be told.
            if not error:
                raise
