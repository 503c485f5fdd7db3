#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# save and restore: each of their calls fails once, and what is left then. Usage: test_xl_save_fails.sh <directory where
# the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

cat >s.cfg <<-END
	name = "s"
	kernel = "$root/Image"
	memory = 16
	on_reboot = "destroy"
END
runs() { "$out/fake-xl" list "$1" | grep -q -- -b----; }
no_file() { ! ls "$1"* 2>/dev/null; }

snapshot >before
check "create" xl create -q s.cfg
wait_for runs s
# One guest for all of it: whatever fails, it runs on.
n=0
while :; do
	n=$((n + 1))
	"$out/fake-hv" $n
	xl save s f.save >output 2>&1
	rc=$?
	"$out/fake-hv" 0
	[ $rc != 0 ] || break
	runs s && no_file f.save && [ -s output ] || { bad "save, call $n"; break; }
	[ $n -lt 60 ] || break
done
check "save: each of $((n - 1)) calls failed, and it ran on" [ $n -gt 20 ]
check "then it was saved" [ -s f.save ]
check "and is gone" wait_for clean
n=0
while :; do
	n=$((n + 1))
	"$out/fake-hv" $n
	xl restore f.save >output 2>&1
	rc=$?
	"$out/fake-hv" 0
	[ $rc != 0 ] || break
	{ [ -s output ] && wait_for clean; } >/dev/null || { bad "restore, call $n"; break; }
	[ $n -lt 60 ] || break
done
check "restore: each of $((n - 1)) calls failed, and nothing was left" [ $n -gt 20 ]
check "then it runs" wait_for runs s
xl destroy s
check "nothing is left" wait_for clean

end_of_cases
