// Package goheap reads the memory, block and mutex profiles of Go programs from
// outside: the runtime keeps them in its own memory, whoever asks, and they are
// read from there. The program is not stopped and runs no instruction more; a
// read costs the reader about a millisecond.
//
// The profiles are those of runtime/pprof: what the runtime would publish at that
// moment (as of the last but one garbage collection, see runtime/mprof.go), each
// record scaled by the probability of its having been sampled.
//
// Nothing is guessed. The runtime's variables are found by their symbols, or by
// decoding the few functions that use them (locate.go); every record is checked
// against the hash that the runtime keeps of it (bucket.go). What does not agree is
// refused with the reason. Go 1.20 and later on amd64 and arm64; a later version
// with another layout is refused by the checks.
//
// All memory read is hostile: lists are bounded and may have loops, pointers may
// lead anywhere.
package goheap

import (
	"errors"
	"fmt"
)

// ErrDisabled is in the chain of errors about a program whose memory profile is
// off; the text says why.
var ErrDisabled = errors.New("memory profiling is off in the program")

// ErrOff is in the chain of errors about a block or mutex profile that the program
// did not ask for.
var ErrOff = errors.New("the profile is off in the program")

// ErrUnsupported is in the chain of errors about a program that cannot be read:
// not Go's, of another machine or too old, or not laid out as expected. Asking
// again for the same file gives the same answer.
var ErrUnsupported = errors.New("profiles of the Go runtime cannot be read")

// ErrGone is in the chain of errors about a process whose memory is no more: it
// has exited, or runs another program.
var ErrGone = errors.New("the process has no such memory any more")

// unsupported is an ErrUnsupported with its reason.
func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}

// disabled is an ErrDisabled with its reason.
func disabled(reason string) error { return fmt.Errorf("%w: %s", ErrDisabled, reason) }
