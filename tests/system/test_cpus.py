# SPDX-License-Identifier: BSD-2-Clause
"""Other numbers of harts and other CPUs. Features go in pairs, not in all combinations."""
import pytest

CPUS = {
    "no Sstc, no Svpbmt": "rv64,sstc=off,svpbmt=off",
    "no Zbb, no Svinval": "rv64,zbb=off,svinval=off",
    "Svinval and Svnapot": "rv64,svinval=on,svnapot=on",
    "least": "rv64,sstc=off,svpbmt=off,zbb=off,svinval=off,zba=off,zbc=off,zbs=off,zicbom=off,zicboz=off",
    "vector": "rv64,v=on",
}


def works(m):
    """dom0 and demo both run, with a disk, and end in order."""
    m.boot()
    with m.guest("demo", 120) as guest:
        guest.run("df / && dd if=/dev/zero of=/root/x bs=64k count=16 conv=fsync && rm /root/x", 60)
        guest.run("sleep 0.1")
    assert m.poweroff() == 0


@pytest.mark.parametrize("cpu", CPUS)
def test_features(boot, cpu):
    works(boot(cpu=CPUS[cpu]))


@pytest.mark.parametrize("smp", [1, 4])
def test_harts(boot, smp):
    m = boot(smp=smp, boot_timeout=240)
    works(m)
    assert f"harts: {smp}," in m.seen()


@pytest.mark.full
def test_eight_harts(boot):
    works(boot(smp=8, boot_timeout=480))


def test_fewer_vcpus_than_harts(boot):
    m = boot(cmdline="dom0_max_vcpus=1").boot()
    assert m.run("nproc").strip() == "1"
    assert m.info("nr_cpus") == "2"
    m.wait_prompt("demo")
    assert m.poweroff() == 0
