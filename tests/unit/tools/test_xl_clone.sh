#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# clone: another guest out of one that runs, of a snapshot, or of a template; who it is, and what is left of one that fails.
# Usage: test_xl_clone.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

quiet_disks "$root"
mkdir disks
cat >sleep.cfg <<END
name = "sleep"
kernel = "$root/Image"
memory = 16
on_reboot = "destroy"
disk = [ "format=raw, vdev=xvda, access=rw, target=$root/disks/a.img", "$root/text.img,raw,xvdc,r" ]
vif = [ "mac=00:16:3e:00:00:01,vifname=lan", "bridge=xenbr0" ]
END
cp disk.img disks/a.img
cp disk.img text.img
echo first | dd of=disks/a.img conv=notrunc 2>/dev/null

node() { xenstore-read "/local/domain/$(xl domid "$1")/$2"; }
uuid() { "$out/fake-xl" list -v "$1" | grep -Eo '[0-9a-f]{8}-[0-9a-f-]{27}'; }
connected() { [ "$(node "$1" device/vbd/51712/state)$(node "$1" device/vif/0/state)$(node "$1" device/vif/1/state)" = 444 ]; }
# alone: only the first one is there, as it was, and nothing of another
alone() {
	wait_for runs sleep
	connected sleep
	[ "$("$out/fake-xl" list | wc -l)" = 3 ] && [ "$(cd disks && find . -type f | tr '\n' ' ')" = "./a.img " ] && [ ! -e snapshots/sleep ]
}

snapshot >before
check "create" xl create -q sleep.cfg
check "its devices are connected" wait_for connected sleep
xenstore-write "/local/domain/$(xl domid sleep)/data/count" 7

# --- of one that runs ---

says 0 "sleepb: 'sleep' goes on as it was; it stood still for" xl clone sleep sleepb
check "both run" wait_for runs sleepb
check "both run" runs sleep
check "it has devices" wait_for connected sleepb
check "the first one's have seen nothing" connected sleep
check "a UUID of its own" [ "$(uuid sleepb)" != "$(uuid sleep)" ]
check "MACs of its own" [ "$(node sleepb device/vif/0/mac)" != 00:16:3e:00:00:01 ]
check "in Xen's range" sh -c "xenstore-read '/local/domain/$(xl domid sleepb)/device/vif/0/mac' | grep -q '^00:16:3e:'"
check "each" [ "$(node sleepb device/vif/1/mac)" != "$(node sleep device/vif/1/mac)" ]
check "no interface's name twice" [ "$(xenstore-read "/local/domain/0/backend/vif/$(xl domid sleepb)/0/vifname" 2>/dev/null)" != lan ]
says 0 "$root/disks/sleepb.xvda.img" xenstore-read "/local/domain/0/backend/vbd/$(xl domid sleepb)/51712/params"
check "its disk is what that one's was" cmp disks/a.img disks/sleepb.xvda.img
says 0 "$root/text.img" xenstore-read "/local/domain/0/backend/vbd/$(xl domid sleepb)/51744/params"
says 0 7 node sleepb data/count
check "another generation" [ "$(node sleepb control/generation)" != "$(node sleep control/generation 2>/dev/null)" ]
check "its next life is its own" grep -q 'name = "sleepb"' "run/config-$(xl domid sleepb)"
check "with its disk" grep -qF "disks/sleepb.xvda.img" "run/config-$(xl domid sleepb)"
check "no snapshot is left" [ ! -e snapshots -a ! -e disks/.snapshots ]
says 1 "a domain called 'sleepb' exists already" xl clone sleep sleepb
says 0 "sleepc: 'sleepb' goes on as it was" xl clone -p sleepb sleepc
check "-p, and of a clone" paused sleepc
xl destroy sleepc
xl destroy sleepb
rm disks/sleepb.xvda.img disks/sleepc.xvda.img
check "one alone" alone

# --- of one that runs, where memory cannot be shared ---

export FAKE_NO_FORK=1
says 0 "its memory is copied: it cannot be shared here" xl clone sleep sleepb
check "both run" wait_for runs sleepb
check "both run" runs sleep
check "it has devices" wait_for connected sleepb
check "MACs of its own" [ "$(node sleepb device/vif/0/mac)" != 00:16:3e:00:00:01 ]
check "its disk is what that one's was" cmp disks/a.img disks/sleepb.xvda.img
check "no snapshot is left" [ ! -e snapshots/sleep ]
xl destroy sleepb
echo mine >disks/sleepb.xvda.img
says 1 "disk xvda, $root/disks/sleepb.xvda.img: File exists" xl clone sleep sleepb
rm disks/sleepb.xvda.img
check "one alone" alone
FAKE_NO_SHARE='' says 1 "cannot let two files share blocks" xl clone sleep sleepb
check "one alone" alone
check "a snapshot of that name" xl snapshot sleep sleepb
says 0 "its memory is copied" xl clone sleep sleepb
xl snapshot-delete sleep sleepb
xl destroy sleepb
rm -f disks/sleepb.xvda.img
check "one alone" alone
unset FAKE_NO_FORK

# --- of a snapshot ---

check "snapshot" xl snapshot sleep kept
echo later | dd of=disks/a.img conv=notrunc 2>/dev/null
for g in sleep1 sleep2; do
	says 0 "$g: from snapshot 'kept' of 'sleep'" xl clone --snapshot=kept sleep $g
	check "it runs" wait_for runs $g
	check "with its devices" wait_for connected $g
	check "its disk is the snapshot's" cmp disks/.snapshots/sleep~kept~xvda disks/$g.xvda.img
done
check "two of them" [ "$(uuid sleep1)" != "$(uuid sleep2)" ]
xl destroy sleep1
xl destroy sleep2
rm disks/sleep1.xvda.img disks/sleep2.xvda.img
says 1 "'sleep' has no snapshot 'none'" xl clone --snapshot=none sleep sleep1
FAKE_NO_SHARE='' says 1 "cannot let two files share blocks" xl clone --snapshot=kept sleep sleep1
FAKE_NO_SHARE='' says 0 "sleep1: from snapshot" xl clone --copy --snapshot=kept sleep sleep1
xl destroy sleep1
rm disks/sleep1.xvda.img
check "snapshot of disks" xl snapshot --disk sleep disks
says 1 "is of disks alone" xl clone --snapshot=disks sleep sleep1
check "snapshot of memory" xl snapshot --memory sleep memory
says 1 "disk xvda of 'sleep' is not in snapshot 'memory': two guests would write to it" xl clone --snapshot=memory sleep sleep1
for n in kept disks memory; do xl snapshot-delete sleep $n; done
check "one alone" alone

# --- of a template ---

says 0 "gold: a template; 'sleep' goes on as it was; it stood still for" xl template sleep gold
check "it does" runs sleep
check "with its devices" connected sleep
check "the template does not run" paused gold
says 1 "'gold' is paused" xl shutdown -w gold
check "nor has it devices" sh -c "! xenstore-read '/local/domain/$(xl domid gold)/device/vbd/51712/state'"
check "but a disk" cmp disks/a.img disks/gold.xvda.img
echo later | dd of=disks/a.img conv=notrunc 2>/dev/null
for verb in "unpause gold" "save gold f.save" "snapshot gold s" "migrate gold there" "template gold other" "rename gold other"; do
	says 1 "it is a template, which never runs" xl $verb
done
check "nothing is left of that" [ ! -e f.save -a ! -e snapshots/gold ]
for g in gold1 gold2; do
	says 0 "$g: from template 'gold'" xl clone gold $g
	check "it runs" wait_for runs $g
	check "with its devices" wait_for connected $g
	check "its disk is the template's" cmp disks/gold.xvda.img disks/$g.xvda.img
	says 0 7 node $g data/count
	check "its next life is its own" grep -qF "disks/$g.xvda.img" "run/config-$(xl domid $g)"
done
check "two of them" [ "$(uuid gold1)" != "$(uuid gold2)" ]
check "each with its MACs" [ "$(node gold1 device/vif/0/mac)" != "$(node gold2 device/vif/0/mac)" ]
xl destroy gold1
says 0 "gold3: from template" xl clone -p --no-reserve "$(xl domid gold)" gold3
check "-p, and by its number" paused gold3
xl destroy gold2
says 1 "a domain called 'gold' exists already" xl template sleep gold
FAKE_NO_SHARE='' says 1 "cannot let two files share blocks" xl clone gold gold4
check "no disk is left" [ ! -e disks/gold4.xvda.img ]
xl destroy gold
check "the template's disk went with it" [ ! -e disks/gold.xvda.img ]
check "nor is anything else left of it" sh -c "! ls run/template-*"
xl destroy gold3
rm disks/gold[123].xvda.img
check "one alone" alone
FAKE_NO_FORK=1 says 1 "and so cannot have templates; xl snapshot keeps 'sleep'" xl template sleep gold
FAKE_NO_SHARE=1 says 1 "No space left on device" xl template sleep gold
check "one alone" alone
failed=0
while [ $failed -lt 90 ]; do
	"$out/fake-hv" $((failed + 1))
	xl template sleep gold >output 2>&1
	rc=$?
	"$out/fake-hv" 0
	[ $rc != 0 ] || break
	failed=$((failed + 1))
	{ [ -s output ] && { ! paused sleep || xl unpause sleep; } && wait_for alone && ! ls run/template-*; } >/dev/null 2>&1 || { bad "call $failed"; break; }
done
check "each of $failed calls failed, and there was one alone" [ $failed -gt 15 ]
xl destroy gold
check "one alone" alone

# --- what fails ---

echo mine >disks/sleepb.xvda.img
says 1 "disk xvda, $root/disks/sleepb.xvda.img: File exists" xl clone sleep sleepb
says 0 mine cat disks/sleepb.xvda.img
rm disks/sleepb.xvda.img
check "one alone" alone
FAKE_NO_SHARE='' says 1 "cannot let two files share blocks" xl clone sleep sleepb
check "one alone" alone
FAKE_NO_SHARE=1 says 1 "No space left on device" xl clone sleep sleepb
check "one alone" alone
"$out/fake-hv" take 1040000
says 1 "there is not so much free memory as 'sleep' and 'sleepb' may write" xl clone sleep sleepb
check "one alone" alone
says 0 "sleepb: 'sleep' goes on" xl clone --no-reserve sleep sleepb
xl destroy sleepb
rm disks/sleepb.xvda.img
"$out/fake-hv" take -1040000
check "one alone" alone
failed=0
while [ $failed -lt 90 ]; do
	"$out/fake-hv" $((failed + 1))
	xl clone sleep sleepb >output 2>&1
	rc=$?
	"$out/fake-hv" 0
	[ $rc != 0 ] || break
	failed=$((failed + 1))
	{ [ -s output ] && { ! paused sleep || xl unpause sleep; } && wait_for alone; } >/dev/null || { bad "call $failed"; break; }
done
check "each of $failed calls failed, and there was one alone" [ $failed -gt 15 ]
xl destroy sleepb
rm -f disks/sleepb.xvda.img
for n in 1 3 5 7 9; do
	"$out/fake-xl" clone sleep sleepb >said 2>&1 &
	p=$!
	sleep 0.$n
	kill -TERM $p 2>/dev/null
	wait $p
	xl destroy sleepb 2>/dev/null && rm -f disks/sleepb.xvda.img
	check "SIGTERM after 0.$n s: one alone" wait_for alone
done

# --- wrong words ---

says 2 "Usage: xl [-v] clone" xl clone sleep
says 2 "Usage: xl [-v] template" xl template sleep
says 2 "Usage: xl [-v] template" xl template -p sleep gold
says 2 "7: a domain's name cannot be a number" xl clone sleep 7
says 2 "7: a domain's name cannot be a number" xl clone --snapshot=x 7 sleepb
says 1 "'nobody' is an invalid domain identifier" xl clone nobody sleepb
says 1 "cannot clone domain 0" xl clone 0 sleepb
xl destroy sleep
check "nothing is left" wait_for clean

end_of_cases
