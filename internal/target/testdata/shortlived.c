// SPDX-License-Identifier: Apache-2.0
// shortlived RATE SECONDS MS: starts RATE processes a second. Each uses MS milliseconds of CPU time in
// burn_short and exits. Every other one executes this program anew before that.
//
// Prints at the end "started N" and "wall_seconds S".
#include <signal.h>
#include <sys/wait.h>
#include "spend.h"

SPEND(burn_short)

static void burn(double ms)
{
	double start = now(CLOCK_PROCESS_CPUTIME_ID);
	while (now(CLOCK_PROCESS_CPUTIME_ID) - start < ms / 1e3)
		burn_short(20000);
}

int main(int argc, char **argv)
{
	double rate = number(argc, argv, 1, 300), seconds = number(argc, argv, 2, 5),
	       ms = number(argc, argv, 3, 5);
	double start = now(CLOCK_MONOTONIC);
	int n = 0;

	if (argc == 3 && !strcmp(argv[1], "burn")) {
		burn(atof(argv[2]));
		return 0;
	}
	signal(SIGCHLD, SIG_IGN); /* reaped by the kernel */
	ready();
	for (double at; (at = n / rate) < seconds; n++) {
		double ahead = start + at - now(CLOCK_MONOTONIC);
		if (ahead > 0)
			usleep(ahead * 1e6);
		pid_t pid = fork();
		if (pid < 0) {
			perror("fork");
			return 1;
		}
		if (pid == 0) {
			if (n % 2)
				execl("/proc/self/exe", argv[0], "burn", argv[3], NULL);
			burn(ms);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	printf("started %d\nwall_seconds %.3f\n", n, now(CLOCK_MONOTONIC) - start);
	return 0;
}
