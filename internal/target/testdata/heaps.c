/* heaps ROUNDS [THREADS]: allocates in functions of their own, site_NAME, in each of so many threads, and frees some of it.
 * It prints "ready", and at the end for each function "site_NAME OBJECTS BYTES" of what is in use then, and
 * "allocated BYTES" of all that was asked for. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

struct truth {
	const char *name;
	long objects, bytes;
};

static unsigned long asked;
static volatile uintptr_t sink;

static struct truth t_kept = { "site_kept", 0, 0 }, t_freed = { "site_freed", 0, 0 }, t_queue = { "site_queue", 0, 0 },
		    t_big = { "site_big", 0, 0 }, t_calloc = { "site_calloc", 0, 0 }, t_realloc = { "site_realloc", 0, 0 },
		    t_aligned = { "site_aligned", 0, 0 }, t_shrunk = { "site_shrunk", 0, 0 };

/* After the call: not a tail call, so that the site has a frame. */
static void *took(struct truth *t, void *p, size_t bytes)
{
	__atomic_fetch_add(&t->objects, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&t->bytes, bytes, __ATOMIC_RELAXED);
	__atomic_fetch_add(&asked, bytes, __ATOMIC_RELAXED);
	sink += (uintptr_t)p;
	return p;
}

static void gave(struct truth *t, size_t bytes)
{
	__atomic_fetch_add(&t->objects, -1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&t->bytes, -bytes, __ATOMIC_RELAXED);
}

static void lose(struct truth *t, void *p, size_t bytes)
{
	free(p);
	gave(t, bytes);
}

NOINLINE void *site_kept(size_t n)
{
	return took(&t_kept, malloc(n), n);
}

NOINLINE void *site_freed(size_t n)
{
	return took(&t_freed, malloc(n), n);
}

NOINLINE void *site_queue(size_t n)
{
	return took(&t_queue, malloc(n), n);
}

NOINLINE void *site_big(size_t n)
{
	return took(&t_big, malloc(n), n);
}

NOINLINE void *site_calloc(size_t n)
{
	return took(&t_calloc, calloc(n / 16, 16), n / 16 * 16);
}

NOINLINE void *site_realloc(void *old, size_t was, size_t n)
{
	void *p = realloc(old, n);

	if (old)
		gave(&t_realloc, was);
	return took(&t_realloc, p, n);
}

/* What cannot be made larger stays as it is. */
NOINLINE void *site_shrunk(size_t n)
{
	void *p = took(&t_shrunk, malloc(n), n), *q;
	volatile size_t much = SIZE_MAX / 4;

	q = realloc(p, much);
	return q ? q : p;
}

NOINLINE void *site_aligned(size_t n)
{
	void *p = NULL;

	if (posix_memalign(&p, 64, n))
		exit(1);
	return took(&t_aligned, p, n);
}

#define QUEUE 2000
#define GROWN 200

static void *work(void *arg)
{
	unsigned rounds = *(unsigned *)arg;
	void *queue[QUEUE] = { 0 }, *grown[GROWN] = { 0 }, *last = NULL;
	size_t sizes[QUEUE] = { 0 }, was[GROWN] = { 0 };

	for (unsigned i = 0; i < rounds; i++) {
		size_t n = 16 + i * 2654435761u % 2000;
		unsigned q = i % QUEUE, g = i % GROWN;

		if (i % 8 == 0)
			site_kept(n);
		lose(&t_freed, site_freed(n), n);
		if (queue[q])
			lose(&t_queue, queue[q], sizes[q]);
		queue[q] = site_queue(n);
		sizes[q] = n;
		if (i % 1000 == 0) {
			if (last)
				lose(&t_big, last, 1 << 20);
			last = site_big(1 << 20);
		}
		if (i % 16 == 0)
			site_calloc(n);
		if (i % 4 == 0) {
			size_t to = was[g] > 20000 ? 100 : was[g] + 100;

			grown[g] = site_realloc(grown[g], was[g], to);
			was[g] = to;
		}
		if (i % 16 == 0)
			site_shrunk(n);
		if (i % 16 == 0)
			site_aligned(n);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? atoi(argv[1]) : 1000;
	int threads = argc > 2 ? atoi(argv[2]) : 1;
	struct truth *all[] = { &t_kept, &t_freed, &t_queue, &t_big, &t_calloc, &t_realloc, &t_aligned, &t_shrunk };
	pthread_t t[16];

	printf("ready\n");
	fflush(stdout);
	if (threads < 1 || threads > 16)
		return 2;
	for (int i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, work, &rounds))
			return 1;
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		printf("%s %ld %ld\n", all[i]->name, all[i]->objects, all[i]->bytes);
	printf("allocated %lu\n", asked);
	return 0;
}
