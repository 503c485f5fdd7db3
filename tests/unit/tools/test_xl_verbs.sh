#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# All verbs: each there is has help, a section in the man page, completion and a test; each of Xen's that is not here says why.
# Usage: test_xl_verbs.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

top=$here/../../..
ln -s "$out/fake-xl" bin/xl
cat >complete.bash <<'END'
# What the first word after xl can become
source "$1"
COMP_WORDS=(xl "") COMP_CWORD=1
_xl
printf '%s\n' "${COMPREPLY[@]}"
END
PATH=$root/bin:$PATH bash complete.bash "$top/dom0-tools/xl/completion/xl" >completed

# The table itself, not what is printed of it
sed -n 's/^\t{ "\([a-z0-9-]*\)", cmd_.*/\1/p' "$top/dom0-tools/xl/verbs.c" >verbs
check "as many as in the list" [ "$(wc -l <verbs)" = "$(xl help | grep -c '^ [a-z]')" ]
# Runs of a verb in a test, this one and completions not counted: xl VERB, xl -v VERB, m.run("xl VERB …"), listing(m, "VERB …")
tested() {
	find "$top/tests/unit/tools" "$top/tests/system" -name 'test_*.sh' ! -name test_xl_verbs.sh ! -name test_xl_completion.sh \
		-o -name xl_lib.sh -o -name 'test_*.py' | xargs grep -Eq "(\bxl( -[a-zA-Z]+)*|listing\(m,) [\"']?$1([^a-z0-9-]|\$)"
}
while read -r verb; do
	says 0 "Usage: xl [-v] $verb" xl help "$verb"
	says 0 "Usage: xl [-v] $verb" xl "$verb" --help
	check "man page of $verb" grep -Eq "^\\.(BR|B|I|RB) .*\b$verb( |,|\"|\$)" "$top/dom0-tools/xl/man/xl.1"
	check "completion of $verb" grep -qx -- "$verb" completed
	check "a test of $verb" tested "$verb"
	says 1 "there is no command '${verb}z'" xl "${verb}z"
done <verbs

# --- Xen's ---

for verb in suspend resume; do
	says 1 "'$verb' is Xen's; it is not in this version yet" xl $verb
	says 1 "'$verb' is Xen's; it is not in this version yet" xl help $verb
done
says 1 "no device can be given to a guest" xl pci-attach a 0000:00:00.0
says 1 "a guest has no screen; xl console shows its console" xl vncviewer a
says 1 "there is no FLASK policy" xl getenforce
says 1 "a feature of x86 processors" xl psr-hwinfo
says 1 "fixed when it starts, on its command line" xl set-parameters loglvl=all

says 1 "loglvl= on its command line" xl loglevels
# Those of Xen 4.17: help, a reason, or the promise of a later version
for verb in block-attach block-detach block-list button-press cd-eject cd-insert channel-list claims config-update console \
	cpupool-cpu-add cpupool-cpu-remove cpupool-create cpupool-destroy cpupool-list cpupool-migrate cpupool-numa-split \
	cpupool-rename create debug-keys destroy devd dmesg domid domname dump-core getenforce info list loadpolicy loglevels \
	mem-max mem-set migrate migrate-receive network-attach network-detach network-list pause pci-assignable-add \
	pci-assignable-list pci-assignable-remove pci-attach pci-detach pci-list psr-cat-set psr-cat-show psr-cmt-attach \
	psr-cmt-detach psr-cmt-show psr-hwinfo psr-mba-set psr-mba-show qemu-monitor-command reboot remus rename restore \
	save sched-credit sched-credit2 sched-rtds set-parameters setenforce sharing shutdown suspend resume sysrq top trigger \
	unpause uptime usb-list usbctrl-attach usbctrl-detach usbdev-attach usbdev-detach vcpu-list vcpu-pin vcpu-set \
	vdispl-attach vdispl-detach vdispl-list vkb-attach vkb-detach vkb-list vm-list vncviewer vsnd-attach vsnd-detach \
	vsnd-list vtpm-attach vtpm-detach vtpm-list; do
	xl help $verb >said 2>&1
	check "xl help $verb" grep -Eq "^Usage: xl \[-v\] $verb|is Xen's; (it is not in this version|there is no such command here: [a-z])" said
done

end_of_cases
