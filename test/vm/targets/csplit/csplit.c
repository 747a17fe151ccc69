// SPDX-License-Identifier: Apache-2.0
// csplit burns CPU in functions with known names and shares.
//
//	csplit                  forever: spend_most and spend_rest 7 to 3, and reads of /dev/zero
//	csplit exit CODE SECS   the same for SECS, then exits with CODE
//	csplit fork             forever: a child in early_child, and one in late_child every 200 ms
//
// Prints "ready" when it begins and, if it ends, "cpu_seconds N", its own use of the CPU.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Two functions of the same loop: their shares are those of their arguments.
#define SPEND(name)                                                 \
	__attribute__((noinline)) static unsigned long name(long n) \
	{                                                           \
		unsigned long x = n;                                \
		for (long i = 0; i < n; i++) {                      \
			x = x * 2654435761u + 1;                    \
			__asm__ volatile("" : "+r"(x));             \
		}                                                   \
		return x;                                           \
	}
SPEND(spend_most)
SPEND(spend_rest)
SPEND(early_child)
SPEND(late_child)

static double now(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

__attribute__((noinline)) static void read_zeros(int fd)
{
	static char buf[16 << 10];
	if (read(fd, buf, sizeof buf) != sizeof buf)
		exit(1);
}

// The rounds differ in length so that they cannot beat with the sampling clock.
__attribute__((noinline)) static unsigned long one_round(int zero)
{
	static unsigned long random = 1;
	random = random * 6364136223846793005u + 1442695040888963407u;
	long n = 1000 + (random >> 33) % 9000;
	unsigned long x = spend_most(7 * n) + spend_rest(3 * n);
	read_zeros(zero);
	return x;
}

__attribute__((noinline)) static unsigned long work(double seconds)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	double end = now(CLOCK_MONOTONIC) + seconds;
	unsigned long x = 1;
	while (seconds == 0 || now(CLOCK_MONOTONIC) < end)
		x += one_round(zero);
	return x;
}

static void fork_children(void)
{
	unsigned long x = 0;
	for (int i = 0;; i++) {
		pid_t child = fork();
		if (child < 0)
			exit(1);
		if (child == 0) {
			double end = now(CLOCK_MONOTONIC) + 0.15;
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			while (i == 0 || now(CLOCK_MONOTONIC) < end)
				x += i == 0 ? early_child(10000) : late_child(10000);
			_exit(x == 42);
		}
		if (i == 0) {
			puts("ready");
			fflush(stdout);
		}
		usleep(200000);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "fork"))
		fork_children();
	puts("ready");
	fflush(stdout);
	unsigned long x = work(argc > 3 ? atof(argv[3]) : 0);
	printf("cpu_seconds %.3f\n", now(CLOCK_PROCESS_CPUTIME_ID));
	return x == 42 ? 1 : atoi(argv[2]);
}
