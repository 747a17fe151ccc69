/* leaks SECONDS RATE: allocates RATE times a second at 200 sites, site_0 to site_199, and loses one of 100 allocations, all
 * of them at site_137, for ever. All else is freed: at once, behind a queue, at random, in batches, or after a quarter of
 * the time; but for what site_table allocates at the start. It prints "ready", and at the end "leaked OBJECTS BYTES". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NOINLINE __attribute__((noinline))
#define SITES 200
#define LEAKY 137

static volatile uintptr_t sink;

/* Functions of their own, each with a call of malloc that is no tail call. */
#define SITE(n)                                  \
	NOINLINE static void *site_##n(size_t s) \
	{                                        \
		void *p = malloc(s);             \
		sink += (uintptr_t)p + n;        \
		return p;                        \
	}
#define TEN(n) \
	SITE(n##0) SITE(n##1) SITE(n##2) SITE(n##3) SITE(n##4) SITE(n##5) SITE(n##6) SITE(n##7) SITE(n##8) SITE(n##9)
#define NAMES(n) \
	site_##n##0, site_##n##1, site_##n##2, site_##n##3, site_##n##4, site_##n##5, site_##n##6, site_##n##7, site_##n##8, site_##n##9
SITE(0) SITE(1) SITE(2) SITE(3) SITE(4) SITE(5) SITE(6) SITE(7) SITE(8) SITE(9)
TEN(1) TEN(2) TEN(3) TEN(4) TEN(5) TEN(6) TEN(7) TEN(8) TEN(9) TEN(10) TEN(11) TEN(12) TEN(13) TEN(14) TEN(15) TEN(16)
TEN(17) TEN(18) TEN(19)

static void *(*const sites[SITES])(size_t) = {
	site_0, site_1, site_2, site_3, site_4, site_5, site_6, site_7, site_8, site_9,
	NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6), NAMES(7), NAMES(8), NAMES(9), NAMES(10), NAMES(11), NAMES(12),
	NAMES(13), NAMES(14), NAMES(15), NAMES(16), NAMES(17), NAMES(18), NAMES(19),
};

NOINLINE static void *site_table(size_t s)
{
	void *p = malloc(s);

	sink += (uintptr_t)p;
	return p;
}

/* One call for all: only what becomes of it tells what is lost from what is not. */
NOINLINE static void *allocate(unsigned n, size_t s)
{
	void *p = sites[n](s);

	sink += (uintptr_t)p;
	return p;
}

/* What waits to be freed. */
struct queue {
	void **held;
	unsigned long size, put, got;
};

static void put(struct queue *q, void *p)
{
	q->held[q->put++ % q->size] = p;
}

static void drop(struct queue *q, unsigned long keep)
{
	while (q->put - q->got > keep)
		free(q->held[q->got++ % q->size]);
}

static uint64_t seed = 88172645463325252ULL;

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

#define RANDOM 2000
#define SHORT 1000

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1, begin;
	unsigned long rate = argc > 2 ? atol(argv[2]) : 10000, all = seconds * rate, leaked = 0, bytes = 0, batch = all / 8 + 1;
	/* A fifth of all goes into each. */
	struct queue behind = { .size = SHORT + 1 }, batches = { .size = batch + 1 }, late = { .size = all + 1 };
	static void *random[RANDOM];

	behind.held = calloc(behind.size, sizeof(void *));
	batches.held = calloc(batches.size, sizeof(void *));
	late.held = calloc(late.size, sizeof(void *));
	printf("ready\n");
	fflush(stdout);
	for (int i = 0; i < 2000; i++)
		site_table(2000);
	begin = now();
	for (unsigned long i = 0; i < all; i++) {
		unsigned lose = i % 100 == 0, n = lose ? LEAKY : next() % SITES;
		size_t size = 32 + next() % 2000;
		void *p = allocate(n, size);

		__asm__ volatile("" : "+r"(lose)); /* or the compiler makes two calls, one for each case */
		if (lose) {
			leaked++;
			bytes += size;
			continue;
		}
		switch (n % 5) {
		case 0:
			put(&behind, p);
			drop(&behind, SHORT);
			break;
		case 1:
			free(random[size % RANDOM]);
			random[size % RANDOM] = p;
			break;
		case 2:
			free(p);
			break;
		case 3:
			put(&batches, p);
			if (batches.put - batches.got >= batch / 5)
				drop(&batches, 0);
			break;
		case 4:
			put(&late, p);
			drop(&late, all / 5 / 4);
			break;
		}
		while (i % 64 == 1 && now() < begin + (double)i / rate) {
			struct timespec t = { .tv_nsec = 200000 };

			nanosleep(&t, NULL);
		}
	}
	printf("leaked %lu %lu\n", leaked, bytes);
	fflush(stdout);
	return 0;
}
