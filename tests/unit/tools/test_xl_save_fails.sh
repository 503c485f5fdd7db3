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
call=0
while :; do
	call=$((call + 1))
	"$out/fake-hv" $call
	xl save s f.save >output 2>&1
	rc=$?
	"$out/fake-hv" 0
	[ $rc != 0 ] || break
	runs s && no_file f.save && [ -s output ] || { bad "save, call $call"; break; }
	[ $call -lt 60 ] || break
done
check "save: each of $((call - 1)) calls failed, and it ran on" [ $call -gt 20 ]
check "then it was saved" [ -s f.save ]
check "and is gone" wait_for clean
call=0
while :; do
	call=$((call + 1))
	"$out/fake-hv" $call
	xl restore f.save >output 2>&1
	rc=$?
	"$out/fake-hv" 0
	[ $rc != 0 ] || break
	{ [ -s output ] && wait_for clean; } >/dev/null || { bad "restore, call $call"; break; }
	[ $call -lt 60 ] || break
done
check "restore: each of $((call - 1)) calls failed, and nothing was left" [ $call -gt 20 ]
check "then it runs" wait_for runs s
xl destroy s
check "nothing is left" wait_for clean

end_of_cases
