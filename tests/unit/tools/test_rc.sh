#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# dom0's rc.shutdown with a pretended xl. Usage: test_rc.sh <directory for what it writes>.
# Owns the proof that nobody is destroyed before his time because xl could not tell who runs.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
rm -rf "$1/rc"
mkdir -p "$1/rc/bin"
cd "$1/rc" || exit 1
dir=$PWD
sed -e "s,^PATH=.*,PATH=$dir/bin:\$PATH," -e "s,/run/role,$dir/role," -e "s,/run/xen/no-restart,$dir/no-restart," \
	-e "s,^for conf in .*; do,for conf in $dir/guests.conf; do," -e '/^umount/d; /^sync/d' \
	"$here/../../../dom0-tools/rootfs/etc/rc.shutdown" >rc.shutdown
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
exit $failures
