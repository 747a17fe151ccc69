// Gosplit burns CPU in functions with known names and shares.
//
//	gosplit           forever: main.spendMost and main.spendRest 7 to 3, on one thread
//	gosplit hotplug   two threads for 6 s, during 2 of which CPU 1 is offline
//
// Prints "ready" when it begins and, if it ends, "cpu_seconds N", its own use of the CPU.
package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	fmt.Println("ready")
	if len(os.Args) == 1 {
		work(nil)
	}
	if err := hotplug(); err != nil {
		fmt.Fprintln(os.Stderr, "gosplit:", err)
		os.Exit(1)
	}
	var used unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &used); err != nil {
		fmt.Fprintln(os.Stderr, "gosplit:", err)
		os.Exit(1)
	}
	fmt.Printf("cpu_seconds %.3f\n", time.Duration(used.Nano()).Seconds())
}

//go:noinline
func spendMost(n uint64) uint64 {
	x := n
	for range n {
		x = x*2654435761 + 1
	}
	return x
}

//go:noinline
func spendRest(n uint64) uint64 {
	x := n
	for range n {
		x = x*2654435761 + 1
	}
	return x
}

// work runs until stop is set. The rounds differ in length so that they cannot beat
// with the sampling clock.
func work(stop *atomic.Bool) uint64 {
	x, random := uint64(1), uint64(1)
	for stop == nil || !stop.Load() {
		random = random*6364136223846793005 + 1442695040888963407
		n := 1000 + (random>>33)%9000
		x += spendMost(7*n) + spendRest(3*n)
	}
	return x
}

func hotplug() error {
	const online = "/sys/devices/system/cpu/cpu1/online"
	var stop atomic.Bool
	var done sync.WaitGroup
	for range 2 {
		done.Go(func() { work(&stop) })
	}
	var err error
	for _, state := range []string{"1", "0", "1"} {
		if e := os.WriteFile(online, []byte(state), 0); e != nil && err == nil {
			err = fmt.Errorf("switch CPU 1: %w", e)
		}
		time.Sleep(2 * time.Second)
	}
	stop.Store(true)
	done.Wait()
	return err
}
