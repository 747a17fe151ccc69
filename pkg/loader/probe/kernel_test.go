package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// asNobodyEnv makes a copy of this test program report instead of test.
const asNobodyEnv = "PROBE_TEST_AS_NOBODY"

// patient is for emulated machines, which are slow.
var patient = Options{Timeout: time.Minute}

type nobodyReport struct {
	Privileges string
	Status     map[string]Status // by kind and name
	Errors     map[string]string
}

func TestMain(m *testing.M) {
	if os.Getenv(asNobodyEnv) == "" {
		os.Exit(m.Run())
	}
	report := nobodyReport{Privileges: fmt.Sprint(Privileges()), Status: map[string]Status{}, Errors: map[string]string{}}
	for _, r := range Run(context.Background(), patient) {
		key := string(r.Kind) + " " + r.Name
		report.Status[key], report.Errors[key] = r.Status, fmt.Sprint(r.Err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		os.Exit(1)
	}
}

func needPrivileges(t *testing.T) {
	t.Helper()
	if err := Privileges(); err != nil {
		t.Skipf("SKIP: needs the privileges to load BPF programs: %v", err)
	}
}

func kernelRelease(t *testing.T) (name string, major, minor int) {
	t.Helper()
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		t.Fatal(err)
	}
	name = unix.ByteSliceToString(uname.Release[:])
	major, minor = release(name)
	return name, major, minor
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestRun compares what the probes find out with what the kernel says about
// itself elsewhere.
func TestRun(t *testing.T) {
	needPrivileges(t)
	name, major, minor := kernelRelease(t)
	since := func(wantMajor, wantMinor int) bool {
		return major > wantMajor || major == wantMajor && minor >= wantMinor
	}
	got := map[string]Result{}
	for _, r := range Run(t.Context(), patient) {
		key := string(r.Kind) + " " + r.Name
		if _, twice := got[key]; twice {
			t.Errorf("%s is reported twice", key)
		}
		if (r.Err == nil) != (r.Status == OK) {
			t.Errorf("%s: status %s with error %v", key, r.Status, r.Err)
		}
		if r.Status == Unknown {
			t.Errorf("%s: no answer: %v", key, r.Err)
		}
		got[key] = r
	}
	expect := func(key string, available bool, or Status) {
		t.Helper()
		want := OK
		if !available {
			want = or
		}
		if r := got[key]; r.Status != want {
			t.Errorf("%s on %s: %s (%v), want %s", key, name, r.Status, r.Err, want)
		}
	}
	for _, key := range []string{"hook perf_event", "hook raw_tp", "hook tp_btf", "hook tracepoint", "hook uprobe", "hook iter_task",
		"event cpu-clock", "event page-faults", "event context-switches", "helper bpf_probe_read_user", "map sk_storage"} {
		expect(key, true, "")
	}
	expect("feature btf", exists("/sys/kernel/btf/vmlinux"), Missing)
	expect("map ringbuf", since(5, 8), Missing)
	expect("hook iter_task_vma", since(5, 12), Missing)
	expect("helper bpf_loop", since(5, 17), Missing)
	expect("hook uprobe_multi", since(6, 6), Missing)
	expect("hook kprobe", exists("/sys/bus/event_source/devices/kprobe"), Missing)
	mounted := exists("/sys/kernel/tracing/events") || exists("/sys/kernel/debug/tracing/events")
	expect("feature tracefs", mounted, Missing)
	pmus, err := filepath.Glob("/sys/bus/event_source/devices/cpu*")
	if err != nil {
		t.Fatal(err)
	}
	if arm, _ := filepath.Glob("/sys/bus/event_source/devices/armv*"); len(pmus) == 0 && len(arm) == 0 {
		for _, spec := range perfSpecs() {
			expect("event "+spec.Name, !spec.Hardware(), Missing)
		}
	}
	// This vendor's kernels forbid every kind of program that patches functions.
	forbidden := strings.Contains(name, "-fc-")
	for _, key := range []string{"hook fentry", "hook fexit"} {
		switch {
		case forbidden:
			expect(key, false, Denied)
		default:
			expect(key, runtime.GOARCH != "arm64" || since(6, 4), Missing)
		}
	}
	if forbidden && !errors.Is(got["hook fentry"].Err, syscall.EPERM) {
		t.Errorf("hook fentry: error %v, want EPERM", got["hook fentry"].Err)
	}
}

// TestRunLeavesNothing counts descriptors: programs, maps, links and events
// all are.
func TestRunLeavesNothing(t *testing.T) {
	needPrivileges(t)
	Run(t.Context(), patient) // caches of cilium/ebpf and the runtime's poller
	before := descriptors(t)
	Run(t.Context(), patient)
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestCounterNotices attaches nothing: a program that never fires must not pass.
func TestCounterNotices(t *testing.T) {
	needPrivileges(t)
	err := firesOnce(t.Context(), ebpf.ProgramSpec{Type: ebpf.RawTracepoint}, func(*ebpf.Program) (io.Closer, error) {
		return io.NopCloser(nil), nil
	})
	if !errors.Is(err, errSilent) {
		t.Errorf("program that is not attached: %v, want %v", err, errSilent)
	}
}

func TestRunAsNobody(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: needs root to become another user")
	}
	const nobody = 65534
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), asNobodyEnv+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run as nobody: %v", err)
	}
	var report nobodyReport
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if want := "missing CAP_BPF and CAP_PERFMON: run `sudo ebpfprof ...`"; !strings.HasPrefix(report.Privileges, want) {
		t.Errorf("Privileges: %s\nwant %s...", report.Privileges, want)
	}
	for key, status := range report.Status {
		switch kind, _, _ := strings.Cut(key, " "); kind {
		case "hook", "map", "helper":
			// Some are missing before the privilege matters: names not in BTF.
			if status != Denied && status != Missing {
				t.Errorf("%s: %s (%s), want %s", key, status, report.Errors[key], Denied)
			}
		default:
			if status == Unknown {
				t.Errorf("%s: no answer: %s", key, report.Errors[key])
			}
		}
		if strings.Contains(report.Errors[key], "MEMLOCK") {
			t.Errorf("%s: misleading error: %s", key, report.Errors[key])
		}
	}
	for _, key := range []string{"hook perf_event", "hook tp_btf", "map ringbuf", "event cpu-clock"} {
		if status := report.Status[key]; status != Denied {
			t.Errorf("%s: %q (%s), want %s", key, status, report.Errors[key], Denied)
		}
	}
}
