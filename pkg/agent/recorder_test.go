package agent

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

//go:noinline
func knownFunction() int { return os.Getpid() }

// self returns the executable mapping of this test program and the address of a function in it.
func self(t *testing.T) (loader.VMA, uint64) {
	t.Helper()
	addr := uint64(reflect.ValueOf(knownFunction).Pointer())
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		m, ok := parseMapsLine(line)
		if !ok || addr < m.Start || addr >= m.End {
			continue
		}
		var st unix.Stat_t
		if err := unix.Stat("/proc/self/exe", &st); err != nil {
			t.Fatal(err)
		}
		m.File = loader.FileID{Dev: uint64(unix.Major(st.Dev))<<20 | uint64(unix.Minor(st.Dev)), Ino: st.Ino, MtimeSec: st.Mtim.Sec}
		return m, addr + 1
	}
	t.Fatalf("no mapping of %#x", addr)
	return loader.VMA{}, 0
}

func exePath(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func newTestRecorder() *Recorder {
	r, err := NewRecorder(proc.FS{}, KindsOf(loader.CPUClock(100)), nil, nil)
	if err != nil {
		panic(err)
	}
	return r
}

func sampleOf(end loader.End, user []uint64, vmas ...loader.VMA) *loader.Sample {
	return &loader.Sample{PID: 1 << 22, TID: 1<<22 + 1, StartNs: 5, Weight: 1, End: end, Comm: []byte("worker"), User: user, VMAs: vmas}
}

func names(s *pprof.Sample) []string {
	var out []string
	for _, l := range s.Location {
		for i := range l.Line {
			out = append(out, profile.Name(l, i))
		}
		if len(l.Line) == 0 {
			out = append(out, profile.Name(l, 0))
		}
	}
	return out
}

func TestRecorderNamesAndCounts(t *testing.T) {
	r := newTestRecorder()
	defer r.Close()
	vma, addr := self(t)
	r.File(loader.File{ID: vma.File, PID: os.Getpid(), Start: vma.Start, End: vma.End, Path: exePath(t)})
	for range 3 {
		r.Sample(sampleOf(loader.EndNoUnwindInfo, []uint64{addr}, vma))
	}
	r.Sample(sampleOf(loader.EndNoUnwindInfo, []uint64{0x10}, vma)) // in no mapping
	p, all := r.Profile(time.Now(), time.Second)
	stacks := all[0]
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	if len(p.Sample) != 2 {
		t.Fatalf("%d distinct samples, want 2", len(p.Sample))
	}
	if r.Samples() != 4 || stacks.ByEnd["no_unwind_info"] != 4 || stacks.Frames != 4 || stacks.Symbolized != 3 {
		t.Errorf("samples %d, stacks %+v", r.Samples(), stacks)
	}
	var found bool
	for _, s := range p.Sample {
		got := names(s)
		if !strings.HasSuffix(got[0], "agent.knownFunction") {
			continue
		}
		found = true
		if s.Value[0] != 3 || s.Value[1] != 3*10_000_000 {
			t.Errorf("value %v, want 3 samples and 30 ms", s.Value)
		}
		if last := got[len(got)-1]; !strings.HasPrefix(last, "[no unwind info: agent.test") {
			t.Errorf("root %q", last)
		}
		if s.Label[profile.LabelStack][0] != "no_unwind_info" || s.Label[profile.LabelComm][0] != "worker" {
			t.Errorf("labels %v", s.Label)
		}
		if s.NumLabel[profile.LabelTID][0] != 1<<22+1 {
			t.Errorf("labels %v", s.NumLabel)
		}
	}
	if !found {
		t.Error("knownFunction is not named")
	}
}

// A frame pointer of 0 in a function that is no root does not make a stack complete.
func TestRecorderDoubtsCompleteStacks(t *testing.T) {
	r := newTestRecorder()
	defer r.Close()
	vma, addr := self(t)
	r.File(loader.File{ID: vma.File, PID: os.Getpid(), Start: vma.Start, End: vma.End, Path: exePath(t)})
	r.Sample(sampleOf(loader.EndComplete, []uint64{addr}, vma))
	r.Sample(sampleOf(loader.EndNoUser, nil))
	_, all := r.Profile(time.Now(), time.Second)
	stacks := all[0]
	if stacks.ByEnd["complete"] != 1 || stacks.ByEnd["no_unwind_info"] != 1 {
		t.Errorf("stacks %v, want one complete (the kernel thread)", stacks.ByEnd)
	}
}

// A file that is not to be had leaves module and offset.
func TestRecorderWithoutFile(t *testing.T) {
	var asked []loader.FileID
	r := newTestRecorder()
	r.announce = func(id loader.FileID) { asked = append(asked, id) }
	defer r.Close()
	id := loader.FileID{Dev: 1, Ino: 2, MtimeSec: 3}
	for range maxOpenTries + 1 {
		r.File(loader.File{ID: id, PID: 1 << 22, Start: 0x1000, End: 0x2000, Path: "/gone/lib.so"})
	}
	if len(asked) != maxOpenTries-1 {
		t.Errorf("asked %d times for the file again, want %d", len(asked), maxOpenTries-1)
	}
	r.Sample(sampleOf(loader.EndTruncated, []uint64{0x1234}, loader.VMA{Start: 0x1000, End: 0x2000, Offset: 0x500, File: id}))
	p, all := r.Profile(time.Now(), time.Second)
	stacks := all[0]
	got := names(p.Sample[0])
	if got[0] != "lib.so+0x734" || got[1] != "[truncated]" {
		t.Errorf("stack %q", got)
	}
	if stacks.Symbolized != 0 || stacks.Frames != 1 {
		t.Errorf("stacks %+v", stacks)
	}
}

// A process number that is used again is another process.
func TestProcessesKeepReusedNumbersApart(t *testing.T) {
	r := newTestRecorder()
	defer r.Close()
	a, b := sampleOf(loader.EndNoUser, nil), sampleOf(loader.EndNoUser, nil)
	b.StartNs = 6
	if r.processes.add(a, 0) == r.processes.add(b, 0) {
		t.Error("two processes under one number")
	}
	if first := r.processes.add(a, 0); first != r.processes.add(a, 0) {
		t.Error("one process under two numbers")
	}
}

// A deep stack keeps its leaf and its root, and says that something is missing between them.
func TestRecorderMarksTheGap(t *testing.T) {
	r := newTestRecorder()
	defer r.Close()
	vma, addr := self(t)
	s := sampleOf(loader.EndComplete, nil, vma)
	for range 2 * loader.GapAt {
		s.User = append(s.User, addr)
	}
	s.Skipped, s.Certain, s.Guessed = 100, true, true
	r.Sample(s)
	p, all := r.Profile(time.Now(), time.Second)
	stacks := all[0]
	got := names(p.Sample[0])
	if len(got) != 2*loader.GapAt+1 || got[loader.GapAt] != "[truncated]" {
		t.Errorf("%d frames, %q in the middle", len(got), got[loader.GapAt])
	}
	if stacks.ByEnd["truncated"] != 1 || stacks.Frames != 2*loader.GapAt || stacks.Guessed != 1 {
		t.Errorf("stacks %+v", stacks)
	}
}

func TestStacksShareCallers(t *testing.T) {
	st := newStacks()
	o := newObjects(proc.FS{})
	vma := loader.VMA{Start: 0x1000, End: 0x9000, File: loader.FileID{Ino: 1}}
	one := sampleOf(loader.EndTruncated, []uint64{0x1100, 0x2200, 0x3300}, vma)
	one.Kernel = []uint64{0xffffffff81000010, 0xffffffff81000020}
	two := sampleOf(loader.EndTruncated, []uint64{0x1110, 0x2200, 0x3300}, vma)
	a, b := st.add(one, o), st.add(two, o)
	if a == b || st.add(one, o) != a {
		t.Errorf("stacks %d and %d", a, b)
	}
	if len(st.nodes) != 1+5+1 {
		t.Errorf("%d nodes, want the root, five frames and one more leaf", len(st.nodes))
	}
	var got []frame
	for at := st.list[a].leaf; at != 0; at = st.nodes[at].parent {
		got = append(got, st.nodes[at].frame)
	}
	want := []frame{frame(0xffffffff81000010), frame(0xffffffff8100001f), newFrame(firstFile, 0x100),
		newFrame(firstFile, 0x1200), newFrame(firstFile, 0x2300)}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("frames %#x, want %#x", got, want)
	}
}
