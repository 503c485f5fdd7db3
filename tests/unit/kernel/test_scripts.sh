#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# guest-kernel-patches/scripts on a pretended kernel: configure stops at each option that did not come out as asked for,
# prepare-source at a patch that needs fuzz, and it writes only what changed; the series for the next kernel is complete.
# Usage: test_scripts.sh <directory for its files>.
set -eu
top=$(readlink -f "$(dirname "$0")/../../..")
scripts=$top/guest-kernel-patches/scripts
out=$(mktemp -d "$1/scripts.XXXXXX")
trap 'rm -rf "$out"' EXIT
cd "$out"

fail()
{
	echo "FAIL: $*" >&2
	[ ! -f said ] || cat said >&2
	exit 1
}

# --- configure: this kernel knows A, B and C; C selects B, and A depends on D, which it does not have.
mkdir -p kernel/scripts/kconfig
cat > kernel/Makefile <<'END'
tinyconfig:
	: > $(O)/.config
olddefconfig:
	sed -i -e '/CONFIG_A=y/d' -e '/CONFIG_UNKNOWN/d' $(O)/.config
	if grep -q CONFIG_C=y $(O)/.config; then sed -i '/CONFIG_B/d' $(O)/.config; echo CONFIG_B=y >> $(O)/.config; fi
END
cat > kernel/scripts/kconfig/merge_config.sh <<'END'
#!/bin/bash
shift 3
for f; do
	while IFS== read -r option value; do
		case $option in CONFIG_*) sed -i "/$option[= ]/d" "$PWD/.config"; echo "$option=$value" >> "$PWD/.config" ;; esac
	done < "$f"
done
sed -i 's/^\(CONFIG_.*\)=n$/# \1 is not set/' "$PWD/.config"
END
chmod +x kernel/scripts/kconfig/merge_config.sh

# configure OPTIONS... [+ OPTIONS...]: with one fragment, or two
configure()
{
	rm -rf build ./*.config
	local f=1.config
	for o; do
		if [ "$o" = + ]; then f=2.config; else echo "$o" >> $f; fi
	done
	"$scripts/configure" "$out/kernel" "$out/build" "$out"/*.config > said 2>&1
}

configure CONFIG_B=y "CONFIG_TEXT=\"a b\"" CONFIG_D=n || fail "what came out as asked for is refused"
configure CONFIG_C=y CONFIG_B=n + CONFIG_B=y || fail "a later fragment does not overrule an earlier one"
! configure CONFIG_B=y CONFIG_A=y || fail "CONFIG_A, whose dependency is not met, is not missed"
grep -q "asked for CONFIG_A=y, the configuration has: nothing" said || fail "what is missing is not named"
! configure CONFIG_UNKNOWN=y || fail "an option that is not there is not missed"
! configure CONFIG_C=y CONFIG_B=n || fail "an option that is on and should not be"
grep -q "asked for CONFIG_B=n, the configuration has: CONFIG_B=y" said || fail "what is on is not named"

# --- prepare-source
mkdir -p tree/linux/lib patches
printf '%s\n' one two three four five six seven > tree/linux/lib/a.c
printf '%s\n' 1 2 3 > tree/linux/lib/b.c
tar -C tree -cJf kernel.tar.xz linux
cp -r tree/linux old
sed -i 's/four/FOUR/' tree/linux/lib/a.c
diff -u --label a/lib/a.c --label b/lib/a.c old/lib/a.c tree/linux/lib/a.c > patches/0001-four.patch || true
sed -i 's/2/two/' tree/linux/lib/b.c
diff -u --label a/lib/b.c --label b/lib/b.c old/lib/b.c tree/linux/lib/b.c > patches/0002-two.patch || true

prepare() { "$scripts/prepare-source" "$out/kernel.tar.xz" "$out/o" "$@" > said 2>&1; }
prepare patches/0001-four.patch patches/0002-two.patch || fail "it does not apply"
grep -q FOUR o/src/lib/a.c && grep -q two o/src/lib/b.c || fail "it is not applied"
touch -d 2001-01-01 o/src/lib/a.c o/src/lib/b.c
prepare patches/0001-four.patch || fail "a patch taken away"
[ "$(cat o/src/lib/b.c)" = "$(cat old/lib/b.c)" ] || fail "the patch that was taken away is still there"
[ "$(stat -c %Y o/src/lib/a.c)" = "$(date -d 2001-01-01 +%s)" ] || fail "a file that did not change was written"
sed -i 's/^ one/ eins/' patches/0001-four.patch
! prepare patches/0001-four.patch || fail "a patch that needs fuzz was applied"
grep -q "0001-four.patch does not apply" said || fail "the patch that does not apply is not named"
! "$scripts/prepare-source" "$out/none.tar.xz" "$out/o" patches/0002-two.patch > said 2>&1 || fail "no source"
grep -q "none.tar.xz is missing" said || fail "the source that is not there is not named"

# --- each patch of the series is in that for the next kernel, by itself or with another of its name, in order
rm -f said
for list in "$top"/guest-kernel-patches/linux-*/series; do
	diff <(cd "$top/guest-kernel-patches/linux-6.12" && ls [0-9]*.patch) <(sed 's,.*/,,' "$list") > said || fail "$list is not 6.12's series"
	while read -r patch; do
		[ -f "$(dirname "$list")/$patch" ] || fail "$list: there is no $patch"
	done < "$list"
	for own in "$(dirname "$list")"/[0-9]*.patch; do
		grep -qxF "${own##*/}" "$list" || fail "$list does not name ${own##*/}"
	done
done
