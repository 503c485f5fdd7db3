// SPDX-License-Identifier: BSD-2-Clause
/* How long a test's xl waits for an answer. Owns the factor for busy machines. */
#include <stdlib.h>

#include "waits.h"

int test_ms(int ms)
{
	return getenv("HASTY") ? ms : 15 * ms;
}
