#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# migrate of guests with devices that notice nothing, there and back under other numbers; whoever is killed meanwhile, it is whole on
# one side. Usage: test_xl_migrate_whole.sh <directory where the tests were built>.
export RINGS=1
. "$(dirname -- "$0")/xl_lib.sh"
. "$here/whole_guests.sh"
make_config g
. "$here/two_hosts.sh"

nothing_left2() { over sh -c "! ls '$root'/run/leaves.* '$root'/run/comes.* '$root'/sysbackend/devices/* 2>/dev/null | grep ."; }
here_whole() { wait_for runs g && joined g && as_marked g; }
there_whole() { wait_for runs2 g && joined g over && as_marked g over; }

check "create" xl create -q g.cfg
check "it is connected" wait_for joined g
mark g
uuid=$(uuid g)
for round in 1 2; do
	says 0 "g: runs on there; 16 MiB of memory" xl migrate -s "$link" g there
	check "$round: it is there, and has noticed nothing" there_whole
	check "with its UUID" [ "$(uuid2 g)" = "$uuid" ]
	check "nothing is left here" wait_for clean
	check "nor with xenstored or the kernel" wait_for nothing_left
	says 0 "g: runs on here; 16 MiB of memory" over "$out/fake-xl" migrate -W -s "$link_back" g here
	check "$round: it is back, and has noticed nothing" here_whole
	check "nothing is left there" wait_for clean2
	check "nor with xenstored or the kernel" wait_for nothing_left2
done
says 0 "g: is, paused, on there" xl migrate -p -s "$link" g there
check "-p: paused" paused2 g
check "with its devices" joined g over
xl2 unpause g
says 0 "g: runs on here" over "$out/fake-xl" migrate -s "$link_back" g here
check "it is back" here_whole
says 1 "'g' does not offer to suspend itself" xl migrate -S -s "$link" g there
says 2 "-C, -e, -p, -S, -W, --cold" xl migrate --recover -W g there

# --- what the other one refuses: it goes on here ---

echo 1 >"$other/queues"
says 1 "multi-queue-max-queues 1 instead of 2" xl migrate -s "$link" g there
rm "$other/queues"
check "it goes on here" here_whole
check "nothing is left there" wait_for clean2
mv "$other/scripts/vif-bridge" "$other/scripts/away"
says 1 "vif-bridge" xl migrate -s "$link" g there
mv "$other/scripts/away" "$other/scripts/vif-bridge"
check "it goes on here" here_whole
check "nothing is left there" wait_for clean2
mv "$shared/g.img" "$shared/away.img"
says 1 "g.img" xl migrate -s "$link" g there
mv "$shared/away.img" "$shared/g.img"
check "it goes on here" here_whole

# --- either is killed ---

settle() {
	xl minder b
	xl2 minder b
} >/dev/null 2>&1
# ends here|there "point"
ends() {
	KILL_AT=$2 "$out/fake-xl" migrate -s "$link" g there >said 2>&1
	cp said output
	settle
	ls "$root"/run/migrate/given.* >/dev/null 2>&1 && says 0 "g: " xl migrate --recover -s "$link" g there
	check "$2: it is $1, and has noticed nothing" "$1_whole"
	if [ "$1" = here ]; then
		check "$2: nothing is left there" wait_for settled2
		check "$2: nor with xenstored or the kernel" wait_for nothing_left2
	else
		check "$2: nothing is left here" wait_for clean
		check "$2: nor with xenstored or the kernel" wait_for nothing_left
		rm -f "$other"/run/migrate/ran.*
		says 0 "g: runs on here" over "$out/fake-xl" migrate -s "$link_back" g here
	fi
	check "$2: no note is left" no_notes
}
for point in "got PREPARED" "after drain" "after export" "got READY" "before note" "after note" "before GO"; do ends here "source $point"; done
for point in "after GO" "got RUNNING" "before DONE"; do ends there "source $point"; done
for point in "after PREPARED" "after import" "before READY" "after READY" "got GO"; do ends here "target $point"; done
for point in "after note" "after mark" "got DONE"; do ends there "target $point"; done
KILL_AT="source after note" "$out/fake-xl" migrate -s "$link" g there >said 2>&1
settle
id=$(xl list | awk '/^g/ { print $2 }')
says 1 "it has been given to" xl unpause "$id"
check "in doubt its drivers are off" [ ! -e "$root/sysbackend/devices/vbd-$id-51712/driver" ]
says 0 "g: goes on here" xl migrate --recover --force g
check "without being asked it goes on here" here_whole
KILL_AT="source after note" "$out/fake-xl" migrate -s "$link" g there >said 2>&1
check "destroyed in doubt" xl destroy "$id"
check "nothing is left" wait_for clean
check "nor with xenstored or the kernel" wait_for nothing_left

sane2 || bad "a sanitizer complained"
end_of_cases
