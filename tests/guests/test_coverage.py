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
