package main

// Exit codes of every command.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitThreshold   = 3 // a --fail-if held
	exitUnsupported = 4 // privilege or kernel feature missing
	exitNoSamples   = 5
)

// exitError ends the program with a code. A nil err prints nothing: it has been said, or is a child's own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }
