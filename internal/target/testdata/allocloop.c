/* allocloop RATE SECONDS: malloc and free of 64 bytes, RATE pairs for each second of CPU time that the program would use by
 * itself, with work between; 0: no work. It does a fixed amount, that of SECONDS, so that what it used more tells what it was
 * slowed down by. It prints "ready", then "pairs N", "cpu_seconds S", and "least_seconds S": the CPU time if every piece of
 * 10 ms had taken as long as the median one. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile uintptr_t sink;

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void piece(unsigned long pairs, unsigned work)
{
	for (unsigned long i = 0; i < pairs; i++) {
		void *p = malloc(64);

		sink += (uintptr_t)p;
		free(p);
		for (unsigned w = 0; w < work; w++)
			sink += w;
	}
}

static int compare(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

/* The shortest of some: the time of a piece on a machine that does nothing else. */
static double fastest(unsigned long pairs, unsigned work)
{
	double best = 1e9;

	for (int i = 0; i < 20; i++) {
		double begin = cpu();

		piece(pairs, work);
		double took = cpu() - begin;
		best = took < best ? took : best;
	}
	return best;
}

int main(int argc, char **argv)
{
	double rate = argc > 1 ? atof(argv[1]) : 1e6, seconds = argc > 2 ? atof(argv[2]) : 10;
	unsigned long pairs, n, bare;
	unsigned work = 0;

	/* The work that makes a thousandth of a second of a thousandth of the pairs. */
	bare = rate ? rate / 1000 : 100000;
	if (rate) {
		double base = fastest(bare, 0), more = fastest(bare, 100) - base;

		work = (1e-3 - base) / more * 100;
	}
	pairs = rate ? rate / 100 : 0.01 / fastest(bare, 0) * bare;
	n = seconds * 100;
	double *took = calloc(n, sizeof(*took)), sum = 0;

	printf("ready\n");
	fflush(stdout);
	for (unsigned long i = 0; i < n; i++) {
		double begin = cpu();

		piece(pairs, work);
		took[i] = cpu() - begin;
		sum += took[i];
	}
	qsort(took, n, sizeof(*took), compare);
	printf("pairs %lu\ncpu_seconds %.6f\nleast_seconds %.6f\n", n * pairs, sum,
	       took[n / 2] * n);
	free(took);
	return 0;
}
