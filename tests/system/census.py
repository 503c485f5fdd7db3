# SPDX-License-Identifier: BSD-2-Clause
"""Everything of a machine that a guest could leave behind, counted."""
import re
import time

# The locks of devices' scripts are there from the first disk and interface on, for good.
COMMAND = r"""
echo '#store'; xenstore-ls -f /
echo '#loops'; losetup -a
echo '#links'; ls /sys/class/net /sys/class/net/xenbr0/brif
echo '#run'; ls -1 /run/xen /run/xen/console /run/xen/minder | grep -v -e '-script.lock$'
echo '#domains'; xl list | cut -c1-45
echo '#backends'; ls /sys/bus/xen-backend/devices
echo '#processes'; ps -o args
echo '#mounts'; cat /proc/mounts
echo '#dom0'; xl debug-keys q
xl dmesg | grep '\] d0: refs' | tail -1
"""

# Comes and goes with the load: kernel workers, what asks here, the DHCP client's tries, a test's timeout until init has
# buried it.
PASSING = re.compile(r"^\[(kworker|xen-balloon|kcompactd|kswapd|jbd2|ext4lazyinit|loop|timeout\])|^\{?ps|^(sh|sleep|udhcpc|losetup|xenstore|xl list)\b")
COUNTS = re.compile(r"refs (\d+), pages (\d+) of \d+, ports (-?\d+), maps (-?\d+)")


def once(m):
    parts, key = {}, None
    if not getattr(m, "has_census", False):
        m.shell.write_file("/root/census", COMMAND)
        m.has_census = True
    for line in m.run("sh /root/census", 120).splitlines():
        if line.startswith("#"):
            key = line[1:]
            parts[key] = []
        elif key and line.strip():
            parts[key].append(line.rstrip())
    parts["processes"] = sorted(p for p in parts["processes"][1:] if not PASSING.search(p))
    # Words of debug keys appear here as well, with (pavise) in front, since it is one console.
    found = COUNTS.search(parts["dom0"][-1])
    assert found, parts["dom0"]
    parts["dom0"] = dict(zip(("refs", "pages", "ports", "maps"), map(int, found.groups())))
    return parts


def take(m):
    """Once it no longer moves: some things go in the background, and then the free pages as well."""
    last = None
    for _ in range(20):
        now = once(m)
        if now == last and -1 not in now["dom0"].values():
            break
        last = now
        time.sleep(0.3)
    now["free"] = m.free_pages()
    return now


def differences(before, after, growth=0):
    """What differs, in words. Free pages may have become fewer by growth."""
    wrong = []
    for key, old in before.items():
        new = after[key]
        if key == "free":
            if not 0 <= old - new <= growth:
                wrong.append(f"{old - new} pages are missing")
        elif isinstance(old, dict):
            wrong += [f"dom0's {k}: {old[k]}, then {new[k]}" for k in old if old[k] != new[k]]
        elif old != new:
            gone, come = [x for x in old if x not in new], [x for x in new if x not in old]
            wrong.append(f"{key}: new {come}, gone {gone}" if gone or come else f"{key}: {new}")
    return wrong
