# SPDX-License-Identifier: BSD-2-Clause
# What vif-route and vif-nat share; they read it with ".", after vif-common.sh. Owns the guest's way through dom0: forwarding and
# what else is switched on for it, on its interface and the gateway's alone, and who still needs that of the gateway's.

# Directories GATEWAY/SETTING with a file for each interface that needs it (the name that it has) and, in "before", what it was
# before the first of them. The last one puts that back.
switched=$run/switched

# Whose address dom0 has towards the guest: gatewaydev=, or the interface of the default route.
find_gateway() {
	gateway=$(store gatewaydev) || gateway=$(ip -4 route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p;q')
	[ -n "$gateway" ] || fail "gatewaydev= is not given, and dom0 has no default route to take it from"
	[ -d "$sys/$gateway" ] || fail "gatewaydev $gateway does not exist"
	address=$(ip -o -4 addr show dev "$gateway" scope global | sed -n 's/.* inet \([0-9.]*\).*/\1/p;q')
	[ -n "$address" ] || fail "gatewaydev $gateway has no IPv4 address"
}

# Linux checks sources by the routes (rp_filter), of IPv4 only. It takes the larger one of "all" and the interface's own; 2 would
# let any source pass that has a route at all.
can_check_sources() {
	[ "$(cat "$ipv4/conf/all/rp_filter")" != 2 ] ||
		fail "with net.ipv4.conf.all.rp_filter = 2 dom0 does not check what a guest sends from; make it 0 or 1"
	# Linux's short way to a UDP socket that has a peer (dom0's questions to a name server) leads past that check, by whatever
	# interface a packet comes that says to be the peer's.
	setting udp_early_demux 0
}

# The interface as a router's, still down.
prepare() {
	give_name
	give_back
	ip link set dev "$name" address fe:ff:ff:ff:ff:ff || fail "$name cannot be set up"
	no_ipv6 || fail "IPv6 cannot be switched off on $name, and nothing holds the guest to an address of that"
	give_mtu ""
	setting "conf/$name/rp_filter" 1
	setting "conf/$name/forwarding" 1
}

# need SETTING: of the gateway's, as long as this interface is there.
need() {
	dir=$switched/$gateway/$1
	mkdir -p "$dir" || fail "cannot make $dir"
	[ -e "$dir/before" ] ||
		{ cat "$ipv4/conf/$gateway/$1" >"$dir/new" && mv "$dir/new" "$dir/before"; } || fail "cannot write $dir/before"
	echo "$name" >"$dir/$vif" || fail "cannot write $dir/$vif"
	setting "conf/$gateway/$1" 1
}

# This interface needs nothing any more, nor does one that has gone and whose script was killed.
give_back() {
	for dir in "$switched"/*/*; do
		[ -e "$dir/before" ] || continue
		rm -f "$dir/$vif"
		needed=
		for user in "$dir"/vif*; do
			[ -e "$user" ] || continue
			if [ -e "$sys/$(cat "$user")" ]; then needed=1; else rm -f "$user"; fi
		done
		[ -z "$needed" ] || continue
		what=${dir#"$switched"/}
		[ ! -e "$ipv4/conf/$what" ] || cat "$dir/before" >"$ipv4/conf/$what" || log "conf/$what stays on"
		rm -f "$dir/before" "$dir/new"
		rmdir "$dir"
		rmdir "${dir%/*}" 2>/dev/null
	done
}

# Towards the guest: dom0 is $1 there, and $addresses are behind it.
reach() {
	ip addr add "$1/32" dev "$name" || fail "$name cannot have the address $1"
	bring_up
	for ip in $addresses; do
		ip route add "$ip/32" dev "$name" src "$1" || fail "no route to $ip can be made"
	done
}

# Routes and address have usually gone with the interface by now.
unroute() {
	for name in "$(store vifname)" "$vif"; do
		[ -n "$name" ] && [ -e "$sys/$name" ] && is_ours "$name" || continue
		ip link set dev "$name" down
		ip addr flush dev "$name"
	done
	give_back
}
