#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A guest's interfaces: limits, MTU, trust, and the scripts vif-bridge and vif-route. The real xl, xenstored and scripts against
# a pretended hypervisor, pretended guests and an ip that keeps files. Usage: test_xl_net.sh <directory where the tests were built>.
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
says 0 "ip is without effect with the script vif-bridge; vif-route holds a guest to it" xl create -n a.cfg "vif=['ip=10.1.1.1']"

# --- vif-route ---

mkdir -p net/gw ipv4/conf/gw ipv4/conf/lan-a ipv4/conf/dry net/dry
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
check "IPv6 is off" is 1 cat ipv6/lan-a/disable_ipv6
check "it is found from both sides" is "1 1 1" sh -c 'echo $(cat ipv4/conf/lan-a/proxy_arp ipv4/conf/gw/proxy_arp ipv4/ip_forward)'
check "destroy" xl destroy a
: >routes
rm -r ipv4/conf/lan-a
says 1 "cannot write 1 to $root/ipv4/conf/lan-a/rp_filter" route "ip=192.0.2.7,gatewaydev=gw"
check "nothing is left" clean
for verb in -h --help; do
	says 0 "Network hotplug: dom0 routes" sh "$here/../../../dom0-tools/rootfs/etc/xen/scripts/vif-route" $verb
done
says 2 "vif-route online|offline" sh "$here/../../../dom0-tools/rootfs/etc/xen/scripts/vif-route" up

# --- vif-bridge, one after the other: a bridge's MTU is read and put back ---

check "create" xl create -q a.cfg
cat >hold.py <<-END
	import fcntl, time
	f = open("$root/run/bridge-script.lock", "w")
	fcntl.flock(f, fcntl.LOCK_EX)
	f.write("4242\n")
	f.flush()
	open("$root/holding", "w").close()
	time.sleep(60)
END
/usr/bin/python3 hold.py &
holder=$!
wait_for test -e holding
says 1 "the scripts of other interfaces are still not done after 3 s (the last one is process 4242)" xl network-attach a
check "what has no bridge does not wait" xl block-attach a "$root/b.img,raw,xvdb,w"
kill $holder
check "a holder that died holds nothing" xl network-attach a
xl destroy a
check "nothing is left" clean

end_of_cases
