// SPDX-License-Identifier: Apache-2.0
// syscalls SECONDS: spends the time in the kernel: in large reads of /dev/zero by read_zeros, and in the
// smallest system call there is by call_nothing.
#include <fcntl.h>
#include <sys/syscall.h>
#include "spend.h"

static int zero;

__attribute__((noinline, noclone)) void read_zeros(long n)
{
	static char buf[1 << 20];
	for (long i = 0; i < n; i += sizeof buf / 16)
		if (read(zero, buf, sizeof buf) != sizeof buf)
			exit(1);
}

__attribute__((noinline, noclone)) void call_nothing(long n)
{
	for (long i = 0; i < n / 100; i++)
		syscall(SYS_getppid);
}

int main(int argc, char **argv)
{
	double end = now(CLOCK_MONOTONIC) + number(argc, argv, 1, 60);

	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (zero < 0)
		return 1;
	ready();
	while (now(CLOCK_MONOTONIC) < end) {
		spend(read_zeros, CLOCK_MONOTONIC, 0.01);
		spend(call_nothing, CLOCK_MONOTONIC, 0.01);
	}
	return 0;
}
