package goheap_test

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/goheap"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

// What this process allocated, as another would find out.
func Example() {
	pid := os.Getpid()
	var cache goheap.Cache // of the whole profiler: one entry for each program file
	process, err := goheap.Open(goheap.Options{PID: pid, Cache: &cache})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer process.Close()

	heap, err := process.Heap()
	if errors.Is(err, goheap.ErrDisabled) {
		fmt.Println("says why:", err)
		return
	} else if err != nil {
		fmt.Println(err)
		return
	}

	file, name, _, err := proc.FS{}.OpenProgram(pid)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		fmt.Println(err)
		return
	}
	object, err := symbolize.NewObject(file, info.Size())
	if err != nil {
		fmt.Println(err)
		return
	}
	p := heap.Profile(goheap.Program{Namer: object, File: name}, profile.Labels{PID: int64(pid)}, time.Now())
	fmt.Println(p.SampleType[3].Type, p.PeriodType.Unit, p.Period, p.CheckValid())
	// Output: inuse_space bytes 524288 <nil>
}
