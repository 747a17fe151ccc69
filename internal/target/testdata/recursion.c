// SPDX-License-Identifier: Apache-2.0
// recursion DEPTH SECONDS: spends the time in bottom, below DEPTH calls of descend.
#include "spend.h"

SPEND(bottom)

__attribute__((noinline, noclone)) int descend(int depth, double seconds)
{
	if (depth <= 1) {
		spend(bottom, CLOCK_MONOTONIC, seconds);
		return 1;
	}
	int below = descend(depth - 1, seconds);
	__asm__ volatile("" : "+r"(below)); /* no tail call */
	return below + 1;
}

int main(int argc, char **argv)
{
	ready();
	return descend(number(argc, argv, 1, 50), number(argc, argv, 2, 60)) == 0;
}
