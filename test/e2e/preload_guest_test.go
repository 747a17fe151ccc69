package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/internal/target"
	"github.com/ebpfprof/ebpfprof/test/vm"
	"github.com/ebpfprof/ebpfprof/test/vm/kernel"
)

// TestPreloadKernels records a program with the helper in it on other kernels, and on arm64, emulated.
func TestPreloadKernels(t *testing.T) {
	if os.Getenv("EBPFPROF_VM") == "" {
		t.Skip("boots kernels in QEMU: run with EBPFPROF_VM=1")
	}
	store, err := kernel.OpenStore(t.Context(), kernel.Options{
		Dir: os.Getenv("EBPFPROF_VM_CACHE"), Mirror: os.Getenv("EBPFPROF_DEBIAN_MIRROR"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, r := range kernel.Releases() {
		if r.Name == "5.10" {
			continue // probes have no cookies before 5.15
		}
		t.Run(r.Name, func(t *testing.T) {
			image, err := store.Image(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			recordInGuest(t, r.Arch, image.Path)
		})
	}
}

func recordInGuest(t *testing.T, arch, image string) {
	gcc, loader := "gcc", "lib64/ld-linux-x86-64.so.2"
	if arch == "arm64" {
		gcc, loader = "aarch64-linux-gnu-gcc", "lib/ld-linux-aarch64.so.1"
	}
	initrd := filepath.Join(t.TempDir(), "initramfs")
	f, err := os.Create(initrd)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	archive := vm.NewInitramfs(f)
	archive.AddFile("init", builtFor(t, arch, "go", "build", "-o", "OUT", "../vm/init"))
	archive.AddFile("bin/ebpfprof", builtFor(t, arch, "go", "build", "-o", "OUT", "../../cmd/ebpfprof"))
	archive.AddFile("bin/allocs", builtFor(t, arch, gcc, "-O1", "-fno-omit-frame-pointer", "-o", "OUT", target.Source(t, "allocs")))
	for _, name := range []string{loader, "lib/libc.so.6"} {
		out, err := exec.Command(gcc, "-print-file-name="+filepath.Base(name)).Output()
		if err != nil {
			t.Fatal(err)
		}
		archive.AddFile(name, strings.TrimSpace(string(out)))
	}
	payload, err := vm.Payload{Commands: []vm.Command{{Name: "preload", Argv: []string{"/bin/ebpfprof", "record", "-e", "alloc:65536", "--preload",
		"-o", "-", "--format", "folded", "--unwind-cache", "", "--", "/bin/allocs", "20000"}}}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	archive.Add(vm.PayloadPath, payload)
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	var serial bytes.Buffer
	if err := (vm.Machine{Arch: arch, Kernel: image, Initrd: initrd}).Boot(t.Context(), &serial); err != nil {
		t.Error(err)
	}
	if _, err := vm.Verdict(serial.String()); err != nil {
		t.Errorf("%v\n%s", err, serial.String())
	}
	// "allocs;_start;...;main;site_64k BYTES": nothing of the helper, and as many bytes as the program prints.
	sampled, told := map[string]float64{}, map[string]float64{}
	for line := range strings.Lines(serial.String()) {
		line = strings.TrimSpace(line)
		if at := strings.Index(line, "allocs;"); at >= 0 && strings.Contains(line, ";main;site_") {
			stack, value, _ := strings.Cut(line[at:], " ")
			n, _ := strconv.ParseFloat(value, 64)
			sampled[stack[strings.LastIndex(stack, ";")+1:]] += n
		}
		if f := strings.Fields(line); len(f) >= 3 && strings.HasPrefix(f[len(f)-3], "site_") {
			told[f[len(f)-3]], _ = strconv.ParseFloat(f[len(f)-1], 64)
		}
	}
	for _, name := range []string{"site_64k", "site_1m", "site_mix", "site_calloc", "site_realloc", "site_aligned"} {
		ratio := sampled[name] / told[name]
		if t.Logf("%s: %.3f of the truth", name, ratio); !(ratio > 0.6 && ratio < 1.6) { // 140 samples or more of each
			t.Errorf("%s: %g bytes sampled, %g told\n%s", name, sampled[name], told[name], serial.String())
		}
	}
}

// builtFor runs a compiler with OUT in its arguments, and returns what that is.
func builtFor(t *testing.T, arch string, argv ...string) string {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Fatalf("%v: run scripts/install-deps.sh vm", err)
	}
	out := filepath.Join(t.TempDir(), "out")
	for i, a := range argv {
		if a == "OUT" {
			argv[i] = out
		}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, text)
	}
	return out
}
