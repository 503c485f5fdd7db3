# SPDX-License-Identifier: BSD-2-Clause
"""What a host does, seen with xl top, metrics, events and usage (tests/unit/tools/test_xl_seeing.sh has what needs no machine)."""
import json
import os
import re
import subprocess
import sys
import warnings

import pytest

from conftest import OUT

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../unit/tools")
sys.path.insert(0, TOOLS)
import seeing  # noqa: E402 pylint: disable=wrong-import-position


def table(text):
    """The rows of the last table, by name."""
    lines = text.splitlines()
    header = max(i for i, line in enumerate(lines) if " STATE " in line)
    keys = lines[header].split()
    return {row[0]: dict(zip(keys, row)) for row in (line.split() for line in lines[header + 1:])}


@pytest.mark.grows
def test_top(demo):
    """What a guest computes, reads and sends is in the table of the next second."""
    demo.wait_prompt("demo")
    before = table(demo.run("xl top -b -i 1"))["demo"]
    with demo.guest("demo") as guest:
        guest.run("dd if=/dev/xvda of=/dev/null bs=1M count=4 iflag=direct 2> /dev/null")
        guest.run("ping -c 1 -s 30000 169.254.1.1 > /dev/null 2>&1; (while true; do true; done &)")
    text = demo.run("xl top -b -i 2 -d 1 -n -x -v")
    assert text.count(" STATE ") == 2
    assert re.search(r"^VCPUs\(sec\):   0: +\d+\.\ds", text, re.M)
    assert re.search(r"^Net0 .* TX: +[1-9]\d+bytes +[1-9]\d*pkts", text, re.M)
    assert re.search(r"^VBD BlkBack 51712 \[ca: 0\] .* RD: +[1-9]\d* ", text, re.M)
    rows = table(demo.run("xl top -b -i 2 -d 1"))
    assert list(rows) == ["Domain-0", "demo"]
    guest = rows["demo"]
    assert re.fullmatch(r"--[b-]--[r-]", guest["STATE"])
    assert 0 < float(guest["CPU(%)"]) <= 110
    assert 128 * 1024 <= int(guest["MEM(k)"]) <= int(guest["MAXMEM(k)"])
    assert [guest[k] for k in ("VCPUS", "NETS", "VBDS")] == ["1", "1", "1"]
    assert int(guest["VBD_RSECT"]) >= int(before["VBD_RSECT"]) + 8192
    assert int(guest["VBD_RD"]) > int(before["VBD_RD"]) > 0
    assert rows["Domain-0"]["VCPUS"] == "2"


def test_top_on_the_console(demo):
    """On a serial line, which does not know its size; afterwards the shell has it back."""
    demo.send("xl top\n")
    demo.expect(r"\x1b\[\?1049h")
    demo.expect(r"NAME  STATE   CPU\(sec\)")
    demo.expect(r"  Domain-0 -----r")
    demo.send("q")
    demo.expect(r"\x1b\[\?1049l")
    demo.run("stty -a | grep -q ' icanon'")
    assert demo.run("echo back").strip() == "back"


def lint(text):
    """promtool has nothing to say about it."""
    found = subprocess.run(["sh", os.path.join(TOOLS, "promtool.sh"), os.path.join(OUT, "prometheus")], capture_output=True, text=True, check=False)
    if found.returncode:
        warnings.warn("Debian's package prometheus cannot be had: without promtool")
        return
    done = subprocess.run([found.stdout.strip(), "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stdout + done.stderr, done


def test_metrics(demo, tmp_path):
    demo.wait_prompt("demo")
    domid = demo.run("xl domid demo").strip()
    # In a subshell: of its own jobs' ends the shell would tell between what we read.
    demo.run("xl metrics --textfile /tmp/pavise.prom; (xl metrics --listen 9100 > /tmp/metrics.log 2>&1 & echo $! > /tmp/metrics.pid)")
    demo.run("until wget -q -O /tmp/metrics http://127.0.0.1:9100/metrics; do sleep 0.2; done", 60)
    demo.run("pid=$(cat /tmp/metrics.pid); kill $pid; while [ -e /proc/$pid ]; do sleep 0.1; done")
    for name in "/tmp/pavise.prom", "/tmp/metrics":
        text = demo.run(f"cat {name}", 60).replace("\r", "")
        lint(text)
        file = tmp_path / "metrics"
        file.write_text(text)
        seeing.metrics(file, "pavise_domains=2", "pavise_cpus=2", "pavise_xenstored_up=1", "pavise_heap_free_bytes",
                       f"pavise_domain_state{{domid={domid},name=demo,state=paused}}=0", "pavise_xenstored_domain_nodes{name=demo}",
                       "pavise_vcpu_seconds_total{name=demo,vcpu=0}", "pavise_vcpu_steal_seconds_total{domid=0,vcpu=1}",
                       "pavise_cpu_idle_seconds_total{cpu=1}", "pavise_vif_sent_bytes_total{name=demo,device=0}")
        read = [s.value for s in seeing.parse(text) if s.name == "pavise_vbd_read_bytes_total" and s.labels["name"] == "demo"]
        assert len(read) == 1 and read[0] > 65536
    assert demo.run("cat /tmp/metrics.log").strip() == ""
    demo.run("rm /tmp/metrics* /tmp/pavise.prom")


def test_events_and_usage(dom0):
    """A guest's life: told while it happens, and what it used afterwards."""
    dom0.run("(xl events --json > /tmp/events & echo $! > /tmp/events.pid); until test -e /var/log/xen/events.jsonl; do sleep 0.1; done; sleep 0.5")
    dom0.run("xl create -q /etc/xen/demo.cfg", 60)
    first = dom0.domains()["demo"][0]
    dom0.wait_prompt("demo")
    with dom0.guest("demo") as guest:
        guest.run("dd if=/dev/xvda of=/dev/null bs=1M count=8 iflag=direct 2> /dev/null")
    # The supervisor looks every five seconds.
    dom0.run("sleep 6; xl reboot demo", 60)
    dom0.wait_restarted("demo", first)
    dom0.wait_prompt("demo")
    dom0.run("xl shutdown -w demo", 60)
    dom0.run("until tail -n 1 /tmp/events | grep -q destroyed; do sleep 0.2; done; kill $(cat /tmp/events.pid)", 60)
    events = [json.loads(line) for line in dom0.run("cat /tmp/events").splitlines()]
    check = seeing.validator("event")
    for e in events:
        check.validate(e)
    told = [(e["event"], e["domid"]) for e in events if e["name"] == "demo"]
    second = told[-1][1]
    assert told == [("created", first), ("started", first), ("rebooted", first), ("destroyed", first),
                    ("created", second), ("started", second), ("shutdown", second), ("destroyed", second)]
    assert dom0.run("xl events --json -n 3").splitlines() == dom0.run("tail -n 3 /tmp/events").splitlines()
    assert "rebooted        demo" in dom0.run("grep 'daemon.info xl' /var/log/xen/dom0.log")
    lives = [u for u in json.loads(dom0.run("xl usage --json demo")) if u["domid"] in (first, second)]
    seeing.validator("usage").validate(lives)
    assert [(u["domid"], u["reason"]) for u in lives] == [(first, "reboot"), (second, "poweroff")]
    created = json.loads(dom0.run(f"grep '\"created\", \"domid\": {first},' /tmp/events"))
    assert lives[0]["uuid"] == created["uuid"]
    for u in lives:
        seconds = (seeing.when(u["ended"]) - seeing.when(u["created"])).total_seconds()
        # It does not balloon: its memory times its life.
        assert 0.98 < u["memory_byte_seconds"] / ((128 << 20) * seconds) < 1.1, (u, seconds)
        assert 0 < u["cpu_seconds"] < seconds
    assert lives[0]["disk_read_bytes"] >= 8 << 20 and lives[0]["disk_reads"] > 8
    dom0.run("rm /tmp/events*")
