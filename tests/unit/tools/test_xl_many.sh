#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What grows with the number of guests: counts, never times. Usage: test_xl_many.sh <directory where the tests were built>.
# Owns the proof that hundreds of guests do not each cost as much as all others together.
. "$(dirname -- "$0")/xl_lib.sh"

FEW=4 MANY=16
export CALM=1 # supervisors look when they are told something, and else once a minute

make_guest() {
	"$out/fake-xl" create -q /dev/null "name='many$1'" "kernel='$root/Image'" memory=8 "vif=['mac=00:16:3e:77:00:$(printf %02x "$1")']"
}
# asked verb...: how often it reads in xenstore, lists all domains, and how many nodes it reads
asked() {
	rm -f count
	FAKE_COUNT=$root/count "$out/fake-xl" "$@" >output 2>&1
	cat count
}
names() { seq "$1" | sed 's/^/many/'; }
# With $1 guests: the costs of each verb
costs() {
	# shellcheck disable=SC2046
	for verb in list "list -l" vcpu-list "network-list $(names "$1" | tr '\n' ' ')"; do
		# shellcheck disable=SC2086
		echo "${verb%% many*}:$(asked $verb)"
	done
}
# field VERB FILE N: the N-th number
field() { sed -n "s/^$1://p" "$2" | cut -d' ' -f"$3"; }
minder() { xenstore-read "/tool/pavise/$(xl domid "$1")/supervisor" | cut -d' ' -f1; }
wakes() { awk '/^(non)?voluntary_ctxt/ { n += $2 } END { print n }' "/proc/$1/status"; }

n=0
for i in $(seq $FEW); do make_guest "$i" >output 2>&1 && n=$((n + 1)); done
check "there are a few" [ $n = $FEW ]
costs $FEW >few
asked create -q /dev/null "name='many$((FEW + 1))'" "kernel='$root/Image'" memory=8 "vif=['mac=00:16:3e:77:01:00']" >few.create
asked create -q /dev/null "name='plain'" "kernel='$root/Image'" memory=8 >few.plain
xl destroy plain
n=$((FEW + 1))
for i in $(seq $((FEW + 2)) $MANY); do make_guest "$i" >output 2>&1 && n=$((n + 1)); done
check "there are many" [ $n = $MANY ]
costs $MANY >many
asked create -q /dev/null "name='many$((MANY + 1))'" "kernel='$root/Image'" memory=8 "vif=['mac=00:16:3e:77:01:01']" >many.create
asked create -q /dev/null "name='plain'" "kernel='$root/Image'" memory=8 >many.plain
xl destroy plain
cat few few.create few.plain many many.create many.plain >output

# --- what a command asks ---

for verb in list "list -l" vcpu-list network-list; do
	check "xl $verb: $MANY guests cost $((MANY / FEW)) times what $FEW do, at most" \
		[ "$(field "$verb" many 1)" -le $(($(field "$verb" few 1) * MANY / FEW)) ]
	check "and no more lists of all" [ "$(field "$verb" many 2)" -le "$(field "$verb" few 2)" ]
done
# Whose name has been asked once is not asked again.
check "xl create without an interface: the same nodes, however many there are" \
	[ "$(cut -d' ' -f3 many.plain)" = "$(cut -d' ' -f3 few.plain)" ]
check "and no list of them" [ "$(cut -d' ' -f2 many.plain)" = 0 ]
# XenbusStateInitialising: then it is looked at with each guest that comes.
state=$(xenstore-read "/local/domain/0/backend/console/$(xl domid many1)/0/state")
check "dom0's kernel makes no device of a console (state $state)" [ "$state" = 4 ]
# Each other guest has an interface that is looked at, in two requests.
more=$(($(cut -d' ' -f3 many.create) - $(cut -d' ' -f3 few.create)))
check "xl create with one: two nodes for each guest that there is ($more)" [ $more -le $((2 * (MANY - FEW))) ]

# --- who is woken ---

one=$(minder many1) two=$(minder many2)
quiet() { a=$(wakes "$two") && sleep 0.5 && [ "$a" = "$(wakes "$two")" ]; }
check "nothing goes on" wait_for quiet
before=$(wakes "$two")
check "one of them goes" xl destroy many1
ended() { ! kill -0 "$one"; }
check "its own supervisor hears of it" wait_for ended
check "the others' are not woken" [ "$(wakes "$two")" = "$before" ]

# One that looks more often, at a guest without devices.
: >asked
check "a guest without devices" env -u CALM FAKE_ASKED="$root/asked" "$out/fake-xl" create -q /dev/null "name='bare'" "kernel='$root/Image'" memory=8
bare=$(minder bare)
requests() { wc -c <asked; }
unasked() { a=$(requests) b=$(wakes "$bare") && sleep 2 && [ "$(wakes "$bare")" -gt "$b" ] && [ "$a" = "$(requests)" ]; }
asks() { a=$(requests) && sleep 0.5 && [ "$(requests)" -gt "$a" ]; }
check "it was made with requests" [ "$(requests)" -gt 0 ]
check "its supervisor looks, and asks xenstored for nothing" wait_for unasked
check "with a device" xl network-attach bare mac=00:16:3e:77:02:00
check "it does" wait_for asks
check "and again" wait_for asks
check "without one" xl network-detach bare 0
check "it does no longer" wait_for unasked
check "it goes, too" xl destroy bare

# --- all at once ---

# Paused, they are asked and not waited for.
# shellcheck disable=SC2046
for name in $(names $((MANY + 1)) | tail -n +2); do xl pause "$name"; done
rm -f count
FAKE_COUNT=$root/count "$out/fake-xl" shutdown -a -w >said 2>&1
check "xl shutdown -a asks each" [ "$(grep -c '^Shutting down domain' said)" = $MANY ]
# For each: its name, does it read a disk, do others need it, the request, a look at it; and nothing for each pair of them.
check "with a few requests each ($(cat count))" [ "$(cut -d' ' -f1 count)" -le $((MANY * 10)) ]
for name in $(names $((MANY + 1)) | tail -n +2); do xl destroy "$name"; done
check "nothing is left" clean

end_of_cases
