// SPDX-License-Identifier: Apache-2.0
// mapped FILE SECONDS: writes a loop to the second page of FILE, maps the file as code and spends the time in it.
// What else is in the file is the caller's: it need not be an object file at all.
#include <fcntl.h>
#include <sys/mman.h>
#include "spend.h"

#if defined(__x86_64__)
static const unsigned char code[] = { 0x48, 0xff, 0xcf, 0x75, 0xfb, 0xc3 }; /* dec rdi; jnz; ret */
#elif defined(__aarch64__)
static const unsigned int code[] = { 0xf1000400, 0x54ffffe1,
				     0xd65f03c0 }; /* subs x0, x0, 1; b.ne; ret */
#endif

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, code, sizeof code, 4096) != sizeof code) {
		perror(argv[1]);
		return 1;
	}
	char *at = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	ready();
	spend((void (*)(long))(at + 4096), CLOCK_MONOTONIC, atof(argv[2]));
	return 0;
}
