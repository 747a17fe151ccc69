package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Every process of the machine has the name that it should, and none is unknown.
func TestMachine(t *testing.T) {
	f := fixture(t, "machine")
	identifier := NewIdentifier(f)
	pids, err := f.PIDs()
	if err != nil || len(pids) < 39 {
		t.Fatalf("PIDs() = %v, %v", pids, err)
	}
	for _, pid := range pids {
		want, err := os.ReadFile(filepath.Join(f.Proc, fmt.Sprint(pid), "want"))
		if err != nil {
			t.Fatal(err)
		}
		for name, read := range map[string]func(int) (Facts, error){"read": f.Facts, "cached": identifier.Facts} {
			facts, err := read(pid)
			if err != nil {
				t.Errorf("process %d, %s: %v", pid, name, err)
				continue
			}
			got := strings.TrimSpace(facts.Service() + " " + facts.Pod.Name)
			if got != strings.TrimSpace(string(want)) {
				t.Errorf("process %d, %s: %q, want %q: %+v", pid, name, got, want, facts)
			}
			if s := facts.Service(); s == "" || strings.Contains(s, "unknown") || facts.StartTicks != uint64(1000+pid) {
				t.Errorf("process %d, %s: service %q of %+v", pid, name, s, facts)
			}
		}
		if service, _ := f.Service(pid); service != strings.Fields(string(want))[0] {
			t.Errorf("Service(%d) = %q, want %q", pid, service, want)
		}
	}
	if _, err := identifier.Facts(4711); !errors.Is(err, ErrNoProcess) {
		t.Errorf("Facts(4711): %v, want ErrNoProcess", err)
	}
}

func TestFactsOfPod(t *testing.T) {
	facts, err := fixture(t, "machine").Facts(65)
	want := Pod{Namespace: "pay", Name: "api-5c-2", UID: "99992222-3333-4444-5555-666677778888", Container: "api"}
	if err != nil || facts.Pod != want || facts.Executable != "/api" || facts.Comm != "api" || facts.Unit != "" {
		t.Errorf("Facts = %+v, %v", facts, err)
	}
	if want := "/kubepods/besteffort/pod" + want.UID + "/" + facts.ContainerID; facts.Cgroup != want {
		t.Errorf("Cgroup = %q, want %q", facts.Cgroup, want)
	}
}

// The files of a container are read once while their answer is believed, a container
// that was nameless is asked about again soon, and a name outlives its files.
func TestIdentifierRemembers(t *testing.T) {
	f := fixture(t, "machine")
	identifier, now := NewIdentifier(f), time.Unix(1, 0)
	identifier.now = func() time.Time { return now }
	service := func(pid int) string {
		t.Helper()
		facts, err := identifier.Facts(pid)
		if err != nil {
			t.Fatal(err)
		}
		return facts.Service()
	}
	if got := service(30); got != "web" {
		t.Fatalf("service %q", got)
	}
	nameless := service(32)
	docker := filepath.Join(f.Root, "var/lib/docker/containers")
	id := func(pid int) string { facts, _ := f.Facts(pid); return facts.ContainerID }
	rename := func(pid int, name string) {
		t.Helper()
		dir := filepath.Join(docker, id(pid))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "config.v2.json"), []byte(`{"Name":"/`+name+`"}`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rename(30, "renamed")
	rename(32, "late")
	if a, b := service(31), service(32); a != "web" || b != nameless {
		t.Errorf("at once: %q, %q", a, b)
	}
	now = now.Add(namelessLife)
	if a, b := service(31), service(32); a != "web" || b != "late" {
		t.Errorf("after %s: %q, %q", namelessLife, a, b)
	}
	now = now.Add(nameLife)
	if got := service(31); got != "renamed" {
		t.Errorf("after %s: %q", nameLife, got)
	}
	if err := os.RemoveAll(docker); err != nil {
		t.Fatal(err)
	}
	now = now.Add(nameLife)
	if got := service(31); got != "renamed" {
		t.Errorf("without files: %q", got)
	}
}

func TestIdentifierIsBounded(t *testing.T) {
	identifier := NewIdentifier(FS{Root: t.TempDir()})
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			for n := range maxCached {
				identifier.container(fmt.Sprintf("%d-%d", worker, n), "")
			}
		})
	}
	wait.Wait()
	if n := len(identifier.containers); n > maxCached {
		t.Errorf("%d containers are remembered", n)
	}
}

func TestPodUID(t *testing.T) {
	const uid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
	for path, want := range map[string]string{
		"/kubepods/burstable/pod" + uid + "/" + someID: uid,
		"/kubepods/pod" + uid:                          uid,
		"/kubepods.slice/kubepods-pod" + strings.ReplaceAll(uid, "-", "_") + ".slice/crio-" + someID + ".scope": uid,
		"/a/kubelet-kubepods-besteffort-pod0f1e_2d.slice":                                                       "0f1e-2d",
		"/system.slice/containerd.service/kubepods-burstable-pod0f1e.slice:cri-containerd:" + someID:            "0f1e",
		"/kubepods.slice/kubepods-burstable.slice":                                                              "",
		"/kubepods/podinfo":                       "",
		"/kubepods/pod" + strings.Repeat("a", 65): "",
		"/machine.slice/machine-libpod_pod_" + someID + ".slice/libpod-" + someID + ".scope": "",
		"/libpod/pod" + uid: "",
		"":                  "",
	} {
		if got := podUID(path); got != want {
			t.Errorf("podUID(%q) = %q, want %q", path, got, want)
		}
	}
}

// Names that Kubernetes would not allow are nobody's.
func TestPodNamesAreChecked(t *testing.T) {
	for _, name := range []string{
		"", "_", "a_b", "a_b_c_d-" + someID + ".log", "A_b_c-" + someID + ".log", "a_\x1b_c-" + someID + ".log", "a__c-" + someID + ".log",
		strings.Repeat("a", 254) + "_b_c-" + someID + ".log", "a_b_c-" + someID, "a_b_c" + someID + ".log",
	} {
		if pod, ok := podOfLog(name, someID); ok {
			t.Errorf("podOfLog(%q) = %+v", name, pod)
		}
	}
	if pod, ok := podOfLog("a_b_c-"+someID+".log", someID); !ok || pod != (Pod{Namespace: "b", Name: "a", Container: "c"}) {
		t.Errorf("podOfLog = %+v, %t", pod, ok)
	}
	if pod := podOfName("/k8s_POD_a_b_0f1e_0"); pod != (Pod{Namespace: "b", Name: "a"}) {
		t.Errorf("a pause container: %+v", pod)
	}
}
