#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# xl oci run, as far as dom0 goes: what it hands to the guest, which is pretended and says what it likes, and what it makes of that.
# Usage: test_xl_oci.sh <directory where the tests were built>.
# Owns the proof that nothing is left of the guest, whatever it says or whatever step fails.
export BOOT_HOOK="$1/root/hook"
. "$(dirname -- "$0")/xl_lib.sh"

cat >xl.conf <<-END
	oci_kernel = "$root/Image"
	oci_ramdisk = "$root/text"
END
cp disk.img image.tar
# The guest: says what is in "answer", and shows what it was told
cat >hook <<-END
	cd $root
	id=\$(xenstore-list /local/domain | sort -n | tail -1)
	xenstore-ls /local/domain/\$id/oci >told
	xenstore-ls -p /local/domain/\$id | grep -E '^oci' >rights
	"$out/fake-xl" list -l \$id >listed 2>&1
	[ ! -e answer ] || xenstore-write /local/domain/\$id/data/oci "\$(cat answer)"
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
check "skopeo's name" run oci-archive:image.tar
told 'hostname = "t.boot"'
check "no network" sh -c '! grep -q network told'
cp image.tar with:colon
check "a file with a colon" run with:colon
check "it is no image's name" sh -c '! grep -q ref told'
check "nothing is left" clean

# --- the end that others want ---

echo 3 >status
"$out/fake-xl" oci run --name t.boot image.tar >said 2>&1 &
pid=$!
printf 'exit 4' >answer
wait_for xenstore-exists "/local/domain/$(wait_for "$out/fake-xl" domid t.boot && xl domid t.boot)/data/oci"
kill -TERM $pid
wait $pid
got=$?
cp said output
if [ $got = 4 ]; then ok "SIGTERM asks the program to end, whose status is what counts"; else bad "SIGTERM: $got"; fi
check "nothing is left" clean
rm status

# --- mistakes ---

says 125 "there is no 'start', only run" xl oci start
says 125 "Usage: xl" xl oci
says 0 "Exit status: the program's" xl help oci
says 0 "Usage: xl" xl oci run --help
says 125 "which image?" xl oci run
says 125 "nothing.tar: No such file" xl oci run nothing.tar
says 125 "is a directory; an archive of it" xl oci run "$root"
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
says 125 "unrecognized option" xl oci run --volume /a:/b image.tar
xl create -q a.cfg
says 125 "a domain called 'a' exists already" xl oci run --name a image.tar
xl destroy a
check "nothing is left" clean

end_of_cases
