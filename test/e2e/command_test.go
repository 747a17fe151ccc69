package e2e

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// TestExitCode: a command's exit code is ours, as a shell has it.
func TestExitCode(t *testing.T) {
	needRoot(t)
	t.Parallel()
	for want, command := range map[int][]string{
		0:   {"true"},
		7:   {"sh", "-c", "exit 7"},
		143: {"sh", "-c", "kill -TERM $$"},
		137: {"sh", "-c", "kill -KILL $$"},
		127: {"/no/such/program"},
		126: {"/etc/passwd"},
	} {
		f := newFiles(t)
		o := run(t, f.args(append([]string{"--"}, command...)...)...)
		if o.exit != want {
			t.Errorf("%v: exit %d, want %d\n%s", command, o.exit, want, o.stderr)
		}
		if started := want != 126 && want != 127; exists(f.profile) != started {
			t.Errorf("%v: profile written %t, command started %t", command, exists(f.profile), started)
		} else if !started && !strings.Contains(o.stderr, command[0]) {
			t.Errorf("%v: the message does not name it: %s", command, o.stderr)
		}
	}
}

// TestStandardStreams: a command has our standard input and output as they are.
func TestStandardStreams(t *testing.T) {
	needRoot(t)
	t.Parallel()
	need(t, "sh", "cat")
	data := bytes.Repeat([]byte("every byte\x00\xff\n"), 100_000)
	f := newFiles(t)
	cmd := exec.Command(program(), f.args("--", "sh", "-c", "cat; echo complaint >&2")...)
	cmd.Stdin = bytes.NewReader(data)
	o := finish(t, cmd)
	if o.exit != 0 || o.stdout != string(data) {
		t.Errorf("exit %d, %d bytes of output, want the %d of the input\n%s", o.exit, len(o.stdout), len(data), o.stderr)
	}
	if !strings.HasPrefix(o.stderr, "complaint\n") {
		t.Errorf("the command's standard error did not come first: %q", o.stderr)
	}
	f.read(t, o)
}

// TestSignalsReachTheCommand: and it decides what becomes of them.
func TestSignalsReachTheCommand(t *testing.T) {
	needRoot(t)
	t.Parallel()
	const script = `trap 'echo caught; exit 9' TERM; echo ready; while :; do :; done`
	for sig, want := range map[syscall.Signal]int{syscall.SIGTERM: 9, syscall.SIGHUP: 128 + 1} {
		b := startRecord(t, "-F", "999", "--", "sh", "-c", script)
		b.sampling(t)
		time.Sleep(700 * time.Millisecond)
		b.signal(t, sig)
		r := b.wait(t, want)
		if want == 9 && !strings.Contains(r.stdout, "caught") {
			t.Errorf("%v: the command's trap did not run: %q", sig, r.stdout)
		}
		r.some(t, "the command", 5, comm("sh"))
	}
}

// TestFromTheFirstInstruction: a program that runs for 30 ms is seen, all of it, with
// what the loader does before main.
func TestFromTheFirstInstruction(t *testing.T) {
	needRoot(t)
	t.Parallel()
	const hz, runs = 9999, 5
	path := target.C(t, "split")
	used, seen, loader := 0.0, 0.0, int64(0)
	for range runs {
		r := record(t, "-F", fmt.Sprint(hz), "--", path, "0.03")
		used += target.Number(t, r.stdout, "cpu_seconds")
		seen += float64(r.event.Samples) / hz
		for name, n := range loaderFunctions(r) {
			t.Logf("%s: %d", name, n)
			loader += n
		}
	}
	// Its own account begins with the fork; the loading of the program is not ours to see.
	if missing := used - seen; missing > runs*0.005+3*math.Sqrt(used/hz) {
		t.Errorf("%.1f ms of CPU time in the profiles, it used %.1f in %d runs", 1e3*seen, 1e3*used, runs)
	}
	if loader == 0 {
		t.Errorf("no sample in the dynamic loader in %d runs", runs)
	}
}

// loaderFunctions counts the samples in ld.so.
func loaderFunctions(r *recording) map[string]int64 {
	out := map[string]int64{}
	for _, m := range r.profile.Mapping {
		if base := filepath.Base(m.File); strings.HasPrefix(base, "ld-linux") || strings.HasPrefix(base, "ld-2") {
			for name, n := range r.functions(base, every) {
				out[name] = n
			}
		}
	}
	return out
}

// TestSudo: under sudo the command and the files are the caller's, not root's.
func TestSudo(t *testing.T) {
	needRoot(t)
	t.Parallel()
	need(t, "sh", "id")
	const nobody = 65534
	out, err := os.MkdirTemp(dir, "sudo-")
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), fmt.Sprintf("SUDO_UID=%d", nobody), fmt.Sprintf("SUDO_GID=%d", nobody), "SUDO_USER=nobody")
	profile, summary, metrics := filepath.Join(out, "a.pb.gz"), filepath.Join(out, "s.json"), filepath.Join(out, "m.prom")
	cmd := exec.Command(program(), "record", "-o", profile, "--summary", summary, "--metrics", metrics,
		"--", "sh", "-c", "id -u; id -g; id -G; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
	cmd.Env = env
	o := finish(t, cmd)
	if o.exit != 0 || o.stdout != "65534\n65534\n65534\n" {
		t.Errorf("exit %d, the command ran as %q, want 65534\n%s", o.exit, o.stdout, o.stderr)
	}
	for _, path := range []string{profile, summary, metrics} {
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != nobody || st.Gid != nobody {
			t.Errorf("%s is of %d:%d, want %d", path, st.Uid, st.Gid, nobody)
		}
	}
	files{profile, summary}.read(t, o)

	cmd = exec.Command(program(), "record", "-o", os.DevNull, "--format", "txt", "--as-root", "--", "id", "-u")
	cmd.Env = env
	if o := finish(t, cmd); o.exit != 0 || o.stdout != "0\n" {
		t.Errorf("--as-root: exit %d, ran as %q\n%s", o.exit, o.stdout, o.stderr)
	}
}

// TestDurationWithCommand: a duration ends the recording, not the command.
func TestDurationWithCommand(t *testing.T) {
	needRoot(t)
	t.Parallel()
	r := record(t, "-F", "999", "-d", "500ms", "--", target.C(t, "split"), "1.5")
	if got := target.Number(t, r.stdout, "cpu_seconds"); got < 1.5 {
		t.Errorf("the command was ended after %.2f s of CPU time", got)
	}
	if d := r.summary.DurationSeconds; d < 0.5 || d > 5 {
		t.Errorf("recorded for %.2f s, want 0.5", d)
	}
}
