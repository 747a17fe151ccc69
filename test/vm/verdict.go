package vm

import (
	"errors"
	"fmt"
	"regexp"
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
			problems = append(problems, fmt.Errorf("the kernel complained: %s", strings.TrimSpace(line)))
		}
	}
	if !done {
		problems = append(problems, errors.New("the guest did not reach its end"))
	}
	return results, errors.Join(problems...)
}
