#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# save and restore: what is left of a guest, and of each way in which either fails. Usage: test_xl_save.sh <directory where the tests
# were built>.
. "$(dirname -- "$0")/xl_lib.sh"

cat >s.cfg <<-END
	name = "s"
	kernel = "$root/Image"
	memory = 16
	on_reboot = "destroy"
END
runs() { "$out/fake-xl" list "$1" | grep -q -- -b----; }
paused() { "$out/fake-xl" list "$1" | grep -Eq -- '-[b-]p---'; }
no_file() { ! ls "$1"* 2>/dev/null; }
uuid() { "$out/fake-xl" list -v "$1" | grep -Eo '[0-9a-f]{8}-[0-9a-f-]{27}'; }

snapshot >before
check "create" xl create -q s.cfg
wait_for runs s
id=$(xl domid s)
uuid=$(uuid s)
xenstore-write "/local/domain/$id/data/count" 12345 "/local/domain/$id/data/a/b" x "/local/domain/$id/control/feature-own" 1 \
	"/local/domain/$id/device/mine" no
says 0 "s: 16 MiB of memory" xl save s s.save
check "it is gone" gone s
check "nothing but the file is left" wait_for clean
check "for its owner only" [ "$(stat -c %a s.save)" = 600 ]
check "no temporary file" [ "$(ls -d s.save*)" = s.save ]

check "restore" xl restore s.save
check "it runs" wait_for runs s
now=$(xl domid s)
check "with its UUID" [ "$(uuid s)" = "$uuid" ]
says 0 12345 xenstore-read "/local/domain/$now/data/count"
says 0 x xenstore-read "/local/domain/$now/data/a/b"
says 0 1 xenstore-read "/local/domain/$now/control/feature-own"
says 1 "" xenstore-read "/local/domain/$now/device/mine"
check "they are its own" sh -c "xenstore-ls -p /local/domain/$now/data | grep count | grep -q 'n$now'"
check "the file stays" [ -s s.save ]
says 1 "a domain called 's' exists already" xl restore s.save
check "one of it" [ "$("$out/fake-xl" list | grep -c '^s ')" = 1 ]

# --- -c, -p, a paused one; the name and memory of now ---

says 0 "16 MiB of memory" xl save -c s c.save
check "-c: it runs on" runs s
says 0 "16 MiB of memory" xl save -p s c.save
check "-p: it is paused" paused s
xl unpause s
check "once only" runs s
xl pause s
says 0 "16 MiB of memory" xl save -c s c.save
check "who was paused stays so" paused s
xl unpause s
xl rename s other
says 0 "other: 16 MiB of memory" xl save other c.save
check "restore -p" xl restore -p c.save
check "under its last name" paused other
xl destroy other
printf 'name = "third"\nkernel = "%s"\nmemory = 16\n' "$root/Image" >third.cfg
check "with another configuration" xl restore -e third.cfg c.save
check "which counts" runs third
xl destroy third
check "nothing is left" wait_for clean

# --- what cannot be ---

says 2 "Usage: xl [-v] save" xl save s
says 2 "-c and -p exclude each other" xl save -c -p s f
says 2 "Usage: xl [-v] restore" xl restore
says 1 "cannot save domain 0" xl save 0 f
says 1 "'nobody' is an invalid domain identifier" xl save nobody f
says 1 "none: No such file or directory" xl restore none
says 1 "$root: Is a directory" xl restore "$root"
check "create" xl create -q s.cfg
wait_for runs s
says 1 "none/f: No such file or directory" xl save s none/f
says 1 "/dev/null is there and no regular file" xl save s /dev/null
# Each reason of the hypervisor's
for reason in "95 FIFO queues" "18 shares memory or event channels with another guest" "31 mapped other guests' memory" \
	"19 a device's interrupt" "6 given up a page" "38 this hypervisor cannot"; do
	export FAKE_STATE="${reason%% *}"
	says 1 "${reason#* }" xl save s f.save
	unset FAKE_STATE
	check "it runs on" runs s
	check "and there is no file" no_file f.save
done
check "config-update" xl config-update s memory=20
says 1 "give the one that it runs with" xl save s f.save
says 0 "16 MiB" xl save -c s f.save s.cfg
rm f.save
xl destroy s
check "a guest with devices" xl create -q a.cfg
says 1 "'a' has disks, interfaces or channels, and such guests cannot be saved yet" xl save a f.save
check "runs on" wait_for runs a
xl destroy a
wait_for clean

# --- whatever call fails ---

n=0
while :; do
	xl create -q s.cfg >/dev/null 2>&1
	wait_for runs s
	n=$((n + 1))
	"$out/fake-hv" $n
	xl save s f.save >output 2>&1
	rc=$?
	"$out/fake-hv" 0
	[ $rc != 0 ] || break
	runs s && no_file f.save && [ -s output ] || { bad "save, call $n"; break; }
	[ $n -lt 60 ] || break
done
check "save: each of $n calls failed, and it ran on" [ $n -gt 5 ]
check "then it was saved" [ -s f.save ]
check "and is gone" wait_for clean
n=0
while :; do
	n=$((n + 1))
	"$out/fake-hv" $n
	xl restore f.save >output 2>&1
	rc=$?
	"$out/fake-hv" 0
	[ $rc != 0 ] || break
	{ clean && [ -s output ]; } >/dev/null || { bad "restore, call $n"; break; }
	[ $n -lt 60 ] || break
done
check "restore: each of $n calls failed, and nothing was left" [ $n -gt 10 ]
check "then it runs" wait_for runs s
xl destroy s
check "nothing is left" wait_for clean

# --- files that are no longer what they were ---

size=$(stat -c %s f.save)
for at in 0 39 63 64 100 $((size / 2)) $((size - 1)); do
	head -c $at f.save >cut.save
	says 1 "the stream is cut short here" xl restore cut.save
	check "nothing is left of $at bytes" clean
done
for at in 20 50 70 100 400 $((size / 2)) $((size - 20)); do
	cp f.save flip.save
	byte=$(od -An -tu1 -j $at -N1 f.save)
	# shellcheck disable=SC2059
	printf "$(printf '\\%03o' $((byte ^ 16)))" | dd of=flip.save bs=1 seek=$at conv=notrunc 2>/dev/null
	xl restore flip.save >output 2>&1
	check "byte $at: refused" [ $? = 1 ]
	check "and it says where" grep -Eq 'flip.save: (record [0-9]+ \(|image header|domain header)' output
	check "nothing is left" clean
done
cp f.save long.save
echo more >>long.save
says 1 "there is something behind END" xl restore long.save
check "nothing is left" clean
says 1 "this is no saved domain of Pavise" xl restore Image
# A machine of another kind
printf 'rv64imac\0' >dt/cpus/cpu@0/riscv,isa
says 1 "the guest's harts are rv64imafdc, this machine's rv64imac" xl restore f.save
printf 'rv64imafdc\0' >dt/cpus/cpu@0/riscv,isa
printf '\0\230\226\201' >dt/cpus/timebase-frequency
says 1 "the guest's clock counts 10000000 times a second" xl restore f.save
printf '\0\230\226\200' >dt/cpus/timebase-frequency
# A configuration that brings devices, or too little memory
printf 'name = "s"\nkernel = "%s"\nmemory = 16\ndisk = [ "%s,raw,xvda,rw" ]\n' "$root/Image" "$root/a.img" >disk.cfg
says 1 "the configuration gives the guest devices" xl restore disk.cfg f.save
printf 'name = "s"\nkernel = "%s"\nmemory = 12\n' "$root/Image" >small.cfg
says 1 "and may have 12 MiB by its configuration" xl restore small.cfg f.save
check "nothing is left" clean

end_of_cases
