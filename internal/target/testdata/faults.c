// SPDX-License-Identifier: Apache-2.0
// faults PAGES: touches that many fresh pages, a tenth in Here and the rest in There, and prints its minor and major page
// faults as getrusage(2) counts them.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static void touch(volatile char *at, long pages, long size)
{
	for (long i = 0; i < pages; i++)
		at[i * size] = 1;
}

__attribute__((noinline)) void Here(char *at, long pages, long size)
{
	touch(at, pages, size);
}

__attribute__((noinline)) void There(char *at, long pages, long size)
{
	touch(at, pages, size);
}

int main(int argc, char **argv)
{
	long pages = argc > 1 ? atol(argv[1]) : 1000, size = sysconf(_SC_PAGESIZE), chunk = 1000;
	struct rusage u;

	for (long done = 0; done < pages; done += chunk) {
		char *at = mmap(NULL, chunk * size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at == MAP_FAILED || madvise(at, chunk * size, MADV_NOHUGEPAGE))
			return 1;
		Here(at, chunk / 10, size);
		There(at + chunk / 10 * size, chunk - chunk / 10, size);
		munmap(at, chunk * size);
	}
	if (getrusage(RUSAGE_SELF, &u))
		return 1;
	printf("%ld %ld\n", u.ru_minflt, u.ru_majflt);
	return 0;
}
