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

end_of_cases
