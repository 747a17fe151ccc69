// SPDX-License-Identifier: Apache-2.0
// waits SECONDS: one thread waits for work that never comes (poll), one for answers (a pipe) of one that takes its time
// (nanosleep), and one touches memory anew, computes a little and sleeps.
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define FRAME __asm__ volatile("" : : "r"(__builtin_frame_address(0)) : "memory")

static int answers[2];

static void rest(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

__attribute__((noinline, noclone)) void wait_for_work(void)
{
	poll(NULL, 0, 200);
	FRAME;
}

__attribute__((noinline, noclone)) void wait_for_answer(void)
{
	char c;

	if (read(answers[0], &c, 1) != 1)
		exit(1);
	FRAME;
}

__attribute__((noinline, noclone)) void touch_pages(void)
{
	size_t size = 4 << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		exit(1);
	madvise(p, size, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	munmap(p, size);
	FRAME;
}

static void *idle(void *none)
{
	for (;;)
		wait_for_work();
	return none;
}

static void *ask(void *none)
{
	for (;;)
		wait_for_answer();
	return none;
}

static void *answer(void *none)
{
	for (;;) {
		rest(50);
		if (write(answers[1], "", 1) != 1)
			exit(1);
	}
	return none;
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 60);
	void *(*threads[])(void *) = { idle, ask, answer };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (pipe(answers))
		return 1;
	for (int i = 0; i < 3; i++) {
		pthread_t t;
		if (pthread_create(&t, NULL, threads[i], NULL))
			return 1;
	}
	puts("ready");
	fflush(stdout);
	while (time(NULL) < end) {
		touch_pages();
		rest(20);
	}
	return 0;
}
