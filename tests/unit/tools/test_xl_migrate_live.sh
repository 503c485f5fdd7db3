#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# migrate: rounds, of guests that write meanwhile (fake_log.c). That what has come is as it was at rest, is seen to by the pretended
# hypervisor of the target, which else does not take the guest's state.
# Usage: test_xl_migrate_live.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"
. "$here/two_hosts.sh"

# shown "what" PATTERN: by what was run last
shown() { if grep -Eq -- "$2" output; then ok "$1"; else bad "$1"; fi; }
logged() { "$out/fake-hv" logged "$(xl domid "$1")"; }
not_logged() { ! logged "$1"; }
cap() { [ "$("$out/fake-xl" sched-credit2 -d "$1" | awk 'END { print $4 }')" = "$2" ]; }
# back NAME: it comes back, for the next one
back() {
	check "it runs there" wait_for runs2 "$1"
	check "nothing is left here" wait_for clean
	says 0 "$1: runs on here" over "$out/fake-xl" migrate -s "$link_back" "$1" here
	check "it is back" wait_for runs "$1"
	check "nothing is left there" wait_for clean2
	check "no note is left" no_notes
}
back_again() {
	check "it runs there" wait_for runs2 "$1"
	says 0 "$1: runs on here" over "$out/fake-xl" migrate -s "$link_back" "$1" here
	check "it is back" wait_for runs "$1"
}
# stays "what": it runs here as before, and nothing is left there
stays() {
	check "$1: it goes on here" wait_for runs s
	check "$1: it is not logged any more" wait_for not_logged s
	check "$1: it may have what it had" wait_for cap s 0
	check "$1: nothing is left there" wait_for clean2
	check "$1: no note is left" no_notes
}

check "create" xl create -q s.cfg vcpus=2
wait_for runs s

# --- rounds ---

# Of 16 MiB a quarter are no zeros, and what is written is none: 1000 pages take half a second at this rate, if not more.
FAKE_WRITES=1000,1000,20,3 says 0 "s: round 1: " xl migrate --max-bandwidth=8 -s "$link" s there
shown "what it has written meanwhile" 'meanwhile it has written 3.9 MiB, which would take'
shown "that goes in a second one" 's: round 2: 3\.9 MiB'
shown "and then again" 's: round 3: 3\.9 MiB'
shown "until it is little; the last one" 's: runs on there; 16 MiB of memory, [0-9.]+ MiB sent in 4 rounds'
back s
FAKE_WRITES=7 says 0 "16 MiB of memory" xl migrate -s "$link" s there
shown "little is sent at rest" 'in 2 rounds'
back s
# Each length of a word's end, and of its beginning
for n in 1 62 63 64 65 127 128 129 255 256 257; do
	FAKE_WRITES=$n says 0 "s: runs on there" xl migrate --downtime=60000 -s "$link" s there
	FAKE_WRITES=$n says 0 "s: runs on here" over "$out/fake-xl" migrate --downtime=60000 -s "$link_back" s here
done

# One that writes between all that is done with its memory
for n in 1 2 3; do
	FAKE_BUSY=1 FAKE_WRITES=500,200,100,50 says 0 "s: runs on there" xl migrate --max-bandwidth=8 --downtime=30 -s "$link" s there
	back_again s
done
FAKE_BUSY=1 FAKE_WRITES=400m,400M,30 says 0 "s: runs on there" xl migrate --max-bandwidth=8 --downtime=30 -s "$link" s there
back_again s

# --- machines on which what is read may have been written ---

FAKE_WRITES=400m,400m,400m,5M says 0 "s: round 3: 0.0 MiB" xl migrate --max-bandwidth=8 --downtime=100 -s "$link" s there
shown "what may be so is told" 'meanwhile it has written 0.0 MiB to 1.6 MiB'
back_again s
FAKE_WRITES=400m,400M,400M,400m,30M says 0 "s: runs on there" xl migrate --max-bandwidth=8 --downtime=100 -s "$link" s there
back_again s

# --- less is sent ---

# sent: the bytes of the last one's stream, in tenths of a MiB
sent() { sed -n 's/.* \([0-9]*\)\.\([0-9]\) MiB sent.*/\1\2/p' output; }
says 0 "s: runs on there" xl migrate -s "$link" s there
plain=$(sent)
back_again s
FAKE_WRITES=300,20 says 0 "s: runs on there" xl migrate --compress -s "$link" s there
check "packed it is a tenth, if that" [ "$(sent)" -lt $((plain / 10)) ]
back_again s

# --- no rounds ---

FAKE_WRITES=500 says 0 "sent in 1 round," xl migrate --cold -s "$link" s there
back_again s
FAKE_NO_LOG=1 says 0 "xl: 's' is on a machine that does not notice what guests write: it stands still" xl migrate -s "$link" s there
shown "all of it is sent at rest" "sent in 1 round,"
back_again s
xl pause s
FAKE_WRITES=500 says 0 "s: is, paused, on there" xl migrate -s "$link" s there
shown "one that is paused writes nothing" "in 2 rounds"
xl2 unpause s
back_again s

# --- it gets ahead of what is sent ---

FAKE_WRITES=200 says 1 "xl: 's' writes faster than can be sent: after 30 rounds" xl migrate --max-bandwidth=8 --downtime=1 -s "$link" s there
shown "it is slowed" "and is slowed by 20 %"
shown "more and more" "and is slowed by 90 %"
if grep -q 'slowed by 100' output; then bad "not more than that"; else ok "not more than that"; fi
stays "too fast"
check "a cap of its own" xl sched-credit2 -d s -c 70
FAKE_WRITES=200,200,200,200,1 says 0 "and is slowed by 20 %" xl migrate --max-bandwidth=8 --downtime=20 -s "$link" s there
back_again s

# --- it does not get there: Ctrl-C, a kill, the end of it, a target that goes ---

export FAKE_WRITES=200
"$out/fake-xl" migrate --max-bandwidth=1 --downtime=1 -s "$link" s there >said 2>&1 &
p=$!
check "its rounds have begun" wait_for logged s
kill -INT $p
wait $p
check "Ctrl-C: status 1" [ $? = 1 ]
check "Ctrl-C: it is said" grep -q interrupted said
stays "Ctrl-C"
"$out/fake-xl" migrate --max-bandwidth=8 --downtime=1 -s "$link" s there >said 2>&1 &
p=$!
check "it is slowed" wait_for cap s 1
kill -KILL $p
wait $p
xl minder b >/dev/null 2>&1
stays "killed"
"$out/fake-xl" migrate --max-bandwidth=1 --downtime=1 -s "$link" s there >said 2>&1 &
p=$!
check "its rounds have begun" wait_for logged s
pkill -KILL -P $p
wait $p
check "the target's xl is killed: status 1" [ $? = 1 ]
xl2 minder b >/dev/null 2>&1
stays "the target's xl is killed"
"$out/fake-xl" migrate --max-bandwidth=1 --downtime=1 -s "$link" s there >said 2>&1 &
p=$!
check "its rounds have begun" wait_for logged s
"$out/fake-hv" end "$(xl domid s)"
wait $p
check "it ends: status 1" [ $? = 1 ]
cp said output
shown "that is said" "ended|destroyed"
check "it is gone" wait_for gone s
check "nothing is left here" wait_for clean
check "nothing is left there" wait_for clean2
check "no note is left" no_notes
unset FAKE_WRITES

# --- one that suspends itself, with its devices ---

check "create" xl create -q sleep.cfg
check "it offers to suspend itself" wait_for offers sleep
check "its devices are connected" wait_for connected sleep
FAKE_WRITES=1000,40 says 0 "sleep: runs on there" xl migrate --max-bandwidth=8 -s "$link" sleep there
check "with its devices" wait_for connected2 sleep
back sleep
mv "$shared/sleep.img" "$shared/away.img"
FAKE_WRITES=9 says 1 "sleep.img" xl migrate -s "$link" sleep there
check "no disk there: it goes on here" wait_for runs sleep
check "it is not logged any more" not_logged sleep
mv "$shared/away.img" "$shared/sleep.img"
xl destroy sleep
check "nothing is left" wait_for clean

# --- wrong words ---

says 2 "--max-bandwidth is in MiB a second, 0.1 or more: '0' is not" xl migrate --max-bandwidth=0 s there
says 2 "'1k' is not" xl migrate --max-bandwidth=1k s there
says 2 "'nan' is not" xl migrate --max-bandwidth=nan s there
says 2 "--downtime is in milliseconds, 1 to 600000: '-1' is not" xl migrate --downtime=-1 s there
says 2 "'0' is not" xl migrate --downtime=0 s there
says 2 "'600001' is not" xl migrate --downtime=600001 s there
says 2 "--force goes with --recover" xl migrate --recover --downtime=7 s there
says 2 "--force goes with --recover" xl migrate --recover --cold s there
says 2 "--force goes with --recover" xl migrate --recover --compress s there
check "no sanitizer complained there" sane2

end_of_cases
