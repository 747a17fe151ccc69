package proc

import "testing"

func cgroupsOf(t *testing.T, lines string) []Cgroup {
	t.Helper()
	cgroups, err := parseCgroups([]byte(lines))
	if err != nil {
		t.Fatal(err)
	}
	return cgroups
}

func TestService(t *testing.T) {
	for _, tt := range []struct{ cgroups, exe, comm, service, container string }{
		{"0::/docker/" + someID, "/bin/x", "x", someID[:12], someID},
		{"4:memory:/docker/" + someID + "\n0::/system.slice/a.service", "/bin/x", "x", someID[:12], someID},
		{"0::/lxc.payload.web1/system.slice/a.service", "/bin/x", "x", "web1", "web1"},
		{"0::/system.slice/nginx.service", "/usr/sbin/nginx", "nginx", "nginx", ""},
		{"9:name=systemd:/system.slice/a.service\n4:memory:/system.slice/b.service\n0::/", "/x", "x", "a", ""},
		{"0::/system.slice/postgresql@16-main.service", "/x", "x", "postgresql@16-main", ""},
		{"0::/system.slice/system-sshd.slice/sshd@3-10.0.0.1:22-10.0.0.2:50001.service", "/x", "x", "sshd", ""},
		{"0::/system.slice/systemd-coredump@12-345-0.service", "/x", "x", "systemd-coredump", ""},
		{"0::/system.slice/system-dbus.slice/dbus-:1.15-org.bluez.obex@0.service", "/usr/lib/obexd", "x", "obexd", ""},
		{`0::/machine.slice/machine-qemu\x2d12\x2dmail\x2d2.scope/libvirt/vcpu0`, "/usr/bin/qemu", "x", "mail-2", ""},
		{"0::/user.slice/user-1000.slice/session-4.scope", "/usr/bin/vim", "vim", "vim", ""},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-vim-77.scope", "/usr/bin/vim", "vim", "vim", ""},
		{"0::/system.slice/run-u12.service", "/opt/job", "j", "job", ""},
		{"0::/system.slice/job.scope", "/opt/x", "x", "job", ""},
		{"0::/machine.slice/libpod-conmon-" + someID + ".scope", "/usr/bin/conmon", "conmon", "conmon", ""},
		// The unit that a container was started by names it; one that runs containers for others does not.
		{"0::/system.slice/web.service/libpod-payload-" + someID, "/x", "x", "web", someID},
		{"0::/system.slice/containerd.service/kubepods-burstable-pod0f1e.slice:cri-containerd:" + someID, "/x", "x", someID[:12], someID},
		{"0::/system.slice/snap.docker.dockerd.service/docker/" + someID, "/x", "x", someID[:12], someID},
		{"0::/system.slice/docker-" + someID + ".scope/docker/" + someID, "/x", "x", someID[:12], someID},
		{"0::/", "/usr/bin/python3.11 (deleted)", "python", "python3.11", ""},
		{"0::/", "/memfd:runc_cloned:/proc/self/exe (deleted)", "runc", "runc", ""},
		{"0::/", "", "a)\n\xffb", "a)\uFFFD\uFFFDb", ""},
		{"0::/", "/", "x", "x", ""},
		{"0::/", "", "", "[nameless]", ""},
		{"0::/", "", " ", "[nameless]", ""},
		{"", "/opt/\xff\x1b", "x", "\uFFFD\uFFFD", ""},
	} {
		facts := factsOf(cgroupsOf(t, tt.cgroups))
		facts.Executable, facts.Comm = executablePath(tt.exe), clean(tt.comm)
		if got := facts.Service(); got != tt.service || facts.ContainerID != tt.container {
			t.Errorf("Service(%q, %q, %q) = %q, %q, want %q, %q", tt.cgroups, tt.exe, tt.comm, got, facts.ContainerID, tt.service, tt.container)
		}
	}
}

// Each source of a name yields to those before it.
func TestServiceOrder(t *testing.T) {
	f := Facts{
		Comm: "comm", Executable: "/opt/exe", ContainerID: someID, ContainerName: "name", Unit: "unit.service",
		Pod: Pod{Namespace: "ns", Name: "pod-1", UID: "0f1e", Container: "main"},
	}
	for _, step := range []struct {
		want string
		drop func()
	}{
		{"ns/main", func() { f.Pod.Container = "" }}, {"ns/exe", func() { f.Pod = Pod{} }}, {"unit", func() { f.Unit = "" }},
		{"name", func() { f.ContainerName = "" }}, {someID[:12], func() { f.ContainerID = "" }}, {"exe", func() { f.Executable = "" }},
		{"comm", func() { f.Comm = "" }}, {"[nameless]", func() { f.KernelThread = true }}, {"[kernel]", func() {}},
	} {
		if got := f.Service(); got != step.want {
			t.Errorf("Service of %+v = %q, want %q", f, got, step.want)
		}
		step.drop()
	}
}
