#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# scripts/debian/unpack: what it leaves is, for dpkg itself, unpacked packages; and dpkg configures them from there.
# Usage: test_unpack.sh <directory for its files>.
set -eu
top=$(readlink -f "$(dirname "$0")/../../..")
out=$(mktemp -d "$1/unpack.XXXXXX")
trap 'rm -rf "$out"' EXIT
cd "$out"
PATH=$PATH:/usr/sbin:/sbin

fail()
{
	echo "FAIL: $*" >&2
	exit 1
}

# deb NAME VERSION "more fields": the tree NAME/ as a package
deb()
{
	mkdir -p "$1/DEBIAN"
	printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: test\n%b' "$1" "$2" "${3:-}" \
		> "$1/DEBIAN/control"
	(cd "$1" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | xargs -0r md5sum) > "$1/DEBIAN/md5sums"
	dpkg-deb --root-owner-group -Zgzip --build "$1" "$1.deb" > /dev/null
	echo "$out/$1.deb" >> debs
}

mkdir -p base-files/usr/bin base-files/usr/lib base-files/etc base-files/var/lib/dpkg
ln -s usr/bin base-files/bin
ln -s usr/lib base-files/lib
deb base-files 1 'Essential: yes\n'
mkdir -p one/bin one/etc "one/usr/share/a name"
echo program > one/bin/one
chmod 4755 one/bin/one
echo setting > one/etc/one.conf
echo text > "one/usr/share/a name/ü"
mkdir one/DEBIAN
echo /etc/one.conf > one/DEBIAN/conffiles
printf '# what changes there\ninterest-noawait /usr/share/menu\ninterest told\n' > one/DEBIAN/triggers
deb one 1:2.0-1 'Depends: two\n'
mkdir -p two/usr/share/menu
echo entry > two/usr/share/menu/two
deb two 3
echo one > manual

fakeroot "$top/scripts/debian/unpack" root --packages debs --manual manual > said || { cat said; fail "it does not unpack"; }

# --- files
[ -L root/bin ] && [ -f root/usr/bin/one ] || fail "base-files' link was not followed"
[ "$(stat -c %a root/usr/bin/one)" = 4755 ] || fail "mode of /bin/one"
[ "$(cat root/etc/one.conf)" = setting ] && [ ! -e root/etc/one.conf.dpkg-new ] || fail "the conffile is not in its place"

# --- as dpkg sees it
ask() { dpkg-query --admindir=root/var/lib/dpkg "$@"; }
[ "$(ask -W -f '${Package} ${Version} ${db:Status-Status}\n' | sort | paste -sd,)" = \
	"base-files 1 unpacked,one 1:2.0-1 unpacked,two 3 unpacked" ] || fail "states: $(ask -W)"
[ "$(ask -S '/usr/share/a name/ü')" = "one: /usr/share/a name/ü" ] || fail "whose is a file with a space and a letter of two bytes"
ask -L one | grep -qx /etc/one.conf || fail "list of one's files"
[ "$(cat root/var/lib/dpkg/triggers/File)" = "/usr/share/menu one/noawait" ] || fail "trigger on files"
[ "$(cat root/var/lib/dpkg/triggers/told)" = one ] || fail "named trigger"
ask -W -f '${Conffiles}\n' one | grep -qx " /etc/one.conf $(md5sum < root/etc/one.conf | cut -c 1-32)" || fail "conffile's sum"
grep -q '^Package: two$' root/var/lib/apt/extended_states || fail "two came for one: apt should know"
! grep -Eq '^Package: (one|base-files)$' root/var/lib/apt/extended_states || fail "one was asked for"

# --- dpkg goes on from there, without this program
touch log
configure() { dpkg --root="$out/root" --log="$out/log" --force-not-root --force-architecture --no-triggers "$@"; }
configure --configure -a > said 2>&1 || { cat said; fail "dpkg does not configure it"; }
[ -z "$(ask -W -f '${Package} ${db:Status-Status}\n' | grep -v ' installed$')" ] || fail "not installed: $(ask -W)"
[ "$(cat root/etc/one.conf)" = setting ] || fail "the conffile after configuring"
[ -z "$(configure --audit)" ] || fail "audit: $(configure --audit)"
configure --verify one > said || { cat said; fail "verify"; }

# --- errors
echo "$out/two.deb" > debs
! "$top/scripts/debian/unpack" other --packages debs 2> said || fail "base-files may be missing"
grep -q "does not begin with base-files" said || fail "$(cat said)"
printf '%s\n' "$out/base-files.deb" "$out/cut.deb" > debs
head -c 300 one.deb > cut.deb
! "$top/scripts/debian/unpack" third --packages debs > said 2>&1 || fail "half a package is unpacked"
! ls root/var/lib/dpkg/info/.control > /dev/null 2>&1 || fail "something is left"
echo "unpack: all as dpkg leaves it"
