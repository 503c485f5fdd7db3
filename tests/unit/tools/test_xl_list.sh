#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The listings: Xen's columns, and JSON as docs/schema describes it; and vcpu-set, whose effect they show.
# Usage: test_xl_list.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

# fits SCHEMA verb...: its --json is what the schema says
fits() {
	schema=$1
	shift
	"$out/fake-xl" "$@" --json >json && /usr/bin/python3 "$here/check_json.py" "$schema" <json
}

check "create" xl create -q a.cfg vcpus=2 maxvcpus=4 uuid=11111111-2222-3333-4444-555555555555
check "one without devices, paused" xl create -q -p b.cfg "disk=[]" "vif=[]"
a=$(xl domid a) b=$(xl domid b)
two() { xl list a | grep -q '16     2     -b----'; }
wait_for two

# --- columns ---

says 0 "Name                                        ID   Mem VCPUs	State	Time(s)" line 1 xl list
says 0 "   UUID                            Reason-Code	Security Label" line 1 xl list -v
says 0 "11111111-2222-3333-4444-555555555555        -                -" xl list -v a
says 0 "Time(s)   Security Label" line 1 xl list -Z
says 0 "-b----       1.5                -" xl list --context a
says 0 "Time(s)         Cpupool" line 1 xl list -c
says 0 "-b----       1.5          Pool-0" xl list --cpupool a
says 0 "-b----       1.5 all" xl list -n a
says 0 "Security Label         Cpupool NODE Affinity" line 1 xl list -vZcn
says 0 "Time(s)  Claimed" line 1 xl claims
says 0 "r-----       1.5     0" xl claims
says 2 "Usage: xl [-v] claims" xl claims a
says 0 "UUID                                  ID    name" line 1 xl vm-list
says 0 "11111111-2222-3333-4444-555555555555  $a    a" xl vm-list a
says 0 "00000000-0000-0000-0000-000000000000  0    Domain-0" xl vm-list
says 1 "'nobody' is an invalid domain identifier" xl vm-list nobody
says 0 "cpu:    core    socket     node" xl info -n
says 0 "  1:       1        0        0" xl info --numa
says 0 "node:    memsize    memfree    distances" xl info -n
says 0 "   0:      4096       40" xl info -n
says 2 "Usage: xl [-v] info" xl info a
says 1 "vm-list: unrecognised option" sh -c "'$out/fake-xl' vm-list --numa; [ \$? = 2 ] && exit 1"
says 2 "invalid option -- 'J'" xl list -J

# --- JSON ---

for verb in list vcpu-list vm-list uptime; do
	check "$verb --json" fits $verb $verb
	check "$verb --json of one" fits $verb $verb a
	says 1 "'nobody' is an invalid domain identifier" xl $verb --json nobody
	check "and that is an empty list" [ "$(xl $verb --json nobody 2>/dev/null)" = "[]" ]
done
check "claims --json" fits claims claims
check "info --json" fits info info
check "info -n --json" fits info info -n
says 0 '"distances": [10]' cat json
check "network-list --json" fits network-list network-list a b
says 0 '"interfaces": []' cat json
says 0 '"mac": "00:16:3e:00:00:01"' cat json
says 2 "Usage: xl [-v] network-list" xl network-list --json
says 0 '"memory_kib": 16392, "shared_kib": 0, "memory_limit_kib": 17408, "claimed_kib": 0, "vcpus_online": 2, "vcpus": 4, "state": "-b----"' xl list --json a
says 0 '"hard_affinity": [1], "soft_affinity": [0, 1]' xl vcpu-list --json a
check "list -l is JSON" sh -c "'$out/fake-xl' list -l | /usr/bin/python3 -m json.tool"
xl create -q -w crash.cfg on_crash=preserve >output 2>&1
check "list --json of a dead one" fits list list crash
says 0 '"shutdown_reason": "crash"' cat json
xl destroy crash

# --- vcpu-set ---

says 0 "Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)" line 1 xl vcpu-list
says 0 "$a     1     1   -b-       2.5  1 / all" xl vcpu-list a
says 0 "$a     3     -   --p       2.5  1 / all" xl vcpu-list a
online() { xl list a | awk 'NR == 2 { print $4 }'; }
availability() { for i in 0 1 2 3; do xenstore-read "/local/domain/$(xl domid a)/cpu/$i/availability"; done | tr '\n' ' '; }
check "one" xl vcpu-set a 1
check "it has one" [ "$(online)" = 1 ]
check "and is told so" [ "$(availability)" = "online offline offline offline " ]
says 1 "4 vCPUs asked for, and the machine has 2 CPUs" xl vcpu-set a 4
check "nothing is written for that" [ "$(online)" = 1 ]
check "all the same" xl vcpu-set -i a 4
check "it has four" [ "$(online)" = 4 ]
check "less than it has, and more than the machine" xl vcpu-set a 3
check "--ignore-host" xl vcpu-set --ignore-host "$a" 4
says 1 "5 vCPUs asked for, and 'a' has 4 at most" xl vcpu-set -i a 5
for n in 0 -1 x 2x "" 99999999999999999999; do
	says 1 "is no number of vCPUs" xl vcpu-set -- a "$n"
done
says 2 "Usage: xl [-v] vcpu-set" xl vcpu-set a
says 1 "'nobody' is an invalid domain identifier" xl vcpu-set nobody 1
says 1 "3 vCPUs asked for, and 'Domain-0' has 2 at most" xl vcpu-set Domain-0 3
says 1 "'0' has 2 vCPUs now, not 1: it has not answered for 1 s (does it know CPU hotplug?); the request stays" hasty vcpu-set 0 1
check "dom0's kernel would have seen it" [ "$(xenstore-read /local/domain/0/cpu/1/availability)" = offline ]
xenstore-rm /local/domain/0/cpu
check "to three" xl vcpu-set -i a 3
check "reboot" xl reboot -w a
three() { [ "$(online)" = 3 ]; }
check "the next life has three" wait_for three
check "another that is paused" xl create -q -p b.cfg name=c vcpus=1 maxvcpus=2 "disk=[]" "vif=[]"
says 0 "'c' is paused: it comes to 2 vCPUs when it is unpaused" xl vcpu-set c 2
xl destroy c
check "create deaf" xl create -q deaf.cfg vcpus=1 maxvcpus=2
one() { xl list deaf | grep -q '16     1 '; }
wait_for one
says 0 "'deaf' may have 2 vCPUs now, and has 1 on after 1 s: its kernel leaves the others to its administrator" hasty vcpu-set deaf 2
xl create -q -w crash.cfg on_crash=preserve >output 2>&1
says 1 "'crash' has ended" xl vcpu-set crash 1
xl vcpu-set a 1 &
first=$!
xl vcpu-set -i a 4 >/dev/null 2>&1
wait $first
either() { case "$(online) $(availability)" in "1 online offline offline offline " | "4 online online online online ") ;; *) false ;; esac; }
check "two at once: one of them wins, whole" wait_for either
# A name is looked for where it was first, in one command; each way round it is the same domain's.
for names in "a b" "b a" "b b a a b"; do
	want=
	for n in $names; do want="$want$(xl list "$n" | awk 'NR == 2 { print $2 }') "; done
	# shellcheck disable=SC2086
	check "list $names" [ "$(xl vcpu-list $names | awk 'NR > 1 { print $2 }' | uniq | tr '\n' ' ')" = \
		"$(echo "$want" | tr ' ' '\n' | uniq | tr '\n' ' ' | sed 's/ $//')" ]
done
says 1 "'nobody' is an invalid domain identifier" xl vcpu-list a nobody b
for n in a "$b" deaf crash; do xl destroy "$n"; done
check "nothing is left" clean

end_of_cases
