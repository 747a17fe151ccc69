/* heapfork FILE: keeps memory, forks a child that frees its copy and keeps memory of its own, and becomes itself again with
 * exec, as "heapfork FILE again", which keeps memory once more. Each prints what it has: "before BYTES", "child BYTES",
 * "after BYTES". A thread is in malloc when the program ends. Children wait until FILE exists. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define OBJECTS 2000
#define SIZE 5000

static volatile uintptr_t sink;
static void *kept[OBJECTS];

#define SITE(n)                        \
	NOINLINE void *site_##n(void)  \
	{                              \
		void *p = malloc(SIZE); \
		sink += (uintptr_t)p;  \
		return p;              \
	}
SITE(before)
SITE(child)
SITE(after)

static void *busy(void *unused)
{
	for (;;)
		free(malloc(SIZE));
	return unused;
}

static void await(const char *file)
{
	for (int i = 0; access(file, F_OK) && i < 2000; i++)
		usleep(10000);
}

int main(int argc, char **argv)
{
	pthread_t t;

	if (argc < 2)
		return 2;
	if (argc > 2) {
		for (int i = 0; i < OBJECTS; i++)
			kept[i] = site_after();
		printf("after %d\n", OBJECTS * SIZE);
		fflush(stdout);
		if (pthread_create(&t, NULL, busy, NULL))
			return 1;
		usleep(50000);
		return 0;
	}
	printf("ready\n");
	fflush(stdout);
	for (int i = 0; i < OBJECTS; i++)
		kept[i] = site_before();
	if (!fork()) {
		await(argv[1]);
		for (int i = 0; i < OBJECTS; i++) {
			free(kept[i]);
			if (i % 2)
				kept[i] = site_child();
		}
		printf("child %d\n", OBJECTS * SIZE / 2);
		fflush(stdout);
		return 0;
	}
	for (int i = 0; i < OBJECTS; i++)
		if (i % 4 == 0)
			free(kept[i]);
	printf("before %d\n", OBJECTS * SIZE / 4 * 3);
	fflush(stdout);
	await(argv[1]);
	wait(NULL);
	execl("/proc/self/exe", argv[0], argv[1], "again", NULL);
	return 1;
}
