#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# mem-set and mem-max against the pretended hypervisor; its guests have a balloon driver (deaf* do not use it).
# Usage: test_xl_mem.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

node() { xenstore-read "/local/domain/$(xl domid "$1")/memory/$2"; }
has() { xl list "$1" | awk 'NR == 2 { print $3 }'; }

says 2 "Usage: xl [-v] mem-set <Domain> <MemMB" xl mem-set a
says 2 "Usage: xl [-v] mem-max" xl mem-max
says 0 "Set the current memory usage for a domain" xl mem-set --help
says 1 "'nobody' is an invalid domain identifier" xl mem-set nobody 16
says 1 "'nobody' is an invalid domain identifier" xl mem-max nobody 16
says 1 "domain 0 keeps the memory it has started with" xl mem-set 0 128m
says 1 "dom0_mem= on the hypervisor's command line" xl mem-max Domain-0 128
check "create" xl create -q a.cfg memory=128
for size in "" x 12x 12mm 1.5g 99999999999999999999 2000000t; do
	says 1 "invalid memory size: '$size'" xl mem-set a "$size"
done
check "down" xl mem-set a 64
check "it has given memory back" [ "$(has a)" = 64 ]
check "its target" [ "$(node a target)" = 65536 ]
check "its maximum is what it was" [ "$(node a static-max)" = 131072 ]
says 0 '"max_memkb": 131072, "target_memkb": 65536' xl list -l a
check "and up, in KiB" xl mem-set a 98304k
check "it has it" [ "$(has a)" = 96 ]
check "in GiB and bytes, small letters or not" sh -c "'$out/fake-xl' mem-set a 134217728B && '$out/fake-xl' mem-set a 65536K"
says 1 "256 MiB is more than the 128 MiB that 'a' may have at most (see xl mem-max)" xl mem-set a 256
says 1 "4 MiB is too little for 'a', which has started with 128: at least 16 MiB" xl mem-set a 4
says 1 "0 MiB is too little" xl mem-set a 0
check "nothing was written for that" [ "$(node a target)" = 65536 ]
says 1 "32 MiB is less than the 64 MiB that 'a' is to have now" xl mem-max a 32
check "mem-max" xl mem-max a 256m
check "in xenstore" [ "$(node a static-max)" = 262144 ]
says 1 "'a' has started with 128 MiB and cannot use more before it is started again" xl mem-set a 192
says 1 "not enough free memory for 'a': 7936 MiB more wanted" xl mem-max a 8g
"$out/fake-hv" 1
says 1 "the hypervisor does not change the limit of 'a'" xl mem-set a 48
"$out/fake-hv" 1
says 1 "the hypervisor does not change the limit of 'a'" xl mem-max a 512
"$out/fake-hv" 0
check "both stay as they were" [ "$(node a target) $(node a static-max)" = "65536 262144" ]

# The next life has what was said of this one.
check "reboot" xl reboot -w a
wait_for xl domid a
check "its next life's target and maximum" [ "$(node a target) $(node a static-max)" = "65536 262144" ]
ballooned() { [ "$(has a)" = 64 ]; }
check "and its balloon driver obeys" wait_for ballooned
check "now it can use the larger maximum" xl mem-set a 192
check "it has it" [ "$(has a)" = 192 ]

# Two at once: one of them wins, whole.
xl mem-set a 100 &
first=$!
xl mem-set a 120 >/dev/null 2>&1
wait $first
either() { [ "$(has a) $(node a target)" = "100 102400" ] || [ "$(has a) $(node a target)" = "120 122880" ]; }
check "two at once" wait_for either

# Not enough on the host for its growth, nor for its next life.
check "a little" xl mem-set a 64
check "create one that takes most" xl create -q b.cfg memory=3900
says 1 "not enough free memory for 'a': 192 MiB more wanted" hasty mem-set a 256
check "reboot, without the memory for its maximum" xl reboot a
smaller() { grep -q "there are no 256 MiB for 'a': it starts again with 64" log/xl-a.log; }
check "the next life gets what there is" wait_for smaller
next() { [ "$(node a static-max)" = 65536 ] && [ "$(has a)" = 64 ]; }
check "and is there" wait_for next
xl destroy b

# Those who cannot answer.
check "pause" xl pause a
says 0 "'a' is paused: it comes to 32 MiB when it is unpaused" xl mem-set a 32
check "unpause" xl unpause a
small() { [ "$(has a)" = 32 ]; }
check "it does" wait_for small
check "create deaf" xl create -q deaf.cfg memory=64
says 1 "'deaf' does not react and still has 64 MiB (does it have a balloon driver?); the target stays" hasty mem-set deaf 32
xl create -q -w crash.cfg on_crash=preserve memory=64 >output 2>&1
says 1 "'crash' has ended (crash): its memory cannot be changed" xl mem-set crash 32
says 1 "'crash' has ended (crash)" xl mem-max crash 128
xenstore-rm "/local/domain/$(xl domid a)/memory/target"
says 1 "'a' has no memory/target and memory/static-max" xl mem-set a 32
for n in a deaf crash; do xl destroy $n; done
check "nothing is left" clean

end_of_cases
