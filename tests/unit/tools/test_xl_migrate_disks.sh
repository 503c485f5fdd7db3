#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# migrate --copy-disks: disks that go along to another host, which has none of them; what is left of them where a guest does not go.
# Usage: test_xl_migrate_disks.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"
. "$here/two_hosts.sh"

# The same path is another file on each.
mkdir disks "$other/disks"
cat >sleep.cfg <<END
name = "sleep"
kernel = "$root/Image"
memory = 16
on_reboot = "destroy"
disk = [ "format=raw, vdev=xvda, access=rw, target=$root/disks/a.img", "$root/disks/b.img,raw,xvdb,w", "$shared/sleep.img,raw,xvdc,r" ]
vif = [ "mac=00:16:3e:00:00:01", "bridge=xenbr0" ]
END
# shellcheck disable=SC2034 # two_hosts.sh's
states='device/vbd/51712/state device/vbd/51728/state device/vif/0/state'
head -c 3000000 /dev/urandom >disks/a.img
truncate -s 5000000 disks/a.img
truncate -s 1048576 disks/b.img
cp disks/a.img a.kept
none() { ! ls "$other"/disks/* 2>/dev/null; }
no_snaps() { ! ls disks/.??* 2>/dev/null; }
# stays "what": it runs here with its devices, and nothing of its disks is left there
stays() {
	check "$1: it goes on here" wait_for runs sleep
	check "$1: its devices have seen nothing" connected sleep
	check "$1: nothing is left there" wait_for clean2
	check "$1: nor of its disks" wait_for none
	check "$1: its own are as they were" cmp disks/a.img a.kept
	check "$1: no snapshot is left" no_snaps
	check "$1: no note is left" no_notes
}
# went "what": it runs there, and its disks are there
went() {
	check "$1: it runs there" wait_for runs2 sleep
	check "$1: with its devices" wait_for connected2 sleep
	check "$1: its disks are there" cmp "$other/disks/a.img" a.kept
	check "$1: one with nothing on it as well" [ "$(stat -c %s.%b "$other/disks/b.img")" = 1048576.0 ]
	check "$1: for root alone" [ "$(stat -c %a "$other/disks/a.img")" = 600 ]
	check "$1: no snapshot is left" no_snaps
}
settled() {
	xl2 minder b
	runs2 sleep
}
again() {
	xl2 destroy sleep
	rm -f "$other"/disks/* "$other"/run/migrate/ran.*
	check "create" xl create -q sleep.cfg
	check "its devices are connected" wait_for connected sleep
}

check "create" xl create -q sleep.cfg
check "it offers to suspend itself" wait_for offers sleep
check "its devices are connected" wait_for connected sleep
says 1 "disks/a.img: No such file or directory" xl migrate -s "$link" sleep there
stays "without its disks"
says 0 "sleep: disks, round 1: 2.9 MiB in" xl migrate --copy-disks -s "$link" sleep there
went "while it runs"
check "what it left is here" cmp disks/a.img a.kept
again
says 0 "sleep: runs on there" xl migrate --copy-disks --cold -s "$link" sleep there
went "while it stands still"
again
FAKE_NO_SHARE='' says 1 "its file system cannot let two files share blocks, as XFS can: --cold" xl migrate --copy-disks -s "$link" sleep there
stays "nothing to share"
FAKE_NO_SHARE='' says 0 "sleep: runs on there" xl migrate --copy-disks --cold -s "$link" sleep there
went "nothing to share, while it stands still"
again

# --- who is there already ---

echo mine >"$other/disks/b.img"
says 1 "disks/b.img is there already: a disk that comes along does not replace one" xl migrate --copy-disks -s "$link" sleep there
check "it goes on here" wait_for runs sleep
says 0 mine cat "$other/disks/b.img"
check "and nothing else is there" [ "$(ls "$other/disks")" = b.img ]
rm "$other/disks/b.img"
mv "$other/disks" "$other/no-disks"
says 1 "disks/a.img: No such file or directory" xl migrate --copy-disks -s "$link" sleep there
mv "$other/no-disks" "$other/disks"
stays "no such directory"

# --- who dies ---

for at in 1000 3000 100000 1000000 3500000; do
	says 1 "" xl migrate --copy-disks -s "" sleep "stdbuf -o0 head -c $at | $link x xl migrate-receive"
	stays "cut after $at bytes"
done
for point in "source got PREPARED" "source got READY" "source before note" "target after PREPARED" "target before READY"; do
	KILL_AT=$point "$out/fake-xl" migrate --copy-disks -s "$link" sleep there >said 2>&1
	xl minder b >/dev/null 2>&1
	xl2 minder b >/dev/null 2>&1
	check "$point: it goes on here" wait_for runs sleep
	check "$point: nothing is left there" wait_for settled2
	check "$point: nor of its disks" wait_for none
	check "$point: no note is left" no_notes
	# What a killed source has kept for itself goes with the next one.
	says 0 "sleep: runs on there" xl migrate --copy-disks -s "$link" sleep there
	went "$point: then"
	again
done
for point in "target after note" "target after mark"; do
	KILL_AT=$point "$out/fake-xl" migrate --copy-disks -s "$link" sleep there >said 2>&1
	# A killed one may hold its note for a moment longer.
	check "$point: it is seen to" wait_for settled
	went "$point"
	says 0 "went to there" xl migrate --recover -s "$link" sleep there
	again
done
"$out/fake-xl" migrate --copy-disks --max-bandwidth=1 -s "$link" sleep there >said 2>&1 &
p=$!
check "disks are on their way" wait_for test -s "$other/disks/a.img"
kill -INT $p
wait $p
check "Ctrl-C: status 1" [ $? = 1 ]
stays "Ctrl-C"

says 2 "--force goes with --recover" xl migrate --recover --copy-disks sleep there
xl destroy sleep
check "nothing is left" wait_for clean
check "no sanitizer complained there" sane2

end_of_cases
