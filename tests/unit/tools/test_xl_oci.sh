#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# xl oci run, as far as dom0 goes: what it hands to the guest, which is pretended and says what it likes, and what it makes of that.
# Usage: test_xl_oci.sh <directory where the tests were built>.
# Owns the proof that nothing is left of the guest, whatever it says or whatever step fails.
export BOOT_HOOK="$1/root/hook" FAKE_CONSOLE=console
. "$(dirname -- "$0")/xl_lib.sh"

cat >xl.conf <<-END
	oci_kernel = "$root/Image"
	oci_ramdisk = "$root/text"
	oci_dir = "$root/packed"
END
cp disk.img image.tar
# The guest: says what is in "answer", and shows what it was told. Once "told" is there it has written all that it will: what it wrote
# later would be left of it, for it writes as dom0.
cat >hook <<-END
	cd $root
	id=\$(xenstore-list /local/domain | sort -n | tail -1)
	xenstore-ls -p /local/domain/\$id | grep -E '^oci' >rights
	"$out/fake-xl" list -l \$id >listed 2>&1
	[ ! -e answer ] || xenstore-write /local/domain/\$id/data/oci "\$(cat answer)"
	xenstore-ls /local/domain/\$id/oci >told.new && mv told.new told
	exit \$(cat status 2>/dev/null || echo 0)
END
run() { xl oci run --name t.boot "$@"; }
answers() {
	answer=$1 wanted=$2 text=$3
	printf '%s' "$answer" >answer
	says "$wanted" "$text" run image.tar
	check "nothing is left" clean
}
told() { check "the guest is told $1" grep -qxF -- "$1" told; }

# --- what the program's end becomes ---

answers "exit 0" 0 ""
answers "exit 7" 7 ""
answers "exit 255" 255 ""
answers "signal 15" 143 ""
answers "error 127 /bin/x: No such file" 127 "image.tar: /bin/x: No such file"
answers "error 125 a layer is damaged" 125 "image.tar: a layer is damaged"
# None of these is one, and a guest's bytes do not reach the terminal.
for answer in "" "exit" "exit " "exit 256" "exit -1" "exit 7 " "exit  7" "signal 0" "signal 128" "error 7 x" "error 125" "exit 99999999999999999999"; do
	answers "$answer" 125 "its guest ended without saying how its program ended"
done
printf 'error 126 \033[2J\nxl: all is well' >answer
says 126 "image.tar: ^[[2J xl: all is well" run image.tar
rm answer
says 125 "without saying how its program ended" run image.tar
echo 1 >status
printf 'exit 0' >answer
says 125 "its guest ended (crash)" run image.tar
check "nothing is left" clean
rm status

# --- what the guest is told ---

check "options" env FROM_HERE=x "$out/fake-xl" oci run --rm --name=t.boot -m 20m --vcpus=2 -e A=b -e FROM_HERE -e NOT_THERE_AT_ALL -u 5:6 -w /w --read-only \
	--stop-timeout=3 --hostname h --entrypoint /e image.tar:tag -x "two words" ""
for line in 'ref = "tag"' 'entrypoint = "/e"' 'user = "5:6"' 'workdir = "/w"' 'hostname = "h"' 'read-only = "1"' 'stop-timeout = "3"'; do
	told "$line"
done
told ' 0 = "A=b"'
told ' 1 = "FROM_HERE=x"'
told ' 0 = "-x"'
told ' 1 = "two words"'
told ' 2 = ""'
check "a variable that is not set is left out" sh -c '! grep -q NOT_THERE told'
check "the guest may read its orders, and not change them" grep -qE '^oci = .*\(n0,r[0-9]+\)' rights
check "memory" grep -qE '"target_memkb": 20480' listed
check "an interface" run --network bridge image.tar
told 'network = "dhcp"'
# reads NAME EXPRESSION: the guest's first disk is what the expression says, and not for writing (xenstore-ls cuts long lines)
reads() {
	at=/local/domain/0/backend/vbd/$(xl domid "$1")/51712
	xenstore-read "$at/params" | grep -qxE "$2" && [ "$(xenstore-read "$at/mode")" = r ]
}
of_bridge() { xenstore-ls /local/domain/0/backend/vif | grep -qF "bridge = \"$1\""; }
mkdir -p net/bridge-b/bridge
echo 1500 >net/bridge-b/mtu
echo 3 >status
printf running >answer
for how in bridge-b bridge:bridge-b; do
	check "a bridge whose name begins so" run -d --network $how image.tar
	check "is that bridge" of_bridge bridge-b
	xl destroy t.boot
done
rm -r net/bridge-b status
printf 'exit 0' >answer
check "nothing is left" clean
check "skopeo's name" run oci-archive:image.tar
told 'hostname = "t.boot"'
check "no input" sh -c '! grep -q input told'
check "input" run -i image.tar </dev/null
told 'input = "pipe"'
check "a terminal of no known size" env TERM=vt52 "$out/fake-xl" oci run --name t.boot -it image.tar </dev/null
told 'input = "tty"'
told ' 0 = "TERM=vt52"'
check "or of another kind" run -t -e TERM=dumb image.tar </dev/null
told ' 0 = "TERM=dumb"'
check "alone" sh -c '! grep -q " 1 = \"TERM" told'
says 125 "exclude each other" run -d -i image.tar
check "a configuration's terminal" xl create -q name=t.boot oci=image.tar oci_tty=1
told 'input = "tty"'
check "its end" wait_for gone t.boot
check "disks" run -v "$root/a.img:/data" --root-disk b.img -v quick.img:/a:b:ro image.tar
told 'root = "xvdb"'
told ' 0 = "xvdc:/data"'
told ' 1 = "xvdd:/a:b:ro"'
check "as many words as there may be" run image.tar $(seq 512)
told ' 511 = "512"'
too_many() { run image.tar $(seq 513); }
says 125 "more than 512 arguments" too_many
says 0 "oci = \"$root/image.tar:tag\"" xl create -n name=t.boot oci=image.tar:tag
check "no network" sh -c '! grep -q network told'
cp image.tar with:colon
check "a file with a colon" run with:colon
check "it is no image's name" sh -c '! grep -q ref told'
check "nothing is left" clean

# --- the end that others want ---

# ends_by SIGNAL WHAT: the xl oci run that $pid is ends with its program's status
ends_by() {
	kill "-$1" $pid
	wait $pid
	got=$?
	cp said output
	if [ $got = 4 ]; then ok "SIG$1 $2"; else bad "SIG$1: $got"; fi
}
echo 3 >status
"$out/fake-xl" oci run --name t.boot image.tar >said 2>&1 &
pid=$!
printf 'exit 4' >answer
wait_for xenstore-exists "/local/domain/$(wait_for "$out/fake-xl" domid t.boot && xl domid t.boot)/data/oci"
ends_by TERM "asks the program to end, whose status is what counts"
check "nothing is left" clean
rm status

# --- nobody reads what it prints ---

lives() { wait_for "$out/fake-xl" domid "$1" && wait_for sh -c "'$out/fake-xl' list $1 | grep -q -- -b----"; }
prints() {
	rm -f console out
	/usr/bin/python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX)
s.bind("console")
s.listen()
c = s.accept()[0]
try:
    c.sendall(b"x" * 1000000)
    time.sleep(60)
except OSError:
    pass
' &
	printer=$!
	pids="$pids $printer"
	wait_for test -S console
	mkfifo out
	exec 3<>out
	rm -f told
	"$out/fake-xl" oci run --name t.boot image.tar >out 2>said &
	pid=$!
	wait_for test -e told && lives t.boot && sleep 1
}
echo 3 >status
printf 'exit 4' >answer
check "it prints" prints
kill -TERM $pid
check "SIGTERM asks the program to end" wait_for gone t.boot
kill $printer
cat <&3 >/dev/null &
reader=$!
pids="$pids $reader"
wait $pid
got=$?
cp said output
if [ $got = 4 ]; then ok "its status, once somebody reads"; else bad "status $got"; fi
kill $reader
check "it prints" prints
kill -TERM $pid
sleep 0.5
kill -TERM $pid
wait $pid
got=$?
kill $printer
exec 3<&-
rm -f console out status
check "a second one is the end" [ $got = 125 -o $got = 4 ]
check "nothing is left" wait_for clean

# --- whoever looks after it is killed ---

supervised() { xl list --json "$1" | grep -qF '"supervisor": "alive"'; }
kill_supervisor() { kill -9 "$(xenstore-read "/tool/pavise/$("$out/fake-xl" domid "$1")/supervisor" | cut -d' ' -f1)"; }
begin() {
	rm -f told
	"$out/fake-xl" oci run --name t.boot image.tar >said 2>&1 &
	pid=$!
	wait_for test -e told && lives t.boot
}

echo 3 >status
printf 'exit 4' >answer
check "it lives" begin
ends_by HUP "asks as well"
check "nothing is left" clean
check "it lives" begin
kill -9 $pid
wait $pid 2>/dev/null
check "xl oci run is killed: the guest has its supervisor" supervised t.boot
check "which acts on its end" xl shutdown t.boot
check "so that nothing is left" wait_for clean
check "how it ended is known" sh -c "'$out/fake-xl' events --json -n 5 | grep -F '\"program\": \"exit status 4\"' >event"
check "as docs/schema says" /usr/bin/python3 "$here/check_json.py" event <event
check "also in the log" grep -qF "its program's end: exit status 4" log/xl-t.boot.log
check "it lives" begin
kill_supervisor t.boot
check "the supervisor is killed: another one" wait_for "$out/fake-xl" minder t.boot
check "is alive" wait_for supervised t.boot
check "shutdown" xl shutdown t.boot
wait $pid
got=$?
cp said output
if [ $got = 125 ] && grep -qF "xl events may have how" said; then ok "xl oci run says what it does not know"; else bad "status $got"; fi
check "nothing is left" wait_for clean
check "it lives" begin
xl destroy t.boot
wait $pid
got=$?
cp said output
if [ $got = 125 ] && grep -qF "it was destroyed" said; then ok "xl destroy ends xl oci run"; else bad "status $got"; fi
check "nothing is left" clean

# --- detached ---

says 0 "t.boot" run -d image.tar
check "it lives" lives t.boot
check "it has a supervisor" supervised t.boot
says 125 "a domain called 't.boot' exists already" run -d image.tar
check "shutdown" xl shutdown t.boot
check "nothing is left" wait_for clean

# --- as a configuration ---

cat >o.cfg <<-END
	name = "o.boot"
	oci = "image.tar:tag"
	oci_args = [ "-x", 'two "words"' ]
	oci_env = [ "A=b\\nc" ]
	oci_entrypoint = ""
	oci_user = "5:6"
	oci_workdir = "/w"
	oci_read_only = 1
	oci_stop_timeout = 3
	vif = [ "mac=00:16:3e:00:00:01" ]
	disk = [ "format=raw, vdev=xvdb, access=rw, target=$root/a.img" ]
	on_poweroff = "restart"
	extra = "quiet"
END
rm -f told
check "xl create" xl create -q -f o.cfg
check "it lives" lives o.boot
check "it has been told" wait_for [ -e told ]
for line in 'ref = "tag"' 'entrypoint = ""' 'user = "5:6"' 'workdir = "/w"' 'hostname = "o.boot"' 'read-only = "1"' 'stop-timeout = "3"' 'network = "dhcp"' ' 0 = "A=b\nc"' \
	' 0 = "-x"' ' 1 = "two "words""'; do
	told "$line"
done
check "the image is a disk that it can only read" reads o.boot "$root/image.tar"
check "its memory" sh -c "'$out/fake-xl' list -l o.boot | grep -qF '\"target_memkb\": 262144'"
# Its next lives are what the first was, also for another supervisor in another directory.
mv told first
id=$(xl domid o.boot)
check "reboot" xl reboot o.boot
check "another life" wait_for sh -c "[ \"\$('$out/fake-xl' domid o.boot)\" != $id ]"
check "is told" wait_for test -s told
check "the same" cmp first told
kill_supervisor o.boot
check "another supervisor" wait_for "$out/fake-xl" minder o.boot
rm told
id=$(xl domid o.boot)
check "reboot" xl reboot o.boot
check "another life" wait_for sh -c "[ \"\$('$out/fake-xl' domid o.boot)\" != $id ]"
check "is told" wait_for test -s told
check "the same" cmp first told
xl config-update o.boot o.cfg 'oci_args=["new"]' >output 2>&1
rm told
id=$(xl domid o.boot)
check "shutdown" xl shutdown o.boot
check "it is restarted as on_poweroff says" wait_for sh -c "[ \"\$('$out/fake-xl' domid o.boot)\" != $id ]"
check "is told" wait_for test -s told
told ' 0 = "new"'
check "destroy" xl destroy o.boot
check "nothing is left" wait_for clean

# A layout that is a directory: packed for each life, and nothing of it is left in the way
mkdir -p layout/blobs/sha256
for name in oci-layout index.json blobs/sha256/abc; do echo "$name" >"layout/$name"; done
echo no >layout/other
mkdir packed
echo old >packed/of-somebody-killed.packed-abc123
echo theirs >packed/others.img
rm told
check "xl create" xl create -q name=d.boot oci=layout:tag on_poweroff=restart
check "it lives" lives d.boot
check "it has been told" wait_for [ -e told ]
told 'ref = "tag"'
check "the image is a disk that it can only read" reads d.boot "$root/packed/d.boot.packed-[A-Za-z0-9]{6}"
check "of which nothing is left, and others' files are" [ "$(ls packed)" = others.img ]
rm packed/others.img
id=$(xl domid d.boot)
check "reboot" xl reboot d.boot
check "another life" wait_for sh -c "[ \"\$('$out/fake-xl' domid d.boot)\" != $id ]"
check "of which nothing is left" wait_for sh -c '[ -z "$(ls packed)" ]'
check "destroy" xl destroy d.boot
check "skopeo's name of it" run -d oci:layout
xl destroy t.boot
mv layout/blobs away
says 125 "cannot be packed into $root/packed/t.boot." run layout
check "nothing is left" clean
check "nor of the archive" [ -z "$(ls packed)" ]
mv away layout/blobs
# A hole of any size
if mount -t tmpfs -o size=20m none packed 2>/dev/null; then
	truncate -s 1T layout/blobs/sha256/hole
	says 125 "no room: the last 16 MiB of its disk are for others" run layout
	check "nor of the archive" [ -z "$(ls packed)" ]
	rm layout/blobs/sha256/hole
	umount packed
else
	echo "# no permission to mount: the archive's bound is not tried"
fi
# The host goes down while its next life's archive is made
check "xl create" xl create -q name=d.boot oci=layout on_reboot=restart
check "it lives" lives d.boot
truncate -s 4G layout/blobs/sha256/hole
xl reboot d.boot
check "it is packed again" wait_for sh -c '[ -n "$(ls packed)" ]'
: >run/no-restart
check "its next life is not awaited" wait_for sh -c '[ -z "$(ls packed)" ]'
check "nothing is left" wait_for clean
check "the log says why" grep -q "cannot be packed into .*: the host is going down" log/xl-d.boot.log
rm run/no-restart layout/blobs/sha256/hole
rm -r packed
touch packed
says 125 "(oci_dir in" run layout
rm packed

# A network without DHCP
network() {
	rm -f told
	check "--ip $1" run -d --ip "$1" image.tar
	wait_for test -s told
	told "network = \"$2\""
	xl destroy t.boot
}
network 10.0.0.5/24 "10.0.0.5/24 -"
network 10.0.0.5/8,gateway=10.0.0.1 "10.0.0.5/8 10.0.0.1"
network "10.0.0.5/31 dns=1.1.1.1 gateway=10.0.0.1, dns=8.8.8.8" "10.0.0.5/31 10.0.0.1 1.1.1.1 8.8.8.8"
rm status

wrong() {
	text=$1
	shift
	says 1 "$text" xl create -q name=w.boot "$@"
}
wrong "oci_user: there is no image: oci is missing" oci_user=1
wrong "oci: $root/none.tar:x: No such file" oci=none.tar:x
wrong "expected an image's archive" oci=
wrong "ramdisk: a guest that is an image (oci) has its own" oci=image.tar ramdisk=text
wrong "bootloader: a guest that is an image (oci) has its own" oci=image.tar bootloader=pygrub
wrong "cmdline: a guest that is an image (oci) has its own" oci=image.tar cmdline=x
wrong "vdev xvda is the image's (oci)" oci=image.tar "disk=['$root/b.img,raw,xvda,rw']"
wrong "oci_args: expected a list of strings" oci=image.tar oci_args=x
wrong "oci_root: there is no disk xvdb" oci=image.tar oci_root=xvdb
wrong "oci_root: disk xvda is read-only" oci=image.tar oci_root=xvda
wrong "oci_volumes: 'xvdb' is not like xvdc:/data" oci=image.tar "oci_volumes=['xvdb']"
wrong "oci_volumes: 'xvdb:data' is not like xvdc:/data" oci=image.tar "oci_volumes=['xvdb:data']"
wrong "oci_volumes: there is no such disk in 'xvdb:/data'" oci=image.tar "oci_volumes=['xvdb:/data']"
wrong "oci_volumes: there is no such disk in 'xvda:/data:ro'" oci=image.tar "oci_volumes=['xvda:/data:ro']"
wrong "oci_volumes: disk xvdb is read-only: 'xvdb:/data:ro'" oci=image.tar "disk=['$root/b.img,raw,xvdb,ro']" "oci_volumes=['xvdb:/data']"
wrong "oci_user: expected a string, found a list" oci=image.tar "oci_user=['x']"
wrong "oci_env: 'A' is no NAME=VALUE" oci=image.tar "oci_env=['A']"
wrong "oci_env: '=A' is no NAME=VALUE" oci=image.tar "oci_env=['=A']"
wrong "oci_read_only: expected a number from 0 to 1" oci=image.tar oci_read_only=2
wrong "oci_stop_timeout: expected a number from 0 to 86400" oci=image.tar oci_stop_timeout=-1
wrong "oci_network: the guest has no interface (vif)" oci=image.tar oci_network=dhcp
for text in 10.0.0.5 10.0.0.5/33 10.0.0.5/ 10.0.0/8 gateway=10.0.0.1 10.0.0.5/8,gateway=x 10.0.0.5/8,10.0.0.6/8 10.0.0.5/8,gateway=1.1.1.1/8; do
	wrong "oci_network: '$text' is neither dhcp nor like" oci=image.tar "vif=['']" oci_network=$text
done
says 1 "did you mean 'oci_args'?" xl create -q name=w.boot oci=image.tar "oci_arg=['x']"

# --- mistakes ---

says 125 "there is no 'start', only run" xl oci start
says 125 "Usage: xl" xl oci
says 0 "Exit status: the program's" xl help oci
says 0 "Usage: xl" xl oci run --help
says 125 "which image?" xl oci run
says 125 "nothing.tar: No such file" xl oci run nothing.tar
says 125 "is a directory without an OCI layout" xl oci run "$root/run"
says 125 "no tar archive: its length" xl oci run text
says 125 "--memory 1x: no size" xl oci run -m 1x image.tar
says 125 "--memory 0: no size" xl oci run -m 0 image.tar
says 125 "--memory 99999999999999g: no size" xl oci run -m 99999999999999g image.tar
says 125 "--vcpus 0: no number" xl oci run --vcpus 0 image.tar
says 125 "--stop-timeout x: no number" xl oci run --stop-timeout x image.tar
says 125 "--env =x: no NAME=VALUE" xl oci run -e =x image.tar
says 125 "--name a/b:" xl oci run --name a/b image.tar
says 125 "variable 1 is longer than 2047 bytes" xl oci run -e "A=$(head -c 3000 /dev/zero | tr '\0' x)" image.tar
says 125 "not enough free memory" run -m 100g image.tar
says 125 "unrecognized option" xl oci run --privileged image.tar
says 125 "--volume /a: not like FILE:/PATH" xl oci run -v /a image.tar
says 125 "/nothing: No such file" xl oci run -v /nothing:/a image.tar
says 125 "with --network none there is no interface" xl oci run --network none --ip 10.0.0.5/24 image.tar
xl create -q a.cfg
says 125 "a domain called 'a' exists already" xl oci run --name a image.tar
xl destroy a
check "nothing is left" clean

end_of_cases
