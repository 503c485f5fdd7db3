/* SPDX-License-Identifier: MIT */
/*
 * The smallest guest: says who it is. Build and start it:
 *	make guest SRC=pvabi/runtime/examples/hello.c
 * makes build/guests/hello; copy that and hello.cfg to images/, start "make run", and in dom0
 *	xl create -c /images/hello.cfg
 */
#include <stdio.h>

#include <pv/runtime.h>

int main(int argc, char **argv)
{
	printf("Hello from %s: %u vCPUs, %llu MiB\n", argv[0], pv_domain.nr_vcpus,
	       (unsigned long long)(pv_domain.ram_end - pv_domain.ram_start) >> 20);
	for (int i = 1; i < argc; i++)
		printf("argument %d: %s\n", i, argv[i]);
	return 0;
}
