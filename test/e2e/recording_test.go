package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"
)

// summary is what `record --summary` writes, as PRODUCT promises it.
type summary struct {
	DurationSeconds float64                 `json:"duration_seconds"`
	CPUs            int                     `json:"cpus"`
	Events          map[string]eventSummary `json:"events"`
	Overhead        struct {
		KernelSeconds float64 `json:"kernel_seconds"`
		UserSeconds   float64 `json:"user_seconds"`
		RSSBytes      int64   `json:"rss_bytes"`
		KernelBytes   int64   `json:"kernel_bytes"`
	} `json:"overhead"`
}

type eventSummary struct {
	Fired   int64            `json:"fired"`
	Samples int64            `json:"samples"`
	Lost    map[string]int64 `json:"lost"`
	Stacks  map[string]int64 `json:"stacks"`
	Frames  struct {
		Total      int64 `json:"total"`
		Symbolized int64 `json:"symbolized"`
	} `json:"frames"`
	Value int64 `json:"value"`
}

func sum(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

// An outcome is how one run of the program ended.
type outcome struct {
	exit           int
	stdout, stderr string
}

// A recording is what one run of `record` left behind.
type recording struct {
	outcome
	summary summary
	event   eventSummary
	profile *pprof.Profile
}

// run runs the program to its end.
func run(t *testing.T, args ...string) outcome {
	t.Helper()
	return finish(t, exec.Command(program(), args...))
}

// finish runs a command that is, or ends in, the program. Whatever happens to it, it
// must not panic.
func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		t.Fatalf("%v: %v", cmd, err)
	}
	return ended(t, cmd, stdout.String(), stderr.String())
}

func ended(t *testing.T, cmd *exec.Cmd, stdout, stderr string) outcome {
	t.Helper()
	o := outcome{cmd.ProcessState.ExitCode(), stdout, stderr}
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		t.Errorf("%v ended by %v", cmd, ws.Signal())
	}
	if strings.Contains(stderr, "goroutine ") || strings.Contains(stderr, "panic:") {
		t.Errorf("%v panicked:\n%s", cmd, stderr)
	}
	return o
}

// files are the outputs that record asks for.
type files struct{ profile, summary string }

func newFiles(t *testing.T) files {
	t.Helper()
	dir := t.TempDir()
	return files{filepath.Join(dir, "out.pb.gz"), filepath.Join(dir, "summary.json")}
}

// args puts the files before the rest, which may end in a command.
func (f files) args(rest ...string) []string {
	return append([]string{"record", "-o", f.profile, "--summary", f.summary}, rest...)
}

// record runs `record` with these arguments besides its outputs, wants it to succeed,
// and checks what must hold of every recording.
func record(t *testing.T, args ...string) *recording {
	t.Helper()
	return recordBy(t, exec.Command(program()), args...)
}

// recordBy is record by a command to which the arguments are added.
func recordBy(t *testing.T, cmd *exec.Cmd, args ...string) *recording {
	t.Helper()
	f := newFiles(t)
	cmd.Args = append(cmd.Args, f.args(args...)...)
	o := finish(t, cmd)
	if o.exit != 0 {
		t.Fatalf("%v: exit %d\n%s", cmd, o.exit, o.stderr)
	}
	return f.read(t, o)
}

// startRecord runs `record` in the background until the test asks for its end.
func startRecord(t *testing.T, args ...string) *background {
	t.Helper()
	b := &background{files: newFiles(t)}
	b.cmd = exec.Command(program(), b.files.args(args...)...)
	b.cmd.Stdout, b.cmd.Stderr = &b.stdout, &b.stderr
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.cmd.Process.Kill() })
	return b
}

// A background is a `record` that runs.
type background struct {
	cmd            *exec.Cmd
	files          files
	stdout, stderr bytes.Buffer
}

// sampling returns when its events fire: it then has perf events open.
func (b *background) sampling(t *testing.T) {
	t.Helper()
	fds := fmt.Sprintf("/proc/%d/fd", b.cmd.Process.Pid)
	for range 6000 {
		entries, _ := os.ReadDir(fds)
		if len(entries) == 0 {
			_ = b.cmd.Wait()
			t.Fatalf("%v ended before it sampled: %v\n%s", b.cmd, b.cmd.ProcessState, b.stderr.String())
		}
		for _, e := range entries {
			if to, _ := os.Readlink(filepath.Join(fds, e.Name())); strings.Contains(to, "[perf_event]") {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%v has no perf event after 2 min\n%s", b.cmd, b.stderr.String())
}

// recordWhile records with these arguments, which name no duration, from before work
// begins until it returns. Work waits for what it wants to see and not for a time:
// what a target does in a second on a busy machine is anybody's guess.
func recordWhile(t *testing.T, work func(), args ...string) *recording {
	t.Helper()
	b := startRecord(t, append([]string{"-d", "1h"}, args...)...)
	b.sampling(t)
	work()
	b.signal(t, syscall.SIGINT)
	return b.wait(t, 0)
}

func (b *background) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := b.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("send %v: %v\n%s", sig, err, b.stderr.String())
	}
}

// wait returns what it left behind, after an exit with this code.
func (b *background) wait(t *testing.T, exit int) *recording {
	t.Helper()
	_ = b.cmd.Wait() // ended looks at the state
	o := ended(t, b.cmd, b.stdout.String(), b.stderr.String())
	if o.exit != exit {
		t.Fatalf("%v: exit %d, want %d\n%s", b.cmd, o.exit, exit, o.stderr)
	}
	return b.files.read(t, o)
}

// read loads the files and checks that they agree.
func (f files) read(t *testing.T, o outcome) *recording {
	t.Helper()
	r := &recording{outcome: o, profile: readProfile(t, f.profile)}
	r.summary = readSummary(t, f.summary)
	for _, r.event = range r.summary.Events {
	}
	r.checkConserved(t)
	return r
}

func readSummary(t *testing.T, path string) (s summary) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatalf("summary: %v\n%s", err, data)
	}
	t.Logf("%s", strings.Join(strings.Fields(string(data)), " "))
	return s
}

// checkConserved checks that no event is missing anywhere.
func (r *recording) checkConserved(t *testing.T) {
	t.Helper()
	e := r.event
	if len(r.summary.Events) != 1 {
		t.Errorf("%d events in the summary, want 1", len(r.summary.Events))
	}
	if lost := sum(e.Lost); e.Fired != e.Samples+lost {
		t.Errorf("fired %d != samples %d + lost %d", e.Fired, e.Samples, lost)
	}
	if stacks := sum(e.Stacks); e.Samples != stacks {
		t.Errorf("samples %d != stacks %d %v", e.Samples, stacks, e.Stacks)
	}
	if n := r.count(every); n != e.Samples {
		t.Errorf("the profile has %d samples, the summary %d", n, e.Samples)
	}
	incomplete, total, symbolized := int64(0), int64(0), int64(0)
	for _, s := range r.profile.Sample {
		// A stack that is too deep has its root, and the marker where its middle is left out.
		labelled, atRoot := len(s.Label["stack"]) > 0, isMarker(s.Location[len(s.Location)-1])
		marked := slices.ContainsFunc(s.Location, isMarker)
		if labelled != marked || labelled && !atRoot && s.Label["stack"][0] != "truncated" {
			t.Errorf("sample with the label stack %v: has a marker %t, at the root %t", s.Label["stack"], marked, atRoot)
		}
		if labelled {
			incomplete += s.Value[0]
		}
		for _, l := range s.Location {
			if !isMarker(l) {
				total += s.Value[0]
			}
			if isNamed(l) {
				symbolized += s.Value[0]
			}
		}
	}
	if want := e.Samples - e.Stacks["complete"]; incomplete != want {
		t.Errorf("%d samples of the profile have the label stack, %d stacks are not complete", incomplete, want)
	}
	if f := e.Frames; f.Total != total || f.Symbolized != symbolized {
		t.Errorf("the summary has %d frames, %d symbolized; the profile %d, %d", f.Total, f.Symbolized, total, symbolized)
	}
}

func readProfile(t *testing.T, path string) *pprof.Profile {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return parseProfile(t, f)
}

func parseProfile(t *testing.T, r io.Reader) *pprof.Profile {
	t.Helper()
	p, err := pprof.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	return p
}
