# SPDX-License-Identifier: BSD-2-Clause
"""make bench runs and says something of each operation. No number is judged here: a shared machine's are no judge."""
import json
import os
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from conftest import BUILD, TOP

ROWS = ("floor: an unknown hypercall", "null hypercall", "evtchn_send to an own port", "grant map + unmap of a page",
        "grant map + unmap of 64 pages", "copying 4 KiB", "grant copy of 4 KiB", "event round trip", "switch between two vCPUs", "multicall of 64, each")


def run(parts):
    """The lines that make bench prints for the parts, and its results."""
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(["make", "-C", TOP, f"BUILD={BUILD}", "bench", f"PARTS=--smoke {parts}"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=900, check=False, env=env)
    print(done.stdout)
    assert done.returncode == 0
    with open(os.path.join(BUILD, "bench", "smoke-results.json"), encoding="utf-8") as f:
        return done.stdout.splitlines(), json.load(f)


def test_bench_runs():
    lines, results = run("size hypercalls")
    for row in ROWS:
        assert any(row in line for line in lines), f"no line about: {row}"
    assert results["size"]["lines"] > 0
    assert len(results["hypercalls"]) == len(ROWS) + 1 and min(results["hypercalls"].values()) > 0  # and the null SBI call


@pytest.mark.full
def test_bench_starts():
    lines, results = run("starts")
    for row in ("until its main() runs, the first", "until xl create is back, the first", "until its main() runs, the 4th over the first"):
        assert any(row in line for line in lines), f"no line about: {row}"
    # The guest says when its main() began, dom0 when xl create did: something lies between.
    assert results["starts"].pop("count") == 4
    assert all(len(pair) == 2 and min(pair) > 0 for pair in results["starts"].values())


@pytest.mark.full
def test_bench_save():
    lines, results = run("save")
    assert any("xl restore" in line for line in lines)
    # Its 8 MiB are zeros for the most part, and those that are not are in the file.
    assert results["save"]["bytes"] > 1 << 14 and min(results["save"].values()) > 0


@pytest.mark.full
def test_bench_nettrace():
    """Both ends of the stream are told apart, and both copy it."""
    lines, results = run("nettrace")
    assert any("the first MiB of a TCP stream to dom0" in line for line in lines)
    functions = results["nettrace"]["functions"]
    assert min(functions[f"{side}: linux: fallback_scalar_usercopy"] for side in ("guest", "dom0")) > 1 << 17, functions  # as many words


def test_bench_unknown_part():
    done = subprocess.run(["/usr/bin/python3", os.path.join(TOP, "tests", "bench", "bench.py"), "speed"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert done.returncode and "there is no part speed" in done.stdout


def test_bench_starts_no_number():
    """Before anything is measured."""
    for wrong in ("1", "many", "4001"):
        done = subprocess.run(["/usr/bin/python3", os.path.join(TOP, "tests", "bench", "bench.py"), "starts"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, check=False, env=dict(os.environ, STARTS=wrong))
        assert done.returncode and f"STARTS={wrong}: no number of guests, 2 to 4000" in done.stdout


def test_bench_without_kvm(tmp_path):
    """Who asks for KVM and has no host for it is told what makes one."""
    done = subprocess.run(["/usr/bin/python3", os.path.join(TOP, "tests", "bench", "bench.py"), "kvm"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False, env=dict(os.environ, BUILD=str(tmp_path)))
    assert done.returncode and "make bench PARTS=kvm" in done.stdout


def test_bench_plot(tmp_path):
    """The plot is XML, with a bar for each figure, as long as the figure says within its group."""
    sys.path.insert(0, os.path.join(TOP, "tests", "bench"))
    import plot  # pylint: disable=import-outside-toplevel
    rows = [("block", "read", "a <read>", "instructions", "Pavise", 500), ("block", "read", "a <read>", "instructions", "KVM", 2000),
            ("os", "fork", "fork", "instructions", "Pavise", 30)]
    path = tmp_path / "plot.svg"
    plot.bars(str(path), rows, "the machine & its date")
    tree = xml.etree.ElementTree.parse(path).getroot()
    name = "{http://www.w3.org/2000/svg}"
    lengths = {bar.find(name + "title").text: float(bar.get("width")) for bar in tree.iter(name + "rect") if bar.find(name + "title") is not None}
    assert sorted(lengths) == ["KVM: 2,000 instructions", "Pavise: 30.0 instructions", "Pavise: 500.0 instructions"]
    longest = lengths["KVM: 2,000 instructions"]
    assert longest > 0 and lengths["Pavise: 30.0 instructions"] == longest and lengths["Pavise: 500.0 instructions"] * 4 == longest
    said = [text.text for text in tree.iter(name + "text")]
    assert "a <read>" in said and "the machine & its date" in said
