/* SPDX-License-Identifier: Apache-2.0 */
/* Work whose place and amount are known. */
#pragma once

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A turn is some 150 microseconds: the clock that is read between turns costs next to nothing. */
#define TURN 100000

/*
 * Defines name(n), which does n steps of a multiplication that no compiler removes. It asks for its frame's
 * address, or else gcc would spare itself the frame pointer, and the caller be missing in the stack.
 */
#define SPEND(name)                                                       \
	__attribute__((noinline, noclone)) void name(long n)              \
	{                                                                 \
		unsigned long x = n;                                      \
		__asm__ volatile("" : : "r"(__builtin_frame_address(0))); \
		for (long i = 0; i < n; i++) {                            \
			x = x * 2654435761u + 1;                          \
			__asm__ volatile("" : "+r"(x));                   \
		}                                                         \
	}

static inline double now(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Calls turn until the clock has advanced by seconds. */
static inline void spend(void (*turn)(long), clockid_t clock, double seconds)
{
	double end = now(clock) + seconds;
	while (now(clock) < end)
		turn(TURN);
}

static inline double number(int argc, char **argv, int i, double otherwise)
{
	return argc > i ? atof(argv[i]) : otherwise;
}

static inline void ready(void)
{
	puts("ready");
	fflush(stdout);
}
