#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# xl top, metrics, events and usage against a pretended hypervisor (fake_pv.c), pretended guests and a directory of figures
# in sysfs's place. Usage: test_xl_seeing.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

py=/usr/bin/python3
seeing="$here/seeing.py"
backends=$root/backends
events=$root/log/events.jsonl
accounting=$root/log/accounting.jsonl

# counters of a disk and of an interface: counters DOMID READ-SECTORS RECEIVED-BYTES
counters() {
	vbd=$backends/vbd-$1-51712/statistics vif=$backends/vif-$1-0/net/lan-a/statistics
	mkdir -p "$vbd" "$vif"
	for f in oo_req rd_req wr_req f_req ds_req wr_sect; do echo 7 >"$vbd/$f"; done
	echo "$2" >"$vbd/rd_sect"
	for f in rx_bytes rx_packets rx_errors rx_dropped tx_packets tx_errors tx_dropped; do echo 5 >"$vif/$f"; done
	echo "$3" >"$vif/tx_bytes"
}
lint() {
	promtool=${promtool:-$(sh "$here/promtool.sh" "$out/prometheus" 2>/dev/null || echo none)}
	if [ "$promtool" = none ]; then
		echo "# Debian's package prometheus cannot be had: without promtool" >&3
		return 0
	fi
	"$promtool" check metrics
}
exec 3>&1
# event N: the N-th last line of the log has all these words
event() {
	line=$("$out/fake-xl" events -n "$1" | head -n 1)
	shift
	for word in "$@"; do
		case "$line " in *" $word "*) ;; *) echo "'$word' is not in: $line"; return 1 ;; esac
	done
}
event_comes() { wait_for event "$@" || { "$out/fake-xl" events -n 10; return 1; }; }

# --- wrong use ---

for verb in top metrics events usage; do
	says 0 "Usage: xl [-v] $verb" xl help $verb
	says 0 "Usage: xl [-v] $verb" xl $verb --help
	says 2 "Usage: xl [-v] $verb" xl $verb --frobnicate
done
says 2 "Usage: xl [-v] top" xl top extra
says 2 "-d: 'x' is not a number of seconds" xl top -d x
says 2 "-d: '0' is not" xl top -d 0
says 2 "-i: '0' is not a number of iterations" xl top -i 0
says 1 "this wants a terminal; -b prints" xl top </dev/null
says 2 "Usage: xl [-v] metrics" xl metrics extra
says 2 "Usage: xl [-v] metrics" xl metrics --interval 3
says 2 "Usage: xl [-v] metrics" xl metrics --any
says 2 "Usage: xl [-v] metrics" xl metrics --textfile x --listen 1
says 2 "--interval: '0' is not" xl metrics --textfile x --interval 0
says 1 "--textfile none/x.prom: No such file or directory" xl metrics --textfile none/x.prom
for where in x 0 70000 127.0.0.1 127.0.0.1: :1:1 "[::1:9100" "localhost:9100" ""; do
	says 1 "--listen: '$where' is not [ADDRESS:]PORT" xl metrics --listen "$where"
done
says 1 "others than this host could ask at 0.0.0.0:9" xl metrics --listen 0.0.0.0:9
says 1 "others than this host could ask at [::]:9" xl metrics --listen "[::]:9"
says 1 "--listen 192.0.2.1:9100: Cannot assign" xl metrics --listen 192.0.2.1:9100 --any
says 2 "Usage: xl [-v] events" xl events extra
says 2 "-n: '0' is not a number of events" xl events -n 0
says 2 "--since: 'yesterday' is neither" xl events --since yesterday
says 1 "'nobody': no guest of this name, number or UUID" xl usage nobody
check "nothing has changed" clean

# --- the table, in batch ---

xl create -q a.cfg && xl create -q b.cfg >output 2>&1
a=$(xl domid a) b=$(xl domid b)
counters "$a" 100 4096
xl top -b -i 1 >table 2>&1
says 0 "      NAME  STATE   CPU(sec) CPU(%)     MEM(k) MEM(%)  MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) VBDS   VBD_OO   VBD_RD   VBD_WR  VBD_RSECT  VBD_WSECT SSID" cat table
says 0 "         a --b---          1    0.0      16392    0.4      17408       0.4     1    1        0        4    1        7        7        7        100          7    0      n/a" cat table
says 0 "3" sh -c "grep -c . table | awk '{ print \$1 - 1 }'"
says 0 "Net0   RX:       4096bytes        5pkts      5err      5drop  TX:          5bytes" xl top -b -i 1 -n
says 0 "VBD BlkBack 51712 [ca: 0]  OO:        7   RD:        7   WR:        7  RSECT:        100  WSECT:          7" xl top -b -i 1 -x
says 0 "VCPUs(sec):   0:       2.5s steal      0.2s   1:       2.5s" xl top -b -i 1 -v
check "a header for each" sh -c "[ \$('$out/fake-xl' top -b -r -i 2 -d 0.1 | grep -c STATE) = 6 ]"
check "iterations" sh -c "[ \$('$out/fake-xl' top -b -i 3 -d 0.1 | grep -c STATE) = 3 ]"
xl rename a a-name-of-its-own
says 0 "a-name-of- --b---" xl top -b -i 1
says 0 "a-name-of-its-own --b---" xl top -b -i 1 --full-name
xl rename a-name-of-its-own a
xl top --csv -i 2 -d 0.1 >table.csv
check "CSV" "$py" "$seeing" csv table.csv
says 0 "7" sh -c "wc -l <table.csv"
"$out/fake-hv" cpu "$b" 5000
# The second table's line: 20 s in a second or more
rm table
"$out/fake-xl" top -b -i 2 -d 1 >table & pid=$!
wait_for grep -q '^ *b ' table
"$out/fake-hv" cpu "$a" 20000
wait $pid
check "a percentage is of the time in between" \
	sh -c "cat table; awk '\$1 == \"a\" && \$4 > 100 && \$4 < 9000 { n++ } \$1 == \"b\" && \$4 == 0 { m++ } END { exit n != 1 || m != 2 }' table"

# --- metrics ---

xl metrics >m.prom 2>&1
check "Prometheus's parser" "$py" "$seeing" metrics m.prom pavise_domains=3 \
	"pavise_vbd_read_bytes_total{name=a,device=51712}=51200" "pavise_vif_received_bytes_total{name=a,interface=lan-a}=4096" \
	"pavise_vif_sent_bytes_total{name=a}=5" "pavise_domain_state{name=b,state=blocked}=1" "pavise_xenstored_up=1" \
	"pavise_domain_cpu_seconds_total{name=a}=21.5" "pavise_vcpu_steal_seconds_total{domid=0,vcpu=1}=0.25" \
	"pavise_cpu_idle_seconds_total{cpu=1}=9.5" "pavise_heap_size_bytes=4294967296" "pavise_xenstored_nodes" \
	"pavise_domain_memory_target_bytes{name=a}=16777216" "pavise_xenstored_domain_nodes{name=Domain-0}" \
	"pavise_domain_info{name=b,domid=$b}=1"
check "promtool" lint <m.prom
xenstore-write "/local/domain/$b/name" 'q"b\\c,d'
xl metrics >m.prom 2>&1
check "a label with quotes is one label" "$py" -c "
import sys; sys.path.insert(0, '$here'); import seeing
assert [s for s in seeing.parse(open('m.prom').read()) if s.labels.get('name') == 'q\"b\\\\c,d']"
xenstore-write "/local/domain/$b/name" b
check "into a file" xl metrics --textfile "$root/host.prom"
check "the file" "$py" "$seeing" metrics host.prom pavise_domains=3
says 0 "644" stat -c %a host.prom
"$out/fake-xl" metrics --textfile host.prom --interval 1 & pid=$!
check "it is whole whenever one looks" sh -c "
	first=\$(stat -c %i host.prom)
	for i in 1 2 3 4 5 6; do '$py' '$seeing' metrics host.prom pavise_domains=3 || exit 1; sleep 0.3; done
	[ \$(stat -c %i host.prom) != \$first ]"
kill $pid
check "a signal ends it in order" wait $pid
says 0 "host.prom" sh -c "ls -A | grep prom | grep -v m.prom"

port=$("$py" -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
"$out/fake-xl" metrics --listen "$port" >server.log 2>&1 & server=$!
pids="$pids $server"
ask() { "$py" -c "
import sys; sys.path.insert(0, '$here'); import seeing
open('m.prom', 'w').write(seeing.get($port)[1])"; }
wait_for ask
check "served" "$py" "$seeing" metrics m.prom pavise_domains=3
check "promtool" lint <m.prom
check "many clients, slow ones and wrong ones" "$py" "$seeing" http "$port"
says 1 "--listen $port: Address already in use" xl metrics --listen "$port"
kill -STOP $xenstored
sleep 1.1
check "xenstored does not answer: the others' figures are there" ask
check "and it says so" "$py" "$seeing" metrics m.prom pavise_xenstored_up=0 "pavise_domain_memory_bytes{domid=$a,name=(null)}"
kill -CONT $xenstored
up() { ask && "$py" "$seeing" metrics m.prom pavise_xenstored_up=1 "pavise_domain_memory_bytes{domid=$a,name=a}"; }
check "and again" wait_for up
kill $server
check "a signal ends it in order" wait $server
check "the server had nothing to say" test ! -s server.log
HASTY=1 "$out/fake-xl" metrics --listen "$port" >server.log 2>&1 & server=$!
pids="$pids $server"
wait_for "$py" -c "import socket; socket.create_connection(('127.0.0.1', $port))"
check "who says nothing does not stay" "$py" "$seeing" silent "$port"
kill $server
check "and that is nothing to talk of" test ! -s server.log

# Guests and devices come and go while one looks.
touch go
(
	while [ -e go ]; do
		xl create -q boot.cfg "disk=[]" "vif=[]"
		xl destroy boot
	done >/dev/null 2>&1
) & churn=$!
(while :; do counters 9999 1 1; counters "$b" 1 1; rm -r "$backends/vif-$b-0" "$backends/vbd-$b-51712"; done >/dev/null 2>&1) & churn2=$!
check "guests and devices that go are no error" sh -c "
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		'$out/fake-xl' metrics >m.prom && '$py' '$seeing' metrics m.prom pavise_xenstored_up=1 || exit 1
		'$out/fake-xl' top -b -x -n -v -i 1 >table || exit 1
	done"
rm go
wait $churn
kill $churn2
wait $churn2 2>/dev/null
rm -rf "$backends/vif-$b-0" "$backends/vbd-$b-51712"

# --- events ---

xl destroy b
rm -f "$events" "$events.1"
"$py" "$seeing" syslog "$sockets/log" syslog & pids="$pids $!"
wait_for test -S "$sockets/log"
export FAKE_SYSLOG="$sockets/log"
"$out/fake-xl" events --json >stream & stream=$!
xl create -q b.cfg
b=$(xl domid b)
check "created" event 2 created "b" "($b)" memory_kib=16384 vcpus=1
check "started" event 1 started "b" "($b)"
xl network-attach b mac=00:16:3e:00:00:09
check "attached" event 1 device-attached "b" kind=vif devid=2
xl network-detach b 2
check "detached" event 1 device-detached kind=vif devid=2
xenstore-write "/local/domain/$b/memory/target" 8192
check "a new target" event_comes 1 balloon-target "b" target_kib=8192 before_kib=16384
check "and the guest follows" event_comes 1 balloon "b" memory_kib=8200 before_kib=16392
xenstore-write "/local/domain/$b/memory/target" 16384
check "both ways" event_comes 1 balloon "b" memory_kib=16392 before_kib=8200
xl reboot -w b >/dev/null
check "the next one runs" event_comes 1 started "b" "($((b + 1)))"
check "rebooted" event 4 rebooted "b" "($b)" reason=reboot
check "the old one goes" event 3 destroyed "b" "($b)"
check "the next one comes" event 2 created "b" "($((b + 1)))"
xl shutdown -w b >/dev/null
check "shut down" event 2 shutdown "b" reason=poweroff
check "and gone" event 1 destroyed "b"
xl create -q -w crash.cfg >/dev/null 2>&1
check "crashed" event_comes 2 crashed crash reason=crash
XL_RESTART_PAUSE=1 xl create -q again.cfg >/dev/null 2>&1
held() { xl events -n 40 | grep -q 'restarting *again .* seconds=1$'; }
check "held back" wait_for held
xl destroy again
xl create -q lost.cfg
lost=$(xl domid lost)
lost() { xl events -n 5 | grep -q "backend-lost *lost ($lost) kind=vbd devid=51712 why=pretended\$"; }
check "a lost back end" wait_for lost
xl destroy lost
says 1 "not enough free memory" xl create a.cfg name=huge memory=8000
check "what was never made does not end" sh -c "! '$out/fake-xl' events -n 100 | grep -q huge"
"$out/fake-hv" 12
xl create -q b.cfg >/dev/null 2>&1
"$out/fake-hv" 0
check "nor does what was half made" event 1 destroyed lost
wait_for grep -q '"destroyed", .*"lost"' stream
kill $stream
wait $stream
check "the stream has them all" cmp stream "$events"
check "they are what the schema says" "$py" "$seeing" lines event stream
wait_for grep -q 'destroyed *lost' syslog
says 0 "crashed         crash (" cat syslog
says 0 "<28>xl[" grep 'backend-lost ' syslog
says 0 "<30>xl[" grep 'created ' syslog
unset FAKE_SYSLOG

# The log is put aside while somebody follows.
"$out/fake-xl" events >stream & stream=$!
wait_for opened $stream "$events"
mv "$events" "$events.1"
xl create -q b.cfg && xl destroy b
check "followed over a rotation" wait_for grep -q 'destroyed *b ' stream
says 0 "3" sh -c "wc -l <stream"
kill $stream
wait $stream
lines=$(cat "$events" "$events.1" | wc -l)
check "both halves are the past" [ "$(xl events -n 10000 | wc -l)" = "$lines" ]
check "since" [ "$(xl events --since 1h | wc -l)" = "$lines" ]
check "since another time" [ "$(xl events --since @1000000000 | wc -l)" = "$lines" ]
check "since then" [ "$(xl events --since 2099-01-01T00:00:00Z | wc -l)" = 0 ]
when=$(xl events -n 3 | head -n 1 | cut -d' ' -f1)
check "since one of them" [ "$(xl events --since "$when" -n 100 | wc -l)" -ge 3 ]
"$out/fake-xl" events -n 2 --follow >stream & stream=$!
wait_for test -s stream
xl create -q b.cfg && xl destroy b
wait_for grep -q '^.*destroyed *b ' stream
check "the last ones, then what comes" wait_for sh -c "[ \$(wc -l <stream) = 5 ]"
kill $stream
wait $stream
mkfifo pipe
head -n 1 <pipe >stream &
"$out/fake-xl" events >pipe & stream=$!
wait_for opened $stream "$events"
xl create -q b.cfg && xl destroy b
check "a reader that has enough ends it" wait $stream
rm pipe

# A disk that is full, half a line, something else in its place
printf '{"time": "2026' >>"$events"
xl create -q b.cfg
check "half a line costs that line" event 2 created b
check "and is not shown" sh -c "! '$out/fake-xl' events -n 100 --json | grep -v '}\$'"
xl destroy b
rm -f "$events" "$events.1" "$accounting" "$accounting.1"
mkdir "$events" "$accounting"
check "no log: the guest lives all the same" xl create -q b.cfg
check "and dies" xl destroy b
check "no log: no events" [ "$(xl events -n 5 | wc -l)" = 0 ]
rmdir "$events" "$accounting"

# --- usage ---

xl destroy a
rm -rf "$backends"
xl create -q a.cfg
a=$(xl domid a)
counters "$a" 0 0
life() { xl usage --json | "$py" -c "
import json, sys
u = [x for x in json.load(sys.stdin) if x['domid'] == $1]
assert len(u) == 1, u
u = u[0]
assert $2, u"; }
wait_for life "$a" "u['disk_reads'] == 7"
counters "$a" 100 4096
check "it is counted" wait_for life "$a" "u['disk_read_bytes'] == 51200 and u['net_received_bytes'] == 4096 and u['ended'] is None"
sleep 0.3
# The guest's driver has connected anew.
counters "$a" 10 96
check "a counter that begins anew adds to the sum" wait_for life "$a" "u['disk_read_bytes'] == 56320 and u['net_received_bytes'] == 4192"
"$out/fake-hv" cpu "$a" 2500
sleep 0.5
check "memory times time" life "$a" "16785408 * 0.5 < u['memory_byte_seconds'] < 16785408 * 60 and u['cpu_seconds'] == 4"
xl usage --json >usage.json
check "the schema" "$py" "$seeing" document usage usage.json
says 0 "a                    $(printf %5u "$a")" xl usage a
supervisor=$(xenstore-read "/tool/pavise/$(xl domid a)/supervisor" | cut -d' ' -f1)
[ -z "$supervisor" ] || kill -9 "$supervisor"
xl destroy a
check "what remains of it" life "$a" "u['reason'] == 'destroyed' and u['ended'] and u['disk_read_bytes'] == 56320 and u['cpu_seconds'] == 4 and u['name'] == 'a'"
check "the account is closed" test ! -e "run/usage-$a"
xl create -q b.cfg
b=$(xl domid b)
xl shutdown -w b >/dev/null
check "a guest that ended by itself" life "$b" "u['reason'] == 'poweroff' and u['name'] == 'b'"
check "the log's lines" "$py" "$seeing" lines usage#life "$accounting"
xl usage --json >usage.json
check "the schema" "$py" "$seeing" document usage usage.json
says 0 " poweroff " xl usage b
# Names that are words in JSON
sed 's/"b"/"null"/' b.cfg >null.cfg
xl create -q null.cfg >output 2>&1
xl destroy null
says 0 "null                 " xl usage null
says 0 " poweroff " xl usage "$b"
echo rubbish >>"$accounting"
says 0 " poweroff " xl usage "$b"
says 0 "[]" sh -c "rm '$accounting'; '$out/fake-xl' usage --json"
xl create -q -e a.cfg
check "without a supervisor: what can be asked at the end" sh -c "sleep 0.3; '$out/fake-xl' destroy a && '$out/fake-xl' usage a"
check "nothing is left" clean

# --- the screen ---

xl create -q a.cfg && xl create -q b.cfg >output 2>&1
counters "$(xl domid a)" 1 1
"$out/fake-hv" cpu "$(xl domid b)" 9000
"$out/fake-hv" add 199
n=0
for d in $(xl list | awk '$1 == "(null)" { print $2 }'); do
	n=$((n + 1))
	xenstore-write "/local/domain/$d/name" "g$n"
done
check "the screen" "$py" "$here/top_screen.py" "$out/fake-xl" "$out/fake-hv"
grep '^ok' output | sed 's/^ok [0-9]* -/#   /'
check "200 domains in batch" sh -c "[ \$('$out/fake-xl' top -b -i 1 | wc -l) = 203 ]"
xl metrics >m.prom
check "200 domains" "$py" "$seeing" metrics m.prom pavise_domains=202
xl destroy a && xl destroy b

end_of_cases
