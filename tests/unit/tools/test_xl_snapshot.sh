#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# snapshot, snapshot-list, snapshot-revert, snapshot-delete: guests with and without disks, what fails, who is killed.
# Usage: test_xl_snapshot.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

quiet_disks "$root"
mkdir disks
for n in sleep s; do
	cat >"$n.cfg" <<-END
		name = "$n"
		kernel = "$root/Image"
		memory = 16
		on_reboot = "destroy"
	END
done
cat >>sleep.cfg <<END
disk = [ "format=raw, vdev=xvda, access=rw, target=$root/disks/a b.img", "$root/disks/c.img,raw,xvdb,w", "$root/text.img,raw,xvdc,r", "vdev=xvdd, devtype=cdrom, target=" ]
vif = [ "mac=00:16:3e:00:00:01", "bridge=xenbr0" ]
END
# disks WORD: what both of its disks begin with
disks() { for f in "disks/a b.img" disks/c.img; do { echo "$1"; head -c 1048570 /dev/zero; } >"$f"; done; }
have() { for f in "disks/a b.img" disks/c.img; do [ "$(head -n 1 "$f")" = "$1" ] || return 1; done; }
node() { xenstore-read "/local/domain/$(xl domid sleep)/$1"; }
connected() { [ "$(node device/vbd/51712/state)$(node device/vbd/51728/state)$(node device/vif/0/state)" = 444 ]; }
offers() { [ "$(node control/feature-suspend)" = 1 ]; }
logged() { "$out/fake-hv" logged "$(xl domid "$1")"; }
# none: no snapshot, whole or in part, nor a file of one
none() { ! find snapshots disks/.snapshots -mindepth 1 2>/dev/null | grep .; }
# runs_on "what": the guest has seen nothing
runs_on() {
	check "$1: it runs on" wait_for runs "$guest"
	check "$1: it is not logged" sh -c "! '$out/fake-hv' logged '$(xl domid "$guest")'"
	check "$1: nothing is left" none
	check "$1: nobody is noted" no_file run/minder/dump.
}

disks first
cp disk.img text.img
snapshot >before
check "create" xl create -q sleep.cfg
guest=sleep
check "it offers to suspend itself" wait_for offers
check "its devices are connected" wait_for connected
uuid=$(xl list -v sleep | grep -Eo '[0-9a-f]{8}-[0-9a-f-]{27}')

# --- memory and disks ---

FAKE_WRITES=300,20 says 0 "sleep: snapshot 'one': 16 MiB of memory, 2 disks; it stood still for" xl snapshot sleep one
check "it runs on" runs sleep
check "its devices have seen nothing" connected
check "it is not logged" sh -c "! '$out/fake-hv' logged '$(xl domid sleep)'"
check "both disks are there" cmp "disks/a b.img" "disks/.snapshots/sleep~one~xvda"
check "both disks are there" cmp disks/c.img disks/.snapshots/sleep~one~xvdb
check "and none that it cannot write" [ "$(ls disks/.snapshots | wc -l)" = 2 ]
check "it is whole" [ "$(ls snapshots/sleep/one | tr '\n' ' ')" = "about config memory " ]
check "and nobody else's" [ "$(stat -c %a snapshots/sleep snapshots/sleep/one snapshots/sleep/one/memory | tr '\n' ' ')" = "700 700 600 " ]
says 1 "'sleep' has a snapshot 'one' already" xl snapshot sleep one
check "it is as it was" [ -s snapshots/sleep/one/memory ]
disks second
says 0 "sleep: snapshot 'two': 2 disks; it stood still for" xl snapshot --disk sleep two
disks third
says 0 "sleep: snapshot 'three': 16 MiB of memory; it stood still for" xl snapshot --memory sleep three
check "no disk is in that" [ ! -e disks/.snapshots/sleep~three~xvda ]
says 0 "sleep                    one " xl snapshot-list
check "all are there" [ "$(xl snapshot-list | awk '{ printf "%s,%s,%s ", $2, $5, $6 }')" = "Snapshot,Disks, one,16,2 three,16,0 two,-,2 " ]
check "of another there are none" [ -z "$(xl snapshot-list other 2>&1)" ]
check "the schema" sh -c "'$out/fake-xl' snapshot-list --json sleep | python3 '$here/check_json.py' snapshot-list"

# --- back ---

old=$(xl domid sleep)
says 0 "sleep: as in snapshot 'one'" xl snapshot-revert sleep one
check "it runs" wait_for runs sleep
check "it is another domain" [ "$(xl domid sleep)" != "$old" ]
check "with its UUID" [ "$(xl list -v sleep | grep -Eo '[0-9a-f]{8}-[0-9a-f-]{27}')" = "$uuid" ]
check "with its devices" wait_for connected
check "its disks are as they were" have first
check "no file beside them" [ "$(ls disks | wc -l)" = 2 ]
disks fourth
says 0 "sleep: its disks are as they were; it is not running: xl create" xl snapshot-revert sleep two
check "it is gone" gone sleep
check "nothing of it is left" wait_for clean
check "its disks are as they were" have second
says 0 "sleep: as in snapshot 'one'" xl snapshot-revert -p sleep one
check "one that is not there comes back; -p: paused" paused sleep
check "its disks are as they were" have first
xl unpause sleep
check "it runs" wait_for runs sleep

# --- who is refused; the guest runs on, or is as it was ---

same() {
	check "$1: it is the same" [ "$(xl domid sleep)" = "$old" ]
	check "$1: it runs" runs sleep
	check "$1: its disks are as they are" have fifth
	check "$1: no file beside them" [ "$(ls disks | wc -l)" = 2 ]
}
check "its devices are connected" wait_for connected
disks fifth
old=$(xl domid sleep)
says 1 "'sleep' has no snapshot 'four'" xl snapshot-revert sleep four
says 1 "disk xvda of 'sleep' is not in snapshot 'three': put it back to that moment yourself, then: xl restore $root/snapshots/sleep/three/memory" xl snapshot-revert sleep three
same "memory alone"
mv text.img no-text.img
says 1 "$root/text.img: No such file or directory" xl snapshot-revert sleep one
same "a disk that it reads"
mv no-text.img text.img
truncate -s 4096 disks/.snapshots/sleep~one~xvdb
says 1 "xvdb: it is not there any more, or not whole" xl snapshot-revert sleep one
same "half a disk"
truncate -s 1048576 disks/.snapshots/sleep~one~xvdb
check "a disk less" xl block-detach sleep xvdb
sed 's/name = "sleep"/name = "reader"/; s/^disk.*//; s/^vif.*//' sleep.cfg >reader.cfg
check "another has it" xl create -q reader.cfg "disk=[\"$root/disks/c.img,raw,xvda,w\"]"
says 1 "in use by domain 'reader'" xl snapshot-revert sleep one
same "a disk that is another's now"
xl destroy reader
check "a disk more" xl block-attach sleep "$root/disks/c.img,raw,xvdb,w"
says 1 "'other' has no snapshots" xl snapshot-revert other one
says 1 "'other' has no snapshots" xl snapshot-delete other one
says 2 "7: a domain's name cannot be a number" xl snapshot-revert 7 one
cp snapshots/sleep/one/memory whole
for at in 10 2000 20000 100000; do
	{ head -c $at whole && printf '\377\0\377' && tail -c +$((at + 4)) whole; } >snapshots/sleep/one/memory
	says 1 "snapshots/sleep/one/memory: " xl snapshot-revert sleep one
	same "damaged at $at"
	head -c $at whole >snapshots/sleep/one/memory
	says 1 "snapshots/sleep/one/memory: " xl snapshot-revert sleep one
	same "cut at $at"
done
cp whole snapshots/sleep/one/memory
mv disks/.snapshots/sleep~one~xvdb away
says 1 "disk xvdb, $root/disks/.snapshots/sleep~one~xvdb: it is not there any more" xl snapshot-revert sleep one
same "no disk"
mv away disks/.snapshots/sleep~one~xvdb
FAKE_NO_SHARE=2 says 1 "No space left on device" xl snapshot-revert sleep one
same "no room"
cp snapshots/sleep/one/about about
for line in "" "x" "disk" "disk xvda" "disk xvda	/a" "disk xvda	a	/b" "time x" "uuid $(printf '%0100d' 0)"; do
	{ head -n 1 about && echo "$line"; } >snapshots/sleep/one/about
	says 1 "snapshots/sleep/one/about: line 2 is none of a snapshot's" xl snapshot-revert sleep one
done
: >snapshots/sleep/one/about
says 1 "about: it cannot be read" xl snapshot-revert sleep one
echo "Pavise snapshot 2" >snapshots/sleep/one/about
says 1 "about: line 1 is none" xl snapshot-revert sleep one
cp about snapshots/sleep/one/about
same "what it says of itself"
xl rename sleep wake
says 1 "'wake' (domain $old) has its UUID: has it been renamed?" xl snapshot-revert sleep one
xl rename wake sleep
same "renamed"
xl destroy sleep
sed 's/name = "sleep"/name = "thief"/; s/, "[^"]*xvdc[^]]*\]/ ]/; s/^vif.*//' sleep.cfg >thief.cfg
check "another has its disks" xl create -q thief.cfg
says 1 "in use by domain 'thief'" xl snapshot-revert sleep one
check "they are the other's" have fifth
check "no file beside them" [ "$(ls disks | wc -l)" = 2 ]
xl destroy thief
check "it comes back once it may" xl snapshot-revert sleep one
check "it runs" wait_for runs sleep
check "with its devices" wait_for connected

# --- they go ---

for n in one two three; do check "delete $n" xl snapshot-delete sleep $n; done
check "nothing is left of them" none
check "the guest has seen nothing" connected
says 1 "'sleep' has no snapshots" xl snapshot-delete sleep one
check "there are none" [ -z "$(xl snapshot-list 2>&1)" ]

# --- what fails ---

FAKE_NO_SHARE='' says 1 "xvda, $root/disks/a b.img: its file system cannot let two files share blocks, as XFS can: --copy" xl snapshot sleep one
runs_on "no blocks to share"
FAKE_NO_SHARE=2 says 1 "No space left on device" xl snapshot sleep one
runs_on "no room"
disks sixth
dd if=/dev/urandom of=disks/c.img bs=4096 seek=300 count=7 conv=notrunc 2>/dev/null
FAKE_NO_SHARE='' says 0 "2 disks; it stood still" xl snapshot --copy sleep one
check "a copy" cmp "disks/a b.img" "disks/.snapshots/sleep~one~xvda"
check "with its holes" [ "$(stat -c %b disks/.snapshots/sleep~one~xvdb)" -le "$(stat -c %b disks/c.img)" ]
check "and what is between them" cmp disks/c.img disks/.snapshots/sleep~one~xvdb
check "delete" xl snapshot-delete sleep one
for n in 0 1 2 3 4 5; do echo "       0        3" >"sysblock/7:$n/inflight"; done
says 1 "the disks of 'sleep' are not done with what it has written" hasty snapshot sleep one
runs_on "a disk that is not done"
quiet_disks "$root"
rm disks/c.img
says 1 "disk xvdb of 'sleep': $root/disks/c.img: No such file" xl snapshot sleep one
runs_on "no disk"
disks seventh
# One call is that which unpauses it.
no_trace() { none && { ! paused sleep || xl unpause sleep; } && wait_for runs sleep; }
each_call_fails snapshot no_trace xl snapshot sleep one
check "each of $failed calls failed, it ran on, and nothing was left" [ $failed -gt 10 ]
check "then it is there" xl snapshot-delete sleep one

# --- who is killed, or interrupted ---

for sig in INT TERM KILL; do
	for n in 1 2 3 4 5 6 7 8; do
		FAKE_WRITES=200 "$out/fake-xl" snapshot sleep one >said 2>&1 &
		p=$!
		sleep 0.$n
		kill -$sig $p 2>/dev/null
		wait $p
		xl minder b >/dev/null 2>&1
		# The next one finds what it has left, or that it was done.
		xl snapshot-delete sleep one >/dev/null 2>&1
		{ wait_for runs sleep && connected && ! logged sleep && none; } >output 2>&1 || { bad "SIG$sig after 0.$n s"; break; }
	done
	ok "SIG$sig: it ran on, and nothing was left"
done

# --- two at once ---

mkdir -p snapshots/sleep
flock -o snapshots/sleep sleep 100 &
holder=$!
pids="$pids $holder"
wait_for sh -c '! flock -n snapshots/sleep true'
says 1 "another xl is busy with the snapshots of 'sleep'" xl snapshot sleep one
says 1 "another xl is busy with the snapshots of 'sleep'" xl snapshot-revert sleep one
check "it runs on" runs sleep
pkill -P $holder
wait_for flock -n snapshots/sleep true
rmdir snapshots/sleep
xl destroy sleep
check "nothing of it is left" wait_for clean

# --- one without devices, and one with devices that does not suspend itself ---

check "create" xl create -q s.cfg
guest=s
wait_for runs s
FAKE_WRITES=300,300,300,300,300,300,300 says 0 "s: snapshot 'one': 16 MiB of memory, 0 disks" xl snapshot s one
check "it runs on" runs s
check "it is not slowed" [ "$(xl sched-credit2 -d s | awk 'END { print $4 }')" = 0 ]
check "back" xl snapshot-revert s one
check "it runs" wait_for runs s
check "delete" xl snapshot-delete s one
xl pause s
check "one that is paused" xl snapshot s one
check "stays so" paused s
check "back" xl snapshot-revert s one
check "delete" xl snapshot-delete s one
xl destroy s
check "nothing of it is left" wait_for clean
check "create" xl create -q a.cfg
guest=a
wait_for runs a
says 1 "'a' has disks or interfaces, and does not offer to suspend itself" xl snapshot a one
runs_on "one that does not suspend itself"
says 0 "a: snapshot 'one': 1 disk;" xl snapshot --disk a one
check "its disk" cmp a.img .snapshots/a~one~xvda
check "delete" xl snapshot-delete a one
check "the directory goes with the last" [ ! -e .snapshots ]
xl destroy a

# --- wrong words ---

says 1 "'nobody' is an invalid domain identifier" xl snapshot nobody one
says 1 "cannot take a snapshot of domain 0" xl snapshot 0 one
for name in "" . .. .x a/b -x x.part "$(printf '%065d' 0)" "a b"; do says 2 "a snapshot's name" xl snapshot -- s "$name"; done
says 2 "Usage: xl [-v] snapshot" xl snapshot s
says 2 "Usage: xl [-v] snapshot-list" xl snapshot-list a b
says 2 "Usage: xl [-v] snapshot-revert" xl snapshot-revert s
says 2 "Usage: xl [-v] snapshot-delete" xl snapshot-delete s
echo "snapshot_dir = \"$root/text/x\"" >xl.conf
check "create" xl create -q s.cfg
says 1 "Not a directory; snapshot_dir in" xl snapshot s one
echo "snapshot_dir = \"$root/elsewhere/deep\"" >xl.conf
check "another place" xl snapshot s one
check "it is there" [ -s elsewhere/deep/s/one/memory ]
check "delete" xl snapshot-delete s one
xl destroy s
check "nothing is left" wait_for clean

end_of_cases
