#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A guest's interfaces: limits, MTU, trust, and the scripts vif-bridge, vif-route and vif-nat. The real xl, xenstored and scripts
# against a pretended hypervisor, pretended guests, and an ip and an nft that keep files. Usage: test_xl_net.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

node() { xenstore-read "/local/domain/0/backend/vif/$(xl domid a)/0/$1"; }
front() { xenstore-read "/local/domain/$(xl domid a)/device/vif/0/$1"; }
is() { # is WANTED COMMAND...
	wanted=$1
	shift
	[ "$("$@")" = "$wanted" ]
}
new() { "$out/fake-xl" create -q a.cfg "vif=['mac=00:16:3e:00:00:01,vifname=lan-a,$1']"; }

# --- limits ---

check "create with a limit" new rate=1MB/s@20ms
check "the back end gets the limit" is 20000,20000 node rate
check "and offers one queue, which is to have all of it" is 1 node multi-queue-max-queues
# The guest takes two all the same.
queues=$root/backends/vif-$(xl domid a)-0/net/lan-a/queues
mkdir -p "$queues/tx-0" "$queues/tx-1" "$queues/rx-0" "$queues/rx-1"
check "two queues have half of it each" wait_for is 10000,20000 node rate
says 0 "sends in 2 queues: each has its share" cat log/xl-a.log
# One that connects again and again, with another number of queues each time, does not decide how much is written.
head -c 262145 /dev/zero | tr '\0' x >>log/xl-a.log
rmdir "$queues/tx-1" "$queues/rx-1"
check "back to one queue, back to all of it" wait_for is 20000,20000 node rate
short() { [ "$(stat -c %s log/xl-a.log)" -lt 262144 ]; }
check "the log keeps its bound within a life" wait_for short
says 0 "sends in 1 queues" cat log/xl-a.log
rm -r backends
xl destroy a
check "nothing is left" clean
check "create without a limit" new mtu=1400
check "queues as many as the back end has" is 2 node multi-queue-max-queues
check "and no limit" [ -z "$(node rate 2>/dev/null)" ]

# --- MTU and trust ---

check "the MTU is the one that is asked for" is 1400 cat net/lan-a/mtu
check "the bridge's stays" is 1500 cat net/xenbr0/mtu
check "the guest can read it" is 1400 front mtu
xl destroy a
check "create" new untrusted
check "without an MTU of its own it has the bridge's" is 1500 cat net/lan-a/mtu
check "the front end is told not to trust" is 0 front trusted
xl destroy a
says 0 "mtu=9000, gatewaydev=br0, untrusted'" xl create -n a.cfg "vif=['mtu=9000,gatewaydev=br0,untrusted']"

# --- vif-bridge with ip= ---

scripts=$here/../../../dom0-tools/rootfs/etc/xen/scripts
rules() { ls nft run/held 2>/dev/null | grep -v '^$'; }
no_rules() { ! rules | grep 'vif[0-9]\|port-'; }
check "without ip= nft is not asked at all" [ ! -e nft-input ]
check "create" new "ip=192.0.2.7/24 192.0.2.8 192.0.2.7"
vif=vif$(xl domid a).0
check "frames of the interface go to its chain" is "$vif" cat nft/port-lan-a
cat >wanted <<-'END'
	ether saddr != 00:16:3e:00:00:01 counter drop
	ether type ip ip saddr { 192.0.2.7, 192.0.2.8 } accept
	ether type arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp saddr ether 00:16:3e:00:00:01 arp saddr ip { 192.0.2.7, 192.0.2.8 } accept
	counter drop
END
check "which lets its own pass, and no more" cmp wanted "nft/chain-$vif"
for hook in prerouting input; do
	check "from $hook, once" is "iifname vmap @ports" cat "nft/chain-$hook"
done
check "what no bridge filters ends at the port" is 1 cat ipv4/conf/lan-a/rp_filter
check "also from no source at all" [ -e nft/ip-port-lan-a ]
check "which a rule drops, once" is "iifname @ports counter drop" cat nft/ip-chain-input
check "its sender the bridge does not learn" is 1 cat net/xenbr0/bridge/no_linklocal_learn
check "and the bridge's own protocol" is 1 cat net/lan-a/brport/bpdu_guard
check "a second one" xl create -q b.cfg "vif=['mac=00:16:3e:00:00:02,ip=192.0.2.9']"
second=vif$(xl domid b).0
check "leaves the first one's rules alone" cmp wanted "nft/chain-$vif"
check "and has its own, under its own name" is "$second" cat "nft/port-$second"
for hook in prerouting input; do
	check "still from $hook, once" is "iifname vmap @ports" cat "nft/chain-$hook"
done
xl destroy a
check "they go with it" sh -c "! ls nft run/held | grep '$vif\|lan-a'"
check "the second one's stay" grep -q 'saddr { 192.0.2.9 } accept' "nft/chain-$second"
xl destroy b
check "none is left" no_rules

# The rules are there before the guest can be heard, or the guest is not.
says 1 "lan-a cannot be held to ip=192.0.2.7: nft has failed, see /var/log/xen/xen-hotplug.log" sh -c ": >nft-fails; '$out/fake-xl' create -q a.cfg \"vif=['vifname=lan-a,ip=192.0.2.7']\""
check "nft's own words are there" grep -q "nft: failed by order of the test" log/xen-hotplug.log
check "nothing is left" clean
check "but the note that something may be" grep -rq lan-a run/held
says 1 "rules that an earlier lan-a has left cannot be removed" new mtu=1400
rm nft-fails
check "removed by the next one" new mtu=1400
check "who has none" no_rules
xl destroy a
says 1 "vif-bridge cannot hold a guest to the IPv6 address 2001:db8::1, only to IPv4 ones" new "ip=192.0.2.7 2001:db8::1"
says 1 "with ip= the name lan* may have letters, digits, dots, - and _ only" xl create -q a.cfg "vif=['vifname=lan*,ip=192.0.2.7']"
check "none is left" no_rules
mv bin/nft bin/none
if ! command -v nft >/dev/null; then
	says 1 "nft has failed" new "ip=192.0.2.7"
	check "the log says why" grep -q "there is no nft in dom0" log/xen-hotplug.log
fi
mv bin/none bin/nft
check "nothing is left" clean

# A script that is killed when its rules are in force: what undoes it knows of them, or else the next one that starts.
cat >bin/ip-killed <<-END
	#!/bin/sh
	case "\$*" in
	*master*) kill -9 "\$PPID" ;;
	*) exec $root/bin/ip-real "\$@" ;;
	esac
END
chmod +x bin/ip-killed
mv bin/ip bin/ip-real
cp bin/ip-killed bin/ip
says 1 "scripts/vif-bridge failed" new "ip=192.0.2.7"
check "none is left" no_rules
cp bin/ip-real bin/ip
mkdir -p net/vif99.0 run/held
echo lan-99 >run/held/vif99.0
echo rule >nft/chain-vif99.0
echo vif99.0 >nft/port-lan-99
rmdir net/vif99.0
check "create" new mtu=1400
check "the rules of one that has gone are removed" no_rules
# Two at once
xl destroy a
xl create -q a.cfg "vif=['mac=00:16:3e:00:00:01,ip=192.0.2.7']" &
first=$!
xl create -q b.cfg "vif=['mac=00:16:3e:00:00:02,ip=192.0.2.9']"
wait $first
for n in "a 1 192.0.2.7" "b 2 192.0.2.9"; do
	# shellcheck disable=SC2086
	set -- $n
	vif=vif$(xl domid "$1").0
	check "two at once: $1's" grep -q "arp saddr ether 00:16:3e:00:00:0$2 arp saddr ip { $3 } accept" "nft/chain-$vif"
	check "in force" is "$vif" cat "nft/port-$vif"
	xl destroy "$1"
done
check "none is left" no_rules
check "nothing is left" clean

# --- vif-route ---

mkdir -p net/gw ipv4/conf/gw ipv4/conf/lan-a ipv4/conf/dry net/dry
echo 0 >ipv4/conf/gw/proxy_arp
echo 0 >ipv4/conf/gw/forwarding
echo 0 >ipv4/ip_forward
echo 1 >ipv4/udp_early_demux
gateway() { echo $(cat ipv4/conf/gw/proxy_arp ipv4/conf/gw/forwarding ipv4/ip_forward); }
echo "2: gw inet 192.0.2.1/24 brd 192.0.2.255 scope global gw" >net/gw/addresses
: >net/dry/addresses
: >routes
snapshot >before
route() { new "script=vif-route,$1"; }
says 1 "vif-route needs the guest's addresses: ip=... in the vif line" route gatewaydev=gw
check "nothing is left" clean
says 1 "gatewaydev= is not given, and dom0 has no default route" route "ip=192.0.2.7"
says 1 "gatewaydev nothing does not exist" route "ip=192.0.2.7,gatewaydev=nothing"
says 1 "gatewaydev dry has no IPv4 address" route "ip=192.0.2.7,gatewaydev=dry"
says 1 "vif-route cannot hold a guest to the IPv6 address fe80::1" route "ip=fe80::1,gatewaydev=gw"
echo 2 >ipv4/conf/all/rp_filter
says 1 "make it 0 or 1" route "ip=192.0.2.7,gatewaydev=gw"
echo 0 >ipv4/conf/all/rp_filter
check "and after these failures, too" clean
echo "192.0.2.8 dev other" >routes
says 1 "192.0.2.8 has a route already: 192.0.2.8 dev other" route "ip=192.0.2.7 192.0.2.8,gatewaydev=gw"
echo "default via 192.0.2.254 dev gw" >routes
check "create, by the default route's interface" route "ip=192.0.2.7/24 192.0.2.8"
says 0 "192.0.2.7 dev lan-a src 192.0.2.1" cat routes
says 0 "192.0.2.8 dev lan-a src 192.0.2.1" cat routes
says 0 "inet 192.0.2.1/32" cat net/lan-a/addresses
check "sources are checked" is 1 cat ipv4/conf/lan-a/rp_filter
check "also of what is for a socket that has a peer" is 0 cat ipv4/udp_early_demux
check "IPv6 is off" is 1 cat ipv6/lan-a/disable_ipv6
check "it is found, and forwarded for" is "1 1" sh -c 'echo $(cat ipv4/conf/lan-a/proxy_arp ipv4/conf/lan-a/forwarding)'
check "so is the gateway, and nobody else" is "1 1 0" gateway
check "a second one" xl create -q b.cfg "vif=['script=vif-route,ip=192.0.2.9,gatewaydev=gw']"
check "destroy" xl destroy a
: >routes
check "the second one needs the gateway still" is "1 1 0" gateway
check "destroy" xl destroy b
: >routes
check "the last one puts it back" is "0 0 0" gateway
check "and forgets it" [ -z "$(ls run/switched)" ]
# What the administrator has switched on stays; who was killed needs nothing.
echo 1 >ipv4/conf/gw/forwarding
mkdir -p run/switched/gw/proxy_arp
echo 0 >run/switched/gw/proxy_arp/before
echo lan-99 >run/switched/gw/proxy_arp/vif99.0
echo 1 >ipv4/conf/gw/proxy_arp
check "create" route "ip=192.0.2.7,gatewaydev=gw"
check "destroy" xl destroy a
: >routes
check "as it was" is "0 1 0" gateway
echo 0 >ipv4/conf/gw/forwarding
rm -r ipv4/conf/lan-a
: >no-conf
says 1 "cannot write 1 to $root/ipv4/conf/lan-a/rp_filter" route "ip=192.0.2.7,gatewaydev=gw"
rm no-conf
check "nothing is left" clean

# --- vif-nat ---

nat() { new "script=vif-nat,$1"; }
: >routes
says 1 "gatewaydev= is not given, and dom0 has no default route" nat ""
echo "default via 192.0.2.254 dev gw" >routes
check "create" nat "ip=10.1.1.7/24"
vif=vif$(xl domid a).0
says 0 'oifname "gw" ip saddr 10.1.1.7 masquerade' cat "nft/table-pavise-$vif"
check "no port of dom0's services for the guest" is 'oifname "gw" ip saddr 10.1.1.7 ip protocol { tcp, udp } masquerade to :32768-60999' grep -m 1 masquerade "nft/table-pavise-$vif"
says 0 'iifname "gw" oifname "lan-a" ct state established,related accept' cat "nft/table-pavise-$vif"
says 0 'iifname "lan-a" counter drop' cat "nft/table-pavise-$vif"
says 0 "10.1.1.7 dev lan-a src 10.1.1.134" cat routes
says 0 "inet 10.1.1.134/32" cat net/lan-a/addresses
check "sources are checked" is 1 cat ipv4/conf/lan-a/rp_filter
check "also of what is for a socket that has a peer" is 0 cat ipv4/udp_early_demux
check "IPv6 is off" is 1 cat ipv6/lan-a/disable_ipv6
check "forwarding where it is needed" is "1 0 1 0" sh -c 'echo $(cat ipv4/conf/lan-a/forwarding ipv4/conf/gw/proxy_arp ipv4/conf/gw/forwarding ipv4/ip_forward)'
says 1 "10.1.1.134 (vif-nat has 10.1.1.134 for the guest and 10.1.1.7 for dom0) is in use" \
	xl create -q b.cfg "vif=['script=vif-nat,ip=10.1.1.134']"
check "destroy" xl destroy a
echo "default via 192.0.2.254 dev gw" >routes
check "the table goes" [ -z "$(ls nft | grep table)" ]
check "and forwarding" is "0 0 0" gateway
check "without ip=" nat ""
domid=$(xl domid a)
says 0 "10.$((128 + domid / 256)).$((domid % 256)).1 dev lan-a src 10.$((128 + domid / 256)).$((domid % 256)).128" cat routes
xl destroy a
echo "default via 192.0.2.254 dev gw" >routes
says 1 "vif-nat gives a guest one address, and ip= has several: 10.1.1.1 10.1.1.2" nat "ip=10.1.1.1 10.1.1.2"
says 1 "vif-nat cannot hold a guest to the IPv6 address 2001:db8::1" nat "ip=2001:db8::1"
echo "10.1.1.0/24 dev gw scope link" >>routes
says 1 "10.1.1.7 (vif-nat has 10.1.1.7 for the guest and 10.1.1.134 for dom0) is in use: 10.1.1.0/24 dev gw" nat "ip=10.1.1.7"
echo "default via 192.0.2.254 dev gw" >routes
: >nft-fails
says 1 "lan-a cannot have network address translation: nft has failed, see /var/log/xen/xen-hotplug.log" nat ""
rm nft-fails
check "nothing is left" clean
check "and forwarding is off" is "0 0 0" gateway
for name in bridge:joins route:"dom0 routes" nat:"the guest has a private address"; do
	for verb in -h --help; do
		says 0 "Network hotplug: ${name#*:}" sh "$scripts/vif-${name%:*}" $verb
	done
	says 2 "vif-${name%:*} online|offline" sh "$scripts/vif-${name%:*}" up
done

# --- one after the other: a bridge's MTU is read and put back ---

check "create" xl create -q a.cfg
cat >hold.py <<-END
	import fcntl, time
	f = open("$root/run/vif-script.lock", "w")
	fcntl.flock(f, fcntl.LOCK_EX)
	f.write("4242\n")
	f.flush()
	open("$root/holding", "w").close()
	time.sleep(60)
END
/usr/bin/python3 hold.py &
holder=$!
wait_for test -e holding
says 1 "the scripts of other interfaces are still not done after 3 s (the last one is process 4242)" hasty network-attach a
check "what has no bridge does not wait" xl block-attach a "$root/b.img,raw,xvdb,w"
kill $holder
check "a holder that died holds nothing" xl network-attach a
xl destroy a
check "nothing is left" clean

end_of_cases
