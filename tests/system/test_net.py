# SPDX-License-Identifier: BSD-2-Clause
"""Guests' network: content checked every way it can take, offloads in use, interfaces that come and go.

What a listener hears or says is checked by its SHA-256: "nc -e sha256sum" answers what it got,
"nc -e cat" sends a file.
"""
import hashlib
import random
import re
import socket
import time

import pytest

MTU = 1500
DOM0 = "10.0.2.15"  # QEMU's first lease

# No root disk: the initramfs brings eth0 up with DHCP. Its shell's prompt is "guest# ".
CONFIG = """
name = "{name}"
kernel = "/images/boot/Image"
ramdisk = "/images/test/initrd.gz"
extra = "console=hvc0"
memory = 128
disk = [ "/images/test/data1.img,raw,xvda,r" ]
vif = [ {vif} ]
"""

# Until both listen: ports and states are in hex.
SERVE = "(nc -ll -p 5000 -e sha256sum & nc -ll -p 5001 -e cat /dev/xvda &) > /dev/null 2>&1; " \
        "until [ $(cat /proc/net/tcp* | grep -c ':138[89] .* 0A ') = 2 ]; do sleep 0.1; done"


def create(m, name, *vifs, options=""):
    m.shell.write_file(f"/tmp/{name}.cfg", CONFIG.format(name=name, vif=", ".join(f'"{v}"' for v in vifs)))
    m.run(f"xl create -q /tmp/{name}.cfg {options}", 90)


def address(shell, interface="eth0", net="10.0.2."):
    """The one it has of this net, or will have: on a slow machine another one may come first."""
    out = shell.run(f"for i in $(seq 200); do ip -o addr show {interface} | grep ' inet {net}' && break; sleep 0.2; done", 90)
    return re.search(r" inet ([0-9.]+)/", out).group(1)


def counters(m, vif):
    """What a guest has sent and received through an interface of dom0: (packets, bytes) each."""
    names = [f"/sys/class/net/{vif}/statistics/{way}_{what}" for way in ("rx", "tx") for what in ("packets", "bytes")]
    numbers = [int(n) for n in m.run("cat " + " ".join(names)).split()]
    return numbers[:2], numbers[2:]


def vif_of(m, name):
    return f"vif{m.run(f'xl domid {name}').strip()}.0"


class Stream:
    """Measures what passes an interface meanwhile: a stream in segments larger than the MTU, or not."""

    def __init__(self, m, vif):
        self.m, self.vif = m, vif

    def __enter__(self):
        self.before = counters(self.m, self.vif)
        return self

    def __exit__(self, *exc):
        if exc[0] is None:
            after = counters(self.m, self.vif)
            self.sent, self.received = ([a - b for a, b in zip(x, y)] for x, y in zip(after, self.before))


def large(way):
    packets, octets = way
    assert octets > 4 << 20, way
    assert octets / packets > 2 * MTU, f"{octets / packets:.0f} bytes a packet: no segmentation offload"


def test_demo(demo):
    """What make run shows: demo has an address, dom0 and demo reach each other, xl shows the interface."""
    with demo.guest("demo") as guest:
        mine = address(guest)
        guest.run(f"ping -c 2 -W 5 {DOM0}")
        guest.run("ping -c 1 -W 5 10.0.2.2")
        assert "00:16:3e:00:00:01" in guest.run("ip link show eth0")
        guest.run(SERVE)
    demo.run(f"ping -c 2 -W 5 {mine}")
    header, line = demo.run("xl network-list demo").splitlines()
    assert header == "Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path"
    domid = demo.domains()["demo"][0]
    assert re.fullmatch(r"0   0  00:16:3e:00:00:01      0     4 +\d+ +\d+/\d+ +"
                        rf"/local/domain/0/backend/vif/{domid}/0 *", line)
    # As README says it: one line each way
    text = "a line over the network"
    assert demo.run(f"echo {text} | nc {mine} 5000").split()[0] == hashlib.sha256((text + "\n").encode()).hexdigest()


@pytest.mark.grows
def test_content(dom0, disk):
    """Two guests and dom0, each to each, both ways; segments larger than the MTU all the way."""
    create(dom0, "one", "mac=00:16:3e:00:00:02")
    create(dom0, "two", "mac=00:16:3e:00:00:03")
    sha = disk.sha256["data1"]
    addresses = {}
    for name in ("one", "two"):
        with dom0.guest(name, prompt="guest") as guest:
            addresses[name] = address(guest)
            guest.run(SERVE)
    one, two = addresses["one"], addresses["two"]
    dom0.run(f"ping -c 1 -W 5 {one} && ping -c 1 -W 5 {two}")

    with Stream(dom0, vif_of(dom0, "one")) as stream:
        assert dom0.run(f"nc {one} 5001 < /dev/null | sha256sum", 60).split()[0] == sha
    large(stream.sent)
    assert dom0.run(f"nc {two} 5000 < /images/test/data1.img", 60).split()[0] == sha

    dom0.run("(nc -l -p 5002 -e cat /images/test/data1.img &) > /dev/null 2>&1")
    with Stream(dom0, vif_of(dom0, "two")) as stream:
        with dom0.guest("two", prompt="guest") as guest:
            assert guest.run(f"nc {DOM0} 5002 < /dev/null | sha256sum", 60).split()[0] == sha
    large(stream.received)

    # Between guests: netback copies from one's granted pages to the other's
    streams = [Stream(dom0, vif_of(dom0, name)) for name in ("one", "two")]
    with streams[0], streams[1], dom0.guest("two", prompt="guest") as guest:
        guest.run(f"ping -c 2 -W 5 {one}")
        assert guest.run(f"nc {one} 5001 < /dev/null | sha256sum", 60).split()[0] == sha
    large(streams[0].sent)
    large(streams[1].received)
    with dom0.guest("two", prompt="guest") as guest:
        assert guest.run(f"nc {one} 5000 < /dev/xvda", 60).split()[0] == sha

    # One disappears in the middle of a stream: the other lives on, and nothing is left (the fixture looks)
    with dom0.guest("two", prompt="guest") as guest:
        guest.run(f"((cat /dev/xvda /dev/xvda /dev/xvda /dev/xvda | nc {one} 5000; nc {one} 5001 < /dev/null) > /dev/null 2>&1 &)")
    before = counters(dom0, vif_of(dom0, "two"))[0][1]
    dom0.run("sleep 0.3; xl destroy one")
    assert counters(dom0, vif_of(dom0, "two"))[0][1] > before
    with dom0.guest("two", prompt="guest") as guest:
        guest.run(f"ping -c 1 -W 5 {DOM0}")
    dom0.run("xl destroy two")


@pytest.mark.grows
def test_pieces(dom0):
    """Odd sizes at odd places, from memory and from files, over TCP and UDP: the first packets of a guest are mapped by dom0, most others
    copied when they are for dom0 itself, and mapped when they are for another guest."""
    pieces = "'disk=[\"/images/test/pieces,raw,xvda,r\"]'"
    addresses = {}
    for i, name in (2, "one"), (3, "two"):
        create(dom0, name, f"mac=00:16:3e:00:00:0{i}", options=pieces)
        with dom0.guest(name, prompt="guest") as guest:
            addresses[name] = address(guest)
            guest.run("cat /dev/xvda > /tmp/pieces; chmod +x /tmp/pieces; (/tmp/pieces serve 5003 > /tmp/serve 2>&1 &); "
                      "until grep -q listening /tmp/serve; do sleep 0.1; done")
    dom0.run("(/images/test/pieces serve 5003 > /tmp/serve 2>&1 &); until grep -q listening /tmp/serve; do sleep 0.1; done")
    try:
        for name, others in ("one", [DOM0]), ("two", [addresses["one"], DOM0]):
            with dom0.guest(name, prompt="guest") as guest:
                for other in others:
                    assert guest.run(f"/tmp/pieces {other} 5003", 120).strip() == "all came back", (name, other)
        assert dom0.run(f"/images/test/pieces {addresses['two']} 5003", 120).strip() == "all came back"
    finally:
        dom0.run("killall pieces; rm /tmp/serve; xl destroy one; xl destroy two")


def test_outside(boot, disk, free_port, fetch):
    """Through dom0's e1000e to QEMU's host and back: large segments leave in one piece, checksums are right."""
    web, raw = free_port(), free_port()
    guest_address = "10.0.2.16"  # the second lease
    m = boot(hostfwd=[(web, guest_address + ":80"), (raw, guest_address + ":5000")],
             dom0_cmdline="pavise.noauto").boot()
    assert address(m.shell, "xenbr0") == DOM0
    create(m, "out", "mac=00:16:3e:00:00:04")
    with m.guest("out", prompt="guest") as guest:
        assert address(guest) == guest_address
        guest.run("ping -c 1 -W 5 10.0.2.2")
        guest.run(f"mkdir /tmp/www && cat /dev/xvda > /tmp/www/data && httpd -p 80 -h /tmp/www; {SERVE}")
    with Stream(m, vif_of(m, "out")) as stream:
        assert fetch(web, "data") == disk.sha256["data1"]
    large(stream.sent)
    data = random.Random(3).randbytes(disk.DATA_MIB << 20)
    with socket.create_connection(("127.0.0.1", raw), timeout=60) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        answer = b""
        while b"\n" not in answer:
            more = s.recv(100)
            assert more, answer
            answer += more
    assert answer.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert m.poweroff() == 0


def macs(shell):
    return re.findall(r"link/ether (\S+)", shell.run("ip link"))


@pytest.mark.grows
def test_several(dom0):
    """Three interfaces on two bridges, with names and addresses given or not; all the same after a reboot."""
    dom0.run("ip link add testbr0 type bridge && ip link set testbr0 up")
    try:
        create(dom0, "many", "mac=00:16:3e:00:00:05", "bridge=testbr0,vifname=named", "bridge=testbr0")
        with dom0.guest("many", prompt="guest") as guest:
            first = macs(guest)
            assert len(first) == 3 and first[0] == "00:16:3e:00:00:05"
            assert all(re.match("00:16:3e:[0-7]", mac) for mac in first) and len(set(first)) == 3
            guest.run("ip addr add 192.168.77.2/24 dev eth1; ip link set eth1 up; ip link set eth2 up")
        lines = dom0.run("xl network-list many").splitlines()[1:]
        assert [line.split()[2] for line in lines] == first
        domid = dom0.domains()["many"][0]
        assert dom0.run("ls /sys/class/net/testbr0/brif").split() == ["named", f"vif{domid}.2"]
        assert dom0.run("ls /sys/class/net/xenbr0/brif").split() == ["eth0", f"vif{domid}.0"]
        # The interface with a name carries it
        dom0.run("ip addr add 192.168.77.1/24 dev testbr0; ping -c 1 -W 5 192.168.77.2")
        assert counters(dom0, "named")[0][0] > 0

        with dom0.guest("many", prompt="guest") as guest:
            guest.run("((sleep 0.5; reboot -f) > /dev/null 2>&1 &)")
        dom0.wait_restarted("many", domid)
        with dom0.guest("many", prompt="guest") as guest:
            assert macs(guest) == first
        assert "named" in dom0.run("ls /sys/class/net/testbr0/brif")
        dom0.run("xl destroy many")
    finally:
        dom0.shell.try_run("xl destroy many 2>/dev/null; ip link del testbr0")


def test_attach_and_detach(demo):
    """An interface more for a running guest, with a limit on what it sends; and away again."""
    demo.wait_prompt("demo")
    demo.run("xl network-attach demo mac=00:16:3e:00:00:06 vifname=extra rate=250KB/s")
    demo.run("ip addr add 192.168.78.1/24 dev xenbr0")
    try:
        with demo.guest("demo") as guest:
            guest.run("for i in $(seq 50); do [ -e /sys/class/net/eth1 ] && break; sleep 0.1; done;"
                      "ip addr add 192.168.78.2/24 dev eth1; ip link set eth1 up")
            guest.run("ping -c 1 -W 5 192.168.78.1")
            guest.run("(nc -ll -p 5003 -e head -c 1000000 /dev/xvda &) > /dev/null 2>&1; "
                      "until grep -q ':138B .* 0A ' /proc/net/tcp*; do sleep 0.1; done")
        start = time.monotonic()
        assert demo.run("nc 192.168.78.2 5003 < /dev/null | wc -c", 60).split() == ["1000000"]
        # At full speed it takes a fraction of a second.
        assert time.monotonic() - start > 2
        assert re.search(r"^1 +0 +00:16:3e:00:00:06 ", demo.run("xl network-list demo"), re.M)
        assert "mac 'x'" in demo.fails("xl network-attach demo mac=x")
        assert "nobridge does not exist" in demo.fails("xl network-attach demo bridge=nobridge")
        demo.run("xl network-detach demo 1")
        assert "extra" not in demo.run("ls /sys/class/net")
        with demo.guest("demo") as guest:
            assert macs(guest) == ["00:16:3e:00:00:01"]
        assert len(demo.run("xl network-list demo").splitlines()) == 2
    finally:
        demo.run("ip addr del 192.168.78.1/24 dev xenbr0")


def sent_in(m, vif, seconds):
    """Bytes that came through an interface, and dom0's time around the reading of them."""
    numbers = m.run(f"c=/sys/class/net/{vif}/statistics/rx_bytes; cut -d' ' -f1 /proc/uptime; cat $c; sleep {seconds}; cat $c; "
                    "cut -d' ' -f1 /proc/uptime", 60 + 10 * seconds).split()
    return int(numbers[2]) - int(numbers[1]), float(numbers[3]) - float(numbers[0])


def within(m, vif, rate):
    """However slow or fast the machine is: not more than the limit and a burst of each queue's; and something at all."""
    octets, elapsed = sent_in(m, vif, 4)
    queues = int(m.run(f"ls /sys/class/net/{vif}/queues | grep -c tx"))
    assert 0 < octets <= rate * elapsed + queues * (131072 + 65536), (octets, elapsed, queues)


def spoofed(m):
    """Packets that dom0 has dropped for their source."""
    lines = [line.split() for line in m.run("grep TcpExt: /proc/net/netstat").splitlines()]
    return int(dict(zip(*lines))["IPReversePathFilter"])


def switches(m):
    """What lets dom0 forward: for the bridge, and for everybody."""
    return m.run("cd /proc/sys/net/ipv4; cat conf/xenbr0/forwarding conf/xenbr0/proxy_arp ip_forward").split()


@pytest.mark.grows
def test_limit_and_route(dom0):
    """Limits, one with a guest that takes more queues than it is offered; an MTU; a routed interface, held to its address."""
    rate = 250000
    create(dom0, "held", "rate=250KB/s", "rate=250KB/s,mtu=1400", "script=vif-route,ip=192.168.82.2,gatewaydev=xenbr0,vifname=routed",
           options="-p vcpus=2 memory=192 max_grant_frames=40")
    domid = dom0.domains()["held"][0]
    cheated = f"/local/domain/0/backend/vif/{domid}/1"
    assert dom0.run(f"xenstore-read {cheated}/multi-queue-max-queues {cheated}/rate").split() == ["1", "12500,50000"]
    dom0.run(f"xenstore-write {cheated}/multi-queue-max-queues 2; xl unpause held")
    dom0.run("ip addr add 192.168.81.1/24 dev xenbr0; ip addr add 192.168.83.1/24 dev xenbr0; "
             "(nc -ll -p 5004 -e dd of=/dev/null & echo $! > /tmp/sink) > /dev/null 2>&1")
    try:
        with dom0.guest("held", prompt="guest") as guest:
            address(guest)
            guest.run("ip addr add 192.168.83.2/24 dev eth0; ip addr add 192.168.81.2/24 dev eth1; ip link set eth1 up; "
                      "ip addr add 192.168.82.2/24 dev eth2; ip link set eth2 up; ip route add 10.0.2.15/32 dev eth2")
        # Routed: both ways with its address, not at all with another one.
        dom0.run("ping -c 1 -W 5 192.168.82.2")
        before = spoofed(dom0)
        with dom0.guest("held", prompt="guest") as guest:
            guest.run("ping -c 1 -W 5 10.0.2.15 && ip addr add 192.168.82.3/24 dev eth2")
            assert "0 packets received" in guest.fails("ping -c 2 -W 2 -I 192.168.82.3 10.0.2.15")
            guest.run("ping -c 1 -W 5 -I 192.168.82.2 10.0.2.15")
            # Several streams, so that each queue has some.
            guest.run("for n in 1 2 3 4; do for to in 81 83; do (nc 192.168.$to.1 5004 < /dev/zero > /dev/null 2>&1 &); done; done")
        assert spoofed(dom0) >= before + 2
        for vif, queues in ((f"vif{domid}.0", 1), (f"vif{domid}.1", 2)):
            assert int(dom0.run(f"ls /sys/class/net/{vif}/queues | grep -c tx")) == queues
            within(dom0, vif, rate)
        assert dom0.run(f"xenstore-read {cheated}/rate").split() == ["6250,50000"]
        assert "sends in 2 queues" in dom0.run("cat /var/log/xen/xl-held.log")
        assert dom0.run(f"cd /sys/class/net; cat vif{domid}.0/mtu vif{domid}.1/mtu xenbr0/mtu").split() == ["1500", "1400", "1500"]
        dom0.run("xl debug-keys g")
        assert f"d{domid}: " in (out := dom0.run("xl dmesg | tail -n 200")) and " of 40 grant frames" in out
        assert switches(dom0) == ["1", "1", "0"]
        dom0.run("xl destroy held")
        assert "192.168.82.2" not in dom0.run("ip route")
        assert switches(dom0) == ["0", "0", "0"]
    finally:
        dom0.shell.try_run("kill $(cat /tmp/sink); xl destroy held 2> /dev/null; "
                           "ip addr del 192.168.81.1/24 dev xenbr0; ip addr del 192.168.83.1/24 dev xenbr0")


MINE, OTHERS = "192.168.84.2", "192.168.84.3"
MY_MAC, OTHERS_MAC = "00163e000008", "00163e000009"
ALL = "ffffffffffff"


def ip_hex(address):
    return socket.inet_aton(address).hex()


def marked(name):
    return f"mark:{name} ".encode().hex()


def udp(name, source=MINE, to="255.255.255.255", ports=(5005, 5005)):
    data = marked(name)
    octets = len(data) // 2
    header = f"4500{28 + octets:04x}0000000040110000{ip_hex(source)}{ip_hex(to)}"
    total = sum(int(header[i:i + 4], 16) for i in range(0, 40, 4))
    checksum = ~(total + (total >> 16)) & 0xffff
    return f"{header[:20]}{checksum:04x}{header[24:]}" \
           f"{ports[0]:04x}{ports[1]:04x}{8 + octets:04x}0000{data}"


def arp(name, mac=MY_MAC, source=MINE, kind="0001", lengths="0604"):
    return f"00010800{lengths}{kind}{mac}{ip_hex(source)}000000000000{ip_hex('192.168.84.1')}{marked(name)}"


def ether(payload, kind="0800", mac=MY_MAC, to=ALL):
    return to + mac + kind + payload


HONEST = {"ip": ether(udp("ip")), "arp": ether(arp("arp"), "0806"), "reply": ether(arp("reply", kind="0002"), "0806")}
FORGED = {
    # Somebody else, or nobody
    "source": ether(udp("source", OTHERS)), "none": ether(udp("none", "0.0.0.0")), "mac": ether(udp("mac"), mac=OTHERS_MAC),
    "dhcp": ether(udp("dhcp", "0.0.0.0", ports=(68, 67))),
    "sender": ether(arp("sender", source=OTHERS), "0806"), "answer": ether(arp("answer", source=OTHERS, kind="0002"), "0806"),
    "probe": ether(arp("probe", source="0.0.0.0"), "0806"), "hardware": ether(arp("hardware", mac=OTHERS_MAC), "0806"),
    "arp-mac": ether(arp("arp-mac"), "0806", OTHERS_MAC), "lengths": ether(arp("lengths", lengths="0504"), "0806"),
    # Something else
    "rarp": ether(arp("rarp", kind="0003"), "8035"), "ipv6": ether("6000000000203b40" + "20" * 32 + marked("ipv6"), "86dd"),
    "llc": ether("424203" + marked("llc") + "00" * 37, "0030"), "odd": ether(marked("odd") + "00" * 30, "88b5"),
    "login": ether(marked("login") + "00" * 30, "888e", to="0180c2000003"),
    # The honest guest, with a tag
    "vlan": ether("00050800" + udp("vlan"), "8100"), "priority": ether("00000800" + udp("priority"), "8100"),
    "vlan-arp": ether("00050806" + arp("vlan-arp"), "8100"), "double": ether("0005810000060800" + udp("double"), "88a8"),
}


@pytest.mark.grows
def test_held_and_translated(dom0):
    """On a bridge a guest with ip= is heard as itself and as nobody else; behind vif-nat it reaches the world in dom0's name."""
    create(dom0, "held", "mac=00:16:3e:00:00:07", f"mac=00:16:3e:00:00:08,ip={MINE}/24",
           "script=vif-nat,ip=192.168.85.2,gatewaydev=xenbr0,vifname=inside",
           options="'disk=[\"/images/test/frames,raw,xvda,r\"]' max_grant_frames=40")
    held = vif_of(dom0, "held")[:-1] + "1"
    assert switches(dom0) == ["1", "0", "0"]
    rules = dom0.run("nft list ruleset")
    assert f'"{held}" : goto {held}' in rules and "masquerade" in rules
    dom0.run("ip addr add 192.168.84.1/24 dev xenbr0")
    try:
        before = spoofed(dom0)
        # A frame to the bridge itself is dom0's, and passes no filter of bridges; who sends it is not learnt.
        nobody = "00163e00000a"
        to_bridge = ether(udp("to-bridge", "10.0.2.99", DOM0), mac=nobody, to="0180c200000e")
        # dom0 forwards for the bridge now, but nobody begins anything with a guest behind vif-nat.
        bridge = dom0.run("cat /sys/class/net/xenbr0/address").strip().replace(":", "")
        inwards = ether(udp("inwards", "10.0.2.99", "192.168.85.2"), to=bridge)
        with dom0.guest("held", prompt="guest") as guest:
            address(guest)
            guest.run("cat /dev/xvda > /tmp/frames; chmod +x /tmp/frames; ip link set eth1 up")
            # The other way round nobody is held to anything: it is the filter that keeps them, not the wire.
            for way, marks in ("eth1 eth0", HONEST), ("eth0 eth1", {*HONEST, *FORGED} - {"login"}):
                guest.run("> /tmp/list")
                frames = [*HONEST.values(), *FORGED.values(), to_bridge, inwards, ether(udp("end"))]
                for i in range(0, len(frames), 10):  # a line of a terminal has its bounds
                    guest.run(f"echo {' '.join(frames[i:i + 10])} >> /tmp/list")
                assert set(guest.run(f"/tmp/frames {way} $(cat /tmp/list)", 60).split()) == {*marks, "end"}
            guest.run(f"ip addr add {MINE}/24 dev eth1; ping -c 1 -W 5 192.168.84.1")
        assert spoofed(dom0) > before
        learnt = dom0.run("hexdump -v -e '16/1 \"%02x\" \"\\n\"' /sys/class/net/xenbr0/brforward")
        assert MY_MAC in learnt and nobody not in learnt
        assert 'oifname "inside" counter packets 1 bytes' in dom0.run("nft list ruleset")
        dom0.run(f"ping -c 1 -W 5 {MINE}")
        with dom0.guest("held", prompt="guest") as guest:
            guest.run("ip addr add 192.168.85.2/24 dev eth2; ip link set eth2 up; ip route add 10.0.2.2/32 via 192.168.85.129")
            guest.run("ping -c 2 -W 5 -I 192.168.85.2 10.0.2.2")
            guest.run("ip addr add 192.168.85.3/24 dev eth2")
            assert "0 packets received" in guest.fails("ping -c 1 -W 2 -I 192.168.85.3 10.0.2.2")
        dom0.run("xl destroy held")
        # Two at once
        guests = [f"xl create -q -p /tmp/held.cfg name={n} \"vif=['vifname={n},ip=192.168.84.{i}']\"" for i, n in ((4, "one"), (5, "two"))]
        dom0.run(f"{guests[0]} & {guests[1]} && wait $!", 60)
        rules = dom0.run("nft list ruleset")
        for name, last in ("one", 4), ("two", 5):
            chain = vif_of(dom0, name)
            assert f'"{name}" : goto {chain}' in rules
            assert re.search(rf"chain {re.escape(chain)} {{[^}}]*\bip saddr 192\.168\.84\.{last} accept", rules), rules
        dom0.run("xl destroy one; xl destroy two")
        assert "vif" not in (rules := dom0.run("nft list ruleset")) and "inside" not in rules
        assert dom0.run("ls /run/xen/held /run/xen/switched").split() == ["/run/xen/held:", "/run/xen/switched:"]
        assert switches(dom0) == ["0", "0", "0"]
    finally:
        dom0.shell.try_run("for n in held one two; do xl destroy $n 2> /dev/null; done; ip addr del 192.168.84.1/24 dev xenbr0")


def alone(boot, netdev, says):
    """Nobody serves DHCP: dom0 and demo are in 169.254/16 and reach each other."""
    m = boot(netdev=netdev).boot()
    assert re.search(says, m.seen() + m.run("cat /var/log/udhcpc.log 2>/dev/null; true")), m.tail(30)
    assert address(m.shell, "xenbr0", "169.254.") == "169.254.1.1"
    with m.guest("demo") as guest:
        mine = address(guest, net="169.254.")
        guest.run("ping -c 1 -W 5 169.254.1.1")
    m.run(f"ping -c 1 -W 5 {mine}")
    return m


def test_no_card(boot):
    """And the administrator's own settings."""
    m = alone(boot, "", r"\*\*\* network: there is no eth0: xenbr0 leads nowhere, dom0 is 169\.254\.1\.1/16")
    m.shell.write_file("/images/network.conf", "BRIDGE=own0\nNIC=\nADDRESS=192.168.5.1/24\nGATEWAY=192.168.5.254\n"
                       "NAMESERVER=192.168.5.253")
    assert "***" not in m.run("/etc/rc.network 2>&1")
    assert "192.168.5.1/24" in m.run("ip addr show own0")
    assert "via 192.168.5.254 dev own0" in m.run("ip route")
    assert m.run("cat /etc/resolv.conf").split() == ["nameserver", "192.168.5.253"]
    assert m.poweroff() == 0


@pytest.mark.full
def test_nobody_answers(boot):
    """A card on a wire with nobody else on it."""
    assert alone(boot, "hubport,id=net,hubid=1", r"").poweroff() == 0


@pytest.mark.full
@pytest.mark.grows
def test_ten(dom0, disk):
    """Ten interfaces with two queues each: no table of grants, events or names is too small."""
    create(dom0, "ten", *(f"mac=00:16:3e:00:01:{i:02}" for i in range(10)), options="vcpus=2 memory=192")
    with dom0.guest("ten", prompt="guest") as guest:
        address(guest)
        guest.run("ip addr add 192.168.79.2/24 dev eth9; ip link set eth9 up; " + SERVE)
    lines = dom0.run("xl network-list ten").splitlines()[1:]
    assert [line.split()[4] for line in lines] == ["4"] * 10, lines
    domid = dom0.domains()["ten"][0]
    assert dom0.run(f"xenstore-read /local/domain/{domid}/device/vif/9/multi-queue-num-queues").strip() == "2"
    # network-list shows the first queue's
    assert all(re.search(r" 4 +\d+ +\d+/\d+ +/local", line) for line in lines), lines
    dom0.run("ip addr add 192.168.79.1/24 dev xenbr0")
    try:
        assert dom0.run("nc 192.168.79.2 5001 < /dev/null | sha256sum", 60).split()[0] == disk.sha256["data1"]
        assert dom0.run("nc 192.168.79.2 5000 < /images/test/data1.img", 60).split()[0] == disk.sha256["data1"]
    finally:
        dom0.run("ip addr del 192.168.79.1/24 dev xenbr0")
    dom0.run("xl destroy ten", 60)


@pytest.mark.full
@pytest.mark.grows
def test_rounds(dom0, disk):
    """Ten lives with traffic in both directions, ended in turn by shutdown, destroy, crash and reboot."""
    for n in range(10):
        create(dom0, "round", "mac=00:16:3e:00:00:07", options="on_reboot='\"destroy\"'")
        with dom0.guest("round", prompt="guest") as guest:
            mine = address(guest)
            guest.run(SERVE)
        assert dom0.run(f"nc {mine} 5000 < /images/test/data1.img", 60).split()[0] == disk.sha256["data1"]
        dom0.run(f"((while true; do nc {mine} 5001 < /dev/null > /dev/null || exit; done) > /dev/null 2>&1 &)")
        end = n % 4
        if end == 0:
            dom0.run("xl destroy round")
        elif end == 1:
            dom0.run("xl shutdown -w round", 60)
        else:
            with dom0.guest("round", prompt="guest") as guest:
                guest.run("((sleep 0.5; echo %s > /proc/sysrq-trigger) > /dev/null 2>&1 &)" % ("cb"[end - 2]))
            dom0.wait_gone("round")
        assert "vif" not in dom0.run("ls /sys/class/net")
