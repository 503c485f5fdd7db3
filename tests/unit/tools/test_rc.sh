#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# dom0's rc.shutdown and rc.guests with a pretended xl. Usage: test_rc.sh <directory for what it writes>.
# Owns the proof that nobody is destroyed before his time because xl could not tell who runs, that guests start in order
# whatever is in auto, and that files of settings are not run.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
rm -rf "$1/rc"
mkdir -p "$1/rc/bin"
cd "$1/rc" || exit 1
dir=$PWD
sed -e "s,^PATH=.*,PATH=$dir/bin:\$PATH," -e "s,/run/role,$dir/role," -e "s,/run/xen/no-restart,$dir/no-restart," \
	-e "s,^for conf in .*; do,for conf in $dir/guests.conf; do," -e "s,/etc/settings,$dir/settings," -e "/^\\/etc\\/rc.unmount/d" \
	"$here/../../../dom0-tools/rootfs/etc/rc.shutdown" >rc.shutdown
cp "$here/../../../dom0-tools/rootfs/etc/settings" settings
echo dom0 >role

# The guest runs until call $DOWN of xl list; and $TIMES of them from $FAILS on fail.
cat >bin/xl <<'END'
#!/bin/sh
case $1 in
list)
	n=$(($(cat calls) + 1))
	echo $n >calls
	[ $n -lt "$FAILS" ] || [ $n -ge $((FAILS + TIMES)) ] || exit 1
	echo 'Name ID Mem VCPUs State Time'
	echo 'Domain-0 0 1 1 r----- 1'
	[ "$DOWN" != never ] && [ $n -ge "$DOWN" ] || echo 'g1 1 1 1 -b---- 1'
	;;
destroy) echo "destroyed $2" ;;
esac
END
printf '#!/bin/sh\nexec %s 0.05\n' "$(command -v sleep)" >bin/sleep
chmod +x bin/xl bin/sleep

failures=0
# run NAME GRACE FAILS TIMES DOWN: until the guest is down it is waited for, and only one that is not is destroyed
run() {
	echo 0 >calls
	echo "SHUTDOWN_GRACE=$2" >guests.conf
	FAILS=$3 TIMES=$4 DOWN=$5 sh rc.shutdown >output 2>&1
	destroyed=$(grep -c '^destroyed g1$' output)
	if [ "$5" = never ]; then
		[ "$destroyed" = 1 ]
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

# --- rc.guests: who starts, in which order ---------------------------------------------------------

verdict() {
	if [ "$1" = 0 ]; then
		echo "ok - $2"
	else
		echo "not ok - $2"
		sed 's/^/# /' "$3"
		failures=1
	fi
}

cat >bin/xl <<'END'
#!/bin/sh
[ "$1" != init-dom0 ] || exit 0
[ -n "$(cat "$3")" ] && echo "$3" >>created
case $3 in *bad*) echo "a reason" >&2; exit 1 ;; esac
END
printf '#!/bin/sh\necho "$1" >>pauses\n' >bin/sleep
printf '#!/bin/sh\n:\n' >bin/dmesg
chmod +x bin/*
rm -rf etc images data run log
mkdir -p etc images data run log
sed -e "s,^PATH=.*,PATH=$dir/bin:\$PATH," -e "s,/etc/settings,$dir/settings," -e "s,/run/,$dir/run/,g" -e "s,/var/log/xen/,$dir/log/,g" \
	-e "s,^	dirs=.*,	dirs='$dir/etc $dir/images $dir/data'," -e "s,places guests.conf,echo $dir/guests.conf,g" \
	-e 's/^	*ulimit .*//; s/^if wait_for_xenstored; then/if :; then/' "$here/../../../dom0-tools/rootfs/etc/rc.guests" >rc.guests

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
exit $failures
