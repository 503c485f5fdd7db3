#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A guest's kernel from its own disk, up to what the throw-away guest leaves: that guest is pretended, and leaves what it likes.
# Usage: test_xl_bootloader.sh <directory where the tests were built>.
# Owns the proof that xl believes nothing of it, and that nothing is left of it whatever step fails.
export BOOT_HOOK="$1/root/hook"
. "$(dirname -- "$0")/xl_lib.sh"

cat >xl.conf <<-END
	bootloader_kernel = "$root/Image"
	bootloader_ramdisk = "$root/text"
	bootloader_dir = "$root/boot"
	bootloader_limit = 4
END
cat >own.cfg <<-END
	name = "own"
	bootloader = "/usr/bin/pygrub"
	memory = 16
	extra = "more"
	disk = [ "format=raw, vdev=xvda, access=rw, target=$root/a.img" ]
END

# result FOUND KERNEL_BYTES RAMDISK_BYTES CMDLINE WHAT: dom0-tools/boot/result.h
result() {
	python3 - "$@" <<-'END'
		import os, struct, sys
		found, kernel, ramdisk = map(int, sys.argv[1:4])
		cmdline, what = (a.encode().decode("unicode_escape").encode("latin-1") for a in sys.argv[4:6])
		with open("wanted", "wb") as f:
		    f.write(struct.pack("<8sIIQQ", b"PVBOOT1", found, 0, kernel, ramdisk) + cmdline.ljust(1024, b"\0") + what.ljust(512, b"\0"))
	END
}
# The guest: what is in "wanted" goes to its disks
cat >hook <<-END
	cd $root
	set -- boot/\${1%.boot}.*
	cat Image | dd of=\$1/kernel conv=notrunc 2>/dev/null
	echo ramdisk | dd of=\$1/ramdisk conv=notrunc 2>/dev/null
	dd if=wanted of=\$1/result conv=notrunc 2>/dev/null
	ls -s \$1 >>seen
	exit \$(cat status 2>/dev/null || echo 0)
END
size=$(stat -c %s Image)
nothing_left() { clean && [ -z "$(ls boot)" ]; }

result 1 "$size" 8 "root=/dev/xvda1" "xvda1: extlinux.conf: First\\x1b[6n"
says 0 "own: boots xvda1: extlinux.conf: First^[[6n" xl create -q own.cfg
check "menu's command line, and the configuration's" sh -c 'xenstore-ls -f /vm | grep -q "image/cmdline = \"root=/dev/xvda1 more\""'
check "as much is left as was found" grep -q "^1024 kernel" seen
check "the files are gone once the guest is built" [ -z "$(ls boot)" ]
says 1 "own.cfg:1: name: a domain called 'own' exists already" xl create -q own.cfg
# Its next life's kernel is read again.
result 1 "$size" 0 "second" "another"
xl reboot -w own >output 2>&1
check "second life" wait_for sh -c 'xenstore-ls -f /vm | grep -q "image/cmdline = \"second more\""'
wait_for sh -c "$out/fake-xl list own | grep -q -- -b----"
# And if there is none it stays down.
result 0 0 0 "" "its disk is empty"
xl reboot own >output 2>&1
check "no further life" wait_for gone own
check "and xl's log says why" grep -q "no kernel: its disk is empty" "$root/log/xl-own.log"
check "nothing is left" nothing_left

# --- what the guest leaves ---

says 1 "own.cfg:2: bootloader: $root/a.img: no kernel: its disk is empty" xl create -q own.cfg
makes_no_sense() {
	says 1 "own: bootloader: what 'own.boot' left makes no sense" xl create -q own.cfg
}
head -c 4096 /dev/zero >wanted
makes_no_sense
result 1 4194305 0 "" ""
makes_no_sense
result 1 "$size" 18446744073709551615 "" ""
makes_no_sense
result 1 0 0 "" ""
makes_no_sense
result 1 "$size" 0 "$(head -c 1024 /dev/zero | tr '\0' x)" ""
makes_no_sense
result 0 0 0 "" "$(head -c 512 /dev/zero | tr '\0' x)"
makes_no_sense
result 1 "$size" 0 "$(head -c 1020 /dev/zero | tr '\0' x)" ""
says 1 "own: bootloader: the command line is longer than 1023 bytes" xl create -q own.cfg
# A kernel that is none is what it always is.
result 1 32 0 "" "half a header"
says 1 "not a RISC-V Image: the file is shorter" xl create -q own.cfg
echo 1 >status
says 1 "the guest that reads its disk ended (crash)" xl create -q own.cfg
echo 3 >status
says 1 "own: bootloader: its disk was not read within 3 s" xl create -q own.cfg
check "nothing is left" nothing_left
# Ctrl-C while it reads
"$out/fake-xl" create -q own.cfg >output 2>&1 &
pid=$!
wait_for xl domid own.boot
kill -INT $pid
wait $pid
check "interrupted: nothing is left" nothing_left
# xl is killed while it reads: what is left ends, and the next one takes it away.
"$out/fake-xl" create -q own.cfg >output 2>&1 &
pid=$!
wait_for sh -c '[ -e seen-3 ] || { xenstore-ls -f /tool/pavise | grep -q /bootloader; }'
kill -KILL $pid
wait $pid 2>/dev/null
says 1 "a domain called 'own.boot' exists already" xl create -q own.cfg
xl destroy own.boot
rm -r boot/own.*
check "nothing is left" nothing_left
rm status

# --- whatever step fails ---

result 1 "$size" 8 "x" "y"
n=0
while n=$((n + 1)); do
	"$out/fake-hv" $n
	xl create -q own.cfg >output 2>&1 && break
	"$out/fake-hv" 0
	nothing_left >now.left 2>&1 || { bad "the $n. call fails"; break; }
done
"$out/fake-hv" 0
check "$((n - 1)) calls failed, and nothing was left" [ $n -gt 10 ]
xl destroy own
check "nothing is left" nothing_left

# --- the configuration ---

says 1 "own.cfg:2: bootloader: kernel is given as well; the kernel comes from one of the two" xl create -n own.cfg "kernel='$root/Image'"
says 1 "bootloader: 'grub2' is not supported, only pygrub" xl create -n own.cfg bootloader=grub2
says 1 "bootloader_args: '--kernel=x' is not supported, only --entry=" xl create -n own.cfg "bootloader_args=['--kernel=x']"
says 1 "there is no disk to boot from" xl create -n own.cfg "disk=[]"
says 0 "bootloader_args = [ '--entry=2' ]" xl create -n own.cfg "bootloader_args=['--quiet','--entry=2']"
says 0 "Image" xl create -n own.cfg bootloader= "kernel='$root/Image'"
echo 'bootloader_dir = "here"' >xl.conf
says 1 "xl.conf:1: bootloader_dir: not a path from the root" xl create -q own.cfg

end_of_cases
