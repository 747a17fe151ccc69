package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// daemonNice is the nice value of the daemon's threads. It uses less than a hundredth of the machine, and on a machine with
// a hundred runnable threads for each CPU it would else take seconds to be ready, to read the ring and to stop.
const daemonNice = -10

// startNice is that until it is ready, which takes a quarter of a second of CPU time: the types of the kernel, the verifier.
const startNice = -20

// setPriority sets the nice value of all threads; those that are started later inherit it. Without CAP_SYS_NICE, and
// without the unit's Nice=, it changes nothing.
func setPriority(nice int) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range threads {
		if tid, err := strconv.Atoi(t.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, tid, nice)
		}
	}
}
