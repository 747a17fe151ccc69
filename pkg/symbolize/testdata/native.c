#include <stdio.h>
#include <stdlib.h>
#include <time.h>

__attribute__((noinline)) static unsigned mix(unsigned x) { return x * 2654435761u ^ (x >> 7); }
__attribute__((noinline)) unsigned busy(unsigned n) {
	unsigned s = 0;
	for (unsigned i = 0; i < n; i++)
		s += mix(i);
	return s;
}
unsigned busy_alias(unsigned n) __attribute__((alias("busy")));
unsigned __busy(unsigned n) __attribute__((weak, alias("busy")));

/* Assembly without .type and .size, and a local label inside a sized function. */
__asm__(".text\n"
	".globl bare\n"
	"bare: nop\n nop\n nop\n ret\n"
	"after_bare: nop\n ret\n"
	".globl sized\n .type sized, @function\n"
	"sized: nop\n"
	"inside_sized: nop\n ret\n"
	".size sized, .-sized\n"
	".fill 32, 1, 0x90\n");
void bare(void);
void sized(void);

int main(int argc, char **argv) {
	bare();
	sized();
	printf("%u %u %ld\n", busy(argc), busy_alias(argc), (long)time(NULL));
	return 0;
}
