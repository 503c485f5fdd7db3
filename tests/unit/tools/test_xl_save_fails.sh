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

snapshot >before
check "create" xl create -q s.cfg
wait_for runs s
# One guest for all of it: whatever fails, it runs on.
ran_on() { runs s && no_file f.save; }
each_call_fails save ran_on xl save s f.save
check "save: each of $failed calls failed, and it ran on" [ "$failed" -ge 20 ]
check "then it was saved" [ -s f.save ]
check "and is gone" wait_for clean
each_call_fails restore "wait_for clean" xl restore f.save
check "restore: each of $failed calls failed, and nothing was left" [ "$failed" -ge 20 ]
check "then it runs" wait_for runs s
xl destroy s
check "nothing is left" wait_for clean

end_of_cases
