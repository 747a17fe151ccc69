package proc

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseCgroups(t *testing.T) {
	got, err := parseCgroups([]byte("12:cpu,cpuacct:/a:b/c\n9:name=systemd:/\n1::/x\n0::/../d/e (deleted)\n"))
	want := []Cgroup{
		{Hierarchy: 12, Controllers: []string{"cpu", "cpuacct"}, Path: "/a:b/c"},
		{Hierarchy: 9, Controllers: []string{"name=systemd"}, Path: "/"},
		{Hierarchy: 1, Path: "/x"},
		{Path: "/../d/e", Deleted: true},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("parseCgroups = %+v, %v, want %+v", got, err, want)
	}
	for _, in := range []string{"x", "1:", "1:a", "a:b:/c", "-1:b:/c", "1:b:c", "0::/a\n\n"} {
		if got, err := parseCgroups([]byte(in)); err == nil {
			t.Errorf("parseCgroups(%q) = %+v, want an error", in, got)
		}
	}
}

func TestParseMountinfo(t *testing.T) {
	got, err := parseMountinfo([]byte("36 35 98:5 /m\\134x /a\\040b\u2003c rw,noatime master:1 shared:2 - fuse.ss\\040h  rw,fd=3\n"))
	want := []mount{{id: 36, dev: 98<<20 | 5, root: `/m\x`, point: "/a b\u2003c", fstype: "fuse.ss h", superOptions: "rw,fd=3"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("parseMountinfo = %+v, %v, want %+v", got, err, want)
	}
	for _, in := range []string{"x", "36 35 98:0 / / rw", "36 35 98:0 / / rw - ext4", "a 35 98:0 / / rw - ext4 x rw", "1 2 3 / / rw - ext4 x rw"} {
		if got, err := parseMountinfo([]byte(in)); err == nil {
			t.Errorf("parseMountinfo(%q) = %+v, want an error", in, got)
		}
	}
}

func TestCgroupMounts(t *testing.T) {
	f := fixture(t, "hybrid")
	mounts, err := f.CgroupMounts()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range mounts {
		got = append(got, strings.Join(m.Controllers, "+")+" "+strings.TrimPrefix(m.MountPoint, filepath.Dir(f.Proc)))
	}
	want := []string{
		" /sys/fs/cgroup/unified", "cpu+cpuacct /sys/fs/cgroup/cpu,cpuacct", "memory /sys/fs/cgroup/memory",
		"blkio /sys/fs/cgroup/blkio", "blkio /mnt/my blkio", "name=systemd /sys/fs/cgroup/systemd",
	}
	if !slices.Equal(got, want) {
		t.Errorf("CgroupMounts() = %q, want %q", got, want)
	}
}

func TestCgroupMountOfPart(t *testing.T) {
	part := CgroupMount{MountPoint: "/sys/fs/cgroup", Root: "/docker/1"}
	for path, want := range map[string]string{
		"/docker/1": "/sys/fs/cgroup", "/docker/1/a": "/sys/fs/cgroup/a", "/docker/12": "", "/docker": "", "/": "",
	} {
		if got, ok := part.dir(path); got != want || ok != (want != "") {
			t.Errorf("dir(%q) = %q, %v, want %q", path, got, ok, want)
		}
	}
	for dir, want := range map[string]string{"/sys/fs/cgroup": "/docker/1", "/sys/fs/cgroup/a": "/docker/1/a", "/sys/fs/cgroups": "", "/sys": ""} {
		if got, ok := part.path(dir); got != want || ok != (want != "") {
			t.Errorf("path(%q) = %q, %v, want %q", dir, got, ok, want)
		}
	}
}

func TestResolveCgroup(t *testing.T) {
	f := fixture(t, "hybrid")
	cgroups := filepath.Join(f.Sys, "fs/cgroup")
	for _, tt := range []struct{ name, dir, path string }{
		{cgroups + "/unified/job/step", "unified/job/step", "/job/step"},
		{cgroups + "/unified", "unified", "/"},
		{cgroups + "/cpu/job/step/", "cpu,cpuacct/job/step", "/job/step"}, // a symbolic link
		{"/job", "memory/job", "/job"},                                    // processes below, none in version 2
		{"/job/step", "memory/job/step", "/job/step"},                     // memory before cpu
		{"job/step/", "memory/job/step", "/job/step"},
		{"/", "unified", "/"},
		{"cpu:/job/step", "cpu,cpuacct/job/step", "/job/step"},
		{"cpu,cpuacct:job/step", "cpu,cpuacct/job/step", "/job/step"},
		{"unified:/job/step", "unified/job/step", "/job/step"},
		{"0::/job/step", "unified/job/step", "/job/step"},
		{"4:memory:/job", "memory/job", "/job"},
		{"systemd:/system.slice/cron.service", "systemd/system.slice/cron.service", "/system.slice/cron.service"},
		{"name=systemd:/", "systemd", "/"},
		{"/only:cpu", "cpu,cpuacct/only:cpu", "/only:cpu"},
		{"only:cpu", "cpu,cpuacct/only:cpu", "/only:cpu"},
	} {
		ref, err := f.ResolveCgroup(tt.name)
		if err != nil || rel(f, ref) != "sys/fs/cgroup/"+tt.dir || ref.Path != tt.path {
			t.Errorf("ResolveCgroup(%q) = %+v, %v, want %s", tt.name, ref, err, tt.dir)
			continue
		}
		var st unix.Stat_t
		if err := unix.Stat(ref.Dir, &st); err != nil || st.Ino != ref.ID {
			t.Errorf("ResolveCgroup(%q).ID = %d, inode is %d, %v", tt.name, ref.ID, st.Ino, err)
		}
	}
	_, err := f.ResolveCgroup("/no/such")
	mustContain(t, err, `"/no/such"`, "unified/no/such", "memory/no/such", "no such file")
	_, err = f.ResolveCgroup("memory:/only:cpu")
	mustContain(t, err, "memory/only:cpu")
	_, err = f.ResolveCgroup(cgroups)
	mustContain(t, err, "below no cgroup mount")
	_, err = f.ResolveCgroup(cgroups + "/unified/cgroup.procs")
	mustContain(t, err, "not a directory")
	_, err = f.ResolveCgroup("")
	mustContain(t, err, "empty")
	if ref, err := f.ResolveCgroup("/../../etc"); err == nil {
		t.Errorf(`ResolveCgroup("/../../etc") left the hierarchy: %+v`, ref)
	}
}

func TestResolveLegacy(t *testing.T) {
	f := fixture(t, "legacy")
	for name, want := range map[string]string{
		"/system.slice/a.service": "memory/system.slice/a.service",
		"/system.slice/b.service": "systemd/system.slice/b.service",
		"/system.slice/c.service": "cpuset/c.service",
	} {
		ref, err := f.ResolveCgroup(name)
		if err != nil || rel(f, ref) != "sys/fs/cgroup/"+want || ref.Path != name {
			t.Errorf("ResolveCgroup(%q) = %+v, %v, want %s", name, ref, err, want)
		}
	}
	_, err := f.ResolveCgroup("/user.slice")
	mustContain(t, err, "cpuset (holds only /system.slice)")
	for _, unit := range []string{"a", "b"} {
		if ref, err := f.ResolveUnit(unit); err != nil || ref.Hierarchy != 1 || ref.String() != "name=systemd:/system.slice/"+unit+".service" {
			t.Errorf("ResolveUnit(%q) = %v, %v", unit, ref, err)
		}
	}
}

func TestCgroupPIDs(t *testing.T) {
	f := fixture(t, "hybrid")
	ref, err := f.ResolveCgroup("unified:/")
	if err != nil {
		t.Fatal(err)
	}
	if pids, err := f.CgroupPIDs(ref); err != nil || !slices.Equal(pids, []int{1, 50}) {
		t.Errorf("CgroupPIDs = %v, %v, want 1 and 50", pids, err)
	}
}

func TestResolveUnit(t *testing.T) {
	f := fixture(t, "v2")
	for name, want := range map[string]string{
		"nginx":                            "/system.slice/nginx.service", // not the user's, not the container's
		"nginx.service":                    "/system.slice/nginx.service",
		"postgresql":                       "/system.slice/postgresql.service",
		"getty@tty2":                       "/system.slice/system-getty.slice/getty@tty2.service",
		"system-getty":                     "/system.slice/system-getty.slice",
		"system.slice":                     "/system.slice",
		"memory":                           "/system.slice/_memory.service",
		`cryptsetup@luks\x2dhome`:          `/system.slice/system-cryptsetup.slice/cryptsetup@luks\x2dhome.service`,
		"cryptsetup@luks-home.service":     `/system.slice/system-cryptsetup.slice/cryptsetup@luks\x2dhome.service`,
		"user@1000":                        "/user.slice/user-1000.slice/user@1000.service",
		"docker-" + webID(t, f) + ".scope": "/system.slice/docker-" + webID(t, f) + ".scope",
	} {
		if ref, err := f.ResolveUnit(name); err != nil || ref.Path != want || ref.ID == 0 {
			t.Errorf("ResolveUnit(%q) = %+v, %v, want %s", name, ref, err, want)
		}
	}
	_, err := f.ResolveUnit("pipewire")
	mustContain(t, err, "ambiguous", "user-1000.slice", "user-1001.slice")
	_, err = f.ResolveUnit("ngnix")
	mustContain(t, err, "not running", "nginx.service")
	_, err = f.ResolveUnit("getty@")
	mustContain(t, err, "getty@tty1.service", "getty@tty2.service")
	_, err = f.ResolveUnit("qqqqqqqqqqqq")
	mustContain(t, err, "not running", "searched")
	_, err = f.ResolveUnit("/system.slice/nginx.service")
	mustContain(t, err, "path")
	_, err = fixture(t, "engines").ResolveUnit("none")
	mustContain(t, err, "not running")
}

func TestResolveUnitHybrid(t *testing.T) {
	ref, err := fixture(t, "hybrid").ResolveUnit("cron")
	if err != nil || ref.Hierarchy != 9 || !slices.Equal(ref.Controllers, []string{"name=systemd"}) {
		t.Errorf("ResolveUnit = %+v, %v, want the hierarchy in which it has processes", ref, err)
	}
}

func TestUnit(t *testing.T) {
	for path, want := range map[string]string{
		"":                                     "",
		"/":                                    "",
		"/system.slice":                        "",
		"/system.slice/nginx.service":          "nginx.service",
		"/system.slice/nginx.service/worker/1": "nginx.service",
		"/init.scope":                          "",
		"/user.slice/user-0.slice/session-c1.scope":                                     "",
		"/user.slice/user-1000.slice/user@1000.service/init.scope":                      "",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/run-r1.scope":          "run-r1.scope",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/dbus.service":          "dbus.service",
		`/system.slice/system-x.slice/x@a\x2db.service`:                                 "x@a-b.service",
		`/system.slice/x@\xff.service`:                                                  `x@\xff.service`,
		`/system.slice/x@\x2f\x0a.service`:                                              `x@\x2f\x0a.service`,
		"/system.slice/_memory.service":                                                 "memory.service",
		"/system.slice/.service":                                                        "",
		"/a.service/b.socket":                                                           "a.service",
		"/system.slice/docker.service/b\x1b[2J.service":                                 "b\uFFFD[2J.service",
		"/../../system.slice/sshd@0-10.0.0.1:22-10.0.0.2:50001.service":                 "sshd@0-10.0.0.1:22-10.0.0.2:50001.service",
		"/machine.slice/machine-web.scope/payload/system.slice/postgresql@16-m.service": "postgresql@16-m.service",
	} {
		if got := Unit(path); got != want {
			t.Errorf("Unit(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"postgresql.service", "nginx.service", "cron.service", "ngix-exporter.service", "postgresql@16-main.service"}
	if got := nearest("ngnix", names); len(got) == 0 || got[0] != "nginx.service" {
		t.Errorf("nearest(ngnix) = %q", got)
	}
	if got := nearest("postgres", names); !slices.Contains(got, "postgresql.service") || !slices.Contains(got, "postgresql@16-main.service") {
		t.Errorf("nearest(postgres) = %q", got)
	}
	if got := nearest("zzz", names); len(got) != 0 {
		t.Errorf("nearest(zzz) = %q, want none", got)
	}
}
