#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Kernels that have to be unpacked, or that are none; packed by this machine's gzip and zstd.
# Usage: test_xl_kernels.sh <directory where the tests were built>.
# Owns the proof that unpacking is bounded, that what is wrong with a file is said, and that nothing is left of it.
. "$(dirname -- "$0")/xl_lib.sh"

kernel="kernel='$root/kernel'"
# Where nobody, who unpacks, may go: a gzip of the test's own
chmod 755 "$sockets"
mkdir "$sockets/bin"
real=$(command -v gzip)

pid_of_gzip() { cat "$sockets/pid/gzip" 2>/dev/null; }
no_gzip() { ! kill -0 "$(pid_of_gzip)"; }
# refused TEXT: so says xl of the file kernel, and there is no trace of it
refused() {
	ls >names
	says 1 "command line:1: kernel: $root/kernel$1" xl create -q a.cfg "$kernel"
	cp output "$sockets/kept"
	check "nothing is left" sh -c "ls | cmp - names"
	check "no guest, no memory" clean
}
# gzip_is: the next gzip is the script on stdin; it says who it is first
gzip_is() {
	mkdir -p "$sockets/pid"
	chmod 777 "$sockets/pid"
	rm -f "$sockets/pid/gzip"
	{
		echo '#!/bin/sh'
		echo "echo \$\$ >$sockets/pid/new; mv $sockets/pid/new $sockets/pid/gzip"
		cat
	} >"$sockets/bin/gzip"
	chmod 755 "$sockets/bin/gzip"
	PATH=$sockets/bin:$path
}
path=$PATH
: >names

# --- good ones ---

gzip -c Image >kernel
check "unpacked" xl create -q a.cfg "$kernel"
says 0 "'a' has started again as domain" xl reboot -w a
says 0 "kernel = \"$root/kernel\"" xl create -n name=\"other\" memory=16 "$kernel"
says 0 "\"kernel\": \"$root/kernel\"" xl list -l a
xl destroy a
check "nothing is left" clean
# A ramdisk is the guest's to unpack, also one of which xl could not.
printf '\037\213 is not gzip' >ramdisk
check "a ramdisk" xl create -q a.cfg "$kernel" "ramdisk='$root/ramdisk'"
xl destroy a

# --- ELF ---

python3 "$here/image_seeds.py" seeds
for n in elf vmlinux; do
	check "$n" xl create -q a.cfg "kernel='$root/seeds/$n'"
	xl destroy a
done
gzip -c seeds/vmlinux >kernel
check "compressed" xl create -q a.cfg "$kernel"
xl destroy a
check "nothing is left" clean
head -c 580 seeds/vmlinux >kernel
refused ": the file is cut short: its segment 1 ends behind its 580 bytes"
gzip -c kernel >kernel.gz
mv kernel.gz kernel
refused ", unpacked with gzip: the file is cut short: its segment 1 ends behind its 580 bytes"
cp "$out/fake-hv" kernel
refused ": ELF file, but not of a 64-bit little-endian RISC-V"
# More memory than the guest has
says 1 "16 MiB is too little memory: with this kernel (32.0 MiB)" xl create -q a.cfg "kernel='$root/seeds/large'"
gzip -c Image >kernel

# --- EFI zboot ---

# zboot FILE [KIND [OFFSET [SIZE]]]: an EFI application with this file in it is written
zboot() {
	python3 - "$@" <<-'END'
		import struct, sys
		packed = open(sys.argv[1], "rb").read()
		kind = (sys.argv[2:] or ["gzip"])[0].encode().decode("unicode_escape").encode("latin1")
		offset, size = (int(n) for n in (sys.argv[3:] + ["512", str(len(packed))][len(sys.argv[3:]):]))
		head = b"MZ\0\0zimg" + struct.pack("<IIQ", offset, size, 0) + kind.ljust(32, b"\0") + struct.pack("<II", 0x818223cd, 64)
		sys.stdout.buffer.write(head.ljust(512, b"\0") + packed + b"code behind it")
	END
}
gzip -c Image >packed
zboot packed >kernel
check "zboot" xl create -q a.cfg "$kernel"
says 0 "'a' has started again as domain" xl reboot -w a
xl destroy a
check "nothing is left" clean
for kind in zstd2 xzkern lz4 gzip2; do
	zboot packed $kind >kernel
	refused ": EFI zboot image packed with '$kind', and only gzip and zstd are unpacked here; use the Image that it was made of"
done
zboot packed 'gz\x1b[6n' >kernel
refused ": EFI zboot image packed with 'gz^[[6n', and only gzip and zstd"
size=$(stat -c %s packed)
all=$((size + 512 + 14))
for part in "512 0" "0 $size" "32 $size" "512 $((size + 15))" "$((all + 1)) 1" "4294967295 $size" "512 4294967295"; do
	# shellcheck disable=SC2086
	zboot packed gzip $part >kernel
	refused ": EFI zboot image that is cut short: its kernel should be the ${part#* } bytes at ${part% *}, of $all that there are"
done
zboot packed gzip 512 $((size + 14)) >kernel
refused ": "
check "what is behind it is named" grep -q "trailing garbage" "$sockets/kept"
zboot packed gzip 512 $((size / 2)) >kernel
refused ": cannot be unpacked beyond its first "
zboot packed gzip 513 $size >kernel
refused ": cannot be unpacked beyond its first 0 bytes: "
zboot kernel >kernel2
gzip -c kernel2 >kernel
refused ", unpacked with gzip: not a RISC-V Image: it is an EFI zboot image, and only once is unpacked"
mkdir -p proc
echo "MemAvailable:       2048 kB" >proc/meminfo
{ cat packed && head -c 1048576 /dev/urandom; } >large
zboot large >kernel
refused ": what is packed in it is more than 1 MiB (half of what dom0 has free)"
rm -r proc large kernel2
cp packed kernel

# --- bad files ---

cp kernel good
head -c $(($(stat -c %s good) / 2)) good >kernel
refused ": cannot be unpacked beyond its first "
check "and gzip's own words" grep -q "unexpected end of file" "$sockets/kept"
head -c 12 good >kernel
refused ": cannot be unpacked beyond its first 0 bytes: gzip: "
{ cat good; echo behind; } >kernel
refused ": "
check "what is behind it is named" grep -q "trailing garbage" "$sockets/kept"
cat good good >kernel
refused ": trailing garbage: the file goes on behind its compressed 2097152 bytes, or is several gzip files in one"
{ head -c 100 Image; printf x; tail -c +102 Image; } | gzip -c >other
{ head -c -8 other; tail -c 8 good; } >kernel
refused ": cannot be unpacked beyond its first "
check "a wrong sum" grep -q "crc error" "$sockets/kept"
gzip -c good >kernel
refused ", unpacked with gzip: not a RISC-V Image: it is compressed with gzip once more, and only once is unpacked"
gzip -c text >kernel
refused ", unpacked with gzip: not a RISC-V Image: the file is shorter than the header"
gzip -c /dev/null >kernel
refused ", unpacked with gzip: not a RISC-V Image: the file is empty"
head -c 4096 /dev/zero | gzip -c >kernel
refused ', unpacked with gzip: not a RISC-V Image: there is no "RSC\x05" at offset 56'
{ printf '\375' && printf '7zXZ' && head -c 100 /dev/zero; } >kernel
refused ": not a RISC-V Image: it is compressed with xz, which is not unpacked here"
mkdir dir
says 1 "$root/dir: not a regular file" xl create -q a.cfg "kernel='$root/dir'"

# --- zstd ---

# As Linux packs its kernels: with no size in the head, and room for 128 MiB behind
zstd -qc --ultra -22 <Image >zst
cp zst kernel
check "unpacked" xl create -q a.cfg "$kernel"
says 0 "'a' has started again as domain" xl reboot -w a
xl destroy a
check "nothing is left" clean
zboot zst zstd22 >kernel
check "zboot" xl create -q a.cfg "$kernel"
xl destroy a
head -c $(($(stat -c %s zst) - 8)) zst >kernel
refused ": cannot be unpacked beyond its first "
check "and zstd's own words" grep -q "Read error\|premature" "$sockets/kept"
{ cat zst; echo behind; } >kernel
refused ": cannot be unpacked beyond its first "
check "what is behind it is named" grep -q "unsupported format\|unknown header" "$sockets/kept"
{ printf '\050\265\057\375' && head -c 100 /dev/zero; } >kernel
refused ": cannot be unpacked beyond its first 0 bytes: "
zstd -qc zst >kernel
refused ", unpacked with zstd: not a RISC-V Image: it is compressed with zstd once more, and only once is unpacked"
gzip -c zst >kernel
refused ", unpacked with gzip: not a RISC-V Image: it is compressed with zstd once more, and only once is unpacked"
# A frame that says it needs 1 GiB to be unpacked (RFC 8878, 3.1.1.1.2)
printf '\050\265\057\375\000\240\001\000\000' >kernel
refused ": cannot be unpacked beyond its first 0 bytes: "
check "which is too much memory" grep -q "too much memory" "$sockets/kept"
head -c 1073741824 /dev/zero | zstd -qc -1 >kernel
refused ": unpacks to more than 16 MiB (the guest's memory)"

# --- bombs ---

# 4 GiB of nothing, as blocks that are each other's copies
python3 - >kernel <<'END'
import binascii, struct, sys, zlib
size, n = 16 << 20, 256
c = zlib.compressobj(9, zlib.DEFLATED, -15)
block = c.compress(bytes(size)) + c.flush(zlib.Z_FULL_FLUSH)
head, tail = b"\x1f\x8b\x08" + bytes(6) + b"\xff", b"\x03\x00" + struct.pack("<II", 0, size * n & 0xffffffff)
sys.stdout.buffer.write(head + block * n + tail)
END
refused ": unpacks to more than 16 MiB (the guest's memory)"
mv kernel bomb
zboot bomb >kernel
refused ": unpacks to more than 12 MiB (what its packed part leaves of the limit)"
mv bomb kernel
mkdir -p proc
echo "MemAvailable:       8192 kB" >proc/meminfo
refused ": unpacks to more than 4 MiB (half of what dom0 has free)"
cp good kernel
check "unpacked" xl create -q a.cfg "$kernel"
xl destroy a
# One byte too many, and not one
echo "MemAvailable:       2048 kB" >proc/meminfo
check "unpacked" xl create -q a.cfg "$kernel"
xl destroy a
{ cat Image; printf x; } | gzip -c >kernel
refused ": unpacks to more than 1 MiB (half of what dom0 has free)"
rm -r proc

# --- a gzip that does not do as it should: what is in the file has taken it over ---

cp good kernel
gzip_is <<-END
	while :; do :; done
END
refused ": unpacking it took more than 2 s of CPU time, for 0 bytes"
check "it is dead" no_gzip
gzip_is <<-'END'
	printf 'no\n\033[6n\233way' >&2
	exit 1
END
refused ': cannot be unpacked beyond its first 0 bytes: no ^[[6n\x9bway'
gzip_is <<-'END'
	kill -SEGV $$
END
refused ": gzip was killed by signal 11 after it had unpacked 0 bytes"
# It is nobody, leaves no core, and has no file but its own three (and ls's)
gzip_is <<-END
	[ \$(id -u) != 0 ] || echo root >&2
	ulimit -c >&2
	ls /proc/self/fd | wc -l >&2
	exit 1
END
refused ": cannot be unpacked beyond its first 0 bytes: 0 4"
gzip_is <<-END
	sleep 1000 >/dev/null &
	echo \$! >$sockets/pid/left
	exec $real -dc
END
check "is killed by nobody, and its results are whole" timeout 20 "$out/fake-xl" create -q a.cfg "$kernel"
xl destroy a
kill "$(cat "$sockets/pid/left")"
gzip_is <<-END
	exec sleep 1000
END
for signal in INT TERM KILL; do
	rm -f "$sockets/pid/gzip"
	"$out/fake-xl" create -q a.cfg "$kernel" >said 2>&1 &
	pid=$!
	check "it unpacks" wait_for pid_of_gzip
	kill -$signal $pid
	wait $pid
	check "SIG$signal ends it" wait_for no_gzip
	[ $signal = KILL ] || check "which xl says" grep -q "$root/kernel: interrupted while it was unpacked" said
	check "nothing is left" clean
done
rm "$sockets/bin/gzip"
PATH=$sockets/bin:$out/xs
"$out/fake-xl" create -q a.cfg "$kernel" >said 2>&1
status=$?
PATH=$path
check "none at all" grep -qF "kernel: $root/kernel: dom0 has no gzip that could unpack it" said
check "status" [ $status = 1 ]
cp zst kernel
PATH=$sockets/bin:$out/xs
"$out/fake-xl" create -q a.cfg "$kernel" >said 2>&1
PATH=$path
check "nor zstd" grep -qF "kernel: $root/kernel: dom0 has no zstd that could unpack it" said

end_of_cases
