#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# config-update: what a guest is in its next life. Usage: test_xl_config.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

node() { xenstore-read "/local/domain/$(xl domid a)/memory/$1"; }
cmdline() { xenstore-read "$(xenstore-read "/local/domain/$(xl domid a)/vm")/image/cmdline"; }
mac() { xl network-list "$1" | awk 'NR == 2 { print $3 }'; }
# Its next life is there, whole.
reboot() {
	id=$(xl domid a)
	xl reboot -w a >output 2>&1
	wait_for running
}
running() { now=$("$out/fake-xl" domid a) && [ "$now" != "$id" ] && "$out/fake-xl" list a | grep -q -- -b----; }

# It reboots often here, and is not held back for that.
export XL_RESTART_PAUSE=0
says 2 "Usage: xl [-v] config-update <Domain> [<ConfigFile>]" xl config-update
says 2 "Usage: xl [-v] config-update" xl config-update a
says 0 "Update a running domain's saved configuration" xl config-update --help
says 2 "'x' is no key=value, and there is a config file already" xl config-update a a.cfg x
says 1 "'nobody' is an invalid domain identifier" xl config-update nobody a.cfg
says 1 "cannot update the configuration of domain 0" xl config-update 0 memory=64

check "create" xl create -q a.cfg memory=32 "vif=['vifname=lan-a']" 'extra="it'\''s \"quoted\" \\ here"'
first=$(mac a)
cmdline >as_made
says 0 "quoted" cat "run/config-$(xl domid a)"
check "for its owner only" [ "$(stat -c %a "run/config-$(xl domid a)")" = 600 ]
check "a key of its own" xl config-update a memory=48
check "nothing has changed yet" [ "$(node target)" = 32768 ]
reboot
check "its next life has it" [ "$(node target) $(node static-max)" = "49152 49152" ]
check "and the rest as before" [ "$(cmdline)" = "$(cat as_made)" ]
check "its MAC as well" [ "$(mac a)" = "$first" ]
says 0 "'a' is as xl config-update has said in its next life" cat log/xl-a.log
reboot
check "and the one after that" [ "$(node target) $(cmdline)" = "49152 $(cat as_made)" ]

# Together with what is said of the running guest, in both orders
check "mem-set" xl mem-set a 40
check "config-update of something else" xl config-update a extra=new
reboot
check "has both" [ "$(node target) $(node static-max) $(cmdline)" = "40960 49152 new" ]
check "config-update of memory" xl config-update a memory=36 extra=newer
check "and mem-set behind it" xl mem-set a 44
reboot
check "the later one counts" [ "$(node target) $(cmdline)" = "45056 newer" ]
check "two, one after the other" sh -c "'$out/fake-xl' config-update a extra=third && '$out/fake-xl' config-update a 'on_crash=preserve' vcpus=2"
reboot
check "both count" [ "$(cmdline) $(xl vcpu-list a | wc -l)" = "third 3" ]

# A whole file; its paths are relative to here.
cat >whole.cfg <<END
name = "other"
kernel = "Image"
memory = 24
extra = "whole"
vif = []
END
says 0 "Parsing config from whole.cfg" xl config-update a whole.cfg
check "quiet" [ -z "$(xl config-update -q -f whole.cfg a extra=over)" ]
reboot
check "it is what the file says" [ "$(node target) $(cmdline)" = "24576 over" ]
check "under its own name" xl domid a
says 1 "no such domain" xl domid other
check "without the interface" [ "$(xl network-list a | wc -l)" = 1 ]
check "renamed afterwards" xl rename a b
check "config-update of the renamed one" xl config-update b extra=renamed
id=$(xl domid b)
check "reboot" xl reboot -w b
b_is_back() { now=$("$out/fake-xl" domid b) && [ "$now" != "$id" ]; }
check "keeps its new name" wait_for b_is_back
check "rename" xl rename b a

# Mistakes change nothing.
before=$(cat "run/config-$(xl domid a)")
says 1 "memory: 'much' is not a number" xl config-update a memory=much
says 1 "memory: 1000000 MiB are more than this machine has for guests" xl config-update a memory=1000000
says 1 "none.cfg: No such file or directory" xl config-update a none.cfg
says 1 "No such file or directory" xl config-update a kernel=/none
says 1 "No such file or directory" xl config-update a "disk=['/none,raw,xvdz,w']"
says 1 "did you mean 'memory'?" xl config-update a memroy=12
says 1 "a guest keeps the one it has" xl config-update a uuid=01234567-89ab-cdef-0123-456789abcdef
says 1 "memory: " xl config-update a memory=1 maxmem=1
check "nothing was written" [ "$before" = "$(cat "run/config-$(xl domid a)")" ]
echo "name = " >"run/config-$(xl domid a)"
says 1 "it is not known what 'a' was made from: give its config file" xl config-update a memory=32
check "its file helps" xl config-update -q a a.cfg "disk=[]" "vif=[]" memory=64
check "two at once" sh -c "'$out/fake-xl' config-update a extra=one & '$out/fake-xl' config-update a extra=two; wait"
reboot
either() { case $(cmdline) in one | two) ;; *) cmdline; cat log/xl-a.log; return 1 ;; esac; }
check "one of them won, whole" either
{ echo "# updated: 1 2 3"; echo "name ="; } >"run/config-$(xl domid a)"
reboot
says 0 "cannot be used: the next life is as this one" cat log/xl-a.log
cp Image vanishing
check "config-update" xl config-update a "kernel='vanishing'" memory=80
rm vanishing
before=$(node target)
reboot
check "a kernel that has vanished since: its next life is as the last" [ "$(node target)" = "$before" ]
says 0 "vanishing: No such file or directory" cat log/xl-a.log
xl destroy a
check "nothing is left" clean
check "no files either" sh -c "! ls run/config-* 2>/dev/null"

xl create -q -w crash.cfg on_crash=preserve "vif=[]" >output 2>&1
says 1 "'crash' has ended and is kept: it has no next life" xl config-update crash memory=32
xl destroy crash

# One that is held back between two lives can be mended.
export XL_RESTART_PAUSE=2
xl create -q again.cfg memory=16 >output 2>&1
held() { [ "$(xenstore-read "/tool/pavise/$(xl domid again)/restart")" ]; }
check "it is held back" wait_for held
check "config-update" xl config-update again memory=20 on_reboot=preserve
ended() { xl list again | grep -Eq '20 +1 +---s--'; }
check "its next life is the mended one, and its last" wait_for ended
xl destroy again
check "nothing is left" clean

end_of_cases
