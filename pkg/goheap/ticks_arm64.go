package goheap

// cpuTicks is what runtime.cputicks is on arm64 under Linux: nanoseconds (os_linux_arm64.go).
func cpuTicks() int64 { return monotonic() }
