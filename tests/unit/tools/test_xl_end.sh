#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The ends of guests' lives when something is in the way of them, or of the next life. Usage: test_xl_end.sh <directory where
# the tests were built>. Owns the proof that nobody is silently not asked, and nobody silently lost.
. "$(dirname -- "$0")/xl_lib.sh"

# --- who is there cannot be told ---

xl create -q a.cfg >output 2>&1
"$out/fake-hv" list 0
says 1 "cannot list the domains: Bad address; nobody has been asked" xl shutdown -a -w
says 1 "cannot list the domains: Bad address; nobody has been asked" xl reboot -a
"$out/fake-hv" list 1
check "it can be told again" xl shutdown -a -w
check "nothing is left" clean

# --- no memory for the next life ---

log=log/xl-b.log
export XL_RESTART_PAUSE=1
short() { grep -q "'b' is not there now, for lack of memory: it is tried again in 1 s ($1 of 10)" $log; }
lives() { "$out/fake-xl" domid b; }
# A guest whose next life finds no memory
lack() {
	rm -f $log
	xl create -q b.cfg >output 2>&1
	taken=$(xl info | sed -n 's/.*free_pages *: //p')
	"$out/fake-hv" take "$taken"
	xl reboot b >output 2>&1
	wait_for short 1
}
lack
check "it is said who is not there for lack of memory" short 1
says 1 "no such domain" xl domid b
wait_for short 2
check "and that it is tried again" short 2
"$out/fake-hv" take "-$taken"
wait_for lives
check "with memory it lives again" lives
said_again() { grep -q "'b' started again as domain" $log; }
wait_for said_again
check "which is said" said_again
xl destroy b
check "nothing is left" clean

lack
"$out/fake-hv" take "-$taken"
xl create -q b.cfg "memory=20" >output 2>&1
lost() { grep -q "$1 *it is gone until the next xl create" $log; }
check "who is made meanwhile lives" lives
wait_for lost "somebody else has made one of that name;"
check "and is not made twice" lost "somebody else has made one of that name;"
check "he still lives" lives
xl destroy b
check "nothing is left" clean

lack
: >run/no-restart
wait_for lost "it is to stay down, and"
check "a host that goes down does not wait for memory" lost "it is to stay down, and"
rm run/no-restart
"$out/fake-hv" take "-$taken"

lack
wait_for lost ""
check "nor is it tried for ever" lost ""
check "but ten times" short 10
"$out/fake-hv" take "-$taken"
check "nothing is left" clean

# Who makes or restarts another guest does not keep anybody from ending one, by number no more than by name.
xl create -q a.cfg >output 2>&1
id=$(xl domid a)
check "destroyed by number while another is being made" flock run/xl.lock timeout 10 "$out/fake-xl" destroy "$id"
check "it is gone" gone a
end_of_cases
