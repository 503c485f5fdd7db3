/* SPDX-License-Identifier: BSD-2-Clause */
/* For engine/vector.c and test_vector.c: the harts and CSRs of the latter, in place of machine.c's one. */
#ifndef TEST_VECTOR_HART_H
#define TEST_VECTOR_HART_H

struct hart *vector_hart(void);
unsigned long *vector_csr(unsigned int number);

#endif
