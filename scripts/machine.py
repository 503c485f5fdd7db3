#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The machine that Pavise boots on: its QEMU command line, and a run of it on this terminal.

usage: scripts/machine.py [--print | --check] [--native | --uboot | --uboot-args]

--print    show the command line instead of running it
--check    only look at the environment
--native   the same kernel and initramfs without the hypervisor, on the serial port
--uboot    U-Boot starts the hypervisor from the disk BOOT_DISK (docs/boards.md)
--uboot-args   print pavise.txt of such a disk: the options from CMDLINE and DOM0_CMDLINE

Environment: BUILD (directory), DISK (image for /images), DATA (image for /data, which is kept), SMP, MEM, CPU, QEMU, QEMU_EXTRA,
CMDLINE (hypervisor), DOM0_CMDLINE, HYPERVISOR (another build of it). The exit status is QEMU's; the hypervisor chooses it when the
machine ends. tests/system builds its machines with command() as well.
"""
import fcntl
import os
import re
import shlex
import struct
import subprocess
import sys
from dataclasses import dataclass, field

BIOS = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"
UBOOT = "/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin"
KERNEL_ADDR = 0x84000000
INITRD_ADDR = 0x88000000  # or behind a larger kernel

# Options that hold unless the user gives the same one.
CMDLINE = "dom0_mem=512M"
DOM0_CMDLINE = "console=hvc0"
NATIVE_CMDLINE = "console=ttyS0"

DOM0_CRASHED = 42
HYPERVISOR_DIED = 43
EXIT_WORDS = {
    0: "the machine was powered off",
    DOM0_CRASHED: "dom0 crashed; the reason is above",
    HYPERVISOR_DIED: "the hypervisor stopped the machine; the reason is above",
}


@dataclass
class Config:
    """What can differ between machines. None for a module leaves it out."""

    build: str
    smp: int = 2
    mem: str = "2G"
    cpu: str = "rv64"
    cmdline: str = ""
    dom0_cmdline: str = ""
    disk: str = ""
    data: str = ""  # keeps what is written to it, snapshot or not
    native: bool = False
    boot_disk: str = ""  # U-Boot finds hypervisor and modules on it, and their options too
    hypervisor: str = ""
    kernel: str = ""
    initrd: str = ""
    hostfwd: tuple = ()  # pairs: 127.0.0.1's port, dom0's port (or "ADDRESS:PORT", a guest's)
    netdev: str = "user,id=net,restrict=on"  # what the network card is plugged into; "": no card
    snapshot: bool = False  # throw away what is written to the disk
    qemu: str = "qemu-system-riscv64"
    extra: list = field(default_factory=list)

    def __post_init__(self):
        if self.hypervisor == "":
            self.hypervisor = os.environ.get("HYPERVISOR") or os.path.join(self.build, "hypervisor", "pavise")
        if self.kernel == "":
            self.kernel = os.path.join(self.build, "linux", "Image")
        if self.initrd == "":
            self.initrd = os.path.join(self.build, "dom0.cpio.gz")


def options(default, given):
    """Both, without the defaults that given names too."""
    names = {word.split("=")[0] for word in given.split()}
    return " ".join([w for w in default.split() if w.split("=")[0] not in names] + given.split())


def quote(value):
    """A comma ends a value in QEMU's options unless it is doubled."""
    return str(value).replace(",", ",,")


def initrd_addr(c):
    """Where the ramdisk of a machine goes: modules may not overlap."""
    size = os.path.getsize(c.kernel) if c.kernel and os.path.exists(c.kernel) else 0
    return max(INITRD_ADDR, (KERNEL_ADDR + size + 0x1fffff) // 0x200000 * 0x200000)


def uboot_args(c):
    """What scripts/uboot/boot.cmd reads from pavise.txt."""
    return (f"pavise_args={options(CMDLINE, c.cmdline)}\n"
            f"dom0_args={options(DOM0_CMDLINE, c.dom0_cmdline)}\n")


def virtio_disk(name, path, snapshot):
    return ["-drive", f"if=none,id={name},format=raw,cache=unsafe,file={quote(path)}" + (",snapshot=on" if snapshot else ""),
            "-device", f"virtio-blk-pci,drive={name},disable-legacy=on"]


def command(c):
    """The argument vector of a machine whose serial port is stdin and stdout."""
    argv = shlex.split(c.qemu) + [
        "-M", "virt", "-cpu", c.cpu, "-smp", str(c.smp), "-m", c.mem, "-bios", BIOS,
        "-display", "none", "-monitor", "none",
        # signal=off: Ctrl-C and the like belong to the guest
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
    ]
    if c.native:
        argv += ["-kernel", c.kernel, "-initrd", c.initrd,
                 "-append", options(NATIVE_CMDLINE, c.dom0_cmdline)]
    elif c.boot_disk:
        argv += ["-kernel", UBOOT] + virtio_disk("boot", c.boot_disk, c.snapshot)
    else:
        argv += ["-kernel", c.hypervisor, "-append", options(CMDLINE, c.cmdline)]
        if c.kernel:
            argv += ["-device", f"guest-loader,addr={KERNEL_ADDR:#x},kernel={quote(c.kernel)},"
                     f"bootargs={quote(options(DOM0_CMDLINE, c.dom0_cmdline))}"]
        if c.initrd:
            argv += ["-device", f"guest-loader,addr={initrd_addr(c):#x},initrd={quote(c.initrd)}"]
    if c.disk:
        argv += virtio_disk("images", c.disk, c.snapshot)
    if c.data:
        argv += virtio_disk("data", c.data, False)
    if c.netdev:
        targets = ((host, guest if ":" in str(guest) else f":{guest}") for host, guest in c.hostfwd)
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-{target}" for host, target in targets)
        # romfile=: no boot ROM, which would need ipxe-qemu
        argv += ["-netdev", c.netdev + forwards, "-device", "e1000e,netdev=net,romfile="]
    return argv + list(c.extra)


def in_use(path):
    """Does another QEMU write to this image? It holds locks on bytes from 100 on (QEMU's "image locking")."""
    with open(path, "rb+") as f:
        flock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 100, 200, 0)
        found = fcntl.fcntl(f, fcntl.F_OFD_GETLK, flock)
    return struct.unpack("hhqqi4x", found)[0] != fcntl.F_UNLCK


def from_environment(flags):
    env = os.environ
    if "--uboot" in flags and not env.get("BOOT_DISK"):
        sys.exit("machine.py: --uboot needs the disk to boot from in BOOT_DISK (make run-uboot makes one)")
    smp, mem = env.get("SMP") or "2", env.get("MEM") or "2G"
    if not re.fullmatch(r"[1-9][0-9]{0,2}", smp):
        sys.exit(f"machine.py: SMP={smp}: want a number of harts, such as SMP=2")
    if not re.fullmatch(r"[1-9][0-9]*[kKMGT]?", mem):
        sys.exit(f"machine.py: MEM={mem}: want a size, such as MEM=2G")
    data = env.get("DATA", "")
    try:
        busy = data and os.path.exists(data) and in_use(data)
    except OSError as e:
        sys.exit(f"machine.py: DATA={data}: {e.strerror}")
    if busy:
        sys.exit(f"machine.py: {data} is another machine's at the moment: end that one, or give this one its own (DATA=FILE)")
    try:
        extra = shlex.split(env.get("QEMU_EXTRA", ""))
    except ValueError as e:
        sys.exit(f"machine.py: QEMU_EXTRA: {e}")
    return Config(build=env.get("BUILD", "build"), smp=int(smp), mem=mem, data=data,
                  cpu=env.get("CPU") or "rv64", cmdline=env.get("CMDLINE", ""),
                  dom0_cmdline=env.get("DOM0_CMDLINE", ""), disk=env.get("DISK", ""), native="--native" in flags,
                  boot_disk=env["BOOT_DISK"] if "--uboot" in flags else "",
                  qemu=env.get("QEMU") or "qemu-system-riscv64",
                  extra=extra)


def main():
    flags = set(sys.argv[1:])
    if flags - {"--print", "--check", "--native", "--uboot", "--uboot-args"}:
        sys.exit(__doc__)
    config = from_environment(flags)
    if "--uboot-args" in flags:
        print(uboot_args(config), end="")
        return 0
    if "--check" in flags:
        return 0
    if sys.stdin.isatty() and sys.stdout.isatty() and "pavise.tty" not in config.dom0_cmdline:
        size = os.get_terminal_size()
        config.dom0_cmdline += f" pavise.tty={size.lines}x{size.columns}"
    argv = command(config)
    if "--print" in flags:
        print(shlex.join(argv))
        return 0
    try:
        status = subprocess.run(argv, check=False).returncode
    except FileNotFoundError:
        sys.exit(f"machine.py: there is no {argv[0]}: install it (make deps) or name another (QEMU=)")
    except KeyboardInterrupt:
        status = 130
    words = EXIT_WORDS.get(status, "QEMU itself ended" if status != 0 else "")
    print(f"\nQEMU's exit status is {status}: {words}.", flush=True)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
