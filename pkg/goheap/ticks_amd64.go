package goheap

// cpuTicks is the counter that runtime.cputicks reads on amd64: the time stamp counter.
func cpuTicks() int64
