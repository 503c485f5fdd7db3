#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Says where promtool is: this machine's, or the one of Debian's package, which is unpacked in DIR and not installed: that
# would bring a server that starts. Fails where neither can be had. Usage: promtool.sh DIR.
command -v promtool && exit
if [ ! -x "$1/usr/bin/promtool" ]; then
	{ mkdir -p "$1" && cd "$1" && apt-get -q download prometheus && dpkg-deb -x prometheus_*.deb .; } >&2 || exit 1
fi
echo "$1/usr/bin/promtool"
