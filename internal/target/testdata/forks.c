/* forks N ROUNDS SELF: N threads, then N children, which allocate ROUNDS times each; the first child does so by executing SELF with
 * no N. Prints for each function "site_NAME OBJECTS BYTES", of all of them. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 1500
#define NOINLINE __attribute__((noinline))

static volatile unsigned long sink;
static int rounds;

#define SITE(name)                                        \
	NOINLINE void site_##name(void)                   \
	{                                                 \
		for (int i = 0; i < rounds; i++) {        \
			void *p = malloc(SIZE);           \
			__atomic_fetch_add(&sink, (unsigned long)p, __ATOMIC_RELAXED); \
			free(p);                          \
		}                                         \
	}
SITE(threads)
SITE(children)
SITE(executed)

static void *run(void *arg)
{
	site_threads();
	return arg;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1;
	pthread_t threads[64];

	rounds = argc > 2 ? atoi(argv[2]) : 1000;
	if (!n) {
		site_executed();
		return 0;
	}
	if (n > 64 || argc < 4)
		return 2;
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, run, NULL))
			return 1;
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 1;
		if (!pid) {
			site_children();
			if (!i)
				execl(argv[3], argv[3], "0", argv[2], (char *)NULL);
			_exit(0);
		}
	}
	for (int i = 0, status; i < n; i++)
		if (wait(&status) < 0 || status)
			return 1;
	for (int i = 0; i < 3; i++) {
		long objects = (long)rounds * (i < 2 ? n : 1);

		printf("site_%s %ld %ld\n", (const char *[]){ "threads", "children", "executed" }[i], objects,
		       objects * SIZE);
	}
	return 0;
}
