#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# restore of files that are no longer what they were, or whose machine or configuration is another. Usage: test_xl_save_files.sh
# <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

cat >s.cfg <<-END
	name = "s"
	kernel = "$root/Image"
	memory = 16
	on_reboot = "destroy"
END

snapshot >before
check "create" xl create -q s.cfg vcpus=2
wait_for runs s
check "save" xl save s f.save
check "it is gone" wait_for clean

size=$(stat -c %s f.save)
for at in 0 39 63 64 100 $((size / 2)) $((size - 1)); do
	head -c $at f.save >cut.save
	says 1 "the stream is cut short here" xl restore cut.save
	check "nothing is left of $at bytes" wait_for clean
done
for at in 20 50 70 100 400 $((size / 2)) $((size - 20)); do
	cp f.save flip.save
	byte=$(od -An -tu1 -j $at -N1 f.save)
	# shellcheck disable=SC2059
	printf "$(printf '\\%03o' $((byte ^ 16)))" | dd of=flip.save bs=1 seek=$at conv=notrunc 2>/dev/null
	xl restore flip.save >said 2>&1
	check "byte $at: refused" [ $? = 1 ]
	check "and it says where" grep -Eq 'flip.save: (record [0-9]+ \(|image header|domain header)' said
	check "nothing is left" wait_for clean
done
cp f.save long.save
echo more >>long.save
says 1 "there is something behind END" xl restore long.save
check "nothing is left" wait_for clean
says 1 "this is no saved domain of Pavise" xl restore Image
# A machine of another kind
printf 'rv64imac\0' >dt/cpus/cpu@0/riscv,isa
says 1 "the guest's harts are rv64imafdc, this machine's rv64imac" xl restore f.save
printf 'rv64imafdc\0' >dt/cpus/cpu@0/riscv,isa
printf '\0\230\226\201' >dt/cpus/timebase-frequency
says 1 "the guest's clock counts 10000000 times a second" xl restore f.save
printf '\0\230\226\200' >dt/cpus/timebase-frequency
# A configuration that brings devices, or too little memory
printf 'name = "s"\nkernel = "%s"\nmemory = 16\ndisk = [ "%s,raw,xvda,rw" ]\n' "$root/Image" "$root/a.img" >disk.cfg
says 1 "the configuration gives the guest disks or interfaces" xl restore disk.cfg f.save
printf 'name = "s"\nkernel = "%s"\nmemory = 12\n' "$root/Image" >small.cfg
says 1 "and may have 12 MiB by its configuration" xl restore small.cfg f.save
printf 'name = "s"\nkernel = "%s"\nmemory = 16\nvcpus = 3\n' "$root/Image" >more.cfg
says 1 "the guest may have 2 vCPUs, and 3 by its configuration" xl restore more.cfg f.save
check "nothing is left" wait_for clean
check "restore of the whole one" xl restore f.save
check "it runs" wait_for runs s
xl destroy s
# A configuration's files are where the one who restores is, whoever makes the next life
printf 'name = "s"\nkernel = "Image"\nmemory = 16\nvcpus = 2\n' >here.cfg
check "restore with a kernel here" xl restore here.cfg f.save
check "its next life will find it" grep -qF "kernel = \"$root/Image\"" "$root/run/config-$(xl domid s)"
# A file that is there already in the place of the one to be written is somebody's
says 1 "File exists" sh -c "echo mine >f2.save.part-\$\$; exec '$out/fake-xl' save -c s f2.save"
check "and stays his" grep -q mine f2.save.part-*
check "it runs on" runs s
rm f2.save.part-*
# A page goes between the look at the map and the copy
export FAKE_HOLE=1
says 1 "the guest's memory has changed under the copy" xl save s f2.save
unset FAKE_HOLE
check "it runs on" runs s
check "and there is no file" sh -c "! ls f2.save*"
xl destroy s
# One whose file does not come keeps nobody else waiting, and can be interrupted
check "nothing is left" wait_for clean
mkfifo pipe
{
	head -c $((size / 2)) f.save
	exec sleep 600
} >pipe &
feeder=$!
"$out/fake-xl" restore pipe >said 2>&1 &
p=$!
check "its file has half come" wait_for "$out/fake-xl" domid s
sed 's/"s"/"third"/' s.cfg >third.cfg
check "another guest is made" timeout 60 "$out/fake-xl" create -q third.cfg
xl destroy third
sleep 0.3
kill -INT $p
wait $p
check "interrupted" [ $? = 1 ]
check "which is said" grep -q "Interrupted system call\|interrupted" said
kill $feeder
check "nothing is left" wait_for clean
# What no reader would take is not written
printf 'name = "s"\nkernel = "%s"\nmemory = 16\nextra = "a\001b"\n' "$root/Image" >odd.cfg
check "create" xl create -q odd.cfg
check "it runs" wait_for runs s
says 1 "f2.save: CONFIG: it is no text" xl save s f2.save
check "it runs on" runs s
check "and there is no file" sh -c "! ls f2.save*"
xl destroy s
check "nothing is left" wait_for clean

end_of_cases
