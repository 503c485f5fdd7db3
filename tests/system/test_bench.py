# SPDX-License-Identifier: BSD-2-Clause
"""make bench runs and says something of each operation. No number is judged here: a shared machine's are no judge."""
import json
import os
import subprocess

from conftest import BUILD, TOP

ROWS = ("floor: an unknown hypercall", "null hypercall", "evtchn_send to an own port", "grant map + unmap of a page",
        "grant map + unmap of 64 pages", "copying 4 KiB", "grant copy of 4 KiB", "event round trip", "switch between two vCPUs", "multicall of 64, each")


def test_bench_runs():
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(["make", "-C", TOP, f"BUILD={BUILD}", "bench", "PARTS=--smoke size hypercalls"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=900, check=False, env=env)
    print(done.stdout)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    for row in ROWS:
        assert any(row in line for line in lines), f"no line about: {row}"
    with open(os.path.join(BUILD, "bench", "smoke-results.json"), encoding="utf-8") as f:
        results = json.load(f)
    assert results["size"]["lines"] > 0
    assert len(results["hypercalls"]) == len(ROWS) + 1 and min(results["hypercalls"].values()) > 0  # and the null SBI call


def test_bench_unknown_part():
    done = subprocess.run(["/usr/bin/python3", os.path.join(TOP, "tests", "bench", "bench.py"), "speed"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert done.returncode and "there is no part speed" in done.stdout
