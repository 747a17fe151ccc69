package preload

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/internal/target"
	"github.com/ebpfprof/ebpfprof/pkg/probesite"
	"github.com/ebpfprof/ebpfprof/pkg/usdt"
)

// objects are the helpers of all machines.
func objects(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, arch := range []string{"amd64", "arm64"} {
		raw, err := os.ReadFile("helper_" + arch + ".so")
		if err != nil {
			t.Fatal(err)
		}
		all[arch] = string(raw)
	}
	return all
}

func TestSettings(t *testing.T) {
	for arch, object := range objects(t) {
		got, err := image(object, Options{Mean: 12345, Frees: true})
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		var words []byte
		for i := range got {
			if got[i] != object[i] {
				words = append(words, got[i])
			}
		}
		f, err := elf.NewFile(bytes.NewReader(got))
		if err != nil {
			t.Fatal(err)
		}
		at, err := settingsOffset(f)
		if err != nil {
			t.Fatal(err)
		}
		if mean, frees := binary.LittleEndian.Uint64(got[at:]), binary.LittleEndian.Uint64(got[at+8:]); mean != 12345 || frees != 1 || len(words) > 16 {
			t.Errorf("%s: mean %d, frees %d, %d bytes changed", arch, mean, frees, len(words))
		}
		if binary.LittleEndian.Uint64([]byte(object)[at:]) != 512<<10 {
			t.Errorf("%s: the settings are not where the source has them", arch)
		}
	}
	if _, err := Image(Options{}); err == nil {
		t.Error("a mean of 0 is taken")
	}
}

// The helper needs what every C library has, and no memory that a thread has to be given.
func TestNeeds(t *testing.T) {
	for arch, object := range objects(t) {
		f, err := elf.NewFile(strings.NewReader(object))
		if err != nil {
			t.Fatal(err)
		}
		libraries, _ := f.ImportedLibraries()
		symbols, _ := f.DynamicSymbols()
		var names []string
		for _, s := range symbols {
			if s.Section == elf.SHN_UNDEF {
				names = append(names, s.Name)
			}
		}
		slices.Sort(names)
		if want := []string{"_r_debug", "dl_iterate_phdr", "getauxval"}; len(libraries) > 0 || !slices.Equal(names, want) {
			t.Errorf("%s: needs %v of %v", arch, names, libraries)
		}
	}
}

// The probes are on instructions that are emulated, at the entry, which are no NOP of five bytes.
func TestSites(t *testing.T) {
	for arch, object := range objects(t) {
		probes, err := usdt.Find(strings.NewReader(object), "otel_memory")
		if err != nil || len(probes) != 2 || probes[0].Name != "alloc" || probes[1].Name != "free" {
			t.Fatalf("%s: %+v, %v", arch, probes, err)
		}
		var registers []int
		for _, a := range probes[0].Args {
			registers = append(registers, a.Register)
		}
		o, want := probesite.Options{Args: 3}, []int{14, 13, 12}
		if arch == "arm64" {
			o.Arch, want = probesite.ARM64, []int{0, 1, 2}
		}
		if !reflect.DeepEqual(registers, want) {
			t.Errorf("%s: arguments in registers %v, want %v", arch, registers, want)
		}
		for _, p := range probes {
			site, err := probesite.Choose([]byte(object[p.Offset:p.Offset+8]), o)
			if err != nil || site.Offset != 0 || site.Class != probesite.Emulated || strings.HasPrefix(object[p.Offset:], "\x0f\x1f\x44") {
				t.Errorf("%s: %s: %+v, %v", arch, p.Name, site, err)
			}
		}
	}
}

func TestEnviron(t *testing.T) {
	f := &File{Path: "/tmp/h.so"}
	got := f.Environ([]string{"A=1", "LD_PRELOAD=/lib/x.so /lib/y.so", "ASAN_OPTIONS=a=b"})
	want := []string{"A=1", "LD_PRELOAD=/tmp/h.so:/lib/x.so /lib/y.so", "ASAN_OPTIONS=a=b:verify_asan_link_order=0"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := f.Environ([]string{"LD_PRELOAD=", "B=2"}); !slices.Equal(got, []string{"B=2", "LD_PRELOAD=/tmp/h.so", "ASAN_OPTIONS=verify_asan_link_order=0"}) {
		t.Errorf("%q", got)
	}
}

func TestWrite(t *testing.T) {
	spaced := filepath.Join(t.TempDir(), "a b")
	if err := os.Mkdir(spaced, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f, err := Write([]string{filepath.Join(dir, "none"), spaced, dir}, Options{Mean: 4096})
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(f.Path)
	if err != nil || st.Mode().Perm() != 0o644 || !strings.HasPrefix(f.Path, dir+"/") {
		t.Errorf("%s: %v, %v", f.Path, st.Mode(), err)
	}
	if st, err := os.Stat(filepath.Dir(f.Path)); err != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("its folder: %v, %v", st.Mode(), err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%s is left", left[0].Name())
	}
	if _, err := Write([]string{spaced, "relative"}, Options{Mean: 4096}); err == nil {
		t.Error("a path that LD_PRELOAD cannot hold is taken")
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		path, want string
	}{
		{target.C(t, "split"), ""},
		{target.C(t, "split", "-static"), "static"},
		{"/no/such/file", ""},
	} {
		if got := Refuses(c.path); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.path, got, c.want)
		}
	}
}

// helperIn writes a helper for this machine that samples often.
func helperIn(t *testing.T, o Options) string {
	t.Helper()
	f, err := Write([]string{t.TempDir()}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f.Path
}

// Programs do with the helper what they do without, sampled all the time and with every free looked at.
func TestPrograms(t *testing.T) {
	helper := helperIn(t, Options{Mean: 1, Frees: true})
	for _, argv := range [][]string{
		{"sh", "-c", "for i in 1 2 3; do echo $i | cat; done"},
		{"python3", "-c", "import threading\nr=[]\nts=[threading.Thread(target=lambda: r.append(len(str(list(range(20000)))))) for _ in range(8)]\n[t.start() for t in ts]\n[t.join() for t in ts]\nprint(r)"},
		{"perl", "-e", "my %h; $h{$_} = \"x\" x $_ for 1..2000; print scalar(keys %h), \"\\n\""},
		{"gdb", "--batch", "-ex", "print 1+1"},
		{target.C(t, "allocs"), "2000"},
		{target.C(t, "forks"), "4", "100", "true"},
	} {
		if _, err := exec.LookPath(argv[0]); err != nil {
			continue
		}
		plain, err1 := exec.Command(argv[0], argv[1:]...).Output()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), "LD_PRELOAD="+helper)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		with, err2 := cmd.Output()
		if !bytes.Equal(plain, with) || (err1 == nil) != (err2 == nil) || bytes.Contains(stderr.Bytes(), []byte("ERROR: ld.so")) {
			t.Errorf("%q: %v: %s; with the helper %v: %s%s", argv, err1, plain, err2, with, stderr.Bytes())
		}
	}
}
