#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A guest's kernel from its own disk, up to what the throw-away guest leaves: that guest is pretended, and leaves what it likes.
# Usage: test_xl_bootloader.sh <directory where the tests were built>.
# Owns the proof that xl believes nothing of it, and that nothing is left of it whatever step fails.
export BOOT_HOOK="$1/root/hook"
export XL_RESTART_PAUSE=1
. "$(dirname -- "$0")/xl_lib.sh"
# Two readers have eight disks.
for n in 6 7 8 9; do
	[ ! "$have_nodes" ] || mknod "dev/loop$n" b 7 $n
done

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

# result FOUND KERNEL_BYTES RAMDISK_BYTES CMDLINE WHAT [KERNEL]: dom0-tools/boot/result.h
result() {
	python3 - "$@" <<-'END'
		import os, struct, sys
		found, kernel, ramdisk = map(int, sys.argv[1:4])
		cmdline, what, *path = (a.encode().decode("unicode_escape").encode("latin-1") for a in sys.argv[4:])
		with open("wanted", "wb") as f:
		    f.write(struct.pack("<8sIIQQ", b"PVBOOT1", found, 0, kernel, ramdisk) + cmdline.ljust(1024, b"\0") + what.ljust(512, b"\0") +
		            (path or [b""])[0].ljust(300, b"\0"))
	END
}
# The guest: what is in "wanted" goes to its disks
cat >hook <<-END
	cd $root
	[ ! -e slow ] || sleep 1
	set -- boot/\${1%.boot}
	cat Image | dd of=\$1/kernel conv=notrunc 2>/dev/null
	echo ramdisk | dd of=\$1/ramdisk conv=notrunc 2>/dev/null
	dd if=wanted of=\$1/.pavise-result conv=notrunc 2>/dev/null
	ls -s \$1 >>seen
	exit \$(cat status 2>/dev/null || echo 0)
END
size=$(stat -c %s Image)
# Is there one that reads (for the guest $1)?
reader() { xenstore-ls -f /tool/pavise | grep -q "/bootloader-for = \"${1:-}"; }
no_reader() { ! reader "$@"; }
nothing_left() { clean && [ -z "$(ls boot)" ]; }
# An xl that waits for a reader that does not end; its status in $pid
begin() {
	echo 3 >status
	"$out/fake-xl" "$@" >begun 2>&1 &
	pid=$!
	wait_for reader
}

result 1 "$size" 8 "root=/dev/xvda1" "xvda1: extlinux.conf: First\\x1b[6n" "xvda1:/vmlinuz\\x1b[6n"
says 0 "own: boots xvda1: extlinux.conf: First^[[6n" xl create -q own.cfg
check "menu's command line, and the configuration's" sh -c 'xenstore-ls -f /vm | grep -q "image/cmdline = \"root=/dev/xvda1 more\""'
says 0 '"kernel": "xvda1:/vmlinuz^[[6n"' xl list -l own
says 0 '"bootloader": "pygrub"' xl list -l own
check "as much is left as was found" grep -q "^1024 kernel" seen
check "the files are gone once the guest is built" [ -z "$(ls boot)" ]
says 1 "own.cfg:1: name: a domain called 'own' exists already" xl create -q own.cfg
# A title of GRUB's may have several lines; a message has one.
xl destroy own
result 1 "$size" 8 "root=/dev/xvda1" "xvda1: grub.cfg: X\\n2026-11-28 09:00:00 domain 1 ('a') was destroyed"
says 0 "own: boots xvda1: grub.cfg: X 2026-11-28 09:00:00 domain 1" xl create -q own.cfg
# Its next life's kernel is read again.
result 1 "$size" 0 "second" "another"
says 0 "'own' has started again as domain" xl reboot -w own
check "second life" wait_for sh -c 'xenstore-ls -f /vm | grep -q "image/cmdline = \"second more\""'
wait_for sh -c "$out/fake-xl list own | grep -q -- -b----"
# And if there is none it stays down.
result 0 0 0 "" "its disk is empty"
xl reboot own >output 2>&1
check "no further life, and xl's log says why" wait_for grep -q "no kernel: its disk is empty" "$root/log/xl-own.log"
check "it is gone" gone own
check "nothing is left" wait_for nothing_left

# --- what the guest leaves ---

says 1 "own.cfg:2: bootloader: $root/a.img: no kernel: its disk is empty" xl create -q own.cfg
makes_no_sense() {
	says 1 ".boot' left makes no sense" xl create -q own.cfg
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
result 1 "$size" 0 "" "" "$(head -c 300 /dev/zero | tr '\0' x)"
makes_no_sense
result 1 "$size" 0 "$(head -c 1020 /dev/zero | tr '\0' x)" ""
says 1 "own: bootloader: the command line is longer than 1023 bytes" xl create -q own.cfg
# A kernel that is none is what it always is.
result 1 32 0 "" "half a header"
says 1 "not a RISC-V Image: the file is shorter" xl create -q own.cfg
# One that is compressed is unpacked, within the same limits.
cp Image plain
gzip -c plain >Image
result 1 "$(stat -c %s Image)" 0 "" "gz"
check "compressed" xl create -q own.cfg
xl destroy own
head -c 33554432 /dev/zero | gzip -c >Image.new
result 1 "$(stat -c %s Image.new)" 0 "" "bomb"
sed 's/cat Image/cat Image.new/' hook >hook.new
cp hook hook.old
cat hook.new >hook
says 1 "unpacks to more than 16 MiB (the guest's memory)" xl create -q own.cfg
head -c 150000000 /dev/zero | gzip -c >Image.new
result 1 "$(stat -c %s Image.new)" 0 "" "bomb"
says 1 "unpacks to more than 128 MiB (the most for a kernel from a guest's disk)" xl create -q own.cfg memory=512
cat hook.old >hook
cp plain Image
check "nothing is left" nothing_left
echo 1 >status
says 1 "the guest that reads its disk ended (crash)" xl create -q own.cfg
echo 3 >status
says 1 "own: bootloader: its disk was not read within 3 s" hasty create -q own.cfg
check "nothing is left" nothing_left
# Ctrl-C while it reads
"$out/fake-xl" create -q own.cfg >output 2>&1 &
pid=$!
wait_for reader
kill -INT $pid
wait $pid
check "interrupted: nothing is left" nothing_left
rm status
check "and what it printed is kept for failures only" [ "$(ls log/console | grep -c '\.boot\.log$')" -le 12 ]

# --- whatever ends its xl ---

# Killed while it reads: the next xl, for whichever guest, takes all of it away. A reader that has ended is no better.
for state in running ended; do
	begin create -q own.cfg
	[ $state = running ] || "$out/fake-hv" end "$(xl list | awk '/\.boot/ { print $2 }')"
	kill -KILL $pid
	wait $pid 2>/dev/null
	check "$state: it is left" [ -n "$(ls boot)" ]
	says 0 "was killed: both go" xl create -q a.cfg
	xl destroy a
	check "$state: nothing is left" nothing_left
done
# One that somebody waits for is nobody's to take.
begin create -q own.cfg
check "another guest starts" xl create -q b.cfg
check "a reader that is waited for stays" reader own
says 1 "is being made already: its disk is being read" xl create -q own.cfg
kill -INT $pid
wait $pid
xl destroy b
check "nothing is left" nothing_left
# What was left over dom0's end, and what somebody uses
mkdir boot/old.abcdef boot/used.abcdef boot/empty.abcdef boot/log boot/web.backup
touch boot/old.abcdef/kernel boot/old.abcdef/.pavise-result boot/used.abcdef/.pavise-result boot/log/kernel boot/log/.pavise-result \
	boot/web.backup/kernel
flock boot/used.abcdef sh -c "$out/fake-xl init-dom0; ls $root/boot | xargs >left"
check "dom0's start removes what was left, and nobody else's" [ "$(cat left)" = "log used.abcdef web.backup" ]
check "with what is in it" [ -e boot/log/kernel -a -e boot/web.backup/kernel ]
rm -r boot/log boot/web.backup
check "and again" xl init-dom0
check "nothing is left" nothing_left

# --- others end it ---

# ends "how" "text of xl create" command...
ends() {
	what=$1 text=$2
	shift 2
	begin create -q own.cfg
	"$@" >said 2>&1 || bad "$what"
	wait $pid
	cat begun >>output
	if [ $? = 0 ] && grep -qF -- "$text" begun; then ok "$what ends it"; else bad "$what ends it"; fi
	check "$what: nothing is left" nothing_left
}
ends "xl destroy" "was destroyed" xl destroy own
ends "xl shutdown" "was destroyed" xl shutdown own
check "and says so" grep -q "'own' does not start: its disk was just being read for that" said
ends "xl shutdown -a" "was destroyed" xl shutdown -a
ends "the host's end" "own: the host is going down: it is not started" touch run/no-restart
rm run/no-restart
says 1 "'own' is an invalid domain identifier" xl destroy own
# Two whose names differ in their ends only
result 1 "$size" 0 "x" "y"
long=$(head -c 63 /dev/zero | tr '\0' n)
rm status
for n in 1 2; do
	cp a.img "$n.img"
	"$out/fake-xl" create -q own.cfg "name='$long$n'" \
		"disk=['format=raw, vdev=xvda, access=rw, target=$root/$n.img']" >"long-$n" 2>&1 &
	eval "pid$n=\$!"
done
wait $pid1; rc1=$?
wait $pid2; rc2=$?
cat long-1 long-2 >output
if [ $rc1$rc2 = 00 ]; then ok "names of 64 characters"; else bad "names of 64 characters"; fi
xl destroy "${long}1" "${long}2"
check "nothing is left" nothing_left

# --- at a reboot ---

# reboots: up to the next life's reader, which does not end
reboots() {
	rm -f status
	xl create -q own.cfg >output 2>&1 || bad "create"
	: >"$root/log/xl-own.log"
	echo 3 >status
	xl reboot own >output 2>&1
	wait_for reader
}
# down "what" "text in xl's log"
down() {
	check "$1: it stays down" wait_for grep -qF -- "$2" "$root/log/xl-own.log"
	wait_for no_reader
	wait_for sh -c '[ -z "$(ls boot)" ]'
	check "$1: nothing is left" nothing_left
}
result 1 "$size" 0 "x" "y"
reboots
check "the dead guest goes first" gone own
xl destroy own
down "xl destroy" "'own' cannot be started again"
reboots
xl shutdown own >output 2>&1
down "xl shutdown" "'own' cannot be started again"
reboots
touch run/no-restart
down "the host's end" "the host is going down"
rm run/no-restart
reboots
kill -TERM "$(pgrep -o -f "$out/fake-xl create -q own.cfg")"
down "SIGTERM to its xl" "interrupted"
# What is said while its kernel is read is said to the life that comes.
rm -f status
xl create -q own.cfg >output 2>&1
touch slow
xl reboot own >output 2>&1
wait_for reader
says 0 "waiting for 'own', whose kernel is being read from its disk" xl config-update own memory=20
rm slow
id=$(xl domid own)
xl reboot own >output 2>&1
updated() { now=$("$out/fake-xl" domid own) && [ "$now" != "$id" ] && [ "$(xenstore-read "/local/domain/$now/memory/target")" = 20480 ]; }
check "and its next one has it" wait_for updated
says 1 "there is no such domain" xl config-update nobody memory=20
wait_for sh -c "$out/fake-xl list own | grep -q -- -b----"
xl destroy own
check "nothing is left" nothing_left
# Its name, and memory that is there later only
rm -f status
xl create -q own.cfg >output 2>&1
xl rename own other
pages=$(xl info | awk '/^free_memory/ { print $3 * 256 }')
"$out/fake-hv" take $((pages - 8192))
xl reboot other >output 2>&1
check "no memory for its reader" wait_for grep -q "'other' is not there now, for lack of memory" "$root/log/xl-own.log"
"$out/fake-hv" take -$((pages - 8192))
check "it is tried again, under its new name" wait_for xl domid other
wait_for sh -c "$out/fake-xl list other | grep -q -- -b----"
xl destroy other
check "nothing is left" nothing_left
# Corpses that are kept go for it.
xl create -q own.cfg "on_reboot='rename-restart'" memory=64 >output 2>&1
pages=$(xl info | awk '/^free_memory/ { print $3 * 256 }')
"$out/fake-hv" take $((pages - 23000))
xl reboot own >output 2>&1
check "the reader's memory is the corpse's" wait_for grep -q "goes: its memory is wanted for the next life" "$root/log/xl-own.log"
"$out/fake-hv" take -$((pages - 23000))
wait_for xl domid own
wait_for sh -c "$out/fake-xl list own | grep -q -- -b----"
xl destroy own
check "nothing is left" nothing_left

# --- room ---

sed 's/_limit = .*/_limit = 64/' xl.conf >xl.conf.new
echo bootloader_total = 40 >>xl.conf.new
cp xl.conf xl.conf.old
cp xl.conf.new xl.conf
sed 's,^cat Image,stat -c %s $1/* | sort -n >sizes; &,' hook >hook.new
cp hook hook.old
cp hook.new hook
check "less room than the limit" xl create -q own.cfg
check "each file has half of the room for all" [ "$(tail -n 1 sizes)" = 20971520 ]
xl destroy own
mkdir boot/used.abcdef
truncate -s 20M boot/used.abcdef/kernel
touch boot/used.abcdef/.pavise-result
says 1 "$root/boot: others that are being read have most of the MiB that bootloader_total" flock boot/used.abcdef "$out/fake-xl" create -q own.cfg
xl create -q own.cfg >output 2>&1 && xl destroy own
check "what nobody uses any more is no promise" nothing_left
cp xl.conf.old xl.conf
cp hook.old hook

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
says 1 "own.cfg:2: bootloader: there is no medium in xvdc, the first disk" xl create -n own.cfg "disk=['vdev=xvdc,devtype=cdrom,target=']"
says 1 "own.cfg:2: bootloader: xvda, the first disk, has a script of its own" xl create -n own.cfg "disk=['vdev=xvda,script=silent,target=x']"
says 1 "bootloader: 'grub2' is not supported, only pygrub" xl create -n own.cfg bootloader=grub2
says 1 "bootloader_args: '--kernel=x' is not supported, only --entry=" xl create -n own.cfg "bootloader_args=['--kernel=x']"
says 1 "there is no disk to boot from" xl create -n own.cfg "disk=[]"
says 0 "bootloader_args = [ '--entry=2' ]" xl create -n own.cfg "bootloader_args=['--quiet','--entry=2']"
says 0 "Image" xl create -n own.cfg bootloader= "kernel='$root/Image'"
echo 'bootloader_dir = "here"' >xl.conf
says 1 "xl.conf:1: bootloader_dir: not a path from the root" xl create -q own.cfg

end_of_cases
