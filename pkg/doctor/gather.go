package doctor

import (
	"bufio"
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// Limits of what is read of a file. The mount table of a busy container host
// is a few hundred kilobytes; kernel symbols start with per-CPU offsets, whose
// addresses are zero for everyone.
const (
	maxFile    = 1 << 20
	maxSymbols = 256 << 10
)

// Gather reads the facts from the files under root: "/", or a copy of the
// relevant files elsewhere. It opens nothing that blocks and needs no privilege.
func Gather(root string) Facts {
	t := tree(root)
	self := parseStatus(t.text("proc/self/status"))
	kernel := t.kernel()
	security := t.security(kernel.Version, self)
	return Facts{
		Kernel: kernel,
		BTF:    t.btf(),
		Privileges: Privileges{
			UID:                  self.uid,
			InitialUserNamespace: t.inNamespace("user", proc.InitUserNamespace),
			Capabilities:         capabilities(self, kernel.Version, security.KernelSymbols == symbolsShown),
		},
		Security: security,
		PMU:      t.pmu(),
		Cgroup:   t.cgroup(),
		Environment: Environment{
			InitialPIDNamespace: t.inNamespace("pid", proc.InitPIDNamespace),
			Container:           t.container(),
			Init:                printable(t.line("proc/1/comm")),
			Systemd:             t.exists("run/systemd/system"),
		},
	}
}

// tree is the root of the files to read.
type tree string

func (t tree) path(name string) string { return filepath.Join(string(t), name) }

func (t tree) exists(name string) bool {
	_, err := os.Stat(t.path(name))
	return err == nil
}

// head reads at most limit bytes of a file, and is nil if it cannot.
func (t tree) head(name string, limit int64) []byte {
	f, err := os.Open(t.path(name))
	if err != nil {
		return nil
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil
	}
	return b
}

func (t tree) text(name string) string { return string(t.head(name, maxFile)) }

// line is the first line of a file, without blanks around it.
func (t tree) line(name string) string {
	first, _, _ := strings.Cut(t.text(name), "\n")
	return strings.TrimSpace(first)
}

// number is the number in a file, nil if there is none.
func (t tree) number(name string) *int64 {
	n, err := strconv.ParseInt(t.line(name), 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

func (t tree) fs() proc.FS {
	return proc.FS{Proc: t.path("proc"), Sys: t.path("sys"), Root: string(t)}
}

// inNamespace is true as well where the namespace cannot be told, as on
// kernels without that kind.
func (t tree) inNamespace(kind string, initial uint64) bool {
	inode, err := t.fs().Namespace(0, kind)
	return err != nil || inode == initial
}

// cgroup tells the set-ups apart: hybrid is systemd's v1 controllers with a v2
// hierarchy that only tracks processes.
func (t tree) cgroup() Cgroup {
	c := Cgroup{Version: "none"}
	mounts, err := t.fs().CgroupMounts()
	if err != nil {
		return c
	}
	for _, m := range mounts { // v2, which is hierarchy 0, comes first
		switch {
		case m.Hierarchy == 0 && c.V2Mount == "":
			c = Cgroup{"v2", m.MountPoint}
		case m.Hierarchy != 0 && c.V2Mount != "":
			c.Version = "hybrid"
		case m.Hierarchy != 0:
			c.Version = "v1"
		}
	}
	return c
}

func (t tree) kernel() Kernel {
	release := t.line("proc/sys/kernel/osrelease")
	k := Kernel{
		Release: release,
		Version: upstreamVersion(release, t.line("proc/sys/kernel/version"), t.line("proc/version_signature")),
		Arch:    t.line("proc/sys/kernel/arch"), // since 6.1
		CPUs:    countList(t.line("sys/devices/system/cpu/online")),
	}
	if k.Arch == "" {
		k.Arch = runtime.GOARCH
	}
	return k
}

// countList counts a list like "0-3,8"; 0 if it is none.
func countList(list string) int {
	total := 0
	for item := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(item, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.ParseUint(from, 10, 20)
		last, err2 := strconv.ParseUint(to, 10, 20)
		if err1 != nil || err2 != nil || last < first {
			return 0
		}
		total += int(last-first) + 1
	}
	return total
}

func (t tree) btf() BTF {
	info, err := os.Stat(t.path("sys/kernel/btf/vmlinux"))
	if err != nil {
		return BTF{}
	}
	b := BTF{Present: true, Bytes: info.Size()}
	if entries, err := os.ReadDir(t.path("sys/kernel/btf")); err == nil {
		b.Modules = max(0, len(entries)-1)
	}
	return b
}

func (t tree) security(v Version, self status) Security {
	const kernel = "proc/sys/kernel/"
	return Security{
		Lockdown:                bracketed(t.line("sys/kernel/security/lockdown")),
		PerfEventParanoid:       t.number(kernel + "perf_event_paranoid"),
		PerfEventMaxSampleRate:  t.number(kernel + "perf_event_max_sample_rate"),
		UnprivilegedBPFDisabled: t.number(kernel + "unprivileged_bpf_disabled"),
		KptrRestrict:            t.number(kernel + "kptr_restrict"),
		BPFJIT:                  t.number("proc/sys/net/core/bpf_jit_enable"),
		KernelSymbols:           t.symbols(),
		SeccompFilter:           self.seccomp,
		MemlockMatters:          v != Version{} && !v.AtLeast(5, 11, 0), // 5.11 charges the memory cgroup instead
		MemlockBytes:            memlock(t.text("proc/self/limits")),
	}
}

// bracketed is the choice in a list like "none [integrity] confidentiality".
func bracketed(list string) string {
	_, after, _ := strings.Cut(list, "[")
	choice, _, ok := strings.Cut(after, "]")
	if !ok {
		return ""
	}
	return choice
}

// memlock is the soft limit in a /proc/PID/limits (proc_pid_limits(5)).
func memlock(limits string) *int64 {
	for line := range strings.Lines(limits) {
		rest, ok := strings.CutPrefix(line, "Max locked memory")
		if !ok {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return nil
		}
		if fields[0] == "unlimited" {
			unlimited := int64(-1)
			return &unlimited
		}
		if n, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
			return &n
		}
	}
	return nil
}

const (
	symbolsShown  = "shown"
	symbolsHidden = "hidden"
	symbolsAbsent = "absent"
)

// symbols tells whether kallsyms shows this process addresses, or zeros.
func (t tree) symbols() string {
	head := t.head("proc/kallsyms", maxSymbols)
	if len(head) == 0 {
		return symbolsAbsent
	}
	lines := bufio.NewScanner(bytes.NewReader(head))
	for lines.Scan() {
		address, _, _ := bytes.Cut(lines.Bytes(), []byte(" "))
		if len(bytes.Trim(address, "0")) > 0 {
			return symbolsShown
		}
	}
	return symbolsHidden
}

// pmu lists the PMUs of CPUs: "cpu" on x86, several on its hybrids,
// "armv8_pmuv3_0" and the like on arm64.
func (t tree) pmu() PMU {
	p := PMU{Devices: []string{}}
	entries, err := os.ReadDir(t.path("sys/bus/event_source/devices"))
	if err != nil {
		entries = []fs.DirEntry{}
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case slices.Contains([]string{"cpu", "cpu_core", "cpu_atom", "cpu_lowpower"}, name), strings.HasPrefix(name, "armv"):
			p.Devices = append(p.Devices, name)
		}
	}
	flags, _, _ := strings.Cut(string(t.head("proc/cpuinfo", 64<<10)), "\n\n") // the first CPU
	p.VirtualMachine = strings.Contains(flags, " hypervisor") || t.exists("sys/hypervisor/type")
	return p
}

// container names what runs this process in a container, by the marks that
// container managers leave.
func (t tree) container() string {
	if name := printable(t.line("run/systemd/container")); name != "" {
		return name
	}
	switch {
	case t.exists("run/secrets/kubernetes.io"), t.exists("var/run/secrets/kubernetes.io"):
		return "kubernetes"
	case t.exists(".dockerenv"):
		return "docker"
	case t.exists("run/.containerenv"):
		return "podman"
	}
	return ""
}

// printable makes a name that others chose fit for a terminal.
func printable(name string) string {
	return strings.Trim(strconv.QuoteToASCII(name[:min(len(name), 64)]), `"`)
}
