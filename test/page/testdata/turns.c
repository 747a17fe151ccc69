// SPDX-License-Identifier: Apache-2.0
// turns SECONDS: answers requests that nobody makes. Each is parsed, rendered and, from the first SIGUSR1 on, also
// compressed, which then takes most of the time; the next SIGUSR1 ends that again.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

// A turn is some 150 microseconds. The frame's address is asked for, or gcc would spare the frame pointer.
#define WORK(name, turns)                                                 \
	__attribute__((noinline, noclone)) void name(void)                \
	{                                                                 \
		unsigned long x = turns;                                  \
		__asm__ volatile("" : : "r"(__builtin_frame_address(0))); \
		for (long i = 0; i < 100000L * turns; i++) {              \
			x = x * 2654435761u + 1;                          \
			__asm__ volatile("" : "+r"(x));                   \
		}                                                         \
	}

WORK(read_header, 1)
WORK(render_template, 2)
WORK(escape_text, 1)
WORK(compress_body, 6)

static volatile sig_atomic_t compressing;

static void turn(int signal)
{
	(void)signal;
	compressing = !compressing;
}

__attribute__((noinline, noclone)) void parse_request(void)
{
	read_header();
	__asm__ volatile("" : : : "memory");
}

__attribute__((noinline, noclone)) void render_page(void)
{
	render_template();
	escape_text();
	__asm__ volatile("" : : : "memory");
}

__attribute__((noinline, noclone)) void serve(void)
{
	parse_request();
	render_page();
	if (compressing)
		compress_body();
	__asm__ volatile("" : : : "memory");
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 60);

	signal(SIGUSR1, turn);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	puts("ready");
	fflush(stdout);
	while (time(NULL) < end)
		serve();
	return 0;
}
