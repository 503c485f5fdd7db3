# SPDX-License-Identifier: BSD-2-Clause
"""Every hypercall that a guest may make is named in a test here."""
import glob
import os
import re
import subprocess

from conftest import HERE, TOP

CORE = os.path.join(TOP, "hypervisor", "core", "hypercalls.tbl")


def rows():
    """(hypercall, sub-operation, who may) of the table that makes the dispatch."""
    text = subprocess.run([os.path.join(TOP, "hypervisor", "scripts", "gen-hypercalls"), "--md", CORE],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    for line in text.splitlines():
        if not re.match(r"\| \d", line):
            continue
        _, call, op, who = [cell.strip() for cell in line.strip("|").split("|")[:4]]
        yield call, op, who


def test_every_hypercall_has_a_test():
    words = set()
    for path in glob.glob(os.path.join(HERE, "*.c")):
        with open(path, encoding="utf-8") as f:
            words |= set(re.findall(r"\w+", f.read()))
    table = list(rows())
    assert len(table) > 50 and {who for _, _, who in table} == {"any", "priv"}
    missing = [op or call for call, op, who in table if who == "any" and (op or call) not in words]
    assert not missing, f"no test names {', '.join(missing)}"


# The advisories about grants, events and common code that must have a test or a reason (Xen's numbers).
ADVISORIES = {26, 29, 31, 47, 100, 107, 122, 132, 158, 212, 218, 221, 224, 230, 236, 255, 316, 318, 327, 340, 342, 343, 344,
              358, 359, 364, 380, 382, 384, 394, 496, 500, 505}


def test_every_advisory_has_a_test():
    """docs/testing.md's tables name every test that is called after an advisory, and no other; each is run."""
    with open(os.path.join(TOP, "docs", "testing.md"), encoding="utf-8") as f:
        text = f.read()
    named = set(re.findall(r"`(xsa_\w+)`", text))
    defined, not_run = set(), []
    for where in ("unit/core", "unit/xenstore", "guests"):
        for path in glob.glob(os.path.join(TOP, "tests", where, "*.c")):
            with open(path, encoding="utf-8") as f:
                source = f.read()
            for name in re.findall(r"^static void (?:test_)?(xsa_\w+)\(", source, re.M):
                defined.add(name)
                if len(re.findall(rf"\b(?:test_)?{name}\b", source)) < 2:
                    not_run.append(name)
    assert len(defined) > 50
    assert named - defined == set(), "docs/testing.md names tests that are not there"
    assert defined - named == set(), "tests that docs/testing.md does not name"
    assert not not_run
    table = text[text.index("## Advisories"):]
    listed = {int(n) for cell in re.findall(r"^\| ([\d, ]+) \|", table, re.M) for n in cell.split(",")}
    assert ADVISORIES - listed == set(), "advisories without a row in docs/testing.md"
