#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# dom0's rc.shutdown with a pretended xl, and what starts xenconsoled. Usage: test_rc.sh <directory for what it writes>.
# Owns the proof that nobody is destroyed before his time because xl could not tell who runs, and that the logs' limit is in one
# place.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
rm -rf "$1/rc"
mkdir -p "$1/rc/bin"
cd "$1/rc" || exit 1
dir=$PWD
sed -e "s,^PATH=.*,PATH=$dir/bin:\$PATH," -e "s,/run/role,$dir/role," -e "s,/run/xen/no-restart,$dir/no-restart," \
	-e "s,^STEP=10,STEP=0," -e "s,^for conf in .*; do,for conf in $dir/guests.conf; do," -e '/^umount/d; /^sync/d' \
	"$here/../../../dom0-tools/rootfs/etc/rc.shutdown" >rc.shutdown
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
chmod +x bin/xl bin/sleep

failures=0
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
exit $failures
