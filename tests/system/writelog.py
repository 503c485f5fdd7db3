# SPDX-License-Identifier: BSD-2-Clause
"""What a disk of the machine's was asked to do, in order: QEMU's blklogwrites under it, and its log.

The log is that of Linux's dm-log-writes: a sector that says how many entries there are, then for each a sector (where, how many
sectors, flags) with the data behind it, but of a discard. QEMU answers a request once it is in the log, so what is answered before
another thing is asked for stands before it.
"""
import struct

MAGIC = 0x6a736677736872
FLUSH, FUA, DISCARD = 1, 2, 4


def logged_disk(name, image, log):
    """QEMU's options for a disk that keeps what is written to it, and notes it in log."""
    with open(log, "wb"):
        pass
    return ["-blockdev", f"driver=raw,node-name={name}-image,file.driver=file,file.filename={image}",
            "-blockdev", f"driver=raw,node-name={name}-log,file.driver=file,file.filename={log}",
            "-blockdev", f"driver=blklogwrites,node-name={name},file={name}-image,log={name}-log",
            "-device", f"virtio-blk-pci,drive={name},disable-legacy=on"]


class Entry:
    def __init__(self, sector, flags, data, length):
        self.sector, self.flags, self.data, self.length = sector, flags, data, length

    @property
    def flush(self):
        """Nothing that was answered before it is lost after it."""
        return bool(self.flags & (FLUSH | FUA)) and not self.data


def read(path):
    """The entries. Those behind the last flush may be missing while the machine runs."""
    with open(path, "rb") as f:
        raw = f.read()
    magic, version, count, size = struct.unpack_from("<QQQI", raw)
    assert magic == MAGIC and version == 1, (hex(magic), version)
    entries, at = [], size
    for _ in range(count):
        sector, sectors, flags, _ = struct.unpack_from("<QQQQ", raw, at)
        at += size
        length = sectors * size
        data = b"" if flags & DISCARD else raw[at:at + length]
        assert flags & DISCARD or len(data) == length, "the log ends within an entry"
        entries.append(Entry(sector * size, flags, data, length))
        at += len(data)
    return entries


def apply(entry, f):
    """What this entry does to an image."""
    if entry.flags & DISCARD:
        f.seek(entry.sector)
        f.write(bytes(entry.length))
    elif entry.data:
        f.seek(entry.sector)
        f.write(entry.data)
