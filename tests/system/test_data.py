# SPDX-License-Identifier: BSD-2-Clause
"""/data: what outlives the machine."""
import os
import subprocess

from conftest import OUT, TOP


def test_data_is_kept(boot):
    """Logs, a guest of one's own that starts with dom0, settings; man pages and the terminal by the way."""
    path = os.path.join(OUT, "data.img")
    if os.path.exists(path):
        os.unlink(path)
    make = ["make", "-s", "-C", TOP, "data-disk", f"DATA={path}", f"BUILD={os.path.dirname(os.path.dirname(OUT))}"]
    subprocess.run(make, check=True)
    m = boot(data=path, dom0_cmdline="pavise.noauto pavise.tty=33x99").boot()
    assert m.run("stty size").strip() == "33 99"
    assert m.run("echo word | cat /dev/stdin").strip() == "word"
    assert "xl.cfg" in m.run("man xl | cat") and "maxmem=MIB" in m.run("man xl.cfg | cat")
    m.fails("man nothing")
    m.shell.write_file("/data/auto/mine.cfg", """name = "mine"
kernel = "/images/boot/Image"
ramdisk = "/images/test/initrd.gz"
memory = 96
extra = "console=hvc0" """)
    m.run("echo 'log_limit = 7' > /data/etc/xl.conf; echo once > /data/word")
    # Nobody else gets it, nor repairs it, meanwhile.
    done = subprocess.run(make, capture_output=True, text=True, check=False)
    assert done.returncode and "is another machine's at the moment" in done.stderr, done.stderr
    m.run("xl create -q /data/auto/mine.cfg", 60)
    m.run("until grep -q 'Linux version' /data/log/console/guest-mine.log; do sleep 1; done; xl destroy mine", 60)
    assert m.poweroff() == 0
    # It is not made anew by what makes it.
    subprocess.run(make, check=True)
    m = boot(data=path).boot()
    assert m.domains().keys() == {"Domain-0", "demo", "mine"}
    assert m.run("cat /data/word").strip() == "once"
    assert "log_limit = 7" in m.run("cat /etc/xen/xl.conf")
    assert "-F --log-total=5 " in m.run("tr '\\0' ' ' < /proc/$(pidof xenconsoled)/cmdline")
    m.run("test -e /var/log/xen/console/guest-mine.log.1")
    # A guest that is asked to shut down before its init is there takes the request and loses it.
    m.run("until grep -q 'guest# ' /var/log/xen/console/guest-mine.log; do sleep 1; done", 90)
    assert m.poweroff() == 0
