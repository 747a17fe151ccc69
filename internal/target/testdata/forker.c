// SPDX-License-Identifier: Apache-2.0
// forker ROUNDS [NAME DELAY]: has a child that spins in early_child all the time. In each round it starts a
// child that spends 20 ms of CPU time in late_child, a grandchild whose parent has gone (a daemon's double
// fork) in grand_child, and a child that executes a program of another name in exec_child; it waits for all
// of them and prints "round". It hardly uses the CPU itself, and ends after ROUNDS or two minutes.
// With NAME it takes that name after DELAY seconds, and does its rounds only after that.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "spend.h"

SPEND(early_child)
SPEND(late_child)
SPEND(grand_child)
SPEND(exec_child)

#define PIECE 0.02
#define LIFE 120

static pid_t forked(void)
{
	pid_t pid = fork();
	if (pid < 0)
		exit(1);
	return pid;
}

static void in_child(void (*turn)(long))
{
	if (forked() == 0) {
		spend(turn, CLOCK_PROCESS_CPUTIME_ID, PIECE);
		_exit(0);
	}
}

static void in_exec(void)
{
	if (forked() == 0) {
		execl("/proc/self/exe", "tool", "exec", NULL);
		_exit(127);
	}
}

/* Waits for the grandchild too: it has the pipe open until it ends. */
static void round_of_children(void)
{
	int ends[2];
	char byte;

	if (pipe(ends))
		exit(1);
	in_child(late_child);
	in_exec();
	if (forked() == 0) {
		in_child(grand_child);
		_exit(0);
	}
	close(ends[1]);
	if (read(ends[0], &byte, 1) != 0)
		exit(1);
	close(ends[0]);
	for (int i = 0; i < 3; i++)
		wait(NULL);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "exec")) {
		prctl(PR_SET_NAME, "tool");
		spend(exec_child, CLOCK_PROCESS_CPUTIME_ID, PIECE);
		return 0;
	}
	alarm(LIFE);
	pid_t early = forked();
	if (early == 0) {
		spend(early_child, CLOCK_MONOTONIC, LIFE);
		return 0;
	}
	ready();
	if (argc > 2) {
		usleep(number(argc, argv, 3, 1) * 1e6);
		prctl(PR_SET_NAME, argv[2]);
	}
	for (int i = 0; i < number(argc, argv, 1, 1000000); i++) {
		round_of_children();
		puts("round");
		fflush(stdout);
	}
	kill(early, SIGKILL);
	wait(NULL);
	return 0;
}
