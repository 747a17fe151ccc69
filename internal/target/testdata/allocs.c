/* allocs ROUNDS [FILE]: allocates memory of known sizes in functions of their own, site_NAME, after FILE exists, and frees
 * it; with ROUNDS of -1, until FILE exists. It prints "ready", and at the end for each function "site_NAME OBJECTS BYTES": how often it asked, and for how much. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

struct truth {
	const char *name;
	unsigned long objects, bytes;
};

static volatile uintptr_t sink;

/* After the call: not a tail call, so that the site has a frame. */
static void took(struct truth *t, void *p, size_t bytes)
{
	t->objects++;
	t->bytes += bytes;
	sink += (uintptr_t)p;
	free(p);
}

#define SITE(n, size)                                           \
	static struct truth t_##n = { "site_" #n, 0, 0 };       \
	NOINLINE void site_##n(void)                            \
	{                                                       \
		void *p = malloc(size);                         \
		took(&t_##n, p, size);                          \
	}
SITE(16, 16)
SITE(100, 100)
SITE(1000, 1000)
SITE(64k, 65536)
SITE(1m, 1 << 20)
SITE(4m, 4 << 20)

static struct truth t_mix = { "site_mix", 0, 0 }, t_calloc = { "site_calloc", 0, 0 },
		    t_realloc = { "site_realloc", 0, 0 }, t_aligned = { "site_aligned", 0, 0 };

NOINLINE void site_mix(unsigned i)
{
	size_t size = 8 + i * 2654435761u % 4000;
	void *p = malloc(size);

	took(&t_mix, p, size);
}

NOINLINE void site_calloc(unsigned i)
{
	size_t n = 1 + i % 64;
	void *p = calloc(n, 48);

	took(&t_calloc, p, n * 48);
}

/* From nothing, and then larger. */
NOINLINE void site_realloc(void)
{
	void *p = realloc(NULL, 500), *q = realloc(p, 3000);

	t_realloc.objects++;
	t_realloc.bytes += 500;
	took(&t_realloc, q, 3000);
}

NOINLINE void site_aligned(void)
{
	void *p = NULL;

	if (posix_memalign(&p, 64, 2048))
		exit(1);
	took(&t_aligned, p, 2048);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? atoi(argv[1]) : 1000; /* -1 is more than it gets to */
	int until = rounds == -1u;
	struct truth *all[] = { &t_16, &t_100, &t_1000, &t_64k, &t_1m, &t_4m, &t_mix, &t_calloc, &t_realloc, &t_aligned };

	printf("ready\n");
	fflush(stdout);
	for (int i = 0; argc > 2 && !until && access(argv[2], F_OK) && i < 3000; i++)
		usleep(10000);
	for (unsigned i = 0; i < rounds; i++) {
		if (until && i % 1024 == 0 && !access(argv[2], F_OK))
			break;
		site_16();
		if (i % 2 == 0)
			site_100();
		if (i % 4 == 0)
			site_1000();
		if (i % 200 == 0)
			site_64k();
		if (i % 4000 == 0)
			site_1m();
		if (i % 40000 == 0)
			site_4m();
		site_mix(i);
		if (i % 2 == 0)
			site_calloc(i);
		if (i % 4 == 0)
			site_realloc();
		if (i % 4 == 0)
			site_aligned();
	}
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		printf("%s %lu %lu\n", all[i]->name, all[i]->objects, all[i]->bytes);
	return 0;
}
