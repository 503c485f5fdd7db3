# SPDX-License-Identifier: BSD-2-Clause
"""What the tests here leave out: rows of hypercalls.tbl by their results, advisories by their names."""
import glob
import json
import os
import re
import subprocess

import pytest

from conftest import BUILD, TOP, Guest, called, sources

CORE = os.path.join(TOP, "hypervisor", "core", "hypercalls.tbl")
HEADERS = ("xen event_channel grant_table hvm/hvm_op hvm/params memory sched vcpu version physdev platform").split()
EFAULT = 14  # of the results' bits: tap.c

# A success that nobody can tell of.
NO_SUCCESS = {"SCHEDOP_shutdown": "it does not return",
              "XENMEM_increase_reservation": "0 is its only answer: none done"}
# Those that cannot fail: no argument, or none that is looked at.
NO_ERROR = {"XENMEM_maximum_ram_page", "SCHEDOP_yield", "SCHEDOP_block", "XENVER_version", "XENVER_pagesize",
            "XENMEM_increase_reservation", "VCPUOP_stop_singleshot_timer"}


def rows():
    """(hypercall's number, its name, sub-operation, kind, structure's direction, refusal, who may) of each row"""
    made = subprocess.run([os.path.join(TOP, "hypervisor", "scripts", "gen-hypercalls"), "--json", CORE], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    for call in json.loads(made):
        number, name, kind = call["nr"], call["name"], call["kind"]
        if kind == "fn":
            yield number, name, None, kind, "raw", None, call["access"]
        for op in call["ops"]:
            yield (number, name, op["name"], kind, op["dir"], op["handler"] if op["dir"] == "refused" else None,
                   op["access"])


def numbers(names):
    """What Xen's headers say that each is."""
    text = "".join(f"#include <xen/{h}.h>\n" for h in HEADERS) + "".join(f"\n=={n} {n}" for n in names)
    out = subprocess.run(["riscv64-linux-gnu-gcc", "-E", "-P", "-D__XEN_TOOLS__", "-I",
                          os.path.join(BUILD, "include"), "-"],
                         input=text, check=True, stdout=subprocess.PIPE, text=True).stdout
    values = [line.split()[-1] for line in out.splitlines() if line.startswith("==")]
    assert len(values) == len(names)
    return {name: int(value.strip("()"), 0) for name, value in zip(names, values)}


def missing(table):
    number = numbers([op for _, _, op, kind, *_ in table if op and kind != "ctl"])
    for nr, name, op, kind, direction, refusal, who in table:
        if kind == "ctl":
            continue  # of the control domain; misc.c sees that all are refused
        what = op or name
        # The first argument of one without operations is a number or an address.
        bits = called.get((nr, number[op]), 0) if op else \
            sum(b for (n, _), b in called.items() if n == nr)
        if who == "priv":
            if not bits & ~1:
                yield f"{what}: never refused"
            continue
        if refusal:
            if not bits or bits & 1:
                yield f"{what}: not seen to be refused ({bits:x})"
            continue
        if not bits & 1 and what not in NO_SUCCESS:
            yield f"{what}: never with success"
        if not bits & ~1 and what not in NO_ERROR:
            yield f"{what}: never with an error"
        if direction in ("in", "out", "inout") and not bits >> EFAULT & 1:
            yield f"{what}: never with a hostile pointer"


@pytest.mark.last
def test_every_hypercall_succeeds_and_fails(request):
    wanted = {guest.name for guest in map(Guest, sources()) if not guest.full}
    ran = {re.match(r"test_guest\[(\w+)-\d+\]", i.name).group(1)
           for i in request.session.items if i.name.startswith("test_guest[")}
    if wanted - ran:
        pytest.skip("only some of the guests ran: " + ", ".join(sorted(wanted - ran)) + " did not")
    table = list(rows())
    assert len(table) > 100
    found = list(missing(table))
    assert not found, "\n".join(found)


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
