package proc

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Tests in this file ask the running kernel; most need root, to make cgroups and
// namespaces.

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// start runs a program until the test ends and waits until it has executed what
// its command line says.
func start(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	return startCmd(t, cmd)
}

func startCmd(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	// Pdeathsig is about the parent's thread.
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	return cmd
}

func kill(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// eventually waits for something that another process does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// copyOf copies a program and waits for no one: the copy is closed before it runs.
func copyOf(t *testing.T, program, to string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestLiveProcess(t *testing.T) {
	comm := "a) (b\nc\xff"
	cmd := start(t, copyOf(t, "sleep", filepath.Join(t.TempDir(), comm)), "60")
	var p Process
	eventually(t, "exec", func() bool {
		var err error
		p, err = FS{}.Process(cmd.Process.Pid)
		return err == nil && p.Comm == comm
	})
	if p.PID != cmd.Process.Pid || p.PPID != os.Getpid() || p.UID != uint32(os.Getuid()) || p.Threads != 1 || p.KernelThread {
		t.Errorf("Process = %+v", p)
	}
	if self, err := (FS{}).Process(0); err != nil || self.PID != os.Getpid() || p.StartTicks < self.StartTicks {
		t.Errorf("Process(0) = %+v, %v, child started at %d", self, err, p.StartTicks)
	}
	if pids, err := (FS{}).PIDs(); err != nil || !slices.IsSorted(pids) || !slices.Contains(pids, p.PID) {
		t.Errorf("PIDs() = %v, %v, want %d among them", pids, err, p.PID)
	}
	kill(cmd)
	if service, container := (FS{}).Service(p.PID); service != "" || container != "" {
		t.Errorf("Service of a dead process = %q, %q", service, container)
	}
}

func TestLiveThread(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	tids := make(chan int)
	thread := func() {
		runtime.LockOSThread() // not unlocked: the thread ends
		tids <- unix.Gettid()
		<-done
	}
	go thread()
	tid := <-tids
	if tid == os.Getpid() { // it has the first thread, and keeps it
		go thread()
		tid = <-tids
	}
	if p, err := (FS{}).Process(tid); err != nil || tid == os.Getpid() || p.PID != os.Getpid() || p.Threads < 2 {
		t.Errorf("Process(%d) = %+v, %v, want process %d", tid, p, err, os.Getpid())
	}
}

func TestLiveKernelThread(t *testing.T) {
	comm, err := os.ReadFile("/proc/2/comm")
	if string(comm) != "kthreadd\n" {
		t.Skipf("the host's kernel threads are not in sight (%q, %v)", comm, err)
	}
	p, err := FS{}.Process(2)
	if service, _ := (FS{}).Service(2); err != nil || !p.KernelThread || service != "[kernel]" {
		t.Errorf("Process(2) = %+v, %v, service %q", p, err, service)
	}
}

func TestLiveDescendants(t *testing.T) {
	cmd := start(t, "sh", "-c", "sh -c 'sleep 61 & wait' & sleep 62 & wait")
	var pids []int
	eventually(t, "three children", func() bool {
		var err error
		pids, err = FS{}.Descendants(cmd.Process.Pid)
		return err == nil && len(pids) == 4
	})
	t.Cleanup(func() {
		for _, pid := range pids[1:] {
			unix.Kill(pid, unix.SIGKILL)
		}
	})
	for _, pid := range pids[1:] {
		if p, err := (FS{}).Process(pid); err != nil || !slices.Contains(pids, p.PPID) {
			t.Errorf("descendant %d has parent %d, %v, not among %v", pid, p.PPID, err, pids)
		}
	}
}

func TestLiveCapabilities(t *testing.T) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	want := CapabilitySet(data[1].Effective)<<32 | CapabilitySet(data[0].Effective)
	if got, err := (FS{}).Capabilities(0); err != nil || got != want {
		t.Errorf("Capabilities(0) = %v, %v, capget says %v", got.List(), err, want.List())
	}
}

func TestLiveCPUs(t *testing.T) {
	out, err := exec.Command("getconf", "_NPROCESSORS_ONLN").Output()
	if err != nil {
		t.Skip("no getconf:", err)
	}
	want, _ := strconv.Atoi(strings.TrimSpace(string(out)))
	if cpus, err := (FS{}).OnlineCPUs(); err != nil || len(cpus) != want {
		t.Errorf("OnlineCPUs() = %v, %v, getconf says %d", cpus, err, want)
	}
}

const namespaceHelper = "PROC_TEST_NAMESPACE"

// TestNamespaceHelper is no test but a process that TestLivePIDNamespace runs.
func TestNamespaceHelper(t *testing.T) {
	if os.Getenv(namespaceHelper) == "" {
		t.Skip("only runs for TestLivePIDNamespace")
	}
	inode, level, err := FS{}.PIDNamespace()
	fmt.Println("namespace:", inode, level, err)
}

func TestLivePIDNamespace(t *testing.T) {
	needRoot(t)
	inode, level, err := FS{}.PIDNamespace()
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &st); err != nil {
		t.Fatal(err)
	}
	if err != nil || inode != st.Ino || (inode == InitPIDNamespace) != (level == 0) {
		t.Errorf("PIDNamespace() = %d, %d, %v, inode is %d", inode, level, err, st.Ino)
	}
	unshare := []string{"unshare", "--pid", "--fork", "--kill-child"}
	for _, tt := range []struct {
		name  string
		args  []string
		level int
	}{
		{"host's procfs", unshare, level + 1},
		{"host's procfs, nested", append(slices.Clone(unshare), unshare...), level + 2},
		{"own procfs", append(slices.Clone(unshare), "--mount-proc"), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append(slices.Clone(tt.args[1:]), os.Args[0], "-test.run=^TestNamespaceHelper$", "-test.v")
			cmd := exec.Command(tt.args[0], args...)
			cmd.Env = append(os.Environ(), namespaceHelper+"=1")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var inner uint64
			var innerLevel int
			_, text, _ := strings.Cut(string(out), "namespace: ")
			if _, err := fmt.Sscan(text, &inner, &innerLevel); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
			if inner == inode || inner == 0 || innerLevel != tt.level {
				t.Errorf("inside: %d, %d, want another than %d, %d", inner, innerLevel, inode, tt.level)
			}
		})
	}
}

// The process inside a PID namespace is seen from outside with both its IDs.
func TestLiveNSPID(t *testing.T) {
	needRoot(t)
	cmd := start(t, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sleep", "63")
	var inner Process
	eventually(t, "sleep", func() bool {
		pids, _ := FS{}.Descendants(cmd.Process.Pid)
		if len(pids) == 2 {
			inner, _ = FS{}.Process(pids[1])
		}
		return inner.Comm == "sleep"
	})
	self, err := FS{}.Process(0)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(inner.NSPID); n != len(self.NSPID)+1 || inner.NSPID[0] != inner.PID || inner.NSPID[n-1] != 1 {
		t.Errorf("NSPID = %v, want from %d to 1", inner.NSPID, inner.PID)
	}
	ours, err1 := FS{}.Namespace(0, "pid")
	theirs, err2 := FS{}.Namespace(inner.PID, "pid")
	if err1 != nil || err2 != nil || ours == theirs {
		t.Errorf("PID namespaces %d, %v and %d, %v, want two", ours, err1, theirs, err2)
	}
}

// cgroupIn makes a cgroup of the given path in a hierarchy. At the end of the test
// it is removed, with its parents that had to be made.
func cgroupIn(t *testing.T, m CgroupMount, path string) string {
	t.Helper()
	full := filepath.Join(m.MountPoint, path)
	var made []string // innermost first
	for dir := full; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		made = append(made, dir)
	}
	t.Cleanup(func() {
		for _, dir := range made {
			eventually(t, "removal of "+dir, func() bool {
				err := os.Remove(dir) // busy until the dead are reaped
				return err == nil || os.IsNotExist(err)
			})
		}
	})
	if err := os.MkdirAll(full, 0o755); err != nil {
		t.Skipf("cgroups of hierarchy %d cannot be made: %v", m.Hierarchy, err)
	}
	return full
}

func enter(t *testing.T, dir string, pid int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
		t.Fatal(err)
	}
}

// rootMounts returns one mount of each hierarchy whose root is in sight.
func rootMounts(t *testing.T) (v2, v1 []CgroupMount) {
	t.Helper()
	mounts, err := FS{}.CgroupMounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		switch {
		case m.Root != "/":
		case m.Hierarchy == 0:
			v2 = append(v2, m)
		default:
			v1 = append(v1, m)
		}
	}
	return v2, v1
}

func TestLiveCgroups(t *testing.T) {
	needRoot(t)
	v2, v1 := rootMounts(t)
	for _, m := range append(v2, v1...) {
		t.Run(fmt.Sprintf("%d:%s", m.Hierarchy, strings.Join(m.Controllers, ",")), func(t *testing.T) {
			if slices.Contains(m.Controllers, "cpuset") && m.Hierarchy != 0 {
				t.Skip("a new cpuset of version 1 has no CPUs and takes no processes")
			}
			top := fmt.Sprintf("ebpfproftest-%d", os.Getpid())
			dir := cgroupIn(t, m, "/"+top+"/foo.service/child")
			cmd := start(t, "sleep", "64")
			enter(t, dir, cmd.Process.Pid)

			cgroups, err := FS{}.Cgroups(cmd.Process.Pid)
			i := slices.IndexFunc(cgroups, func(cg Cgroup) bool { return cg.Hierarchy == m.Hierarchy })
			if err != nil || i < 0 || cgroups[i].Path != "/"+top+"/foo.service/child" {
				t.Fatalf("Cgroups = %+v, %v", cgroups, err)
			}
			if service, container := (FS{}).Service(cmd.Process.Pid); service != "foo" || container != "" {
				t.Errorf("Service = %q, %q, want foo", service, container)
			}
			for _, name := range []string{filepath.Dir(dir), "/" + top + "/foo.service", top + "/foo.service/"} {
				ref, err := FS{}.ResolveCgroup(name)
				if err != nil || ref.Hierarchy != m.Hierarchy || ref.Dir != filepath.Dir(dir) || ref.ID != handleID(t, ref.Dir) {
					t.Errorf("ResolveCgroup(%q) = %+v, %v, handle %d", name, ref, err, handleID(t, ref.Dir))
				}
				if pids, err := (FS{}).CgroupPIDs(ref); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
					t.Errorf("CgroupPIDs = %v, %v, want %d", pids, err, cmd.Process.Pid)
				}
			}
			if m.Hierarchy == 0 || slices.Contains(m.Controllers, "name=systemd") {
				if ref, err := (FS{}).ResolveUnit("foo"); err != nil || ref.Dir != filepath.Dir(dir) {
					t.Errorf("ResolveUnit = %+v, %v", ref, err)
				}
			}
		})
	}
}

// handleID is the kernfs node ID as name_to_handle_at(2) gives it: the oracle for
// that an inode number is one.
func handleID(t *testing.T, dir string) uint64 {
	t.Helper()
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	var id uint64
	for i, b := range handle.Bytes()[:8] {
		id |= uint64(b) << (8 * i)
	}
	return id
}

// The same path in version 2, where it is empty, and in memory, where a process is.
func TestLiveHybrid(t *testing.T) {
	needRoot(t)
	v2, v1 := rootMounts(t)
	i := slices.IndexFunc(v1, func(m CgroupMount) bool { return slices.Contains(m.Controllers, "memory") })
	if len(v2) == 0 || i < 0 {
		t.Skip("not a hybrid of cgroup v2 and v1 memory")
	}
	path := fmt.Sprintf("/ebpfproftest-%d/%s", os.Getpid(), hexID("fade"))
	empty, full := cgroupIn(t, v2[0], path), cgroupIn(t, v1[i], path)
	cmd := start(t, "sleep", "65")
	enter(t, full, cmd.Process.Pid)
	if ref, err := (FS{}).ResolveCgroup(path); err != nil || ref.Dir != full {
		t.Errorf("ResolveCgroup = %+v, %v, want %s", ref, err, full)
	}
	if refs, err := (FS{}).ResolveContainer(hexID("fade")[:12]); err != nil || len(refs) != 1 || refs[0].Dir != full {
		t.Errorf("ResolveContainer = %+v, %v, want %s", refs, err, full)
	}
	service, container := FS{}.Service(cmd.Process.Pid)
	if service != hexID("fade")[:12] || container != hexID("fade") {
		t.Errorf("Service = %q, %q", service, container)
	}
	enter(t, empty, cmd.Process.Pid)
	if ref, err := (FS{}).ResolveCgroup(path); err != nil || ref.Dir != empty {
		t.Errorf("ResolveCgroup = %+v, %v, want %s", ref, err, empty)
	}
}

// mappingOf returns the executable mapping of a file as /proc/PID/maps has it, whose
// device and inode number are the kernel inode's own.
func mappingOf(t *testing.T, pid int, suffix string) (id FileID, h FileHint) {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		path := lines.Text()[min(len(lines.Text()), 73):]
		if !strings.HasSuffix(strings.TrimSuffix(path, deletedSuffix), suffix) || !strings.Contains(lines.Text(), " r-xp ") {
			continue
		}
		var perms string
		var offset, major, minor uint64
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s %x %x:%x %d", &h.Start, &h.End, &perms, &offset, &major, &minor, &id.Ino); err != nil {
			t.Fatal(err)
		}
		id.Dev = kernelDev(major, minor)
		h.PID, h.Path = pid, strings.TrimSpace(path)
		return id, h
	}
	t.Fatalf("process %d has no executable mapping of %s", pid, suffix)
	return id, h
}

// The threads of this process are those that the runtime has, this one among them.
func TestThreadIDs(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tids, err := FS{}.ThreadIDs(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(tids, unix.Gettid()) || !slices.Contains(tids, os.Getpid()) || !slices.IsSorted(tids) {
		t.Errorf("threads %v, want %d and %d among them", tids, unix.Gettid(), os.Getpid())
	}
	if _, err := (FS{}).ThreadIDs(1 << 30); !errors.Is(err, ErrNoProcess) {
		t.Errorf("of no process: %v", err)
	}
}
