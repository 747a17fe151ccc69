// SPDX-License-Identifier: Apache-2.0
// split SECONDS: uses that much CPU time on one thread, 50 % of it in heavy, 30 % in medium, 20 % in light.
//
// Each function has its share in a piece of a tenth of a second or more: where samples fall within a
// piece does not matter then, and the shares of the samples are those of the time but for the borders.
//
// Prints at the end "share NAME S" for each function and "cpu_seconds S", the process's own rusage.
#include <sys/resource.h>
#include "spend.h"

SPEND(heavy)
SPEND(medium)
SPEND(light)

int main(int argc, char **argv)
{
	void (*const turn[])(long) = { heavy, medium, light };
	const char *const name[] = { "heavy", "medium", "light" };
	const double share[] = { 0.5, 0.3, 0.2 };
	double spent[3] = { 0 }, seconds = number(argc, argv, 1, 60), due = 0;
	unsigned long random = getpid();
	struct rusage ru;

	ready();
	while (due < seconds) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		due += 0.5 + (random >> 33) % 1000 / 2000.0;
		if (due > seconds)
			due = seconds;
		for (int i = 0; i < 3; i++) {
			double start = now(CLOCK_THREAD_CPUTIME_ID), used = 0;
			while (spent[i] + used < due * share[i]) {
				turn[i](TURN);
				used = now(CLOCK_THREAD_CPUTIME_ID) - start;
			}
			spent[i] += used;
		}
	}
	for (int i = 0; i < 3; i++)
		printf("share %s %.4f\n", name[i], spent[i]);
	getrusage(RUSAGE_SELF, &ru);
	printf("cpu_seconds %.4f\n", ru.ru_utime.tv_sec + ru.ru_stime.tv_sec +
					     (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	return 0;
}
