#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# guest-kernel-patches/scripts/package on a pretended kernel build: contents, fields, scripts, and that it is the same each time.
# Usage: test_package.sh <directory for its files>.
set -eu
top=$(readlink -f "$(dirname "$0")/../../..")
out=$(mktemp -d "$1/package.XXXXXX")
trap 'rm -rf "$out"' EXIT
cd "$out"

fail()
{
	echo "FAIL: $*" >&2
	exit 1
}

version=6.12.99-pavise
mkdir -p src build/include/config build/arch/riscv/boot
echo $version > build/include/config/kernel.release
echo image > build/arch/riscv/boot/Image
echo CONFIG_X=y > build/.config
echo symbols > build/System.map
cat > src/Makefile <<END
modules_install:
	mkdir -p \$(INSTALL_MOD_PATH)/lib/modules/$version/kernel
	echo module > \$(INSTALL_MOD_PATH)/lib/modules/$version/kernel/x.ko
	touch \$(INSTALL_MOD_PATH)/lib/modules/$version/modules.{order,builtin,builtin.modinfo,dep,dep.bin,alias,builtin.alias.bin}
	ln -s /nowhere \$(INSTALL_MOD_PATH)/lib/modules/$version/build
END
sed -i '1i SHELL := /bin/bash' src/Makefile
package() { "$top/guest-kernel-patches/scripts/package" src "$out/build" "$@"; }

package "$out/a" > said || { cat said; fail "it does not pack"; }
sleep 1.1
umask 027
package "$out/b" > said
umask 022
deb=linux-image-${version}_6.12.99-1_riscv64.deb
[ -f a/$deb ] || fail "its name: $(ls a)"
cmp a/$deb b/$deb || fail "the same kernel made another package"
[ "$(ls a | paste -sd,)" = "$deb,linux-image.deb" ] || fail "left behind: $(ls a)"
[ "$(dpkg-deb -f a/linux-image.deb Package Version Architecture Depends | paste -sd,)" = \
	"Package: linux-image-$version,Version: 6.12.99-1,Architecture: riscv64,Depends: kmod" ] || fail "fields: $(dpkg-deb -f a/linux-image.deb)"

dpkg-deb -c a/$deb | awk '{ print $1, $2, $6 }' > list
for want in "-rw-r--r-- root/root ./boot/vmlinux-$version" "-rw-r--r-- root/root ./boot/config-$version" \
	"-rw------- root/root ./boot/System.map-$version" "-rw-r--r-- root/root ./usr/lib/modules/$version/kernel/x.ko" \
	"-rw-r--r-- root/root ./usr/lib/modules/$version/modules.builtin" "drwxr-xr-x root/root ./usr/lib/modules/$version/"; do
	grep -qxF -e "$want" list || { cat list; fail "no $want"; }
done
! grep -E 'modules\.(dep|alias)|builtin\.alias|/build$| \./lib/' list || fail "that should not be in it"

mkdir control
dpkg-deb -e a/$deb control
for script in preinst postinst prerm postrm; do
	sh -n control/$script || fail $script
	grep -q "run-parts .* /etc/kernel/$script.d" control/$script || fail "$script calls no hooks"
done
grep -q '^depmod ' control/postinst || fail "nobody calls depmod"
(mkdir tree && cd tree && dpkg-deb -x ../a/$deb . && md5sum -c --quiet ../control/md5sums) || fail "sums"

# A second build of the same version is another version of the package; the first goes from the directory.
REVISION=2 package "$out/a" > said
[ "$(dpkg-deb -f a/linux-image.deb Version)" = 6.12.99-2 ] && [ "$(ls a | wc -l)" = 2 ] || fail "REVISION=2: $(ls a)"
! REVISION='x y' package "$out/a" > said 2>&1 || fail "REVISION='x y' is taken"
grep -q "REVISION=x y" said || fail "$(cat said)"
echo "package: the same each time, with what it should have"
