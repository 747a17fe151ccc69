/* ownsampler SECONDS: tells of a sampled allocation of 1000 bytes with the weight 1000000 every millisecond, by the probe
 * otel_memory:alloc behind a semaphore, and allocates other memory in site_other. Prints "told N": how often it told. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifdef MEMORY /* with its arguments where a profiler may not look for them */
#define WHERE "m"
#else
#define WHERE "r"
#endif
#define NOINLINE __attribute__((noinline))

unsigned short semaphore __attribute__((section(".probes")));

__asm__(".pushsection .stapsdt.base, \"aG\", %progbits, .stapsdt.base, comdat\n"
	".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n"
	".popsection\n");

static volatile unsigned long sink;

NOINLINE void site_told(void *p, unsigned long size, unsigned long weight)
{
	__asm__ volatile("990: nop\n"
			 ".pushsection .note.stapsdt, \"\", \"note\"\n.balign 4\n"
			 ".4byte 992f-991f, 994f-993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n"
			 "993: .8byte 990b, _.stapsdt.base, semaphore\n"
			 ".asciz \"otel_memory\"\n.asciz \"alloc\"\n.asciz \"8@%0 8@%1 8@%2\"\n994: .balign 4\n"
			 ".popsection\n" ::WHERE(p), WHERE(size), WHERE(weight));
	sink++;
}

NOINLINE void site_other(void)
{
	void *p = malloc(100000);

	sink += (unsigned long)p;
	free(p);
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 1);
	unsigned long told = 0;
	char memory[16];

	while (time(NULL) < end) {
		site_other();
		if (*(volatile unsigned short *)&semaphore) {
			site_told(memory, 1000, 1000000);
			told++;
		}
		usleep(1000);
	}
	printf("told %lu\n", told);
	return 0;
}
