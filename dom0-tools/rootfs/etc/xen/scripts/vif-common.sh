# SPDX-License-Identifier: BSD-2-Clause
# What the vif- scripts share; they read it with ".". Wants $vif and hotplug.sh's variables. Owns the interface's name, its
# MTU and how it stands in dom0, which addresses the guest is held to, and how nft is asked.

sys=${SYS_CLASS_NET:-/sys/class/net}
ipv4=${SYS_NET_IPV4:-/proc/sys/net/ipv4}
ipv6=${SYS_NET_IPV6:-/proc/sys/net/ipv6/conf}
run=${XEN_RUN:-/run/xen}

# vifname= in the configuration; the kernel's own name otherwise.
give_name() {
	[ -e "$sys/$vif" ] || fail "there is no interface $vif: is xen-netback in dom0's kernel?"
	name=$(store vifname) || name=$vif
	[ "$name" != "$vif" ] || return 0
	[ ! -e "$sys/$name" ] || fail "there is an interface called $name already"
	ip link set dev "$vif" name "$name" || fail "$vif cannot be called $name"
}

# No IPv6 of dom0's on it: each would have the same link-local address, made of the same MAC address.
no_ipv6() {
	[ ! -e "$ipv6/$name/disable_ipv6" ] || echo 1 >"$ipv6/$name/disable_ipv6"
}

# ip= in the configuration, if there is any: $addresses. One with a net's length stands for itself.
find_addresses() {
	addresses=
	for ip in $(store ip); do
		case $ip in
		*:*) fail "${0##*/} cannot hold a guest to the IPv6 address $ip, only to IPv4 ones" ;;
		esac
		ip=${ip%/*}
		case " $addresses " in
		*" $ip "*) ;;
		*) addresses="$addresses${addresses:+ }$ip" ;;
		esac
	done
}

# setting FILE VALUE: below /proc/sys/net/ipv4
setting() { echo "$2" >"$ipv4/$1" || fail "cannot write $2 to $ipv4/$1"; }

# Can $1 stand in nft's language as it is? In quotes it takes a * at the end for any number of characters.
plain() {
	case $1 in
	*[!A-Za-z0-9._-]*) fail "with $2 the name $1 may have letters, digits, dots, - and _ only" ;;
	esac
}

# Where nft's own words are
hotplug_log=/var/log/xen/xen-hotplug.log

# filter: what comes in is done by the kernel as a whole or not at all.
filter() {
	command -v nft >/dev/null || { log "there is no nft in dom0 (Debian's package nftables)"; return 1; }
	nft -f -
}

# mtu= in the configuration, which must work, or $1, which need not.
give_mtu() {
	if mtu=$(store mtu); then
		ip link set dev "$name" mtu "$mtu" || fail "$name cannot have an MTU of $mtu"
	elif [ -n "$1" ]; then
		ip link set dev "$name" mtu "$1" || log "$name keeps its own MTU"
	fi
}

# The back end of a guest that notices nothing has been connected for a while, and the kernel would look at its carrier up to a second after this:
# until then a bridge passes nothing on to it. Reading it makes the kernel look (linkwatch_sync_dev(), Linux 6.8).
bring_up() {
	ip link set dev "$name" up || fail "$name cannot be brought up"
	cat "$sys/$name/carrier" >/dev/null 2>&1
}

# This lets the back end connect.
connected() {
	wanted || fail "the device is being removed"
	xenstore-write "$XENBUS_PATH/hotplug-status" connected || fail "cannot write to xenstore"
	# Removed just then: the write has made a node where none should be.
	[ -n "$(store frontend)" ] || { xenstore-rm -t "$XENBUS_PATH/hotplug-status"; exit 1; }
}

# Is $1 this guest's interface? A name that we failed to give may be somebody else's.
is_ours() {
	device=$(readlink "$sys/$1/device")
	[ "${device##*/}" = "$(echo "${vif%.*}-${vif#*.}" | sed 's/^vif/vif-/')" ]
}

# dispatch ARGUMENTS: the verbs of every such script.
dispatch() {
	case ${1:-} in
	-h | --help)
		sed -n '3,5p' "$0" | sed 's/^# \{0,1\}//'
		exit 0
		;;
	online | offline) ;;
	*)
		echo "usage: XENBUS_PATH=/local/domain/0/backend/vif/<domid>/<devid> vif=<interface> ${0##*/} online|offline" >&2
		exit 2
		;;
	esac
	: "${XENBUS_PATH:?is not set}" "${vif:?is not set}"
	"$1"
	exit 0
}
