// SPDX-License-Identifier: BSD-2-Clause
/*
 * fake-hv N: the N-th call from now on fails; 0 = none.
 */
#include "fake.h"

int main(int argc, char **argv)
{
	struct fake *f = fake_map();

	f->fail_at = argc > 1 ? atoi(argv[1]) : 0;
	f->calls = 0;
	return 0;
}
