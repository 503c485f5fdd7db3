#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What guests get of the CPUs: sched-credit2, vcpu-pin, and cpu_weight, cap, cpus and cpus_soft of a configuration. The pretended
# machine has two CPUs. Usage: test_xl_sched.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

# share NAME "WEIGHT CAP": it has these
share() { [ "$(xl sched-credit2 -d "$1" | awk 'NR == 2 { print $3, $4 }')" = "$2" ]; }
# bound NAME VCPU "HARD / SOFT"
bound() { [ "$(xl vcpu-list "$1" | awk -v v="$2" 'NR > 1 && $3 == v' | grep -o '[^ ]* / [^ ]*$')" = "$3" ]; }

check "create a" xl create -q a.cfg vcpus=2
check "create b" xl create -q b.cfg cpu_weight=512 cap=40 vcpus=3 "cpus=['0','1','all']" "cpus_soft='1'" "disk=[]" "vif=[]"
a=$(xl domid a) b=$(xl domid b)
# row NAME ID WEIGHT CAP: sched-credit2's columns
row() { printf '%-33s %4d %6d %4d' "$@"; }

# --- sched-credit2 ---

says 0 "Cpupool Pool-0: ratelimit=0us" line 1 xl sched-credit2
says 0 "Name                                ID Weight  Cap" line 2 xl sched-credit2
says 0 "Domain-0                             0    256    0" line 3 xl sched-credit2
says 0 "$(row a "$a" 256 0)" xl sched-credit2
says 0 "$(row b "$b" 512 40)" xl sched-credit2 -p Pool-0
says 0 "$(row b "$b" 512 40)" line 2 xl sched-credit2 -d b
check "one is one" [ "$(xl sched-credit2 -d b | wc -l)" = 2 ]
check "a weight" xl sched-credit2 -d a -w 1000
check "the cap stays" share a "1000 0"
check "a cap" xl sched-credit2 --domain a --cap=150
check "the weight stays" share a "1000 150"
check "both, by number" xl sched-credit2 -d "$a" -w 65535 -c 200
check "both" share a "65535 200"
check "b has its own" share b "512 40"
check "no cap" xl sched-credit2 -d a -c 0
check "no cap" share a "65535 0"
check "domain 0" xl sched-credit2 -d Domain-0 -w 512
check "domain 0" share 0 "512 0"
says 1 "Cpu weight out of range, valid values are within range from 1 to 65535" xl sched-credit2 -d a -w 0
says 1 "'65536' is no weight: a number up to 65535" xl sched-credit2 -d a -w 65536
says 1 "'-1' is no cap" xl sched-credit2 -d a -c -1
says 1 "'x' is no weight" xl sched-credit2 -d a -w x
says 1 "'' is no cap" xl sched-credit2 -d a -c ""
says 1 "Cpu cap out of range, valid range is from 0 to 200 for specified number of vcpus" xl sched-credit2 -d a -c 201
check "nothing of that is set" share a "65535 0"
says 1 "Must specify a domain." xl sched-credit2 -w 5
says 1 "Specifying a cpupool is not allowed with other options." xl sched-credit2 -p Pool-0 -d a
says 1 "unknown cpupool 'Pool-1'" xl sched-credit2 -p Pool-1
says 1 "'nobody' is an invalid domain identifier" xl sched-credit2 -d nobody
says 1 "'nobody' is an invalid domain identifier" xl sched-credit2 -d nobody -w 5
says 2 "Usage: xl [-v] sched-credit2" xl sched-credit2 a
says 2 "Usage: xl [-v] sched-credit2" xl sched-credit2 -x
check "the rate limit" xl sched-credit2 -s -r 1000
says 0 "Cpupool Pool-0: ratelimit=1000us" xl sched-credit2 -s
check "none" xl sched-credit2 --schedparam --ratelimit_us=0
says 0 "Cpupool Pool-0: ratelimit=0us" xl sched-credit2
says 1 "a rate limit is 0 (none) or 100 to 500000 us, not 99" xl sched-credit2 -s -r 99
says 1 "'500001' is no rate limit" xl sched-credit2 -s -r 500001
says 1 "-s -r 1000" xl sched-credit2 -r 1000
says 1 "no domain with it" xl sched-credit2 -s -d a

# --- vcpu-pin ---

check "as configured" bound b 0 "0 / 1"
check "as configured" bound b 1 "1 / 1"
check "as configured" bound b 2 "all / 1"
check "one to one CPU" xl vcpu-pin a 0 1
check "only that one" bound a 0 "1 / all"
check "the other one is as before" bound a 1 "1 / all"
check "soft too" xl vcpu-pin a 1 all 0
check "soft too" bound a 1 "all / 0"
check "- is as it was" xl vcpu-pin a 1 - 1
check "- is as it was" bound a 1 "all / 1"
check "all of them" xl vcpu-pin a all 0-1,^1 -
check "all of them" bound a 0 "0 / all"
check "all of them" bound a 1 "0 / 1"
says 0 "xl: warning: vCPU 1 may use none of the CPUs that it prefers" xl vcpu-pin a 1 0
check "back" xl vcpu-pin -f a all all all
check "back" bound a 0 "all / all"
check "nodes" xl vcpu-pin a 0 nodes:0,^0
check "nodes" bound a 0 "1 / all"
says 0 '"hard_affinity": [1], "soft_affinity": [0, 1]' xl vcpu-list --json a
check "domain 0" xl vcpu-pin 0 1 0
check "domain 0" bound Domain-0 1 "0 / all"
says 1 "there is no CPU 2: the machine has 0 to 1" xl vcpu-pin a 0 0-2
says 1 "there is no CPU 63: the machine has 0 to 1" xl vcpu-pin a 0 - 63
says 1 "hard affinity: '0-' is no list of CPUs, such as 0-3,5,^1" xl vcpu-pin a 0 0-
says 1 "soft affinity: 'some' is no list of CPUs" xl vcpu-pin a 0 0 some
says 1 "hard affinity: '0,^0' leaves no CPU" xl vcpu-pin a 0 0,^0
says 1 "neither affinity is to be changed" xl vcpu-pin a 0 -
says 1 "neither affinity is to be changed" xl vcpu-pin a 0 - -
says 1 "'a' has no vCPU 2, only 0 to 1" xl vcpu-pin a 2 0
says 1 "'Domain-0' has no vCPU 2, only 0 to 1" xl vcpu-pin Domain-0 2 0
for n in x -- -1 1x "" 99999999999; do
	says 1 "Invalid argument $n as VCPU" xl vcpu-pin -- a "$n" 0
done
says 1 "'nobody' is an invalid domain identifier" xl vcpu-pin nobody 0 0
says 2 "Usage: xl [-v] vcpu-pin" xl vcpu-pin a 0
says 2 "Usage: xl [-v] vcpu-pin" xl vcpu-pin a 0 0 0 0
check "nothing of that is set" bound a 0 "1 / all"

# --- configurations ---

dry() { xl create -n b.cfg cpu_weight=512 cap=40 vcpus=3 "cpus=['0','1']" "cpus_soft='1,^0'"; }
says 0 "cpu_weight = 512" dry
says 0 "cap = 40" dry
says 0 "cpus = [ '0', '1', 'all' ]" dry
says 0 "cpus_soft = [ '1', '1', '1' ]" dry
says 1 "cpus: there is no CPU 2: the machine has 0 to 1" xl create -q quick.cfg "cpus='0-2'"
says 1 "cpus_soft: there is no CPU 5: the machine has 0 to 1" xl create -q quick.cfg "cpus='0'" "cpus_soft=['5']"
says 1 "cpus: none of those CPUs is there: the machine has 0 to 1" xl create -q quick.cfg "cpus='all,^0-1'"
check "there is no guest of that" gone quick
check "changed for this life" xl vcpu-pin b 0 1 all
check "changed for this life" xl sched-credit2 -d b -w 99
check "reboot" xl reboot -w b
again() { share b "512 40" && bound b 0 "0 / 1"; }
check "the next life has what its configuration says" wait_for again
# The call that sets each of them fails: nothing is left.
xl destroy a
xl destroy b
xl sched-credit2 -d 0 -w 256
snapshot >before
failing() {
	fake=$1
	shift
	"$out/fake-hv" "$fake"
	xl create -q quick.cfg "disk=[]" "vif=[]" cpu_weight=5 "cpus='0'" >said 2>&1
}
said() { grep -q "$1" said; }
for what in "cannot set the domain's weight and cap" "cannot bind the domain's vCPUs to CPUs"; do
	n=1
	while failing $n; ! said "$what" && [ $n -lt 12 ]; do
		gone quick 2>/dev/null || xl destroy quick
		n=$((n + 1))
	done
	cp said output
	check "$what" said "$what: Cannot allocate memory"
	check "nothing is left" wait_for clean
done
"$out/fake-hv" 0

end_of_cases
