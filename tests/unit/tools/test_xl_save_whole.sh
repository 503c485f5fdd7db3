#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# save and restore of guests with devices that notice nothing: what they are afterwards, what is undone, and who is refused.
# Usage: test_xl_save_whole.sh <directory where the tests were built>.
export RINGS=1
. "$(dirname -- "$0")/xl_lib.sh"
. "$here/whole_guests.sh"

for n in g busy sleep; do make_config $n; done
cat >s.cfg <<-END
	name = "s"
	kernel = "$root/Image"
	memory = 16
	on_reboot = "destroy"
END

snapshot >before
check "create" xl create -q g.cfg
check "it is connected" wait_for joined g
mark g
check "as marked" as_marked g
says 0 "g: 16 MiB of memory" xl save g g.save
check "it is gone" gone g
check "nothing but the file is left" wait_for clean
check "nor with xenstored or the kernel" wait_for nothing_left
check "restore" xl restore g.save
check "it runs" wait_for runs g
check "under another number" [ "$(xl domid g)" != "$born" ]
check "its devices are connected" joined g
check "and what they and it had written is there" as_marked g
check "with a generation of its own" [ "$(fe g "" control/generation | wc -c)" = 37 ]
says 0 "25000,20000" be g "" vif 0/rate-of-all
says 0 lan-g be g "" vif 1/vifname
says 0 xvdc xenstore-read "/tool/pavise/$(xl domid g)/cdrom/51744"
check "again" xl save g g2.save
check "and back" xl restore g2.save
check "it runs" wait_for runs g
check "its devices are connected" joined g
check "it has its first number still" as_marked g

# --- -c, -p, a paused one; a disk more, and less ---

cp disk.img more.img
check "a disk more" xl block-attach g "$root/more.img,raw,xvdb,ro"
more() { [ "$(fe g "" device/vbd/51728/state)" = 4 ]; }
check "is connected" wait_for more
says 0 "g: 16 MiB of memory" xl save -c g c.save
check "-c: it runs on" runs g
check "and its devices have seen nothing" joined g
check "nor it" as_marked g
says 0 "g: 16 MiB of memory" xl save -p g c.save
check "-p: it is paused" paused g
check "with its devices" joined g
says 0 "g: 16 MiB of memory" xl save -c g c.save
check "who was paused stays so" paused g
xl unpause g
check "once only" runs g
check "save" xl save g c.save
check "restore -p" xl restore -p c.save
check "paused" paused g
check "its devices are connected" joined g
check "and the new one" more
says 0 "$root/more.img" be g "" vbd 51728/params
xl unpause g
check "detach" xl block-detach g xvdb
says 0 "g: 16 MiB of memory" xl save -c g c.save
xl destroy g
check "nothing is left" wait_for clean
check "restore" xl restore c.save
check "it runs" wait_for runs g
says 1 "" fe g "" device/vbd/51728/state
check "it is as it was" as_marked g

# --- what is undone ---

says 1 "none/f: No such file or directory" xl save g none/f
check "it runs on" runs g
check "with its devices" joined g
check "as it was" as_marked g
export FAKE_STATE=18
says 1 "shares memory or event channels with another guest" xl save g f.save
unset FAKE_STATE
check "it runs on" runs g
check "with its devices" joined g
for point in drain export; do
	KILL_AT="source after $point" "$out/fake-xl" save g f.save >output 2>&1
	check "killed after $point: it stands still" paused g
	check "its driver is off" [ ! -e "$root/sysbackend/devices/vbd-$(xl domid g)-51712/driver" ]
	check "it is left be" sh -c "sleep 1.5; ! grep 'is lost' '$root'/log/xl-g.log"
	says 1 "who wrote the core or the state of domain" xl minder b
	check "it goes on" runs g
	check "with its devices" joined g
	check "as it was" as_marked g
	check "and there is no file" no_file f.save
done
# The next one finds what was left, too.
KILL_AT="source after export" "$out/fake-xl" save g f.save >output 2>&1
says 0 "g: 16 MiB of memory" xl save -c g f.save
check "it goes on" runs g
check "with its devices" joined g
rm f.save
KILL_AT="source after export" "$out/fake-xl" save g f.save >output 2>&1
check "destroyed as it stands there" xl destroy g
check "nothing is left" wait_for clean
check "nor with xenstored or the kernel" wait_for nothing_left
check "restore" xl restore c.save
check "it runs" wait_for runs g
# Paused before, it is not paused again but to be destroyed.
xl pause g
FAKE_KILL_PAUSE=1 "$out/fake-xl" save g k.save >output 2>&1
check "killed behind the last byte: the file is whole" [ -s k.save ]
says 1 "all of it is in $root/k.save, and the guest stays paused" xl minder b
rm k.save
check "the file is taken away, and it is let go on" xl unpause g
check "it runs" runs g
check "with its devices" joined g
check "as it was" as_marked g
# on_its_way READS WRITES: of each disk that there may be
on_its_way() {
	for n in 0 1 2 3 4 5; do
		mkdir -p "sysblock/7:$n/queue"
		echo 1 >"sysblock/7:$n/queue/iostats"
		echo "       $1        $2" >"sysblock/7:$n/inflight"
	done
}
on_its_way 0 1
says 1 "'g' goes on: its disks are not done with what it has written" hasty save g f.save
check "it does" runs g
check "with its devices" joined g
check "and there is no file" no_file f.save
on_its_way 0 0
check "create" xl create -q busy.cfg
check "one with a port that domain 0 does not let go of" wait_for joined busy
says 1 "'busy' goes on: something in domain 0 still has one of its event channels" hasty save busy f.save
check "it does" runs busy
check "with its devices" joined busy
check "and there is no file" no_file f.save
xl destroy busy

# --- each call fails once ---

ran_on() { wait_for runs g && no_file f.save && joined g; }
each_call_fails save ran_on xl save g f.save
check "save: each of $failed calls failed, and it ran on" [ "$failed" -ge 6 ]
check "then it is gone" wait_for clean
each_call_fails restore "wait_for clean" xl restore f.save
check "restore: each of $failed calls failed, and nothing was left" [ "$failed" -ge 10 ]
check "then it runs" wait_for runs g
check "with its devices" joined g

# --- who is refused ---

says 1 "'g' does not offer to suspend itself" xl save -S g f.save
sed 's/, "bridge=xenbr0,vifname=lan-g"//' g.cfg >less.cfg
says 1 "'g' has other disks or interfaces than this configuration gives it" xl save g f.save less.cfg
check "it runs on" runs g
mac=$(be g "" vif 1/mac)
check "its own configuration will do" xl save g f.save g.cfg
wait_for clean
check "restore" xl restore f.save
check "it runs" wait_for runs g
says 0 "$mac" be g "" vif 1/mac
check "again" xl save g f.save
wait_for clean
says 1 "the guest was connected to 2 of its vif=, and the configuration gives it 1" xl restore less.cfg f.save
check "nothing is left" wait_for clean
sed "s|^vif.*|vif = [ \"mac=00:16:3e:00:00:01\", \"vifname=lan-g\", \"\" ]|" g.cfg >more.cfg
says 1 "the configuration gives the guest vif 2, and it was not connected to that" xl restore more.cfg f.save
check "nothing is left" wait_for clean
echo 1 >queues
says 1 "its vif 1 was before, and here that has multi-queue-max-queues 1 instead of 2" xl restore f.save
rm queues
check "nothing is left" wait_for clean
check "nor with xenstored or the kernel" wait_for nothing_left
# Sums are right, and what xenstored has written is xenstored's to judge, which has a sum of its own.
for at in 24 32 60 400; do
	check "a connection with another byte $at" python3 "$here/stream_forge.py" f.save forged.save 0x105 $at 64
	says 1 "xenstored does not take what the guest had of its former one" xl restore forged.save
	check "nothing is left" wait_for clean
done
# backend/... in STORE
check "another node" python3 "$here/stream_forge.py" f.save forged.save 0x103 8 1
says 1 "a node is none of a back end" xl restore forged.save
check "nothing is left" wait_for clean
check "forged, and as it was" python3 "$here/stream_forge.py" f.save forged.save 0x105 24 0
check "is taken" cmp f.save forged.save
check "restore" xl restore f.save
check "it runs" wait_for runs g
check "the first interface goes" xl network-detach g 0
says 1 "it has interface 1, but not all below that" xl save g f2.save
says 1 "'g' cannot be saved whole: it has interface 1" xl save -W g f2.save
check "it runs on" runs g
xl destroy g
mv sysbackend/drivers/vbd/unbind away
check "create" xl create -q g.cfg
wait_for joined g
says 1 "drivers/vbd/unbind is not there: the driver of disk 51712 cannot be taken off it" xl save g f2.save
mv away sysbackend/drivers/vbd/unbind
check "it runs on" runs g
xl destroy g
wait_for clean

# --- the other way ---

check "create" xl create -q sleep.cfg
offers() { [ "$(fe sleep "" control/feature-suspend)" = 1 ]; }
check "one that offers to suspend itself" wait_for offers
check "is connected" wait_for joined sleep
mark sleep
says 0 "sleep: 16 MiB of memory" xl save -S sleep f2.save
check "restore" xl restore f2.save
check "it runs" wait_for runs sleep
says 1 "" fe sleep "" device/vbd/51712/ring-ref
check "and connects anew" wait_for joined sleep
mark sleep
check "whole if nobody asks for that" xl save sleep f2.save
check "restore" xl restore f2.save
check "it runs" wait_for runs sleep
check "as it was" as_marked sleep
check "its devices are connected" joined sleep
xl destroy sleep
check "nothing is left" wait_for clean
check "one without devices" xl create -q s.cfg
wait_for runs s
xenstore-control watch-add "$(xl domid s)" "/local/domain/0/backend/vbd/$(xl domid s)" t >/dev/null
says 1 "which cannot be carried yet" xl save s f2.save
check "goes with its connection, too" xl save -W s f2.save
check "restore" xl restore f2.save
check "it runs" wait_for runs s
says 0 "watches 1 " xenstore-control connection "$(xl domid s)"
xl destroy s
check "nothing is left" wait_for clean
check "nor with xenstored or the kernel" wait_for nothing_left

end_of_cases
