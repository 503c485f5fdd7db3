#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Disks in QEMU's formats: the real xl, hotplug script and sandbox, with a qemu-nbd that reports what it was given and sees
# (fake_qemu_nbd.c) and a kernel's network block devices (fake_nbd.c). Needs root, for the sandbox's name spaces.
# Usage: test_xl_images.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

nbd=$out/sharing/sys/block
rm -rf "$nbd"
mkdir -p "$nbd" "$root/qemu/usr/bin" "$root/qemu/usr/lib"
cp "$out/fake-qemu-nbd" qemu/usr/bin/qemu-nbd
ln -s "$out/fake-xl" bin/block-image
cat >scripts/block-image <<END
#!/bin/sh
export XENSTORED_PATH=$XENSTORED_PATH PATH=$root/bin:$out/xs:\$PATH ASAN_OPTIONS=detect_leaks=0
[ ! -e $root/no-nbd ] || export FAKE_NBD_NONE=1
[ ! -e $root/hasty ] || export HASTY=1
[ ! -e $root/die-\$1 ] || { rm $root/die-\$1; kill -9 \$\$; }
exec $root/bin/block-image "\$@"
END
chmod +x scripts/block-image
echo "qemu_dir = \"$root/qemu\"" >xl.conf

# qcow2 NAME [BACKING [FORMAT]]: an image with a header like qemu-img's, and what fake_qemu_nbd.c is to do as $order
qcow2() {
	/usr/bin/python3 - "$@" <<-'END'
		import os, struct, sys
		name, backing, form = (sys.argv[1:] + ["", ""])[:3]
		b = bytearray(65536)
		b[:104] = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 1024 if backing else 0, len(backing), 16, 1 << 20, 0, 1, 0x30000,
		                      0x10000, 1, 0, 0, 0, 0, 0, 4, 104)
		if form:
		    b[104:112] = struct.pack(">II", 0xe2792aca, len(form))
		    b[112:112 + len(form)] = form.encode()
		b[1024:1024 + len(backing)] = backing.encode()
		order = os.environ.get("order", "").encode()
		b[256:256 + len(order)] = order
		with open(name, "wb") as f:
		    f.write(b)
	END
}
vbd() { echo "/local/domain/0/backend/vbd/$(xl domid "$1")/$2"; }
server() {
	process=$(xenstore-read "$(vbd "$1" "$2")/image/server" 2>/dev/null) && echo "${process%% *}"
}
# Nobody may be there to wait for it.
dead() { [ -n "$1" ] && { [ ! -e "/proc/$1" ] || grep -q '^State:.*Z' "/proc/$1/status"; }; }
# A domain's empty directories for what it has had go with it.
snapshot() {
	xenstore-ls / 2>/dev/null | grep -v ' = ""$'
	xl info | grep -E 'free_pages'
	xl list | awk 'NR > 1 { print $1, $2 }'
	ls "$root/loops"
}
no_device() { [ -z "$(ls "$nbd")" ]; }
reads() { wait_for test -s "$nbd/nbd$1/read" && cat "$nbd/nbd$1/read"; }

qcow2 top.qcow2 base.img raw
qcow2 alone.qcow2
qcow2 cd.qcow2
cp disk.img base.img
chmod 600 alone.qcow2

# --- what is refused before anything is made ---

check "create" xl create -q -w a.cfg
snapshot >before
spec="format=qcow2,vdev=xvdb"
says 1 "disk: $root/disk.img is no qcow2 image" xl block-attach a "$spec,target=$root/disk.img"
says 1 "is based on 'base.img', which it gets only if the configuration says so: backing=PATH" xl block-attach a "$spec,target=$root/top.qcow2"
says 1 "is based on 'base.img', and the configuration says $root/b.img" xl block-attach a "$spec,backing=$root/b.img,target=$root/top.qcow2"
says 1 "is based on nothing, and the configuration has backing=$root/base.img" xl block-attach a "$spec,backing=$root/base.img,target=$root/alone.qcow2"
if [ "$have_nodes" ]; then
	says 1 "not a regular file, as an image is" xl block-attach a "$spec,readonly,target=$root/dev/loop0"
fi
says 1 "format 'qcow2' and backend" xl block-attach a "$spec,backend=x,target=$root/alone.qcow2"
mv qemu/usr/bin/qemu-nbd qemu/nbd
says 1 "there is no $root/qemu/usr/bin/qemu-nbd, where qemu_dir in $root/xl.conf says" xl block-attach a "$spec,target=$root/alone.qcow2"
mv xl.conf conf
if [ ! -e /usr/bin/qemu-nbd ]; then
	says 1 "dom0 has no qemu-nbd, which reads it: on Debian, apt-get install qemu-utils" xl block-attach a "$spec,target=$root/alone.qcow2"
fi
mv conf xl.conf
mv qemu/nbd qemu/usr/bin/qemu-nbd
check "nothing is left" clean

# --- the sandbox, and what runs in it ---

if ! unshare -mnip true 2>/dev/null; then
	echo "# no permission to make name spaces: without the sandbox"
	xl destroy a
	end_of_cases
	exit
fi
touch no-nbd
says 1 "dom0's kernel has no network block devices (nbd)" xl block-attach a "$spec,target=$root/alone.qcow2"
rm no-nbd
check "nothing is left" clean
# As after a login: xl has a session's keyring, of which a sandbox gets nothing.
with_keys() {
	/usr/bin/python3 -c 'import ctypes, os, sys
ctypes.CDLL(None).syscall(250 if os.uname().machine == "x86_64" else 219, 1, None)
os.execv(sys.argv[1], sys.argv[1:])' "$out/fake-xl" "$@"
}
check "attach" with_keys block-attach a "$spec,target=$root/alone.qcow2"
check "it is read through the device" reads 0
grep -v '^json' output >report
says 0 "root=bin,dev,image0,lib,lib64,usr pid=1 uid=1 gid=1 groups=0 " cat report
says 0 " fds=5 as=768 threads=128 mount=0 chroot=0 usr=0 net=0 null=1 etc=0 proc=0 keys=0 0=w users=0" cat report
says 0 '--discard=unmap --cache=writeback json:{"driver": "qcow2", "read-only": false, "discard": "unmap", "file": {"driver": "file", "filename": "/image0", "read-only": false, "discard": "unmap"}, "backing": null}' cat report
says 0 "1048576 0x25" cat "$nbd/nbd0/export"
says 0 "pavise $(vbd a 51728) f:$(stat -c %d:%i alone.qcow2)" cat "$nbd/nbd0/backend"
says 0 "/dev/nbd0" xenstore-read "$(vbd a 51728)/node"
says 0 "2b:0" xenstore-read "$(vbd a 51728)/physical-device"
pid=$(server a 51728)
says 0 "0" cat "/proc/$pid/oom_score_adj"
says 0 "NoNewPrivs:	1" cat "/proc/$pid/status"
says 0 "CapEff:	0000000000000002" cat "/proc/$pid/status"
says 0 "CapBnd:	0000000000000002" cat "/proc/$pid/status"
check "it sees no other mounts" sh -c "! grep -v ' / / \| /usr \| /image0 \| /dev/null \| - tmpfs tmpfs ro\| /etc' /proc/$pid/mountinfo"
"$out/fake-xl" block-list -l a >json
says 0 '"format": "qcow2"' cat json
says 0 '"device": "/dev/nbd0"' cat json
says 0 '"format": "qcow2"' xl list -l a
says 1 "in use by domain 'a'" xl create -q b.cfg "disk=['format=qcow2,vdev=xvda,target=$root/alone.qcow2']"
says 1 "in use by domain 'a'" xl create -q b.cfg "disk=['$root/alone.qcow2,raw,xvda,r']"
says 1 "is a qcow2 image, whose size nobody can change while it is used" xl block-resize a xvdb
check "detach" xl block-detach a xvdb
check "what it wrote last is there" grep -q flushed alone.qcow2
check "no device" no_device
check "no process" dead "$pid"
check "nothing is left" clean

# --- based on another file ---

check "attach" xl block-attach a "$spec,backing=$root/base.img,target=$root/top.qcow2"
reads 0 >report
says 0 " 0=w 1=r" cat report
says 0 '"backing": {"driver": "raw", "read-only": true, "discard": "unmap", "file": {"driver": "file", "filename": "/image1", "read-only": true, "discard": "unmap"}}}' cat report
says 1 "in use by domain 'a'" xl block-attach a "vdev=xvdc,target=$root/base.img"
qcow2 top2.qcow2 "$root/base.img" raw
check "two are based on one" xl block-attach a "format=qcow2,vdev=xvdc,backing=$root/base.img,target=$root/top2.qcow2"
check "and it may be read" xl block-attach a "vdev=xvdd,readonly,target=$root/base.img"
says 1 "in use by domain 'a'" xl create -q b.cfg "disk=['$root/base.img,raw,xvda,w']"
for d in xvdb xvdc xvdd; do
	check "detach" xl block-detach a $d
done
check "a writer has it" xl block-attach a "vdev=xvdd,target=$root/base.img"
says 1 "in use by domain 'a'" xl block-attach a "$spec,backing=$root/base.img,target=$root/top.qcow2"
check "detach" xl block-detach a xvdd
check "nothing is left" clean

# --- read only, CDs ---

check "attach" xl block-attach a "$spec,readonly,target=$root/alone.qcow2"
reads 0 >report
says 0 " 0=r" cat report
says 0 "--read-only" cat report
check "two may read it" xl block-attach a "format=qcow2,vdev=xvdc,readonly,target=$root/alone.qcow2"
check "detach" xl block-detach a xvdb
check "detach" xl block-detach a xvdc
check "a drive" xl block-attach a devtype=cdrom,vdev=xvdb
check "cd-insert" xl cd-insert a xvdb "qcow2:$root/cd.qcow2"
check "cd-insert of a raw one" xl cd-insert a xvdb "$root/disk.img"
check "cd-insert" xl cd-insert a xvdb "qcow2:$root/cd.qcow2"
check "detach" xl block-detach a xvdb
check "no device" no_device
check "nothing is left" clean

# --- servers that misbehave ---

order=fail qcow2 fail.qcow2
says 1 "qemu-nbd: it is " xl block-attach a "$spec,target=$root/fail.qcow2"
check "its bytes are not printed raw" sh -c "! grep -q \$(printf '\033') output"
order=mute qcow2 mute.qcow2
touch hasty
says 1 "qemu-nbd does not answer within 1 s" xl block-attach a "$spec,target=$root/mute.qcow2"
rm hasty
order=short qcow2 short.qcow2
says 1 "too small for a disk (0 bytes)" xl block-attach a "$spec,target=$root/short.qcow2"
order=huge qcow2 huge.qcow2
says 1 "too large for a disk (9223372036854775808 bytes)" xl block-attach a "$spec,target=$root/huge.qcow2"
check "no device" no_device
check "nothing is left" clean
order=stay qcow2 stay.qcow2
check "attach" xl block-attach a "$spec,target=$root/stay.qcow2"
pid=$(server a 51728)
check "detach" xl block-detach a xvdb
check "it was killed" dead "$pid"
says 0 "qemu-nbd does not end: killed" cat log/xen-hotplug.log
check "nothing is left" clean

# --- two cut the same one, and its number becomes another disk's in between ---

check "attach" xl block-attach a "$spec,target=$root/alone.qcow2"
cutter() { XENBUS_PATH=$(vbd a 51728) scripts/block-image remove 2>>cutters; }
touch "$nbd/slow"
cutter &
cutpid=$!
wait_for grep -q . "$nbd/nbd0/error"
rm "$nbd/slow"
cutter
check "attach another" xl block-attach a "format=qcow2,vdev=xvdc,target=$root/cd.qcow2"
wait $cutpid
says 0 "pavise $(vbd a 51744)" cat "$nbd/nbd0/backend"
check "detach" xl block-detach -f a xvdb
check "detach" xl block-detach a xvdc
check "no device" no_device
check "nothing is left" clean

# --- one that dies under a guest ---

check "attach" xl block-attach a "$spec,target=$root/alone.qcow2"
kill -9 "$(server a 51728)"
lost() { "$out/fake-xl" block-list -l a | grep -q '"lost": "its qemu-nbd has ended"'; }
check "it is noticed" wait_for lost
check "the kernel's end is cut" no_device
says 0 '"event": "backend-lost"' grep 'its qemu-nbd has ended' log/events.jsonl
check "the other disk is not" sh -c "'$out/fake-xl' block-list -l a | grep -q '\"lost\": null'"
check "detach" xl block-detach -f a xvdb
check "nothing is left" clean
check "attach again" xl block-attach a "$spec,target=$root/alone.qcow2"
kill -STOP "$(server a 51728)"
pid=$(server a 51728)
check "destroy with one that is stopped" xl destroy a
check "it is gone" dead "$pid"
check "no device" no_device

# --- xl killed in the middle ---

check "create" xl create -q -w a.cfg
snapshot >before
touch hasty
"$out/fake-xl" block-attach a "$spec,target=$root/mute.qcow2" 2>/dev/null &
xlpid=$!
wait_for server a 51728
pid=$(server a 51728)
kill -9 $xlpid
check "the script undoes it" wait_for dead "$pid"
rm hasty
check "what is left goes" xl block-detach -f a xvdb
check "nothing is left" clean

# --- the script killed when it is to end the server ---

check "attach" xl block-attach a "$spec,target=$root/alone.qcow2"
pid=$(server a 51728)
touch die-remove
check "detach" xl block-detach a xvdb
check "no process" dead "$pid"
check "no device" no_device
check "nothing is left" clean

# --- a life, a reboot and an end ---

xl destroy a
cat >boot.cfg <<END
name = "boot"
kernel = "$root/Image"
memory = 16
disk = [ "format=qcow2, vdev=xvda, access=rw, target=$root/alone.qcow2" ]
END
says 0 "format=qcow2, vdev=xvda, access=rw, target=$root/alone.qcow2" xl create -n boot.cfg
check "create" xl create -q boot.cfg
booted() { [ "$(grep -c '"event": "rebooted".*"boot"' log/events.jsonl)" = 2 ]; }
check "it reboots twice" wait_for booted
check "with one device" wait_for sh -c "[ \"\$(ls '$nbd')\" = nbd0 ]"
# The second life's may be there still.
its_process() { pid=$(server boot 51712) && kill -0 "$pid"; }
check "its process" wait_for its_process
check "destroy" xl destroy boot
check "no device" no_device
check "no process" dead "$pid"
end_of_cases
