// SPDX-License-Identifier: Apache-2.0
/* waits SECONDS DIR [NAME...]: threads that wait in known ways, named after what they wait in: all of them, or those named.
 * Prints "ready" when they do.
 *
 *   sleeper    nanosleep of 5 ms, again and again
 *   asleep     one read of an empty pipe, for ever
 *   disk       writes a block to a file in DIR and syncs it, again and again
 *   lock0/1    contend for a mutex that each holds for 1 ms of CPU time
 *   queue0/1   burn the CPU on CPU 0, so that one always waits for it
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile int stop;
static char path[4096];
static int nothing[2];

static void spin(long ns)
{
	struct timespec a, b;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	while ((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec < ns);
}

__attribute__((noinline)) void wait_sleeping(void)
{
	struct timespec t = { 0, 5000000 };

	while (!stop)
		nanosleep(&t, NULL);
}

__attribute__((noinline)) void wait_for_ever(void)
{
	char c;

	while (!stop && read(nothing[0], &c, 1) < 0)
		;
}

__attribute__((noinline)) void wait_for_disk(void)
{
	static char block[1 << 20];
	int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);

	while (!stop && fd >= 0) {
		if (pwrite(fd, block, sizeof(block), 0) < 0)
			break;
		fdatasync(fd);
	}
	close(fd);
	unlink(path);
}

__attribute__((noinline)) void wait_for_lock(void)
{
	while (!stop) {
		pthread_mutex_lock(&mutex);
		spin(1000000);
		pthread_mutex_unlock(&mutex);
		sched_yield();
	}
}

__attribute__((noinline)) void wait_for_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	while (!stop)
		spin(1000000);
}

struct kind {
	const char *name;
	void (*run)(void);
};

static int wanted(const char *name, int argc, char **argv)
{
	for (int i = 3; i < argc; i++)
		if (!strcmp(argv[i], name))
			return 1;
	return argc <= 3;
}

static void *run(void *arg)
{
	struct kind *k = arg;

	pthread_setname_np(pthread_self(), k->name);
	k->run();
	return NULL;
}

int main(int argc, char **argv)
{
	static struct kind kinds[] = {
		{ "sleeper", wait_sleeping }, { "asleep", wait_for_ever },
		{ "disk", wait_for_disk },    { "lock0", wait_for_lock },
		{ "lock1", wait_for_lock },   { "queue0", wait_for_cpu },
		{ "queue1", wait_for_cpu },
	};
	pthread_t t[sizeof(kinds) / sizeof(kinds[0])];
	int threads = 0;

	if (argc < 3 || pipe(nothing))
		return 2;
	snprintf(path, sizeof(path), "%s/waits.%d", argv[2], getpid());
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (wanted(kinds[i].name, argc, argv))
			pthread_create(&t[threads++], NULL, run, &kinds[i]);
	usleep(200000);
	puts("ready");
	fflush(stdout);
	sleep(atoi(argv[1]));
	stop = 1;
	close(nothing[1]);
	while (threads)
		pthread_join(t[--threads], NULL);
	return 0;
}
