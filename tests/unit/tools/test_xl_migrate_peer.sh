#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# migrate: an end that says nothing any more, or anything; who else is at the guest meanwhile; what an older attempt has left.
# Usage: test_xl_migrate_peer.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"
. "$here/two_hosts.sh"

talk=$here/migrate_talk.py
# soon "text" STATUS command...: as says, and it does not take for ever
soon() {
	text=$1 status=$2
	shift 2
	says "$status" "$text" timeout 60 "$@"
}
# kept "what": the guest runs here, and nothing is left there
kept() {
	check "$1: it goes on here" wait_for runs s
	check "$1: nothing is left there" wait_for clean2
	check "$1: no note is left" no_notes
}
# stopped POINT command...: in the background, until it stops there
stopped() {
	point=$1
	shift
	rm -f "$shared/stopped"
	STOP_AT=$point STOPPED=$shared/stopped "$@" >said 2>&1 &
	p=$!
	check "it is at: $point" wait_for test -s "$shared/stopped"
}
go_on() { kill -CONT "$(cat "$shared/stopped")"; }
# ended STATUS "text": what was stopped has ended so
ended() {
	wait $p
	got=$?
	cp said output
	if [ $got = "$1" ] && grep -qF -- "$2" said; then ok "it ended: $2"; else bad "it ended with $got, wanted $1: $2"; fi
}
notes() { ls "$other/run/migrate"; }

check "create" xl create -q s.cfg
wait_for runs s

# --- an end that says nothing any more ---

soon "it says nothing any more (HELLO was to come)" 1 env HASTY=1 "$out/fake-xl" migrate -s "" s "exec sleep 20"
kept "no HELLO"
boot=33333333-3333-3333-3333-333333333333
soon "it says nothing any more (PREPARED was to come)" 1 env HASTY=1 "$out/fake-xl" migrate -s "" s "exec python3 $talk --target target:$boot"
kept "no PREPARED"
soon "it says nothing any more (READY was to come)" 1 env HASTY=1 "$out/fake-xl" migrate -s "" s "exec python3 $talk --target target:$boot 2"
kept "no READY"
# What takes nothing is no better, and a command that does not end is ended.
soon "nothing is taken any more" 1 env HASTY=1 "$out/fake-xl" migrate -s "" s "trap '' TERM; python3 $talk --target target:$boot 2 </dev/null; while :; do sleep 1; done"
kept "nothing is taken"
soon "nothing has come for too long" 1 sh -c "{ python3 $talk --target hello:s </dev/null; sleep 5; } | HASTY=1 $link x xl migrate-receive >/dev/null"
kept "half a stream"
# READY comes, and GO does not: the target gives up before whoever asks does
xl migrate -s "" s "tee $shared/all | $link x xl migrate-receive" >said 2>&1
check "it has gone" wait_for runs2 s
says 0 "s: runs on here" over "$out/fake-xl" migrate -s "$link_back" s here
size=$(stat -c %s "$shared/all")
soon "it stays where it is, as its host has not let go of it: it says nothing any more" 1 env HASTY=1 "$out/fake-xl" migrate -s "" s "{ stdbuf -o0 head -c $((size - 48)); sleep 5; } | $link x xl migrate-receive"
kept "GO hangs"

# --- a source that is gone, and whose way has not noticed ---

KILL_AT="source got RUNNING" "$out/fake-xl" migrate -s "" s "{ cat; sleep 20; } | $link x xl migrate-receive" >said 2>&1
check "it runs there" wait_for runs2 s
soon "what was left of it here is gone" 0 env HASTY=1 "$out/fake-xl" migrate --recover -s "$link" s there
check "nothing is left here" wait_for clean
check "no note is left" no_notes
xl2 destroy s
check "create" xl create -q s.cfg
wait_for runs s

# --- signals ---

stopped "source got PREPARED" "$out/fake-xl" migrate -s "$link" s there
kill -INT $p
go_on
ended 1 "interrupted"
kept "SIGINT at the source"
stopped "source got READY" "$out/fake-xl" migrate -s "$link" s there
kill -HUP $p
go_on
ended 1 "interrupted: 's' goes on here"
kept "SIGHUP at the source"
stopped "target after PREPARED" "$out/fake-xl" migrate -s "$link" s there
kill -TERM "$(cat "$shared/stopped")"
go_on
ended 1 "interrupted"
kept "SIGTERM at the target"

# --- anything but an xl migrate-receive ---

soon "what it says is no message of a migration (HELLO was to come): does a login there print anything?" 1 \
	"$out/fake-xl" migrate -s "" s "exec yes Welcome"
kept "a greeting without end"
"$out/fake-xl" migrate -s "" s "exec python3 $talk --target target:$boot 7:6e6f1b5b324a" >said 2>&1
check "FAILED is told" grep -qF "xl: exec python3 $talk --target target:$boot 7:6e6f1b5b324a: no" said
check "and tells the terminal nothing" sh -c "! grep -q '$(printf '\033')' said"
kept "FAILED"
soon "its HELLO is too short" 1 "$out/fake-xl" migrate -s "" s "exec python3 $talk --target 1:00"
soon "its HELLO is none" 1 "$out/fake-xl" migrate -s "" s "exec python3 $talk --target 1:$(printf '41%.0s' $(seq 48))"
soon "NOT_HERE has come in the place of HELLO" 1 "$out/fake-xl" migrate -s "" s "exec python3 $talk --target 10"
kept "other messages"

# --- who ends on the way ---

for at in "got PREPARED" "got READY"; do
	stopped "source $at" "$out/fake-xl" migrate -s "$link" s there
	"$out/fake-hv" end "$(xl domid s)"
	go_on
	ended 1 "'s' has ended (poweroff) on its way"
	check "it is dealt with here" wait_for gone s
	check "nothing is left there" wait_for clean2
	check "nothing is left here" wait_for clean
	check "no note is left" no_notes
	check "create" xl create -q s.cfg
	wait_for runs s
done
# Its watchdog does not know that it was given away
xl destroy s
check "create" xl create -q s.cfg 'on_poweroff="restart"'
wait_for runs s
was=$(xl domid s)
source_gone_behind_go
"$out/fake-hv" end "$was"
sleep 1
check "one given away has no next life here" [ "$("$out/fake-xl" list | awk '/^s/ { print $2 }')" = "$was" ]
soon "what was left of it here is gone" 0 "$out/fake-xl" migrate --recover -s "$link" s there
check "nothing is left here" wait_for clean
xl2 destroy s
check "create" xl create -q s.cfg 'on_poweroff="restart"'
wait_for runs s
was=$(xl domid s)
KILL_AT="source after note" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
"$out/fake-hv" end "$was"
xl minder b >/dev/null 2>&1
soon "s: goes on here" 0 "$out/fake-xl" migrate --recover -s "$link" s there
check "taken back it has" wait_for sh -c "d=\$('$out/fake-xl' domid s) && [ \$d != $was ]"
check "and runs" wait_for runs s
xl destroy s
check "nothing is left here" wait_for clean
check "nothing is left there" wait_for clean2
check "no note is left" no_notes
check "create" xl create -q s.cfg
wait_for runs s

# --- who renames it, and who makes others meanwhile ---

stopped "source got READY" "$out/fake-xl" migrate -s "$link" s there
"$out/fake-xl" rename s x >renamed 2>&1 &
renamer=$!
sleep 0.5
check "others are made here" timeout 60 "$out/fake-xl" create -q a.cfg
xl destroy a
check "others are made there" timeout 60 "$shared/over" "$out/fake-xl" create -q a.cfg
xl2 destroy a
go_on
ended 0 "s: runs on there"
wait $renamer
check "there is nobody to rename" grep -q "invalid domain identifier" renamed
says 0 "s: runs on here" over "$out/fake-xl" migrate -s "$link_back" s here
check "it is back" wait_for runs s
KILL_AT="target after PREPARED" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
soon "cannot rename domain" 1 "$shared/over" "$out/fake-xl" rename s--incoming x
xl2 minder b >output 2>&1
kept "half of it, that is to be renamed"
KILL_AT="source after note" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
xl minder b >output 2>&1
soon "cannot rename domain" 1 "$out/fake-xl" rename s x
soon "s: goes on here" 0 "$out/fake-xl" migrate --recover -s "$link" s there
kept "given away, it is not renamed"
# Somebody makes guests there for so long that it cannot have its name at once
stopped "target got GO" env HASTY=1 "$out/fake-xl" migrate -s "$link" s there
flock "$other/run/xl.lock" sleep 1.5 &
holder2=$!
go_on
ended 0 "s: runs on there"
check "it runs, as another so far" runs2 s--incoming
check "and that it has to have its name is noted" sh -c "ls '$other/run/migrate' | grep -q incoming"
wait $holder2
xl2 minder b >output 2>&1
check "it has its name" runs2 s
check "no note is left" no_notes
says 0 "s: runs on here" over "$out/fake-xl" migrate -s "$link_back" s here
check "it is back" wait_for runs s

# --- another of its UUID ---

id=$(uuid s)
"$shared/over" env KILL_AT="target after claim" TALK_UUID="$id" python3 "$talk" "$out/fake-xl migrate-receive" hello:s >output 2>&1
check "one was killed who had the note alone" sh -c "ls '$other/run/migrate' | grep -q incoming"
check "another with its UUID there" xl2 create -q s.cfg 'name="t"' "uuid=\"$id\""
xl2 minder b >output 2>&1
check "is nobody's half" runs2 t
check "and no note is left" no_notes
xl2 pause t
check "nor is it barred" timeout 60 "$shared/over" "$out/fake-xl" unpause t
mkdir -p "$other/run/migrate"
: >"$other/run/migrate/incoming.$id"
xl2 minder b >output 2>&1
check "nor of an empty note" runs2 t
check "which goes" no_notes
xl2 destroy t
stopped "target after claim" "$out/fake-xl" migrate -s "$link" s there
check "it is made while the other comes" xl2 create -q s.cfg 'name="t"' "uuid=\"$id\""
go_on
ended 1 "belongs to domain 't'"
check "it runs on" runs2 t
check "no note is left" no_notes
xl2 pause t
check "nor is it barred" timeout 60 "$shared/over" "$out/fake-xl" unpause t
xl2 destroy t
kept "another of its UUID"

# --- what came, left and comes again ---

id=$(uuid s)
source_gone_behind_go
xl2 destroy s
TALK_UUID=$id python3 "$talk" "$link x xl migrate-receive" hello:s >output 2>&1
check "that it comes from a third host changes nothing" notes
soon "what was left of it here is gone" 0 "$out/fake-xl" migrate --recover -s "$link" s there
check "nothing is left here" wait_for clean
check "no note is left" no_notes
check "create" xl create -q s.cfg
wait_for runs s

# Nor does it come back to where something of it is left
source_gone_behind_go
soon "here: 's': domain $(xl domid s) here has its UUID: it is what was left when it went from here (xl migrate --recover)" 1 \
	"$shared/over" "$out/fake-xl" migrate -s "$link_back" s here
check "it runs on there" runs2 s
soon "what was left of it here is gone" 0 "$out/fake-xl" migrate --recover -s "$link" s there
says 0 "s: runs on here" over "$out/fake-xl" migrate -s "$link_back" s here
check "then it does" wait_for runs s
check "no note is left" no_notes
# Two at once, of which the second has to wait for the first
stopped "target after PREPARED" "$out/fake-xl" migrate -s "$link" s there
TALK_UUID=$(uuid s) HASTY=1 timeout 60 python3 "$talk" "$link x xl migrate-receive" hello:s >other 2>&1
check "it is told so" grep -q "answer 7: 's': it is on its way here already" other
go_on
ended 0 "s: runs on there"
says 0 "s: runs on here" over "$out/fake-xl" migrate -s "$link_back" s here
check "it is back" wait_for runs s
# In doubt it is said what to do
KILL_AT="target got GO" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
check "it is said how to ask" grep -qF "as s--migratedaway. Ask with: xl migrate --recover -s '$link' s 'there'" said
check "and right so" sh -c "sed -n 's/.*Ask with: xl //p' said | PATH=$shared:\$PATH xargs '$out/fake-xl' | grep 's: goes on here'"
kept "in doubt"

# --- where it was not given to ---

id=$(uuid s)
KILL_AT="source after note" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
xl minder b >output 2>&1
xl2 minder b >output 2>&1
cp "$other/boot_id" boot_id.there
echo 33333333-3333-3333-3333-333333333333 >"$other/boot_id"
check "one of its UUID there" xl2 create -q s.cfg "uuid=\"$id\""
soon "it may be what was made from its configuration" 1 "$out/fake-xl" migrate --recover -s "$link" s there
check "it stays" paused s
soon "it may be what was made from its configuration" 1 "$out/fake-xl" migrate --recover --force -s "$link" s there
check "--force does not make two of it" paused s
cp boot_id.there "$other/boot_id"
xl2 destroy s
soon "s: goes on here" 0 "$out/fake-xl" migrate --recover -s "$link" s there
kept "where it was not given to"

# --- two that were called so ---

KILL_AT="target got GO" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
first=$(xl domid s--migratedaway)
xl2 minder b >output 2>&1
check "create" xl create -q s.cfg
wait_for runs s
KILL_AT="target got GO" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
second=$(xl domid s)
check "the second one could not have the name" grep -q "warning: domain $second is not called 's--migratedaway'" said
soon "s: goes on here" 0 "$out/fake-xl" migrate --recover -s "$link" s there
check "it is the one that is called so" runs "$second"
check "and no other" paused "$first"
KILL_AT="source after GO" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
check "it runs there" wait_for runs2 s
soon "cannot rename" 1 "$out/fake-xl" rename s--migratedaway y
soon "s: went to there" 0 "$out/fake-xl" migrate --recover -s "$link" s there
soon "s: goes on here" 0 "$out/fake-xl" migrate --recover -s "$link" "$first" there
xl2 destroy s
kept "two that were called so"

# --- a xenstored that does not answer xl minder for a while ---

KILL_AT="target after PREPARED" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
kill -STOP "$xs2"
HASTY=1 "$shared/over" "$out/fake-xl" minder >minder.log 2>&1 &
minder=$!
pids="$pids $minder"
check "it says so" wait_for grep -q "xenstored does not answer" minder.log
kill -CONT "$xs2"
kept "later it is asked again"
kill "$minder"

# --- who is killed over letting it go on ---

KILL_AT="source after note" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
xl minder b >output 2>&1
KILL_AT="source after back" "$out/fake-xl" migrate --recover -s "$link" s there >said 2>&1
check "not yet" paused s
says 1 "who let 's' go on here was killed: it does" xl minder b
kept "killed over it"
KILL_AT="source after note" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
xl minder b >output 2>&1
KILL_AT="source after back" "$out/fake-xl" migrate --recover -s "$link" s there >said 2>&1
soon "s: goes on here" 0 "$out/fake-xl" migrate --recover -s false s there
kept "asked once more"
: >"$root/run/migrate/new-given.$(xl domid s)"
xl minder b >output 2>&1
check "half a note goes" no_notes

xl destroy s
check "nothing is left there" wait_for clean2
check "nothing is left here" wait_for clean
check "no sanitizer complained there" sane2

end_of_cases
