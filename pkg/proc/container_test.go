package proc

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const someID = "4f5ed1c5e8a7b9dd0c1e2f3a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e"

// webID is the ID of the container of the fixture v2.
func webID(t *testing.T, f FS) string {
	t.Helper()
	cgroups, err := f.Cgroups(900)
	if err != nil {
		t.Fatal(err)
	}
	return ContainerID(cgroups[0].Path)
}

func TestContainerID(t *testing.T) {
	other := strings.Repeat("0123456789abcdef", 4)
	task := other[:32]
	for path, want := range map[string]string{
		"":                                  "",
		"/":                                 "",
		"/system.slice/cron.service":        "",
		"/process_api/" + task:              "",
		"/docker/" + someID:                 someID,
		"/docker/" + someID + "/init.scope": someID,
		"/system.slice/docker-" + someID + ".scope":                                       someID,
		"/../docker-" + someID + ".scope/system.slice/a.service":                          someID,
		"/user.slice/user-1.slice/user@1.service/user.slice/nerdctl-" + someID + ".scope": someID,
		"/default/" + someID:                     someID,
		"/docker/" + other + "/docker/" + someID: someID, // in Docker in Docker
		"/kubepods/burstable/pod0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0/" + someID:                                           someID,
		"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod0f1e.slice/cri-containerd-" + someID + ".scope": someID,
		"/kubepods.slice/kubepods-pod0f1e.slice/crio-" + someID + ".scope/container":                                      someID,
		"/kubepods.slice/kubepods-pod0f1e.slice/docker-" + someID + ".scope":                                              someID,
		"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0f1e2d3c_4b5a.slice":                              "",
		"/system.slice/containerd.service/kubepods-burstable-pod0f1e.slice:cri-containerd:" + someID:                      someID,
		"/kubelet/kubepods/pod0f1e/" + someID:                                                                             someID,
		"/machine.slice/libpod-" + someID + ".scope":                                                                      someID,
		"/machine.slice/libpod-" + someID + ".scope/container":                                                            someID,
		"/libpod_parent/libpod-" + someID:                                                                                 someID,
		"/machine.slice/libpod-conmon-" + someID + ".scope":                                                               "",
		"/machine.slice/crio-conmon-" + someID + ".scope":                                                                 "",
		"/libpod_parent/libpod-conmon-" + someID:                                                                          "",
		"/machine.slice/machine-libpod_pod_" + other + ".slice/libpod-" + someID + ".scope":                               someID,
		"/ecs/" + task + "/" + someID:                                                                                     someID,
		"/ecs/" + task + "/" + task + "-1234":                                                                             task + "-1234",
		"/ecs/" + task + "/" + task + "-12x":                                                                              "",
		"/lxc/web1":                                                                                                       "web1",
		"/lxc/101/ns/system.slice/cron.service":                                                                           "101",
		"/lxc.payload.web1/system.slice/x.service":                                                                        "web1",
		"/lxc.payload/web1":                                       "web1",
		"/lxc.monitor.web1":                                       "",
		"/lxc.payload.web1/docker/" + someID:                      someID,
		"/machine.slice/machine-web1.scope":                       "web1",
		`/machine.slice/machine-my\x2dweb.scope/payload`:          "my-web",
		`/machine.slice/machine-qemu\x2d1\x2dvm.scope/libvirt`:    "",
		"/machine.slice/systemd-nspawn@web1.service/payload/init": "web1",
		"/docker/" + strings.ToUpper(someID):                      "",
		"/docker/" + someID[1:]:                                   "",
		"/x" + someID:                                             "",
		"/docker//" + someID + "/":                                someID,
	} {
		if got := ContainerID(path); got != want {
			t.Errorf("ContainerID(%q) = %q, want %q", path, got, want)
		}
	}
}

func hexID(prefix string) string { return prefix + strings.Repeat("0", idLength-len(prefix)) }

func TestResolveContainer(t *testing.T) {
	f := fixture(t, "engines")
	kube := "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod%d.slice/cri-containerd-%s.scope"
	pod1, pod2 := fmt.Sprintf(kube, 1, hexID("c0de01")), fmt.Sprintf(kube, 2, hexID("c0de02"))
	crio := "kubepods.slice/kubepods-pod3.slice/crio-" + hexID("c10001") + ".scope"
	shop := "machine.slice/libpod-" + hexID("b0d001") + ".scope"
	blog := "user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + hexID("b0d002") + ".scope"
	for name, want := range map[string][]string{
		hexID("c0de01"): {pod1},
		"c0de01":        {pod1},
		"c0de02":        {pod2},
		"app":           {pod1, pod2}, // in two pods
		"queue":         {crio},
		"c100":          {crio},
		"shop":          {shop}, // not ann's, who claims the name, too
		"blog":          {blog},
		"redis":         {"default/redis"},
		"mail":          {"lxc.payload.mail"},
		"build-root":    {`machine.slice/machine-build\x2droot.scope`},
	} {
		refs, err := f.ResolveContainer(name)
		var got []string
		for _, ref := range refs {
			got = append(got, strings.TrimPrefix(rel(f, ref), "sys/fs/cgroup/"))
			if ref.ID == 0 || "/"+got[len(got)-1] != ref.Path {
				t.Errorf("ResolveContainer(%q): ID or path of %+v is wrong", name, ref)
			}
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("ResolveContainer(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
	for name, want := range map[string][]string{
		"c0de":   {"ambiguous", hexID("c0de01"), hexID("c0de02")},
		"c0":     {"not found"}, // too short
		"ap":     {"not found", "running:"},
		"quueue": {"not found", "queue"},
		"0dd0":   {"not in sight", "outside/docker"},
		"":       {"empty"},
	} {
		_, err := f.ResolveContainer(name)
		mustContain(t, err, want...)
	}
}

func TestResolveContainerDocker(t *testing.T) {
	f := fixture(t, "v2")
	id := webID(t, f)
	for _, name := range []string{"web", id, id[:12], id[:4]} {
		refs, err := f.ResolveContainer(name)
		if err != nil || len(refs) != 1 || refs[0].Path != "/system.slice/docker-"+id+".scope" {
			t.Errorf("ResolveContainer(%q) = %+v, %v", name, refs, err)
		}
	}
	_, err := f.ResolveContainer("batch")
	mustContain(t, err, "known", "feed", "no process")
}

// On a hybrid the path of a container is found in the hierarchy that its processes
// are in and that is mounted: not version 2, nor pids.
func TestResolveContainerHybrid(t *testing.T) {
	f := fixture(t, "hybrid")
	refs, err := f.ResolveContainer("aa01b1")
	if err != nil || len(refs) != 1 || refs[0].Hierarchy != 4 || filepath.Base(refs[0].Path)[:6] != "aa01b1" {
		t.Errorf("ResolveContainer(aa01b1) = %+v, %v, want memory", refs, err)
	}
	refs, err = f.ResolveContainer("101")
	if err != nil || len(refs) != 1 || refs[0].Hierarchy != 2 || refs[0].Path != "/lxc/101" {
		t.Errorf("ResolveContainer(101) = %+v, %v, want cpu", refs, err)
	}
	_, err = f.ResolveContainer("aa01ffff")
	mustContain(t, err, "not mounted")
}

func TestContainerName(t *testing.T) {
	f := fixture(t, "engines")
	for id, want := range map[string]string{
		hexID("c0de01"): "app", hexID("c10001"): "queue", hexID("b0d001"): "shop", hexID("b0d002"): "",
		"mail": "mail", "": "",
	} {
		if got := f.ContainerName(id); got != want {
			t.Errorf("ContainerName(%q) = %q, want %q", id, got, want)
		}
	}
	v2 := fixture(t, "v2")
	if got := v2.ContainerName(webID(t, v2)); got != "web" {
		t.Errorf("ContainerName = %q, want web", got)
	}
}
