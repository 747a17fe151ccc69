package doctor

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a file tree that stands for one. A value "-> x" is a symbolic
// link to x, and "" a directory.
type machine map[string]string

func (m machine) with(changes machine) machine {
	changed := maps.Clone(m)
	maps.Copy(changed, changes)
	return changed
}

func (m machine) root(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range m {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, isLink := strings.CutPrefix(content, "-> "); isLink {
			err = os.Symlink(target, path)
		} else if content == "" {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const allCaps = "000001ffffffffff"

func selfStatus(uid, effective, bounding, seccomp string) string {
	return "Name:\tebpfprof\nUid:\t" + uid + "\t" + uid + "\t" + uid + "\t" + uid + "\nThreads:\t5\nCapPrm:\t" + effective +
		"\nCapEff:\t" + effective + "\nCapBnd:\t" + bounding + "\nNoNewPrivs:\t0\nSeccomp:\t" + seccomp + "\n"
}

const (
	mountsV2 = `22 28 0:21 / /proc rw,nosuid,relatime shared:13 - proc proc rw
28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
`
	mountsHybrid = `22 28 0:21 / /proc rw,relatime - proc proc rw
30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
32 30 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	limits = `Limit                     Soft Limit           Hard Limit           Units
Max processes             96365                96365                processes
Max locked memory         8388608              unlimited            bytes
`
)

// debian is a Debian 12 server with root and a PMU.
func debian() machine {
	return machine{
		"proc/1/comm":                                 "systemd\n",
		"proc/cpuinfo":                                "processor\t: 0\nflags\t\t: fpu vme avx2\n\nprocessor\t: 1\n",
		"proc/kallsyms":                               "0000000000000000 A fixed_percpu_data\nffffffff81000000 T startup_64\n",
		"proc/self/cgroup":                            "0::/user.slice\n",
		"proc/self/limits":                            limits,
		"proc/self/mountinfo":                         mountsV2,
		"proc/self/ns/pid":                            "-> pid:[4026531836]",
		"proc/self/ns/user":                           "-> user:[4026531837]",
		"proc/self/status":                            selfStatus("0", allCaps, allCaps, "0"),
		"proc/sys/kernel/arch":                        "x86_64\n",
		"proc/sys/kernel/kptr_restrict":               "0\n",
		"proc/sys/kernel/osrelease":                   "6.1.0-56-amd64\n",
		"proc/sys/kernel/perf_event_max_sample_rate":  "100000\n",
		"proc/sys/kernel/perf_event_paranoid":         "3\n",
		"proc/sys/kernel/unprivileged_bpf_disabled":   "2\n",
		"proc/sys/kernel/version":                     "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1 (2026-10-01)\n",
		"proc/sys/net/core/bpf_jit_enable":            "1\n",
		"run/systemd/system":                          "",
		"sys/bus/event_source/devices/cpu/type":       "4\n",
		"sys/bus/event_source/devices/cpu_dma/..data": "x",
		"sys/bus/event_source/devices/software/type":  "1\n",
		"sys/devices/system/cpu/online":               "0-3\n",
		"sys/kernel/btf/ext4":                         "b",
		"sys/kernel/btf/vmlinux":                      strings.Repeat("B", 3<<20),
		"sys/kernel/security/lockdown":                "[none] integrity confidentiality\n",
	}
}

// container is an unprivileged process in a Docker container in a virtual
// machine.
func container() machine {
	m := debian().with(machine{
		".dockerenv":                   "\n",
		"proc/1/comm":                  "evil\x1b[31m\n",
		"proc/cpuinfo":                 "processor\t: 0\nflags\t\t: fpu hypervisor avx2\n\n",
		"proc/kallsyms":                "0000000000000000 A fixed_percpu_data\n0000000000000000 T startup_64\n",
		"proc/self/cgroup":             "1:cpu:/\n0::/\n",
		"proc/self/mountinfo":          mountsHybrid,
		"proc/self/ns/pid":             "-> pid:[4026532450]",
		"proc/self/status":             selfStatus("1000", "0000000000000000", "00000000a80425fb", "2"),
		"sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
	})
	for _, name := range []string{"run/systemd/system", "sys/bus/event_source/devices/cpu/type"} {
		delete(m, name)
	}
	return m
}

// answers are probes that all say status, but for the changes, by kind and name.
func answers(status string, changes map[string]Probe) []Probe {
	names := []string{
		"hook perf_event", "hook tp_btf", "hook tracepoint", "hook fentry", "hook kprobe", "hook uprobe", "hook uprobe_multi",
		"map ringbuf", "helper bpf_loop", "event cpu-clock", "event page-faults", "event minor-faults", "event major-faults",
		"event context-switches", "event cpu-migrations",
		"event cycles", "event instructions", "event branches", "event branch-misses", "event cache-references", "event cache-misses",
		"event L1-dcache-loads", "event L1-dcache-load-misses", "event L1-icache-loads", "event L1-icache-load-misses",
		"event LLC-loads", "event LLC-load-misses", "feature btf", "feature tracefs", "feature run_time_stats",
	}
	var probes []Probe
	for _, key := range names {
		kind, name, _ := strings.Cut(key, " ")
		p := Probe{Status: status}
		if status == StatusDenied {
			p.Error = "load program: operation not permitted"
		}
		if change, ok := changes[key]; ok {
			p = change
		}
		p.Kind, p.Name = kind, name
		probes = append(probes, p)
	}
	return probes
}

// noPMU are the answers to every hardware event where there is none.
func noPMU() map[string]Probe {
	changes := map[string]Probe{}
	for _, spec := range eventSpecs() {
		if spec.hardware {
			changes["event "+spec.name] = Probe{Status: StatusMissing, Error: "perf_event_open: no such file or directory"}
		}
	}
	return changes
}
