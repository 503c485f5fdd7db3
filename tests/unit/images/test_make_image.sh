#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# scripts/debian: wrong settings end it before anything is fetched; run-setup with a pretended QEMU; make-config's keys.
# Usage: test_make_image.sh <directory for its files>.
set -eu
top=$(readlink -f "$(dirname "$0")/../../..")
debian=$top/scripts/debian
out=$(mktemp -d "$1/make-image.XXXXXX")
trap 'rm -rf "$out"' EXIT
cd "$out"

fail()
{
	echo "FAIL: $*" >&2
	exit 1
}

# refuses "what it says" command…: it ends with an error, that one, and nothing is made
refuses()
{
	want=$1
	shift
	! env MIRROR=http://localhost:9/ "$@" > said 2>&1 || fail "not refused: $*"
	grep -qF -- "$want" said || { cat said; fail "$* should say: $want"; }
	[ ! -e disk.img ] || fail "$* made a disk"
}

touch Image
mkdir cache
make="$debian/make-image disk.img cache --kernel"
refuses "there is no kernel 'nothing'" $make nothing
refuses "there is no package 'none.deb'" $make Image --deb none.deb
refuses "there is no package 'none.deb'" $make Image --deb Image --deb none.deb
refuses "there is no directory 'none'" $make Image --files none
mkdir build
refuses "linux-distro/linux-image.deb is not there" "$debian/make-dom0" build
refuses "usage: scripts/debian/make-dom0 BUILD" "$debian/make-dom0"
refuses "DEBIAN_SIZE=big" DEBIAN_SIZE=big $make Image
refuses "DEBIAN_SUITE=../x" DEBIAN_SUITE=../x $make Image
refuses "DEBIAN_LIST=nowhere" DEBIAN_LIST=nowhere $make Image
refuses "'-o=x' is no package's name" DEBIAN_PACKAGES="nano -o=x" $make Image
refuses "what is --cold?" $make Image --cold
(
	flock 8
	refuses "another make-image is at work" $make Image
) 8> cache/lock
refuses "apt's mirror gave no list" $make Image

# --- run-setup: a QEMU that says what the machine would
cat > qemu <<'END'
#!/bin/sh
printf 'OpenSBI\r\nSetting up one (1) ...\r\nSetting up two (2) ...\r\n'
cat "$(dirname "$0")/says"
END
chmod +x qemu
printf 'image: done\r\n' > says
QEMU=$out/qemu "$debian/run-setup" disk Image 2 log > said || fail "run-setup: $(cat said)"
grep -q "Setting up two" log || fail "the log has not all"
printf 'dpkg: error\r\nimage: failed: dpkg could not configure all packages\r\n' > says
refuses "failed: dpkg could not configure all packages" QEMU="$out/qemu" "$debian/run-setup" disk Image 2 log
: > says
refuses "the machine ended" QEMU="$out/qemu" "$debian/run-setup" disk Image 2 log

# --- make-config
SSH_KEY='' "$debian/make-config" plain
[ "$(readlink plain/auto/debian.cfg)" = ../debian.cfg ] || fail "it does not start with dom0"
! grep -q authorized_keys plain/debian.cfg || fail "a key that nobody gave"
printf '# mine\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq4 me & you|\n' > key.pub
SSH_KEY=key.pub "$debian/make-config" keyed
coded=$(sed -n 's/^extra = ".*ssh.authorized_keys.root:\([A-Za-z0-9+\/=]*\)"$/\1/p' keyed/debian.cfg)
[ "$(echo "$coded" | base64 -d)" = "$(tail -n 1 key.pub)" ] || fail "the key in debian.cfg: $coded"
refuses "no public key" SSH_KEY=Image "$debian/make-config" keyed
printf 'ssh-rsa %01000d me\n' 0 > key.pub
refuses "too long" SSH_KEY=key.pub "$debian/make-config" keyed
echo "make-image: what is wrong is said before anything is made"
