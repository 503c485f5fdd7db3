#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# dom0's rc.shutdown and rc.guests, and what they start, with a pretended xl, and what starts xenconsoled. Usage: test_rc.sh <directory for what it writes>.
# Owns the proof that nobody is destroyed before his time because xl could not tell who runs, that guests start in order
# whatever is in auto, that files of settings are not run, and that the logs' limit is in one place.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
rm -rf "$1/rc"
mkdir -p "$1/rc/bin"
cd "$1/rc" || exit 1
dir=$PWD
sed -e "s,^PATH=.*,PATH=$dir/bin:\$PATH," -e "s,/run/role,$dir/role," -e "s,/etc/xen/scripts,$dir," \
	-e "s,^for conf in .*; do,for conf in $dir/guests.conf; do," -e "s,/etc/settings,$dir/settings," \
	-e "/^\\/etc\\/rc.unmount/d" \
	"$here/../../../dom0-tools/rootfs/etc/rc.shutdown" >rc.shutdown
sed -e "s,^PATH=.*,PATH=$dir/bin:\$PATH," -e "s,/run/xen,$dir,g" -e "s,^STEP=10,STEP=0," \
	"$here/../../../dom0-tools/rootfs/etc/xen/scripts/stop-guests" >stop-guests
chmod +x stop-guests
cp "$here/../../../dom0-tools/rootfs/etc/settings" settings
echo dom0 >role

# The guest runs until call $DOWN of xl list, or until it has been asked; and $TIMES of them from $FAILS on fail. $DIES of those
# who ask die (kill) or fail (1) before they have asked anybody.
cat >bin/xl <<'END'
#!/bin/sh
case $1 in
list)
	n=$(($(cat calls) + 1))
	echo $n >calls
	[ $n -lt "$FAILS" ] || [ $n -ge $((FAILS + TIMES)) ] || exit 1
	echo 'Name ID Mem VCPUs State Time'
	echo 'Domain-0 0 1 1 r----- 1'
	[ ! -e reader ] || echo 'g1.abcdef.boot 12 96 1 -b---- 1'
	[ ! -e template-13 ] || echo 'gold 13 128 1 --p--- 1'
	case $DOWN in
	never) ;;
	asked) [ ! -e asked ] || exit 0 ;;
	*) [ $n -lt "$DOWN" ] || exit 0 ;;
	esac
	echo 'g1 1 1 1 -b---- 1'
	;;
shutdown)
	n=$(($(cat asks) + 1))
	echo $n >asks
	[ $n -gt "$DIES" ] || { [ "$HOW" = 1 ] && exit 1; kill -9 $$; }
	: >asked
	;;
destroy) echo "destroyed $2" ;;
esac
END
printf '#!/bin/sh\nexec %s 0.05\n' "$(command -v sleep)" >bin/sleep
printf '#!/bin/sh\n[ ! -s reader ] || cat reader\n' >bin/xenstore-ls
chmod +x bin/*

failures=0
verdict() {
	if [ "$1" = 0 ]; then
		echo "ok - $2"
	else
		echo "not ok - $2"
		sed 's/^/# /' "$3"
		failures=1
	fi
}
# run NAME GRACE FAILS TIMES DOWN [DIES HOW]: until the guest is down it is waited for, and only one that is not is destroyed
run() {
	echo 0 >calls
	echo 0 >asks
	rm -f asked
	echo "SHUTDOWN_GRACE=$2" >guests.conf
	FAILS=$3 TIMES=$4 DOWN=$5 DIES=${6:-0} HOW=${7:-1} sh rc.shutdown >output 2>&1
	destroyed=$(grep -c '^destroyed g1$' output)
	if [ "$5" = never ]; then
		[ "$destroyed" = 1 ]
	elif [ "$5" = asked ]; then
		[ "$destroyed" = 0 ] && [ "$(cat asks)" -gt "$6" ]
	else
		[ "$destroyed" = 0 ] && [ "$(cat calls)" -ge "$5" ]
	fi
	if [ $? = 0 ]; then
		echo "ok - $1"
	else
		echo "not ok - $1"
		sed 's/^/# /' output
		failures=1
	fi
}

run "a guest that goes down is not destroyed" 60 99 0 6
run "nor is it when xl fails once" 60 3 1 9
run "nor when it fails for a while" 60 3 9 20
run "one that does not is destroyed when its time is over" 1 99 0 never
run "who asks is killed, and it is asked again" 60 99 0 asked 1 kill
run "who asks cannot, and it is asked again" 60 99 0 asked 3 1
# Who reads a guest's disk is no guest; a guest may be called as it likes.
echo '/tool/pavise/12/bootloader = "/images/.bootloader/g1.abcdef"' >reader
run "a boot loader's reader is not waited for" 60 99 0 6
verdict $((1 - $(grep -q 'abcdef' output; echo $?))) "and not destroyed" output
echo '/tool/pavise/1/bootloader-for = "12"' >reader
run "a guest that is called so is one" 10 99 0 6
verdict "$(grep -q '^destroyed g1.abcdef.boot' output; echo $?)" "and has the time that others have" output
rm reader
mkdir template-13
run "a template is not waited for" 60 99 0 6
verdict $((1 - $(grep -q 'gold' output; echo $?))) "and not destroyed" output
rmdir template-13

# --- xenconsoled's part of log_limit ---

sed -e "s,^PATH=.*,PATH=$dir/bin:\$PATH," -e "s,^conf=.*,conf=$dir/xl.conf," \
	"$here/../../../dom0-tools/rootfs/etc/xen/scripts/xenconsoled" >start-xenconsoled
printf '#!/bin/sh\necho "$*"\n' >bin/xenconsoled
chmod +x bin/xenconsoled
# part ARGUMENTS LINES: with these lines in xl.conf xenconsoled has these arguments
part() {
	printf "$2" >xl.conf
	sh start-xenconsoled >output 2>&1
	if [ "$(cat output)" = "$1" ]; then
		printf '%s\n' "ok - xl.conf '$2': xenconsoled $1"
	else
		printf '%s\n' "not ok - xl.conf '$2': xenconsoled $1"
		sed 's/^/# /' output
		failures=1
	fi
}
part "-F --log-total=32" 'log_limit = 48\n'
part "-F --log-total=5" '#log_limit = 9\nlog_limit=7 # MiB\n'
part "-F --log-total=1" 'log_limit = 900\n  log_limit = "1"\n'
part "-F --log-total=699051" "log_limit = '1048576'\n"
part "-F" 'log_limit = 1048577\n'
part "-F" '#log_limit = 7\n'
part "-F" 'log_limit = much\n'
part "-F" 'log_limit = 0\n'
part "-F" 'log_limit = 99999999999999999999\n'
rm xl.conf
part "-F" ''

# --- rc: which disk is /data -----------------------------------------------------------------------

# Two have the label; the first one that is found is a guest's.
cat >bin/findfs <<'END'
#!/bin/sh
case $1 in
LABEL=data) echo /dev/guest ;;
UUID=1234-ab) echo /dev/ours ;;
*) exit 1 ;;
esac
END
chmod +x bin/findfs
sed -n -e "s,/proc/cmdline,$dir/cmdline," -e '/^complain()/,/^}/p; /^disk_of()/,/^}/p' "$here/../../../dom0-tools/rootfs/etc/rc" >rc
echo 'echo "$(disk_of data)"' >>rc
for line in "pavise.x=1|/dev/guest" "a pavise.data=1234-ab b|/dev/ours" "pavise.data=none|" "x.pavise.data=1234-ab|/dev/guest" "pavise.data=99|"; do
	echo "${line%|*}" >cmdline
	PATH=$dir/bin:$PATH sh rc >output 2>said
	[ "$(cat output)" = "${line##*|}" ]
	verdict $? "the disk with '${line%|*}'" output
done
grep -q "there is no disk with pavise.data=99" said
verdict $? "one that is not there is named" said

# --- rc.guests: who starts, in which order ---------------------------------------------------------

cat >bin/xl <<'END'
#!/bin/sh
[ "$1" != init-dom0 ] || exit 0
# Who is to be told of a guest that does not start waits for its first second.
[ "$1 $2 $3" = "create -q -w" ] || exit 2
[ -n "$(cat "$4")" ] && echo "$4" >>created
case $4 in
*slow*) while [ ! -e free ]; do $SLEEP 0.05; done ;;
*last*) ls run >meanwhile; : >free ;;
esac
case $4 in *bad*) echo "a reason" >&2; exit 1 ;; esac
END
# Between two looks there is a pause; those between guests are noted.
SLEEP=$(PATH=${PATH#"$dir/bin:"} command -v sleep)
export SLEEP
cat >bin/sleep <<'END'
#!/bin/sh
[ "$1" != 0.1 ] || exec "$SLEEP" 0.1
echo "$1" >>pauses
END
printf '#!/bin/sh\n:\n' >bin/dmesg
chmod +x bin/*
rm -rf etc images data run log
mkdir -p etc images data run log
sed -e "s,^PATH=.*,PATH=$dir/bin:\$PATH," -e "s,/etc/settings,$dir/settings," -e "s,/run/,$dir/run/,g" -e "s,/var/log/xen/,$dir/log/,g" \
	-e "s,^AUTO=.*,AUTO='$dir/etc $dir/images $dir/data'," -e "s,places guests.conf,echo $dir/guests.conf,g" -e "s,/etc/xen/scripts,$dir,g" \
	-e 's/^	*ulimit .*//; s/^if wait_for_xenstored; then/if :; then/' "$here/../../../dom0-tools/rootfs/etc/rc.guests" >rc.guests
sed -e "s,^PATH=.*,PATH=$dir/bin:\$PATH," -e "s,/run/xen,$dir/run,g" -e 's/^PATIENCE=100/PATIENCE=10/' \
	"$here/../../../dom0-tools/rootfs/etc/xen/scripts/start-guests" >start-guests
chmod +x start-guests

for name in etc/demo etc/50-e images/20-b images/30-bad data/10-a data/50-e data/60-f; do
	echo "name = 1" >$name.cfg
done
: >data/demo.cfg
echo text >data/README
ln -s /nowhere data/70-dangling.cfg
printf 'START_DELAY=0.25\ntouch ran\n' >guests.conf
sh rc.guests >output 2>&1
printf '%s\n' data/10-a images/20-b images/30-bad data/50-e data/60-f | sed "s,.*,$dir/&.cfg," | cmp -s - created
verdict $? "in order of names, the last directory's, and past one that fails" created
[ "$(sort -u pauses | tr '\n' ' ')" = "0 0.25 " ]
verdict $? "with the pause between them that guests.conf says" pauses
grep -q "30-bad.cfg: does not start" log/auto.log && grep -q "a reason" log/auto.log && grep -q "60-f.cfg: started" log/auto.log &&
	grep -q "demo.cfg is empty" log/auto.log && grep -q "README: left out" log/auto.log && grep -q '^\*\*\* not started: 30-bad.cfg' output
verdict $? "with a log, and those that failed on the console" log/auto.log
grep -q 'guests.conf: no setting: touch ran' output && [ ! -e ran ]
verdict $? "a line of guests.conf that is no setting is named and not run" output
# What takes long goes on beside the others, which do not wait for it.
rm -f etc/* images/* data/* created log/auto.log
for name in 10-slow 20-b 30-slow 40-slow-bad 50-last; do
	echo "name = 1" >data/$name.cfg
done
sh rc.guests >output 2>&1
printf '%s\n' 10-slow 20-b 30-slow 40-slow-bad 50-last | sed "s,.*,$dir/data/&.cfg," | cmp -s - created &&
	[ "$(grep -c ': started' log/auto.log)" = 4 ] && grep -q '^\*\*\* not started: 40-slow-bad.cfg' output &&
	[ "$(grep -c 'auto.*cfg' meanwhile)" = 4 ] && ! ls run | grep -q 'auto\.'
verdict $? "one that takes long does not hold up the next, and all are waited for" log/auto.log
# Not more than four, of which one gives up its place.
rm -f free created data/*
for n in 1 2 3 4 5 6; do
	echo "name = 1" >data/$n-slow.cfg
done
sh rc.guests >output 2>&1 &
guests=$!
tries=0
until [ "$(grep -c slow created 2>/dev/null)" = 4 ] || [ $tries = 300 ]; do
	tries=$((tries + 1))
	"$SLEEP" 0.1
done
"$SLEEP" 3
[ "$(grep -c slow created)" = 4 ]
verdict $? "but not more than four at a time" created
: >free
wait $guests
[ "$(grep -c slow created)" = 6 ]
verdict $? "and all have begun in the end" created
printf 'START_DELAY=soon\n' >guests.conf
sh rc.guests >output 2>&1
grep -q "START_DELAY='soon' in guests.conf is no number" output && grep -qx 1 pauses
verdict $? "a pause that is no number" output

cat >settings.test <<'END'
. ./settings
settings hostile A B C
echo "A=$A B=$B C=$C"
END
printf 'A=1\n  B="two words" # why\nC='"'x'"'\r\nA B=3\n$(touch ran)=1\nA=`touch ran`\n\033[6n\0\n' >hostile
sh settings.test >output 2>&1
grep -qxF 'A=`touch B=two words C=x' output && [ ! -e ran ] && ! grep -q "$(printf '\033')" output
verdict $? "settings are text" output
head -c 40000 /dev/zero | tr '\0' '\n' | sed 's/^/x/' >hostile
sh settings.test >output 2>&1
[ "$(wc -l <output)" -lt 10 ] && grep -q "the rest of it is not read" output
verdict $? "a file of nonsense costs a few lines" output

# --- rc.settings and rc.ssh: root's password, the host's key ---------------------------------------

mkdir -p kept/etc own
echo "dev $dir/kept ext4 rw 0 0" >mounts
: >cmdline
at="s,^PATH=.*,PATH=$dir/bin:\$PATH,; s,/data,$dir/kept,g; s,/proc/mounts,$dir/mounts,g; s,/proc/cmdline,$dir/cmdline,g; s,/root,$dir/own/root,g"
sed "$at" "$here/../../../dom0-tools/rootfs/etc/settings" >settings
sed -e "$at" -e "s,/etc/settings,$dir/settings,; s,\([^t]\)/etc/shadow,\1$dir/own/shadow,g; s,/etc/hosts,$dir/own/hosts," -e '/^xl_conf$/d' \
	"$here/../../../dom0-tools/rootfs/etc/rc.settings" >rc.settings
sh rc.settings >output 2>&1
grep -q '^root::' own/shadow && [ own/shadow -ef kept/etc/shadow ] && [ "$(stat -c %a kept/etc/shadow)" = 600 ] && [ "$(ls kept/etc)" = shadow ]
verdict $? "without a password there is an empty one, kept" output
echo 'root:$5$x$y:1:0:99999:7:::' >kept/etc/shadow
: >kept/etc/shadow+
sh rc.settings >output 2>&1
grep -qF 'root:$5$x$y:' own/shadow && [ "$(ls kept/etc)" = shadow ]
verdict $? "a password stays, and what an interrupted passwd has left goes" output
: >kept/etc/shadow
sh rc.settings >output 2>&1
! grep -q '^root::' own/shadow && grep -q 'has no line for root: nobody can log in' output
verdict $? "a file that has lost it opens no door" output

cat >bin/dropbearkey <<'END'
#!/bin/sh
case $1 in
-y) grep -q good "$3" ;;
-t) echo good >"$4" ;;
esac
END
printf '#!/bin/sh\n:\n' >bin/logger
printf '#!/bin/sh\n[ -e may-write ] || exit 1\nexec %s "$@"\n' "$(PATH=${PATH#"$dir/bin:"} command -v mv)" >bin/mv
printf '#!/bin/sh\n[ -e may-write ] || exit 1\nexec %s "$@"\n' "$(PATH=${PATH#"$dir/bin:"} command -v rm)" >bin/rm
chmod +x bin/*
sed -e "$at" -e "s,/etc/settings,$dir/settings,; s,/etc/dropbear,$dir/own/dropbear,g" -e '/^case/,$d' "$here/../../../dom0-tools/rootfs/etc/rc.ssh" >rc.ssh
printf 'host_key\necho "key=$key"\n' >>rc.ssh
: >may-write
sh rc.ssh >output 2>&1
grep -qxF "key=$dir/kept/etc/dropbear_ed25519_host_key" output && grep -qx good kept/etc/dropbear_ed25519_host_key
verdict $? "the host's key is on the kept disk" output
echo noise >kept/etc/dropbear_ed25519_host_key
PATH=$dir/bin:$PATH "$dir/bin/rm" may-write
sh rc.ssh >output 2>&1
grep -qxF "key=$dir/own/dropbear/dropbear_ed25519_host_key" output && grep -qx good own/dropbear/dropbear_ed25519_host_key
verdict $? "a damaged one that cannot be put aside is not served" output
: >may-write
sh rc.ssh >output 2>&1
grep -qxF "key=$dir/kept/etc/dropbear_ed25519_host_key" output && grep -qx good kept/etc/dropbear_ed25519_host_key && grep -qx noise kept/etc/*.bad
verdict $? "one that can is put aside" output
exit $failures
