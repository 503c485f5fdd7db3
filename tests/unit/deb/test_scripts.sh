#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The packages' own scripts with a pretended host. Usage: test_scripts.sh <directory for what it writes>.
# Owns the proof that an upgrade never fails for xenstored's sake, that tools are not removed where guests run or may run, that a
# hypervisor that boots is kept, and what systemd is asked for a guest's supervisor.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
packaging=$here/../../../packaging
rm -rf "$1/scripts"
mkdir -p "$1/scripts/bin" "$1/scripts/run"
cd "$1/scripts" || exit 1
dir=$PWD
failures=0
# verdict STATUS WHAT: with what was said
verdict() {
	if [ "$1" = 0 ]; then
		echo "ok - $2"
	else
		echo "not ok - $2"
		sed 's/^/# /' output
		failures=1
	fi
}
# script FILE: in this directory's world
script() {
	sed -e "s,/run/xenstored,$dir/run,g; s,/run/systemd/system,$dir/run,g; s,/dev/xen,$dir/run,g; s,/boot/,$dir/boot/,g; s,/proc/stat,$dir/stat,g" "$1" >script
}
PATH=$dir/bin:$PATH
cat >bin/xenstore-control <<'END'
#!/bin/sh
echo "$*" >>asked
[ ! -e refuses ] || { echo "there is a record that it does not know"; exit 1; }
END
cat >bin/xl <<'END'
#!/bin/sh
[ ! -e broken ] || { echo "xl: xenstored does not answer" >&2; exit 1; }
echo "Name ID Mem VCPUs State Time(s)"
echo "Domain-0 0 512 2 r----- 4.1"
[ ! -e guest ] || echo "web 3 128 1 -b---- 1.0"
END
cat >bin/busctl <<'END'
#!/bin/sh
printf '%s\n' "$@" >asked
exit "$(cat fails 2>/dev/null || echo 0)"
END
chmod +x bin/*

# --- postinst --------------------------------------------------------------------------------------

script "$packaging/debian/pavise-tools.postinst"
sh script configure 1.0 >output 2>&1
[ $? = 0 ] && [ ! -e asked ]
verdict $? "where no xenstored serves nothing is replaced"
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("run/socket")'
sh script configure >output 2>&1
[ $? = 0 ] && [ ! -e asked ]
verdict $? "nor at the first installation"
sh script configure 1.0 >output 2>&1
[ $? = 0 ] && grep -qx 'live-update /usr/sbin/xenstored' asked && [ ! -s output ]
verdict $? "an upgrade replaces the running xenstored"
: >refuses
sh script configure 1.0 >output 2>&1
[ $? = 0 ] && grep -q 'goes on with the old program: there is a record' output
verdict $? "one that refuses does not fail the upgrade, and is told"

# --- prerm -----------------------------------------------------------------------------------------

script "$packaging/debian/pavise-tools.prerm"
sh script remove >output 2>&1
verdict $? "not in dom0: remove"
: >run/xenbus_backend
sh script remove >output 2>&1
verdict $? "without guests: remove"
: >guest
sh script remove >output 2>&1
[ $? = 1 ] && grep -q 'there are guests: web (xl shutdown -a -w' output
verdict $? "with a guest it is refused, and the guest named"
sh script upgrade 2.0 >output 2>&1
verdict $? "with a guest: upgrade"
: >broken
sh script remove >output 2>&1
[ $? = 1 ] && grep -q 'xenstored does not answer' output && grep -q 'guests may run: not removed' output
verdict $? "where xl cannot tell it is refused, with what xl says"
sh script upgrade 2.0 >output 2>&1
verdict $? "where xl cannot tell: upgrade"
rm run/xenbus_backend
sh script remove >output 2>&1
verdict $? "an xl that cannot tell holds nobody up without Pavise"
: >run/xenbus_backend

# --- the hypervisor ------------------------------------------------------------------------------

mkdir boot
script "$packaging/debian/pavise-hypervisor.preinst"
upgrade() { # NEXT: the new one's bytes
	sh script upgrade 1.0 >output 2>&1 && echo "$1" >boot/pavise.bin
}
echo "btime $(($(date +%s) + 100))" >stat
echo one >boot/pavise.bin
upgrade two && [ "$(cat boot/pavise.bin.old)" = one ]
verdict $? "the hypervisor that the host has booted with is kept"
echo "btime $(($(date +%s) - 100))" >stat
upgrade three && [ "$(cat boot/pavise.bin.old)" = one ]
verdict $? "one that was never booted takes not its place"
echo "btime $(($(date +%s) + 100))" >stat
upgrade four && [ "$(cat boot/pavise.bin.old)" = three ]
verdict $? "nor longer than until the next boot"
printf '#!/bin/sh\n[ $# = 0 ] || echo half >boot/pavise.bin.old.new\nexit 1\n' >bin/cp
chmod +x bin/cp
! upgrade five && [ "$(cat boot/pavise.bin.old)" = three ] && [ "$(ls boot | wc -l)" = 2 ]
verdict $? "a /boot that is full costs neither"
rm bin/cp

# --- supervisor-scope ------------------------------------------------------------------------------

rm -f asked
script "$packaging/libexec/supervisor-scope"
sh script 4711 'web.1 $(touch ran)/é' >output 2>&1
[ $? = 0 ] && grep -qx 'xen-guest-web.1___touch_ran____-4711.scope\|xen-guest-web.1___touch_ran_____-4711.scope' asked && [ ! -e ran ]
verdict $? "a unit's name whatever the guest's is"
grep -qx 4711 asked && grep -qx machine.slice asked && grep -qx xendomains.service asked
verdict $? "with the process, in machine.slice, there until xendomains has stopped"
sh script 1 "$(head -c 1000 /dev/zero | tr '\0' x)" >output 2>&1
[ "$(grep -c '^xen-guest-x*-1.scope$' asked)" = 1 ] && [ "$(grep '^xen-guest' asked | wc -c)" -lt 200 ]
verdict $? "a long name is cut"
echo 1 >fails
! sh script 1 web >output 2>&1
verdict $? "a manager that refuses is an error"
rm -rf run asked fails
sh script 1 web >output 2>&1 && [ ! -e asked ]
verdict $? "without systemd there is nothing to do"
sh script 1 >output 2>&1
[ $? = 2 ]
verdict $? "wrong usage"
exit $failures
