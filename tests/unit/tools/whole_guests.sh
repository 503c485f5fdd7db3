# SPDX-License-Identifier: BSD-2-Clause
# dom0's kernel as sysfs shows it, for guests that are left whole with their devices; to be sourced after xl_lib.sh, before two_hosts.sh.
# fake_backend.c serves it. Owns what a guest is that has something to lose.
# shellcheck shell=sh disable=SC2154
mkdir -p "$root/sysbackend/devices" "$root/sysbackend/drivers/vbd" "$root/sysbackend/drivers/vif"
for n in vbd/bind vbd/unbind vif/bind vif/unbind; do mkfifo "$root/sysbackend/drivers/$n"; done
: >"$root/sysbackend/ready"

# make_config NAME: a disk, a drive, two interfaces
make_config() {
	cat >"$1.cfg" <<-END
		name = "$1"
		kernel = "$root/Image"
		memory = 16
		on_reboot = "destroy"
		disk = [ "format=raw, vdev=xvda, access=rw, target=$sockets/$1.img", "vdev=xvdc, devtype=cdrom, target=" ]
		vif = [ "mac=00:16:3e:00:00:01,rate=10Mb/s@20ms", "bridge=xenbr0,vifname=lan-$1" ]
	END
	cp disk.img "$sockets/$1.img"
}

# WITH is how a program is run there: nothing, or over
fe() { $2 xenstore-read "/local/domain/$($2 "$out/fake-xl" domid "$1")/$3"; }
be() { $2 xenstore-read "/local/domain/0/backend/$3/$($2 "$out/fake-xl" domid "$1")/$4"; }

# mark NAME [WITH]: what its front ends and its programs have written, and what they watch; its own number is in both
mark() {
	id=$(${2-} "$out/fake-xl" domid "$1")
	home=/local/domain/$id
	for n in device/vbd/51712/ring-ref=8 device/vbd/51712/event-channel=3 device/vif/0/tx-ring-ref=9 device/vif/1/multi-queue-num-queues=2 data/count=12345 data/a/b=x; do
		${2-} xenstore-write "$home/${n%%=*}" "${n#*=}"
		${2-} xenstore-chmod "$home/${n%%=*}" "n$id"
	done
	${2-} xenstore-write "$home/data/dom0s" theirs
	${2-} xenstore-chmod "$home/data/dom0s" n0 "r$id"
	${2-} xenstore-control watch-add "$id" control/shutdown "its token" >/dev/null
	${2-} xenstore-control watch-add "$id" "/local/domain/0/backend/vbd/$id/51712/state" "vbd's" >/dev/null
	born=$id
}

# as_marked NAME [WITH]: all of it is there, as it spelled it when it was born
as_marked() {
	id=$(${2-} "$out/fake-xl" domid "$1") || return 1
	for n in device/vbd/51712/ring-ref=8 device/vbd/51712/event-channel=3 device/vif/0/tx-ring-ref=9 device/vif/1/multi-queue-num-queues=2 data/count=12345 data/a/b=x data/dom0s=theirs; do
		[ "$(${2-} xenstore-read "/local/domain/$id/${n%%=*}")" = "${n#*=}" ] || { echo "$n"; return 1; }
	done
	${2-} xenstore-ls -p "/local/domain/$id/data" | grep 'count = "12345"' | grep -q "(n$id)" || return 1
	${2-} xenstore-control connection "$id" | grep -q "watches 2 " || return 1
	watches=$(${2-} xenstore-control watch "$id" 0; ${2-} xenstore-control watch "$id" 1)
	echo "$watches" | grep -q -- "-1 control/shutdown" && echo "$watches" | grep -q "its token" &&
		echo "$watches" | grep -q "/local/domain/0/backend/vbd/$born/51712/state" && echo "$watches" | grep -q "vbd's"
}

# joined NAME [WITH]: each end of each device is connected, with a driver, and nobody thinks otherwise
joined() {
	id=$(${2-} "$out/fake-xl" domid "$1") || return 1
	for n in vbd/51712 vif/0 vif/1; do
		[ "$(${2-} xenstore-read "/local/domain/$id/device/$n/state")" = 4 ] || { echo "front end $n"; return 1; }
		[ "$(${2-} xenstore-read "/local/domain/0/backend/${n%/*}/$id/${n#*/}/state")" = 4 ] || { echo "back end $n"; return 1; }
		${2-} test -d "$root/sysbackend/devices/${n%/*}-$id-${n#*/}/driver" || { echo "driver of $n"; return 1; }
	done
	! ${2-} xenstore-read "/tool/pavise/$id/drained" 2>/dev/null || return 1
	! ${2-} xenstore-ls "/tool/pavise/$id/lost" 2>/dev/null | grep . || return 1
	${2-} test -d "$root/net/vif$id.0/brport" && ${2-} test -d "$root/net/lan-$1/brport"
}
# nothing of what was written for xenstored, or left with the kernel
nothing_left() {
	for n in "$root"/run/leaves.* "$root"/run/comes.* "$root"/sysbackend/devices/*; do
		[ ! -e "$n" ] || { echo "$n"; return 1; }
	done
}
