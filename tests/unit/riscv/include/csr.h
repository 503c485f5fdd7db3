/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's numbers, with CSRs and fences that are the test's (machine.c). */
#ifndef TEST_CSR_H
#define TEST_CSR_H

#include_next <csr.h>

#undef csr_read
#undef csr_write
#undef csr_set
#undef csr_clear
#undef hfence_gvma_all
#undef hfence_gvma_vmid
#undef hfence_gvma_page
#undef hfence_gvma_page_vmid
#undef hfence_vvma_all
#undef fence_i

unsigned long *machine_csr(unsigned int number);
void machine_fence(unsigned int fid, unsigned long harts);
void machine_fence_vmid(unsigned int vmid);

#define csr_read(csr) (*machine_csr(csr))
#define csr_write(csr, val) ((void)(*machine_csr(csr) = (val)))
#define csr_set(csr, val) ((void)(*machine_csr(csr) |= (val)))
#define csr_clear(csr, val) ((void)(*machine_csr(csr) &= ~(unsigned long)(val)))
#define hfence_gvma_all() machine_fence(RFENCE_HFENCE_GVMA, 0)
#define hfence_gvma_vmid(vmid) machine_fence_vmid(vmid)
#define hfence_gvma_page(gpa) machine_fence(RFENCE_HFENCE_GVMA, 0)
#define hfence_gvma_page_vmid(gpa, vmid) machine_fence_vmid(vmid)
#define hfence_vvma_all() machine_fence(RFENCE_HFENCE_VVMA, 0)
#define fence_i() machine_fence(RFENCE_FENCE_I, 0)

#endif
