package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// hierarchy returns where a cgroup hierarchy is mounted: "cgroup2", or a controller of
// version 1. It skips the test if it is not.
func hierarchy(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		// Device, mount point, type, options.
		f := strings.Fields(line)
		v2 := f[2] == "cgroup2" && name == "cgroup2"
		v1 := f[2] == "cgroup" && slices.Contains(strings.Split(f[3], ","), name)
		if v1 || v2 {
			return f[1]
		}
	}
	t.Skipf("needs the cgroup hierarchy %s: not mounted", name)
	return ""
}

// makeCgroup makes a cgroup and those on the way to it below the hierarchy's root.
func makeCgroup(t *testing.T, root, path string) string {
	t.Helper()
	dir := root
	for part := range strings.SplitSeq(path, "/") {
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); os.IsExist(err) {
			continue
		} else if err != nil {
			t.Skipf("needs to make a cgroup: %v", err)
		}
		remove := dir
		t.Cleanup(func() {
			if err := os.Remove(remove); err != nil {
				t.Errorf("remove cgroup: %v", err)
			}
		})
	}
	return dir
}

// enter moves a process into a cgroup, and out of it again before that is removed.
func enter(t *testing.T, dir string, p *target.Process) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(p.PID)), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
}

// own is a cgroup name that no other test run has.
func own(t *testing.T, name string) string {
	return fmt.Sprintf("ebpfprof-e2e-%d-%s", os.Getpid(), name)
}

// TestCgroup: the processes of a cgroup and of those below it, in version 1 and 2.
func TestCgroup(t *testing.T) {
	needRoot(t)
	for _, name := range []string{"cgroup2", "memory"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := hierarchy(t, name)
			group := makeCgroup(t, root, own(t, name))
			nested := makeCgroup(t, root, own(t, name)+"/a/b")
			beside := makeCgroup(t, root, own(t, name+"-beside"))
			path := target.C(t, "split")
			here, below, other := target.Start(t, path, "60"), target.Start(t, path, "60"), target.Start(t, path, "60")
			enter(t, group, here)
			enter(t, nested, below)
			enter(t, beside, other)
			r := recordWhile(t, useCPU(t, here.PID, below.PID, other.PID), "-F", "999", "--cgroup", group)
			r.some(t, "in the group", 150, and(inSplit, pid(here.PID)))
			r.some(t, "below it", 150, and(inSplit, pid(below.PID)))
			r.none(t, "any other", not(pid(here.PID, below.PID)))

			// The name in /proc/PID/cgroup, without a mount point.
			r = recordWhile(t, useCPU(t, below.PID), "-F", "999", "--cgroup", strings.TrimPrefix(nested, root))
			r.some(t, "in the nested group", 150, pid(below.PID))
			r.none(t, "any other", not(pid(below.PID)))
		})
	}
}

// TestCgroupOfLater: a process that comes into the cgroup while we record.
func TestCgroupOfLater(t *testing.T) {
	needRoot(t)
	t.Parallel()
	group := makeCgroup(t, hierarchy(t, "cgroup2"), own(t, "later"))
	p := target.Start(t, target.C(t, "split"), "60")
	r := recordWhile(t, func() {
		enter(t, group, p)
		useCPU(t, p.PID)()
	}, "-F", "999", "--cgroup", group)
	r.some(t, "the newcomer", 150, pid(p.PID))
	r.none(t, "any other", not(pid(p.PID)))
}

// TestUnit: a systemd unit by its name, with and without the suffix. systemd itself is
// not needed: a unit's processes are in the cgroup of its name.
func TestUnit(t *testing.T) {
	needRoot(t)
	for _, name := range []string{"cgroup2", "name=systemd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			unit := own(t, strings.ReplaceAll(name, "=", "-"))
			group := makeCgroup(t, hierarchy(t, name), unit+".service")
			path := target.C(t, "split")
			p := target.Start(t, path, "60")
			enter(t, group, p)
			target.Start(t, path, "60")
			for _, given := range []string{unit, unit + ".service"} {
				r := recordWhile(t, useCPU(t, p.PID), "-F", "999", "--unit", given)
				r.some(t, given, 150, and(inSplit, pid(p.PID)))
				r.none(t, "any other", not(pid(p.PID)))
				if services := r.names("service", every); len(services) != 1 || services[unit]+services[unit+".service"] == 0 {
					t.Errorf("label service: %v, want the unit", services)
				}
			}
		})
	}
}

// TestContainer: a container by its ID, or enough of it, as runtimes name cgroups.
func TestContainer(t *testing.T) {
	needRoot(t)
	t.Parallel()
	id := fmt.Sprintf("ab12%060x", uint64(os.Getpid())<<32|0xc0ffee)
	group := makeCgroup(t, hierarchy(t, "cgroup2"), own(t, "docker")+"/docker/"+id)
	p := target.Start(t, target.C(t, "split"), "60")
	enter(t, group, p)
	r := recordWhile(t, useCPU(t, p.PID), "-F", "999", "--container", id)
	r.some(t, "the container", 150, and(inSplit, pid(p.PID)))
	r.none(t, "any other", not(pid(p.PID)))
	if got := r.names("container", every); got[id] == 0 {
		t.Errorf("label container: %v, want %s", got, id)
	}
}

// TestNoSuchTarget: what is not there is said, by name, before anything is recorded.
func TestNoSuchTarget(t *testing.T) {
	needRoot(t)
	t.Parallel()
	for _, args := range [][]string{
		{"--cgroup", "/no/such/group"},
		{"--unit", "no-such-unit"},
		{"--container", "feedfacefeedface"},
	} {
		f := newFiles(t)
		o := run(t, f.args(append(args, "-d", "1s")...)...)
		if o.exit != 1 || !strings.Contains(o.stderr, args[1]) {
			t.Errorf("%v: exit %d, want 1 and the name: %s", args, o.exit, o.stderr)
		}
		if exists(f.profile) {
			t.Errorf("%v: a profile was written", args)
		}
	}
}
