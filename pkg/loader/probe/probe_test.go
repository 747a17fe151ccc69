package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

func TestClassify(t *testing.T) {
	rejected := &ebpf.VerifierError{Cause: syscall.EACCES, Log: []string{"R1 invalid mem access"}}
	for _, test := range []struct {
		err  error
		want Status
	}{
		{nil, OK},
		{fmt.Errorf("map: %w", ebpf.ErrNotSupported), Missing},
		{fmt.Errorf("find: %w", btf.ErrNotFound), Missing},
		{fmt.Errorf("open: %w", syscall.ENOENT), Missing},
		{fs.ErrNotExist, Missing},
		{syscall.EINVAL, Missing},
		{syscall.Errno(524), Missing},
		{fmt.Errorf("load: %w", syscall.EPERM), Denied},
		{syscall.EACCES, Denied},
		{&ebpf.VerifierError{Cause: syscall.EPERM}, Denied},
		{rejected, Unknown},
		{&ebpf.VerifierError{Cause: syscall.EINVAL, Log: []string{"invalid argument"}}, Unknown},
		{syscall.EBUSY, Unknown},
		{errSilent, Unknown},
		{errTimeout, Unknown},
	} {
		if got := classify(test.err); got != test.want {
			t.Errorf("classify(%v) = %s, want %s", test.err, got, test.want)
		}
	}
}

func TestTriedDropsMisleadingHint(t *testing.T) {
	hint := fmt.Errorf("%w (MEMLOCK may be too low, consider rlimit.RemoveMemlock)", syscall.EPERM)
	if got := tried("load program", hint); got.Error() != "load program: operation not permitted" || !errors.Is(got, syscall.EPERM) {
		t.Errorf("tried = %v", got)
	}
	if got := tried("load program", syscall.EINVAL); !errors.Is(got, syscall.EINVAL) {
		t.Errorf("tried = %v", got)
	}
	if got := tried("x", nil); got != nil {
		t.Errorf("tried(nil) = %v", got)
	}
}

func TestBoundedSurvivesHangAndPanic(t *testing.T) {
	never := make(chan struct{})
	defer close(never)
	hang := check{Hook, "hang", func(context.Context) (outcome, error) { <-never; return outcome{}, nil }, ""}
	if r := hang.bounded(t.Context(), time.Millisecond); r.Status != Unknown || !errors.Is(r.Err, errTimeout) || r.Name != "hang" {
		t.Errorf("hanging probe: %+v", r)
	}
	bad := check{Hook, "bad", func(context.Context) (outcome, error) { panic("strange kernel") }, ""}
	if r := bad.bounded(t.Context(), time.Minute); r.Status != Unknown || !strings.Contains(fmt.Sprint(r.Err), "strange kernel") {
		t.Errorf("panicking probe: %+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := hang.bounded(ctx, time.Minute); r.Status != Unknown || !errors.Is(r.Err, context.Canceled) {
		t.Errorf("cancelled probe: %+v", r)
	}
}

func TestMissingSaysSince(t *testing.T) {
	c := check{Hook, "new", nil, "9.9"}
	if r := c.result(outcome{}, syscall.EINVAL); r.Detail != "exists since Linux 9.9" {
		t.Errorf("missing: %+v", r)
	}
	if r := c.result(outcome{detail: "own"}, syscall.EINVAL); r.Detail != "own" {
		t.Errorf("missing for a reason of its own: %+v", r)
	}
	if r := c.result(outcome{}, syscall.EPERM); r.Detail != "" {
		t.Errorf("denied: %+v", r)
	}
}

func TestLacking(t *testing.T) {
	const bpf, perfmon, admin = 1 << unix.CAP_BPF, 1 << unix.CAP_PERFMON, 1 << unix.CAP_SYS_ADMIN
	for _, test := range []struct {
		effective    proc.CapabilitySet
		major, minor int
		want         []string
	}{
		{0, 6, 1, []string{"CAP_BPF", "CAP_PERFMON"}},
		{bpf, 6, 1, []string{"CAP_PERFMON"}},
		{perfmon, 5, 8, []string{"CAP_BPF"}},
		{bpf | perfmon, 5, 8, nil},
		{bpf | perfmon, 5, 7, []string{"CAP_SYS_ADMIN"}},
		{bpf | perfmon, 4, 19, []string{"CAP_SYS_ADMIN"}},
		{admin, 4, 19, nil},
		{admin, 6, 1, nil},
	} {
		if got := lacking(test.effective, test.major, test.minor); !slices.Equal(got, test.want) {
			t.Errorf("lacking(%#x, %d.%d) = %v, want %v", test.effective, test.major, test.minor, got, test.want)
		}
	}
}

func TestPrivilegeErrorSaysWhatToRun(t *testing.T) {
	for _, test := range []struct {
		err  PrivilegeError
		want string
	}{
		{PrivilegeError{Missing: []string{"CAP_BPF", "CAP_PERFMON"}, Executable: "/usr/bin/ebpfprof"},
			"missing CAP_BPF and CAP_PERFMON: run `sudo ebpfprof ...`, or once `sudo setcap cap_bpf,cap_perfmon=ep /usr/bin/ebpfprof`"},
		{PrivilegeError{Missing: []string{"CAP_SYS_ADMIN"}},
			"missing CAP_SYS_ADMIN: run `sudo ebpfprof ...`, or once `sudo setcap cap_sys_admin=ep /path/to/ebpfprof`"},
		{PrivilegeError{Missing: []string{"CAP_BPF"}, UserNamespace: true},
			"missing CAP_BPF: the capabilities of a user namespace do not count for BPF; run `sudo ebpfprof ...` outside of it"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestRelease(t *testing.T) {
	for text, want := range map[string][2]int{
		"6.1.0-56-cloud-amd64": {6, 1}, "5.10": {5, 10}, "7.3.4+deb13": {7, 3}, "": {0, 0}, "x.y": {0, 0}, "6": {0, 0},
	} {
		if major, minor := release(text); [2]int{major, minor} != want {
			t.Errorf("release(%q) = %d.%d", text, major, minor)
		}
	}
}

const someMaps = `00400000-00401000 r--p 00000000 fe:01 12 /usr/bin/x
00401000-004a2000 r-xp 00001000 fe:01 12 /usr/bin/x
7ffd0000-7ffd2000 rw-p 00000000 00:00 0 [stack]
ffff0000-ffff1000 rwxp 00000000 00:00 0
`

func TestFileOffset(t *testing.T) {
	if got, err := FileOffset(strings.NewReader(someMaps), 0x401234); err != nil || got != 0x1234 {
		t.Errorf("fileOffset = %#x, %v", got, err)
	}
	for _, addr := range []uint64{0x4a2000, 0, 0xffff0001} {
		if got, err := FileOffset(strings.NewReader(someMaps), addr); err == nil {
			t.Errorf("FileOffset(%#x) = %#x, want an error", addr, got)
		}
	}
}

// TestFileOffsetOfOwnCode reads the located bytes back from the file.
func TestFileOffsetOfOwnCode(t *testing.T) {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	code := reflect.ValueOf(probed)
	offset, err := FileOffset(maps, uint64(code.Pointer()))
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	want := make([]byte, 16)
	if _, err := exe.ReadAt(want, int64(offset)); err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	got := make([]byte, 16)
	if _, err := mem.ReadAt(got, int64(code.Pointer())); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("memory % x, file % x", got, want)
	}
}

func FuzzFileOffset(f *testing.F) {
	f.Add(someMaps, uint64(0x401234))
	f.Add("0-ffffffffffffffff r-xp ffffffffffffffff 0 0 /x", uint64(1))
	f.Fuzz(func(t *testing.T, maps string, addr uint64) {
		if _, err := FileOffset(strings.NewReader(maps), addr); err == nil && !strings.Contains(maps, "-") {
			t.Error("found an address in no range")
		}
	})
}

func BenchmarkPrivileges(b *testing.B) {
	for b.Loop() {
		_ = Privileges()
	}
}
