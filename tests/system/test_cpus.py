# SPDX-License-Identifier: BSD-2-Clause
"""Other numbers of harts and other CPUs. Features go in pairs, not in all combinations."""
import functools
import os
import re
import subprocess
import time

import pytest

import conftest
import fdt
import machine
import newest

OFF = {
    "Sstc and Svpbmt": "sstc svpbmt",
    "Zbb and Svinval": "zbb svinval",
    "Zba and Zihintpause": "zba zihintpause",
    "all that is not needed": "sstc svpbmt svinval svnapot svadu zba zbb zbc zbs zihintpause zicbom zicboz zawrs "
                              "zfa zicond",
}
ON = {
    "Svpbmt and Svinval": "svpbmt svinval",
    "all there is": "sstc svpbmt svinval svnapot svadu zba zbb zbc zbs zihintpause zicbom zicboz zawrs zfh zfa "
                    "zicond sscofpmf smstateen zk v",
}


@functools.cache
def known_features():
    """What this QEMU can switch, by the lower-case name: older ones know less, and other spellings."""
    text = subprocess.run([conftest.QEMU, "-M", "none", "-device", "rv64-riscv-cpu,help"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return {name.lower(): name for name in re.findall(r"^ *([A-Za-z][A-Za-z0-9_]*)=<bool>", text, re.M)}


def cpu(features, value):
    known = known_features()
    return "rv64" + "".join(f",{known[f]}={value}" for f in features.split() if f in known)


def works(m, more=None):
    """dom0 and demo both run, with a disk, and end in order."""
    m.boot()
    if more:
        more(m)
    with m.guest("demo", 120) as guest:
        guest.run("df / && dd if=/dev/zero of=/root/x bs=64k count=16 conv=fsync && rm /root/x", 60)
        guest.run("sleep 0.1")
    assert m.poweroff() == 0


@pytest.mark.parametrize("features", OFF)
def test_without(boot, features):
    works(boot(cpu=cpu(OFF[features], "off")))


@pytest.mark.parametrize("features", ON)
def test_with(boot, features):
    works(boot(cpu=cpu(ON[features], "on")))


# --- CPU models that newer QEMUs have --------------------------------------------------------------

@pytest.fixture
def newest_qemu():
    qemu, why = newest.fetch()
    if not qemu:
        pytest.skip(why)
    return qemu


def models(qemu):
    """What this QEMU has for its virt machine: name → (ISA string, whether there is an MMU)."""
    found, blob = {}, os.path.join(conftest.OUT, "model.dtb")
    listing = subprocess.run([qemu, "-cpu", "help"], check=True, stdout=subprocess.PIPE, text=True).stdout
    for name in re.findall(r"^  ([a-z][a-z0-9-]*)$", listing, re.M):
        if subprocess.run([qemu, "-M", f"virt,dumpdtb={blob}", "-cpu", name, "-display", "none"], check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            continue  # 32 bits only, or not for this machine
        with open(blob, "rb") as f:
            cpu = fdt.parse(f.read())["cpus/cpu@0"]
        mmu = cpu.string("mmu-type") if "mmu-type" in cpu.props else "riscv,none"
        found[name] = (cpu.string("riscv,isa"), mmu != "riscv,none")
    return found


@pytest.mark.parametrize("model", ["rva23s64", "max"])
def test_newer_model(boot, newest_qemu, model):
    def reach(m):
        out = m.run("xl create -q -w /dev/null name=\\\"bare\\\" memory=32 vcpus=2 kernel=\\\"/images/test/reach\\\"", 60)
        assert "all as expected" in out, out

    m = boot(qemu=newest_qemu, cpu=model)
    works(m, reach)
    text = m.seen()
    # The longest strings there are come whole, and what is not for guests is not in theirs.
    isa = "".join(re.findall(r"\(pavise\) ISA: (.*)", text))
    assert isa == models(newest_qemu)[model][0]
    told = "".join(re.findall(r"\(pavise\) ISA for guests: (.*)", text))
    assert {"zawrs", "zicboz", "svinval", "sstc"} <= set(told.split("_"))
    assert not re.search(r"_(zk|zkr|sh\w+|sm\w+|ssaia|ssstateen|svadu)\b", told)
    assert set(told.split("_")[0][4:]) & set("vh") == {"v"} and "_zvbb_" in told
    assert second_stage(m) == ("a fault" if model == "rva23s64" else "set by hardware")


def vmids(m):
    found = re.search(r"\(pavise\) features: .*, ([^,]*VMID.*)", m.seen())
    assert found, "nothing is said of VMIDs"
    return found.group(1).strip()


def second_stage(m):
    """What becomes of a clear A or D there."""
    found = re.search(r"\(pavise\) clear A or D in the second stage: (.*)", m.seen())
    assert found and "second stage on hart" not in m.seen(), "nothing is said of A and D, or harts differ"
    return found.group(1).strip()


@pytest.mark.parametrize("option, said", [("", r"14 VMID bits"), ("vmid-bits=1", r"1 of 14 VMID bits"),
                                          ("vmid-bits=0", r"VMIDs off \(vmid-bits=0\)")])
def test_vmids(boot, newest_qemu, option, said):
    """A QEMU that forgets translations when hgatp changes passes the trial; with one number each switch takes it from another."""
    m = boot(qemu=newest_qemu, cmdline=option)
    works(m)
    assert re.fullmatch(said, vmids(m))
    assert second_stage(m) == "set by hardware"


def test_vmids_that_do_not_work(boot):
    """QEMU 7.2 takes VMIDs and goes on with the last guest's translations: what the trial is for."""
    version = subprocess.run([conftest.QEMU, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    if not re.search(r"version 7\.", version):
        pytest.skip("needs a QEMU that does not look at hgatp")
    m = boot(cmdline="vmid-bits=14")
    m.boot()
    assert vmids(m) == "VMIDs off: there are 14 bits, and the trial failed"
    # Its walks of guests' tables are what the other trial is for.
    assert second_stage(m) == "set by hardware, no D for walks of guests' tables, which write where they must not"
    assert m.poweroff() == 0


@pytest.mark.full
def test_every_model(boot, newest_qemu):
    """dom0 and a guest on each CPU that has H; on the others a sentence that says what is missing."""
    ran = []
    for name, (isa, mmu) in models(newest_qemu).items():
        if not isa.startswith("rv64") or not mmu:
            continue
        m = boot(qemu=newest_qemu, cpu=name, boot_timeout=240)
        if "h" in isa[4:].split("_")[0]:
            works(m)
        else:
            assert m.ended(120) == machine.HYPERVISOR_DIED
            assert "no hypervisor (H) extension" in m.seen()
        ran.append(name)
    print("ran on:", " ".join(ran))
    assert {"rv64", "max", "rva23s64"} <= set(ran)


# --- other machines --------------------------------------------------------------------------------

def dumped(name, change, argv):
    """The FDT of QEMU's virt machine with these options, changed; the file's name."""
    path = os.path.join(conftest.OUT, name + ".dtb")
    subprocess.run([conftest.QEMU, "-M", f"virt,dumpdtb={path}", "-display", "none"] + argv, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(path, "rb") as f:
        root = fdt.parse(f.read())
    change(root)
    with open(path, "wb") as f:
        f.write(fdt.pack(root))
    return path


def add_cpu(root, like, number, **props):
    """A CPU node in front of the others, as boards have them for a monitor core. Its name and phandles are its own."""
    cpus = root["cpus"]
    node = fdt.parse(fdt.pack(cpus[like]))
    node.name = f"cpu@{number:x},{len(cpus.children)}"
    node.set_cells("reg", [number])
    for i, n in enumerate(n for n in node.walk() if "phandle" in n.props):
        n.set_cells("phandle", [0x1000 + 16 * len(cpus.children) + i])
    for name, value in props.items():
        node.set_string(name.replace("_", "-"), value)
    cpus.children.insert(0, node)


def test_harts_of_many_kinds(boot):
    """A disabled hart, one without MMU, one that firmware does not know and one that it does not start are not used; of the
    others' extensions, what both have is."""

    def change(root):
        boot_isa = root["cpus/cpu@0"].string("riscv,isa")
        # Half of the harts can do what the other half cannot.
        assert "_zba_" in boot_isa and "_zbb_" in boot_isa
        root["cpus/cpu@0"].set_string("riscv,isa", boot_isa.replace("_zba_", "_"))
        assert boot_isa.startswith("rv64imafdcvh_")
        root["cpus/cpu@1"].set_string("riscv,isa", boot_isa.replace("_zbb_", "_").replace("vh_", "h_"))
        # Each has two nodes: firmware does not start one that runs.
        add_cpu(root, "cpu@1", 1)
        add_cpu(root, "cpu@0", 0)
        # More than OpenSBI has places for: it disables that node.
        add_cpu(root, "cpu@1", 0x1000)
        add_cpu(root, "cpu@1", 3, mmu_type="riscv,none")
        add_cpu(root, "cpu@1", 2, status="disabled")

    path = dumped("many-kinds", change, ["-cpu", "rv64,v=true", "-smp", "2", "-m", "2G"])
    m = boot(cpu="rv64,v=true", extra=["-dtb", path], dom0_cmdline="pavise.noauto").boot()
    assert m.run("nproc").strip() == "2"
    assert m.info("nr_cpus") == "2"
    cpus = m.run("ls /proc/device-tree/cpus; cat /proc/device-tree/cpus/cpu@?/riscv,isa | tr '\\0' '\\n'")
    assert sorted(re.findall(r"cpu@\w+", cpus)) == ["cpu@0", "cpu@1"]
    isa = re.findall(r"^rv64\S+", cpus, re.M)
    assert len(isa) == 2 and isa[0] == isa[1]
    assert "zba" not in isa[0] and "zbb" not in isa[0] and "_zbc" in isa[0]
    assert "v" not in isa[0].split("_")[0][4:]
    text = m.seen()
    assert "(pavise) vectors:" not in text
    assert "hart 2 is not used: it is disabled" in text
    assert "hart 3 is not used: it is without an MMU" in text
    assert "hart 4096 is not used: it is disabled" in text
    assert re.search(r"hart [01] does not start \(SBI error -\d+\)", text)
    assert "2 harts running" in text
    assert m.poweroff() == 0


@pytest.mark.full
def test_two_sockets(boot, newest_qemu):
    """Each has a PLIC: the UART is on the first one, PCI on the other (whose interrupts QEMU 7.2 loses, natively as well)."""
    numa = ["-object", "memory-backend-ram,id=m0,size=1G", "-object", "memory-backend-ram,id=m1,size=1G",
            "-numa", "node,cpus=0,memdev=m0", "-numa", "node,cpus=1,memdev=m1"]
    m = boot(qemu=newest_qemu, extra=numa)
    works(m)
    assert "190 physical interrupt sources" in m.seen()


@pytest.mark.parametrize("mem, dom0_mem, least", [
    ("3G", 2304, 1024),  # some of it is higher
    pytest.param("6G", 512, 480, marks=pytest.mark.full),  # nothing has to be
])
def test_memory_beyond_4_gib(boot, mem, dom0_mem, least):
    """dom0 has memory that devices with 32-bit DMA reach, also where most of the machine's is higher."""
    m = boot(mem=mem, cmdline=f"dom0_mem={dom0_mem}M", dom0_cmdline="pavise.noauto").boot()
    ram = [(int(a, 16), int(b, 16)) for a, b in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) : System RAM", m.run("cat /proc/iomem"), re.M)]
    low = sum(max(min(b + 1, 1 << 32) - a, 0) for a, b in ram)
    assert low >= least << 20 and any(b >= 1 << 32 for a, b in ram) == (dom0_mem > 2048), ram
    assert "DMA32" in m.run("cat /proc/zoneinfo")
    assert m.poweroff() == 0


# --- harts -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("smp", [1, 4])
def test_harts(boot, smp):
    m = boot(smp=smp, boot_timeout=240)
    works(m)
    assert f"harts: {smp}," in m.seen()


@pytest.mark.full
def test_eight_harts(boot):
    works(boot(smp=8, boot_timeout=480))


def test_a_hart_sent_to_the_wrong_place(boot):
    """OpenSBI 1.1 now and then sends a started hart to where the first one began. gdb does so always; it finds its way."""
    image = os.path.join(conftest.BUILD, "hypervisor", "pavise")
    symbols = subprocess.run(["riscv64-linux-gnu-nm", image], check=True, stdout=subprocess.PIPE, text=True).stdout
    address = {name: int(a, 16) for a, _, name in (line.split() for line in symbols.splitlines())}
    first, socket = 0x80200000, os.path.join(conftest.OUT, "gdb")
    entry = first + address["secondary_entry"] - address["_start"]
    if os.path.exists(socket):
        os.unlink(socket)
    m = boot(dom0_cmdline="pavise.noauto", extra=["-S", "-gdb", f"unix:{socket},server=on,wait=off"])
    until = time.monotonic() + 30
    while not os.path.exists(socket) and time.monotonic() < until:
        time.sleep(0.05)
    commands = ["set architecture riscv:rv64", f"target remote {socket}", f"hbreak *{entry:#x}"]
    # The second time it comes from where the first one began, with its struct hart as if the firmware had told it.
    commands += ["continue", f"set $pc = {first:#x}", "set $a1 = 0", "print/x $pc + $a0", "continue", "print/x $a1", "delete", "detach"]
    said = subprocess.run(["gdb-multiarch", "-nx", "-batch"] + [x for c in commands for x in ("-ex", c)], check=False, timeout=120, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
    assert re.fullmatch(r"0x8020000[01] 0xffffffffc[0-9a-f]{7}", " ".join(re.findall(r"^\$\d = (\S+)", said, re.M))), said
    m.boot()
    assert "2 harts running" in m.seen()
    assert m.run("nproc").strip() == "2"
    assert m.poweroff() == 0


def test_fewer_vcpus_than_harts(boot):
    m = boot(cmdline="dom0_max_vcpus=1").boot()
    assert m.run("nproc").strip() == "1"
    assert m.info("nr_cpus") == "2"
    m.wait_prompt("demo")
    assert m.poweroff() == 0
