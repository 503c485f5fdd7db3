# SPDX-License-Identifier: BSD-2-Clause
"""A host with KVM in the emulator that Pavise is measured in: Debian's kernel and QEMU for riscv64 (scripts/fetch-kvm) in an
initramfs, with the kernel and the programs that Pavise's guests boot. bench.py's part kvm."""
import os

import machine
from console import Machine

DISK_MIB = 32


class KvmHost:
    """The host on one hart, at its shell. build: the build directory, log: its console's file, extra: for the emulator."""

    def __init__(self, build, log, extra, memory):
        config = machine.Config(build=build, smp=1, native=True, netdev="", kernel=os.path.join(build, "kvm", "Image"),
                                initrd=os.path.join(build, "bench", "kvm.cpio.gz"), dom0_cmdline="nokaslr", extra=list(extra))
        self.memory, self.machine = memory, Machine(config, log, 600)
        self.machine.boot("kvm")
        self.machine.run("test -c /dev/kvm && test -c /dev/vhost-net")

    def versions(self):
        """What a report says of it."""
        kernel = self.machine.run("uname -r").strip()
        qemu = self.machine.run("qemu-system-riscv64 --version | head -n 1").strip()
        return f"KVM's host: Linux {kernel}, {qemu}"

    def command(self, what, devices="", serial="stdio"):
        """The line that runs osbench in a guest."""
        return (f"qemu-system-riscv64 -M virt -accel kvm -cpu host -smp 1 -nodefaults -display none -serial {serial} "
                f"-m {self.memory} -kernel /Image -initrd /osbench.cpio.gz -append 'console=ttyS0 nokaslr bench={what}' {devices}")

    def linux(self, what, devices=""):
        """osbench in a guest; its console."""
        return self.machine.run(self.command(what, devices), 900)

    def block(self):
        """The disk is a file on the host's tmpfs, as Pavise's is on dom0's."""
        self.machine.run(f"dd if=/dev/zero of=/run/disk.img bs=1M count={DISK_MIB} 2>/dev/null", 120)
        return self.linux("block", "-drive if=none,id=disk,format=raw,file=/run/disk.img,cache=none,aio=native "
                          "-device virtio-blk-pci,drive=disk")

    def card(self, last):
        """A tap device on net()'s bridge, with vhost-net; last: the last byte of its address."""
        return ("-netdev tap,id=net,script=/run/ifup,downscript=no,vhost=on "
                f"-device virtio-net-pci,netdev=net,romfile=,mac=52:54:00:12:34:{last:02x}")

    def net(self):
        """The consoles of a guest that talks to the host, and of one that does to another guest; on a bridge of its own, as Pavise's has."""
        m = self.machine
        m.run("brctl addbr bench && ip addr add 10.77.0.1/24 dev bench && ip link set bench up")
        m.shell.write_file("/run/ifup", '#!/bin/sh\nbrctl addif bench "$1" && ip link set "$1" up')
        m.run("chmod 755 /run/ifup; (/osbench serve 7777 < /dev/null > /dev/null 2>&1 &)")
        host = self.linux("net", self.card(0x56))
        m.run(f"({self.command('net-serve', self.card(0x57), serial='null')} < /dev/null > /run/serve.log 2>&1 & echo $! > /run/serve.pid)")
        guest = self.linux("net-guest", self.card(0x58))
        m.run("kill $(cat /run/serve.pid)")
        return host, guest

    def end(self):
        self.machine.send("poweroff -f\n")
        self.machine.ended(120)
