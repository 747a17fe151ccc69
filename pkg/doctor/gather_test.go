package doctor

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

func TestGather(t *testing.T) {
	f := Gather(debian().root(t))
	if want := (Kernel{"6.1.0-56-amd64", Version{6, 1, 192}, "x86_64", 4}); f.Kernel != want {
		t.Errorf("kernel %+v, want %+v", f.Kernel, want)
	}
	if want := (BTF{true, 3 << 20, 1}); f.BTF != want {
		t.Errorf("BTF %+v, want %+v", f.BTF, want)
	}
	if p := f.Privileges; p.UID != 0 || !p.InitialUserNamespace || len(p.uncovered(NeedRequired))+len(p.uncovered(NeedRecommended)) != 0 {
		t.Errorf("privileges %+v", p)
	}
	s := f.Security
	if s.Lockdown != "none" || *s.PerfEventParanoid != 3 || *s.UnprivilegedBPFDisabled != 2 || *s.KptrRestrict != 0 ||
		*s.BPFJIT != 1 || *s.PerfEventMaxSampleRate != 100000 || s.KernelSymbols != symbolsShown || s.SeccompFilter ||
		s.MemlockMatters || *s.MemlockBytes != 8<<20 {
		t.Errorf("security %+v", s)
	}
	if want := (PMU{[]string{"cpu"}, false}); !reflect.DeepEqual(f.PMU, want) {
		t.Errorf("PMU %+v, want %+v", f.PMU, want)
	}
	if want := (Cgroup{"v2", "/sys/fs/cgroup"}); f.Cgroup != want {
		t.Errorf("cgroup %+v, want %+v", f.Cgroup, want)
	}
	if want := (Environment{true, "", "systemd", true}); f.Environment != want {
		t.Errorf("environment %+v, want %+v", f.Environment, want)
	}
}

func TestGatherInContainer(t *testing.T) {
	f := Gather(container().root(t))
	if want := (Environment{false, "docker", `evil\x1b[31m`, false}); f.Environment != want {
		t.Errorf("environment %+v, want %+v", f.Environment, want)
	}
	if f.Security.KernelSymbols != symbolsHidden || !f.Security.SeccompFilter || f.Security.Lockdown != "integrity" {
		t.Errorf("security %+v", f.Security)
	}
	if want := (PMU{[]string{}, true}); !reflect.DeepEqual(f.PMU, want) {
		t.Errorf("PMU %+v, want %+v", f.PMU, want)
	}
	if want := (Cgroup{"hybrid", "/sys/fs/cgroup/unified"}); f.Cgroup != want {
		t.Errorf("cgroup %+v, want %+v", f.Cgroup, want)
	}
}

// TestGatherNothing is a machine that shows no file at all.
func TestGatherNothing(t *testing.T) {
	f := Gather(t.TempDir())
	if f.Kernel.Version != (Version{}) || f.Privileges.UID != -1 || f.Security.PerfEventParanoid != nil ||
		f.Security.KernelSymbols != symbolsAbsent || f.Cgroup.Version != "none" || f.BTF.Present {
		t.Errorf("facts of nothing: %+v", f)
	}
	r := Diagnose(f, nil, Options{})
	if r.CPUProfiling || len(r.Commands) == 0 || r.Commands[0].Status != Fails {
		t.Errorf("a machine without answers: %+v", r.Commands)
	}
	if err := r.WriteText(new(strings.Builder), true); err != nil {
		t.Error(err)
	}
}

// TestGatherHere reads the machine that the test runs on.
func TestGatherHere(t *testing.T) {
	f := Gather("/")
	if f.Kernel.Version == (Version{}) || f.Kernel.CPUs == 0 || f.Privileges.UID < 0 || f.Environment.Init == "" {
		t.Errorf("facts %+v", f)
	}
}

func TestUpstreamVersion(t *testing.T) {
	for _, test := range []struct {
		release, build, signature string
		want                      Version
	}{
		{"6.18.44-fc-v595", "#1 SMP PREEMPT_DYNAMIC @0", "", Version{6, 18, 44}},
		{"6.1.0-9-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.27-1 (2023-05-08)", "", Version{6, 1, 27}},
		{"6.2.0-36-generic", "#37~22.04.1-Ubuntu SMP PREEMPT_DYNAMIC", "Ubuntu 6.2.0-36.37~22.04.1-generic 6.2.16", Version{6, 2, 16}},
		{"7.3.4+deb14-amd64", "#1 SMP Debian 7.3.4-1~bpo13+1", "", Version{7, 3, 4}},
		{"6.4-rc1", "#1", "", Version{6, 4, 0}},
		{"-6.-1", "Debian", "Ubuntu x y", Version{}},
		{"", "", "", Version{}},
	} {
		if got := upstreamVersion(test.release, test.build, test.signature); got != test.want {
			t.Errorf("upstreamVersion(%q, %q, %q) = %v, want %v", test.release, test.build, test.signature, got, test.want)
		}
	}
}

func TestKnownBad(t *testing.T) {
	for version, bad := range map[string]bool{
		"5.10.262": false, "5.18.19": false, "5.19.0": true, "5.19.17": true, "6.0.19": true, "6.1.0": true, "6.1.25": true, "6.1.35": true,
		"6.1.36": false, "6.1.192": false, "6.2.16": true, "6.3.9": true, "6.3.10": false, "6.4.0": false, "6.18.44": false, "7.0.0": false,
		"unknown": false,
	} {
		var v Version
		if err := v.UnmarshalText([]byte(version)); err != nil {
			t.Fatal(err)
		}
		if got := v.knownBad() != ""; got != bad {
			t.Errorf("kernel %s: known bad %v, want %v", version, got, bad)
		}
	}
}

func TestCapabilityNeeds(t *testing.T) {
	need := func(v Version, symbols bool, name string) string {
		for _, c := range capabilities(status{}, v, symbols) {
			if c.Name == name {
				return c.Need
			}
		}
		return "absent"
	}
	for _, test := range []struct {
		v       Version
		symbols bool
		name    string
		want    string
	}{
		{Version{5, 7, 0}, false, "CAP_BPF", NeedNone},
		{Version{5, 7, 0}, false, "CAP_SYS_ADMIN", NeedRequired},
		{Version{5, 8, 0}, false, "CAP_BPF", NeedRequired},
		{Version{5, 8, 0}, false, "CAP_PERFMON", NeedRequired},
		{Version{5, 8, 0}, false, "CAP_SYS_ADMIN", NeedOptional},
		{Version{5, 8, 0}, false, "CAP_CHECKPOINT_RESTORE", NeedNone},
		{Version{5, 9, 0}, false, "CAP_CHECKPOINT_RESTORE", NeedRecommended},
		{Version{5, 10, 262}, false, "CAP_SYS_RESOURCE", NeedRequired},
		{Version{5, 11, 0}, false, "CAP_SYS_RESOURCE", NeedNone},
		{Version{6, 1, 0}, false, "CAP_SYSLOG", NeedRecommended},
		{Version{6, 1, 0}, true, "CAP_SYSLOG", NeedOptional},
	} {
		if got := need(test.v, test.symbols, test.name); got != test.want {
			t.Errorf("%s on %v: %s, want %s", test.name, test.v, got, test.want)
		}
	}
}

// TestSysAdminCovers: it stands for CAP_BPF, CAP_PERFMON and
// CAP_CHECKPOINT_RESTORE, but not for the rest.
func TestSysAdminCovers(t *testing.T) {
	p := Privileges{InitialUserNamespace: true, Capabilities: capabilities(status{effective: 1 << proc.CapSysAdmin}, Version{6, 1, 0}, false)}
	if lacking := names(p.uncovered(NeedRequired)); len(lacking) > 0 {
		t.Errorf("required and lacking: %v", lacking)
	}
	if got, want := strings.Join(names(p.uncovered(NeedRecommended)), " "), "CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_SYSLOG"; got != want {
		t.Errorf("recommended and lacking: %s, want %s", got, want)
	}
	p.InitialUserNamespace = false
	if lacking := names(p.uncovered(NeedRequired)); len(lacking) != 2 {
		t.Errorf("required and lacking in a user namespace: %v", lacking)
	}
}

func TestCountList(t *testing.T) {
	for list, want := range map[string]int{
		"0": 1, "0-3": 4, "0-1,4,6-7": 5, "": 0, "3-0": 0, "x": 0, "0-99999999999": 0, "-": 0,
	} {
		if got := countList(list); got != want {
			t.Errorf("countList(%q) = %d, want %d", list, got, want)
		}
	}
}

func TestMemlock(t *testing.T) {
	if n := memlock("Max locked memory         unlimited            unlimited            bytes\n"); n == nil || *n != -1 {
		t.Errorf("unlimited: %v", n)
	}
	for _, text := range []string{"", "Max locked memory", "Max locked memory  x y bytes"} {
		if n := memlock(text); n != nil {
			t.Errorf("memlock(%q) = %d", text, *n)
		}
	}
}

func TestCgroup(t *testing.T) {
	const v1 = "31 30 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
	for mounts, want := range map[string]Cgroup{
		mountsV2:     {"v2", "/sys/fs/cgroup"},
		mountsHybrid: {"hybrid", "/sys/fs/cgroup/unified"},
		v1:           {"v1", ""},
		"x":          {"none", ""},
	} {
		m := debian().with(machine{"proc/self/mountinfo": mounts, "proc/self/cgroup": "1:cpu:/\n0::/\n"})
		if got := Gather(m.root(t)).Cgroup; got != want {
			t.Errorf("mounts\n%s: cgroup %+v, want %+v", mounts, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(limits)
	f.Add(selfStatus("1000", allCaps, allCaps, "2"))
	f.Add("0-3,5")
	f.Add("none [integrity")
	f.Fuzz(func(t *testing.T, text string) {
		memlock(text)
		bracketed(text)
		if n := countList(text); n < 0 {
			t.Errorf("countList = %d", n)
		}
		if s := parseStatus(text); s.uid < -1 {
			t.Errorf("uid %d", s.uid)
		}
		if v, ok := parseVersion(text); ok && (v.Major < 0 || v.Minor < 0 || v.Patch < 0) {
			t.Errorf("version %v", v)
		}
		for _, r := range printable(text) {
			if r < ' ' || r > '~' {
				t.Errorf("printable leaves %q", r)
			}
		}
	})
}
