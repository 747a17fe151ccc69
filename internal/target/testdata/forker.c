// SPDX-License-Identifier: Apache-2.0
// forker SECONDS [NAME DELAY]: has a child in early_child from the start, and later starts children in
// late_child, grandchildren whose parent has gone (a daemon's double fork) in grand_child, and children that
// execute another program under another name, in exec_child. It uses hardly any CPU time itself.
// With NAME it takes that name after DELAY seconds, and starts the later ones only after that.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "spend.h"

SPEND(early_child)
SPEND(late_child)
SPEND(grand_child)
SPEND(exec_child)

#define PIECE 0.08

static void in_child(void (*turn)(long), double seconds)
{
	pid_t pid = fork();
	if (pid < 0)
		exit(1);
	if (pid == 0) {
		spend(turn, CLOCK_MONOTONIC, seconds);
		_exit(0);
	}
}

static void in_grandchild(void)
{
	pid_t pid = fork();
	if (pid < 0)
		exit(1);
	if (pid == 0) {
		setsid();
		in_child(grand_child, PIECE);
		_exit(0);
	}
}

static void in_exec(void)
{
	pid_t pid = fork();
	if (pid < 0)
		exit(1);
	if (pid == 0) {
		/* A script's or a tool's name, not ours. */
		execl("/proc/self/exe", "tool", "exec", NULL);
		_exit(127);
	}
}

int main(int argc, char **argv)
{
	double start = now(CLOCK_MONOTONIC), seconds = number(argc, argv, 1, 60);

	if (argc > 1 && !strcmp(argv[1], "exec")) {
		prctl(PR_SET_NAME, "tool");
		spend(exec_child, CLOCK_MONOTONIC, PIECE);
		return 0;
	}
	in_child(early_child, seconds);
	ready();
	if (argc > 2) {
		usleep(number(argc, argv, 3, 1) * 1e6);
		prctl(PR_SET_NAME, argv[2]);
	}
	while (now(CLOCK_MONOTONIC) < start + seconds) {
		in_child(late_child, PIECE);
		in_grandchild();
		in_exec();
		usleep(100000);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
	return 0;
}
