#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# dump-core: gdb opens what comes out. Usage: test_xl_core.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

gdb() {
	file=$1
	shift
	gdb-multiarch -nx -batch -ex "core-file $file" "$@" >gdb.out 2>&1
	cat gdb.out
}

check "create" xl create -q a.cfg memory=16 vcpus=2
two() { xl list a | grep -q '16     2 '; }
wait_for two
check "dump-core" xl dump-core a a.core
check "for its owner only" [ "$(stat -c %a a.core)" = 600 ]
check "the guest goes on" sh -c "'$out/fake-xl' list a | grep -q -- -b----"
says 0 "CORE (Core file)" readelf -h a.core
says 0 "RISC-V" readelf -h a.core
check "its zeroes are holes" [ "$(($(stat -c %b a.core) * 512))" -lt 9000000 ]
says 0 "pc             0xffffffff80000001" gdb a.core -ex "thread 2" -ex "info registers pc"
says 0 "sp             0xffffffd600001000" gdb a.core -ex "thread 1" -ex "info registers sp"
says 0 "t6             0x1f" gdb a.core -ex "info registers t6"
# Page 0x80208 has its number in it: at its physical address, in the map of all memory, and in the kernel's.
says 0 "0x80208000:	0x0000000000080208" gdb a.core -ex "x/1gx 0x80208000"
says 0 "0xffffffc000208000:	0x0000000000080208" gdb a.core -ex "x/1gx 0xffffffc000208000"
says 0 "0xffffffff80008000:	0x0000000000080208" gdb a.core -ex "x/1gx 0xffffffff80008000"
says 0 "0x80209000:	0x0000000000000000" gdb a.core -ex "x/1gx 0x80209000"
says 0 "Cannot access memory at address 0x81000000" gdb a.core -ex "x/1gx 0x81000000"
check "a second time, in its place" xl dump-core --live a a.core

# Page tables that point to themselves cost what the bound says, and are told.
says 0 "warning: the guest's page tables have more than is looked at" xl dump-core a a.core
check "not more segments than that" [ "$(readelf -lW a.core | grep -c LOAD)" -le 1024 ]

# What it does not have (any more) is a hole.
check "mem-set" xl mem-set a 12
check "dump-core of a smaller one" xl dump-core a b.core
says 0 "0x80e00000:	0x0000000000000000" gdb b.core -ex "x/1gx 0x80e00000"

# --- its end ---

says 2 "Usage: xl [-v] dump-core [-L|-C|-R] <Domain> <filename>" xl dump-core a
says 2 "-C and -R are two ends" xl dump-core -C -R a b.core
says 1 "'nobody' is an invalid domain identifier" xl dump-core nobody b.core
says 1 "cannot dump domain 0" xl dump-core 0 b.core
says 1 "No such file or directory" xl dump-core a none/b.core
says 1 "/dev/null is there and no regular file" xl dump-core a /dev/null
ln -s a.core link
says 1 "link is there and no regular file" xl dump-core a link
id=$(xl domid a)
check "-R" xl dump-core -R a b.core
next_life() { now=$("$out/fake-xl" domid a) && [ "$now" != "$id" ] && "$out/fake-xl" list a | grep -q -- -b----; }
check "its next life" wait_for next_life
check "-C" xl dump-core -C a b.core
check "that was its end" wait_for gone a
xl create -q -w crash.cfg on_crash=preserve >output 2>&1
check "of a dead one" xl dump-core crash b.core
says 1 "'crash' has ended already" xl dump-core -C crash b.core
xl destroy crash
xl create -q a.cfg memory=16 >output 2>&1
memory=$(xenstore-read "/tool/pavise/$(xl domid a)/memory")
xenstore-rm "/tool/pavise/$(xl domid a)/memory"
says 1 "it is not known where domain" xl dump-core a none.core
xenstore-write "/tool/pavise/$(xl domid a)/memory" "$memory"
# A core file that could not be written changes nothing of the one that is there.
cp a.core old
"$out/fake-hv" 1
says 1 "cannot read vCPU 0 of domain" xl dump-core -C a a.core
"$out/fake-hv" 0
check "the old one is whole" cmp a.core old
check "and the guest has not been ended" sh -c "'$out/fake-xl' list a | grep -q -- -b----"
xl destroy a

# --- on_crash = "coredump-*" ---

mkdir dump
xl create -q -w crash.cfg on_crash=coredump-destroy >output 2>&1
check "it is gone" gone crash
says 0 "pc             0xffffffff80000000" gdb dump/crash -ex "info registers pc"
check "for its owner only" [ "$(stat -c %a dump/crash)" = 600 ]
says 0 "memory is in $root/dump/crash" cat log/xl-crash.log
rm -r dump
check "create" xl create -q a.cfg on_crash=coredump-restart
id=$(xl domid a)
check "a crash, with no place for the core" xl sysrq a c
check "its next life all the same" wait_for next_life
says 0 "dump/a.part-" cat log/xl-a.log
mkdir dump
id=$(xl domid a)
check "another one" xl sysrq a c
check "its next life" wait_for next_life
check "with a core of the last" [ -s dump/a ]
says 0 'on_crash = "coredump-restart"' xl create -n a.cfg on_crash=coredump-restart
xl destroy a
rm -r dump
# The last room is for others' disks.
mkdir dump
if mount -t tmpfs -o size=12m tmpfs dump 2>/dev/null; then
	xl create -q -w crash.cfg on_crash=coredump-destroy >output 2>&1
	check "crashed, on a full disk" gone crash
	says 0 "dump/crash: no room: the last 16 MiB of its disk are for others" cat log/xl-crash.log
	check "no half a file" [ -z "$(ls dump)" ]
	umount dump
else
	echo "# no permission to mount: without a full disk"
fi
rmdir dump

# --- so many, and no more ---

mkdir dump
crash() { xl create -q -w "$@" on_crash=coredump-destroy >output 2>&1; wait_for gone crash; }
echo 'coredump_keep = 2' >xl.conf
for n in 1 2 3; do crash crash.cfg; done
check "two of each guest" [ "$(ls dump | tr '\n' ' ')" = "crash crash~1 " ]
check "the newest has the name" [ dump/crash -nt dump/crash~1 ]
says 0 "CORE (Core file)" readelf -h dump/crash~1
echo 'coredump_keep = 1' >xl.conf
crash crash.cfg
check "then one" [ "$(ls dump | tr '\n' ' ')" = "crash " ]
echo 'coredump_keep = 0' >xl.conf
crash crash.cfg
says 0 "coredump_keep: not a number from 1 to 100; 1 is used" cat log/xl-crash.log
check "none is not a number of cores" [ "$(ls dump | tr '\n' ' ')" = "crash " ]
size=$(($(stat -c %b dump/crash) * 512 / 1048576))
head -c 14680064 /dev/urandom >dump/old
touch -d 2020-01-01 dump/old
head -c 4194304 /dev/urandom >dump/older~1
touch -d 2019-01-01 dump/older~1
echo "coredump_limit = $((size * 2 + 18))" >xl.conf
crash crash.cfg
check "the oldest goes for a new one, and no other" [ "$(ls dump | tr '\n' ' ')" = "crash old " ]
says 0 "dump/older~1 goes: cores may have $((size * 2 + 18)) MiB together" cat log/xl-crash.log
echo 'coredump_limit = 1' >xl.conf
crash crash.cfg
says 0 "MiB are more than all cores may have together, 1 (coredump_limit in" cat log/xl-crash.log
check "for which nobody else's core goes" [ "$(ls dump | tr '\n' ' ')" = "crash old " ]
echo 'coredump_limit = "much"' >xl.conf
crash crash.cfg
says 0 "coredump_limit: not a number from 1 to 1048576; 4096 is used" cat log/xl-crash.log
check "and there is a core" [ -s dump/crash ]
rm -r dump xl.conf

# kill -9 while it is paused and half the file is there
xl create -q b.cfg memory=512 "vif=[]" >output 2>&1
half() { ls killed.core.part-* >/dev/null 2>&1; }
state_of() { "$out/fake-xl" list "$1" | awk 'NR == 2 { print $5 }'; }
kill_dump() {
	"$out/fake-xl" dump-core b killed.core >output 2>&1 &
	p=$!
	n=0
	until half || [ $n = 5000 ]; do n=$((n + 1)); done
	kill -9 $p
	wait $p 2>/dev/null
}
paused() { case $(state_of b) in ??p*) ;; *) return 1 ;; esac; }
goes_on() { ! half && [ "$(state_of b)" = -b---- ]; }
kill_dump
check "killed, it leaves half a file" half
check "and the guest paused" paused
says 1 "who wrote the core or the state of domain" xl minder b
check "which is put in order" goes_on
kill_dump
check "killed once more" half
check "the next one puts it in order, too" xl dump-core b whole.core
check "and leaves nothing" goes_on
"$out/fake-xl" minder >minder.log 2>&1 &
pids="$pids $!"
kill_dump
check "and xl minder by itself" wait_for goes_on
xl pause b
check "one that is paused" xl dump-core b whole.core
check "stays so" paused
xl destroy b
rm -f whole.core killed.core
check "nothing is left" clean
check "no notes either" sh -c "! ls run/minder/dump.* 2>/dev/null"

# Whatever fails, nothing is left, and the guest goes on.
check "create" xl create -q a.cfg memory=16
rm b.core old
for n in 1 2 3 4 8; do
	"$out/fake-hv" $n
	check "call $n fails" sh -c "! '$out/fake-xl' dump-core -L a b.core || [ -s b.core ]"
	"$out/fake-hv" 0
	check "no half a file" sh -c "! ls b.core.part* 2>/dev/null"
	rm -f b.core
done
says 1 "File too large" sh -c "trap '' XFSZ; ulimit -f 2000; '$out/fake-xl' dump-core a b.core"
check "no half a file" sh -c "! ls b.core* 2>/dev/null"
check "the guest is not left paused" sh -c "'$out/fake-xl' list a | grep -q -- -b----"
xl destroy a
check "nothing is left" clean

end_of_cases
