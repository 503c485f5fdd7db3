# SPDX-License-Identifier: BSD-2-Clause
"""docs/administration.md's tour, taken out of the document and done line by line on one kept disk, a reboot in its middle."""
import os
import re
import subprocess

import pytest

from conftest import BUILD, OUT, TOP

DOCUMENT = os.path.join(TOP, "docs", "administration.md")
TYPED = re.compile(r"(\$|dom0#|rock#|demo#) (.*)")


def steps(full):
    """(line number, prompt, what is typed, first words of the lines that must appear) for each line of the tour."""
    found, inside, left_out = [], False, False
    with open(DOCUMENT, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if line.startswith("<!-- tour: "):
                left_out = line == "<!-- tour: full -->" and not full
            elif line.startswith("```"):
                inside = line == "```console" and not left_out
            elif inside and (typed := TYPED.fullmatch(line)):
                found.append((number, typed[1], typed[2], []))
            elif inside:
                found[-1][3].append(line.split()[0])
    return found


def do(m, shell, number, typed, shown):
    output = shell.run(typed, 240)
    for word in shown:
        assert word in output.split(), f"{DOCUMENT}:{number}: '{word}' is not in what '{typed}' shows:\n{output}"


def tour(boot, full):
    disk = os.path.join(OUT, "tour.img")
    if os.path.exists(disk):
        os.unlink(disk)
    m = console = None
    for number, prompt, typed, shown in steps(full):
        if prompt == "$":
            # What that make does before it starts QEMU, with a disk of our own
            assert typed == "make run KEEP=1"
            subprocess.run(["make", "-s", "-C", TOP, "images-disk", f"IMAGES={disk}", f"BUILD={BUILD}"], check=True)
            m = boot(image=disk, kept=True).boot()
        elif typed.startswith("xl console "):
            console = m.guest(typed.split()[2], 180)
            guest = console.__enter__()
        elif typed == "Ctrl-]":
            console.__exit__(None, None, None)
        elif typed == "reboot":
            m.send("reboot\n")
            m.expect("OpenSBI v", 180)
            m.boot("rock")
        elif typed == "poweroff":
            assert m.poweroff() == 0
        else:
            do(m, guest if prompt == "demo#" else m.shell, number, typed, shown)
    assert not m.alive()
    os.unlink(disk)


def test_tour(boot):
    """All but the ten guests. That the document has a tour at all is looked at, too."""
    typed = [step[2] for step in steps(True)]
    assert "make run KEEP=1" in typed and "reboot" in typed and typed[-1] == "poweroff" and len(typed) > 30
    tour(boot, False)


def test_verbs():
    """The table for those who know others has each verb that an administrator types."""
    with open(os.path.join(TOP, "dom0-tools", "xl", "verbs.c"), encoding="utf-8") as f:
        verbs = set(re.findall(r'^\t\{ "([a-z0-9-]+)",', f.read(), re.M)) - {"init-dom0"}
    with open(DOCUMENT, encoding="utf-8") as f:
        here = [line.rstrip(" |").rsplit("|", 1)[1] for line in f.read().split("| to do |")[1].splitlines()[2:] if line.startswith("| ")]
    there = set()
    for words in re.findall(r"`xl ([a-z0-9-]+)[^`]*`((?:, `-[a-z]+`)*)", "\n".join(here)):
        there |= {words[0]} | {words[0].split("-")[0] + more for more in re.findall(r"`(-[a-z]+)`", words[1])}
    assert len(verbs) > 30 and verbs == there, verbs ^ there


@pytest.mark.full
def test_tour_of_ten(boot):
    tour(boot, True)
