#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# migrate and migrate-receive between two pretended hosts: what moves, who is refused, cut and foreign streams.
# Usage: test_xl_migrate.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"
. "$here/two_hosts.sh"

yes text | head -c 4096 >text.long

# --- there and back ---

check "create" xl create -q s.cfg vcpus=2
wait_for runs s
id=$(xl domid s)
uuid=$(uuid s)
xenstore-write "/local/domain/$id/data/count" 12345
xenstore-chmod "/local/domain/$id/data/count" "b$id" n0
xenstore-control watch-add "$id" control/shutdown "its token" >/dev/null
says 0 "s: runs on there; 16 MiB of memory" xl migrate -s "$link" s there
check "it is gone here" gone s
check "nothing is left here" wait_for clean
check "it runs there" wait_for runs2 s
now=$(xl2 domid s)
check "with its UUID" [ "$(xl2 list -v s | grep -Eo '[0-9a-f]{8}-[0-9a-f-]{27}')" = "$uuid" ]
says 0 12345 over xenstore-read "/local/domain/$now/data/count"
says 0 "its token" over xenstore-control watch "$now" 0
says 0 s over xenstore-read "/vm/$uuid/name"
check "its next life will find its kernel" grep -qF "kernel = \"$root/Image\"" "$other/run/config-$now"
check "under its own name" grep -q 'name = "s"' "$other/run/config-$now"
check "somebody acts on its end" [ -e "$other/log/xl-s.log" ]
check "no note is left" no_notes
says 0 "here" xl2 migrate-receive --ask "$uuid"
says 1 "not here" xl migrate-receive --ask "$uuid"
says 0 "s: runs on here;" over "$out/fake-xl" migrate -s "$link_back" s here
check "it is back" wait_for runs s
check "nothing is left there" wait_for clean2
says 0 12345 xenstore-read "/local/domain/$(xl domid s)/data/count"
check "no note is left" no_notes

# --- options ---

says 0 "s: is, paused, on there" xl migrate -p -s "$link" s there
check "-p: paused" paused2 s
check "unpause" xl2 unpause s
check "it runs" wait_for runs2 s
xl2 pause s
says 0 "s: is, paused, on here" over "$out/fake-xl" migrate -s "$link_back" s here
check "one that is paused stays so" paused s
xl unpause s
check "once only" runs s
{
	cat s.cfg
	printf 'vcpus = 2\non_poweroff = "preserve"\n'
} >more.cfg
says 0 "s: runs on $link x xl migrate-receive" xl migrate -e -C more.cfg -s "" s "$link x xl migrate-receive"
check "-s '': Host is the command" wait_for runs2 s
check "-C: the other configuration" grep -q preserve "$other/run/config-$(xl2 domid s)"
says 1 "is to have no supervisor" xl2 minder s
says 0 "s: runs on here" over "$out/fake-xl" migrate -e -s "$link_back" s here
says 0 "s: runs on there" xl migrate -s "$link" s there
check "its name has gone along" wait_for runs2 s
check "destroy" xl2 destroy s
check "nothing is left there" wait_for clean2
says 2 "Usage: xl [-v] migrate" xl migrate s
says 2 "--force goes with --recover" xl migrate --force s there
says 2 "--force goes with --recover" xl migrate --recover -p s there
says 2 "Usage: xl [-v] migrate-receive" xl migrate-receive s
says 2 "'7' is no UUID" xl migrate-receive --ask 7

# --- one that suspends itself, with disks and interfaces ---

check "create" xl create -q sleep.cfg
check "it offers to suspend itself" wait_for offers sleep
check "its devices are connected" wait_for connected sleep
mac=$(xenstore-read "/local/domain/$(xl domid sleep)/device/vif/1/mac")
says 0 "sleep: runs on there" xl migrate -s "$link" sleep there
check "it is gone" gone sleep
check "nothing is left here" wait_for clean
check "it runs there" wait_for runs2 sleep
check "with its devices" wait_for connected2 sleep
says 0 "$mac" over xenstore-read "/local/domain/$(xl2 domid sleep)/device/vif/1/mac"
says 0 "$shared/sleep.img" over xenstore-read "/local/domain/0/backend/vbd/$(xl2 domid sleep)/51712/params"
says 0 "sleep: runs on here" over "$out/fake-xl" migrate -s "$link_back" sleep here
check "it is back" wait_for runs sleep
check "with its devices" wait_for connected sleep
# stays "what": it runs here with its devices, and nothing is left there
stays() {
	check "$1: it goes on here" wait_for runs sleep
	check "$1: its devices have seen nothing" connected sleep
	check "$1: nothing is left there" wait_for clean2
	check "$1: no note is left" no_notes
}
mv "$shared/sleep.img" "$shared/away.img"
says 1 "sleep.img" xl migrate -s "$link" sleep there
mv "$shared/away.img" "$shared/sleep.img"
stays "no disk there"
for n in 0 1 2 3 4 5; do echo "       0        3" >"sysblock/7:$n/inflight"; done
says 1 "the disks of 'sleep' are not done with what it has written" hasty migrate -s "$link" sleep there
stays "a disk that is not done"
rm -r sysblock
says 1 "it cannot be seen whether 'sleep' still writes to a disk" xl migrate -s "$link" sleep there
stays "a disk that cannot be seen"
quiet_disks "$root"
echo 0 >"sysblock/7:0/queue/iostats"
says 1 "its queue/iostats is not 1" xl migrate -s "$link" sleep there
stays "a disk whose requests nobody counts"
rm -r sysblock/7:0/queue
mkdir -p sysblock/queue
echo 1 >sysblock/queue/iostats
says 0 "sleep: runs on there" xl migrate -s "$link" sleep there
check "a partition's queue is its disk's" wait_for runs2 sleep
says 0 "sleep: runs on here" over "$out/fake-xl" migrate -s "$link_back" sleep here
check "it is back" wait_for connected sleep
rm -r sysblock/queue
quiet_disks "$root"
xl destroy sleep
check "nothing is left" wait_for clean

# --- who is refused; each time it goes on here, and nothing is left there ---

check "create" xl create -q s.cfg
wait_for runs s
# refused "text" migrate's arguments...
refused() {
	text=$1
	shift
	says 1 "$text" xl migrate "$@"
	check "it goes on here" wait_for runs s
	check "nothing is left there" wait_for clean2
	check "no note is left" no_notes
}
refused "the connection was closed (HELLO was to come)" -s false s there
refused "what it says is no message of a migration" -s "echo Welcome;" s there
refused "it has another version of the protocol" -s "" s "printf 'PVMG\\002\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000'; cat >/dev/null"
refused "a message is damaged" -s "" s "printf 'PVMG\\001\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000'; cat >/dev/null"
refused "cannot move domain 0" -s "$link" 0 there
refused "'nobody' is an invalid domain identifier" -s "$link" nobody there
cp "$other/boot_id" boot_id.there
cp boot_id "$other/boot_id"
refused "there is this machine" -s "$link" s there
cp boot_id.there "$other/boot_id"
check "another of its name there" xl2 create -q s.cfg
says 1 "a domain called 's' exists already" xl migrate -s "$link" s there
says 1 "xl: there: it is not taken" xl migrate -s "$link" s there
check "it goes on here" runs s
xl2 destroy s
check "nothing is left there" wait_for clean2
check "another with its UUID there" xl2 create -q s.cfg 'name="t"' "uuid=\"$(uuid s)\""
says 1 "has its UUID" xl migrate -s "$link" s there
check "it goes on here" runs s
check "as does the other" runs2 t
xl2 destroy t
check "no note is left" no_notes
over "$out/fake-hv" take 1046000
says 1 "not enough free memory" xl migrate -s "$link" s there
over "$out/fake-hv" take -1046000
check "it goes on here" runs s
check "nothing is left there" wait_for clean2
printf 'rv64imac\0' >"$other/dt/cpus/cpu@0/riscv,isa"
refused "the guest's harts are rv64imafdc, this machine's rv64imac" -s "$link" s there
printf 'rv64imafdc\0' >"$other/dt/cpus/cpu@0/riscv,isa"
export FAKE_STATE=18
refused "shares memory or event channels with another guest" -s "$link" s there
unset FAKE_STATE
xl rename s an-odd-one-whose-name-has-more-than-fifty-characters-1
says 1 "longer than 50 characters" xl migrate -s "$link" an-odd-one-whose-name-has-more-than-fifty-characters-1 there
xl rename an-odd-one-whose-name-has-more-than-fifty-characters-1 s
check "a guest with devices that does not suspend itself" xl create -q a.cfg
wait_for runs a
says 1 "'a' has disks or interfaces, and does not offer to suspend itself" xl migrate -s "$link" a there
xl destroy a

# --- what comes there may be anything ---

# talk "text" MESSAGE...: refused there with this text, and nothing is left
talk() {
	wanted=$1
	shift
	says 1 "$wanted" python3 "$here/migrate_talk.py" "$link x xl migrate-receive" "$@"
	check "nothing is left there" wait_for clean2
	check "no note is left" no_notes
}
talk "what it says is no message" raw:48656c6c6f0a
talk "the connection was closed"
talk "answer 7: the connection was closed" raw:50564d47
talk "HELLO or ASK was to come" 4
talk "answer 7: HELLO or ASK was to come" 9
talk "a message is damaged" raw:50564d4701000000010000000000000000000000000000000000
talk "a message is damaged" raw:50564d470100000001000000ffffffff0000000000000000
talk "a message is damaged" raw:50564d470100000063000000000000000000000000000000
talk "it has another version" raw:50564d470200000001000000000000000000000000000000
talk "HELLO is too short" 1:00
talk "HELLO has no name" hello:s:2
talk "HELLO has no name" hello:s:0
talk "HELLO has no name" hello:s:4294967295
talk "HELLO has no name" hello:0x730073:3
talk "a domain's name cannot be empty" hello::0
talk "a domain's name has only letters" hello:../s
talk "a domain's name cannot be a number" hello:7
talk "a domain's name has at most 64 characters" hello:so-long-a-name-that-nothing-has-room-behind-it-for-its-end
talk "the stream is cut short here" hello:s
talk "this is no saved domain of Pavise" hello:s raw:"$(head -c 100 text.long | od -An -v -tx1 | tr -d ' \n')"
talk "the question is none" 8:00
says 0 "answer 10" python3 "$here/migrate_talk.py" "$link x xl migrate-receive" 8:000102030405060708090a0b0c0d0e0f00000000000000000000000000000000
check "no note is left" no_notes

# --- cut streams ---

for at in 0 23 24 60 200 600 1500 20000 40000; do
	says 1 "" xl migrate -s "" s "stdbuf -o0 head -c $at | $link x xl migrate-receive"
	check "cut after $at bytes: it goes on here" wait_for runs s
	check "nothing is left there" wait_for clean2
	check "no note is left" no_notes
done
# A byte that is another
for at in 30 100 900 20000; do
	says 1 "" xl migrate -s "" s "{ stdbuf -o0 head -c $at; head -c 1 | tr '\\000-\\377' '\\001-\\377\\000'; cat; } | $link x xl migrate-receive"
	check "byte $at is another: it goes on here" wait_for runs s
	check "nothing is left there" wait_for clean2
done

# GO itself, and DONE behind it: 24 bytes each
says 0 "s: runs on" xl migrate -s "" s "tee $shared/all | $link x xl migrate-receive"
says 0 "s: runs on here" over "$out/fake-xl" migrate -s "$link_back" s here
check "it is back" wait_for runs s
size=$(stat -c %s "$shared/all")
says 1 "its host has not let go of it" xl migrate -s "" s "stdbuf -o0 head -c $((size - 25)) | $link x xl migrate-receive"
check "GO is cut: it goes on here" wait_for runs s
check "nothing is left there" wait_for clean2
check "no note is left" no_notes
says 0 "s: runs on" xl migrate -s "" s "stdbuf -o0 head -c $((size - 24)) | $link x xl migrate-receive"
check "DONE is cut: it runs there" wait_for runs2 s
check "and is gone here" gone s
check "that it came is still known there" sh -c "ls '$other/run/migrate/ran.$(uuid2 s).'*"
says 0 "s: runs on here" over "$out/fake-xl" migrate -s "$link_back" s here
check "it is back" wait_for runs s
says 0 "s: runs on there" xl migrate -s "$link" s there
check "it has come once more" wait_for runs2 s
check "its mark is one of that time alone" [ "$(ls "$other/run/migrate")" = "$(cd "$other/run/migrate" && ls ran.*)" ]
says 0 "s: runs on here" over "$out/fake-xl" migrate -s "$link_back" s here
check "it is back" wait_for runs s
KILL_AT="source after note" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
xl minder b >/dev/null 2>&1
says 0 "s: goes on here" xl migrate --recover -s "$link" s there
check "that it was there once does not count" wait_for runs s
rm -f "$other"/run/migrate/ran.*
check "no note is left" no_notes

# --- its name is kept for it ---

STOP_AT="target after PREPARED" STOPPED=$shared/stopped "$out/fake-xl" migrate -s "$link" s there >said 2>&1 &
p=$!
check "half there" wait_for test -s "$shared/stopped"
check "it has another name so far" wait_for xl2 domid s--incoming
says 1 "a domain called 's' exists already" xl2 create -q s.cfg
says 2 "it is still being received" over env HASTY=1 "$out/fake-xl" migrate-receive --ask "$(uuid s)"
kill -CONT "$(cat "$shared/stopped")"
wait $p
check "it comes to its end" [ $? = 0 ]
check "it runs there" wait_for runs2 s
says 0 "s: runs on here" over "$out/fake-xl" migrate -s "$link_back" s here
check "it is back" wait_for runs s

# --- each call fails once ---

call=0
while :; do
	call=$((call + 1))
	over "$out/fake-hv" $call
	xl migrate -s "$link" s there >output 2>&1
	rc=$?
	over "$out/fake-hv" 0
	[ $rc != 0 ] || break
	{ wait_for runs s && wait_for clean2 && no_notes && [ -s output ]; } >/dev/null || { bad "there, call $call"; break; }
	[ $call -lt 80 ] || break
done
check "there: each of $((call - 1)) calls failed, and it went on here" [ $call -gt 20 ]
check "then it runs there" wait_for runs2 s
says 0 "s: runs on here" over "$out/fake-xl" migrate -s "$link_back" s here
check "it is back" wait_for runs s
call=0
while :; do
	call=$((call + 1))
	"$out/fake-hv" $call
	xl migrate -s "$link" s there >output 2>&1
	rc=$?
	"$out/fake-hv" 0
	[ $rc != 0 ] || break
	{ wait_for runs s && wait_for clean2 && no_notes && [ -s output ]; } >/dev/null || { bad "here, call $call"; break; }
	[ $call -lt 80 ] || break
done
check "here: each of $((call - 1)) calls failed, and it went on here" [ $call -gt 20 ]
check "then it runs there" wait_for runs2 s
xl2 destroy s
check "nothing is left there" wait_for clean2
check "nothing is left here" wait_for clean
check "no note is left" no_notes
check "no sanitizer complained there" sane2

end_of_cases
