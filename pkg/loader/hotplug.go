package loader

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	hotplugInterval = time.Second
	maxCPU          = 1 << 16
)

// parseCPUList reads the kernel's list format, such as "0-3,5" (Documentation/admin-guide/cputopology.rst).
func parseCPUList(s string) ([]int, error) {
	var cpus []int
	for part := range strings.SplitSeq(strings.TrimSpace(s), ",") {
		lo, hi, isRange := strings.Cut(part, "-")
		if !isRange {
			hi = lo
		}
		a, err1 := strconv.Atoi(lo)
		b, err2 := strconv.Atoi(hi)
		if err1 != nil || err2 != nil || a < 0 || b < a || b >= maxCPU {
			return nil, fmt.Errorf("parse CPU list %q", s)
		}
		for cpu := a; cpu <= b; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// watchCPUs keeps one event on every CPU until the sampler stops. The kernel announces changes on a netlink socket,
// but only to the initial network namespace, so it looks once a second too.
func (s *Sampler) watchCPUs() {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err == nil {
		defer unix.Close(fd)
		if unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}) != nil {
			fd = -1
		}
	} else {
		fd = -1
	}
	tick := time.NewTicker(hotplugInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.stopped:
			return
		case <-tick.C:
		}
		departed := departedCPUs(fd)
		for _, e := range s.events {
			for _, cpu := range departed {
				e.forget(cpu)
			}
			// An error here is a CPU that left meanwhile; the next look sees it.
			_ = e.sync()
		}
	}
}

// departedCPUs drains the socket and returns the CPUs that went offline, which may be back by now.
func departedCPUs(fd int) []int {
	var cpus []int
	var buf [4096]byte
	for fd >= 0 {
		n, _, err := unix.Recvfrom(fd, buf[:], 0)
		if err != nil || n <= 0 {
			break
		}
		head, _, _ := strings.Cut(string(buf[:n]), "\x00")
		if at, ok := strings.CutPrefix(head, "offline@"); ok {
			if i := strings.LastIndex(at, "/cpu"); i >= 0 {
				if cpu, err := strconv.Atoi(at[i+len("/cpu"):]); err == nil {
					cpus = append(cpus, cpu)
				}
			}
		}
	}
	return cpus
}
