#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# save and restore: what a guest is afterwards, and who is refused. Usage: test_xl_save.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

cat >s.cfg <<-END
	name = "s"
	kernel = "$root/Image"
	memory = 16
	on_reboot = "destroy"
END
uuid() { "$out/fake-xl" list -v "$1" | grep -Eo '[0-9a-f]{8}-[0-9a-f-]{27}'; }

snapshot >before
check "create" xl create -q s.cfg
wait_for runs s
id=$(xl domid s)
uuid=$(uuid s)
xenstore-write "/local/domain/$id/data/count" 12345 "/local/domain/$id/data/a/b" x "/local/domain/$id/control/feature-own" 1 \
	"/local/domain/$id/device/mine" no "/local/domain/$id/data/dom0s" no
xenstore-chmod "/local/domain/$id/data/count" "b$id" n0
xenstore-chmod "/local/domain/$id/data/dom0s" n0 "r$id"
xenstore-chmod "/local/domain/$id/control/feature-own" "n$id"
# As a guest on pvabi's runtime has one
xenstore-control watch-add "$id" control/shutdown "its token" >/dev/null
says 0 "s: 16 MiB of memory" xl save s s.save
check "it is gone" gone s
check "nothing but the file is left" wait_for clean
check "for its owner only" [ "$(stat -c %a s.save)" = 600 ]
check "no temporary file" [ "$(ls -d s.save*)" = s.save ]

check "restore" xl restore s.save
check "it runs" wait_for runs s
now=$(xl domid s)
check "with its UUID" [ "$(uuid s)" = "$uuid" ]
check "with a generation of its own" [ "$(xenstore-read "/local/domain/$now/control/generation" | wc -c)" = 37 ]
says 0 12345 xenstore-read "/local/domain/$now/data/count"
says 0 x xenstore-read "/local/domain/$now/data/a/b"
says 0 1 xenstore-read "/local/domain/$now/control/feature-own"
says 1 "" xenstore-read "/local/domain/$now/device/mine"
says 1 "" xenstore-read "/local/domain/$now/data/dom0s"
says 0 "(b$now)" xenstore-ls -p "/local/domain/$now/data"
check "a node of its own is for itself" sh -c "xenstore-ls -p /local/domain/$now/data | grep 'b = \"x\"' | grep -q '(n$now)'"
says 0 "-1 control/shutdown" xenstore-control watch "$now" 0
says 0 "its token" xenstore-control watch "$now" 0
says 0 "watches 1 " xenstore-control connection "$now"
check "the file stays" [ -s s.save ]
says 1 "a domain called 's' exists already" xl restore s.save
check "one of it" [ "$("$out/fake-xl" list | grep -c '^s ')" = 1 ]

# A watch that another domain's number is in
xenstore-control watch-add "$now" "/local/domain/0/backend/vbd/$now" t >/dev/null
says 1 "'s' watches /local/domain/0/backend/vbd/$now in xenstore, which cannot be carried yet" xl save s f.save
check "it runs on" runs s
check "and there is no file" no_file f.save
xl destroy s
check "create" xl create -q s.cfg vcpus=3
wait_for runs s
check "vcpu-set" xl vcpu-set -i s 2

# --- -c, -p, a paused one; the name and memory of now ---

says 0 "16 MiB of memory" xl save -c s c.save
check "-c: it runs on" runs s
says 0 "16 MiB of memory" xl save -p s c.save
check "-p: it is paused" paused s
xl unpause s
check "once only" runs s
xl pause s
says 0 "16 MiB of memory" xl save -c s c.save
check "who was paused stays so" paused s
xl unpause s
xl rename s other
says 0 "other: 16 MiB of memory" xl save other c.save
check "restore -p" xl restore -p c.save
check "under its last name" paused other
xl destroy other
printf 'name = "third"\nkernel = "%s"\nmemory = 16\nvcpus = 3\n' "$root/Image" >third.cfg
check "with another configuration" xl restore -e third.cfg c.save
check "which counts" runs third
xl destroy third
check "nothing is left" wait_for clean

# --- what cannot be ---

says 2 "Usage: xl [-v] save" xl save s
says 2 "-c and -p exclude each other" xl save -c -p s f
says 2 "Usage: xl [-v] restore" xl restore
says 1 "cannot save domain 0" xl save 0 f
says 1 "'nobody' is an invalid domain identifier" xl save nobody f
says 1 "none: No such file or directory" xl restore none
says 1 "$root: Is a directory" xl restore "$root"
check "create" xl create -q s.cfg
wait_for runs s
says 1 "none/f: No such file or directory" xl save s none/f
says 1 "/dev/null is there and no regular file" xl save s /dev/null
# Each reason of the hypervisor's
for reason in "18 shares memory or event channels with another guest" "31 mapped other guests' memory" \
	"19 a device's interrupt" "6 given up a page" "38 this hypervisor cannot"; do
	export FAKE_STATE="${reason%% *}"
	says 1 "${reason#* }" xl save s f.save
	unset FAKE_STATE
	check "it runs on" runs s
	check "and there is no file" no_file f.save
done
check "config-update" xl config-update s memory=20
says 1 "give the one that it runs with" xl save s f.save
says 0 "16 MiB" xl save -c s f.save s.cfg
rm f.save
xl destroy s
check "a guest with devices" xl create -q a.cfg
says 1 "'a' has disks or interfaces, and does not offer to suspend itself" xl save a f.save
check "runs on" wait_for runs a
xl destroy a
wait_for clean

end_of_cases
