#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Back ends in driver domains: backend= of disks and interfaces, xl devd, a driver domain's end and next life. The real xl,
# xenstored and scripts against a pretended hypervisor (fake_pv.c), driver domain and guests (fake_backend.c).
# Usage: test_xl_devd.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

docs=$here/../../../docs/schema
cp disk.img more.img
cp disk.img other.img
cat >driver.cfg <<-END
	name = "driver"
	kernel = "$root/Image"
	memory = 16
	driver_domain = 1
END
# fits SCHEMA: the JSON on stdin is what docs/schema says
fits() {
	/usr/bin/python3 -c 'import json, jsonschema, sys
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator(schema).validate(json.load(sys.stdin))' "$docs/$1"
}
# As in the driver domain: its own nodes are where relative paths lead.
devd() {
	FAKE_HOME=/local/domain/$1/ "$out/fake-xl" devd -F >>devd.log 2>&1 &
	devd=$!
	pids="$pids $devd"
}
end_devd() {
	kill "$devd" && wait "$devd"
}
be() { echo "/local/domain/$driver/backend/$1/$(xl domid a)/$2"; }
state() { [ "$(xenstore-read "$(be "$1" "$2")/state")" = "$3" ]; }
perms() { xenstore-ls -fp "/local/domain/$1" | grep "^/local/domain/$1/$2 "; }
# both PATTERN: dom0's records and what the supervisor's log says of the guest's lost back end
lost() { "$out/fake-xl" block-list --json a | grep -q '"lost": "its driver domain'; }

# --- help and wrong use ---

says 0 "Usage: xl [-v] devd" xl help devd
says 0 "Usage: xl [-v] devd" xl devd --help
says 2 "Usage: xl [-v] devd" xl devd --colour
says 2 "Usage: xl [-v] devd" xl devd driver
says 1 "dom0 needs none" xl devd -F
says 0 "driver_domain = 1" xl create -n driver.cfg
says 1 "driver_domain: 2 is not between 0 and 1" xl create -n driver.cfg driver_domain=2
says 0 "backend=driver, target=/dev/x" xl create -n a.cfg 'disk=["vdev=xvdb,backend=driver,target=/dev/x"]'
says 0 "backend=driver'" xl create -n a.cfg 'disk=[]' 'vif=["backend=driver"]'
says 1 "the first disk is a driver domain's" xl create -n a.cfg kernel= bootloader=pygrub 'disk=["vdev=xvda,backend=driver,target=/dev/x"]'

# --- who is none ---

check "create" xl create -q a.cfg
says 1 "disk: backend 'driver': there is no such domain; the driver domain is started first" \
	xl block-attach a vdev=xvdb backend=driver "target=$root/more.img"
says 1 "vif: backend 'driver': there is no such domain" xl network-attach a backend=driver
says 1 "disk: backend 'a': it is no driver domain (driver_domain=1 in its configuration)" \
	xl block-attach a vdev=xvdb backend=a "target=$root/more.img"
says 1 "backend '99': there is no such domain" xl block-attach a vdev=xvdb backend=99 "target=$root/more.img"
says 1 "backend 'driver': there is no such domain" xl create -q b.cfg "disk=['vdev=xvda,backend=driver,target=$root/more.img']"
says 1 "is an invalid domain identifier" xl domid b

# --- without xl devd ---

check "a driver domain" xl create -q driver.cfg
driver=$(xl domid driver)
FAKE_HOME=/local/domain/$(xl domid a)/
export FAKE_HOME
says 1 "this is no driver domain: xl devd runs in a guest whose configuration says driver_domain=1" xl devd -F
unset FAKE_HOME
says 1 "nobody in the driver domain has run its script (does xl devd run there?)" \
	hasty block-attach a vdev=xvdb backend=driver "target=$root/more.img"
check "nothing is left of it" sh -c "! xenstore-ls '$(be vbd 51728)' && [ -z \"\$(xenstore-list /tool/pavise/$(xl domid a)/foreign/vbd)\" ]"
# What it says in its place is shown as text, and not all of it.
(wait_for xenstore-read "$(be vbd 51728)/state" &&
	xenstore-write "$(be vbd 51728)/hotplug-error" "$(printf '\033[2Jno\nsuch %01000d' 7)" &&
	xenstore-write "$(be vbd 51728)/hotplug-status" error &&
	wait_for sh -c "[ \"\$(xenstore-read '$(be vbd 51728)/online')\" = 0 ]" && xenstore-rm "$(be vbd 51728)/hotplug-status") &
says 1 "more.img: ^[[2Jno such" xl block-attach a vdev=xvdb backend=driver "target=$root/more.img"
grep 2Jno output >said
check "in a bounded length" [ "$(wc -c <said)" -lt 400 ]

# --- disks ---

devd "$driver"
says 1 "$root/none does not exist" xl block-attach a vdev=xvdb backend=driver "target=$root/none"
if [ "$have_nodes" ]; then
	check "attach" xl block-attach a vdev=xvdb backend=driver "target=$root/more.img"
	check "its device is made" [ "$(readlink loops/*)" ]
else
	check "attach" xl block-attach a vdev=xvdb backend=driver "target=$root/more.img"
fi
check "it is used" wait_for state vbd 51728 4
says 0 "51728 $driver" xl block-list a
says 0 "$(be vbd 51728)" xl block-list a
"$out/fake-xl" block-list --json a >json
check "its JSON is what the schema says" fits block-list.json <json
says 0 "\"backend_domid\": $driver" cat json
says 0 "$driver" xenstore-read "/local/domain/$(xl domid a)/device/vbd/51728/backend-id"
says 0 "(n$driver,r$(xl domid a))" perms "$driver" "backend/vbd/$(xl domid a)/51728/params"
says 0 "(n0,r$driver)" perms "$driver" backend/vbd
says 0 "(n$(xl domid a),r$driver)" perms "$(xl domid a)" device/vbd/51728/state
says 1 "$root/more.img: in use by domain 'a'; only readers can share a disk" \
	xl create -q b.cfg "disk=['vdev=xvda,backend=$driver,target=$root/more.img']"
says 1 "its back end would be its own domain" xl block-attach driver vdev=xvdb backend=driver "target=$root/other.img"
says 1 "is a disk of driver domain $driver: it is grown there" xl block-resize a xvdb
# What the driver domain writes into its own nodes is not believed.
xenstore-write "$(be vbd 51728)/params" /etc/shadow "$(be vbd 51728)/mode" r "$(be vbd 51728)/dev" xvdz
"$out/fake-xl" block-list --json a >json
says 0 "\"target\": \"$root/more.img\"" cat json
says 0 '"vdev": "xvdb"' cat json
says 1 "in use by domain 'a'" xl create -q b.cfg "disk=['vdev=xvda,readonly,backend=driver,target=$root/more.img']"
says 0 "\"pdev_path\": \"$root/more.img\"" xl list -l a

check "one that gives nothing back" xl create -q deaf.cfg
check "attach" xl block-attach deaf vdev=xvdb backend=driver "target=$root/other.img"
xenstore-write "/local/domain/$driver/backend/vbd/$(xl domid deaf)/51728/dev" "$(printf '\033[2J')"
says 1 "has not let go of disk xvdb in" hasty block-detach deaf xvdb
check "destroy" xl destroy deaf

# --- interfaces ---

check "attach" xl network-attach a backend=driver mac=00:16:3e:00:00:07
says 0 "2   $driver  00:16:3e:00:00:07" xl network-list a
"$out/fake-xl" network-list --json a >json
check "its JSON is what the schema says" fits network-list.json <json
says 1 "the script failed, see" xl network-attach a backend=driver script=silent
check "attach with a limit" xl network-attach a backend=driver rate=1MB/s
vif=$(xl network-list a | awk 'END { print $1 }')
rate() { [ "$(xenstore-read "$(be vif "$vif")/rate")" = "$1" ]; }
check "it is the interface's" rate 50000,50000
mkdir -p "backends/vif-$(xl domid a)-$vif/net/x/queues/tx-0" "backends/vif-$(xl domid a)-$vif/net/x/queues/tx-1"
check "two queues share it" wait_for rate 25000,50000
check "detach" xl network-detach a "$vif"
rm -r backends
check "its interface is a port of the bridge" [ -e "net/vif$(xl domid a).2/brport" ]
check "detach by MAC" xl network-detach a 00:16:3e:00:00:07
check "its nodes are gone" sh -c "! xenstore-ls '$(be vif 2)'"
check "attach" xl network-attach a backend=driver mac=00:16:3e:00:00:07

# --- a kernel that has not noticed ---

# A back end that stays in state 1: so Linux does with what it is offered while it lists its devices. fake_backend.c goes by
# the guest's name.
told_again() { timeout 5 xenstore-watch -n 3 "/local/domain/$driver/backend/vbd/$a/$1/online"; }
a=$(xl domid a)
xenstore-write "/local/domain/$a/name" mute
xenstore-write "/local/domain/$driver/backend/vbd/$a/51728/state" 1
check "it is told of the device again" told_again 51728
(told_again 51760 && xenstore-write "/local/domain/$a/name" a) >/dev/null &
check "attach, although it is not noticed at first" xl block-attach "$a" vdev=xvdd backend=driver "target=$root/other.img"
check "the other one, too" wait_for state vbd 51728 4
check "detach" xl block-detach a xvdd

# --- its end and its next life ---

end_devd
devd "$driver"
check "xl devd started again goes on where it was" wait_for state vbd 51728 4
end_devd
check "the driver domain ends" xl destroy driver
# With its kernel's devices
find loops -lname '*/more.img' -delete
rm -r "net/vif$(xl domid a).2"
check "the guest's devices are lost" wait_for lost
says 0 "backend-lost" xl events -n 20
says 1 "the driver domain of disk 51728 is gone: start it again" xl block-detach a xvdb
says 1 "backend 'driver': there is no such domain" xl block-attach a vdev=xvdc backend=driver "target=$root/other.img"
sed 's/"driver"/"driver2"/' driver.cfg >driver2.cfg
# As when all numbers have been given once: the guest's pages are still granted to the dead one's.
"$out/fake-hv" next "$driver"
check "another one has a number of its own" xl create -q driver2.cfg
check "really" [ "$(xl domid driver2)" != "$driver" ]
xl destroy driver2
"$out/fake-hv" next "$driver"
check "so has a guest" xl create -q b.cfg
check "really" [ "$(xl domid b)" != "$driver" ]
xl destroy b
check "the next life" xl create -q driver.cfg
says 0 "$driver" xl domid driver
check "the disk is offered again, as dom0 knows it" wait_for xenstore-read "$(be vbd 51728)/params"
says 0 "$root/more.img" xenstore-read "$(be vbd 51728)/params"
devd "$driver"
check "and used again" wait_for state vbd 51728 4
check "the interface, too" wait_for state vif 2 4
check "they are lost no more" sh -c "! '$out/fake-xl' block-list --json a | grep -q '\"lost\": \"'"
says 0 "is offered to driver domain $driver again" cat log/xl-a.log
offers=$(grep -c "is offered" log/xl-a.log)
xenstore-rm "$(be vbd 51728)/frontend"
sleep 0.5
check "not again because the driver domain has removed its nodes" sh -c "! xenstore-read '$(be vbd 51728)/frontend'"
check "nor is that said" [ "$(grep -c "is offered" log/xl-a.log)" = "$offers" ]
xenstore-write "$(be vbd 51728)/frontend" "/local/domain/$(xl domid a)/device/vbd/51728"
check "detach" xl block-detach a xvdb
was=$driver
check "nobody waits for the number" sh -c "'$out/fake-xl' network-detach a 2 && '$out/fake-xl' destroy driver && '$out/fake-xl' create -q '$root/driver.cfg'"
check "really" [ "$(xl domid driver)" != "$driver" ]
end_devd
driver=$(xl domid driver)
"$out/fake-hv" next "$was"
check "but the guest may still have granted pages to it" xl create -q b.cfg
check "really" [ "$(xl domid b)" != "$was" ]
xl destroy b

# --- ends of guests ---

devd "$driver"
check "attach" xl block-attach a vdev=xvdb backend=driver "target=$root/more.img"
check "attach" xl network-attach a backend=driver
xl destroy a
"$out/fake-hv" next "$was"
check "create" xl create -q b.cfg
check "the number is anybody's with the guest's end" [ "$(xl domid b)" = "$was" ]
xl destroy b
check "the guest's end takes its devices along" sh -c "! xenstore-list /local/domain/$driver/backend | grep -q ."
check "the loop device, too" sh -c "! ls loops | grep -q ."
check "create, with a driver domain's disk" xl create -q a.cfg "disk=['vdev=xvda,backend=driver,target=$root/more.img']"
check "attach" xl block-attach a vdev=xvdb backend=driver "target=$root/other.img"
end_devd
# Its next life has to wait for the driver domain; others have not.
a=$(xl domid a)
check "reboot" xl reboot a
check "its supervisor waits" wait_for grep -q "ended with reboot" log/xl-a.log
check "with its lock" wait_for sh -c "! flock -n run/xl-$a.lock true"
check "not with that of who makes a domain" flock -n run/xl.lock true
rm -f loops/*
devd "$driver"
check "its next life" wait_for sh -c "n=\$('$out/fake-xl' domid a) && [ \$n != $a ]"
check "its disks, too" wait_for state vbd 51712 4
check "attach" xl block-attach a vdev=xvdb backend=driver "target=$root/other.img"
end_devd
says 0 "the driver domain has not undone its script" hasty destroy a
cp output said
check "it is said once" sh -c "[ \$(grep -c 'has not undone' said) = 1 ]"
rm -f loops/*
devd "$driver"
check "create" xl create -q a.cfg "disk=['vdev=xvda,backend=driver,target=$root/more.img']"
end_devd
xl destroy driver
check "a guest whose driver domain is gone can be destroyed" xl destroy a
rm -f loops/*
check "nothing is left" clean

# --- the daemon ---

check "a driver domain" xl create -q driver.cfg
driver=$(xl domid driver)
FAKE_HOME=/local/domain/$driver/
export FAKE_HOME
check "in the background" xl devd -p "$root/devd.pid"
check "its number is told" wait_for test -s devd.pid
says 1 "/none/pid" xl devd -F -p /none/pid
unset FAKE_HOME
pids="$pids $(cat devd.pid)"
check "create" xl create -q a.cfg "disk=['vdev=xvda,backend=driver,target=$root/more.img']"
a=$(xl domid a)
"$out/fake-xl" shutdown -a -w >asked 2>&1
check "of all a driver domain is asked last" sh -c "sed -n 1p asked | grep -q 'Shutting down domain $a\$' && sed -n 2p asked | grep -q 'Shutting down domain $driver\$'"
check "both are down" sh -c "gone=\$('$out/fake-xl' list | wc -l); [ \$gone = 2 ]"
check "driver domain" xl create -q driver.cfg
kill "$(cat devd.pid)"
driver=$(xl domid driver)
devd "$driver"
# One that answers for each device just in time does not get that time for each.
check "create" xl create -q a.cfg "disk=['vdev=xvda,readonly,backend=driver,target=$root/more.img','vdev=xvdb,readonly,backend=driver,target=$root/more.img','vdev=xvdc,readonly,backend=driver,target=$root/more.img','vdev=xvdd,readonly,backend=driver,target=$root/more.img']" "vif=[]"
a=$(xl domid a)
end_devd
(
	for dev in 51712 51728 51744 51760; do
		wait_for sh -c "[ \"\$(xenstore-read /local/domain/$driver/backend/vbd/$a/$dev/online)\" = 0 ]"
		sleep 3
		xenstore-rm "/local/domain/$driver/backend/vbd/$a/$dev/hotplug-status"
	done
) >/dev/null 2>&1 &
says 0 "the driver domain has not undone its script" hasty destroy a
rm -f loops/*
devd "$driver"
check "one that does not answer" xl create -q deaf.cfg "disk=['vdev=xvda,backend=driver,target=$root/more.img']"
says 1 "'deaf' has not answered the request to poweroff" env HASTY=1 timeout 20 "$out/fake-xl" shutdown -a -w
check "keeps no driver domain up" gone driver
end_devd
rm -f loops/*
xl destroy deaf
check "nothing is left" clean

end_of_cases
