# SPDX-License-Identifier: BSD-2-Clause
# A second pretended host beside xl_lib.sh's, for the test_xl_migrate*.sh; to be sourced after it. It sees a directory of its own in
# the place of the first one's, with a xenstored, a hypervisor and back ends of its own; $shared is in both.
# shellcheck shell=sh
if [ -z "${OWN_ROOT-}" ] || ! command -v nsenter >/dev/null; then
	echo "# no permission to mount: there cannot be two hosts, and nothing of them is tested"
	exit 0
fi
shared=$sockets
other=$out/roots/${0##*/}-other
rm -rf "$other"
mkdir -p "$other"
quiet_disks "$root"
echo 11111111-1111-1111-1111-111111111111 >boot_id
cat >s.cfg <<-END
	name = "s"
	kernel = "$root/Image"
	memory = 16
	on_reboot = "destroy"
END
cat >sleep.cfg <<-END
	name = "sleep"
	kernel = "$root/Image"
	memory = 16
	on_reboot = "destroy"
	disk = [ "format=raw, vdev=xvda, access=rw, target=$shared/sleep.img", "vdev=xvdc, devtype=cdrom, target=" ]
	vif = [ "mac=00:16:3e:00:00:01", "bridge=xenbr0" ]
END
cp disk.img "$shared/sleep.img"
cp -a . "$other"
rm -rf "$other/hv" "$other"/run/* "$other"/log/* "$other"/loops/*
mkdir -p "$other/log/console"
echo 22222222-2222-2222-2222-222222222222 >"$other/boot_id"
sed -i "s|XENSTORED_PATH=$XENSTORED_PATH|XENSTORED_PATH=$shared/xs2|" "$other"/scripts/*

# shellcheck disable=SC2016
unshare -m sh -c 'mount --bind "$1" "$2" && : >"$1/mounted" && exec sleep 7200' - "$other" "$root" &
holder=$!
pids="$pids $holder"
wait_for test -e "$other/mounted" || exit 1
# over COMMAND...: on the second host; back: on the first, from the second
cat >"$shared/over" <<END
#!/bin/sh
exec nsenter -t $holder -m env FAKE_HV=$root/hv XENSTORED_PATH=$shared/xs2 sh -c 'cd $root && exec "\$@"' - "\$@"
END
cat >"$shared/back" <<END
#!/bin/sh
exec nsenter -t $$ -m env FAKE_HV=$root/hv XENSTORED_PATH=$XENSTORED_PATH sh -c 'cd $root && exec "\$@"' - "\$@"
END
# As ssh: HOST xl ARGUMENT...
for way in over back; do
	cat >"$shared/link-$way" <<-END
		#!/bin/sh
		shift 2
		exec $shared/$way $out/fake-xl "\$@"
	END
done
chmod +x "$shared/over" "$shared/back" "$shared"/link-*
link=$shared/link-over
link_back=$shared/link-back
over() { "$shared/over" "$@"; }
xl2() { "$shared/over" "$out/fake-xl" "$@"; }

# shellcheck disable=SC2086
"$shared/over" xenstored -F $no_domains --pid-file none --socket "$shared/xs2" >xenstored2.log 2>&1 &
xs2=$!
pids="$pids $xs2"
wait_for over xenstore-ls / || { cat xenstored2.log; exit 1; }
"$shared/over" "$out/fake-backend" "$root/log/console" "$root/net" >backend2.log 2>&1 &
pids="$pids $!"
over "$out/fake-hv" next 40
check "init-dom0 of the second host" xl2 init-dom0
xl2 create -q a.cfg >output 2>&1 && xl2 destroy a

runs() { "$out/fake-xl" list "$1" | grep -q -- -b----; }
runs2() { xl2 list "$1" | grep -q -- -b----; }
paused() { "$out/fake-xl" list "$1" | grep -Eq -- '-[b-]p'; }
paused2() { xl2 list "$1" | grep -Eq -- '-[b-]p---'; }
uuid2() { xl2 list -v "$1" | grep -Eo '[0-9a-f]{8}-[0-9a-f-]{27}'; }
uuid() { "$out/fake-xl" list -v "$1" | grep -Eo '[0-9a-f]{8}-[0-9a-f-]{27}'; }
offers() { [ "$(xenstore-read "/local/domain/$(xl domid "$1")/control/feature-suspend")" = 1 ]; }
states='device/vbd/51712/state device/vif/0/state device/vif/1/state'
connected() {
	d=$(xl domid "$1") || return 1
	for s in $states; do [ "$(xenstore-read "/local/domain/$d/$s")" = 4 ] || return 1; done
}
connected2() {
	d=$(xl2 domid "$1") || return 1
	for s in $states; do [ "$(over xenstore-read "/local/domain/$d/$s")" = 4 ] || return 1; done
}
snapshot2() {
	over xenstore-ls / 2>/dev/null
	xl2 info | grep -E 'free_pages'
	xl2 list | awk 'NR > 1 { print $1, $2 }'
	ls "$other/loops" "$other/net"
}
clean2() {
	snapshot2 >now2
	cmp -s before2 now2 || { diff before2 now2; return 1; }
}
# Whoever was killed may have children that have not closed what he had locked: xl minder comes again every few seconds.
settled2() {
	xl2 minder b >/dev/null 2>&1
	clean2
}
# Whoever is asked, or has come, knows nothing any more.
no_notes() { ! ls "$root"/run/migrate/* "$other"/run/migrate/* 2>/dev/null | grep .; }
sane2() { ! grep -l 'ERROR: AddressSanitizer\|runtime error' "$other"/log/*.log backend2.log 2>/dev/null; }
# s runs there, and its source has not heard of it.
source_gone_behind_go() {
	KILL_AT="source after GO" "$out/fake-xl" migrate -s "$link" s there >said 2>&1
	check "it runs there" wait_for runs2 s
}
snapshot >before
snapshot2 >before2
