# SPDX-License-Identifier: BSD-2-Clause
#
# Builds everything of Pavise under build/, boots it, tests it. "make help" lists the targets.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
# One step after another, so that its output can be read; each step uses all processors.
.NOTPARALLEL:

top := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
BUILD ?= $(top)/build
override BUILD := $(abspath $(BUILD))
JOBS ?= $(shell nproc)
PYTHON := /usr/bin/python3
CROSS_COMPILE ?= riscv64-linux-gnu-
MAKEFLAGS += --no-print-directory $(if $(V),,--silent)
# A -j on the command line wins over this one.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS)
endif

# The machine of "make run" (scripts/machine.py reads them)
SMP ?= 2
MEM ?= 2G
CPU ?= rv64
QEMU ?= qemu-system-riscv64
QEMU_EXTRA ?=
CMDLINE ?=
DOM0_CMDLINE ?=
KEEP ?=
IMAGES ?=
IMAGES_SIZE ?=
SSH_KEY ?=
SSH_PORT ?=
# A second machine beside this one: docs/migration.md
LINK ?=
SHARED ?=
# Whose dom0 make run boots: DOM0=debian, or nothing for the initramfs
DOM0 ?=
$(if $(filter-out debian,$(DOM0)),$(error DOM0=$(DOM0): want DOM0=debian, or nothing))
# What else is on /images and runs: GUEST=debian
GUEST ?=
$(if $(filter-out debian,$(GUEST)),$(error GUEST=$(GUEST): want GUEST=debian, or nothing))
export BUILD SMP MEM CPU QEMU QEMU_EXTRA CMDLINE DOM0_CMDLINE KEEP IMAGES_SIZE SSH_KEY SSH_PORT LINK SHARED

include_dir := $(BUILD)/include
libfdt := $(BUILD)/libfdt
autoconf := $(BUILD)/config/autoconf.h
hypervisor := $(BUILD)/hypervisor/pavise
# The kernels that guest-kernel-patches/ has patches for: 6.12, which is tested; another one has a directory of its own.
KERNEL_SERIES ?= 6.12
linux := $(BUILD)/linux$(if $(filter-out 6.12,$(KERNEL_SERIES)),-$(KERNEL_SERIES))
kernel := $(linux)/Image
export KERNEL_IMAGE := $(kernel)
busybox := $(BUILD)/busybox/busybox
programs := $(BUILD)/programs
tools_root := $(BUILD)/rootfs-tools
initrd := $(BUILD)/dom0.cpio.gz
disk_tree := $(BUILD)/disk
disk := $(BUILD)/run/images.img
# What is kept from run to run: /data; or /images with KEEP=1 (IMAGES= names it), which then is /data, too
DATA ?= $(BUILD)/run/data.img
images := $(or $(IMAGES),$(if $(filter 1,$(KEEP)),$(BUILD)/run/kept.img))
data := $(if $(or $(DOM0),$(and $(images),$(filter file,$(origin DATA)))),,$(DATA))
# DOM0=debian: dom0's own disk, kept where /images is
dom0_disk := $(if $(DOM0),$(if $(images),$(images:.img=)-dom0.img,$(BUILD)/run/dom0.img))
run_disks := $(if $(images),images-disk,disk) $(if $(data),data-disk) $(if $(DOM0),dom0-disk)
run_env = IMAGES="$(images)" DATA="$(data)" DISK=$(disk) DOM0_DISK="$(dom0_disk)"
# Guests without Linux: pvabi/runtime
runtime_make = $(MAKE) -C $(top)/pvabi/runtime O=$(BUILD)/runtime XENINC=$(include_dir) LIBFDT=$(libfdt)
# Distributions' disks: scripts/debian
guest_tree := $(BUILD)/images
kernel_distro := $(BUILD)/linux-distro
dom0_debian := $(BUILD)/dom0-debian/dom0.img
boot_script := $(BUILD)/uboot/boot.scr
boot_disk := $(BUILD)/run/boot.img
common := XENINC=$(include_dir) LIBFDT=$(libfdt) AUTOCONF=$(autoconf)

.PHONY: kernel-distro images test-distro all run run-uboot native test test-unit test-system test-full test-guests fuzz bench bench-xenstore check-style format \
	deps menuconfig headers kernel kernel-debug kernel-source config hypervisor tools rootfs disk-tree qemu-utils disk data-disk new-data-disk images-disk boot-disk guest guest-tests bench-files \
	check-deps clean help

##@ To begin with
## run		install what is missing, build all, boot: ends at dom0's shell with a guest running (KEEP=1, SSH_KEY=: README.md)
run:
	@$(run_env) $(top)/scripts/machine.py --check
	@$(top)/scripts/deps
	@$(MAKE) all $(run_disks)
	@$(run_env) $(top)/scripts/machine.py

## test		the same set-up, then all tests below but test-full's
# What this machine tests itself is mostly one processor's work, and so are the machines with one hart that test-guests begins with.
test:
	@$(top)/scripts/deps
	@$(MAKE) all guest-tests hypervisor-latency
	@$(top)/scripts/side-by-side host "$(MAKE) check-style test-unit fuzz-core" guests "$(MAKE) test-guests"
	@$(MAKE) test-system

## run-uboot	the same, but U-Boot loads everything from a disk as on a board (docs/boards.md)
run-uboot:
	@$(run_env) $(top)/scripts/machine.py --check
	@$(top)/scripts/deps
	@$(MAKE) all $(run_disks) boot-disk
	@$(run_env) BOOT_DISK=$(boot_disk) $(top)/scripts/machine.py --uboot

##@ Building
## all		everything that make run boots (this is what plain "make" does)
all: check-deps hypervisor kernel tools rootfs disk-tree

## menuconfig	choose the hypervisor's build options
menuconfig:
	@$(top)/scripts/kconfig menuconfig $(BUILD)/config

## deps		install the Debian packages that building, running and testing need
deps:
	@$(top)/scripts/deps

## clean		remove build/
clean:
	rm -rf $(BUILD)

check-deps:
	@$(top)/scripts/deps --check || { echo "make deps installs them." >&2; exit 1; }

# Xen's public headers with RISC-V in them
headers_stamp := $(BUILD)/include/.stamp
$(headers_stamp): $(top)/pvabi/scripts/prepare-headers $(wildcard $(top)/pvabi/include/xen/*.h $(top)/pvabi/include/xen/*/*/*.h /usr/include/xen/xen.h)
	@echo "  HEADERS  xen"
	@$(top)/pvabi/scripts/prepare-headers $(include_dir)
	@touch $@
headers: $(headers_stamp)

kernel-source:
	@$(MAKE) -C $(top)/guest-kernel-patches O=$(linux) source

kernel: kernel-source
	@$(MAKE) -C $(top)/guest-kernel-patches O=$(linux) image

## kernel-debug	the same kernel with lockdep, KASAN and what distributions turn on, as build/linux-debug/Image
kernel-debug:
	@$(MAKE) -C $(top)/guest-kernel-patches O=$(linux)-debug CONFIGS="pavise debug" image

## dom0-debian	Debian as dom0: its disk, from Debian's packages and ours, in build/dom0-debian (docs/debian.md)
.PHONY: dom0-debian dom0-disk
dom0-debian: check-deps deb kernel-distro
	@$(top)/scripts/debian/make-dom0 $(BUILD)

dom0-disk: dom0-debian
	@mkdir -p $(BUILD)/run
	@$(if $(images),test -e "$(dom0_disk)" ||) cp --sparse=always $(dom0_debian) "$(dom0_disk)"

## kernel-distro	a kernel for distributions and their containers, with modules, as a Debian package (docs/distributions.md)
kernel-distro:
	@$(MAKE) -C $(top)/guest-kernel-patches O=$(kernel_distro) CONFIGS="pavise distro" deb

## images	Debian as a guest: its disk, from Debian's packages, and debian.cfg, in build/images (docs/distributions.md)
images: check-deps kernel-distro
	@$(top)/scripts/debian/make-image $(guest_tree)/debian.img $(BUILD)/debian --kernel $(kernel_distro)/Image \
		--deb $(kernel_distro)/linux-image.deb
	@$(top)/scripts/debian/make-config $(guest_tree)

$(libfdt)/libfdt.h: | kernel-source
	@mkdir -p $(libfdt)
	@cp $(linux)/src/scripts/dtc/libfdt/*.[ch] $(libfdt)/

config:
	@$(top)/scripts/kconfig sync $(BUILD)/config

hypervisor: headers config $(libfdt)/libfdt.h
	@$(MAKE) -C $(top)/hypervisor O=$(BUILD)/hypervisor CROSS_COMPILE=$(CROSS_COMPILE) $(common)

tools: headers $(libfdt)/libfdt.h $(programs)/.stamp
	@$(MAKE) -C $(top)/dom0-tools O=$(BUILD)/dom0-tools CROSS_COMPILE=$(CROSS_COMPILE) $(common) ZSTD=$(programs) \
		DESTDIR=$(tools_root) all install

$(busybox): $(top)/scripts/fetch-busybox $(top)/scripts/unpack-debian
	@$(top)/scripts/fetch-busybox $@

$(programs)/.stamp: $(top)/scripts/fetch-programs $(top)/scripts/take.sh $(top)/scripts/unpack-debian
	@$(top)/scripts/fetch-programs $(programs)
	@touch $@

rootfs: tools $(busybox) $(programs)/.stamp
	@$(top)/scripts/mkimage cpio $(initrd) $(tools_root) $(programs) $(top)/dom0-tools/rootfs --without .stamp \
		--without 'usr/include*' --without 'usr/lib*' \
		--add $(busybox):/bin/busybox --dir proc --dir sys --dir dev --dir root \
		--strip $(CROSS_COMPILE)strip

## guest		a guest from one C file (SRC=my.c makes build/guests/my; pvabi/runtime/README.md)
guest: headers $(libfdt)/libfdt.h
	@mkdir -p $(BUILD)/runtime
	+@$(runtime_make) OUT=$(BUILD)/guests SRC=$(abspath $(SRC)) GUEST_CFLAGS="-Wno-error $(GUEST_CFLAGS)" guest

# What is on /images beside the user's own files
# With what zstd loads
oci_zstd = --add $(programs)/usr/sbin/zstd:/usr/bin/zstd --add $(programs)/lib/ld-linux-riscv64-lp64d.so.1:/lib/ld-linux-riscv64-lp64d.so.1 \
	$(foreach l,libc.so.6 liblz4.so.1 liblzma.so.5 libxxhash.so.0 libz.so.1,--add $(programs)/lib/riscv64-linux-gnu/$(l):/lib/riscv64-linux-gnu/$(l))
disk-tree: kernel tools $(busybox) $(programs)/.stamp
	@mkdir -p $(disk_tree)/boot
	@$(top)/scripts/mkimage cpio $(disk_tree)/boot/bootloader.cpio.gz --add $(BUILD)/dom0-tools/boot-init:/init \
		--dir proc --dir sys --dir dev --dir mnt --strip $(CROSS_COMPILE)strip
	@$(top)/scripts/mkimage cpio $(disk_tree)/boot/oci.cpio.gz --add $(BUILD)/dom0-tools/oci-init:/init \
		--add $(busybox):/bin/busybox --add $(top)/dom0-tools/oci/udhcpc.script:/etc/udhcpc.script --link sbin/poweroff:../init --link sbin/reboot:../init \
		$(foreach a,sh ip gunzip udhcpc,--link bin/$(a):busybox) $(oci_zstd) --dir proc --dir sys --dir dev --strip $(CROSS_COMPILE)strip
	@cmp -s $(kernel) $(disk_tree)/boot/Image || cp $(kernel) $(disk_tree)/boot/Image
	@$(top)/scripts/mkimage ext4 $(BUILD)/demo.img $(top)/dom0-tools/demo --label demo --size 64M \
		--add $(busybox):/bin/busybox --link sbin/init:../bin/busybox \
		--add $(top)/dom0-tools/rootfs/etc/udhcpc.script:/etc/udhcpc.script \
		--dir proc --dir sys --dir dev --dir run --dir tmp --dir root --dir mnt --dir usr/bin --dir usr/sbin
	@cmp -s $(BUILD)/demo.img $(disk_tree)/demo.img || cp --sparse=always $(BUILD)/demo.img $(disk_tree)/demo.img

## qemu-utils	qemu-nbd and qemu-img for dom0's /images/qemu: guests' disks in QEMU's formats (16 MiB; make run has it from then on)
qemu_tree := $(BUILD)/qemu-utils
qemu_nbd := $(qemu_tree)/qemu/usr/bin/qemu-nbd
qemu-utils: $(qemu_nbd)
$(qemu_nbd): $(top)/scripts/fetch-qemu-utils $(top)/scripts/take.sh $(top)/scripts/unpack-debian
	@$(top)/scripts/fetch-qemu-utils $(qemu_tree)/qemu
	@touch $@
on_images = $(disk_tree) $(wildcard $(qemu_tree)) $(if $(GUEST),$(guest_tree)) $(top)/images

## deb		Debian packages of tools and hypervisor, in build/deb/ (DEB_VERSION=; docs/debian.md)
.PHONY: deb
deb: headers config kernel $(libfdt)/libfdt.h $(programs)/.stamp
	@$(top)/scripts/make-deb $(BUILD) $(BUILD)/deb

# Made anew each time: the guests of the last run have written to it.
disk: disk-tree $(if $(GUEST),images)
	@mkdir -p $(BUILD)/run
	@$(top)/scripts/mkimage ext4 $(disk) $(on_images) --without .gitkeep \
		--label images --slack 512M --always

## data-disk	the disk for /data, which make run keeps; repairs one that is there
data-disk:
	@$(top)/scripts/keep-disk "$(DATA)" data 1G

## new-data-disk	an empty one in its place
new-data-disk:
	@DATA="$(DATA)" $(top)/scripts/machine.py --check
	@rm -f "$(DATA)"
	@$(MAKE) data-disk

## images-disk	the disk for /images that make run KEEP=1 keeps: made, repaired, and given what it lacks
images-disk: disk-tree $(if $(GUEST),images)
	@$(top)/scripts/keep-disk "$(or $(images),$(BUILD)/run/kept.img)" images $(or $(IMAGES_SIZE),$(if $(GUEST),8G,4G)) $(on_images) \
		$(if $(IMAGES_SIZE),--grow $(IMAGES_SIZE)) --dir auto --dir etc --dir log

$(boot_script): $(top)/scripts/uboot/boot.cmd
	@mkdir -p $(@D)
	@mkimage -A riscv -T script -C none -n Pavise -d $< $@ > $@.log || { cat $@.log; exit 1; }

# What U-Boot loads, as it lies on a board's disk
boot-disk: hypervisor kernel rootfs $(boot_script)
	@mkdir -p $(BUILD)/run
	@$(run_env) $(top)/scripts/machine.py --uboot-args > $(BUILD)/uboot/pavise.new
	@cmp -s $(BUILD)/uboot/pavise.new $(BUILD)/uboot/pavise.txt || cp $(BUILD)/uboot/pavise.new $(BUILD)/uboot/pavise.txt
	@$(top)/scripts/mkimage ext4 $(boot_disk) --label pavise-boot --partition --slack 16M \
		--add $(boot_script):/boot/boot.scr --add $(BUILD)/uboot/pavise.txt:/boot/pavise.txt \
		--add $(hypervisor).bin:/boot/pavise.bin --add $(kernel):/boot/Image \
		--add "$$($(run_env) $(top)/scripts/machine.py --keys)":/boot/dom0.cpio.gz

##@ Testing
## test-unit	the parts that run on this machine: hypervisor core, xenstored, tools
unit_dirs := $(filter-out tests/unit/,$(patsubst $(top)/%/Makefile,%/,$(wildcard $(top)/tests/unit/*/Makefile)))
test-unit: headers config $(libfdt)/libfdt.h
	@$(if $(wildcard $(top)/tests/unit/Makefile), \
		$(MAKE) -C $(top)/tests/unit O=$(BUILD)/tests/unit $(common) check, \
		echo "test-unit: no tests for the hypervisor's core: tests/unit/Makefile is missing" >&2; exit 1)
	@set -e; for d in $(unit_dirs); do $(MAKE) -C $(top)/$$d O=$(BUILD)/$${d%/} $(common) check; done

## test-system	boots the whole machine, again and again (ARGS= goes to pytest, e.g. ARGS="-k demo")
test-system: all qemu-utils
	@cd $(top)/tests/system && $(PYTHON) -m pytest $(ARGS)

## test-guests	boots guests that test the PV ABI from inside (ARGS= goes to pytest)
guest_tests := $(BUILD)/tests/guests/images
guest-tests: headers $(libfdt)/libfdt.h
	@mkdir -p $(BUILD)/runtime
	+@$(runtime_make) OUT=$(guest_tests) GUEST_CFLAGS="-I$(top)/tests/guests -include $(top)/tests/guests/called.h -Wno-unused-parameter" GUEST_COMMON="$(top)/tests/guests/tap.c $(wildcard $(top)/tests/guests/lib/*.c)" \
		GUESTS="$(filter-out %/tap.c,$(wildcard $(top)/tests/guests/*.c $(top)/tests/guests/peers/*.c \
		$(top)/pvabi/runtime/examples/*.c))" guests
	@$(CROSS_COMPILE)gcc -O2 -Wall -Wextra -Werror -static -o $(guest_tests)/dom0-vectors $(top)/tests/guests/dom0/vectors.c
	@set -e; for p in state suspend log fork; do \
		$(CROSS_COMPILE)gcc -O2 -Wall -Wextra -Werror -static -D__XEN_TOOLS__ -I$(include_dir) -I$(top)/dom0-tools/lib/include -o $(guest_tests)/dom0-$$p \
			$(top)/tests/guests/dom0/$$p.c $(top)/tests/guests/dom0/copy.c $(patsubst %,$(top)/dom0-tools/lib/%.c,state hypercall domctl sysctl memory); \
	done
test-guests: all guest-tests hypervisor-latency
	@cd $(top)/tests/guests && $(PYTHON) -m pytest $(ARGS)

## test-full	test, the system tests that take long, and more interleavings
test-full:
	@$(MAKE) kernel-debug
	@$(MAKE) test ARGS="--full $(ARGS)"
	@$(MAKE) explore BOUND=3 CAP=10000

## test-distro	Debian as a guest, in and out, and as dom0 (long; ARGS= goes to pytest, e.g. ARGS="-k podman")
test-distro: all images dom0-debian
	@cd $(top)/tests/distro && $(PYTHON) -m pytest $(ARGS)

## bench-xenstore	what xenstored's requests cost on this machine, with up to 1000 guests (table, plots)
bench-xenstore: headers
	@$(MAKE) -C $(top)/tests/bench/xenstore O=$(BUILD)/bench/xenstore XENINC=$(include_dir) ARGS="$(ARGS)" bench

## test-debug	test-guests and the demo with a hypervisor that checks itself: assertions, UBSan (ARGS= goes to pytest)
debug_dir := $(BUILD)/debug
.PHONY: hypervisor-debug test-debug
hypervisor-debug: headers $(libfdt)/libfdt.h
	@mkdir -p $(debug_dir)/config
	@printf 'CONFIG_DEBUG=y\nCONFIG_UBSAN=y\nCONFIG_LOCK_CHECK=y\n' > $(debug_dir)/config/.config
	@$(top)/scripts/kconfig sync $(debug_dir)/config
	@$(MAKE) -C $(top)/hypervisor O=$(debug_dir)/hypervisor CROSS_COMPILE=$(CROSS_COMPILE) XENINC=$(include_dir) \
		LIBFDT=$(libfdt) AUTOCONF=$(debug_dir)/config/autoconf.h
latency_dir := $(BUILD)/latency
.PHONY: hypervisor-latency
hypervisor-latency: headers $(libfdt)/libfdt.h
	@mkdir -p $(latency_dir)/config
	@printf 'CONFIG_LATENCY=y\n' > $(latency_dir)/config/.config
	@$(top)/scripts/kconfig sync $(latency_dir)/config
	@$(MAKE) -C $(top)/hypervisor O=$(latency_dir)/hypervisor CROSS_COMPILE=$(CROSS_COMPILE) XENINC=$(include_dir) \
		LIBFDT=$(libfdt) AUTOCONF=$(latency_dir)/config/autoconf.h
test-debug: all guest-tests hypervisor-debug hypervisor-latency
	@cd $(top)/tests/guests && HYPERVISOR=$(debug_dir)/hypervisor/pavise $(PYTHON) -m pytest $(ARGS)
	@cd $(top)/tests/system && HYPERVISOR=$(debug_dir)/hypervisor/pavise $(PYTHON) -m pytest -k "test_demo or test_debug_build" $(ARGS)

## check-style	clang-format and cppcheck for C, shellcheck for scripts, checkpatch and surviving symbols for the kernel
# A source tree without git has nothing but sources.
c_files = $(or $(shell cd $(top) && git ls-files -co --exclude-standard '*.[ch]' 2>/dev/null), \
	$(shell cd $(top) && find hypervisor pvabi dom0-tools tests -name '*.[ch]'))
# What is a shell script among those (some are Python's)
shell_files = $(shell cd $(top) && grep -lE '^\#!/bin/(ba)?sh' scripts/* scripts/debian/* guest-kernel-patches/scripts/* 2>/dev/null)
check-style: kernel-source headers config $(libfdt)/libfdt.h
	@echo "  STYLE    clang-format"
	@cd $(top) && clang-format --dry-run -Werror $(c_files)
	@echo "  CHECK    cppcheck"
	@$(top)/scripts/check-static $(BUILD)
	@echo "  CHECK    shellcheck"
	@cd $(top) && shellcheck -S warning $(shell_files)
	@echo "  CHECK    docs/abi.md has the table of hypercalls"
	@$(PYTHON) $(top)/hypervisor/scripts/gen-hypercalls --check $(top)/hypervisor/core/hypercalls.tbl \
		$(top)/docs/abi.md
	@echo "  CHECK    docs/abi.md has the layout of structures"
	@$(PYTHON) $(top)/hypervisor/scripts/gen-layout $(top)/hypervisor/core/abi_layout.c $(top)/docs/abi.md
	@$(MAKE) -C $(top)/guest-kernel-patches O=$(linux) check

## format		put the C sources into the form that check-style wants
format:
	@cd $(top) && clang-format -i $(c_files)

## native	boot the same kernel and initramfs without the hypervisor, to compare
native:
	@$(top)/scripts/machine.py --check
	@$(MAKE) all disk
	@DISK=$(disk) $(top)/scripts/machine.py --native

##@ Measuring
## bench		what Pavise costs against native and KVM, in instructions and time (PARTS= of them; a quarter of an hour; docs/performance.md)
osbench := $(BUILD)/bench/osbench
bench_linux := $(osbench) $(BUILD)/bench/starts
$(bench_linux): $(BUILD)/bench/%: $(top)/tests/bench/linux/%.c
	@mkdir -p $(@D)
	@echo "  CC       $*"
	@$(CROSS_COMPILE)gcc -O2 -Wall -Wextra -Werror -static -o $@ $<

bench-files: all $(bench_linux)
	@mkdir -p $(BUILD)/bench
	+@$(runtime_make) OUT=$(BUILD)/bench GUESTS="$(wildcard $(top)/tests/bench/guests/*.c)" guests
	@$(top)/scripts/mkimage cpio $(BUILD)/bench/osbench.cpio.gz --add $(osbench):/init --dir proc --dir dev
	@$(top)/scripts/mkimage ext4 $(BUILD)/bench/images.img $(disk_tree) --label images --slack 16M \
		--add $(BUILD)/bench/osbench.cpio.gz:/osbench.cpio.gz $(foreach p,$(bench_linux),--add $(p):/$(notdir $(p))) \
		$(foreach g,$(wildcard $(top)/tests/bench/guests/*.c),--add $(BUILD)/bench/$(basename $(notdir $(g))):/bench-$(basename $(notdir $(g))))

# Debian's kernel and QEMU for a host with KVM: 200 MB, once, and only when the part runs. Without them all but it runs.
kvm_host := $(BUILD)/kvm/Image
kvm_initrd := $(BUILD)/bench/kvm.cpio.gz
$(kvm_host): $(top)/scripts/fetch-kvm $(top)/scripts/take.sh $(top)/scripts/unpack-debian
	@$(top)/scripts/fetch-kvm $(@D)
	@touch $@
# What part compile compiles, and the compiler, in the initramfs of its guest
cc1 := $(BUILD)/cc1/usr/bin/cc1
compile_initrd := $(BUILD)/bench/compile.cpio.gz
$(cc1): $(top)/scripts/fetch-cc1 $(top)/scripts/take.sh $(top)/scripts/unpack-debian
	@$(top)/scripts/fetch-cc1 $(BUILD)/cc1
	@touch $@
.PHONY: bench-compile
bench-compile: $(cc1)
	@$(CROSS_COMPILE)gcc -E -P -o $(BUILD)/bench/osbench.i $(top)/tests/bench/linux/osbench.c
	@$(top)/scripts/mkimage cpio $(compile_initrd) $(BUILD)/cc1 --add $(osbench):/init --add $(BUILD)/bench/osbench.i:/osbench.i --dir proc --dir dev
	@$(top)/scripts/mkimage ext4 $(BUILD)/bench/compile.img $(disk_tree) --label images --slack 16M --add $(compile_initrd):/compile.cpio.gz
# For bench, which has made the rest before.
.PHONY: bench-kvm
bench-kvm: $(kvm_host)
	@$(top)/scripts/mkimage cpio $(kvm_initrd) $(BUILD)/kvm/tree --add $(busybox):/bin/busybox --add $(top)/tests/bench/linux/kvm-init:/init \
		--add $(kernel):/Image --add $(BUILD)/bench/osbench.cpio.gz:/osbench.cpio.gz --add $(osbench):/osbench --dir dev --dir proc

bench: bench-files
ifneq ($(if $(PARTS),$(filter compile,$(PARTS)),compile),)
	+@$(MAKE) --no-print-directory bench-compile || { \
		echo "bench: there is no compiler for part compile. Its packages come from apt's Debian mirror (MIRROR= another one)." >&2; \
		$(if $(PARTS),exit 1,rm -f $(compile_initrd)); }
endif
ifneq ($(if $(PARTS),$(filter kvm,$(PARTS)),kvm),)
	+@$(MAKE) --no-print-directory bench-kvm || { \
		echo "bench: there is no host with KVM to measure beside Pavise. Its packages come from apt's Debian mirror (MIRROR= another one);" \
			"make bench PARTS=kvm tries again. Without PARTS= the other parts run all the same." >&2; $(if $(PARTS),exit 1,rm -f $(kvm_initrd)); }
endif
	@$(PYTHON) $(top)/tests/bench/bench.py $(PARTS)

## fuzz		hypercalls (core/ on this machine) and xenstored (FUZZ_SECONDS=60 each, SEED=1, FUZZ_ARGS=)
fuzz: fuzz-core
	@$(MAKE) -C $(top)/tests/unit/xenstore O=$(BUILD)/tests/unit/xenstore $(common) fuzz

## explore	pairs of operations on core/ in all interleavings (BOUND=2 CAP=1000 PAIR=map,decrease SCHEDULE=; docs/testing.md)
.PHONY: explore
explore: headers config
	@$(MAKE) -C $(top)/tests/unit/explore O=$(BUILD)/tests/unit/explore $(common) run

.PHONY: fuzz-core coverage
fuzz-core: headers config
	@$(MAKE) -C $(top)/tests/fuzz O=$(BUILD)/tests/fuzz $(common) run

## coverage	lines of core/ and lib/ that unit tests and fuzzer reach together (FUZZ_SECONDS=60; fails below GOAL=90 %)
coverage_dir := $(BUILD)/tests/coverage
coverage: headers config
	@$(MAKE) -C $(top)/tests/unit O=$(coverage_dir)/unit $(common) MODE=coverage check
	@$(MAKE) -C $(top)/tests/fuzz O=$(coverage_dir)/fuzz $(common) MODE=coverage UNIT_O=$(coverage_dir)/unit \
		GOAL=$(or $(GOAL),90) coverage

help:
	@sed -n -e 's/^##@ \(.*\)/\n\1:/p' -e 's/^## \([a-z-]*\)\t*/  make \1\t/p' $(top)/Makefile | expand -t 22
	@echo
	@echo "Options: SMP=2 MEM=2G CPU=rv64 QEMU=qemu-system-riscv64 QEMU_EXTRA= CMDLINE= (the hypervisor's)"
	@echo "DOM0_CMDLINE= (the dom0 kernel's) JOBS= BUILD= KERNEL_SERIES=6.12 DATA= (the disk that is kept); V=1 shows the kernel build's output."
	@echo "DOM0=debian boots Debian as dom0 from a disk of its own."
	@echo "GUEST=debian puts that guest on /images and starts it (DEBIAN_SIZE=4G DEBIAN_PACKAGES= DEBIAN_UPDATE=1: images)."
	@echo "KEEP=1 keeps /images instead (IMAGES= names it, IMAGES_SIZE=4G); SSH_KEY=FILE.pub lets in by ssh, through SSH_PORT=2222."
	@echo "LINK=7001:7002 SHARED=FILE: network and disk that a second machine has as well (docs/migration.md)."
