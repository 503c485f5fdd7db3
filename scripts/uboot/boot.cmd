# SPDX-License-Identifier: BSD-2-Clause
#
# U-Boot starts Pavise with this: it loads hypervisor, dom0's kernel and dom0's initramfs from the directory that this script
# lies in and describes the latter two in the FDT as multiboot modules. docs/boards.md says how it gets onto a disk.
#
# Beside it may lie pavise.txt, lines of NAME=VALUE, which win over what is set here:
#	pavise_args	options of the hypervisor
#	dom0_args	command line of dom0's kernel
#	dom0_kernel_addr, dom0_initrd_addr	where these are loaded, if the board's RAM is elsewhere
# U-Boot gives kernel_addr_r (the hypervisor, which booti then moves to its place) and fdt_addr_r.

setenv pavise_args "dom0_mem=512M"
setenv dom0_args "console=hvc0 nbd.max_part=0"
setenv dom0_kernel_addr 90000000
setenv dom0_initrd_addr 98000000
setenv from "${devtype} ${devnum}:${distro_bootpart}"

if test -e ${from} ${prefix}pavise.txt; then
	load ${from} ${scriptaddr} ${prefix}pavise.txt
	env import -t ${scriptaddr} ${filesize}
fi

# One command line: a script that goes on after a failed step would start half a machine.
setenv pavise_load 'load ${from} ${dom0_kernel_addr} ${prefix}Image && setenv dom0_kernel_size ${filesize} && load ${from} ${dom0_initrd_addr} ${prefix}dom0.cpio.gz && setenv dom0_initrd_size ${filesize} && load ${from} ${kernel_addr_r} ${prefix}pavise.bin'

# The FDT is the firmware's, copied to where there is room to write in it.
setenv pavise_fdt 'fdt addr ${fdtcontroladdr} && fdt move ${fdtcontroladdr} ${fdt_addr_r} && fdt resize 4000'

# Numbers in <> are cells; addresses below 4 GiB, so the upper ones are 0.
setenv pavise_kernel 'fdt mknod /chosen module@${dom0_kernel_addr} && fdt set /chosen/module@${dom0_kernel_addr} compatible "multiboot,kernel" "multiboot,module" && fdt set /chosen/module@${dom0_kernel_addr} reg <0 0x${dom0_kernel_addr} 0 0x${dom0_kernel_size}> && fdt set /chosen/module@${dom0_kernel_addr} bootargs "${dom0_args}"'
setenv pavise_initrd 'fdt mknod /chosen module@${dom0_initrd_addr} && fdt set /chosen/module@${dom0_initrd_addr} compatible "multiboot,ramdisk" "multiboot,module" && fdt set /chosen/module@${dom0_initrd_addr} reg <0 0x${dom0_initrd_addr} 0 0x${dom0_initrd_size}>'

# booti puts bootargs into /chosen: the hypervisor's options.
setenv bootargs "${pavise_args}"
if run pavise_load; then
	if run pavise_fdt && run pavise_kernel && run pavise_initrd; then
		booti ${kernel_addr_r} - ${fdt_addr_r}
	else
		echo "Pavise: the modules could not be written into the FDT; what failed is above."
	fi
else
	echo "Pavise: a file is missing on ${from}, directory ${prefix}: Image, dom0.cpio.gz and pavise.bin must lie there."
fi
