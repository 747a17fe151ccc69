package doctor

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Golden files are rewritten by: go test ./pkg/doctor -update
var update = flag.Bool("update", false, "rewrite the golden files")

var options = Options{Executable: "/usr/bin/ebpfprof", Recordable: []string{"cpu"}}

// reports are the diagnoses of the machines that the golden files show.
func reports(t *testing.T) map[string]Report {
	t.Helper()
	virtual := noPMU()
	virtual["hook fentry"] = Probe{Status: StatusDenied, Error: "load program: operation not permitted"}
	virtual["hook kprobe"] = Probe{Status: StatusMissing, Detail: "kernel built without CONFIG_KPROBE_EVENTS", Error: "find kprobe PMU: no such file or directory"}
	virtual["feature tracefs"] = Probe{Status: StatusMissing, Detail: "not mounted", Error: "look for tracefs: file does not exist"}
	nobody := noPMU()
	nobody["feature btf"] = Probe{Status: StatusOK}
	return map[string]Report{
		"server": Diagnose(Gather(debian().root(t)), answers(StatusOK, nil), options),
		"virtual": Diagnose(Gather(debian().with(machine{
			"proc/cpuinfo":            "flags\t\t: fpu hypervisor\n",
			"proc/sys/kernel/version": "#1 SMP PREEMPT_DYNAMIC Debian 6.1.27-1 (2023-05-08)\n",
			"proc/self/status":        selfStatus("999", "000000c000000000", allCaps, "0"),
			"proc/kallsyms":           "0000000000000000 T startup_64\n",
		}).root(t)), answers(StatusOK, virtual), options),
		"container": Diagnose(Gather(container().root(t)), answers(StatusDenied, nobody), options),
	}
}

func TestGolden(t *testing.T) {
	for name, r := range reports(t) {
		var plain strings.Builder
		if err := r.WriteText(&plain, false); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(plain.String(), "\x1b") {
			t.Errorf("%s: plain text has escapes", name)
		}
		golden(t, name+".txt", []byte(plain.String()))
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", append(text, '\n'))
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got\n%s", path, got)
	}
}

func TestColourOnlyAddsEscapes(t *testing.T) {
	for name, r := range reports(t) {
		var plain, coloured strings.Builder
		r.WriteText(&plain, false)
		r.WriteText(&coloured, true)
		stripped := coloured.String()
		for _, escape := range []string{"\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"} {
			stripped = strings.ReplaceAll(stripped, escape, "")
		}
		if stripped != plain.String() || coloured.String() == plain.String() {
			t.Errorf("%s: coloured text is not the plain text with escapes", name)
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	for name, r := range reports(t) {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Report
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, r) {
			t.Errorf("%s: read back\n%+v\nwant\n%+v", name, back, r)
		}
	}
}

func verdict(t *testing.T, verdicts []Verdict, name string) Verdict {
	t.Helper()
	i := slices.IndexFunc(verdicts, func(v Verdict) bool { return v.Name == name })
	if i < 0 {
		t.Fatalf("no verdict about %s", name)
	}
	return verdicts[i]
}

// TestVerdict changes one thing at a time and looks at one verdict.
func TestVerdict(t *testing.T) {
	denied := Probe{Status: StatusDenied, Error: "load program: operation not permitted"}
	missing := Probe{Status: StatusMissing}
	for name, test := range map[string]struct {
		machine   machine
		probes    map[string]Probe
		event     string
		status    string
		what, fix string // of the first problem; parts
	}{
		"all well":               {nil, nil, "cpu", Works, "", ""},
		"no BTF":                 {nil, map[string]Probe{"feature btf": missing}, "cpu", Fails, "/sys/kernel/btf/vmlinux is absent", "CONFIG_DEBUG_INFO_BTF=y"},
		"old kernel":             {nil, map[string]Probe{"map ringbuf": missing}, "cpu", Fails, "no BPF ring buffer", "Linux 5.8"},
		"refused by policy":      {machine{"proc/sys/kernel/perf_event_paranoid": "2\n"}, map[string]Probe{"hook perf_event": denied}, "cpu", Fails, "in spite of the capabilities: a policy of this kernel", ""},
		"refused by paranoia":    {nil, map[string]Probe{"hook perf_event": denied}, "cpu", Fails, "kernel.perf_event_paranoid is 3", "sysctl kernel.perf_event_paranoid=2"},
		"refused by seccomp":     {machine{"proc/self/status": selfStatus("0", allCaps, allCaps, "2"), ".dockerenv": "\n"}, map[string]Probe{"map ringbuf": denied}, "cpu", Fails, "a seccomp filter is active", "seccomp=unconfined"},
		"user":                   {machine{"proc/self/status": selfStatus("1000", "0", allCaps, "0")}, map[string]Probe{"hook perf_event": denied}, "cpu", Fails, "missing CAP_BPF, CAP_PERFMON", "sudo ebpfprof ..., or once: sudo setcap cap_bpf,cap_perfmon,"},
		"user, old kernel":       {machine{"proc/self/status": selfStatus("1000", "0", allCaps, "0"), "proc/sys/kernel/osrelease": "4.19.0-5-amd64\n", "proc/sys/kernel/version": "#1 SMP Debian 4.19.37-5"}, map[string]Probe{"hook perf_event": denied}, "cpu", Fails, "missing CAP_SYS_ADMIN, CAP_SYS_RESOURCE", "cap_sys_admin"},
		"user namespace":         {machine{"proc/self/ns/user": "-> user:[4026532222]"}, map[string]Probe{"hook perf_event": denied}, "cpu", Fails, "missing CAP_BPF", "outside of the user namespace"},
		"container, no caps":     {machine{"proc/self/status": selfStatus("0", "a80425fb", "a80425fb", "0"), ".dockerenv": "\n"}, map[string]Probe{"hook perf_event": denied}, "cpu", Fails, "missing CAP_BPF", "--cap-add BPF --cap-add PERFMON"},
		"Kubernetes, no caps":    {machine{"proc/self/status": selfStatus("0", "a80425fb", "a80425fb", "0"), "run/secrets/kubernetes.io/x": "y"}, map[string]Probe{"hook perf_event": denied}, "cpu", Fails, "missing CAP_BPF", "securityContext.capabilities.add: [BPF, PERFMON"},
		"unit without caps":      {machine{"proc/self/status": selfStatus("0", "0", "0", "0")}, map[string]Probe{"hook perf_event": denied}, "cpu", Fails, "missing CAP_BPF", "bounding set has CAP_BPF"},
		"container without PIDs": {machine{"proc/self/ns/pid": "-> pid:[4026532450]"}, nil, "cpu", Limited, "without the host's PIDs", "--pid=host"},
		"kernel symbols hidden":  {machine{"proc/kallsyms": "0000000000000000 T x\n", "proc/sys/kernel/kptr_restrict": "2\n"}, nil, "cpu", Limited, "no kernel function names", "sysctl kernel.kptr_restrict=1"},
		"few capabilities":       {machine{"proc/self/status": selfStatus("1000", "000000c000000000", allCaps, "0")}, nil, "cpu", Limited, "missing CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_CHECKPOINT_RESTORE", "cap_bpf,cap_perfmon,cap_sys_ptrace"},
		"silent probe":           {nil, map[string]Probe{"map ringbuf": {Status: StatusUnknown, Error: "no answer in time"}}, "cpu", Fails, "ring buffer: no answer in time", ""},
		"no uprobe_multi":        {nil, map[string]Probe{"hook uprobe_multi": missing}, "alloc", Works, "", ""},
		"no uprobes":             {nil, map[string]Probe{"hook uprobe_multi": missing, "hook uprobe": missing}, "alloc", Fails, "no hook uprobe_multi", "use -e page-faults"},
		"no tp_btf":              {nil, map[string]Probe{"hook tp_btf": missing}, "off-cpu", Fails, "no hook tp_btf", ""},
		"no tracefs":             {nil, map[string]Probe{"feature tracefs": missing}, "SUBSYSTEM:NAME", Fails, "not mounted", "mount -t tracefs"},
		"one event missing":      {nil, map[string]Probe{"event LLC-loads": missing}, "LLC-loads", Fails, "this CPU's PMU does not count it", "use -e page-faults"},
		"no interrupt":           {nil, map[string]Probe{"event cycles": {Status: StatusOK, CountOnly: true, Detail: "counts, but cannot sample"}}, "cycles", Fails, "cannot sample", "use -e cpu"},
		"bare metal, no PMU":     {nil, noPMU(), "cycles", Fails, "no hardware PMU", "use -e cpu"},
	} {
		r := Diagnose(Gather(debian().with(test.machine).root(t)), answers(StatusOK, test.probes), options)
		v := verdict(t, r.Events, test.event)
		if v.Status != test.status || v.Status != Works && len(v.Problems) == 0 {
			t.Errorf("%s: -e %s: %+v, want %s", name, test.event, v, test.status)
			continue
		}
		if r.CPUProfiling != (verdict(t, r.Events, "cpu").Status != Fails) {
			t.Errorf("%s: cpu_profiling %v", name, r.CPUProfiling)
		}
		if v.Status == Works {
			continue
		}
		if p := v.Problems[0]; !strings.Contains(p.What, test.what) || !strings.Contains(p.Fix, test.fix) || (test.fix == "") != (p.Fix == "") {
			t.Errorf("%s: -e %s: %+v, want %q, %q", name, test.event, p, test.what, test.fix)
		}
	}
}

func TestRecordSaysWhichTargetsWork(t *testing.T) {
	m := debian().with(machine{"proc/self/mountinfo": "x"})
	delete(m, "run/systemd/system")
	r := Diagnose(Gather(m.root(t)), answers(StatusOK, map[string]Probe{"hook tp_btf": {Status: StatusMissing}}), options)
	record := verdict(t, r.Commands, "record")
	if record.Status != Limited || len(record.Problems) != 3 {
		t.Fatalf("record: %+v", record)
	}
	for i, part := range []string{"do not follow children", "--unit", "--cgroup"} {
		if !strings.Contains(record.Problems[i].What, part) {
			t.Errorf("problem %d: %q, want %q", i, record.Problems[i].What, part)
		}
	}
	if cpu := verdict(t, r.Events, "cpu"); cpu.Status != Works {
		t.Errorf("-e cpu: %+v", cpu)
	}
}

func TestWarnings(t *testing.T) {
	for part, change := range map[string]machine{
		"d319f344561d":               {"proc/sys/kernel/version": "#1 SMP Debian 6.1.27-1"},
		"perf_event_max_sample_rate": {"proc/sys/kernel/perf_event_max_sample_rate": "50\n"},
		"bpf_jit_enable":             {"proc/sys/net/core/bpf_jit_enable": "0\n"},
		"confidentiality":            {"sys/kernel/security/lockdown": "none integrity [confidentiality]\n"},
	} {
		r := Diagnose(Gather(debian().with(change).root(t)), answers(StatusOK, nil), options)
		if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], part) {
			t.Errorf("warnings %q, want one about %s", r.Warnings, part)
		}
	}
	stats := map[string]Probe{"feature run_time_stats": {Status: StatusDenied, Error: "operation not permitted"}}
	r := Diagnose(Gather(debian().with(machine{"proc/self/status": selfStatus("0", "000001c000000000", allCaps, "0")}).root(t)), answers(StatusOK, stats), options)
	if len(r.Warnings) != 1 || !strings.HasSuffix(r.Warnings[0], "missing CAP_SYS_ADMIN") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

// TestStatSaysWhatIsCounted: counting needs neither programs nor an interrupt, and says which events there are none of.
func TestStatSaysWhatIsCounted(t *testing.T) {
	for name, test := range map[string]struct {
		probes map[string]Probe
		status string
		what   string // part of the first problem
	}{
		"all well":     {nil, Works, ""},
		"no PMU":       {noPMU(), Limited, "not counted: cycles, instructions, branches"},
		"no tp_btf":    {map[string]Probe{"hook tp_btf": {Status: StatusMissing}}, Limited, "--per"},
		"no interrupt": {map[string]Probe{"event cycles": {Status: StatusOK, CountOnly: true, Detail: "counts"}}, Works, ""},
	} {
		r := Diagnose(Gather(debian().root(t)), answers(StatusOK, test.probes), options)
		v := verdict(t, r.Commands, "stat")
		if v.Status != test.status || (test.what == "") != (len(v.Problems) == 0) {
			t.Errorf("%s: %+v, want %s", name, v, test.status)
		} else if test.what != "" && !strings.Contains(v.Problems[0].What, test.what) {
			t.Errorf("%s: %+v, want %q", name, v, test.what)
		}
	}
	r := Diagnose(Gather(debian().root(t)), answers(StatusDenied, nil), options)
	if v := verdict(t, r.Commands, "stat"); v.Status != Fails || len(v.Problems) == 0 {
		t.Errorf("all denied: %+v", v)
	}
}
