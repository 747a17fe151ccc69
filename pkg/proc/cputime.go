package proc

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime returns the CPU time that all threads of a process have used so far, those that ended included. It asks the
// process's clock (clock_getcpuclockid(3)), which is exact where /proc/PID/stat counts in steps of 10 ms.
//
// Errors: ErrNoProcess.
func CPUTime(pid int) (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|clockSched, &ts); err != nil {
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ESRCH) {
			err = ErrNoProcess
		}
		return 0, fmt.Errorf("read CPU time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// clockSched says of a process's clock that it counts what the scheduler does (CPUCLOCK_SCHED in
// include/linux/posix-timers_types.h; 2.6.12).
const clockSched = 2
