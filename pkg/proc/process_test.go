package proc

import (
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestProcess(t *testing.T) {
	f := fixture(t, "processes")
	want := Process{PID: 10, PPID: 1, Comm: "a) R (b)\nc", StartTicks: 4242, NSPID: []int{10, 7, 1}, UID: 1000, Threads: 3}
	for _, pid := range []int{10, 12} { // the process and a thread of it
		if got, err := f.Process(pid); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Process(%d) = %+v, %v, want %+v", pid, got, err, want)
		}
	}
	p, err := f.Process(2)
	if err != nil || !p.KernelThread || p.Comm != "kworker/0:1-mm_percpu_wq" || !slices.Equal(p.NSPID, []int{2}) {
		t.Errorf("Process(2) = %+v, %v, want a kernel thread without NStgid", p, err)
	}
	for _, pid := range []int{4711, -1} {
		if _, err := f.Process(pid); !errors.Is(err, ErrNoProcess) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Process(%d): %v, want ErrNoProcess", pid, err)
		}
	}
	if _, err := f.Process(31); err == nil || errors.Is(err, ErrNoProcess) {
		t.Errorf("Process(31): %v, want another error than ErrNoProcess", err)
	}
}

func TestPIDsAndDescendants(t *testing.T) {
	f := fixture(t, "processes")
	pids, err := f.PIDs()
	if want := []int{1, 2, 10, 12, 20, 21, 30, 31}; err != nil || !slices.Equal(pids, want) {
		t.Errorf("PIDs() = %v, %v, want %v", pids, err, want)
	}
	got, err := f.Descendants(12)
	if want := []int{10, 20, 21, 30}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Descendants(12) = %v, %v, want %v", got, err, want)
	}
	got, err = f.Descendants(998, 10, 999)
	if want := []int{10, 20, 21, 30}; !errors.Is(err, ErrNoProcess) || !slices.Equal(got, want) {
		t.Errorf("Descendants(998, 10, 999) = %v, %v, want %v and ErrNoProcess", got, err, want)
	}
	mustContain(t, err, "998", "999")
	if got, err := f.Descendants(); len(got) != 0 || err != nil {
		t.Errorf("Descendants() = %v, %v, want none", got, err)
	}
}

func TestParseStatErrors(t *testing.T) {
	for _, in := range []string{
		"", "1", "1 (a", "1 )a( S 1", "1 (a) S 1 2", "x (a) S 1 1 1 0 -1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
		"1 (a) S 99999999999 1 1 0 -1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "1 (a) SLEEP 1 1 1 0 -1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
	} {
		if s, err := parseStat([]byte(in)); err == nil {
			t.Errorf("parseStat(%q) = %+v, want an error", in, s)
		}
	}
}

func TestParseStatusErrors(t *testing.T) {
	for _, in := range []string{
		"", "Name:\tx\n", "Tgid:\t-1\n", "Tgid:\t1\nUid:\tx\n", "Tgid:\t1\nCapEff:\tzz\n",
		"Tgid:\t1\nNStgid:" + strings.Repeat("\t1", maxPIDLevels+1) + "\n",
	} {
		if s, err := parseStatus([]byte(in)); err == nil {
			t.Errorf("parseStatus(%q) = %+v, want an error", in, s)
		}
	}
}

func TestCapabilities(t *testing.T) {
	f := fixture(t, "processes")
	set, err := f.Capabilities(10)
	if err != nil || !set.Has(CapBPF) || !set.Has(CapPerfmon) || set.Has(CapSysAdmin) {
		t.Errorf("Capabilities(10) = %v, %v, want CAP_PERFMON and CAP_BPF", set.List(), err)
	}
	if list := set.List(); !slices.Equal(list, []Capability{CapPerfmon, CapBPF}) {
		t.Errorf("List() = %v", list)
	}
	for c, want := range map[Capability]string{
		0: "CAP_CHOWN", CapSysPtrace: "CAP_SYS_PTRACE", CapSysAdmin: "CAP_SYS_ADMIN", CapSyslog: "CAP_SYSLOG",
		CapDACReadSearch: "CAP_DAC_READ_SEARCH", CapSysResource: "CAP_SYS_RESOURCE", CapPerfmon: "CAP_PERFMON",
		CapBPF: "CAP_BPF", CapCheckpointRestore: "CAP_CHECKPOINT_RESTORE", CapIPCLock: "CAP_IPC_LOCK",
		CapSysModule: "CAP_SYS_MODULE", CapKill: "CAP_KILL", 41: "CAP_41", 200: "CAP_200",
	} {
		if c.String() != want {
			t.Errorf("Capability(%d) = %s, want %s", uint8(c), c, want)
		}
	}
}

func TestPIDNamespaceOfFixture(t *testing.T) {
	inode, level, err := fixture(t, "processes").PIDNamespace()
	if inode != 4026532999 || level != 2 || err != nil {
		t.Errorf("PIDNamespace() = %d, %d, %v, want 4026532999, 2", inode, level, err)
	}
	for _, link := range []string{"", "pid:", "pid:[", "pid:[]", "pid:[x]", "/usr/bin/sleep"} {
		if n, err := parseNamespace(link); err == nil {
			t.Errorf("parseNamespace(%q) = %d, want an error", link, n)
		}
	}
}

func TestOnlineCPUs(t *testing.T) {
	cpus, err := fixture(t, "processes").OnlineCPUs()
	if want := []int{0, 1, 2, 5, 7, 8}; err != nil || !slices.Equal(cpus, want) {
		t.Errorf("OnlineCPUs() = %v, %v, want %v", cpus, err, want)
	}
	for _, in := range []string{"x", "-1", "1-", "3-1", "0-3,2", "0,0", "0-99999999", "1,,2", "0-18446744073709551615"} {
		if cpus, err := parseCPUList(in); err == nil {
			t.Errorf("parseCPUList(%q) = %v, want an error", in, cpus)
		}
	}
}
