// SPDX-License-Identifier: Apache-2.0
// threads N SECONDS [NAME DELAY]: N threads in spin_thread besides the main thread, which sleeps. When a
// thread has used DELAY seconds of CPU time it takes the name NAME-i.
#include <pthread.h>
#include <sys/prctl.h>
#include "spend.h"

SPEND(spin_thread)

static double seconds, delay;
static const char *name;

static void *run(void *arg)
{
	char own[16];
	double end = now(CLOCK_MONOTONIC) + seconds;
	if (name) {
		spend(spin_thread, CLOCK_THREAD_CPUTIME_ID, delay);
		snprintf(own, sizeof own, "%s-%d", name, (int)(long)arg);
		prctl(PR_SET_NAME, own);
	}
	while (now(CLOCK_MONOTONIC) < end)
		spin_thread(TURN);
	return NULL;
}

int main(int argc, char **argv)
{
	int n = number(argc, argv, 1, 2);
	pthread_t threads[64];

	seconds = number(argc, argv, 2, 60);
	name = argc > 3 ? argv[3] : NULL;
	delay = number(argc, argv, 4, 1);
	if (n > 64)
		return 2;
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, run, (void *)(long)i))
			return 1;
	ready();
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
