// SPDX-License-Identifier: Apache-2.0
/* pingpong PAIRS SECONDS [PAUSE]: pairs of processes, each on a CPU of its own in turn, that hand a byte to and fro through
 * pipes, with PAUSE ns of work between. Prints "ready", and at the end the switches a second of all pairs.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void work(double ns)
{
	double end = now() + ns / 1e9;

	while (ns > 0 && now() < end)
		;
}

static void pair(int cpu, double end, double pause, long *trips)
{
	int there[2], back[2];
	cpu_set_t one;
	char c = 0;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	if (pipe(there) || pipe(back))
		exit(1);
	if (!fork()) {
		close(there[1]);
		while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1)
			;
		exit(0);
	}
	while (now() < end) {
		work(pause);
		if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
			break;
		++*trips;
	}
	close(there[1]);
	wait(NULL);
	exit(0);
}

int main(int argc, char **argv)
{
	int pairs = argc > 1 ? atoi(argv[1]) : 1, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	double seconds = argc > 2 ? atof(argv[2]) : 1, pause = argc > 3 ? atof(argv[3]) : 0, begin;
	long *trips = mmap(NULL, 4096 * sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), sum = 0;

	puts("ready");
	fflush(stdout);
	begin = now();
	for (int i = 0; i < pairs && i < 64; i++)
		if (!fork())
			pair(i % cpus, begin + seconds, pause, &trips[i * 8]);
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < pairs && i < 64; i++)
		sum += trips[i * 8];
	printf("%.0f\n", 2 * sum / (now() - begin));
	return 0;
}
