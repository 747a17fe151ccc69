package proc

import (
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// seed adds the live files of this machine to the seeds.
func seed(f *testing.F, paths ...string) {
	for _, path := range paths {
		if b, err := os.ReadFile(path); err == nil {
			f.Add(b)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	seed(f, "/proc/self/stat", "/proc/2/stat")
	f.Add([]byte("10 (a) R (b)\nc) S 1 10 10 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 3 0 4242 0 0"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseStat(b)
		if err == nil && (s.pid < 0 || s.ppid < 0 || s.threads < 0 || !strings.Contains(string(b), "("+s.comm+")")) {
			t.Errorf("parseStat(%q) = %+v", b, s)
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	seed(f, "/proc/self/status", "/proc/2/status")
	f.Add([]byte("Tgid:\t10\nNStgid:\t10\t7\t1\nUid:\t1\nCapEff:\tff\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseStatus(b)
		if err == nil && (s.tgid < 0 || len(s.nspid) == 0 || len(s.nspid) > maxPIDLevels) {
			t.Errorf("parseStatus(%q) = %+v", b, s)
		}
	})
}

func FuzzParseCgroups(f *testing.F) {
	seed(f, "/proc/self/cgroup")
	f.Add([]byte("12:cpu,cpuacct:/a:b/c\n0::/../d (deleted)"))
	f.Fuzz(func(t *testing.T, b []byte) {
		cgroups, err := parseCgroups(b)
		for _, cg := range cgroups {
			if cg.Hierarchy < 0 || err == nil && cg.Path != "" && cg.Path[0] != '/' {
				t.Errorf("parseCgroups(%q) = %+v", b, cgroups)
			}
		}
		facts := factsOf(cgroups)
		facts.Executable, facts.Comm = "/bin/x", clean(string(b))
		service, container := facts.Service(), facts.ContainerID
		if clean(service) != service || clean(container) != container || service == "" {
			t.Errorf("Service(%q) = %q, %q", b, service, container)
		}
	})
}

func FuzzParseMountinfo(f *testing.F) {
	seed(f, "/proc/self/mountinfo")
	f.Add([]byte("36 35 98:5 /m\\134x /a\\040b rw master:1 - fuse.ssh  rw,fd=3\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		mounts, _ := parseMountinfo(b)
		for _, m := range cgroupMounts(mounts, []Cgroup{{Hierarchy: 4, Controllers: []string{"memory"}}}) {
			for _, path := range []string{"/", "/a/b", m.Root} {
				if dir, ok := m.dir(path); ok && !strings.HasPrefix(dir, strings.TrimSuffix(m.MountPoint, "/")) {
					t.Errorf("%+v: dir(%q) = %q", m, path, dir)
				}
			}
		}
		servedByUser(mounts, "/a/b")
	})
}

func FuzzContainerID(f *testing.F) {
	for _, path := range []string{
		"/docker/" + someID, "/a.slice/cri-containerd-" + someID + ".scope/x", "/lxc/web", "/machine.slice/machine-a\\x2db.scope",
		"/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-1", "//", "lxc.payload.",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		id, prefix := cutContainer(path)
		if !utf8.ValidString(id) || clean(id) != id || !strings.HasPrefix(path, prefix) || (id != "") != (prefix != "") {
			t.Errorf("cutContainer(%q) = %q, %q", path, id, prefix)
		}
		if again := ContainerID(prefix); again != id {
			t.Errorf("ContainerID(%q) = %q, of its own cgroup %q %q", path, id, prefix, again)
		}
	})
}

func FuzzUnit(f *testing.F) {
	for _, path := range []string{"/system.slice/a.service", `/x@\x2d\xff\x0a.scope`, "/_cgroup.service/b", "/sshd@1-a:1-b:2.service", ".service"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		unit := Unit(path)
		if clean(unit) != unit || (unit != "" && !hasUnitSuffix(unit)) || strings.Contains(unit, "/") {
			t.Errorf("Unit(%q) = %q", path, unit)
		}
		serviceOfUnit(unit)
		nearest(path, []string{unit, path})
	})
}

func FuzzParseCPUList(f *testing.F) {
	f.Add("0-3,5")
	f.Add("0-65535")
	f.Fuzz(func(t *testing.T, s string) {
		cpus, err := parseCPUList(s)
		if err == nil && (!slices.IsSorted(cpus) || len(cpus) > maxCPU || len(slices.Compact(cpus)) != len(cpus)) {
			t.Errorf("parseCPUList(%q) = %v", s, cpus)
		}
	})
}

// FuzzEngineFiles feeds one input to the readers of all engines' files: users can
// write some of them.
func FuzzEngineFiles(f *testing.F) {
	f.Add([]byte(`{"ID":"` + someID + `","Name":"/web"}`))
	f.Add([]byte(`{"annotations":{"io.kubernetes.cri.container-name":"app"},"linux":{"cgroupsPath":"/a"}}`))
	f.Add([]byte(`[{"id":"1","names":["a","k8s_b_c_d_e_0"]},{"names":null}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range append(parseStorage(b), parseDocker(b), parseBundle(b)) {
			if clean(c.name) != c.name || len(c.name) > 3*maxName {
				t.Errorf("name %q of %q is not clean", c.name, b)
			}
			checkPod(t, c.pod)
		}
	})
}

func FuzzParseNamespace(f *testing.F) {
	f.Add("pid:[4026531836]")
	f.Fuzz(func(t *testing.T, link string) {
		if _, err := parseNamespace(link); err == nil && !strings.HasSuffix(link, "]") {
			t.Errorf("parseNamespace(%q) succeeded", link)
		}
	})
}

func FuzzKubernetes(f *testing.F) {
	f.Add("/kubepods/burstable/pod0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0/"+someID, "web-1_shop_cart-"+someID+".log")
	f.Add("/kubepods.slice/kubepods-pod0f1e_2d3c.slice/crio-"+someID+".scope", "shop_web-1_0f1e-2d3c")
	f.Add("/kubepods-pod.slice", "_")
	f.Fuzz(func(t *testing.T, path, name string) {
		uid := podUID(path)
		if strings.Trim(uid, "0123456789abcdef-") != "" || len(uid) > maxPodUID {
			t.Errorf("podUID(%q) = %q", path, uid)
		}
		if pod, ok := podOfLog(name, someID); ok {
			checkPod(t, pod)
		}
		if pod, ok := podOfLogDir(name, uid); ok {
			checkPod(t, pod)
		}
		checkPod(t, podOfName(name))
		facts := factsOf([]Cgroup{{Path: path}})
		facts.Comm = clean(name)
		if service := facts.Service(); service == "" || clean(service) != service || service == "unknown" && clean(name) != service {
			t.Errorf("Service of %q %q = %q", path, name, service)
		}
	})
}

// checkPod: names are those that Kubernetes allows, or all are empty.
func checkPod(t *testing.T, p Pod) {
	t.Helper()
	for _, s := range []string{p.Namespace, p.Name, p.Container} {
		if strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || len(s) > 253 {
			t.Errorf("pod %+v", p)
		}
	}
	if p.Namespace == "" && p.Name+p.Container != "" {
		t.Errorf("pod %+v without a namespace", p)
	}
}
