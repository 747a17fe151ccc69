package vm

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Lines that PID 1 prints: one for each command, and the last one.
const (
	resultPrefix = "RESULT "
	ResultFormat = resultPrefix + "%s exit=%d seconds=%.1f\n"
	DoneLine     = resultPrefix + "done"
)

// complaint matches what the kernel prints when it is broken. "WARNING:" alone would
// match boot messages about speculation; a WARN() names a CPU or a source line
// (kernel/panic.c, __warn).
var complaint = regexp.MustCompile(`\bOops\b|\bBUG:|Kernel panic|general protection fault|` +
	`WARNING: (CPU: \d|\S+:\d+ at )|Unable to handle kernel`)

var result = regexp.MustCompile(`^RESULT (\S+) exit=(-?\d+) `)

// ErrComplaint is in the error of a Verdict on a kernel that complained.
var ErrComplaint = errors.New("the kernel complained")

// failure matches the line of a test, not of a subtest, that failed (go doc test2json).
var failure = regexp.MustCompile(`(?m)^--- FAIL: (\w+) \(`)

// FailedTests names the tests of Go that failed in a serial log, each once. None where
// one panicked or timed out: others did not run then.
func FailedTests(log string) []string {
	if strings.Contains(log, "\npanic: ") {
		return nil
	}
	var names []string
	for _, m := range failure.FindAllStringSubmatch(log, -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

// A CommandResult is how one command of the payload ended.
type CommandResult struct {
	Name string
	Exit int
}

// Verdict reads a serial log. The error names everything that is wrong: the kernel's
// complaints, commands with another exit status than 0, and the absence of the last
// line, without which nothing before it proves anything.
func Verdict(log string) ([]CommandResult, error) {
	var results []CommandResult
	var problems []error
	done := false
	for line := range strings.SplitSeq(log, "\n") {
		line = strings.TrimRight(line, "\r")
		switch m := result.FindStringSubmatch(line); {
		case m != nil:
			exit, _ := strconv.Atoi(m[2])
			results = append(results, CommandResult{m[1], exit})
			if exit != 0 {
				problems = append(problems, fmt.Errorf("%s exited with %d", m[1], exit))
			}
		case line == DoneLine:
			done = true
		case complaint.MatchString(line):
			problems = append(problems, fmt.Errorf("%w: %s", ErrComplaint, strings.TrimSpace(line)))
		}
	}
	if !done {
		problems = append(problems, errors.New("the guest did not reach its end"))
	}
	return results, errors.Join(problems...)
}
