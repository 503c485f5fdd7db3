// SPDX-License-Identifier: BSD-2-Clause
/*
 * dom0's side of the measurement of guests' starts: starts FIRST COUNT COMMAND... runs the command COUNT times with name="startN" behind it,
 * and prints "started N BEGIN END" in ticks of the machine's clock: before the process was there, and when it had ended.
 * Guests have the same clock, so what they say of their own start can be compared.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS 64

static uint64_t ticks(void)
{
	uint64_t t;

	__asm__ volatile("rdtime %0" : "=r"(t));
	return t;
}

int main(int argc, char **argv)
{
	char *args[ARGS] = { NULL }, name[32];
	uint64_t begin, end;
	int i, n, status;
	pid_t pid;

	if (argc < 4 || argc - 3 > ARGS - 2)
		return 2;
	for (i = 3; i < argc; i++)
		args[i - 3] = argv[i];
	args[argc - 3] = name;
	for (n = atoi(argv[1]); n < atoi(argv[1]) + atoi(argv[2]); n++) {
		snprintf(name, sizeof(name), "name=\"start%d\"", n);
		begin = ticks();
		pid = fork();
		if (!pid) {
			execvp(args[0], args);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status) {
			printf("start %d failed\n", n);
			return 1;
		}
		end = ticks();
		printf("started %d %llu %llu\n", n, (unsigned long long)begin,
		       (unsigned long long)end);
		fflush(stdout);
	}
	return 0;
}
