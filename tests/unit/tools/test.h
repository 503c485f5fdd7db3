/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every cmocka program needs first, in the order that cmocka wants.
 * Owns nothing.
 */
#ifndef TOOLS_TEST_H
#define TOOLS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define count_of(a) (sizeof(a) / sizeof((a)[0]))

#endif /* TOOLS_TEST_H */
