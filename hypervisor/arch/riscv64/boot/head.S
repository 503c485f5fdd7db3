/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * First instructions of each hart, MMU off: boot page tables, then the link address.
 * The image may be loaded at any 2 MiB boundary below 255 GiB; its head is a RISC-V Linux Image
 * header, so that QEMU, OpenSBI and U-Boot's booti know how to load it.
 */
#include <asm-offsets.h>
#include <csr.h>

	.section .head, "ax"
	.globl	_start
_start:
	j	boot_hart
	.balign	8
	.dword	0x200000		/* text_offset */
	.dword	image_size
	.dword	0			/* flags: little-endian */
	.word	2			/* header version 0.2 */
	.word	0
	.dword	0
	.dword	0x5643534952		/* "RISCV" */
	.word	0x05435352		/* "RSC\x05" */
	.word	0

/* a0 = hart id, a1 = physical address of the FDT */
boot_hart:
	csrw	CSR_SIE, zero
	csrw	CSR_SIP, zero
	mv	s0, a0
	mv	s1, a1
	/*
	 * The first hart to come clears .bss and goes on. fw_dynamic starts only one, but see parked.
	 */
	lla	t0, boot_lottery
	li	t1, 1
	amoadd.w t1, t1, (t0)
	bnez	t1, parked
	lla	t0, bss_start
	lla	t1, image_end
1:	sd	zero, (t0)
	addi	t0, t0, 8
	bltu	t0, t1, 1b

	/*
	 * Boot tables: 1:1 for this gigabyte, all of the direct map, and the image in 2 MiB leaves.
	 */
	lla	s2, _start		/* where we are */
	lla	s3, boot_pgt_root
	lla	s4, boot_pgt_image
	li	s5, 0xcf		/* D A X W R V */
	srli	t0, s2, 30
	slli	t1, t0, 3
	add	t1, t1, s3
	slli	t2, t0, 28		/* gigabyte's PPN in PTE position: n << 30 >> 2 */
	or	t2, t2, s5
	sd	t2, (t1)
	li	t0, 0
	li	t3, 255
	li	t1, 256 * 8
	add	t1, t1, s3
2:	slli	t2, t0, 28
	or	t2, t2, s5
	sd	t2, (t1)
	addi	t0, t0, 1
	addi	t1, t1, 8
	bltu	t0, t3, 2b
	/* root[511] -> boot_pgt_image; its entries: image, up to 16 MiB */
	srli	t2, s4, 2
	ori	t2, t2, 1
	li	t1, 511 * 8
	add	t1, t1, s3
	sd	t2, (t1)
	li	t0, 8
	mv	t1, s4
	mv	t2, s2
3:	srli	t3, t2, 2
	or	t3, t3, s5
	sd	t3, (t1)
	li	t4, 0x200000
	add	t2, t2, t4
	addi	t1, t1, 8
	addi	t0, t0, -1
	bnez	t0, 3b

	lla	t0, image_pa
	sd	s2, (t0)
	lla	a0, boot_pgt_root
	call	enable_mmu		/* returns at the link address */
	la	tp, harts
	la	sp, stacks_start
	li	t0, STACK_GUARD + STACK_SIZE
	add	sp, sp, t0
	sd	sp, HART_STACK_TOP(tp)
	la	t0, trap_vector
	csrw	CSR_STVEC, t0
	csrw	CSR_SSCRATCH, zero
	mv	a0, s0
	mv	a1, s1
	li	s0, 0
	call	start_boot_hart

park:	wfi
	j	park

/*
 * A hart (s0: its id) that came here although it was not the first. OpenSBI before 1.3 marks a hart as started before
 * it writes where: one that looks in between comes to where the first one was sent. Or the firmware started all. It waits
 * until smp_start() has started the hart with its id, and goes on as if it had come by that way; one whose id was not
 * asked for stays.
 */
parked:
	lla	t0, harts_called
	li	t6, HARTS_CALLED_ALL - 1
1:	lw	t1, (t0)
	fence	r, rw
	lla	t2, harts
	and	t3, t1, t6		/* how many, the boot hart among them */
2:	beqz	t3, 3f
	ld	t4, HART_HARTID(t2)
	beq	t4, s0, 4f
	addi	t2, t2, HART_SIZE
	addi	t3, t3, -1
	j	2b
3:	bltz	t1, park		/* HARTS_CALLED_ALL */
	.word	0x0100000f		/* pause (Zihintpause), a fence without effect elsewhere */
	j	1b
4:	lla	t0, _start
	sub	t2, t2, t0
	li	t0, IMAGE_VA
	add	a1, t2, t0
	mv	a0, s0
	j	secondary_entry

/*
 * a0 = physical address of the root. Returns to the link-address twin of ra. The vector catches the
 * case that translation is not 1:1 here (a gigabyte that the boot tables lack).
 */
enable_mmu:
	lla	t0, _start
	li	t1, IMAGE_VA
	sub	t1, t1, t0		/* link address - physical */
	add	ra, ra, t1
	lla	t2, 1f
	add	t2, t2, t1
	csrw	CSR_STVEC, t2
	srli	a0, a0, 12
	li	t0, SATP_MODE_SV39
	slli	t0, t0, SATP_MODE_SHIFT
	or	a0, a0, t0
	sfence.vma
	csrw	CSR_SATP, a0
	sfence.vma
	ret
	.balign	4
1:	ret

/* SBI HSM: a0 = hart id, a1 = struct hart (link address) */
	.globl	secondary_entry
secondary_entry:
	csrw	CSR_SIE, zero
	csrw	CSR_SIP, zero
	mv	s1, a1
	lla	a0, boot_pgt_root
	call	enable_mmu
	mv	tp, s1
	ld	sp, HART_STACK_TOP(tp)
	la	t0, trap_vector
	csrw	CSR_STVEC, t0
	csrw	CSR_SSCRATCH, zero
	mv	a0, tp
	li	s0, 0
	call	start_secondary

	.data
	.balign	4
boot_lottery:
	.word	0
	/* Not in .bss, which may not be clear when one is parked */
	.globl	harts_called
harts_called:
	.word	0

	.bss
	.balign	4096
	.globl	boot_pgt_root
boot_pgt_root:
	.space	4096
boot_pgt_image:
	.space	4096
