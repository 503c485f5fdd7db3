#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The Debian packages of scripts/make-deb. Usage: test_packages.sh <directory for what it writes> <build directory> [--full].
# Owns the proof that what is in them is what belongs there and, with --full, that the same tree gives the same bytes wherever it lies.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
top=$(readlink -f "$here/../../..")
mkdir -p "$1"
out=$(readlink -f "$1") build=$(readlink -f "$2") full=${3:-}
cd "$out" || exit 1
failures=0
# check WHAT COMMAND...: it succeeds; what it says is shown when it does not
check()
{
	local what=$1
	shift
	if "$@" > output 2>&1; then
		echo "ok - $what"
	else
		echo "not ok - $what"
		sed 's/^/# /' output
		failures=1
	fi
}
# fails TEXT COMMAND...: with this text
fails()
{
	local text=$1
	shift
	! "$@" > said 2>&1 && grep -qF -- "$text" said || { cat said; return 1; }
}

# --- made, and with --full again: elsewhere, by somebody with other habits ---

rm -rf one two elsewhere without root lists
export DEB_VERSION=0.1 SOURCE_DATE_EPOCH=1700000000
check "make-deb" "$top/scripts/make-deb" "$build" one
[ $failures = 0 ] || exit 1
debs=$(cd one && ls ./*.deb)
check "these packages" diff <(printf './pavise-%s_0.1_riscv64.deb\n' bootloader hypervisor tools tools-dbgsym | sort) <(echo "$debs" | sort)
if [ "$full" ]; then
	mkdir -p elsewhere/build/linux elsewhere/tree
	(cd "$top" && { git ls-files -co --exclude-standard 2> /dev/null || find . -path ./build -prune -o -type f -print; } |
		grep -E '^(\./)?(packaging|dom0-tools|hypervisor|pvabi|scripts|docs|LICENSES)/' | tar cf - -T -) | tar xf - -C elsewhere/tree
	cp -R "$build"/{include,libfdt,config} elsewhere/build/
	cp "$build/linux/Image" elsewhere/build/linux/
	check "make-deb in another place" env -i PATH="$PATH" DEB_VERSION=$DEB_VERSION SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH HOME=/nowhere TZ=Asia/Tokyo \
		LC_ALL=C bash -c 'umask 077; elsewhere/tree/scripts/make-deb elsewhere/build two'
	for deb in $debs; do
		check "$deb is the same" cmp "one/$deb" "two/$deb"
	done
fi
stamp=$(stat -c %Y one/inputs)
check "make-deb again" "$top/scripts/make-deb" "$build" one
check "does nothing" [ "$stamp" = "$(stat -c %Y one/inputs)" ]
check "a version that is none" env DEB_VERSION="1 2" bash -c "$(declare -f fails); fails 'DEB_VERSION=1 2: want' $top/scripts/make-deb $build three"
mkdir -p without/linux
cp -R "$build"/{include,libfdt,config} without/
check "without a kernel" fails "linux/Image is not there" "$top/scripts/make-deb" without three

# --- what Debian's policy says ---

check "lintian" lintian --pedantic --display-info --fail-on error,warning,info,pedantic --allow-root one/*.changes

# --- what is in them ---

mkdir root lists
for deb in $debs; do
	dpkg-deb -x "one/$deb" root
	name=${deb#./}
	dpkg-deb -c "one/$deb" | awk '{ print $1, $2, $6 }' | grep -v dbgsym > "lists/${name%%_*}"
done
check "all files are root's" bash -c "! grep -v ' root/root ' lists/*"
check "nobody but root writes to them" bash -c "! grep -hE '^[^l]....w|^[^l].......w' lists/*"
check "the tools' files" diff "$here/contents" <(cut -d ' ' -f 1,3 lists/pavise-tools | sed -n 's,\./\(.*[^/]\)$,\1,p')
dpkg-deb --ctrl-tarfile one/pavise-tools_*.deb | tar x -C lists
check "what is in /etc is the administrator's" diff <(grep '^-' lists/pavise-tools | grep -o ' \./etc/.*' | cut -c 3- | sort) <(sort lists/conffiles)
for f in root/usr/sbin/{xl,xenstored,xenconsoled} root/usr/bin/xenstore; do
	check "${f#root} needs no library" bash -c "riscv64-linux-gnu-readelf -hl $f > elf && grep -q 'Machine: *RISC-V' elf && ! grep -qE 'INTERP|DYNAMIC' elf"
	check "${f#root} tells nothing of where it was made" bash -c "! grep -aqF '$top' $f && ! grep -aqF '$build' $f"
done
check "the hypervisor is an Image" bash -c "dd if=root/boot/pavise.bin bs=1 skip=56 count=4 status=none | grep -q RSC"
check "the bootloader's initramfs has its init" bash -c "zcat root/usr/lib/pavise/bootloader.cpio.gz | grep -aq init"
check "a driver domain's xl.conf names files that are there" bash -c "sed -n 's/^bootloader_[kr].* = \"\(.*\)\"/root\1/p' root/etc/xen/xl.conf | { n=0; while read -r f; do [ -e \$f ] || exit 1; n=\$((n + 1)); done; [ \$n = 2 ]; }"
check "completion is bash" bash -n root/usr/share/bash-completion/completions/xl

# --- units ---

units=root/usr/lib/systemd/system
mine=$(cd $units && ls)
for dir in /lib/systemd/system /usr/lib/systemd/system; do
	[ ! -d $dir ] || cp -R -n $dir/. $units/
done
for dir in bin sbin usr/bin; do
	mkdir -p root/$dir
done
for program in bin/sh bin/rm bin/mount sbin/modprobe bin/modprobe; do
	cp /bin/true root/$program
done
for unit in $mine; do
	check "$unit" bash -c "SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no --recursive-errors=no --root=$out/root /usr/lib/systemd/system/$unit 2>&1 |
		tee verified && [ ! -s verified ]"
done
# systemd stops what requires a unit when it stops or restarts that: guests would go with xenstored.
check "nobody requires another" bash -c "cd $units && ! grep -nE '^(Requires|Requisite|BindsTo|PartOf|StopPropagatedFrom)=' $(echo $mine)"
check "guests are shut down before what they need goes" bash -c "for n in xenstored.service xenconsoled.service xen-minder.service network-online.target remote-fs.target; do
	grep -qE \"^After=(.* )?\$n( |\$)\" $units/xendomains.service || exit 1; done"
check "a stop of xendomains spares supervisors" grep -qx KillMode=process $units/xendomains.service
check "an upgrade stops or restarts neither xendomains nor xenstored" bash -c "! grep -E 'deb-systemd-invoke .*(restart|_dh_action).*(xendomains|xenstored)' lists/postinst &&
	! grep -E 'upgrade.*deb-systemd-invoke|deb-systemd-invoke.*stop' lists/preinst lists/postinst 2> /dev/null && grep -q 'remove' lists/prerm"
check "guests.conf is what EnvironmentFile= reads" bash -c "! grep -vE '^(#.*|[A-Z_]+=[0-9]+)?$' root/etc/xen/guests.conf"
settings() { sed -n 's/^#\{0,1\}\([a-z_]*\) = .*/\1/p' "$1" | sort; }
check "xl.conf names what the small dom0's does" diff <(settings root/etc/xen/xl.conf) <(settings "$top/dom0-tools/rootfs/etc/xen/xl.conf")
check "the rest of guests.conf is what the small dom0 has" diff <(grep -E '^[A-Z]' root/etc/xen/guests.conf) <(grep -E '^[A-Z]' "$top/dom0-tools/rootfs/etc/xen/guests.conf")

# --- scripts ---

check "shellcheck: what is in the packages" shellcheck -S warning -s sh -e SC1007 root/usr/libexec/pavise/*
check "shellcheck: hotplug scripts" shellcheck -S warning -s sh -e SC2034,SC2154,SC1091 $(find root/etc/xen/scripts -type f)
check "shellcheck: the packages' own" shellcheck -S warning "$top"/packaging/debian/*.{preinst,postinst,prerm,postrm} "$top/scripts/make-deb"
exit $failures
