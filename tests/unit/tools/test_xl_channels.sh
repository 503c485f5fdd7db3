#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Channels: channel = [ ... ] of xl.cfg, channel-list and console -n. The real xl and xenstored against a pretended hypervisor and a
# pretended xenconsoled. Usage: test_xl_channels.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

back() { xenstore-read "/local/domain/0/backend/console/$(xl domid a)/$1"; }
front() { xenstore-read "/local/domain/$(xl domid a)/device/console/$1"; }
is() { # is WANTED COMMAND...
	wanted=$1
	shift
	[ "$("$@")" = "$wanted" ]
}
new() { "$out/fake-xl" create -q a.cfg "channel=[$1]"; }
schema() { /usr/bin/python3 "$here/check_json.py" channel-list <json; }
# A socket that has been listened in. leave FILE MODE
leave() {
	/usr/bin/python3 -c 'import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], int(sys.argv[2], 8)); s.listen()' "$1" "$2"
}

# --- what is said wrongly ---

says 1 "name is missing, by which the guest finds the channel" new "'connection=pty'"
says 1 "connection is missing: pty or socket" new "'name=agent'"
says 1 "connection 'tcp' is neither pty nor socket" new "'name=agent,connection=tcp'"
says 1 "path is missing: where the socket is to be" new "'name=agent,connection=socket'"
says 1 "path 'agent' does not begin with /" new "'name=agent,connection=socket,path=agent'"
says 1 "path is longer than the 107 bytes" new "'name=agent,connection=socket,path=/$(printf %0107d 0)'"
says 1 "path is a socket's" new "'name=agent,connection=pty,path=/run/agent'"
says 1 "name given twice" new "'name=agent,connection=pty,name=other'"
says 1 "name 'a b' is not 1 to 64 visible characters" new "'name=a b,connection=pty'"
says 1 "backend 'driver' is not supported: channels are served by dom0's xenconsoled" new "'name=agent,connection=pty,backend=driver'"
says 1 "unknown key 'conection'; did you mean 'connection'?" new "'name=agent,conection=pty'"
says 1 "'pty' is not of the form key=value" new "'name=agent,pty'"
says 1 "name agent is given twice" new "'name=agent,connection=pty','name=agent,connection=pty'"
says 1 "path /run/x is given twice" new "'name=x,connection=socket,path=/run/x','name=y,connection=socket,path=/run/x'"
says 1 "a guest has at most 9 channels" new "'','','','','','','','','',''"
says 1 "expected a list of strings: channel = [ '...' ]" xl create -q a.cfg "channel='name=agent'"
says 0 "channel = [ 'name=agent, connection=pty', 'name=b, connection=socket, path=/run/b' ]" \
	xl create -n a.cfg "channel=['name=agent,connection=pty,backend=0','name=b,connection=socket,path=/run/b']"

# --- where a socket cannot be ---

says 1 "$sockets/none/agent: No such file or directory" new "'name=agent,connection=socket,path=$sockets/none/agent'"
: >"$sockets/file"
says 1 "$sockets/file exists already" new "'name=agent,connection=socket,path=$sockets/file'"
says 1 "$XENSTORED_PATH exists already" new "'name=agent,connection=socket,path=$XENSTORED_PATH'"
leave "$sockets/others" 666
says 1 "$sockets/others exists already" new "'name=agent,connection=socket,path=$sockets/others'"
says 1 "'agent': pretended" new "'name=agent,connection=socket,path=$sockets/refused'"
check "nothing is left" clean
check "nor was anything removed" test -f "$sockets/file" -a -S "$sockets/others"

# --- a guest with two ---

leave "$sockets/agent" 600
check "create" new "'name=org.example.agent.1,connection=pty','name=b,connection=socket,path=$sockets/agent'"
check "the guest finds a channel by its name" is org.example.agent.1 front 1/name
check "its connection is dom0's to know" is pty back 1/connection
check "and its path" is "$sockets/agent" back 2/path
perms() { xenstore-ls -p "/local/domain/$(xl domid a)/device/console" | sed -n 's/^ *name = .*(\(.*\))$/\1/p' | head -n 1; }
check "the name is the guest's to read only" is "n0,r$(xl domid a)" perms
says 0 "Idx BE state evt-ch ring-ref connection" xl channel-list a
says 0 "1   0  1     -1     -1       pty        /dev/null" xl channel-list a
says 0 "2   0  1     -1     -1       socket     $sockets/agent" xl channel-list "$(xl domid a)"
# What the guest says of itself is numbers or nothing, and its tty is not believed.
id=$(xl domid a)
xenstore-write "/local/domain/$id/device/console/1/port" 17 "/local/domain/$id/device/console/1/ring-ref" 9 \
	"/local/domain/$id/device/console/1/state" 4 "/local/domain/$id/device/console/1/tty" "$root/text" \
	"/local/domain/$id/device/console/2/state" "$(printf 'x\033[6n')"
says 0 "1   0  4     17     9        pty        /dev/null" xl channel-list a
says 0 "2   0  -1    -1" xl channel-list a
xl channel-list --json a >json
check "as JSON" schema
says 0 '"event_channel": 17' cat json
says 0 '"name": "org.example.agent.1"' cat json
xl list -l a >json
check "list -l has them, as Xen's" /usr/bin/python3 -c 'import json, sys
wanted = [{"devid": 1, "name": "org.example.agent.1", "connection.pty": {}}, {"devid": 2, "name": "b", "connection.socket": {"path": sys.argv[1]}}]
sys.exit(json.load(open("json"))[0]["config"]["channels"] != wanted)' "$sockets/agent"
says 1 "cannot reach the console of domain $id at $sockets/agent: Connection refused" xl console -n 2 a
says 1 "domain $id has no console 3: xl channel-list shows its channels" xl console -n 3 a
says 1 "'x' is no console's number: 0 to 9" xl console -n x a
says 1 "'10' is no console's number: 0 to 9" xl console -n 10 a
check "a channel's pty is opened" xl console -n 1 a </dev/null
says 1 "agent is a channel of 'a'" xl create -q b.cfg "channel=['name=b,connection=socket,path=$sockets/../${sockets##*/}/agent']"
check "destroy" xl destroy a
check "nothing is left" clean
check "nor the socket of a xenconsoled that died" test ! -e "$sockets/agent"
says 2 "Usage" xl channel-list
says 1 "'a' is an invalid domain identifier" xl channel-list a
says 0 "List virtual channel devices for a domain" xl help channel-list

# --- nobody serves it; a next life beside the old one ---

sed s/\"a\"/\"mute-c\"/ a.cfg | grep -v 'disk\|vif' >mute.cfg
says 0 "warning: xenconsoled does not serve channel 'agent' of 'mute-c' yet" xl create -q -p mute.cfg "channel=['name=agent,connection=pty']"
says 1 "xenconsoled does not serve console 1" xl console -n 1 mute-c
xl destroy mute-c
grep -v 'disk\|vif' boot.cfg >aside.cfg
leave "$sockets/agent" 600
xl create -q aside.cfg 'on_reboot="rename-restart"' "channel=['name=b,connection=socket,path=$sockets/agent']" >output 2>&1
check "it reboots twice" wait_for xl domid boot-2
check "and runs" wait_for xl domid boot
left() { xenstore-list "/local/domain/0/backend/console/$(xl domid "$1")"; }
check "a life that was put aside has its channel no more" is 0 left boot-1
check "the next one has it" is "0 1" sh -c "echo \$(xenstore-list /local/domain/0/backend/console/$(xl domid boot))"
for n in boot boot-1 boot-2; do check "destroy $n" xl destroy $n; done
check "nothing is left" clean

end_of_cases
