#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# save and restore of guests that suspend themselves: their devices, what becomes of a request, and who is killed meanwhile.
# Usage: test_xl_save_suspend.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

# node PATH: below the guest called sleep
node() { xenstore-read "/local/domain/$(xl domid sleep)/$1"; }
be() { xenstore-read "/local/domain/0/backend/$1/$(xl domid sleep)/$2"; }
connected() { [ "$(node device/vbd/51712/state)$(node device/vbd/51728/state)$(node device/vif/0/state)$(node device/vif/1/state)" = 4444 ]; }
offers() { [ "$(xenstore-read "/local/domain/$(xl domid "$1")/control/feature-suspend")" = 1 ]; }
# config of a guest called $1
make_config() {
	cat >"$1.cfg" <<-END
		name = "$1"
		kernel = "$root/Image"
		memory = 16
		on_reboot = "destroy"
		disk = [ "format=raw, vdev=xvda, access=rw, target=$root/sleep.img", "vdev=xvdc, devtype=cdrom, target=" ]
		vif = [ "mac=00:16:3e:00:00:01,rate=10Mb/s@20ms", "bridge=xenbr0,vifname=lan" ]
	END
}
for n in sleep sleepless sleepdeaf sleepodd; do make_config $n; done
cp disk.img sleep.img
cp disk.img more.img

snapshot >before
check "create" xl create -q sleep.cfg
check "it offers to suspend itself" wait_for offers sleep
check "a disk more" xl block-attach sleep "$root/more.img,raw,xvdb,ro"
check "all are connected" wait_for connected
mac=$(node device/vif/1/mac)
xenstore-write "/local/domain/$(xl domid sleep)/data/count" 7
says 0 "sleep: 16 MiB of memory" xl save sleep s.save
check "it is gone" gone sleep
check "nothing but the file is left" wait_for clean
check "restore" xl restore s.save
check "it runs" wait_for runs sleep
check "with its devices" wait_for connected
says 0 "$root/sleep.img" be vbd 51712/params
says 0 "$root/more.img" be vbd 51728/params
says 0 r be vbd 51728/mode
says 0 00:16:3e:00:00:01 node device/vif/0/mac
says 0 "$mac" node device/vif/1/mac
says 0 "25000,20000" be vif 0/rate-of-all
says 0 lan be vif 1/vifname
says 0 7 node data/count
says 0 1 node control/feature-suspend
says 0 xvdc xenstore-read "/tool/pavise/$(xl domid sleep)/cdrom/51744"
says 1 "a domain called 'sleep' exists already" xl restore s.save

# --- -c, -p; a device less ---

says 0 "16 MiB of memory" xl save -c sleep c.save
check "-c: it runs on" runs sleep
check "and its devices have seen nothing" connected
says 0 "16 MiB of memory" xl save -p sleep c.save
check "-p: it is paused" paused sleep
says 1 "'sleep' is paused, and cannot suspend itself" xl save -c sleep c.save
check "it stays so" paused sleep
xl unpause sleep
check "it runs" runs sleep
check "detach" xl block-detach sleep xvdb
says 0 "16 MiB of memory" xl save sleep c.save
check "restore" xl restore c.save
check "it runs" wait_for runs sleep
says 1 "" be vbd 51728/params
says 0 "$root/sleep.img" be vbd 51712/params
check "the first interface goes" xl network-detach sleep 0
says 1 "it is not known what vif 0 of 'sleep' was made from: give its config file" xl save sleep f.save
check "it runs on" runs sleep
check "and there is no file" no_file f.save
says 0 "16 MiB of memory" xl save sleep f.save sleep.cfg
check "it is gone" wait_for clean
mv sleep.img away.img
says 1 "sleep.img" xl restore f.save
mv away.img sleep.img
check "nothing is left" wait_for clean

# --- what becomes of a request ---

check "one that suspends itself unasked" xl restore f.save
check "runs" wait_for runs sleep
xenstore-write "/local/domain/$(xl domid sleep)/control/shutdown" suspend
let_go() { grep -q "it has suspended itself, and nobody saves it: it goes on" "$root/log/xl-sleep.log"; }
check "its supervisor lets it go on" wait_for let_go
check "it runs" wait_for runs sleep
xl destroy sleep
check "create" xl create -q sleepdeaf.cfg
check "it offers to suspend itself" wait_for offers sleepdeaf
says 1 "'sleepdeaf' does not answer the request to suspend itself, which is taken back" hasty save sleepdeaf f2.save
check "it runs on" runs sleepdeaf
check "and there is no file" no_file f2.save
node=/local/domain/$(xl domid sleepdeaf)/control/shutdown
says 0 "''" sh -c "echo \"'\$(xenstore-read $node)'\""
"$out/fake-xl" save sleepdeaf f2.save >said 2>&1 &
p=$!
asked() { [ "$(xenstore-read "$node")" = suspend ]; }
check "asked" wait_for asked
kill -INT $p
wait $p
check "interrupted" [ $? = 1 ]
check "is said" grep -q "interrupted: 'sleepdeaf' goes on" said
check "and taken back" sh -c "[ -z \"\$(xenstore-read $node)\" ]"
xenstore-write "$node" halt
says 1 "'sleepdeaf' has been asked for something else (halt)" xl save sleepdeaf f2.save
# One who was killed has left his request
xenstore-write "$node" suspend
says 1 "'sleepdeaf' does not answer the request to suspend itself, which is taken back" hasty save sleepdeaf f2.save
check "taken back" sh -c "[ -z \"\$(xenstore-read $node)\" ]"
xl destroy sleepdeaf
check "create" xl create -q sleepodd.cfg
check "it offers to suspend itself" wait_for offers sleepodd
says 1 "'sleepodd' has taken the request to suspend itself, but runs on" hasty save sleepodd f2.save
check "it runs on" runs sleepodd
xl destroy sleepodd
check "create" xl create -q sleepless.cfg
check "it offers to suspend itself" wait_for offers sleepless
says 1 "'sleepless' has taken the request to suspend itself, but runs on" hasty save sleepless f2.save
check "it does" runs sleepless
xl destroy sleepless
check "nothing is left" wait_for clean

# --- each call fails once ---

check "restore" xl restore f.save
check "it runs" wait_for runs sleep
# That it cannot be let go on is the one failure that its supervisor has to mend.
ran_on() { wait_for runs sleep && no_file f2.save; }
each_call_fails save ran_on xl save sleep f2.save
check "save: each of $failed calls failed, and it ran on" [ "$failed" -ge 5 ]
check "then it is gone" wait_for clean
each_call_fails restore "wait_for clean" xl restore f2.save
check "restore: each of $failed calls failed, and nothing was left" [ "$failed" -ge 20 ]
check "then it runs" wait_for runs sleep

# --- kill -9 ---

xl mem-max sleep 512 >output 2>&1
half() { ls k.save.part-* >/dev/null 2>&1; }
FAKE_KILL_READ=1 "$out/fake-xl" save sleep k.save >output 2>&1
check "killed, it leaves half a file" half
says 1 "who wrote the core or the state of domain" xl minder b
check "which is put in order" runs sleep
check "no half file" no_file k.save
says 0 "16 MiB" xl save -c sleep k.save
rm k.save
xl destroy sleep
check "nothing is left" wait_for clean
check "one that nobody looks after" xl restore -e f.save
check "it runs" wait_for runs sleep
FAKE_KILL_PAUSE=1 "$out/fake-xl" save sleep k.save >output 2>&1
sleep 0.3
check "whoever suspends it is killed: it stands still" sh -c "! '$out/fake-xl' list sleep | grep -q -- -b----"
says 0 "who wrote the core or the state of domain" xl save -c sleep k.save
check "the next one has let it go on first, and saved it" runs sleep
rm k.save
id=$(xl domid sleep)
FAKE_KILL=1 "$out/fake-xl" save sleep k.save >output 2>&1
check "killed behind the last byte: the file is whole" [ -s k.save ]
says 1 "all of it is in $root/k.save, and the guest stays paused" xl minder b
stands_still() { "$out/fake-xl" list | grep -q " $id .*ps"; }
sleep 0.3
check "and it stands still" stands_still
xl destroy "$id"
check "nothing is left" wait_for clean
check "it goes on from the file" xl restore k.save
check "it runs" wait_for runs sleep
xl destroy sleep
check "nothing is left" wait_for clean

end_of_cases
