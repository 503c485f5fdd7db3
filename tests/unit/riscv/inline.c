// SPDX-License-Identifier: BSD-2-Clause
/*
 * Inline accesses to a guest's memory (arch-inline.h), for the hypervisor's own compiler: the Makefile counts those that it leaves of
 * each function, whose name says how many there are. A compiler that leaves one out leaves out the guest's fault, or looks once
 * where a guest may have changed its mind.
 */
#include <arch-api.h>
#include <lib.h>

int accesses_1_value_unused(u64 gva);
int accesses_2_same_word(u64 gva);
int accesses_3_first_used(u64 gva, u64 *out);
int accesses_6_read_again(u64 gva);

int accesses_1_value_unused(u64 gva)
{
	u32 word;

	return copy_u32_from_guest(&word, gva);
}

int accesses_2_same_word(u64 gva)
{
	u32 a, b;

	if (copy_u32_from_guest(&a, gva) || copy_u32_from_guest(&b, gva))
		return -EFAULT;
	return a == b;
}

int accesses_3_first_used(u64 gva, u64 *out)
{
	u64 w[3];

	if (copy_words_from_guest(w, gva, 3))
		return -EFAULT;
	*out = w[0];
	return 0;
}

int accesses_6_read_again(u64 gva)
{
	u64 w[2];

	if (copy_words_from_guest(w, gva, 2))
		return -EFAULT;
	w[0]++;
	if (copy_words_to_guest(gva, w, 2) || copy_words_from_guest(w, gva, 2))
		return -EFAULT;
	return w[0] == 5;
}
