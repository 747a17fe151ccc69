package goheap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"go/version"
	"os"
)

// ErrNotNoticed is in the chain of Enable's error for programs that would not notice.
var ErrNotNoticed = errors.New("this version of Go does not notice that the rate was changed")

// noticing is the first version of Go whose allocator compares MemProfileRate with
// the one that it last drew a sample for (runtime/malloc.go, c.memProfRate).
const noticing = "go1.24"

// Enable turns memory profiling on in a program that has it off, by writing
// runtime.MemProfileRate: one object is sampled per rate bytes (the runtime's default
// is 512 KiB), which costs the program one stack walk each. This is the only thing in
// this package that changes the program; the caller logs it. Objects that were there
// before are in no profile, freed or not.
//
// restore writes the value that was there, unless somebody else has changed it since,
// and must be called before Close. If the profiler is killed before, the program goes
// on sampling at that rate until it ends: its own memory profile grows by some
// hundred bytes per distinct stack, nothing else happens, and a later Heap reads it.
//
// It fails when profiling is on already, and for programs before Go 1.24 at rates
// other than 1: each of their processors would go on as before.
func (p *Process) Enable(rate int64) (restore func() error, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := p.enable(rate)
	if err != nil {
		return nil, p.failed("memory", fmt.Errorf("turn it on: %w", err))
	}
	return func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if err := p.swapRate(rate, old); err != nil {
			return p.failed("memory", fmt.Errorf("turn it off again: %w", err))
		}
		return nil
	}, nil
}

func (p *Process) enable(rate int64) (old int64, err error) {
	if rate <= 0 {
		return 0, fmt.Errorf("rate %d", rate)
	}
	if v := p.layout.GoVersion; rate != 1 && (!version.IsValid(v) || version.Compare(v, noticing) < 0) {
		return 0, fmt.Errorf("%w (%s; %s does)", ErrNotNoticed, orUnknown(v), noticing)
	}
	m, err := p.memory()
	if err != nil {
		return 0, err
	}
	// Only where the runtime's structures are what they should be is anything written.
	head, err := m.u64(p.at(mbuckets))
	if err != nil {
		return 0, err
	}
	if _, err := walk(m, head, typeMemory); err != nil {
		return 0, err
	}
	switch v, err := p.rate(m); {
	case err == nil:
		return 0, fmt.Errorf("it is on, one sample per %d bytes", v)
	case !errors.Is(err, ErrDisabled):
		return 0, err
	}
	v, err := m.u64(p.at(memProfileRate))
	if err != nil {
		return 0, err
	}
	return int64(v), p.swapRate(int64(v), rate)
}

// swapRate writes the rate if it is from.
func (p *Process) swapRate(from, to int64) error {
	m, err := p.memory()
	if err != nil {
		return err
	}
	is, err := m.u64(p.at(memProfileRate))
	if err != nil {
		return err
	}
	if int64(is) != from {
		return fmt.Errorf("the program has set its rate to %d meanwhile", int64(is))
	}
	// By the descriptor that is held: procfs remembers the process, not its number.
	w, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", p.mem.Fd()), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer w.Close()
	var b [8]byte
	if _, err := w.ReadAt(b[:], int64(p.at(memProfileRate))); err != nil || int64(binary.LittleEndian.Uint64(b[:])) != from {
		return fmt.Errorf("not the process any more that it was: %w", ErrGone)
	}
	_, err = w.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(to)), int64(p.at(memProfileRate)))
	return err
}
