package proc

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseStatm(t *testing.T) {
	for in, want := range map[string]Resident{
		"1000 300 100 7 0 20 0\n": {300 << 12, 200 << 12}, "0 0 0 0 0 0 0\n": {}, "9 5 6": {5 << 12, 0},
	} {
		if r, err := parseStatm([]byte(in), 4096); err != nil || r != want {
			t.Errorf("parseStatm(%q) = %+v, %v, want %+v", in, r, err, want)
		}
	}
	for _, in := range []string{"", "1 2", "1 -2 3", "a b c", "1 4503599627370496 1", "1 2 99999999999999999999"} {
		if r, err := parseStatm([]byte(in), 4096); err == nil {
			t.Errorf("parseStatm(%q) = %+v, want an error", in, r)
		}
	}
}

func FuzzParseStatm(f *testing.F) {
	seed(f, "/proc/self/statm", "/proc/2/statm")
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseStatm(b, 4096); err == nil && (r.Anonymous > r.Total || r.Total%4096 != 0) {
			t.Errorf("parseStatm(%q) = %+v", b, r)
		}
	})
}

// Memory that was written to is anonymous; who a process is, is what Process says.
func TestFootprint(t *testing.T) {
	const size = 64 << 20
	block, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(block)
	read := func() Footprint {
		t.Helper()
		f, err := FS{}.Footprint(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	before := read()
	for i := 0; i < size; i += 4096 {
		block[i] = 1
	}
	after := read()
	const slack = 4 << 20 // of the runtime's own doing meanwhile, and the kernel's counters
	for what, grown := range map[string]uint64{
		"anonymous": after.Resident.Anonymous - before.Resident.Anonymous, "all": after.Resident.Total - before.Resident.Total,
	} {
		if grown < size-slack || grown > size+slack {
			t.Errorf("%d bytes were written to, %s memory grew by %d", size, what, int64(grown))
		}
	}
	p, err := FS{}.Process(os.Getpid())
	if err != nil || p.PID != after.PID || p.Comm != after.Comm || p.StartTicks != after.StartTicks || after.KernelThread {
		t.Errorf("footprint %+v of %+v, %v", after, p, err)
	}
	if kthreadd, err := (FS{}).Footprint(2); err == nil && kthreadd.KernelThread && kthreadd.Resident != (Resident{}) {
		t.Errorf("a kernel thread has memory: %+v", kthreadd)
	}
	if _, err := (FS{}).Footprint(1 << 30); !errors.Is(err, ErrNoProcess) {
		t.Errorf("of no process: %v", err)
	}
}

// TestProgramID: it names the file that OpenProgram opens.
func TestProgramID(t *testing.T) {
	id, err := FS{}.ProgramID(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	file, _, opened, err := FS{}.OpenProgram(os.Getpid())
	if err != nil || opened != id {
		t.Errorf("program %+v, opened %+v: %v", id, opened, err)
	}
	file.Close()
	if _, err := (FS{}).ProgramID(1 << 30); !errors.Is(err, ErrNoProcess) {
		t.Errorf("of no process: %v", err)
	}
}
