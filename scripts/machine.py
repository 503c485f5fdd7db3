#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The machine that Pavise boots on: its QEMU command line, and a run of it on this terminal.

usage: scripts/machine.py [--print | --check | --keys] [--native | --uboot | --uboot-args]

--print    show the command line instead of running it
--check    only look at the environment
--keys     print the initramfs to boot with: one with SSH_KEY's keys behind it when there are any
--native   the same kernel and initramfs without the hypervisor, on the serial port
--uboot    U-Boot starts the hypervisor from the disk BOOT_DISK (docs/boards.md)
--uboot-args   print pavise.txt of such a disk: the options from CMDLINE and DOM0_CMDLINE

Environment: BUILD (directory), DISK (image for /images), DATA (image for /data, which is kept), KEEP, IMAGES (image for /images that is
kept), DOM0_DISK (a dom0 that has a disk for its root instead of the initramfs: DOM0=debian of make run; with IMAGES it is kept, too), SSH_KEY (public keys that may log in to dom0), SSH_PORT, LINK and SHARED (a second machine's network and disk: docs/migration.md), SMP, MEM,
CPU, QEMU, QEMU_EXTRA, CMDLINE (hypervisor), DOM0_CMDLINE, HYPERVISOR (another build of it). The exit status is QEMU's; the hypervisor chooses it when the machine ends. tests/system builds its
machines with command() as well.
"""
import base64
import errno
import fcntl
import os
import re
import shlex
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass, field

BIOS = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"
UBOOT = "/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin"
KERNEL_ADDR = 0x84000000
INITRD_ADDR = 0x88000000  # or behind a larger kernel

# Options that hold unless the user gives the same one.
CMDLINE = "dom0_mem=512M"
DOM0_CMDLINE = "console=hvc0 nbd.max_part=0"
# dom0 with a disk of its own, which has a distribution on it. Who has this machine's console is root there. A busy host's devices
# may take longer than systemd's 90 s, and the console is one.
DISK_CMDLINE = "dom0_mem=1G"
DISK_DOM0_CMDLINE = (DOM0_CMDLINE + " root=/dev/vda rw systemd.set_credential=agetty.autologin:root"
                     " systemd.set_credential=login.noauth:yes systemd.default_device_timeout_sec=600")
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
    kept: bool = False  # so does the disk
    console_log: str = ""  # a file that gets a copy of what the console says
    native: bool = False
    boot_disk: str = ""  # U-Boot finds hypervisor and modules on it, and their options too
    hypervisor: str = ""
    kernel: str = ""
    initrd: str = ""
    dom0_disk: str = ""  # dom0's root, with the distributions' kernel and no initramfs
    keys: str = ""  # a file with public keys that may log in to dom0
    ssh_port: int = 0  # the port of 127.0.0.1 that leads to dom0's ssh; 0: none
    hostfwd: tuple = ()  # pairs: 127.0.0.1's port, dom0's port (or "ADDRESS:PORT", a guest's)
    netdev: str = "user,id=net,restrict=on"  # what the network card is plugged into; "": no card
    link: tuple = ()  # UDP ports of 127.0.0.1, own and other: the card is plugged into the machine that has them the other way round
    shared: str = ""  # a disk that other machines may have as well
    snapshot: bool = False  # throw away what is written to the disk
    qemu: str = "qemu-system-riscv64"
    extra: list = field(default_factory=list)

    def __post_init__(self):
        if self.hypervisor == "":
            self.hypervisor = os.environ.get("HYPERVISOR") or os.path.join(self.build, "hypervisor", "pavise")
        if self.kernel == "" and self.dom0_disk:
            self.kernel = os.path.join(self.build, "linux-distro", "Image")
        if self.kernel == "":
            self.kernel = os.environ.get("KERNEL_IMAGE") or os.path.join(self.build, "linux", "Image")
        if self.initrd == "" and not self.dom0_disk:
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


def virtio_disk(name, path, snapshot=False, kept=False, shared=False):
    """
    What is kept is on the host's disk when the guest was told so, and gives back there what was discarded. The name is its serial number.
    Machines that share one on this host see the same bytes: it is the host's page cache that they have in common.
    """
    how = "cache=writeback,discard=unmap" if kept else "cache=unsafe"
    return ["-drive", f"if=none,id={name},format=raw,{how},file={quote(path)}" + (",snapshot=on" if snapshot else "")
            + (",file.locking=off" if shared else ""),
            "-device", f"virtio-blk-pci,drive={name},serial={name},disable-legacy=on" + (",share-rw=on" if shared else "")]


def network_card(c):
    """romfile=: no boot ROM, which would need ipxe-qemu. Machines on one link are told apart by their ports."""
    if c.link:
        own, other = c.link
        return ["-netdev", f"socket,id=net,udp=127.0.0.1:{other},localaddr=127.0.0.1:{own}",
                "-device", f"e1000e,netdev=net,romfile=,mac=52:54:00:4c:{own >> 8:02x}:{own & 255:02x}"]
    targets = ((host, guest if ":" in str(guest) else f":{guest}") for host, guest in c.hostfwd)
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-{target}" for host, target in targets)
    return ["-netdev", c.netdev + forwards, "-device", "e1000e,netdev=net,romfile="]


def command(c):
    """The argument vector of a machine whose serial port is stdin and stdout."""
    argv = shlex.split(c.qemu) + [
        "-M", "virt", "-cpu", c.cpu, "-smp", str(c.smp), "-m", c.mem, "-bios", BIOS,
        "-display", "none", "-monitor", "none",
        # signal=off: Ctrl-C and the like belong to the guest
        "-chardev", "stdio,id=console,signal=off" + (f",logfile={quote(c.console_log)}" if c.console_log else ""),
        "-serial", "chardev:console",
    ]
    if c.native:
        argv += ["-kernel", c.kernel, "-initrd", c.initrd,
                 "-append", options(NATIVE_CMDLINE, c.dom0_cmdline)]
    elif c.boot_disk:
        argv += ["-kernel", UBOOT] + virtio_disk("boot", c.boot_disk, c.snapshot)
    else:
        argv += ["-kernel", c.hypervisor, "-append", options(DISK_CMDLINE if c.dom0_disk else CMDLINE, c.cmdline)]
        if c.kernel:
            argv += ["-device", f"guest-loader,addr={KERNEL_ADDR:#x},kernel={quote(c.kernel)},"
                     f"bootargs={quote(options(DISK_DOM0_CMDLINE if c.dom0_disk else DOM0_CMDLINE, c.dom0_cmdline))}"]
        if c.initrd:
            argv += ["-device", f"guest-loader,addr={initrd_addr(c):#x},initrd={quote(c.initrd)}"]
    if c.dom0_disk:
        # The first: vda
        argv += virtio_disk("dom0", c.dom0_disk, c.snapshot and not c.kept, c.kept)
    if c.disk:
        argv += virtio_disk("images", c.disk, c.snapshot and not c.kept, c.kept)
    if c.data:
        argv += virtio_disk("data", c.data, kept=True)
    if c.shared:
        argv += virtio_disk("shared", c.shared, shared=True)
    if c.netdev or c.link:
        argv += network_card(c)
    return argv + list(c.extra)


def fail(sentence):
    sys.exit(f"machine.py: {sentence}")


# --- disks that are kept -----------------------------------------------------------------------------

SIZE = re.compile(r"[1-9][0-9]*[kKMGT]?")


def bytes_of(size):
    return int(size.rstrip("kKMGT")) << {"k": 10, "K": 10, "M": 20, "G": 30, "T": 40}.get(size[-1], 0)


def in_use(path):
    """Does another QEMU write to this image? It holds locks on bytes from 100 on (QEMU's "image locking")."""
    with open(path, "rb+") as f:
        flock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 100, 200, 0)
        found = fcntl.fcntl(f, fcntl.F_OFD_GETLK, flock)
    return struct.unpack("hhqqi4x", found)[0] != fcntl.F_UNLCK


def lock(path):
    """The image is this process's for as long as the descriptor that it returns is open; ends this when it is another's."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        busy = in_use(path)
    except BlockingIOError:
        busy = True
    except OSError as e:
        fail(f"{path}: {e.strerror}")
    if busy:
        fail(f"{path} is another machine's at the moment: end that one, or give this one its own (IMAGES=FILE, DATA=FILE)")
    return fd


def check_kept(variable, path, label):
    """Can this be the disk of that label? One that is not there will be made."""
    say = f"{variable}={path}: "
    if not os.path.lexists(path):
        parent = os.path.dirname(os.path.abspath(path))
        ours = os.path.abspath(os.environ.get("BUILD") or "build") + os.sep
        if (parent + os.sep).startswith(ours):
            return
        if not os.path.isdir(parent):
            fail(say + f"there is no directory {parent}")
        try:
            tempfile.TemporaryFile(dir=parent).close()
        except OSError as e:
            fail(say + f"it is not there, and cannot be made in {parent}: {e.strerror}")
        return
    try:
        with open(path, "rb+") as f:
            if not os.path.isfile(path) and not stat.S_ISBLK(os.fstat(f.fileno()).st_mode):
                raise OSError(errno.EINVAL, "it is neither a file nor a block device")
            f.seek(1024)
            superblock = f.read(1024)
    except OSError as e:
        fail(say + e.strerror)
    if superblock[56:58] != b"\x53\xef" or not superblock[92] & 4:  # s_magic; has_journal: ext2 has none
        fail(say + "it is no ext4 image. One that is not there will be made: give another name, or take this file away")
    there = superblock[120:136].split(b"\0")[0].decode(errors="replace")
    if there != label:
        fail(say + f"its label is '{there}', but dom0 looks for '{label}'. If it is meant: /sbin/e2label {path} {label}")
    os.close(lock(path))


def uuid_of(path):
    """How dom0 knows this disk from one that a guest has given the same label; "" when there is none yet."""
    if not path or not os.path.exists(path):
        return ""
    with open(path, "rb") as f:
        f.seek(1024)
        superblock = f.read(1024)
    return str(uuid.UUID(bytes=superblock[104:120])) if superblock[56:58] == b"\x53\xef" else ""


def has_keys(path):
    """Is there an authorized_keys on the kept disk? Then dom0 answers ssh."""
    tool = shutil.which("debugfs", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not tool or not path or not os.path.exists(path):
        return False
    done = subprocess.run([tool, "-R", "stat /etc/authorized_keys", path], check=False, capture_output=True)
    return b"Inode: " in done.stdout


# --- ssh ---------------------------------------------------------------------------------------------

KEY = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+ AAAA[A-Za-z0-9+/]+=*( .*)?")


def check_keys(path):
    """Public keys, one a line. What is said here is what dom0 could only say after the boot."""
    say = f"SSH_KEY={path}: "
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read(1 << 20)
    except OSError as e:
        fail(say + e.strerror + ("; ssh-keygen -t ed25519 makes a pair of keys" if e.errno == errno.ENOENT else ""))
    if "PRIVATE KEY-----" in text or text.startswith("PuTTY-User-Key-File"):
        beside = path + ".pub" if os.path.exists(path + ".pub") else "ssh-keygen -y prints it"
        fail(say + f"this is the private key, which stays where it is. The public one is wanted: {beside}")
    keys = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    wrong = [line for line in keys if not KEY.fullmatch(line)]
    if wrong or not keys:
        fail(say + "no public key of ssh's" + (f": '{wrong[0][:40]}…'" if wrong and wrong[0].isprintable() else "")
             + "; a line begins with ssh-ed25519, ssh-rsa or the like")
    return path


def initrd_with_keys(c, keys):
    """dom0's initramfs and behind it another one with the keys: Linux unpacks all that there are."""
    out = os.path.join(c.build, "run")
    os.makedirs(out, exist_ok=True)
    more, both = os.path.join(out, "keys.cpio.gz"), os.path.join(out, "dom0-keys.cpio.gz")
    mkimage = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mkimage")
    subprocess.run([mkimage, "cpio", more, "--add", f"{keys}:/etc/dropbear/authorized_keys", "--always"], check=True,
                   stdout=subprocess.DEVNULL)
    with open(both, "wb") as f:
        for part in (c.initrd, more):
            with open(part, "rb") as g:
                shutil.copyfileobj(g, f)
    return both


def port_is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def check_port(text, wanted):
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text) or int(text) > 65535:
        fail(f"SSH_PORT={text}: want a TCP port of this machine, such as SSH_PORT=2222")
    if wanted and not port_is_free(int(text)):
        fail(f"SSH_PORT={text}: that port of 127.0.0.1 is taken, or needs root. Another one: SSH_PORT={(int(text) + 1) % 65536 or 2222}")
    return int(text)


# --- a second machine --------------------------------------------------------------------------------

def check_link(text):
    """The two ports of LINK=."""
    found = re.fullmatch(r"([1-9][0-9]{0,4}):([1-9][0-9]{0,4})", text)
    ports = tuple(int(n) for n in found.groups()) if found else ()
    if not found or max(ports) > 65535 or ports[0] == ports[1]:
        fail(f"LINK={text}: want two UDP ports of this machine, this one's and the other one's, such as LINK=7001:7002 here and LINK=7002:7001 there")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.bind(("127.0.0.1", ports[0]))
        except OSError as e:
            fail(f"LINK={text}: port {ports[0]} of 127.0.0.1: {e.strerror}. Is it the other machine's? Then it is LINK={ports[1]}:{ports[0]} here")
    return ports


def check_shared(path, others):
    """A disk that is no machine's own."""
    say = f"SHARED={path}: "
    try:
        with open(path, "rb+") as f:
            size = f.seek(0, os.SEEK_END)
    except OSError as e:
        fail(say + e.strerror + (f"; truncate -s 1G {shlex.quote(path)} makes an empty one" if e.errno == errno.ENOENT else ""))
    if not size or size % 512:
        fail(say + f"it has {size} bytes; a disk has a multiple of 512")
    if any(other and os.path.exists(other) and os.path.samefile(path, other) for other in others):
        fail(say + "that is this machine's own disk already")
    return path


# --- what the user gives -----------------------------------------------------------------------------

def kept_images(env):
    """The file that is kept for /images; "" when it is made anew for each run."""
    keep, images = env.get("KEEP", ""), env.get("IMAGES", "")
    if keep not in ("", "0", "1"):
        fail(f"KEEP={keep}: want KEEP=1, which keeps the disk /images from run to run, or nothing")
    if keep == "0" and images:
        fail(f"IMAGES={images} names a disk to keep, KEEP=0 says that none is kept: leave out one of them")
    return images


def from_environment(flags):
    env = os.environ
    if env.get("DOM0_DISK") and flags & {"--uboot", "--native"}:
        fail("DOM0=debian is for make run alone")
    if "--uboot" in flags and not env.get("BOOT_DISK"):
        fail("--uboot needs the disk to boot from in BOOT_DISK (make run-uboot makes one)")
    smp, mem = env.get("SMP") or "2", env.get("MEM") or "2G"
    if not re.fullmatch(r"[1-9][0-9]{0,2}", smp):
        fail(f"SMP={smp}: want a number of harts, such as SMP=2")
    if not SIZE.fullmatch(mem):
        fail(f"MEM={mem}: want a size, such as MEM=2G")
    images, data = kept_images(env), env.get("DATA", "")
    if images and env.get("DISK") and os.path.realpath(images) == os.path.realpath(env["DISK"]):
        fail(f"IMAGES={images}: this is the disk that make run without KEEP=1 makes anew; to keep what is on it, copy it to another name first")
    for variable, path, label in ("IMAGES", images, "images"), ("DATA", data, "data"):
        if path:
            check_kept(variable, path, label)
    grow = env.get("IMAGES_SIZE", "")
    if grow and (not SIZE.fullmatch(grow) or not 64 << 20 <= bytes_of(grow) <= 16 << 40):
        fail(f"IMAGES_SIZE={grow}: want a size from 64M to 16T, such as IMAGES_SIZE=20G")
    try:
        extra = shlex.split(env.get("QEMU_EXTRA", ""))
    except ValueError as e:
        fail(f"QEMU_EXTRA: {e}")
    config = Config(build=env.get("BUILD", "build"), smp=int(smp), mem=mem, data=data, kept=bool(images),
                    cpu=env.get("CPU") or "rv64", cmdline=env.get("CMDLINE", ""),
                    dom0_cmdline=env.get("DOM0_CMDLINE", ""), disk=images or env.get("DISK", ""), native="--native" in flags,
                    boot_disk=env["BOOT_DISK"] if "--uboot" in flags else "", dom0_disk=env.get("DOM0_DISK", ""),
                    qemu=env.get("QEMU") or "qemu-system-riscv64",
                    extra=extra)
    if env.get("LINK"):
        config.link = check_link(env["LINK"])
    if env.get("SHARED"):
        config.shared = check_shared(env["SHARED"], (config.disk, config.data, config.dom0_disk))
    if not config.native:
        for name, path in ("images", config.disk), ("data", config.data):
            found = uuid_of(path) if path else "none"
            config.dom0_cmdline += f" pavise.{name}={found}" if found and not config.dom0_disk else ""
        ssh_from_environment(config, env)
    return config


def ssh_from_environment(config, env):
    """The forwarded port and the keys: none unless somebody may log in."""
    keys = os.path.expanduser(env.get("SSH_KEY", ""))
    if keys:
        config.keys = check_keys(keys)
    disks = [config.data, config.disk if config.kept else ""]
    if config.link:
        # The port is one of the user network, whose place the link has taken.
        if env.get("SSH_PORT"):
            fail("SSH_PORT= leads to dom0 by QEMU's user network, LINK= to another machine alone: leave out one of them")
    elif keys or env.get("SSH_PORT") or any(map(has_keys, disks)):
        config.ssh_port = check_port(env.get("SSH_PORT") or "2222", wanted=True)
        config.hostfwd = ((config.ssh_port, 22),)
    if config.ssh_port and not config.dom0_disk:
        config.dom0_cmdline += f" pavise.ssh={config.ssh_port}"
    elif keys and config.dom0_disk:
        config.dom0_cmdline += key_credential(keys)


def key_credential(path):
    """systemd's way for keys to root: a kernel's command line has 1023 characters for all."""
    with open(path, "rb") as f:
        word = " systemd.set_credential_binary=ssh.authorized_keys.root:" + base64.b64encode(f.read()).decode()
    if len(word) > 700:
        fail(f"SSH_KEY={path}: too long for dom0's command line; an ed25519 key is short")
    return word


def ssh_command(c):
    private = c.keys[:-len(".pub")] if c.keys.endswith(".pub") else ""
    return "ssh " + (f"-i {shlex.quote(private)} " if private else "") + f"-p {c.ssh_port} root@127.0.0.1"


def tell(c):
    """What differs from run to run, before the boot's messages."""
    if c.dom0_disk:
        print(f"dom0 is the Debian on {os.path.relpath(c.dom0_disk)}, " + ("which is kept." if c.kept else "made anew by each run: KEEP=1 keeps it."))
    if c.kept:
        print(f"/images is {os.path.relpath(c.disk)}, which is kept" + ("." if c.data or c.dom0_disk else ", with dom0's settings and logs."))
    elif c.disk:
        print("/images is made anew by each run: KEEP=1 keeps it."
              + (f" What is in /data stays, in {os.path.relpath(c.data)}." if c.data else ""))
    if c.ssh_port:
        print(f"Once dom0 is up: {ssh_command(c)}")
    if c.link:
        print(f"The network card leads to the machine with LINK={c.link[1]}:{c.link[0]}, and nowhere else.")
    if c.console_log:
        print(f"The console's text is in {os.path.relpath(c.console_log)}, the last run's beside it in .1.")
    sys.stdout.flush()


def run(config):
    """Boots it; QEMU's exit status. What is kept is ours until then."""
    held = [lock(path) for path in ((config.disk, config.dom0_disk) if config.kept else ()) + (config.data,) if path]
    if config.disk:
        config.console_log = os.path.join(config.build, "run", f"console-{config.link[0]}.log" if config.link else "console.log")
        os.makedirs(os.path.dirname(config.console_log), exist_ok=True)
        if os.path.exists(config.console_log):
            os.replace(config.console_log, config.console_log + ".1")
    if config.keys and not config.boot_disk and not config.dom0_disk:
        config.initrd = initrd_with_keys(config, config.keys)
    tell(config)
    argv = command(config)
    try:
        status = subprocess.run(argv, check=False).returncode
    except FileNotFoundError:
        fail(f"there is no {argv[0]}: install it (make deps) or name another (QEMU=)")
    except KeyboardInterrupt:
        status = 130
    for fd in held:
        os.close(fd)
    words = EXIT_WORDS.get(status, "QEMU itself ended" if status != 0 else "")
    print(f"\nQEMU's exit status is {status}: {words}.", flush=True)
    return status if status >= 0 else 128 - status


def main():
    flags = set(sys.argv[1:])
    if flags - {"--print", "--check", "--native", "--uboot", "--uboot-args", "--keys"}:
        sys.exit(__doc__)
    config = from_environment(flags)
    if "--uboot-args" in flags:
        print(uboot_args(config), end="")
        return 0
    if "--check" in flags:
        return 0
    if "--keys" in flags:
        print(initrd_with_keys(config, config.keys) if config.keys else config.initrd)
        return 0
    if sys.stdin.isatty() and sys.stdout.isatty() and "pavise.tty" not in config.dom0_cmdline:
        size = os.get_terminal_size()
        config.dom0_cmdline += f" pavise.tty={size.lines}x{size.columns}"
    if "--print" in flags:
        print(shlex.join(command(config)))
        return 0
    return run(config)


if __name__ == "__main__":
    sys.exit(main())
