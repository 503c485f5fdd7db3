#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# migrate: either side is killed at each message; at most one of the two runs, and one does once it was asked for.
# Usage: test_xl_migrate_kill.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"
. "$here/two_hosts.sh"

in_doubt() { "$out/fake-xl" domid s--migratedaway >/dev/null 2>&1 || ls "$root"/run/migrate/given.* >/dev/null 2>&1; }
both() { [ "$("$out/fake-xl" list | grep -c -- '^s.* -b----')$(xl2 list | grep -c -- '^s.* -b----')" = 11 ]; }
# settle: what is done sooner or later by itself
settle() {
	xl minder b
	xl2 minder b
} >/dev/null 2>&1
# ends HERE|THERE "point": kills at it, and it runs there or here in the end; it is made again for the next
ends() {
	where=$1 point=$2
	KILL_AT=$point "$out/fake-xl" migrate -s "$link" s there >said 2>&1
	cp said output
	if both; then bad "$point: both run"; else ok "$point: at most one runs"; fi
	settle
	if both; then bad "$point: both run, later"; else ok "$point: at most one runs, later"; fi
	if in_doubt; then
		check "$point: in doubt it is paused here" sh -c "! '$out/fake-xl' list | grep -q -- '^s.* -b----'"
		says 0 "s: " xl migrate --recover -s "$link" s there
		if both; then bad "$point: both run, asked for"; else ok "$point: at most one runs, asked for"; fi
	fi
	if [ "$where" = HERE ]; then
		check "$point: it runs here" wait_for runs s
		check "$point: nothing is left there" wait_for settled2
	else
		check "$point: it runs there" wait_for runs2 s
		check "$point: nothing is left here" wait_for clean
		xl2 destroy s
		rm -f "$other"/run/migrate/ran.*
		check "$point: nothing is left there" wait_for clean2
		check "create" xl create -q s.cfg
		wait_for runs s
	fi
	check "$point: no note is left" no_notes
}

check "create" xl create -q s.cfg
wait_for runs s
for point in "got HELLO" "before HELLO" "after HELLO" "got PREPARED" "got READY" "before note"; do ends HERE "source $point"; done
# The note is there and GO is not sent: it is asked for, and has never been there
for point in "after note" "before GO"; do ends HERE "source $point"; done
for point in "after GO" "got RUNNING" "before DONE" "after DONE"; do ends THERE "source $point"; done
for point in "before HELLO" "after HELLO" "got HELLO" "before PREPARED" "after PREPARED" "before READY" "after READY" "got GO"; do
	ends HERE "target $point"
done
for point in "after note" "after mark" "before RUNNING" "after RUNNING" "got DONE"; do ends THERE "target $point"; done

# --- one that suspends itself ---

xl destroy s
sed -i 's/"s"/"plain"/' s.cfg
for point in "got READY" "after GO"; do
	check "create" xl create -q sleep.cfg name=sleep
	check "it offers to suspend itself" wait_for offers sleep
	check "its devices are connected" wait_for connected sleep
	KILL_AT="source $point" "$out/fake-xl" migrate -s "$link" sleep there >said 2>&1
	settle
	if [ "$point" = "after GO" ]; then
		check "it stands still here" sh -c "'$out/fake-xl' list | grep -q '^sleep.*ps'"
		check "it runs there" wait_for runs2 sleep
		sleep 0.3
		check "it stands still for long" sh -c "'$out/fake-xl' list | grep -q '^sleep.*ps'"
		says 0 "what was left of it here is gone" xl migrate --recover -s "$link" sleep there
		check "its devices are connected there" wait_for connected2 sleep
		xl2 destroy sleep
		rm -f "$other"/run/migrate/ran.*
	else
		check "it goes on here" wait_for runs sleep
		check "its devices have seen nothing" connected sleep
		xl destroy sleep
	fi
	check "nothing is left there" wait_for settled2
	check "nothing is left here" wait_for clean
done

# Its devices were there already when the target's end was killed
for point in "before READY" "got GO"; do
	check "create" xl create -q sleep.cfg
	check "it offers to suspend itself" wait_for offers sleep
	check "its devices are connected" wait_for connected sleep
	KILL_AT="target $point" "$out/fake-xl" migrate -s "$link" sleep there >said 2>&1
	settle
	[ "$point" != "got GO" ] || says 0 "sleep: goes on here" xl migrate --recover -s "$link" sleep there
	check "target $point: it goes on here" wait_for runs sleep
	check "its devices have seen nothing" connected sleep
	check "nothing is left there" wait_for settled2
	check "no note is left" no_notes
	xl destroy sleep
	check "nothing is left here" wait_for clean
done

# --- in doubt ---

sed -i 's/"plain"/"s"/' s.cfg
check "create" xl create -q s.cfg
wait_for runs s
KILL_AT="source after note" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
settle
says 1 "it has been given to there and may run there" xl unpause s
says 1 "it has been given to there and may run there" xl save s f.save
says 1 "it has been given to there and may run there" xl migrate -s "$link" s there
says 1 "the connection was closed" xl migrate --recover -s false s there
says 1 "'s' stays paused. If it certainly does not run elsewhere" xl migrate --recover -s false s there
check "it does" paused s
cp "$other/boot_id" boot_id.there
echo 33333333-3333-3333-3333-333333333333 >"$other/boot_id"
says 1 "or has been started again since: it may have run there" xl migrate --recover -s "$link" s there
check "it stays paused" paused s
cp boot_id.there "$other/boot_id"
says 0 "s: goes on here" xl migrate --recover --force s
check "it runs" wait_for runs s
says 1 "'s' has not been given to another host" xl migrate --recover -s "$link" s there
check "no note is left" no_notes
# The link goes behind GO, and takes nobody along
source_gone_behind_go
says 0 "s: went to there; what was left of it here is gone" xl migrate --recover --force -s "$link" s there
check "--force does not make two of it" wait_for clean
xl2 destroy s
check "nothing is left there" wait_for clean2
check "no note is left" no_notes
# It has ended there before it was asked for
check "create" xl create -q s.cfg
wait_for runs s
source_gone_behind_go
xl2 destroy s
settle
says 0 "s: went to there" xl migrate --recover -s "$link" s there
check "it does not go on from there once more" wait_for clean
check "no note is left" no_notes
# Half of it is there, and nobody receives it any more
check "create" xl create -q s.cfg
wait_for runs s
KILL_AT="target after PREPARED" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
check "it goes on here" wait_for runs s
says 1 "it is on its way from another host" xl2 unpause s--incoming
says 1 "half of 's' has come from another host: it goes" xl2 minder b
check "nothing is left there" wait_for clean2
KILL_AT="target after PREPARED" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
says 0 "s: runs on there" xl migrate -s "$link" s there
check "the next attempt has taken it away first" [ "$(xl2 list | grep -c '^s')" = 1 ]
xl2 destroy s
check "nothing is left there" wait_for clean2
check "nothing is left here" wait_for clean
check "no note is left" no_notes
check "no sanitizer complained there" sane2

end_of_cases
