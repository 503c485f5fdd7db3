#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Drives the real xl, xenstored and hotplug scripts against a pretended hypervisor (fake_pv.c) and
# pretended guests (fake_backend.c). Usage: test_xl.sh <directory where the tests were built>.
# Owns the proof that nothing is left of a guest, whatever step of its creation fails.
. "$(dirname -- "$0")/xl_lib.sh"

# --- looking ---

says 0 "Usage xl" xl --help
says 0 "Dry run" xl help create
says 1 "there is no command 'frobnicate'; 'xl help'" xl frobnicate
says 1 "there is no command 'destory'; did you mean 'destroy'?" xl destory
says 1 "'suspend' is Xen's; it is not in this version yet. 'xl help' lists what there is" xl suspend a
says 1 "there is no command 'lst'; did you mean 'list'?" xl help lst
says 0 "Domain-0" xl -vvv -ft list
says 1 "there is no command '-x'" xl -x list
says 2 "Usage: xl [-v] destroy" xl destroy
says 2 "Usage: xl [-v] domid" xl domid
says 0 "free_memory            : 4096" xl info
says 0 "Domain-0                                     0   256     2     r-----       1.5" xl list
says 0 "log" xl dmesg
says 0 "(d1) ^[[6n" xl dmesg
says 1 "the hypervisor takes no debug keys" xl debug-keys x
says 1 "'nobody' is an invalid domain identifier" xl destroy nobody
says 1 "cannot destroy domain 0" xl destroy 0
says 1 "cannot destroy domain 0" xl destroy Domain-0
check "nothing has changed" clean

# --- create and its errors ---

says 0 "Parsing config from a.cfg" xl create a.cfg
says 0 "a                                        " xl list a
says 0 "-b----" xl list a
says 0 "51712 0 " sh -c "'$out/fake-xl' block-list a | tr -s ' '"
says 0 "\"pdev_path\": \"$root/a.img\"" xl list -l a
says 0 "\"devid\": 0, \"mac\": \"00:16:3e:00:00:01\", \"bridge\": \"xenbr0\"" xl list -l a
says 0 "Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path" xl network-list a
says 0 "0   0  00:16:3e:00:00:01      0     4     -1    -1/-1          /local/domain/0/backend/vif/" xl network-list a
says 0 "lan-a" ls net
says 0 "1" cat ipv6/lan-a/disable_ipv6
check "both interfaces are in the bridge" test -d net/lan-a/brport -a -d "net/vif$(xl domid a).0/brport"
says 1 "a.cfg:1: name: a domain called 'a' exists already" xl create a.cfg
if [ "$have_nodes" ]; then
	sed "s,b.img,a.img," b.cfg >shared.cfg
	says 1 "shared.cfg:4: disk: $root/a.img: in use by domain 'a'" xl create shared.cfg
	says 1 "in use by domain 'a'" xl create b.cfg "disk=['$root/a.img,raw,xvda,r']"
fi
says 0 '"max_memkb": 16384, "target_memkb": 16384,' xl list -l a
check "rename" xl rename a c
says 1 "a domain called 'c' exists already" xl create b.cfg name=c
says 0 "c" xl domname "$(xl domid c)"
check "pause" xl pause c
says 0 "-bp---" xl list c
check "unpause" xl unpause c
says 0 "Name                                ID  VCPU   CPU State   Time(s)" xl vcpu-list c
says 0 "0:00:0" xl uptime c
says 0 " up  0:00, c (" xl uptime -s c
says 0 "all / all" xl vcpu-list c
says 2 "Usage: xl [-v] vcpu-list" xl vcpu-list -s
check "destroy" xl destroy c
check "nothing is left" clean

says 1 "text: not a RISC-V Image" xl create a.cfg "kernel=$root/text"
says 1 "kernel: $root/none: No such file or directory" xl create a.cfg "kernel=$root/none"
says 1 "ramdisk: $root/none: No such file or directory" xl create a.cfg "ramdisk=$root/none"
says 1 "memory: 2 MiB is too little memory" xl create a.cfg memory=2
says 1 "memory: not enough free memory: 8000 MiB wanted, 4096 MiB free" xl create a.cfg memory=8000
says 1 "maxmem: not enough free memory: 8000 MiB wanted, 4096 MiB free" xl create a.cfg maxmem=8000
check "maxmem" xl create -q a.cfg maxmem=32
says 0 "16384" xenstore-read "/local/domain/$(xl domid a)/memory/target"
says 0 "32768" xenstore-read "/local/domain/$(xl domid a)/memory/static-max"
says 0 '"max_memkb": 32768, "target_memkb": 16384,' xl list -l a
check "destroy" xl destroy a
says 1 "disk: $root/none: No such file or directory" xl create a.cfg "disk=['$root/none,raw,xvda,w']"
sed 's,Image,none,' a.cfg >nokernel.cfg
says 1 "nokernel.cfg:2: kernel: $root/none: No such file or directory" xl create nokernel.cfg
says 0 "memory = 16" xl create -n a.cfg
says 0 "memory = 24" xl create -n a.cfg "vcpus=1;memory=24"
says 1 "none.cfg: No such file or directory" xl create none.cfg
check "nothing is left" clean

# --- network interfaces ---

says 1 "a.cfg" xl create a.cfg "vif=['bridge=nobr']"
says 1 "vif: interface 0: bridge nobr does not exist" xl create a.cfg "vif=['bridge=nobr']"
mkdir net/eth7
says 1 "vif: interface 0: eth7 is an interface, but no bridge" xl create a.cfg "vif=['bridge=eth7']"
says 1 "vif: interface 1: there is an interface called eth7 already" xl create a.cfg "vif=['','vifname=eth7']"
mkdir net/eth7/brport
says 1 "called eth7 already" xl create a.cfg "vif=['vifname=eth7']"
check "someone else's interface stays in its bridge" test -d net/eth7/brport
rm -r net/eth7
says 1 "vif: the script $root/scripts/none cannot be run: No such file" xl create a.cfg "vif=['script=none']"
says 1 "vif: the script $root/text cannot be run: Permission denied" xl create a.cfg "vif=['script=$root/text']"
says 1 "vif: interface 0: $root/scripts/broken failed, see $root/log/xen-hotplug.log" xl create a.cfg "vif=['script=broken']"
says 1 "vif: interface 0: $root/scripts/silent failed" xl create a.cfg "vif=['script=$root/scripts/silent']"
says 0 "no use" cat log/xen-hotplug.log
says 1 "command line:1: vif: mac 'x' is no address" xl create a.cfg "vif=['mac=x']"
says 1 "disk: the back end of $root/mute.img does not answer (state 1 after 4 s): is xen-blkback" hasty create mute.cfg
says 1 "vif: the back end of interface 0 does not answer (state 1 after 4 s): is xen-netback" hasty create mute.cfg "disk=[]"
check "nothing is left" clean
says 0 "vif = [ 'mac=00:16:3e:00:00:01, bridge=xenbr0, script=vif-bridge', 'mac=random, " xl create -n a.cfg
says 0 "rate=1000000B/s@50000us' ]" xl create -n a.cfg "vif=['rate=1MB/s']"

check "create" xl create -q a.cfg "vif=['rate=1MB/s,ip=10.0.0.1']"
be=/local/domain/0/backend/vif/$(xl domid a)/0
says 0 "50000,50000" xenstore-read "$be/rate"
says 0 "10.0.0.1" xenstore-read "$be/ip"
says 0 "$root/scripts/vif-bridge" xenstore-read "$be/script"
mac=$(xenstore-read "$be/mac")
case $mac in 00:16:3e:[0-7]*) ok "a random address of Xen's: $mac" ;; *) bad "random address '$mac'" ;; esac
check "attach" xl network-attach a mac=00:16:3e:00:00:09 vifname=more
says 0 "1   0  00:16:3e:00:00:09      1 " xl network-list a
check "its interface is there" test -d net/more/brport
says 1 "command line:1: vif: unknown key 'colour'" xl network-attach a colour=blue
says 1 "command line:1: vif: interface 2: bridge nobr does not exist" xl network-attach a bridge=nobr
says 1 "command line:1: vif: interface 2: there is an interface called more already" xl network-attach a vifname=more
says 1 "the script $root/scripts/none cannot be run" xl network-attach a script=none
says 1 "'nobody' is an invalid domain identifier" xl network-attach nobody
says 1 "cannot attach an interface to domain 0" xl network-attach 0
says 2 "Usage: xl [-v] network-attach" xl network-attach
says 2 "Usage: xl [-v] network-detach" xl network-detach a
says 0 "vif: mac 00:16:3e:00:00:09 is also that of domain 'a'" xl create -q b.cfg "vif=['mac=00:16:3e:00:00:09']"
check "destroy" xl destroy b
check "a failed attach leaves no node" [ "$(xenstore-list "${be%/*}" | tr '\n' ' ')" = "0 1 " ]
says 1 "has no interface '7'" xl network-detach a 7
check "detach by address" xl network-detach a 00:16:3E:00:00:09
check "its interface is gone" test ! -e net/more
says 1 "has no interface '1'" xl network-detach a 1
check "detach by number" xl network-detach a 0
check "reboot brings back what the configuration says" xl reboot -w a
wait_for xl domid a
wait_for sh -c "'$out/fake-xl' network-list a | grep -q 'vif/'"
says 0 "$mac" xl network-list a
check "destroy" xl destroy a
check "nothing is left" clean
check "a guest that does not let go" xl create -q deaf.cfg
says 1 "has not let go of vif 0: taken away all the same" hasty network-detach deaf 0
check "without asking" xl network-detach -f deaf 1
says 0 "xenbr0" ls net
check "destroy" xl destroy deaf
check "nothing is left" clean

# --- the guest's own doings ---

says 1 "crash: ended (crash) in its first second" xl create -w crash.cfg
says 1 "crash: ended (crash) in its first 5 seconds" xl create --wait=5 crash.cfg
says 1 "    Kernel panic - not syncing" xl create -w crash.cfg
says 1 '    ^[[6n-^@-\x9b6n' xl create -w crash.cfg
xl create -w crash.cfg >printed 2>&1
check "no escape sequence of a guest's on the terminal" sh -c "grep -q panic printed && ! grep -q '$(printf '\033')' printed"
says 1 "xl dmesg has what it printed in other ways" xl create -w crash.cfg 'name="crash-mute"'
check "nothing is left of a crashed guest" clean
says 0 "ended (poweroff) in its first second" xl create -w quick.cfg
check "nothing is left" clean
says 2 "create: --wait=soon: no number of seconds, 1 to 86400" xl create --wait=soon a.cfg
says 2 "create: --wait=0: no number of seconds" xl create --wait=0 a.cfg
says 2 "create: -w and -p exclude each other" xl create -p -w a.cfg
says 2 "create: -w and -F exclude each other" xl create -w5 -F a.cfg
check "nothing is left" clean
xl create -q -w crash.cfg "on_crash=preserve" >output 2>&1
says 0 "---sc-" xl list crash
xl destroy crash
check "nothing is left of a preserved guest" clean
says 0 "crash: ended (crash) in its first second, and has started again as domain" \
	xl create -q -w crash.cfg "on_crash=restart"
wait_for grep -q "not started again" log/xl-crash.log
wait_for clean
check "a guest that crashes at once is not restarted for ever" clean
xl create -q -w crash.cfg "on_crash=rename-restart" >output 2>&1
wait_for xl domid crash-4
says 0 "crash-4" xl list
wait_for grep -q "crash-1') goes: of a guest's dead no more" log/xl-crash.log
wait_for gone crash-1
wait_for xl domid crash-5
says 1 "no such domain" xl domid crash-1
says 0 " 0:00:" xl uptime crash-5
for n in 2 3 4 5; do xl destroy crash-$n || bad "crash-$n should be there"; done
wait_for clean
check "nothing is left after rename-restart" clean
xl create -q boot.cfg >output 2>&1
# It reboots twice, and between two lives there is none.
wait_for sh -c '[ "$(grep -c "started again as domain" log/xl-boot.log)" = 2 ]'
says 0 "boot" xl list boot
check "shutdown -w" xl shutdown -w boot
check "nothing is left after reboots and shutdown" clean
check "create a" xl create -q a.cfg
check "create b" xl create -q b.cfg
before_reboot=$(xl domid a)
check "reboot -w" xl reboot -w a
wait_for xl domid a
check "another domid after the reboot" [ "$(xl domid a)" != "$before_reboot" ]
check "shutdown -a -w" xl shutdown -a -w
check "nothing is left after shutdown -a" clean
check "create -F" sh -c "'$out/fake-xl' create -F quick.cfg"
check "shutdown -F" sh -c "'$out/fake-xl' create -q a.cfg && '$out/fake-xl' shutdown -F -w a"
says 0 'on_watchdog = "restart"' xl create -n a.cfg on_watchdog=restart
says 1 "on_watchdog: 'no' is none of destroy" xl create -n a.cfg on_watchdog=no

# --- an early end that nobody waits for ---

on_terminal() { python3 "$here/creator_terminal.py" "$1" "$out/fake-xl" "$out/fake-hv" "name=\"early\"" "kernel=\"$root/Image\"" memory=16; }
says 0 "xl: early: ended (poweroff) soon after its start; its console's log is $root/log/console/guest-early.log" on_terminal stays
on_terminal stays >shown 2>&1
check "once" [ "$(grep -c soon shown)" = 1 ]
for how in leaves given full; do
	on_terminal $how >shown 2>&1
	cp shown output
	check "$how: nobody waits for the terminal" grep -q "the supervisor has ended" shown
	check "$how: and nothing is written to it" [ "$(grep -c soon shown)" = 0 ]
done
check "nothing is left" clean
# One that is read until its end
check "a pipe is nothing to tell it on" timeout 10 sh -c "'$out/fake-xl' create -q b.cfg 2>&1 | cat"
check "destroy" xl destroy b
check "nothing is left" clean

# --- asked all at once, and waited for together ---

request() { xenstore-read "/local/domain/$1/control/shutdown"; }
check "a guest that is paused" xl create -q a.cfg
check "one that does not answer" xl create -q deaf.cfg
check "and one that is well" xl create -q b.cfg
xl pause a
id=$(xl domid a) deaf=$(xl domid deaf)
"$out/fake-xl" shutdown -a -w >asked 2>&1 &
asking=$!
check "a paused one does not see it" wait_for grep -q "'a' is paused: it does not see the request to poweroff" asked
wait_for gone b
check "the one that is well was asked all the same" gone b
check "the paused one's request stays" [ "$(request "$id")" = poweroff ]
check "and so does the deaf one's" [ "$(request "$deaf")" = poweroff ]
kill $asking
wait $asking
says 1 "'deaf' has not answered the request to poweroff for 2 s; the request stays" hasty shutdown -a -w
says 1 "'deaf' has not answered the request to reboot" hasty reboot deaf
check "the newest request holds" [ "$(request "$deaf")" = reboot ]
xl unpause a
wait_for gone a
check "the paused one saw its request when it was unpaused" gone a
xl destroy deaf
check "nothing is left" clean

# --- a guest that a process of dom0's still holds when it is destroyed ---

xl create -q b.cfg >output 2>&1
id=$(xl domid b)
"$out/fake-hv" hold "$id"
mkdir -p proc/self proc/17 proc/1234 backends/vbd-$id-51712 backends/vif-1$id-0
echo '3fb000-3fc000 rw-s 00000000 00:05 89 /dev/xen/gntdev' >proc/1234/maps
echo 'qemu-storage-da' >proc/1234/comm
echo '3fb000-3fc000 r--p 00000000 00:05 12 /bin/busybox' >proc/17/maps
says 1 "domain $id is dead, but 4098 pages of it are still in use" xl destroy b
says 0 "one of which may hold it: 1234 (qemu-storage-da)" xl shutdown "$id"
says 0 "dom0's kernel still has: vbd-$id-51712" xl shutdown "$id"
rm -r proc backends
says 0 "-bp--d" xl list "$id"
check "a corpse is not asked" xl shutdown -a -w
says 0 "Domain $id has been destroyed already" xl shutdown "$id"
check "nor is it as old as dom0" sh -c "'$out/fake-xl' uptime $id | grep -q ' 0:00:'"
"$out/fake-hv" let-go "$id"
check "nothing is left" clean
xl create -q b.cfg >output 2>&1
id=$(xl domid b)
"$out/fake-hv" hold "$id"
says 0 "Rebooting" xl reboot b
next_life() { n=$("$out/fake-xl" domid b) && [ "$n" != "$id" ]; }
wait_for next_life
check "a guest of which pages are held has its next life all the same" next_life
"$out/fake-hv" let-go "$id"
id=$(xl domid b)
"$out/fake-hv" hold "$id"
says 0 "Rebooting" xl reboot b
# either the old one, which is held, or the next one
xl destroy b >output 2>&1
sleep 1
says 1 "no such domain" xl domid b
"$out/fake-hv" let-go "$id"
check "nothing is left" clean

# --- between two lives ---

cat >scripts/slow <<-END
	#!/bin/sh
	sleep 0.3
	exec $root/scripts/vif-bridge "\$@"
END
chmod +x scripts/slow
"$out/fake-hv" unpause &
monitor=$!
check "create, while somebody unpauses whatever is paused" xl create -q a.cfg "vif=['script=slow']"
check "reboot -w, the same" xl reboot -w a
says 0 "has started again as domain" xl reboot -w a
kill $monitor
wait $monitor 2>/dev/null
says 1 "it is not paused" xl unpause a
for s in 0 0.2 0.4 0.6 0.8; do
	xl reboot a >output 2>&1
	sleep $s
	check "destroy by name wins, $s s after a reboot" xl destroy a
	sleep 1
	check "and there is no next life" clean
	xl create -q a.cfg "vif=['script=slow']"
done
xl reboot a >output 2>&1
check "pause waits for the next life, too" xl pause a
xl destroy a

check "create" xl create -q a.cfg "on_poweroff='restart'"
says 1 "'a' has started again as domain" xl shutdown -w a
xl destroy a
check "nothing is left" clean

# --- a guest that ends again and again ---

log=log/xl-again.log
held() { grep -q "starts again in $1 s" $log && xl list again | grep -q -- '---s--'; }
xl create -q again.cfg >output 2>&1
wait_for held 2
check "a guest that reboots at once is held back ever longer" held 2
says 0 "is not started again" sh -c "'$out/fake-xl' shutdown -w again && cat $log"
check "shutdown ends that" clean
rm $log
xl create -q again.cfg >output 2>&1
wait_for held 1
head -c 300000 /dev/zero | tr '\0' x >>$log
wait_for test -e $log.1
check "what is written about many lives has a bound" sh -c "[ -e $log.1 ] && [ \$(stat -c %s $log) -lt 262144 ]"
rm -f $log.1
check "destroy as well" xl destroy again
sleep 1.5
check "there is no next life" clean
rm $log
xl create -q again.cfg >output 2>&1
touch run/no-restart
wait_for grep -q "the host is going down\|it is not started again" $log
check "nobody is started again when the host goes down" wait_for clean
rm run/no-restart
check "nothing is left" clean
rm $log
xl create -q again.cfg "on_reboot='rename-restart'" >output 2>&1
wait_for held 1
check "shutdown" xl shutdown -w again
says 0 "---s--" xl list again-4
for n in 1 2 3 4; do xl destroy again-$n; done
check "nothing is left" clean

# --- relative paths, and kernels that go ---

mkdir -p sub
cp Image sub/Image
says 0 "kernel = \"$root/sub/Image\"" sh -c "cd sub && '$out/fake-xl' create -n ../a.cfg kernel=\"'Image'\""
check "a relative path" sh -c "cd sub && '$out/fake-xl' create -q ../a.cfg kernel=\"'Image'\""
check "reboot" xl reboot -w a
check "is good for the next life, too" xl domid a
rm sub/Image
says 0 "destroyed" xl reboot -w a
check "a kernel that has gone is told" grep -q "'a' cannot be started again: it is gone" log/xl-a.log
check "nothing is left" clean
cp Image sub/Image
xl create -F a.cfg "kernel='sub/Image'" >output 2>&1 &
p=$!
wait_for sh -c "'$out/fake-xl' list a | grep -q -- -b----"
rm sub/Image
xl reboot a >/dev/null
wait $p
check "and by the exit status in the foreground" [ $? = 1 ]
check "nothing is left" clean

"$out/fake-xl" create -F a.cfg >output 2>&1 &
p=$!
wait_for sh -c "'$out/fake-xl' list a | grep -q -- -b----"
kill -TERM $p
wait $p
check "a signal ends xl create -F, and not the guest" sh -c "[ $? = 1 ] && '$out/fake-xl' destroy a"
check "nothing is left" clean
# image_size 4 MiB: less than half of it is there
{ head -c 18 Image; printf '\100'; tail -c +20 Image; } >sub/Image
says 0 "has only 1048576 of the 4194304 bytes that its header speaks of" xl create -q a.cfg "kernel='sub/Image'"
xl destroy a

# --- a back end that gives up ---

xl create -q lost.cfg >output 2>&1
wait_for grep -q "the back end of vbd 51712, xvda is lost: pretended" log/xl-lost.log
check "a lost back end is reported" grep -q "('lost'): the back end of vbd" log/xl-lost.log
says 0 "51712 0 " sh -c "'$out/fake-xl' block-list lost | tr -s ' '"
check "its state is shown" sh -c "'$out/fake-xl' block-list lost | grep -q '^51712 .* 6 '"
check "once" [ "$(grep -c 'is lost' log/xl-lost.log)" = 1 ]
xl destroy lost
check "nothing is left of it, nor of its error" clean
check "create -p" xl create -q -p a.cfg
says 0 "--p---" xl list a
check "destroy" xl destroy a
check "nothing is left" clean

# --- a guest without its supervisor ---

supervisor() { xl list --json "$1" | sed -n 's/.*"supervisor": "*\([a-z]*\).*/\1/p'; }
xl create -q a.cfg
check "there is one" [ "$(supervisor a)" = alive ]
check "of which nothing is said" sh -c "! '$out/fake-xl' list 2>&1 | grep supervisor"
pid=$(xenstore-read "/tool/pavise/$(xl domid a)/supervisor" | cut -d' ' -f1)
kill -9 "$pid"
lost() { [ "$(supervisor a)" = lost ]; }
check "it was killed" wait_for lost
says 0 "the supervisor of 'a' is gone" xl list
says 0 "a " sh -c "'$out/fake-xl' list a 2>/dev/null"
check "the columns are as ever" sh -c "! '$out/fake-xl' list 2>/dev/null | grep supervisor"
# Its number is another process's.
xenstore-write "/tool/pavise/$(xl domid a)/supervisor" "$$ 1"
check "who has its number now is not it" lost
xl destroy a
xl create -q -e a.cfg
check "nobody is to wait for its end" [ "$(supervisor a)" = null ]
xl destroy a
check "nothing is left" clean

# --- logs of the dead, and a limit for all ---

for n in 1 2 3; do
	head -c 700000 /dev/zero | tr '\0' x >"log/console/guest-dead$n.log"
	head -c 100000 /dev/zero | tr '\0' x >"log/xl-dead$n.log"
	touch -d "2020-01-0$n" log/*dead$n.log log/console/*dead$n.log
done
echo x >log/console/guest-b.log.1
touch -d 2019-01-01 log/console/guest-b.log.1
xl create -q b.cfg
check "within the limit all logs stay" test -e log/xl-dead1.log -a -e log/console/guest-dead1.log
echo "log_limit = 2" >xl.conf
xl create -q a.cfg
check "the oldest of the dead go" test ! -e log/xl-dead1.log -a ! -e log/console/guest-dead1.log
check "and no more than must" test -e log/console/guest-dead3.log -a -e log/xl-dead3.log
check "the living keep theirs" test -e log/console/guest-b.log.1 -a -e log/xen-hotplug.log
head -c 600000 /dev/zero | tr '\0' x >log/dom0.log
touch -d 2018-01-01 log/dom0.log
xl destroy a
xl create -q a.cfg
check "what syslog has is counted" test ! -e log/console/guest-dead2.log
check "and stays" test -e log/dom0.log
rm log/dom0.log
echo "log_limit = 'much'" >xl.conf
xl destroy a
says 0 "xl.conf:1: log_limit: not a number from 1 to 1048576; 48 is used" xl create -q a.cfg
rm xl.conf
head -c 300000 /dev/zero | tr '\0' x >>log/xen-hotplug.log
xl destroy a b
check "xl's own logs are put aside when they are long" test -e log/xen-hotplug.log.1 -a "$(stat -c %s log/xen-hotplug.log)" -lt 10000
rm -f log/*dead* log/console/*dead*
check "nothing is left" clean

# --- several at once ---

for i in 1 2 3 4; do
	xl create -q a.cfg >"out.$i" 2>&1 &
	eval "p$i=$!"
done
winners=0
for i in 1 2 3 4; do
	eval "wait \$p$i" && winners=$((winners + 1))
done
check "of four creates of one name one wins" [ $winners = 1 ]
for i in 1 2 3; do
	xl destroy a >"out.$i" 2>&1 &
	eval "p$i=$!"
done
for i in 1 2 3; do
	eval "wait \$p$i"
done
check "nothing is left after destroys at once" clean

# --- every step fails once ---

n=1
while :; do
	"$out/fake-hv" "$n" || exit 1
	if xl create -q a.cfg >output 2>&1; then
		break
	fi
	[ -s output ] || bad "failure $n says nothing"
	clean >left || { cat left >>output; bad "something is left when hypercall $n fails"; }
	n=$((n + 1))
	[ $n -lt 100 ] || break
done
"$out/fake-hv" 0
xl destroy a
check "each of $((n - 1)) hypercalls failed once" [ $n -gt 15 ]
check "nothing is left" clean

n=1
while :; do
	echo $n >ip-fails
	xl create -q a.cfg >output 2>&1
	created=$?
	[ "$(cat ip-fails)" = 0 ] || break
	# Setting the MTU is the one step that may fail
	if [ $created = 0 ]; then
		xl destroy a
	else
		grep -q "a.cfg:5: vif: interface" output || bad "failure $n of ip is not named"
	fi
	echo 0 >ip-fails
	clean >left || { cat left >>output; bad "something is left when call $n of ip fails"; }
	n=$((n + 1))
	[ $n -lt 50 ] || break
done
rm ip-fails
xl destroy a
check "each of $((n - 1)) calls of ip failed once" [ $n -gt 8 ]
check "nothing is left" clean

# --- interrupted ---

# Not by the function: the signal is for xl itself.
for ms in 0.02 0.05 0.1 0.2; do
	"$out/fake-xl" create -q a.cfg >output 2>&1 &
	p=$!
	sleep $ms
	kill -INT $p 2>/dev/null
	wait $p
	xl destroy a >/dev/null 2>&1
	wait_for clean
	check "nothing is left after an interrupt at $ms s" clean
done

destroy_all() {
	for d in $("$out/fake-xl" list | awk 'NR > 1 && $2 { print $2 }'); do
		xl destroy "$d"
	done
}
for ms in 0 0.01 0.02 0.03 0.05 0.08 0.12 0.2; do
	"$out/fake-xl" create -q a.cfg >output 2>&1 &
	p=$!
	sleep $ms
	kill -KILL $p 2>/dev/null
	wait $p 2>/dev/null
	destroy_all >output 2>&1
	wait_for clean
	check "xl destroy takes away what kill -9 left at $ms s" clean
	check "and the name is free" xl create -q a.cfg
	xl destroy a
done
xl create -q a.cfg >output 2>&1
"$out/fake-xl" destroy a >output 2>&1 &
p=$!
sleep 0.01
kill -KILL $p 2>/dev/null
wait $p 2>/dev/null
destroy_all >output 2>&1
wait_for clean
check "a destroy that was killed is finished by the next" clean

# --- all at once, for a while ---

touch go
for job in "create -q a.cfg" "create -q b.cfg" "create -q a.cfg" "destroy a" "destroy b" "destroy a b" \
	"rename a c" "rename c a" "destroy c" "shutdown a" "list -l" "list -v" "block-list a"; do
	while [ -e go ]; do
		"$out/fake-xl" $job
	done >"jobs.$(echo "$job" | tr -dc a-z).log" 2>&1 &
	workers="${workers:-} $!"
done
sleep 4
rm go
wait $workers
destroy_all >output 2>&1
wait_for clean
check "nothing is left after everything at once" clean
check "no lock is left but one" [ "$(echo run/xl*.lock)" = run/xl.lock ]
check "xl still works" xl create -q a.cfg
xl destroy a

# --- without xenstored ---

xl create -q a.cfg >output 2>&1
id=$(xl domid a)
cat >verbs <<-END
	list
	domid a
	destroy a
	destroy $id
	shutdown -a -w
	pause $id
	rename a b
	network-attach a
	create -q b.cfg
	create -F b.cfg
	uptime
	console a
END
# all_end "text": every verb that asks xenstored ends by itself, with this
all_end() {
	n=0
	while read -r verb; do
		HASTY=1 timeout 30 "$out/fake-xl" $verb >"verb.$n" 2>&1 </dev/null &
		eval "v$n=$!"
		n=$((n + 1))
	done <verbs
	n=0
	while read -r verb; do
		eval "wait \$v$n"
		status=$?
		echo "(status $status)" >>"verb.$n"
		says 0 "$1" sh -c "cat verb.$n; [ $status = 1 ] # $verb"
		n=$((n + 1))
	done <verbs
}
kill -STOP "$xenstored"
all_end "xenstored does not answer"
kill -CONT "$xenstored"
wait_for xl domid a
says 0 "-b----" xl list a
xl destroy a
check "nothing is left" clean
kill -KILL "$xenstored"
wait "$xenstored" 2>/dev/null
all_end "cannot reach xenstored"

end_of_cases
