#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Configurations as other tools write them (configs/: xen-tools', Ganeti's, Alpine's way, none copied): each works unchanged, with just
# the warnings that are in NAME.says, or is refused with just those messages. And each key of Xen's xl.cfg(5) (configs/xen-keys)
# acts, is refused or is said to be without effect, and stands in our manual page. Usage: test_xl_configs.sh <build directory>.
. "$(dirname -- "$0")/xl_lib.sh"

man=$here/../../../dom0-tools/xl/man/xl.cfg.5
mkdir -p net/br0/bridge net/xen-br0/bridge tree
echo 1500 >net/br0/mtu
echo 1500 >net/xen-br0/mtu
snapshot >before

# Every path is below tree/ here, and there: kernels are Images, all else is a disk of a MiB.
place() {
	sed "s,/etc/xen/scripts/,$root/scripts/,; s,\([\"':=]\)/\(boot\|srv\|dev/vg0\|dev/xenvg\|var\)/,\1$root/tree/\2/,g" "$1" >placed.cfg
	grep -o "$root/tree/[^\"',]*" placed.cfg | while read -r path; do
		mkdir -p "${path%/*}"
		case $path in
		*vmlinuz*) cp Image "$path" ;;
		*) cp disk.img "$path" ;;
		esac
	done
}
# What xl says, with the paths of the file that was written.
said() {
	sed "s,$root/tree,,g; s,$root/scripts/,/etc/xen/scripts/,g; s,^placed.cfg,FILE," "$1"
}
# told STATUS FILE: so does xl create -n end, and that is what it says
told() {
	place "$2"
	"$out/fake-xl" create -n placed.cfg >plan 2>messages
	got=$?
	said messages >output
	[ $got = "$1" ] && cat "${2%.cfg}.says" 2>/dev/null | diff - output >difference ||
		{ cat difference; echo "status $got"; return 1; }
}

for file in "$here"/configs/works/*.cfg; do
	name=${file##*/}
	check "$name is taken, with the warnings that it should have" told 0 "$file"
	grep -q '^kernel' placed.cfg || continue # test_xl_bootloader.sh has the others
	guest=$(sed -n 's/^name *= *.\(.*\).$/\1/p' placed.cfg)
	check "$name: created" xl create -q placed.cfg
	check "$name: it runs" [ "$(xl list "$guest" | awk 'NR == 2 { print $1 }')" = "$guest" ]
	check "$name: destroyed" xl destroy "$guest"
	check "$name: nothing is left" clean
done
for file in "$here"/configs/refused/*.cfg; do
	check "${file##*/} is refused, with what to change" told 1 "$file"
	check "${file##*/} has its messages" [ -s messages ]
done

# --- Xen's keys ---

# Its rest says what becomes of a key; what it begins with are the keys that act.
word_of_page() { sed 's/\\[-&]//g; s/\\fI/ /g' "$man" | grep -qw -- "$1"; }
known() {
	printf 'name = "k"\nkernel = "%s"\n%s = 1\n' "$root/Image" "$1" >key.cfg
	"$out/fake-xl" create -n key.cfg >output 2>&1
	! grep -q "unknown key" output
}
while read -r key; do
	known "$key" || bad "$key is a key of Xen's that xl does not know"
	word_of_page "$key" || bad "$key is not in xl.cfg.5"
done <"$here/configs/xen-keys"
check "all keys of Xen's were tried" [ "$(wc -l <"$here/configs/xen-keys")" -gt 150 ]
# And the other way round: what the page's last chapter names is refused or without effect, not unknown.
sed -n "/^.SH KEYS OF XEN'S/,/^.SH EXAMPLE/p" "$man" | grep -E '^[a-z0-9_]+(, [a-z0-9_]+)*[.,]$' | tr -d ',.' | tr ' ' '\n' >named
check "the page names keys" [ "$(wc -l <named)" -gt 100 ]
while read -r key; do
	printf 'name = "k"\nkernel = "%s"\n%s = 1\n' "$root/Image" "$key" >key.cfg
	"$out/fake-xl" create -n key.cfg >output 2>&1
	grep -q "$key: \(not supported: \|warning: \)\|warning: $key: Xen's, without effect here" output ||
		bad "$key is named as Xen's, and is not"
done <named

end_of_cases
