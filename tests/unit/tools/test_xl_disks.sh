#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Disks of a running guest: block-attach, -detach, -list, -resize, CD drives, scripts of one's own. The real xl, xenstored and
# block script against a pretended hypervisor (fake_pv.c) and pretended guests (fake_backend.c).
# Usage: test_xl_disks.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

schema=$here/../../../docs/schema/block-list.json
[ "$have_nodes" ] || echo "# without device nodes no disk's bytes are compared"
for n in more cd1 cd2; do
	cp disk.img $n.img
done
# fits SCHEMA: the JSON on stdin is what docs/schema says
fits() {
	/usr/bin/python3 -c 'import json, jsonschema, sys
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
jsonschema.Draft7Validator(schema).validate(json.load(sys.stdin))' "$1"
}
vbd() { echo "/local/domain/0/backend/vbd/$(xl domid "$1")/$2"; }
json() { "$out/fake-xl" block-list -l "$@" >json; }

# --- help and wrong use ---

for verb in block-attach block-detach block-resize block-list cd-insert cd-eject; do
	says 0 "Usage: xl [-v] $verb" xl help $verb
	says 2 "Usage: xl [-v] $verb" xl $verb
	says 2 "Usage: xl [-v] $verb" xl $verb --colour
done
says 2 "Usage: xl [-v] block-attach" xl block-attach a
says 2 "Usage: xl [-v] block-detach" xl block-detach a
says 2 "Usage: xl [-v] block-detach" xl block-detach a xvdb xvdc
says 2 "Usage: xl [-v] cd-insert" xl cd-insert a xvdc
says 1 "'nobody' is an invalid domain identifier" xl block-attach nobody "$root/more.img,raw,xvdb,w"
says 1 "'nobody' is an invalid domain identifier" xl block-detach nobody xvda
says 1 "'nobody' is an invalid domain identifier" xl block-resize nobody xvda
says 1 "'nobody' is an invalid domain identifier" xl block-list nobody
says 1 "'nobody' is an invalid domain identifier" xl cd-insert nobody xvdc "$root/cd1.img"
says 1 "'nobody' is an invalid domain identifier" xl cd-eject nobody xvdc
says 1 "cannot attach a disk to domain 0" xl block-attach 0 "$root/more.img,raw,xvdb,w"
says 1 "cannot detach a disk of domain 0" xl block-detach 0 xvdb

# --- attach and detach ---

check "create" xl create -q a.cfg
says 1 "command line:1: disk: unknown key 'colour' in 'colour=blue'" xl block-attach a colour=blue
says 1 "command line:1: disk: no vdev" xl block-attach a "target=$root/more.img"
says 1 "command line:1: disk: format 'vhdx' is not supported, only raw, qcow2" xl block-attach a format=vhdx vdev=xvdb "target=$root/more.img"
says 1 "command line:1: disk: $root/none: No such file or directory" xl block-attach a vdev=xvdb "target=$root/none"
says 1 "too small for a disk" xl block-attach a vdev=xvdb "target=$root/text"
says 1 "has a disk xvda already" xl block-attach a vdev=xvda "target=$root/more.img"
says 1 "backend 'other': there is no such domain" xl block-attach a vdev=xvdb backend=other "target=$root/more.img"
if [ "$have_nodes" ]; then
	says 1 "disk: $root/a.img: in use by domain 'a'" xl block-attach a vdev=xvdb "target=$root/a.img"
	check "that is all it says" [ "$(wc -l <output)" = 1 ]
fi
check "a refused disk leaves no node" [ "$(xenstore-list "/local/domain/0/backend/vbd/$(xl domid a)")" = 51712 ]
check "attach, as Xen's manual has it" xl block-attach a "file:$root/more.img" xvdb w
says 0 "51728 0   " xl block-list a
says 0 "$root/more.img" xenstore-read "$(vbd a 51728)/params"
says 1 "has a disk xvdb already" xl block-attach a vdev=xvdb "target=$root/b.img"
if [ "$have_nodes" ]; then
	says 1 "disk: $root/more.img: in use by domain 'a'" xl create -q b.cfg "disk=['$root/more.img,raw,xvda,w']"
fi
check "it is used" wait_for sh -c "'$out/fake-xl' block-list a | grep -q '^51728 .* 4 '"
check "block-list -l" json a
check "its JSON is what the schema says" fits "$schema" <json
says 0 '"vdev": "xvdb"' cat json
says 0 "\"target\": \"$root/more.img\"" cat json
check "--json is the same" sh -c "'$out/fake-xl' block-list --json a | cmp - json"
json nobody a
check "one that is not there leaves the JSON whole" fits "$schema" <json
says 1 "'xvd' is no virtual disk" xl block-detach a xvd
says 1 "has no disk 'xvdc'" xl block-detach a xvdc
check "detach by name" xl block-detach a xvdb
says 1 "has no disk 'xvdb'" xl block-detach a xvdb
check "its nodes are gone" sh -c "! xenstore-ls '$(vbd a 51728)'"
check "attach with keys" xl block-attach a vdev=xvdb readonly no-discard direct-io-safe "target=$root/more.img"
says 0 "r" xenstore-read "$(vbd a 51728)/mode"
says 0 "0" xenstore-read "$(vbd a 51728)/discard-enable"
says 0 "1" xenstore-read "$(vbd a 51728)/direct-io-safe"
says 0 "1" xenstore-read "$(vbd a 51712)/discard-enable"
check "detach by number" xl block-detach a 51728
check "26 disks in a row" sh -c "
	for n in b c d e f g h i j k l m n o p q r s t u v w x y z aa; do
		'$out/fake-xl' block-attach a vdev=xvd\$n readonly target=$root/more.img || exit 1
		'$out/fake-xl' block-detach a xvd\$n || exit 1
	done"
check "the configuration's own disk, by hexadecimal number" xl block-detach a 0xca00
says 0 "Vdev  BE" xl block-list a
check "no disk: an empty list" sh -c "'$out/fake-xl' block-list -l a | tr -d '\n' | grep -qx '\[\]'"
# What a guest has written onto its disk does not decide what its disk is: a header of qcow2 (or of what else has one) that
# names another file as its backing file. The guest gets these bytes, and is nowhere given that file's.
header() {
	printf 'QFI\373\0\0\0\003\0\0\0\0\0\0\0\150\0\0\0\%03o\0\0\0\020\0\0\0\0\0\020\0\0' "${#1}"
	head -c 72 /dev/zero
	printf '%s' "$1"
}
header "$root/text" | dd of=more.img conv=notrunc 2>/dev/null
sum=$(sha256sum <more.img)
for form in "format=raw,vdev=xvdb,target=$root/more.img" "$root/more.img,,xvdb,w" "file:$root/more.img,xvdb,w" "phy:$root/more.img,xvdb,w"; do
	says 0 "$root/more.img begins as a qcow2 image does, and the guest gets it as it is" xl block-attach a "$form"
	check "the back end has that file" [ "$(xenstore-read "$(vbd a 51728)/params" "$(vbd a 51728)/type" | tr '\n' ' ')" = "$root/more.img phy " ]
	if [ "$have_nodes" ]; then
		check "as it is" [ "$(readlink loops/*)" = "$root/more.img" ]
	fi
	check "detach" xl block-detach a xvdb
done
check "and nobody wrote to it" [ "$(sha256sum <more.img)" = "$sum" ]
cp disk.img more.img
for format in qcow2 qed vdi vmdk vhd; do
	says 1 "disk: $root/more.img is no $format image" xl block-attach a "format=$format,vdev=xvdb,target=$root/more.img"
	says 1 "disk: $root/more.img is no $format image" xl block-attach a "tap:$format:$root/more.img,xvdb,w"
done
# one_of COMMAND...: of two of it at the same moment, one succeeds
one_of() {
	"$out/fake-xl" "$@" 2>first &
	p=$!
	"$out/fake-xl" "$@" 2>second
	s=$?
	wait $p
	[ $((s + $?)) = 1 ]
}
check "one of two at once gets the name" one_of block-attach a vdev=xvdb readonly "target=$root/more.img"
says 0 "has a disk xvdb already" cat first second
check "one of two at once takes it away" one_of block-detach a xvdb
says 0 "has no disk 'xvdb'" cat first second
check "another guest" xl create -q b.cfg
"$out/fake-xl" block-attach b vdev=xvdb "target=$root/more.img" 2>second &
p=$!
"$out/fake-xl" block-attach a vdev=xvdb "target=$root/more.img" 2>first
s=$?
wait $p
check "one of two guests gets the image" [ $((s + $?)) = 1 ]
says 0 "in use by domain" cat first second
xl destroy a b
check "nothing is left" clean

# --- a guest that does not let go ---

check "create" xl create -q a.cfg name=\"late\" "disk=['$root/more.img,raw,xvda,w']" vif=[]
check "a driver connects over what it was asked, and is asked again" xl block-detach late xvda
check "destroy" xl destroy late
check "create" xl create -q deaf.cfg
check "it is used" wait_for sh -c "'$out/fake-xl' block-list deaf | grep -q '^51712 .* 4 '"
says 1 "has not let go of disk xvda in 1 s: it stays, and the guest goes on using it" hasty block-detach deaf xvda
says 0 "51712" xl block-list deaf
says 0 "4" xenstore-read "$(vbd deaf 51712)/state"
says 0 "1" xenstore-read "$(vbd deaf 51712)/online"
check "pause" xl pause deaf
says 1 "in 1 s (it is paused): it stays" hasty block-detach deaf xvda
check "unpause" xl unpause deaf
fe=/local/domain/$(xl domid deaf)/device/vbd/51712
xenstore-write "$fe/state" 5
says 1 "it goes when those who use it in the guest are done; ask again then" hasty block-detach deaf xvda
says 0 "0" xenstore-read "$(vbd deaf 51712)/online"
xenstore-write "$fe/state" 6
check "then it goes" xl block-detach deaf xvda
check "a disk" sh -c "'$out/fake-xl' pause deaf && '$out/fake-xl' block-attach deaf vdev=xvdb target=$root/more.img"
# The pretended guest takes it, paused or not; only then it stays as it is told.
check "which it has" wait_for sh -c "xenstore-read ${fe%/*}/51728/state | grep -q 4"
xenstore-write "${fe%/*}/51728/state" 1
check "one that the guest has not taken goes at once" xl block-detach deaf xvdb
check "unpause" xl unpause deaf
check "attach" xl block-attach deaf vdev=xvdb "target=$root/more.img"
check "it is used" wait_for sh -c "'$out/fake-xl' block-list deaf | grep -q '^51728 .* 4 '"
check "without asking" xl block-detach --force deaf xvdb
xl destroy deaf
check "nothing is left" clean
says 1 "it is kept as domain" xl create -q -w crash.cfg 'on_crash="preserve"' 'disk=[]'
says 1 "has ended: there is nobody to attach xvdb to" xl block-attach crash vdev=xvdb "target=$root/more.img"
xl destroy crash
check "nothing is left" clean

# --- CD drives ---

check "a guest with an empty drive" xl create -q a.cfg "disk=['$root/a.img,raw,xvda,w','vdev=xvdc,cdrom']"
says 0 "51744 0   $(printf %-6s "$(xl domid a)") -     -      -        (empty)" xl block-list a
json a
check "its JSON is what the schema says" fits "$schema" <json
says 1 "has a disk xvdc already" xl block-attach a vdev=xvdc "target=$root/more.img"
check "ejecting nothing is fine" xl cd-eject a xvdc
says 1 "'xvda' of domain $(xl domid a) is no CD drive" xl cd-insert a xvda "$root/cd1.img"
says 1 "'xvda' of domain $(xl domid a) is no CD drive" xl cd-eject a xvda
says 1 "'xvd' is no virtual disk" xl cd-eject a xvd
says 1 "there is no name of an image" xl cd-insert a xvdc ""
says 1 "$root/none: No such file or directory" xl cd-insert a xvdc "$root/none"
check "insert" xl cd-insert a xvdc "$root/cd1.img"
says 0 "r" xenstore-read "$(vbd a 51744)/mode"
says 0 "cdrom" xenstore-read "$(vbd a 51744)/device-type"
says 0 "disk" xenstore-read "/local/domain/$(xl domid a)/device/vbd/51744/device-type"
json a
check "its JSON is what the schema says" fits "$schema" <json
says 0 '"cdrom": true' cat json
says 1 "$root/none: No such file or directory" xl cd-insert a xvdc "$root/none"
says 0 "$root/cd1.img" xenstore-read "$(vbd a 51744)/params"
check "another one in its place" xl cd-insert a xvdc "$root/cd2.img"
says 0 "$root/cd2.img" xenstore-read "$(vbd a 51744)/params"
if [ "$have_nodes" ]; then
	says 1 "the CD drive xvdc of domain $(xl domid a) is empty now" xl cd-insert a xvdc "$root/a.img"
	says 0 "(empty)" xl block-list a
fi
check "eject" xl cd-eject a xvdc
says 0 "(empty)" xl block-list a
check "the drive itself can go" xl block-detach a xvdc
says 1 "is no CD drive" xl cd-insert a xvdc "$root/cd1.img"
check "and come again, with a medium" xl block-attach a vdev=xvdc cdrom "target=$root/cd1.img"
check "detach takes both" xl block-detach a xvdc
says 1 "is no CD drive" xl cd-eject a xvdc
xl destroy a
check "nothing is left" clean
check "a medium that is not let go of" xl create -q deaf.cfg "disk=['vdev=xvdc,cdrom,target=$root/cd1.img']"
check "it is used" wait_for sh -c "'$out/fake-xl' block-list deaf | grep -q '^51744 .* 4 '"
says 1 "has not let go of disk xvdc" hasty cd-insert deaf xvdc "$root/cd2.img"
says 0 "$root/cd1.img" xenstore-read "$(vbd deaf 51744)/params"
xl destroy deaf
check "nothing is left" clean

# --- scripts of one's own ---

# The target is the device's number.
cat >scripts/mine <<-END
	#!/bin/sh
	export XENSTORED_PATH=$XENSTORED_PATH PATH=$out/xs:\$PATH
	echo "\$1 \$(xenstore-read "\$XENBUS_PATH/params")" >>$root/mine.log
	[ "\$1" = add ] || exit 0
	xenstore-write "\$XENBUS_PATH/physical-device" "\$(xenstore-read "\$XENBUS_PATH/params")" "\$XENBUS_PATH/hotplug-status" connected
END
printf '#!/bin/sh\nexport XENSTORED_PATH=%s PATH=%s:$PATH\n[ "$1" != add ] || xenstore-write "$XENBUS_PATH/hotplug-status" connected\n' \
	"$XENSTORED_PATH" "$out/xs" >scripts/forgets
chmod +x scripts/mine scripts/forgets
says 1 "the script $root/scripts/none cannot be run" xl create -q a.cfg "disk=['vdev=xvda,script=none,target=x']"
says 1 "x: forgets has written no physical-device" xl create -q a.cfg "disk=['vdev=xvda,script=forgets,target=x']"
says 1 "$root/scripts/silent failed" xl create -q a.cfg "disk=['vdev=xvda,script=silent,target=x']"
check "nothing is left" clean
check "create" xl create -q a.cfg "disk=['vdev=xvda,script=mine,target=fd:1']"
says 0 "b:253:1" xenstore-read "$(vbd a 51712)/sharing-key"
says 1 "fd:1: in use by domain 'a'" xl create -q b.cfg "disk=['vdev=xvda,script=mine,target=fd:1']"
check "a second one" xl create -q b.cfg "disk=['vdev=xvda,script=mine,target=fd:2']"
says 1 "fd:2: in use by domain 'b'" xl block-attach a vdev=xvdb script=mine target=fd:2
says 0 "-b----" xl list a
says 1 "has no disk 'xvdb'" xl block-detach a xvdb
check "attach" xl block-attach a vdev=xvdb script="$root/scripts/mine" target=fd:3
says 0 "-b----" xl list a
says 1 "has not said which device it is" xl block-resize a xvdb
printf '#!/bin/sh\n[ "$1" != add ] || { : >%s/begun; sleep 1; }\nexec %s/scripts/mine "$1"\n' "$root" "$root" >scripts/slow
chmod +x scripts/slow
"$out/fake-xl" block-attach a vdev=xvdd script=slow target=fd:4 &
p=$!
wait_for test -e begun
says 0 "-bp---" xl list a
kill -TERM $p
wait $p
says 0 "-b----" xl list a
check "detach" xl block-detach a xvdd
check "detach" xl block-detach a xvdb
says 0 "remove fd:3" tail -n 1 mine.log
xl destroy a b
check "nothing is left" clean

# --- growing: the real thing needs a kernel (tests/system/test_hotplug_disks.py) ---

check "create" xl create -q lost.cfg
says 1 "has no disk 'xvdb'" xl block-resize lost xvdb
says 1 "'disk' is no virtual disk" xl block-resize lost disk
check "its back end gives up" wait_for sh -c "'$out/fake-xl' block-list lost | grep -q '^51712 .* 6 '"
says 1 "the back end of xvda is lost: pretended" xl block-resize lost xvda
check "a lost disk can be detached" xl block-detach lost xvda
xl destroy lost
check "nothing is left" clean

# --- scripts, one after the other ---

cat >hold.py <<-END
	import fcntl, sys, time
	f = open("$root/run/block-script.lock", "w")
	fcntl.flock(f, fcntl.LOCK_EX)
	f.write("4242\n")
	f.flush()
	open("$root/holding", "w").close()
	time.sleep(float(sys.argv[1]))
END
hold() {
	rm -f holding
	/usr/bin/python3 hold.py "$1" &
	holder=$!
	wait_for test -e holding
}
xl destroy a >output 2>&1
check "create" xl create -q a.cfg
hold 60
says 1 "the scripts of other disks are still not done after 3 s (the last one is process 4242)" \
	hasty block-attach a "$root/more.img,raw,xvdb,w"
check "that disk is not there" [ "$(xenstore-list "/local/domain/0/backend/vbd/$(xl domid a)")" = 51712 ]
kill $holder
check "a holder that died holds nothing" xl block-attach a "$root/more.img,raw,xvdb,w"
hold 1
check "one that ends is waited for" xl block-detach a xvdb
wait $holder 2>/dev/null
hold 60
check "what has no loop device to choose does not wait" xl network-attach a
kill $holder

# A script that is killed right behind losetup
if [ "$have_nodes" ]; then
	cp bin/losetup losetup.real
	printf '#!/bin/sh\nsh %s/losetup.real "$@" || exit\n[ "$1" = -f ] || [ "$1" = -d ] || kill -9 $PPID\n' "$root" >bin/losetup
	says 1 "failed, see" xl block-attach a "$root/more.img,raw,xvdb,w"
	cp losetup.real bin/losetup
	check "its loop device is not left" [ "$(ls loops | wc -l)" = 1 ]
fi
xl destroy a
check "nothing is left" clean

end_of_cases
