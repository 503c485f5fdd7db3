# SPDX-License-Identifier: BSD-2-Clause
"""Linux moved between two machines that have one link and one disk, as docs/migration.md makes them. bench.py's part migrate.

Two machines have no virtual time in common: these are seconds of the clock on the wall, of two emulated harts and what is between them, and
only what is counted (rounds, MiB) is the same elsewhere. The way is nc, which does nothing to the bytes.
"""
import re

from storage import free_ports, shared_disk

ADDRESSES = "10.9.0.1", "10.9.0.2"
PORT = 7001


class Hosts:
    """make(name, **config): bench.py's Host. disk: a file that both machines have."""

    def __init__(self, make, disk):
        ports = free_ports()
        self.hosts = [make(f"moving{n}", False, shared=disk, link=ports[::step]) for n, step in enumerate((1, -1))]
        for host, address in zip(self.hosts, ADDRESSES):
            host.machine.run(f"killall udhcpc; ip addr flush dev xenbr0; ip addr add {address}/24 dev xenbr0")
        self.at = 0
        self.hosts[1].machine.run(f"until ping -c 1 -W 1 {ADDRESSES[0]} > /dev/null; do sleep 1; done", 60)

    def start(self, name, what):
        """osbench in a guest with that disk and an interface, on the first host."""
        m = self.hosts[0].machine
        self.hosts[0].linux(what, f"disk = [ '{shared_disk(m)},raw,xvda,w' ]\nvif = [ 'bridge=xenbr0' ]\n", name, "-q -w")
        m.run("sleep 3")
        self.at = 0

    def move(self, name, options):
        """To the other host: (MiB sent, rounds, seconds that it stood still for, MiB a second of the first round), and what xl has said."""
        here, there = (self.hosts[(self.at + n) % 2].machine for n in range(2))
        there.run(f"(nc -l -p {PORT} -e xl migrate-receive > /dev/null 2> /run/receive.log < /dev/null &)")
        status, said = here.shell.try_run(f"sleep 1; xl migrate {options} -s '' {name} 'nc {ADDRESSES[1 - self.at]} {PORT}' 2>&1", 600)
        found = re.search(r"([\d.]+) MiB sent in (\d+) rounds?, it stood still for ([\d.]+) s", said)
        rate = re.search(r"round 1: .* s, ([\d.]+) MiB/s", said)
        assert not status and found and rate, said + there.run("cat /run/receive.log")
        self.at = 1 - self.at
        return float(found.group(1)), int(found.group(2)), float(found.group(3)), float(rate.group(1)), said

    def end(self):
        for host in self.hosts:
            host.end()


def measure(make, disk, rounds):
    """Of each way: a list of moves; and the one of a guest that writes half as fast as the link carries."""
    hosts, moves = Hosts(make, disk), {}
    hosts.start("idle", "net-serve")
    for way in "-W", "-S":
        moves[way] = [hosts.move("idle", way)[:4] for _ in range(rounds * 2)]
    hosts.hosts[hosts.at].machine.run("xl destroy idle")
    rate = min(rate for way in moves.values() for _, _, _, rate in way)
    # Pages each 10 ms
    hosts.start("busy", f"dirty-{max(1, int(rate / 2 * 256 / 100))}")
    moves["busy"] = [hosts.move("busy", "-W")[:4]]
    hosts.end()
    return moves
