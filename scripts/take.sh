# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# For scripts that make a small tree of a few of Debian's programs; to be sourced.
#
#	take_from ROOT TREE LIB LOADER	from what unpack-debian has made in ROOT, into TREE: libraries into its directory LIB, the loader into LOADER
#	take FILE DEST			copies FILE as DEST, and all the libraries that it loads and that are not there yet
take_from()
{
	take_root=$1 take_tree=$2 take_lib=$3 take_loader=$4
	mkdir -p "$take_tree/$take_lib" "$take_tree/$take_loader"
}

take()
{
	cp "$take_root/$1" "$take_tree/$2"
	local name to
	for name in $(riscv64-linux-gnu-readelf -d "$take_root/$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'); do
		case $name in
		ld-*) to=$take_loader/$name ;;
		*) to=$take_lib/$name ;;
		esac
		[ -e "$take_tree/$to" ] || take "usr/lib/riscv64-linux-gnu/$name" "$to"
	done
}
