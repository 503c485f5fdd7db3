#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# scripts/side-by-side. Usage: test_side_by_side.sh <directory for what it writes>.
set -u
script=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/../../../scripts/side-by-side
mkdir -p "$1"
cd "$1" || exit 1
failures=0
verdict() {
	if [ "$1" = 0 ]; then echo "ok - $2"; else echo "not ok - $2"; failures=1; fi
}

"$script" a "echo one; exit 3" b "echo two >&2" >sbs.out 2>sbs.err
[ $? = 1 ] && grep -qx '\[a\] one' sbs.out && grep -qx '\[b\] two' sbs.out && grep -q '^failed: a ' sbs.err
verdict $? "lines have names, and who failed is said"
"$script" a "echo 'not ok - mine'; seq 60; exit 1" b "sleep 0.3; seq 60; exit 0" >sbs.out 2>sbs.err
[ $? = 1 ] && grep -q '\[a\] not ok - mine$' sbs.err && grep -qx '\[a\] 60' sbs.err && ! grep -q '\[b\]' sbs.err && tail -n 1 sbs.err | grep -q '^failed: a '
verdict $? "what failed is said again last, however much the others say"
"$script" a true b "sleep 0.1; echo late" >sbs.out
[ $? = 0 ] && grep -qx '\[b\] late' sbs.out
verdict $? "nothing that is said is lost"

rm -f sbs.pid
"$script" a 'echo $$ >sbs.pid; exec sleep 60' >sbs.out 2>&1 &
n=0
until [ -s sbs.pid ] || [ $n = 100 ]; do
	n=$((n + 1))
	sleep 0.05
done
pid=$(cat sbs.pid)
kill -TERM $!
wait $!
n=0
while kill -0 "$pid" 2>/dev/null && [ $n != 40 ]; do
	n=$((n + 1))
	sleep 0.05
done
! kill -9 "$pid" 2>/dev/null
verdict $? "who ends it ends the commands"
exit $failures
