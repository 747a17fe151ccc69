// SPDX-License-Identifier: Apache-2.0
// inject CPUS ROUNDS PAUSE_US HERE THERE [wait]: makes a fake PMU (internal/fakepmu) count a known mix.
//
// One thread for each of CPUS ("0,1"), pinned to it. Thread i does (i+1)*ROUNDS rounds: the counts HERE from the
// function here, the counts THERE from the function there, and then PAUSE_US of work, give or take half of it. Counts
// are "ID:N,ID:N", or "-" for none. "wait": begins when a line comes on the standard input.
//
// Prints "ready" when it could begin, and at the end "injected ID N" for each id, all threads together.
#include "spend.h"
#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#define IDS 64
#define THREADS 16

static char mix[2][256]; /* of here and there, as the device takes them */
static long rounds, injected[IDS];
static double pause_seconds;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* No call into libc: the address that the kernel interrupts is in the caller. */
static inline __attribute__((always_inline)) long put(int fd, const char *text, long n)
{
#if defined(__x86_64__)
	long ret;
	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"((long)SYS_write), "D"((long)fd), "S"(text), "d"(n)
			 : "rcx", "r11", "memory");
	return ret;
#else
	return write(fd, text, n);
#endif
}

#define INJECT(name)                                                                       \
	__attribute__((noinline, noclone)) void name(int fd, const char *text, long n)     \
	{                                                                                  \
		__asm__ volatile("" : : "r"(__builtin_frame_address(0)));                  \
		if (n && put(fd, text, n) != n)                                            \
			die("write to /dev/fakepmu");                                      \
	}

INJECT(here)
INJECT(there)
SPEND(between)

static void *work(void *argument)
{
	long thread = (long)argument >> 16, cpu = (long)argument & 0xffff;
	unsigned long random = thread + 1;
	cpu_set_t set;
	int fd = open("/dev/fakepmu", O_WRONLY | O_CLOEXEC);

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("pin a thread");
	if (fd < 0)
		die("open /dev/fakepmu");
	for (long i = 0; i < rounds * (thread + 1); i++) {
		here(fd, mix[0], strlen(mix[0]));
		there(fd, mix[1], strlen(mix[1]));
		random = random * 6364136223846793005u + 1442695040888963407u;
		double end = now(CLOCK_MONOTONIC) + pause_seconds * (0.5 + (random >> 33) % 1000 / 1000.0);
		while (pause_seconds && now(CLOCK_MONOTONIC) < end)
			between(500);
	}
	close(fd);
	return NULL;
}

/* Turns "ID:N,ID:N" into "ID N ID N", and adds it up for all threads. */
static void parse(const char *arg, char *text, long times)
{
	if (!strcmp(arg, "-"))
		return;
	if (strlen(arg) >= sizeof(mix[0]))
		die("too many counts");
	for (char *at = strcpy(text, arg); *at; at++)
		if (!isdigit(*at))
			*at = ' ';
	for (char *at = text, *end; *at; at = end) {
		long id = strtol(at, &end, 10);
		if (end == at || id < 0 || id >= IDS)
			die("bad counts");
		injected[id] += times * strtol(end, &end, 10);
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	long n = 0, times = 0;

	if (argc < 6) {
		fputs("usage: inject CPUS ROUNDS PAUSE_US HERE THERE [wait]\n", stderr);
		return 2;
	}
	rounds = number(argc, argv, 2, 0);
	pause_seconds = number(argc, argv, 3, 0) / 1e6;
	for (char *at = argv[1], *end; *at && n < THREADS; at = *end ? end + 1 : end, n++) {
		threads[n] = strtol(at, &end, 10) | n << 16; /* what its thread is told, first */
		times += rounds * (n + 1);
	}
	parse(argv[4], mix[0], times);
	parse(argv[5], mix[1], times);
	ready();
	if (argc > 6 && getchar() == EOF)
		return 1;
	for (long i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)threads[i]))
			die("start a thread");
	for (long i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	for (int id = 0; id < IDS; id++)
		if (injected[id])
			printf("injected %d %ld\n", id, injected[id]);
	return 0;
}
