# SPDX-License-Identifier: BSD-2-Clause
"""The kernel's hardening, its front ends when their driver lets go, and kernels that are not the one of build/linux."""
import os
import re
import shutil
import subprocess

import pytest

from conftest import BUILD, OUT, TOP

DEBUG_KERNEL = os.path.join(BUILD, "linux-debug", "Image")
COMPLAINTS = re.compile(r".*(?:WARNING: |BUG: |KASAN: |UBSAN: |DMA-API: (?!preallocated|debugging)|ODEBUG: |possible .* detected|"
                        r"inconsistent lock state|sleeping function called|suspicious RCU|INFO: task|soft lockup|self-detected stall|detected stalls|"
                        r"Kernel memory protection not selected|in-use memory region).*")

# Linux's own: netfront's wait for the back end reads xenstore in the condition; gnttab_unmap_refs_sync() has a work item on
# its stack that it does not say so of.
LINUX_ITS_OWN = (r"do not call blocking ops.*\n.*WARNING: (?=(.*\n){10,70}?.*xennet_)",
                 r"ODEBUG: object \S+ is on stack.*\n(.*\n){1,2}?.*WARNING: (?=(.*\n){10,70}?.*gnttab_unmap_refs_sync)")


# What pavise.config asks for under "hardening"
HARDENING = ("STRICT_KERNEL_RWX", "RANDOMIZE_BASE", "STACKPROTECTOR_STRONG", "INIT_STACK_ALL_ZERO", "HARDENED_USERCOPY")
CHOSEN = "/sys/firmware/devicetree/base/chosen"


def base(run):
    """Where the kernel has put itself: one of some five hundred places."""
    return re.search(r"\bffffffff[0-9a-f]{8} T _stext\b", run("grep ' _stext$' /proc/kallsyms")).group(0)


def hardened(run):
    """What the kernel that runs there says of itself, soon after its boot."""
    have = run(f"zcat /proc/config.gz | grep -E '^CONFIG_({'|'.join(HARDENING)})='").split()
    assert sorted(have) == sorted(f"CONFIG_{name}=y" for name in HARDENING)
    assert "all tests were successful" in run("dmesg | grep rodata_test")
    assert run("grep -c ' __stack_chk_fail$' /proc/kallsyms").strip() == "1"
    # It had seeds, and has wiped them.
    assert run(f"wc -c < {CHOSEN}/kaslr-seed; tr -d '\\0' < {CHOSEN}/kaslr-seed | wc -c; ls {CHOSEN} | grep -c rng-seed || true").split() == ["8", "0", "0"]


@pytest.mark.grows
def test_hardening(demo):
    """Of a guest's kernel; and dom0, two guests, and each life of one have theirs in places of their own."""
    demo.run("xl create -q name=\\\"mini\\\" kernel=\\\"/images/boot/Image\\\" memory=128 "
             "ramdisk=\\\"/images/test/initrd.gz\\\" extra=\\\"console=hvc0\\\"", 60)
    with demo.guest("demo") as guest:
        hardened(guest.run)
        first = base(guest.run)
    with demo.guest("mini", prompt="guest") as guest:
        places = {first, base(guest.run), base(demo.run)}
    demo.run("xl shutdown -w mini", 60)
    # One life in five hundred is where the one before it was.
    for _ in range(3):
        demo.run("xl shutdown -w demo; xl create -q /etc/xen/demo.cfg", 120)
        with demo.guest("demo", 120) as guest:
            place = base(guest.run)
        if place != first:
            break
    assert place != first
    assert len(places | {place}) >= 3


def rebind(guest, driver, device):
    guest.run(f"echo {device} > /sys/bus/xen/drivers/{driver}/unbind")
    guest.run(f"echo {device} > /sys/bus/xen/drivers/{driver}/bind")


def test_vif_bound_again(demo):
    """The interface comes back each time, and takes no memory with it: a page pool is a megabyte."""
    demo.wait_prompt("demo")
    with demo.guest("demo") as guest:
        rebind(guest, "vif", "vif-0")
        guest.run("ip link set eth0 up; sleep 0.3")
        before = int(guest.run("awk '/MemFree/ { print $2 }' /proc/meminfo"))
        for _ in range(8):
            rebind(guest, "vif", "vif-0")
            guest.run("for i in $(seq 100); do ip link set eth0 up 2>/dev/null && break; sleep 0.1; done; sleep 0.3; "
                      "ip link show eth0 | grep -q LOWER_UP", 60)
        after = int(guest.run("awk '/MemFree/ { print $2 }' /proc/meminfo"))
    assert before - after < 4096, f"{before - after} KiB are missing"


def test_vbd_bound_again(dom0, disk):
    """A disk whose driver was unbound can be read when it is bound again."""
    dom0.run("xl create -q /etc/xen/demo.cfg disk=\\[\\\"/images/demo.img,raw,xvda,rw\\\",\\\"/images/test/data1.img,raw,xvdb,r\\\"\\]", 60)
    with dom0.guest("demo") as guest:
        for _ in range(3):
            assert disk.sha256["data1"] in guest.run("sha256sum /dev/xvdb", 60)
            rebind(guest, "vbd", "vbd-51728")
            guest.run("for i in $(seq 100); do [ -b /dev/xvdb ] && break; sleep 0.1; done; [ -b /dev/xvdb ]")
    dom0.run("xl shutdown -w demo", 60)


def images(name, *files):
    """An image for /images with these files beside those of make disk-tree: (source, name there)."""
    path = os.path.join(OUT, name)
    args = [os.path.join(TOP, "scripts", "mkimage"), "ext4", path, os.path.join(BUILD, "disk"), "--label", "images", "--slack", "64M"]
    for source, there in files:
        args += ["--add", f"{source}:{there}"]
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL)
    return path


def clean(run):
    """No complaint in the kernel's log, and lockdep still at work: it turns itself off after its first report."""
    log = run("dmesg", 60)
    for its_own in LINUX_ITS_OWN:
        log = re.sub(its_own, "", log)
    found = COMPLAINTS.findall(log)
    assert not found, "\n".join(found[:20])
    assert re.search(r"debug_locks: +1\b", run("cat /proc/lockdep_stats"))


DEBUG_GUEST = """\
name = "demo"
kernel = "/images/test/Debug"
ramdisk = "/images/test/initrd.gz"
memory = 640
vcpus = 2
root = "/dev/xvda rw"
extra = "console=hvc0 rdinit=/none"
disk = [ "/images/demo.img,raw,xvda,rw", "/images/test/data1.img,raw,xvdb,r" ]
vif = [ "mac=00:16:3e:00:00:01" ]
"""


@pytest.mark.full
def test_debug_kernel(boot, disk):
    """The series with lockdep, KASAN, UBSAN, RWX protection and KASLR, as dom0 and as a guest whose devices are in use."""
    if not os.path.exists(DEBUG_KERNEL):
        pytest.skip(f"{DEBUG_KERNEL} is not there (make kernel-debug)")
    path = images("debug.img", (DEBUG_KERNEL, "/test/Debug"), (os.path.join(OUT, "data1.img"), "/test/data1.img"),
                  (os.path.join(BUILD, "dom0.cpio.gz"), "/test/initrd.gz"))
    m = boot(image=path, kernel=DEBUG_KERNEL, mem="4G", cmdline="dom0_mem=1536M", dom0_cmdline="pavise.noauto",
             boot_timeout=600).boot()
    m.shell.write_file("/tmp/debug.cfg", DEBUG_GUEST)
    m.run("xl create -q /tmp/debug.cfg", 240)
    m.wait_prompt("demo", 400)
    m.run("ip addr add 192.168.79.1/24 dev xenbr0")
    with m.guest("demo") as guest:
        log = guest.run("dmesg", 60)
        # The ramdisk is behind the kernel's last large page.
        assert "Freeing initrd memory" in log
        assert "Checked W+X mappings: passed" in log
        for _ in range(2):
            assert disk.sha256["data1"] in guest.run("sha256sum /dev/xvdb", 120)
            rebind(guest, "vbd", "vbd-51728")
            guest.run("for i in $(seq 300); do [ -b /dev/xvdb ] && break; sleep 0.1; done; [ -b /dev/xvdb ]", 60)
            rebind(guest, "vif", "vif-0")
            guest.run("dd if=/dev/zero of=/root/zeros bs=64k count=100; sync; rm /root/zeros", 120)
        guest.run("for i in $(seq 300); do ip link set eth0 up 2>/dev/null && break; sleep 0.1; done; "
                  "ip addr add 192.168.79.2/24 dev eth0", 60)
        guest.run("for i in $(seq 30); do ping -c 1 -W 2 192.168.79.1 && break; done && ping -c 3 -s 1000 -W 10 192.168.79.1", 120)
        guest.run("echo 0 > /sys/devices/system/cpu/cpu1/online; echo 1 > /sys/devices/system/cpu/cpu1/online", 60)
        clean(guest.run)
    m.run("xl shutdown -w demo", 240)
    m.run("date -s '2030-01-01 00:00:00'; for i in /proc/irq/*/smp_affinity; do echo 1 > $i; done 2>/dev/null; true", 60)
    clean(m.run)


NEXT = "7.3"


@pytest.fixture(scope="session")
def next_kernel():
    """The series beside 6.12's, applied and built (ten minutes)."""
    out = os.path.join(BUILD, f"linux-{NEXT}")
    made = subprocess.run(["make", "-C", os.path.join(TOP, "guest-kernel-patches"), f"KERNEL_SERIES={NEXT}", f"O={out}", "check", "image"],
                          env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if "fetch-source: no " in made.stdout:
        pytest.skip(made.stdout[-300:])
    assert made.returncode == 0, made.stdout[-3000:]
    return os.path.join(out, "Image")


NEXT_GUEST = """\
name = "demo"
kernel = "/images/test/Next"
memory = 128
vcpus = 2
root = "/dev/xvda rw"
extra = "console=hvc0"
disk = [ "/images/demo.img,raw,xvda,rw", "/images/test/data1.img,raw,xvdb,r" ]
vif = [ "mac=00:16:3e:00:00:01" ]
"""


@pytest.mark.full
def test_next_kernel(boot, disk, next_kernel):
    """It is dom0 and a guest, with its disks and its network in use."""
    path = images("next.img", (next_kernel, "/test/Next"), (os.path.join(OUT, "data1.img"), "/test/data1.img"))
    m = boot(image=path, kernel=next_kernel, dom0_cmdline="pavise.noauto", boot_timeout=240).boot()
    assert m.run("uname -r").startswith(NEXT + ".")
    hardened(m.run)
    m.shell.write_file("/tmp/next.cfg", NEXT_GUEST)
    m.run("ip addr add 192.168.79.1/24 dev xenbr0; xl create -q /tmp/next.cfg", 120)
    with m.guest("demo", 120) as guest:
        assert guest.run("uname -r").startswith(NEXT + ".")
        hardened(guest.run)
        assert disk.sha256["data1"] in guest.run("sha256sum /dev/xvdb", 60)
        guest.run("dd if=/dev/zero of=/root/zeros bs=64k count=100 conv=fsync && rm /root/zeros", 60)
        guest.run("ip link set eth0 up; ip addr add 192.168.79.2/24 dev eth0; "
                  "for i in $(seq 30); do ping -c 1 -W 2 192.168.79.1 && break; done && ping -c 3 -s 1000 -W 10 192.168.79.1", 120)
        guest.run("echo 0 > /sys/devices/system/cpu/cpu1/online; echo 1 > /sys/devices/system/cpu/cpu1/online", 60)
        rebind(guest, "vbd", "vbd-51728")
        guest.run("for i in $(seq 100); do [ -b /dev/xvdb ] && break; sleep 0.1; done; [ -b /dev/xvdb ]", 60)
        found = COMPLAINTS.findall(guest.run("dmesg", 60))
    m.run("xl shutdown -w demo", 120)
    found += COMPLAINTS.findall(m.run("dmesg", 60))
    assert not found, "\n".join(found[:20])
    assert m.poweroff() == 0


@pytest.fixture(scope="session")
def debian_kernel():
    """Debian's riscv64 kernel, unpatched."""
    root = os.path.join(OUT, "debian-kernel")
    boot = os.path.join(root, "boot")

    def found():
        names = [n for n in (os.listdir(boot) if os.path.isdir(boot) else []) if n.startswith("vmlinux-")]
        return os.path.join(boot, names[0]) if names else None

    if not found():
        shutil.rmtree(root, ignore_errors=True)
        got = subprocess.run([os.path.join(TOP, "scripts", "unpack-debian"), root, "linux-image-riscv64"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if got.returncode or not found():
            shutil.rmtree(root, ignore_errors=True)
            pytest.skip("Debian's linux-image-riscv64 cannot be had here: " + got.stderr[-300:])
    return found()


# It has no console but the early one of SBI, so its shell cannot be talked to.
DEBIAN_INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox sleep 3
echo "<1>initramfs: a shell on $(/bin/busybox uname -r), $(/bin/busybox nproc) CPUs, $((6 * 7))" > /dev/kmsg
/bin/busybox sleep 1
/bin/busybox poweroff -f
"""
DEBIAN_GUEST = """\
name = "debian"
kernel = "/images/test/Debian"
ramdisk = "/images/test/debian.gz"
memory = 384
vcpus = 2
extra = "earlycon=sbi keep_bootcon loglevel=5"
on_poweroff = "preserve"
"""


@pytest.mark.full
def test_debian_kernel(boot, debian_kernel):
    """Debian's own kernel (RWX protection, Zawrs): its messages through SBI's console, its CPUs, its ramdisk, a shell, poweroff."""
    tree = os.path.join(OUT, "debian-initramfs")
    os.makedirs(tree, exist_ok=True)
    with open(os.path.join(tree, "init"), "w", encoding="utf-8") as f:
        f.write(DEBIAN_INIT)
    os.chmod(os.path.join(tree, "init"), 0o755)
    ramdisk = os.path.join(OUT, "debian.gz")
    subprocess.run([os.path.join(TOP, "scripts", "mkimage"), "cpio", ramdisk, tree, "--dir", "dev",
                    "--add", os.path.join(BUILD, "busybox", "busybox") + ":/bin/busybox"], check=True, stdout=subprocess.DEVNULL)
    path = images("debian.img", (debian_kernel, "/test/Debian"), (ramdisk, "/test/debian.gz"))
    m = boot(image=path, dom0_cmdline="pavise.noauto").boot()
    m.shell.write_file("/tmp/debian.cfg", DEBIAN_GUEST)
    m.run("xl create -q /tmp/debian.cfg", 120)
    m.run("until xl list debian | grep -q -- '---s'; do sleep 0.5; done", 180)
    log = m.run("xl dmesg", 60)
    assert re.search(r"d\d+.*Linux version \S+-riscv64", log), log[-4000:]
    assert re.search(r"initramfs: a shell on \S+-riscv64, 2 CPUs, 42", log), log[-4000:]
    assert "in-use memory region" not in log
    assert re.search(r" 0 +-$", m.run("xl list -v debian").rstrip(), re.M)  # SHUTDOWN_poweroff
    m.run("xl destroy debian")
