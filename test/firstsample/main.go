// Firstsample runs a command a thousand times and counts how many of the first samples of its processes reach the root
// of their stack.
//
//	firstsample [-runs N] [-rate HZ] COMMAND ARGS...
//
// The command has run a few times before, so that its files are known, as they are when the next of many short processes
// starts. A profile cannot tell this: it has no order. It needs root.
package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

func main() {
	runs := flag.Int("runs", 1000, "processes")
	rate := flag.Uint64("rate", 999, "samples a second and CPU")
	flag.Parse()
	if err := run(*runs, *rate, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "firstsample:", err)
		os.Exit(1)
	}
}

// warmRuns are enough for every object to be touched, and settleTime for its table to be compiled.
const (
	warmRuns   = 20
	settleTime = 2 * time.Second
)

func run(runs int, rate uint64, command []string) error {
	if len(command) == 0 {
		return errors.New("want a command")
	}
	event := loader.CPUClock(rate)
	s, err := loader.Open(loader.Options{Events: []loader.Event{event}, Filter: loader.Filter{Kind: loader.FilterProcess}})
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := agent.NewRecorder(proc.FS{}, agent.KindsOf(event), s.Reannounce, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	r.Unwind(s, agent.DefaultUnwindBudget, "")
	if err := s.AddTarget(os.Getpid(), 0); err != nil { // and every child from now on
		return err
	}
	if err := s.Start(); err != nil {
		return err
	}
	f := &firsts{Recorder: r, seen: map[process]first{}, own: filepath.Base(os.Args[0])}
	read := make(chan error, 1)
	go func() { read <- s.Run(f) }()
	err = spawn(warmRuns, command)
	time.Sleep(settleTime)
	f.reset()
	if err == nil {
		err = spawn(runs, command)
	}
	s.Stop()
	if err := errors.Join(err, <-read); err != nil {
		return err
	}
	return f.write(filepath.Base(command[0]))
}

// spawn runs the command n times, as many at once as there are CPUs.
func spawn(n int, command []string) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	slots := make(chan struct{}, runtime.NumCPU())
	for range n {
		slots <- struct{}{}
		wg.Go(func() {
			if err := exec.Command(command[0], command[1:]...).Run(); err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
			<-slots
		})
	}
	wg.Wait()
	return failed
}

type process struct {
	pid   int
	start uint64
}

type first struct {
	time   time.Duration
	end    loader.End
	user   bool
	where  string
	kernel []uint64
}

// firsts keeps the first sample of each process.
type firsts struct {
	*agent.Recorder // compiles the tables; it counts nothing
	own             string

	mu      sync.Mutex
	seen    map[process]first
	samples int
	whole   int
}

func (f *firsts) reset() {
	f.mu.Lock()
	f.seen, f.samples, f.whole = map[process]first{}, 0, 0
	f.mu.Unlock()
}

// Sample looks at processes of the command only: between fork and exec, a child has our name and our memory.
func (f *firsts) Sample(s *loader.Sample) {
	if string(s.Comm) == f.own[:min(len(f.own), 15)] {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.samples++
	if s.End.Complete() {
		f.whole++
	}
	key := process{s.PID, s.StartNs}
	if old, ok := f.seen[key]; ok && old.time <= s.Time {
		return
	}
	f.seen[key] = first{s.Time, s.End, len(s.User) > 0, where(s), slices.Clone(s.Kernel)}
}

// where is the offset in a file at which the walk of an incomplete stack ended.
func where(s *loader.Sample) string {
	if s.End.Complete() || len(s.User) == 0 {
		return ""
	}
	addr := s.User[len(s.User)-1]
	for _, v := range s.VMAs {
		if addr >= v.Start && addr < v.End {
			return fmt.Sprintf(" in inode %d at %#x", v.File.Ino, addr-v.Start+v.Offset)
		}
	}
	return ""
}

func (f *firsts) write(name string) error {
	kallsyms, err := os.Open("/proc/kallsyms")
	if err != nil {
		return err
	}
	defer kallsyms.Close()
	kernel, err := symbolize.ReadKernel(kallsyms)
	if err != nil {
		return fmt.Errorf("name kernel frames: %w", err)
	}
	whole, between := 0, 0
	rest := map[string]int{}
	for _, s := range f.seen {
		switch {
		case s.end.Complete():
			whole++
		case !s.user && inExec(kernel, s.kernel):
			between++
		default:
			rest[s.end.String()+s.where]++
		}
	}
	fmt.Printf("%-8s %d first samples: %d complete, %d in execve, %d others, %.2f %% complete without those in execve; of all %d samples %.2f %%\n",
		name, len(f.seen), whole, between, len(f.seen)-whole-between, 100*float64(whole)/float64(max(1, len(f.seen)-between)),
		f.samples, 100*float64(f.whole)/float64(max(1, f.samples)))
	reasons := slices.SortedFunc(maps.Keys(rest), func(a, b string) int { return rest[b] - rest[a] })
	for _, r := range reasons[:min(5, len(reasons))] {
		fmt.Printf("  %5d %s\n", rest[r], r)
	}
	return nil
}

// inExec reports whether a kernel stack lies in the part of execve in which the old program's memory is gone and the new
// one's registers are not set: there is no user stack then.
func inExec(kernel *symbolize.Kernel, stack []uint64) bool {
	return slices.ContainsFunc(stack, func(addr uint64) bool {
		frames := kernel.Frames(addr)
		return len(frames) > 0 && (frames[0].Name == "load_elf_binary" || frames[0].Name == "begin_new_exec")
	})
}
