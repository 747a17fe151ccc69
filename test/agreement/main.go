// Agreement compares the kernel's walker with gdb: it stops a program again and again, and for each thread the stack
// that the walker took when the thread was switched out with the backtrace that gdb finds in it.
//
//	agreement -name NAME [-stacks N] [-exclude REGEX] (-pid PID | COMMAND ARGS...)
//
// It needs root and gdb. Where the two differ it says where and how often; it does not say who is right.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

type options struct {
	name    string
	stacks  int
	stops   int
	threads int
	pid     int
	exclude string
	command []string
}

func main() {
	var o options
	flag.StringVar(&o.name, "name", "", "what to call the program")
	flag.IntVar(&o.stacks, "stacks", 700, "compare this many, running the command again if it ends")
	flag.IntVar(&o.stops, "stops", 3000, "stop it at most this often")
	flag.IntVar(&o.threads, "threads", 40, "threads of each stop")
	flag.IntVar(&o.pid, "pid", 0, "a process that runs already")
	flag.StringVar(&o.exclude, "exclude", "", "names of threads to leave out")
	flag.Parse()
	o.command = flag.Args()
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "agreement:", err)
		os.Exit(1)
	}
}

func (o *options) run() error {
	var exclude *regexp.Regexp
	if o.exclude != "" {
		var err error
		if exclude, err = regexp.Compile(o.exclude); err != nil {
			return err
		}
	}
	if (o.pid == 0) == (len(o.command) == 0) {
		return errors.New("want a process or a command")
	}
	t := newTally(o.name, exclude, nil)
	defer t.write(os.Stdout)
	for stops := 0; t.compared < o.stacks && stops < o.stops; {
		n, err := o.once(t, o.stops-stops)
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New("the program ended before it was stopped")
		}
		stops += n
	}
	return nil
}

// once runs the command, or takes the process, and returns how often it was stopped.
func (o *options) once(t *tally, most int) (stops int, err error) {
	pid := o.pid
	if pid == 0 {
		cmd := exec.Command(o.command[0], o.command[1:]...)
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		defer func() { cmd.Process.Kill(); cmd.Wait() }()
		pid = cmd.Process.Pid
		time.Sleep(300 * time.Millisecond) // its libraries are loaded then
	}
	t.names = newNames(pid)
	return observe(pid, most, o, t)
}

// observe compares the stacks of one process.
func observe(pid, most int, o *options, t *tally) (stops int, err error) {
	event := loader.Event{
		Name: "context-switches", Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CONTEXT_SWITCHES, Period: 1,
	}
	s, err := loader.Open(loader.Options{Events: []loader.Event{event}, Filter: loader.Filter{Kind: loader.FilterProcess}, RingBytes: 16 << 20})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	r, err := agent.NewRecorder(proc.FS{}, agent.KindsOf(event), s.Reannounce, nil)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	r.Unwind(s, agent.DefaultUnwindBudget, "")
	r.Prepare(20*time.Second, pid)
	if err := s.AddTarget(pid, 0); err != nil {
		return 0, err
	}
	p := newPairs(r, t.add)
	if err := s.Start(); err != nil {
		return 0, err
	}
	read := make(chan error, 1)
	go func() { read <- s.Run(p) }()
	// One stack a stop; what is missing because a thread had not moved, the next turn makes up for.
	err = watch(pid, min(most, o.stacks-t.compared+o.stacks/20), o.threads, func(s stop) {
		p.add(s)
		stops++
	})
	s.Stop()
	err = errors.Join(err, <-read)
	p.settle(monotonic())
	return stops, err
}

// monotonic is the clock of samples and stops.
func monotonic() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // it is in every kernel
	}
	return time.Duration(now.Nano())
}
