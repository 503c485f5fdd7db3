#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# CPU pools: the cpupool-* verbs, pool= of a configuration, and what other verbs show of them. The pretended machine has two CPUs.
# Usage: test_xl_pools.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

# pool_of NAME POOL: it is in that one
pool_of() { [ "$(xl list -c "$1" | awk 'NR == 2 { print $NF }')" = "$2" ]; }
# cpus POOL LIST: that it has
cpus() { [ "$(xl cpupool-list -c "$1" | awk 'NR == 2 { print $2 }')" = "$2" ]; }
schema() { /usr/bin/python3 "$here/check_json.py" "$1" <json; }
no_pool() { ! xl cpupool-list "$1"; }

check "create a" xl create -q a.cfg vcpus=2
xl create -q b.cfg "disk=[]" "vif=[]"

# --- one pool ---

says 0 "Name               CPUs   Sched     Active   Domain count" line 1 xl cpupool-list
says 0 "Pool-0               2   credit2       y          3" line 2 xl cpupool-list
says 0 "Name               CPU list" line 1 xl cpupool-list -c
says 0 "Pool-0             0,1" line 2 xl cpupool-list --cpus Pool-0
says 0 "Pool-0 " xl cpupool-list 0
says 1 "Pool 'none' does not exist" xl cpupool-list none
says 2 "Usage: xl [-v] cpupool-list" xl cpupool-list a b
says 2 "Usage: xl [-v] cpupool-list" xl cpupool-list -x
says 0 "free_cpus              : 0" xl info
says 1 "splitting not possible, already cpupools in use" sh -c "
	$out/fake-xl cpupool-cpu-remove Pool-0 1 && $out/fake-xl cpupool-create name=second cpus=1 >/dev/null &&
	$out/fake-xl cpupool-numa-split"
check "destroy it" xl cpupool-destroy second
says 0 "free_cpus              : 1" xl info
check "split what is one node" xl cpupool-numa-split
says 0 "Pool-node0 " xl cpupool-list
says 2 "Usage: xl [-v] cpupool-numa-split" xl cpupool-numa-split x
check "its name is where Xen has it" [ "$(xenstore-read /local/pool/0/name)" = Pool-node0 ]
check "back" xl cpupool-rename Pool-node0 Pool-0

# --- create ---

cat >pool.cfg <<-END
	# fast things
	name = "fast"
	sched = "credit2"
	cpus = ["1"]
END
says 0 "number of cpus: 1" xl cpupool-create -n pool.cfg
check "a dry run makes none" no_pool fast
says 0 "cpupool name:   fast" xl cpupool-create pool.cfg
says 0 "fast                 1   credit2       y          0" xl cpupool-list
check "it has its CPU" cpus fast 1
check "Pool-0 has the other" cpus Pool-0 0
check "its name is where Xen has it" [ "$(xenstore-read /local/pool/1/name)" = fast ]
says 1 "pool.cfg:2: name: there is a CPU pool 'fast' already" xl cpupool-create pool.cfg cpus=0
says 1 "cpus: cpu 1 illegal or not free" xl cpupool-create pool.cfg name=more
says 1 "no free cpu found" xl cpupool-create name=more
says 1 "cpus: there is no CPU 2: the machine has 0 to 1" xl cpupool-create name=more cpus=1-2
says 1 "cpus: 'x' is no list of CPUs" xl cpupool-create name=more cpus=x
says 1 "sched: there is no scheduler 'rtds' here, only credit2" xl cpupool-create name=more sched=rtds
says 1 "nodes: no free cpu found" xl cpupool-create name=more nodes=0
says 1 "cpus: cpus and nodes: only one of them" xl cpupool-create name=more nodes=0 cpus=1
says 1 "colour: unknown key" xl cpupool-create name=more colour=1
says 1 "a CPU pool needs a name" xl cpupool-create cpus=1
says 1 "name: a CPU pool's name cannot be a number" xl cpupool-create name=7
says 1 "name: a CPU pool's name has only letters, digits" xl cpupool-create 'name="a b"'
says 1 "none.cfg: " xl cpupool-create none.cfg
says 2 "Usage: xl [-v] cpupool-create" xl cpupool-create
says 2 "Usage: xl [-v] cpupool-create" xl cpupool-create -x
check "none of that is there" [ "$(xl cpupool-list | wc -l)" = 3 ]
# The call that fails leaves nothing.
xl cpupool-destroy fast
n=1
while "$out/fake-hv" $n && ! xl cpupool-create pool.cfg >said 2>&1; do
	check "call $n fails: it is said" grep -q 'Cannot allocate memory' said
	check "call $n fails: no pool is left" no_pool fast
	check "call $n fails: the CPU is free" xl cpupool-create -n pool.cfg
	n=$((n + 1))
done
"$out/fake-hv" 0
check "two calls were tried" [ $n = 3 ]

# --- CPUs come and go ---

check "take it out" xl cpupool-cpu-remove fast 1
says 0 "fast                 0   credit2" xl cpupool-list
says 1 "'fast' has no CPU: xl cpupool-cpu-add gives it one" xl cpupool-migrate a fast
says 1 "pool: 'fast' has no CPU" xl create -q quick.cfg "disk=[]" "vif=[]" pool=fast
says 1 "CPU 1 is not in CPU pool 'fast'" xl cpupool-cpu-remove fast 1
check "put it in" xl cpupool-cpu-add fast 1
says 1 "CPU 1: not free" xl cpupool-cpu-add Pool-0 1
says 1 "CPU 0-1: not free" xl cpupool-cpu-add Pool-0 all
says 1 "there is no CPU 5: the machine has 0 to 1" xl cpupool-cpu-add fast 5
says 1 "'0-' is no list of CPUs" xl cpupool-cpu-add fast 0-
says 1 "'Pool-0' keeps a CPU: 3 domains are in it" xl cpupool-cpu-remove Pool-0 0
says 1 "there is no CPU pool 'none'" xl cpupool-cpu-add none 0
says 1 "there is no CPU pool 'none'" xl cpupool-cpu-remove none 0
says 2 "Usage: xl [-v] cpupool-cpu-add" xl cpupool-cpu-add fast
says 2 "Usage: xl [-v] cpupool-cpu-remove" xl cpupool-cpu-remove fast
check "all of it" xl cpupool-cpu-remove fast all
check "what is free of the node" xl cpupool-cpu-add fast node:0
check "it has it" cpus fast 1
says 1 "'node:0' has no such CPU" xl cpupool-cpu-add fast node:0
check "what it has of the node" xl cpupool-cpu-remove fast node:0
check "back" xl cpupool-cpu-add fast 1
check "it has it" cpus fast 1

# --- guests ---

check "move a" xl cpupool-migrate a fast
check "it is there" pool_of a fast
check "b is not" pool_of b Pool-0
says 0 '"cpupool": "fast"' xl list --json a
says 0 "cpupool-migrate a ($(xl domid a)) cpupool=fast" xl events -n 1
xl events --json -n 1 >json
check "the event is as the schema has it" schema event
says 1 "there is no CPU pool 'none'" xl cpupool-migrate a none
says 1 "'nobody' is an invalid domain identifier" xl cpupool-migrate nobody fast
says 1 "domain 0" xl cpupool-migrate 0 fast
says 2 "Usage: xl [-v] cpupool-migrate" xl cpupool-migrate a
says 1 "'fast' cannot be destroyed: 1 domain is in it" xl cpupool-destroy fast
says 1 "'fast' keeps a CPU: 1 domains are in it" xl cpupool-cpu-remove fast 1
says 1 "'Pool-0' stays: domain 0 is in it" xl cpupool-destroy Pool-0
says 1 "there is no CPU pool 'none'" xl cpupool-destroy none
says 2 "Usage: xl [-v] cpupool-destroy" xl cpupool-destroy
says 1 "hard affinity: none of those CPUs is in the guest's CPU pool, which has 1" xl vcpu-pin a 0 0
check "one of its own" xl vcpu-pin a 0 1
check "back" xl cpupool-migrate a Pool-0
says 0 "vCPU 0 is bound to none of 'fast's CPUs" sh -c "
	$out/fake-xl vcpu-pin a all 0 && $out/fake-xl cpupool-migrate a fast"
# A guest of a pool, and its next lives
check "create one there" xl create -q b.cfg name=there "disk=[]" "vif=[]" pool=fast
check "it is there" pool_of there fast
check "reboot" xl reboot -w there
check "so is its next life" wait_for pool_of there fast
check "moved" xl cpupool-migrate there Pool-0
check "reboot" xl reboot -w there
check "the next life stays where it was moved to" wait_for pool_of there Pool-0
check "b is moved" xl cpupool-migrate b fast
check "reboot" xl reboot -w b
check "its next life, too" wait_for pool_of b fast
check "config-update keeps it" xl config-update b memory=17
check "moved once more" xl cpupool-migrate b 0
check "reboot" xl reboot -w b
check "that counts more" wait_for pool_of b Pool-0
# Its pool has been renamed since config-update wrote its name down: the guest is not lost for that.
check "b is moved back" xl cpupool-migrate b fast
check "config-update writes the name down" xl config-update b memory=18
check "rename" xl cpupool-rename fast renamed
before=$(xl domid b)
check "reboot" xl reboot -w b
check "it is in its pool under the new name" wait_for pool_of b renamed
check "and that is its next life" [ "$(xl domid b)" != "$before" ]
check "rename back" xl cpupool-rename renamed fast
check "b goes back" xl cpupool-migrate b 0
# A guest that is bound to CPUs which its pool has no longer, or whose new pool never had: it has all of the pool, in its next lives, too.
check "create one that is bound" xl create -q b.cfg name=bound "disk=[]" "vif=[]" cpus=0
check "moved away from its CPU" xl cpupool-migrate bound fast
before=$(xl domid bound)
check "reboot" xl reboot -w bound
check "it lives on there" wait_for pool_of bound fast
check "and that is its next life" [ "$(xl domid bound)" != "$before" ]
check "config-update" xl config-update bound memory=18
before=$(xl domid bound)
check "reboot" xl reboot -w bound
check "it lives on after that, too" wait_for pool_of bound fast
check "and that is its next life" [ "$(xl domid bound)" != "$before" ]
check "it may use what is there" [ "$(xl vcpu-list bound | awk 'NR == 2 { print $(NF - 2) }')" = all ]
check "moved to its CPU" xl cpupool-migrate bound Pool-0
check "reboot" xl reboot -w bound
check "it lives on there" wait_for pool_of bound Pool-0
check "it goes" xl destroy bound
# Its supervisor is killed while there is no memory for its next life: whoever goes on knows its pool, which is not its configuration's.
XL_RESTART_PAUSE=1 "$out/fake-xl" create -q b.cfg name=moved "disk=[]" "vif=[]" cpus=0
check "moved" xl cpupool-migrate moved fast
supervisor=$(xenstore-read "/tool/pavise/$(xl domid moved)/supervisor" | cut -d' ' -f1)
taken=$(xl info | sed -n 's/.*free_pages *: //p')
"$out/fake-hv" take "$taken"
xl reboot moved >output 2>&1
check "no memory for its next life" wait_for grep -q "'moved' is not there now, for lack of memory" log/xl-moved.log
kill -9 "$supervisor"
"$out/fake-hv" take "-$taken"
# Its lock goes when the kernel has ended it.
check "another supervisor" wait_for xl minder moved
check "its next life is in its pool" wait_for pool_of moved fast
check "it goes" xl destroy moved
says 0 'pool = "fast"' xl create -n quick.cfg name=other pool=fast
says 1 "pool: there is no CPU pool 'none'" xl create -q crash.cfg "disk=[]" "vif=[]" pool=none
says 1 "cpus: none of those CPUs is in the guest's CPU pool, which has 1" \
	xl create -q crash.cfg "disk=[]" "vif=[]" pool=fast cpus=0
says 1 "pool: a CPU pool's name is not empty" xl create -q crash.cfg "pool=''"
check "there is no guest of that" gone crash

# --- rename ---

check "rename" xl cpupool-rename fast quick-ones
check "its guests are in it" pool_of a quick-ones
check "by its number" xl cpupool-rename 1 fast
says 1 "there is a CPU pool 'Pool-0' already" xl cpupool-rename fast Pool-0
says 1 "a CPU pool's name cannot begin with" xl cpupool-rename fast .x
says 1 "there is no CPU pool 'none'" xl cpupool-rename none x
says 2 "Usage: xl [-v] cpupool-rename" xl cpupool-rename fast

# --- the scheduler's ---

check "a rate limit for one" xl sched-credit2 -p fast -s -r 1000
says 0 "Cpupool fast: ratelimit=1000us" xl sched-credit2 -s -p fast
says 0 "Cpupool Pool-0: ratelimit=0us" xl sched-credit2 -s
xl sched-credit2 -p fast >said
check "its own domains" grep -q '^a ' said
check "and no others" [ "$(wc -l <said)" = 3 ]
check "all of them" [ "$(xl sched-credit2 | grep -c '^Cpupool')" = 2 ]
says 1 "unknown cpupool 'none'" xl sched-credit2 -p none
xl sched-credit2 --json >json
check "as JSON" schema sched-credit2
check "as JSON" grep -q '"cpupool": "fast", "ratelimit_us": 1000' json
xl sched-credit2 --json -d a >json
check "of one domain" schema sched-credit2
check "of one domain" [ "$(grep -c '"domid"' json)" = 1 ]
xl sched-credit2 --json -s >json
check "of Pool-0" schema sched-credit2
says 1 "nothing is set with it" xl sched-credit2 --json -d a -w 5
xl cpupool-list --json >json
check "the pools as JSON" schema cpupool-list
check "the pools as JSON" grep -q '"name": "fast", "scheduler": "credit2", "cpus": \[1\], "domains": 1' json
xl metrics >m.prom
check "metrics: CPUs" grep -qx 'pavise_cpupool_cpus{cpupool="fast"} 1' m.prom
check "metrics: domains" grep -qx 'pavise_cpupool_domains{cpupool="fast"} 1' m.prom
check "metrics: free CPUs" grep -qx 'pavise_cpus_free 0' m.prom
xl info --json >json
check "xl info's" schema info

# --- what nobody may take for text ---

xenstore-write /local/pool/1/name "$(printf 'a\033[2Jb')"
says 0 '^[[2J' xl cpupool-list
check "nothing raw" sh -c "! $out/fake-xl cpupool-list | grep -q '$(printf '\033')'"
xl cpupool-list --json >json
check "nor in JSON" schema cpupool-list
check "by number" xl cpupool-rename 1 fast
check "a goes" xl cpupool-migrate a 0
check "the end" xl cpupool-destroy fast
check "nothing is left in xenstore" sh -c "! xenstore-ls /local/pool/1"
check "its CPU is free" xl cpupool-cpu-add Pool-0 all,^0
says 0 "Pool-0               2   credit2       y          4" xl cpupool-list
says 0 "Cpupool Pool-0: ratelimit=0us" line 1 xl sched-credit2

end_of_cases
