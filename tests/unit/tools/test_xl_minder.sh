#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Supervisors that are killed, at any moment, and what goes on in their place (xl minder). Usage: test_xl_minder.sh <directory
# where the tests were built>. Owns the proof that no end of a guest's is missed, and that there are never two supervisors.
. "$(dirname -- "$0")/xl_lib.sh"

noted() { xenstore-read "/tool/pavise/$("$out/fake-xl" domid "$1")/supervisor" | cut -d' ' -f1; }
state() { xl list --json "$1" | sed -n 's/.*"supervisor": "*\([a-z]*\).*/\1/p'; }
alive() { [ "$(state "$1")" = alive ]; }
lost() { [ "$(state "$1")" = lost ]; }
other() { new=$(noted "$1") && [ "$new" != "$2" ] && alive "$1"; }
lives() { now=$("$out/fake-xl" domid "$1") && [ "$now" != "$2" ] && "$out/fake-xl" list "$1" | grep -q -- -b----; }
records() { ls run/minder 2>/dev/null | grep -vc '\.'; }
no_records() { [ "$(records)" = 0 ]; }
kill_of() { old=$(noted "$1") && kill -9 "$old"; }
minder() {
	"$out/fake-xl" minder >>minder.log 2>&1 &
	minder=$!
	pids="$pids $minder"
}
end_minder() { kill "$minder" && wait "$minder"; }

says 0 "Usage: xl [-v] minder [<Domain>]" xl minder --help
says 2 "Usage: xl [-v] minder [<Domain>]" xl minder a b
says 2 "Usage: xl [-v] minder [<Domain>]" xl minder -x
says 1 "there is no such domain" xl minder nobody
says 1 "cannot supervise domain 0" xl minder 0

# --- by hand ---

export XL_RESTART_PAUSE=0
check "create" xl create -q a.cfg "vif=['vifname=lan-a']"
check "one record" [ "$(records)" = 1 ]
check "for root only" [ "$(stat -c %a run/minder)" = 700 ]
says 1 "'a' has its supervisor" xl minder a
mac=$(xl network-list a | awk 'NR == 2 { print $3 }')
kill_of a
check "it is lost" wait_for lost a
says 0 "xl minder a does that if nothing runs it" xl list
check "another one" xl minder a
# It says that it is one before it signs: for that it needs xenstored.
check "which is alive" wait_for alive a
check "and another process" wait_for other a "$old"
says 0 "the supervisor of 'a' was killed; process $(noted a) goes on in its place" cat log/xl-a.log
says 0 "supervised      a ($(xl domid a)) process=$(noted a)" xl events -n 5
says 1 "'a' has its supervisor" xl minder "$(xl domid a)"
id=$(xl domid a)
xl reboot a >output 2>&1
check "its next life" wait_for lives a "$id"
check "has its MAC" [ "$(xl network-list a | awk 'NR == 2 { print $3 }')" = "$mac" ]
check "and still one record" [ "$(records)" = 1 ]
# What was said of the next life, and of this one, meanwhile
kill_of a
check "config-update" xl config-update a extra=new
check "mem-set" xl mem-set a 12
check "rename" xl rename a aa
check "by its new name there is no record" sh -c "! '$out/fake-xl' minder aa.none 2>/dev/null"
check "by number" wait_for xl minder "$(xl domid aa)"
id=$(xl domid aa)
xl reboot aa >output 2>&1
check "its next life" wait_for lives aa "$id"
cmdline() { xenstore-read "$(xenstore-read "/local/domain/$(xl domid "$1")/vm")/image/cmdline"; }
check "is as config-update has said" [ "$(cmdline aa)" = new ]
check "with mem-set's memory" [ "$(xenstore-read "/local/domain/$(xl domid aa)/memory/target")" = 12288 ]
xl destroy aa
check "no record is left" wait_for no_records
xl create -q -e a.cfg
says 1 "'a' is to have no supervisor" xl minder a
check "and gets none" [ "$(state a)" = null ]
xl destroy a
check "nothing is left" clean

# --- by itself ---

minder
check "create" xl create -q a.cfg
for n in 1 2 3; do
	kill_of a
	check "killed ($n), and there is another" wait_for other a "$old"
done
check "the log has them" [ "$(grep -c "the supervisor of 'a' was killed: it has another one" minder.log)" = 3 ]
check "one process each" [ "$(grep -c 'goes on in its place' log/xl-a.log)" -ge 3 ]
kill_of a
"$out/fake-hv" end "$(xl domid a)"
check "its end right after that is acted on" wait_for gone a
wait_for clean
check "nothing is left" clean
check "no record either" wait_for no_records
usage() { xl usage a | tail -n 1; }
says 0 "poweroff" usage

# What kills it may never end.
check "create" xl create -q a.cfg
: >minder.log
began=$(date +%s)
# and as many again for each further ten seconds that this machine takes for it
about_ten() { given=$(grep -c "the supervisor of 'a' was killed: it has another one" minder.log) && [ "$given" -ge 9 ] && [ "$given" -le $((11 + ($(date +%s) - began) / 10 * 10)) ]; }
tries=0
while [ $tries -lt 60 ]; do
	tries=$((tries + 1))
	kill_of a 2>/dev/null
	sleep 0.05
done
check "killed again and again it gets ten in ten seconds" about_ten
check "and another one later" wait_for alive a
xl destroy a
check "nothing is left" clean

# An end while nobody was there: the minder was killed as well, first.
check "create" xl create -q a.cfg
kill -9 "$minder"
wait "$minder" 2>/dev/null
kill_of a
id=$(xl domid a)
xl reboot a >output 2>&1
check "nobody has acted on it" wait_for sh -c "'$out/fake-xl' list a | grep -q -- ---s--"
minder
check "a minder started again sees to it" wait_for lives a "$id"
check "two minders" sh -c "'$out/fake-xl' minder & p=\$!; sleep 0.3; kill -9 $(noted a); sleep 1; kill \$p"
check "one supervisor" wait_for alive a
xl destroy a
check "nothing is left" clean

# The counts of quick lives go with it.
unset XL_RESTART_PAUSE
check "create" xl create -q crash.cfg on_crash=restart
many() { [ "$(grep -c "ended with crash" log/xl-crash.log)" -ge "$1" ]; }
wait_for many 3
kill_of crash
n=0
until grep -q "crashed 5 times within seconds" log/xl-crash.log || [ $n = 200 ]; do
	n=$((n + 1))
	sleep 0.1
done
check "the fifth quick crash is the last, whoever counts" grep -q "crashed 5 times within seconds" log/xl-crash.log
check "it is gone" wait_for gone crash
check "each end was told once" [ "$(grep -c "ended with crash" log/xl-crash.log)" = 5 ]
check "nothing is left" clean
export XL_RESTART_PAUSE=0

# --- at any moment between two lives ---

n=0
for action in restart rename-restart; do
	xl create -q b.cfg on_reboot=$action >output 2>&1
	id=$(xl domid b)
	for ms in 000 020 040 060 080 100 130 170; do
		n=$((n + 1))
		p=$(noted b)
		xl reboot b >output 2>&1
		sleep 0.$ms
		kill -9 "$p" 2>/dev/null
		check "$action, killed after $ms ms: its next life" wait_for lives b "$id"
		check "a single one" [ "$("$out/fake-xl" list | grep -c '^b ')" = 1 ]
		check "with a supervisor" wait_for alive b
		id=$(xl domid b)
		"$out/fake-xl" list | awk '$1 ~ /^b-/ { print $2 }' | while read -r dead; do "$out/fake-xl" destroy "$dead"; done
	done
	xl destroy b
	check "nothing is left" clean
	check "no record either" wait_for no_records
done

# The host goes down while there is neither the guest, for lack of memory, nor its supervisor.
end_minder
log=log/xl-b.log
short() { grep -q "'b' is not there now, for lack of memory" $log; }
rm -f $log
XL_RESTART_PAUSE=1 "$out/fake-xl" create -q b.cfg on_reboot=restart
p=$(noted b)
taken=$(xl info | sed -n 's/.*free_pages *: //p')
"$out/fake-hv" take "$taken"
xl reboot b >output 2>&1
check "no memory for its next life" wait_for short
kill -9 "$p"
: >run/no-restart
"$out/fake-hv" take "-$taken"
check "another supervisor" wait_for xl minder b
stays() { grep -q "'b' is to stay down: it is not started again" $log && no_records; }
check "which does not start it" wait_for stays
rm run/no-restart
check "nothing is left" clean
minder

# --- many at once ---

for i in $(seq 30); do
	sed "s/name = \"a\"/name = \"many$i\"/; /^disk/d; /^vif/d" a.cfg >many.cfg
	"$out/fake-xl" create -q -p many.cfg
done
olds=$(for i in $(seq 30); do noted "many$i"; done)
kill -9 $olds
all_back() { for i in $(seq 30); do alive "many$i" || return 1; done; }
check "thirty killed at once are all there again" wait_for all_back
for i in $(seq 30); do xl destroy "many$i"; done
check "nothing is left" clean

# A record that is none, and one whose configuration is damaged, keep nobody waiting.
check "create" xl create -q a.cfg
check "and b" xl create -q b.cfg "vif=[]"
record=$(grep -l '"b"' run/minder/*.cfg)
: >run/minder/zzzzzz
echo "name = " >"$record"
kill_of b
damaged() { grep -q "is damaged: nobody acts on that guest's end" log/xl-b.log; }
check "which is told" wait_for damaged
kill_of a
check "others get theirs" wait_for other a "$old"
xl destroy a
xl destroy b
rm run/minder/zzzzzz
check "a minder ends in order" end_minder
check "no record is left" wait_for no_records
check "nothing is left" clean

end_of_cases
