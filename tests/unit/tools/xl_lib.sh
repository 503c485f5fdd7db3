# SPDX-License-Identifier: BSD-2-Clause
# What the test_xl*.sh share: the real xl, xenstored and hotplug scripts against a pretended hypervisor (fake_pv.c) and
# pretended guests (fake_backend.c), in a directory of their own. To be sourced, with that directory's parent as $1; the script
# ends with end_of_cases.
set -u
out=$1
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$out/root
# The programs have this path in them. Several scripts may run at once: each sees a directory of its own there, if it may.
if [ -z "${OWN_ROOT-}" ] && unshare -m true 2>/dev/null; then
	own=$out/roots/${0##*/}
	rm -rf "$own"
	mkdir -p "$own" "$root"
	export OWN_ROOT=1
	# shellcheck disable=SC2016
	exec unshare -m sh -c 'mount --bind "$1" "$2" && exec sh "$3" "$4"' - "$own" "$root" "$here/${0##*/}" "$out"
fi
failures=0
cases=0
pids=

rm -rf "${root:?}"/*
mkdir -p "$root/run" "$root/log/console" "$root/scripts" "$root/bin" "$root/dev" \
	"$root/ipv6/lan-a" "$root/ipv4/conf/all" "$root/dt/cpus/cpu@0" "$root/loops" "$root/net/xenbr0/bridge"
echo 1500 >"$root/net/xenbr0/mtu"
echo 0 >"$root/ipv6/lan-a/disable_ipv6"
echo 0 >"$root/ipv4/conf/all/rp_filter"
# A socket's path is at most 108 bytes long; the output directory's may be longer.
sockets=$(mktemp -d) || exit 1
export FAKE_HV="$root/hv" XENSTORED_PATH="$sockets/xs"
export ASAN_OPTIONS=detect_leaks=0
# With $RINGS guests' rings with xenstored are files, which xl saves and restores as memory; else they are pages of xenstored's alone.
no_domains=--no-domains
if [ -n "${RINGS-}" ]; then
	no_domains=
	mkdir "$root/rings"
	export XENSTORED_FAKE_DOMAINS="$root/rings"
fi
PATH=$out/xs:$PATH
cd "$root" || exit 1

quit() {
	for pid in $pids; do
		kill "$pid" 2>/dev/null
	done
	rm -rf "$sockets"
}
trap quit EXIT
trap 'exit 1' HUP INT TERM

ok() {
	cases=$((cases + 1))
	echo "ok $cases - $1"
}
bad() {
	cases=$((cases + 1))
	failures=$((failures + 1))
	echo "not ok $cases - $1"
	sed 's/^/# /' "$root/output"
}
# check "what" command...: the command succeeds
check() {
	what=$1
	shift
	if "$@" >"$root/output" 2>&1; then ok "$what"; else bad "$what"; fi
}
# says STATUS "text" command...: this exit status, and this text in the output
says() {
	status=$1 text=$2
	shift 2
	"$@" >"$root/output" 2>&1
	got=$?
	if [ $got = "$status" ] && grep -qF -- "$text" "$root/output"; then
		ok "$* -> $status: $text"
	else
		echo "(status $got, wanted $status and: $text)" >>"$root/output"
		bad "$*"
	fi
}
# line N command...: the N-th line that it prints
line() {
	number=$1
	shift
	"$@" | sed -n "${number}p"
}
xl() { "$out/fake-xl" "$@"; }
# xl that gives up soon: for what nobody will answer (waits.h)
hasty() { HASTY=1 "$out/fake-xl" "$@"; }
# opened PID FILE: the process has it open
opened() { find "/proc/$1/fd" -lname "$2" | grep -q .; }
gone() { ! "$out/fake-xl" domid "$1"; }
runs() { "$out/fake-xl" list "$1" | grep -q -- -b----; }
paused() { "$out/fake-xl" list "$1" | grep -Eq -- '-[b-]p---'; }
no_file() { ! ls "$1"* 2>/dev/null; }
# each_call_fails WHAT HOLDS command...: it, with the first of its calls of the hypervisor failing, then the second, until none
# does; each time it says something and HOLDS is true afterwards. How many failed is in $failed.
each_call_fails() {
	what=$1 holds=$2 failed=0
	shift 2
	while [ $failed -lt 60 ]; do
		"$out/fake-hv" $((failed + 1))
		"$@" >output 2>&1
		rc=$?
		"$out/fake-hv" 0
		[ $rc != 0 ] || break
		failed=$((failed + 1))
		{ [ -s output ] && $holds; } >/dev/null || { bad "$what, call $failed"; break; }
	done
}
# For a minute and more: a busy machine is not to be taken for silence.
wait_for() {
	n=0
	until "$@" >/dev/null 2>&1; do
		n=$((n + 1))
		[ $n -lt 1200 ] || return 1
		sleep 0.05
	done
}
# quiet_disks DIRECTORY: a host's there; nothing is on its way to any of its disks
quiet_disks() {
	for n in 0 1 2 3 4 5; do
		mkdir -p "$1/sysblock/7:$n/queue"
		echo 1 >"$1/sysblock/7:$n/queue/iostats"
		echo "       0        0" >"$1/sysblock/7:$n/inflight"
	done
}
snapshot() {
	xenstore-ls / 2>/dev/null
	xl info | grep -E 'free_pages'
	xl list | awk 'NR > 1 { print $1, $2 }'
	ls "$root/loops" "$root/net"
}
clean() {
	snapshot >now
	cmp -s before now || { diff before now; return 1; }
}

# --- the world ---

printf '\0\230\226\200' >dt/cpus/timebase-frequency
printf 'riscv\0' >dt/cpus/cpu@0/compatible
printf 'rv64imafdc\0' >dt/cpus/cpu@0/riscv,isa
# an Image of 1 MiB: text_offset 2 MiB, image_size 2 MiB
{
	printf '\0\0\0\0\0\0\0\0\0\0\040\0\0\0\0\0\0\0\040\0\0\0\0\0'
	head -c 24 /dev/zero
	printf 'RISCV\0\0\0RSC\005\0\0\0\0'
	head -c 1048512 /dev/zero
} >Image
head -c 1048576 /dev/zero >disk.img
echo text >text
for n in a b crash quick boot again deaf mute lost; do
	cat >"$n.cfg" <<-END
		name = "$n"
		kernel = "$root/Image"
		memory = 16
		disk = [ "format=raw, vdev=xvda, access=rw, target=$root/$n.img" ]
		vif = [ "mac=00:16:3e:00:00:01", "vifname=lan-$n" ]
	END
	cp disk.img "$n.img"
done

# losetup without a kernel: a link in loops/ is an attached device
cat >bin/losetup <<'END'
#!/bin/sh
case $1 in
-f)
	n=0
	while [ -e "$LOOPS/loop$n" ]; do n=$((n + 1)); done
	echo "$LOOPDEV/loop$n"
	;;
-d) rm "$LOOPS/${2##*/}" ;;
*)
	[ "$1" = -r ] && shift
	ln -s "$2" "$LOOPS/${1##*/}"
	;;
esac
END
chmod +x bin/losetup
have_nodes=1
for n in 0 1 2 3 4 5; do
	mknod "dev/loop$n" b 7 $n 2>/dev/null || have_nodes=
done
if [ "$have_nodes" ]; then
	cat >scripts/block <<-END
		#!/bin/sh
		export XENSTORED_PATH=$XENSTORED_PATH PATH=$root/bin:$out/xs:\$PATH
		export LOOPS=$root/loops LOOPDEV=$root/dev
		exec sh $here/../../../dom0-tools/rootfs/etc/xen/scripts/block "\$@"
	END
else
	echo "# no permission to make device nodes: without the real block script"
	cat >scripts/block <<-END
		#!/bin/sh
		export XENSTORED_PATH=$XENSTORED_PATH PATH=$out/xs:\$PATH
		[ "\$1" = add ] || exit 0
		xenstore-write "\$XENBUS_PATH/physical-device" 7:0 "\$XENBUS_PATH/hotplug-status" connected
	END
fi
chmod +x scripts/block

# ip without a kernel: interfaces are directories in net/, those in a bridge have brport/. When
# ip-fails holds n, the n-th call fails.
cat >bin/ip <<'END'
#!/bin/sh
fails=$(cat "$SYS_CLASS_NET/../ip-fails" 2>/dev/null || echo 0)
if [ "$fails" -gt 0 ]; then
	echo $((fails - 1)) >"$SYS_CLASS_NET/../ip-fails"
	[ "$fails" -gt 1 ] || { echo "ip: failed by order of the test" >&2; exit 1; }
fi
routes=$SYS_CLASS_NET/../routes
case "$*" in
"-4 route show match "*)
	# A net that covers it is one that begins with the same three bytes.
	ip=${5%/32}
	grep "^\(${ip%.*}\.0/24\|default\|$ip\) " "$routes"
	exit 0
	;;
"-4 route show "*)
	grep "^${4%/32} " "$routes"
	exit 0
	;;
"-o -4 addr show")
	cat "$SYS_CLASS_NET"/*/addresses
	exit
	;;
"-o -4 addr show dev "*)
	cat "$SYS_CLASS_NET/$6/addresses"
	exit
	;;
"addr add "*)
	echo "9: $5 inet $3 scope global" >>"$SYS_CLASS_NET/$5/addresses"
	exit
	;;
"addr flush "*)
	rm "$SYS_CLASS_NET/$4/addresses"
	exit
	;;
"route add "*)
	shift 2
	echo "${1%/32} $2 $3 $4 $5" >>"$routes"
	exit
	;;
esac
# An interface does not go in the middle of this (fake_backend.c).
exec 9>"$SYS_CLASS_NET/../net-lock" && flock 9 || exit 1
[ "$1 $2 $3" = "link set dev" ] && cd "$SYS_CLASS_NET/$4" || exit 1
[ -e ../../no-conf ] || mkdir -p "$SYS_NET_IPV4/conf/$4"
shift 4
while [ $# -gt 0 ]; do
	case $1 in
	name) mv "$PWD" "${PWD%/*}/$2" && shift ;;
	master) [ -d "../$2/bridge" ] && mkdir brport && shift ;;
	nomaster) rmdir brport ;;
	mtu) echo "$2" >mtu && shift ;;
	arp | multicast | address) shift ;;
	up | down) ;;
	*) exit 1 ;;
	esac || exit 1
	shift
done
END
chmod +x bin/ip
# nft without a kernel: all at once or not at all, in nft/. Chains of the bridges' table are files with their rules, its map's
# elements are files with their verdict; those of its table in the family ip begin with ip-, that family's other tables are files
# with what stands in them. Fails while nft-fails is there.
mkdir nft
cat >bin/nft <<'END'
#!/bin/sh
cd "$SYS_CLASS_NET/../nft" || exit 1
[ "$*" = "-f -" ] || exit 1
cat >../nft-input
[ ! -e ../nft-fails ] || { echo "nft: failed by order of the test" >&2; exit 1; }
rm -rf ../nft-new
cp -r . ../nft-new
cd ../nft-new || exit 1
while read -r verb what family table rest; do
	# shellcheck disable=SC2086
	case "$verb $what $family" in
	"add table bridge" | "add map bridge" | "add table ip" | "add set ip") ;;
	"add chain bridge") : >>"chain-${rest%% *}" ;;
	"flush chain bridge") : >"chain-$rest" ;;
	"destroy chain bridge") rm -f "chain-$rest" ;;
	"add rule bridge") echo "${rest#* }" >>"chain-${rest%% *}" || exit 1 ;;
	"add element bridge" | "destroy element bridge")
		set -- $rest
		element=port-$(echo "$3" | tr -d '"')
		rm -f "$element"
		if [ $verb = add ]; then
			[ -e "chain-$6" ] || exit 1
			echo "$6" >"$element"
		fi
		;;
	"add chain ip") : >>"ip-chain-${rest%% *}" ;;
	"flush chain ip") : >"ip-chain-$rest" ;;
	"add rule ip") echo "${rest#* }" >>"ip-chain-${rest%% *}" || exit 1 ;;
	"add element ip" | "destroy element ip")
		set -- $rest
		element=ip-port-$(echo "$3" | tr -d '"')
		rm -f "$element"
		[ $verb = destroy ] || : >"$element"
		;;
	"destroy table ip") rm -f "table-$table" ;;
	"table ip "*)
		into=table-$family
		: >"$into"
		;;
	*) echo "$verb $what $family $table $rest" >>"$into" || exit 1 ;;
	esac || exit 1
done <../nft-input
rm -rf ../nft-old
mv ../nft ../nft-old && mv ../nft-new ../nft
END
chmod +x bin/nft
for n in bridge route nat; do
	cat >scripts/vif-$n <<-END
		#!/bin/sh
		export XENSTORED_PATH=$XENSTORED_PATH PATH=$root/bin:$out/xs:\$PATH
		export SYS_CLASS_NET=$root/net SYS_NET_IPV4=$root/ipv4 SYS_NET_IPV6=$root/ipv6 XEN_RUN=$root/run
		exec sh $here/../../../dom0-tools/rootfs/etc/xen/scripts/vif-$n "\$@"
	END
done
printf '#!/bin/sh\necho no use >&2\nexit 3\n' >scripts/broken
printf '#!/bin/sh\nexit 0\n' >scripts/silent
chmod +x scripts/*

# shellcheck disable=SC2086
xenstored -F $no_domains --pid-file none --socket "$XENSTORED_PATH" >xenstored.log 2>&1 &
xenstored=$!
pids="$pids $xenstored"
wait_for xenstore-ls / || { cat xenstored.log; exit 1; }
"$out/fake-backend" "$root/log/console" "$root/net" >backend.log 2>&1 &
pids="$pids $!"
check "init-dom0" xl init-dom0

# A first guest, so that directories that stay (/vm, ...) exist in the snapshot.
xl create -q a.cfg >output 2>&1 && xl destroy a
snapshot >before


# Prints the closing line; succeeds if all cases did.
end_of_cases() {
	if grep -l 'ERROR: AddressSanitizer\|runtime error' "$root"/log/*.log "$root"/*.log "$root/output" 2>/dev/null; then
		bad "a sanitizer complained"
	fi
	echo "$cases cases, $failures failed"
	[ $failures = 0 ]
}
