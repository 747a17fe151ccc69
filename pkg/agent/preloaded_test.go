package agent

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/internal/target"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/preload"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// A sampledKernel notes where probes are.
type sampledKernel struct {
	probed map[int][]loader.SampledProbe // by process; 0: all
}

type closer func()

func (c closer) Close() error { c(); return nil }

func (k *sampledKernel) ProbeSampled(pid int, file string, probes []loader.SampledProbe) (io.Closer, error) {
	if _, err := os.Stat(file); err != nil {
		return nil, errors.New("no such file")
	}
	k.probed[pid] = probes
	return closer(func() { delete(k.probed, pid) }), nil
}

func (k *sampledKernel) AllocHits(int) (loader.AllocHits, error) { return loader.AllocHits{}, nil }

func (k *sampledKernel) CalibrateAllocs() (loader.HitCost, error) { return loader.HitCost{}, nil }

func preloadedFor(t *testing.T) (*Preloaded, *sampledKernel, string) {
	t.Helper()
	helper, err := preload.Write([]string{t.TempDir()}, preload.Options{Mean: 4096})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { helper.Close() })
	k := &sampledKernel{probed: map[int][]loader.SampledProbe{}}
	p, err := NewPreloaded(proc.FS{}, k, helper.Path)
	if err != nil {
		t.Fatal(err)
	}
	return p, k, helper.Path
}

// The helper's frames are taken from a stack, and no others.
func TestPreloadedStacks(t *testing.T) {
	p, _, _ := preloadedFor(t)
	vmas := []loader.VMA{
		{Start: 0x1000, End: 0x2000, Kind: loader.VMAFile, File: loader.FileID{Ino: 1}},
		{Start: 0x5000, End: 0x6000, Kind: loader.VMAFile, File: p.helper.id},
	}
	for _, c := range []struct{ user, want []uint64 }{
		{[]uint64{0x5010, 0x5020, 0x1010, 0x5030, 0x1020}, []uint64{0x1010, 0x5030, 0x1020}},
		{[]uint64{0x1010, 0x5020}, []uint64{0x1010, 0x5020}},
		{[]uint64{0x9000}, []uint64{0x9000}},
		{nil, nil},
	} {
		s := loader.Sample{User: slices.Clone(c.user), VMAs: vmas, PID: 7}
		if !p.Sample(&s) || !slices.Equal(s.User, c.want) {
			t.Errorf("%#x: %#x, want %#x", c.user, s.User, c.want)
		}
	}
	p.processes[8] = &preloadProcess{samples: true}
	s := loader.Sample{User: []uint64{0x5010, 0x1010}, VMAs: vmas, PID: 8}
	if p.Sample(&s) || p.LeftOut() != 1 {
		t.Error("the helper's sample of a process that samples itself counts")
	}
	s = loader.Sample{User: []uint64{0x1010}, VMAs: vmas, PID: 8}
	if !p.Sample(&s) {
		t.Error("its own sample does not count")
	}
}

// Processes with the helper, without, and with a sampler of their own are told apart.
func TestPreloadedCoverage(t *testing.T) {
	p, k, helper := preloadedFor(t)
	env := append(os.Environ(), "LD_PRELOAD="+helper)
	start := func(env []string, argv ...string) int {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = env
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd.Process.Pid
	}
	static := target.C(t, "split", "-static")
	with, without, alone, own := start(env, "sleep", "60"), start(os.Environ(), "sleep", "60"), start(env, static, "60"),
		start(env, target.C(t, "ownsampler"), "60")
	time.Sleep(100 * time.Millisecond) // until they are what they run
	if err := p.Start([]int{with, without, alone, own}); err != nil {
		t.Fatal(err)
	}
	if len(k.probed[0]) != 1 || k.probed[0][0].Weighed {
		t.Errorf("of the helper: %+v", k.probed[0])
	}
	p.follow()
	reasons := map[int]string{}
	for _, u := range p.uncovered() {
		reasons[u.PID] = u.Reason
	}
	if len(reasons) != 2 || !strings.Contains(reasons[without], "LD_PRELOAD") || !strings.Contains(reasons[alone], "static") {
		t.Errorf("not covered: %v; %d has no helper, %d is static", reasons, without, alone)
	}
	if probes := k.probed[own]; len(k.probed) != 2 || len(probes) != 1 || !probes[0].Weighed || probes[0].Semaphore == 0 {
		t.Errorf("%+v, want those of the helper and of %d", k.probed, own)
	}
	p.end()
	if p.Close(); len(k.probed) > 0 {
		t.Errorf("probes are left: %+v", k.probed)
	}
}

// A sampler whose arguments cannot be read is told of.
func TestSampledProbesElsewhere(t *testing.T) {
	f, err := os.Open(target.C(t, "ownsampler", "-DMEMORY"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if probes, err := sampledProbes(f, true); err == nil || !strings.Contains(err.Error(), "registers") {
		t.Errorf("%+v, %v", probes, err)
	}
}
