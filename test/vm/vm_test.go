package vm_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/test/vm"
	"github.com/ebpfprof/ebpfprof/test/vm/kernel"
)

const root = "../.."

// TestKernels boots every kernel of the matrix and runs the tests of ./guest in it.
// Serial logs stay in build/vm. Two guests at a time is what two CPUs bear: run it
// with -parallel 2.
func TestKernels(t *testing.T) {
	needVM(t)
	store := openStore(t)
	builds := map[string]func() (*programs, error){}
	for _, arch := range []string{"amd64", "arm64"} {
		builds[arch] = sync.OnceValues(func() (*programs, error) { return build(arch) })
	}
	for _, release := range kernel.Releases() {
		image, err := store.Image(t.Context(), release)
		t.Run(release.Name, func(t *testing.T) {
			if errors.Is(err, kernel.ErrNotObtainable) && !release.Required {
				t.Skipf("SKIP: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Parallel()
			p, err := builds[release.Arch]()
			if err != nil {
				t.Fatal(err)
			}
			boot(t, vm.Machine{Arch: release.Arch, Timeout: 4 * time.Minute}, image, p, guestPayload(t, image))
		})
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

func needVM(t *testing.T) {
	t.Helper()
	if os.Getenv("EBPFPROF_VM") == "" {
		t.Skip("boots other kernels in QEMU for a few minutes: run make test-vm")
	}
}

// openStore opens the kernels' folder, which the caller closes: others wait for it.
func openStore(t *testing.T) *kernel.Store {
	t.Helper()
	store, err := kernel.OpenStore(t.Context(), kernel.Options{
		Dir:    os.Getenv("EBPFPROF_VM_CACHE"),
		Mirror: os.Getenv("EBPFPROF_DEBIAN_MIRROR"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// boot runs the payload in a guest and judges what it printed. Tests that fail in it are
// run once more, alone, in a guest of their own: many measure time, and an emulated CPU
// stands still whenever the host has something else to do. What fails twice fails, and
// so does a kernel that complains once.
func boot(t *testing.T, machine vm.Machine, image kernel.Image, p *programs, payload vm.Payload) {
	t.Helper()
	log, err := run(t, machine, image, p, payload)
	if failed := vm.FailedTests(log); err != nil && len(failed) > 0 && !errors.Is(err, vm.ErrComplaint) {
		t.Logf("%s: %v\n%s\n==> run again, alone: %s", image.Package, err, tail(log, 120), strings.Join(failed, " "))
		for i := range payload.Commands {
			argv := slices.Clone(payload.Commands[i].Argv)
			payload.Commands[i].Argv = append(argv, "-test.run=^("+strings.Join(failed, "|")+")$") // the last one counts
		}
		log, err = run(t, machine, image, p, payload)
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", image.Package, err, tail(log, 120))
		return
	}
	t.Logf("%s, serial log in build/vm:\n%s", image.Package, outline(log))
}

// run boots a guest and returns its serial log, which stays in build/vm, and all that is
// wrong with it. A guest that does not reach its end is booted once more.
func run(t *testing.T, machine vm.Machine, image kernel.Image, p *programs, payload vm.Payload) (string, error) {
	t.Helper()
	machine.Kernel, machine.Initrd = image.Path, filepath.Join(t.TempDir(), "initramfs")
	if err := p.pack(machine.Initrd, payload); err != nil {
		t.Fatal(err)
	}
	var log string
	var bootErr error
	for attempt := range 2 {
		var serial bytes.Buffer
		bootErr = machine.Boot(t.Context(), &serial)
		log = strings.ReplaceAll(serial.String(), "\r", "")
		if bootErr == nil && strings.Contains(log, vm.DoneLine) {
			break
		}
		if attempt == 0 {
			t.Logf("%s did not reach its end and is booted again: %v\n%s", image.Package, bootErr, tail(log, 20))
		}
	}
	name := strings.TrimPrefix(strings.ReplaceAll(t.Name(), "/", "-"), "TestKernels-") + ".log"
	if err := os.WriteFile(filepath.Join(root, "build/vm", name), []byte(log), 0o644); err != nil {
		t.Error(err)
	}
	results, err := vm.Verdict(log)
	if err == nil && len(results) != len(payload.Commands) {
		err = fmt.Errorf("%d results of %d commands", len(results), len(payload.Commands))
	}
	return log, errors.Join(bootErr, err)
}

// outline keeps the lines of a log that say how the tests ended and what they measured.
func outline(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		trimmed := strings.TrimSpace(line)
		for _, prefix := range []string{"--- ", "RESULT ", "guest_test.go:", "record_test.go:", "recording_test.go:", "reference_test.go:", "offcpu_test.go:", "pmu_", "kmsg:"} {
			if strings.HasPrefix(trimmed, prefix) {
				b.WriteString("    " + line)
			}
		}
	}
	return b.String()
}

func tail(log string, lines int) string {
	all := strings.Split(log, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// programs are the files of a guest that do not depend on its kernel, by their path in it.
type programs struct {
	files map[string]string
}

// build makes the programs for an architecture under build/vm.
func build(arch string) (*programs, error) {
	dir, err := filepath.Abs(filepath.Join(root, "build/vm", arch))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	p := &programs{files: make(map[string]string)}
	steps := []struct {
		dst  string
		argv []string
	}{
		{"init", []string{"go", "build", "-trimpath", "-o", "", "./test/vm/init"}},
		{"bin/ebpfprof", []string{"go", "build", "-trimpath", "-o", "", "./cmd/ebpfprof"}},
		{"bin/gosplit", []string{"go", "build", "-trimpath", "-o", "", "./test/vm/targets/gosplit"}},
		{"bin/guest.test", []string{"go", "test", "-c", "-o", "", "./test/vm/guest"}},
		{"bin/csplit", []string{compiler(arch), "-O1", "-static", "-fno-omit-frame-pointer",
			"-o", "", "test/vm/targets/csplit/csplit.c"}},
		{"bin/waits", []string{compiler(arch), "-O1", "-static", "-pthread", "-fno-omit-frame-pointer",
			"-o", "", "internal/target/testdata/waits.c"}},
	}
	for _, step := range steps {
		out := filepath.Join(dir, filepath.Base(step.dst))
		for i := range step.argv {
			if step.argv[i] == "" {
				step.argv[i] = out
			}
		}
		cmd := exec.Command(step.argv[0], step.argv[1:]...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
		if output, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s for %s: %w\n%s", step.dst, arch, err, output)
		}
		p.files[step.dst] = out
	}
	return p, nil
}

// compiler names the C compiler for an architecture, as Debian does.
func compiler(arch string) string {
	switch {
	case arch == runtime.GOARCH:
		return "gcc"
	case arch == "arm64":
		return "aarch64-linux-gnu-gcc"
	}
	return "x86_64-linux-gnu-gcc"
}

// guestPayload runs the tests of ./guest but those that need a PMU, see pmu_test.go: all of them, or those that
// EBPFPROF_VM_GUEST_RUN matches.
func guestPayload(t *testing.T, image kernel.Image) vm.Payload {
	t.Helper()
	btf, err := os.ReadFile(image.BTFPath)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(btf)
	payload := vm.Payload{
		Env: []string{"EBPFPROF_GUEST=1", "EBPFPROF_BTF_SHA256=" + hex.EncodeToString(sum[:])},
		Commands: []vm.Command{{Name: "guest", Argv: []string{"/bin/guest.test", "-test.v", "-test.timeout=230s",
			"-test.skip=^TestPMU|^TestARM", "-test.run=" + os.Getenv("EBPFPROF_VM_GUEST_RUN")}}},
	}
	if image.Release.MayLack {
		payload.Env = append(payload.Env, "EBPFPROF_MAY_LACK=1")
	}
	return payload
}

// pack writes the initramfs of a guest.
func (p *programs) pack(path string, payload vm.Payload) error {
	encoded, err := payload.Encode()
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	archive := vm.NewInitramfs(f)
	archive.Add(vm.PayloadPath, encoded)
	for dst, src := range p.files {
		archive.AddFile(dst, src)
	}
	return archive.Close()
}
