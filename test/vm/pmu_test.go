package vm_test

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/internal/fakepmu"
	"github.com/ebpfprof/ebpfprof/internal/target"
	"github.com/ebpfprof/ebpfprof/test/vm"
	"github.com/ebpfprof/ebpfprof/test/vm/kernel"
)

// modulePath is where a guest has the fake PMU.
const modulePath = "lib/fakepmu.ko"

// TestPMU boots the kernels that modules can be built for, with internal/fakepmu as
// their PMU, and runs the tests of ./guest that need one. One guest at a time: what is
// multiplexed is measured by time.
func TestPMU(t *testing.T) {
	needVM(t)
	for _, tool := range fakepmu.Tools() {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIP: no fake PMU can be built: %v; scripts/install-deps.sh vm installs it", err)
		}
	}
	shared, err := build("amd64")
	if err != nil {
		t.Fatal(err)
	}
	inject := target.C(t, "inject", "-static")
	for _, release := range kernel.Releases() {
		if !release.Modules {
			continue
		}
		t.Run(release.Name, func(t *testing.T) {
			image, module := fakePMU(t, release)
			p := &programs{files: maps.Clone(shared.files)}
			p.files[modulePath], p.files["bin/inject"] = module, inject
			boot(t, vm.Machine{Arch: release.Arch, Timeout: 8 * time.Minute}, image, p, vm.Payload{
				Env: []string{"EBPFPROF_GUEST=1", "EBPFPROF_FAKEPMU=/" + modulePath},
				Commands: []vm.Command{{Name: "pmu", Argv: []string{
					"/bin/guest.test", "-test.v", "-test.timeout=460s", "-test.run=" + pmuTests()}}},
			})
		})
	}
}

// pmuTests picks tests of ./guest, all unless told otherwise.
func pmuTests() string {
	if only := os.Getenv("EBPFPROF_VM_PMU_RUN"); only != "" {
		return only
	}
	return "^TestPMU"
}

// fakePMU returns a kernel and the module built for it, or skips what cannot be had.
func fakePMU(t *testing.T, release kernel.Release) (kernel.Image, string) {
	t.Helper()
	store := openStore(t)
	defer store.Close()
	image, err := store.Image(t.Context(), release)
	if errors.Is(err, kernel.ErrNotObtainable) && !release.Required {
		t.Skipf("SKIP: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	headers, err := store.Headers(t.Context(), image)
	if errors.Is(err, kernel.ErrNotObtainable) { // a kernel that is kept may be older than the archive
		t.Skipf("SKIP: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	module, err := fakepmu.Build(t.Context(), headers, filepath.Join(filepath.Dir(headers), "fakepmu"))
	if err != nil {
		t.Fatal(err)
	}
	return image, module
}

// TestARMPMU boots an arm64 guest whose emulated CPU has a PMU, and the kernel its real
// driver for it: it counts cycles, and nothing else.
func TestARMPMU(t *testing.T) {
	needVM(t)
	for _, release := range kernel.Releases() {
		if release.Arch != "arm64" {
			continue
		}
		t.Run(strings.TrimSuffix(release.Name, "-arm64"), func(t *testing.T) {
			store := openStore(t)
			image, err := store.Image(t.Context(), release)
			store.Close()
			if err != nil {
				t.Fatal(err)
			}
			p, err := build(release.Arch)
			if err != nil {
				t.Fatal(err)
			}
			boot(t, vm.Machine{Arch: release.Arch}, image, p, vm.Payload{
				Env: []string{"EBPFPROF_GUEST=1"},
				Commands: []vm.Command{{Name: "pmu", Argv: []string{
					"/bin/guest.test", "-test.v", "-test.timeout=110s", "-test.run=^TestARM"}}},
			})
		})
	}
}
