package goheap

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/test/vm"
	"github.com/ebpfprof/ebpfprof/test/vm/kernel"
)

// TestARM64 runs the tests that read processes on arm64, emulated.
func TestARM64(t *testing.T) {
	if os.Getenv("EBPFPROF_VM") == "" {
		t.Skip("boots an arm64 kernel in QEMU: run with EBPFPROF_VM=1")
	}
	store, err := kernel.OpenStore(t.Context(), kernel.Options{
		Dir: os.Getenv("EBPFPROF_VM_CACHE"), Mirror: os.Getenv("EBPFPROF_DEBIAN_MIRROR"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var image kernel.Image
	for _, r := range kernel.Releases() {
		if r.Arch == "arm64" {
			if image, err = store.Image(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
	}
	initrd := filepath.Join(t.TempDir(), "initramfs")
	f, err := os.Create(initrd)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	archive := vm.NewInitramfs(f)
	archive.AddFile("init", tool(t, "build", "../../test/vm/init"))
	archive.AddFile("bin/goheap.test", tool(t, "test", "."))
	archive.AddFile("lib/ld-linux-aarch64.so.1", loader(t)) // position independent programs of Go name it
	for _, b := range builds() {
		if b.cgo {
			continue
		}
		b.arch = "arm64"
		for _, source := range []string{"target", "plain"} {
			archive.AddFile("bin/"+b.file(source), compile(t, source, versions()[0], b))
		}
	}
	payload, err := vm.Payload{
		Env: []string{"EBPFPROF_GOHEAP_BUILT=/bin", "EBPFPROF_GOHEAP_VERSIONS=" + versions()[0]},
		Commands: []vm.Command{{Name: "goheap", Argv: []string{"/bin/goheap.test", "-test.v",
			"-test.run=^(TestHeap|TestHeapUnderLoad|TestContention|TestContentionOff|TestDisabled|TestEnable|TestNothingRuns)$"}}},
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	archive.Add(vm.PayloadPath, payload)
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	var serial bytes.Buffer
	if err := (vm.Machine{Arch: "arm64", Kernel: image.Path, Initrd: initrd}).Boot(t.Context(), &serial); err != nil {
		t.Error(err)
	}
	results, err := vm.Verdict(serial.String())
	if err != nil || len(results) != 1 || !strings.Contains(serial.String(), "records equal") {
		t.Errorf("%v, %v\n%s", results, err, serial.String())
	}
	for line := range strings.Lines(serial.String()) {
		if strings.Contains(line, "_test.go") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// loader returns the path of the dynamic loader for arm64.
func loader(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("aarch64-linux-gnu-gcc", "-print-file-name=ld-linux-aarch64.so.1").Output()
	path := strings.TrimSpace(string(out))
	if err != nil || !filepath.IsAbs(path) {
		t.Fatalf("no loader for arm64 (%q, %v): run scripts/install-deps.sh vm", path, err)
	}
	return path
}

// tool builds a program or test of this module for arm64.
func tool(t *testing.T, how, pkg string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	args := []string{how, "-o", out, pkg}
	if how == "test" {
		args = append([]string{"test", "-c"}, args[1:]...)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s %s: %v\n%s", how, pkg, err, text)
	}
	return out
}
