package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/config"
)

const unitFile = "../packaging/ebpfprof.service"

// directives returns the values of each key of the unit, in order.
func directives(t *testing.T, unit string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for line := range strings.Lines(unit) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			found[key] = append(found[key], value)
		}
	}
	return found
}

// systemd itself finds nothing wrong with the unit.
func TestUnitVerifies(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: ", err)
	}
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(text string) (string, error) {
		file := filepath.Join(t.TempDir(), "ebpfprof.service")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(analyze, "verify", "--man=no", "--recursive-errors=one", file).CombinedOutput()
		return string(out), err
	}
	// The binary is not installed where tests run.
	installed := strings.ReplaceAll(string(unit), "/usr/bin/ebpfprof", "/bin/true")
	if out, err := verify(installed); err != nil || strings.Contains(out, "ebpfprof.service:") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	if out, err := verify(installed + "\n[Service]\nMemoryMaxx=1\nCapabilityBoundingSet=CAP_NONSENSE\n"); err == nil && !strings.Contains(out, "MemoryMaxx") {
		t.Errorf("systemd-analyze accepts anything:\n%s", out)
	}
}

// The unit gives the daemon what it needs, and the directories that are the defaults.
func TestUnitFitsTheDaemon(t *testing.T) {
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	has, c := directives(t, string(unit)), config.Default()
	for key, want := range map[string]string{
		"Type": "notify", "NoNewPrivileges": "yes", "ProtectSystem": "strict",
		"StateDirectory": strings.TrimPrefix(c.Store.Dir, "/var/lib/"),
		"CacheDirectory": strings.TrimPrefix(filepath.Dir(c.Sampling.UnwindCache), "/var/cache/"),
	} {
		if len(has[key]) != 1 || has[key][0] != want {
			t.Errorf("%s=%q, want %q", key, has[key], want)
		}
	}
	if spool := c.Push.Pyroscope.Spool.Dir; !strings.HasPrefix(spool, "/var/lib/"+has["StateDirectory"][0]+"/") {
		t.Errorf("the spool %s is outside StateDirectory", spool)
	}
	for _, capability := range []string{"CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_CHECKPOINT_RESTORE", "CAP_SYSLOG", "CAP_SYS_RESOURCE"} {
		for _, key := range []string{"CapabilityBoundingSet", "AmbientCapabilities"} {
			if len(has[key]) != 1 || !strings.Contains(has[key][0]+" ", capability+" ") {
				t.Errorf("%s lacks %s: %q", key, capability, has[key])
			}
		}
	}
	if strings.Contains(has["CapabilityBoundingSet"][0], "CAP_SYS_ADMIN") {
		t.Error("CAP_SYS_ADMIN is as good as root")
	}
	for _, blinding := range []string{"ProtectProc", "ProcSubset", "ProtectControlGroups", "ProtectKernelTunables", "ProtectKernelLogs", "PrivateUsers", "DynamicUser", "PrivatePIDs"} {
		if has[blinding] != nil {
			t.Errorf("%s would hide what is profiled", blinding)
		}
	}
	for _, command := range has["ExecStart"] {
		for _, flag := range strings.Fields(command) {
			if name, ok := strings.CutPrefix(flag, "--"); ok && name != "config" && !isFlag(name) {
				t.Errorf("ExecStart has --%s, which is no flag", name)
			}
		}
	}
}

func isFlag(name string) bool {
	for _, f := range config.Fields() {
		if f.Flag == name {
			return true
		}
	}
	return false
}
