# SPDX-License-Identifier: BSD-2-Clause
"""A guest's kernel from its own disk (bootloader=): the menus, an upgrade from inside, disks that are not what they should be."""
import re

import pytest

CFG = """name = "own"
bootloader = "pygrub"
extra = "from=config"
memory = 96
disk = [ "format=raw, vdev=xvda, access=rw, target={target}" ]
{more}
"""

EXTLINUX = """# the guest's own
DEFAULT first
LABEL first
  MENU LABEL The first kernel
  LINUX ../vmlinuz-1
  APPEND root=/dev/xvda1 rw console=hvc0 mark=one
LABEL second
  LINUX /boot/vmlinuz-1
  APPEND root=/dev/xvda1 rw console=hvc0 mark=two
"""

GRUB = """set default="1>1"
menuentry 'Plain' --id plain { linux /boot/vmlinuz-1 root=/dev/xvda1 mark=plain }
submenu 'More' --id more {
	menuentry 'A' --id a { linux /boot/vmlinuz-1 root=/dev/xvda1 mark=a }
	menuentry 'B' --id b {
		if [ x$grub_platform = xxen ]; then insmod xzio; fi
		search --no-floppy --set=root --label demo
		linux /boot/vmlinuz-1 root=/dev/xvda1 rw console=hvc0 mark=b
	}
}
"""

# The demo's disk, as the first partition of one, with a kernel of its own
SETUP = """
mkdir -p /images/own /tmp/mnt
cd /images/own
truncate -s 80M disk
printf 'n\\np\\n1\\n2048\\n\\nw\\n' | fdisk disk >/dev/null
losetup -P /dev/loop6 disk
cat /images/demo.img >/dev/loop6p1
mount /dev/loop6p1 /tmp/mnt
mkdir -p /tmp/mnt/boot/extlinux
cp /images/boot/Image /tmp/mnt/boot/vmlinuz-1
"""
DONE = """
umount /tmp/mnt
losetup -d /dev/loop6
"""


def write(m, path, text):
    m.shell.write_file(f"/images/own/{path}", text)


def config(m, target="/images/own/disk", more=""):
    write(m, "own.cfg", CFG.format(target=target, more=more))
    return "xl create -q /images/own/own.cfg"


@pytest.fixture
def own(dom0):
    yield dom0
    dom0.shell.try_run("xl destroy own", 60)
    dom0.script("umount /tmp/mnt 2>/dev/null; losetup -d /dev/loop6 2>/dev/null\nrm -rf /images/own; rmdir /tmp/mnt\n")
    left = dom0.script("ls -A /images/.bootloader 2>/dev/null; xenstore-ls -f /tool/pavise | grep /bootloader; :").strip()
    assert left == "", left


BLS = """mkdir -p /tmp/mnt/loader/entries
for n in $(seq 120); do
	printf 'title Kernel %s\nlinux /boot/vmlinuz-1\noptions root=/dev/xvda1 rw console=hvc0 mark=%s\n' $n $n > /tmp/mnt/loader/entries/k-6.$n.conf
done
mkfifo /tmp/mnt/loader/entries/k-7.conf
"""


def mark(m):
    with m.guest("own", 60, "demo") as guest:
        return re.findall(r"\b(?:mark|from)=(\S+)", guest.run("cat /proc/cmdline"))


@pytest.mark.grows
def test_own_kernel(own):
    """Its menu decides, then a menu that the guest itself has changed, with a kernel that it brought."""
    m = own
    m.script(SETUP)
    write(m, "extlinux.conf", EXTLINUX)
    m.script("cp /images/own/extlinux.conf /tmp/mnt/boot/extlinux/" + DONE)
    out = m.run(config(m), 120)
    assert "own: boots xvda1: /boot/extlinux/extlinux.conf: The first kernel" in out, out
    assert mark(m) == ["one", "config"]
    with m.guest("own", 60, "demo") as guest:
        guest.run("cp /boot/vmlinuz-1 /boot/vmlinuz-2 && rm /boot/vmlinuz-1 && sync", 60)
        guest.run("sed -i 's/^DEFAULT.*/DEFAULT second/; s/vmlinuz-1/vmlinuz-2/' /boot/extlinux/extlinux.conf")
    old = m.domains()["own"][0]
    m.run("xl reboot own", 60)
    m.wait_restarted("own", old)
    assert mark(m) == ["two", "config"]
    assert '"kernel": "xvda1:/boot/vmlinuz-2"' in m.run("xl list -l own")
    # The administrator decides against the menu; by number, and by what is not there.
    m.run("xl shutdown -w own", 90)
    m.run(config(m, more='bootloader_args = [ "--entry=first" ]'), 120)
    assert mark(m) == ["one", "config"]
    m.run("xl destroy own", 60)
    out = m.fails(config(m, more='bootloader_args = [ "--entry=third" ]'), 120)
    assert "it has no entry 'third'" in out, out


def test_grub(own):
    """Debian's menu, with an entry in a submenu; a kernel that is missing; a disk without any."""
    m = own
    m.script(SETUP)
    write(m, "grub.cfg", GRUB)
    m.script("mkdir /tmp/mnt/boot/grub; cp /images/own/grub.cfg /tmp/mnt/boot/grub/" + DONE)
    out = m.run(config(m), 120)
    assert "/boot/grub/grub.cfg: B" in out, out
    assert mark(m) == ["b", "config"]
    with m.guest("own", 60, "demo") as guest:
        guest.run("mv /boot/vmlinuz-1 /boot/gone && sync", 60)
    m.run("xl shutdown -w own", 90)
    out = m.fails(config(m), 120)
    assert re.search(r"own\.cfg:2: bootloader: /images/own/disk: no kernel: /boot/vmlinuz-1: No such file", out), out
    # More entries than a menu has room for: the newest is among them. A pipe is waited for by nobody.
    m.script("losetup -P /dev/loop6 /images/own/disk; mount /dev/loop6p1 /tmp/mnt; mv /tmp/mnt/boot/gone /tmp/mnt/boot/vmlinuz-1\n" + BLS + DONE)
    out = m.run(config(m), 120)
    assert "own: boots xvda1: /loader: Kernel 120" in out, out
    m.run("xl destroy own", 60)
    m.run("truncate -s 4M /images/own/empty")
    out = m.fails(config(m, "/images/own/empty"), 120)
    assert "no kernel: none of its 1 partitions has extlinux.conf" in out, out
    assert [name for name in m.domains() if name.startswith("own")] == []


def test_left_behind(own):
    """Its xl is killed while the disk is read: the next one takes away what is left. Whoever destroys the guest ends the reading."""
    m = own
    m.script("mkdir -p /images/own /tmp/mnt; truncate -s 4M /images/own/empty")
    create = config(m, "/images/own/empty")
    begin = create + """ >/tmp/said 2>&1 &
pid=$!
until xenstore-ls -f /tool/pavise | grep -q /bootloader; do :; done
"""
    m.script(begin + "kill -9 $pid; wait $pid; :")
    assert m.run("ls /images/.bootloader").startswith("own.")
    out = m.fails(create, 120)
    assert "was killed: both go" in out and "no kernel: none of its" in out, out
    m.script(begin + "xl destroy own; wait $pid; :")
    assert re.search(r"bootloader: 'own\.\w{6}\.boot' was destroyed", m.run("cat /tmp/said; rm /tmp/said"))
