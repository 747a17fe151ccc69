package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/doctor"
	"github.com/ebpfprof/ebpfprof/pkg/loader/probe"
)

func TestDoctorProbe(t *testing.T) {
	got := doctorProbe(probe.Result{Kind: probe.Hook, Name: "fentry", Status: probe.Denied, Detail: "d", Err: syscall.EPERM})
	want := doctor.Probe{Kind: "hook", Name: "fentry", Status: doctor.StatusDenied, Detail: "d", Error: "operation not permitted"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for mine, theirs := range map[string]probe.Status{
		doctor.StatusOK: probe.OK, doctor.StatusMissing: probe.Missing, doctor.StatusDenied: probe.Denied, doctor.StatusUnknown: probe.Unknown,
	} {
		if mine != string(theirs) {
			t.Errorf("status %q is %q to the doctor", theirs, mine)
		}
	}
}

// TestDoctorNeedsAreProbed: an event must not fail for a probe that nobody makes.
func TestDoctorNeedsAreProbed(t *testing.T) {
	var probes []doctor.Probe
	for _, r := range probe.Run(t.Context(), probe.Options{}) {
		p := doctorProbe(r)
		p.Status, p.Error = doctor.StatusOK, ""
		p.CountOnly = false
		probes = append(probes, p)
	}
	report := doctor.Diagnose(doctor.Gather("/"), probes, doctor.Options{})
	for _, v := range report.Events {
		if v.Status == doctor.Fails {
			t.Errorf("-e %s: %+v, though all probes succeed", v.Name, v.Problems)
		}
	}
}

func TestWriteReport(t *testing.T) {
	bad := doctor.Diagnose(doctor.Gather(t.TempDir()), nil, doctor.Options{})
	good := bad
	good.CPUProfiling = true
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		if err := writeReport(&out, good, asJSON); err != nil {
			t.Errorf("CPU profiling works: %v", err)
		}
		var exit *exitError
		if err := writeReport(&out, bad, asJSON); !errors.As(err, &exit) || exit.code != exitUnsupported {
			t.Errorf("CPU profiling does not work: %v, want exit code %d", err, exitUnsupported)
		}
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var exit *exitError
	if err := writeReport(full, good, true); !errors.As(err, &exit) || exit.code != exitFailed || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("full disk: %v, want exit code %d", err, exitFailed)
	}
}

func TestDoctorCommand(t *testing.T) {
	run := func(args ...string) (string, error) {
		cmd := newDoctorCmd()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(append([]string{}, args...)) // nil would mean os.Args
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	text, textErr := run()
	if strings.Contains(text, "\x1b") {
		t.Error("colour without a terminal")
	}
	if first, _, _ := strings.Cut(text, "\n"); !strings.HasPrefix(first, "record -e cpu ") {
		t.Errorf("first line %q", first)
	}
	out, jsonErr := run("--json")
	var report doctor.Report
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&report); err != nil {
		t.Fatal(err)
	}
	if report.CPUProfiling != (textErr == nil) || report.CPUProfiling != (jsonErr == nil) || report.Schema != doctor.Schema {
		t.Errorf("cpu_profiling %v, errors %v, %v", report.CPUProfiling, textErr, jsonErr)
	}
	if report.CPUProfiling != (probe.Privileges() == nil) {
		t.Errorf("cpu_profiling %v, privileges %v", report.CPUProfiling, probe.Privileges())
	}
	if _, err := run("extra"); err == nil {
		t.Error("an argument is accepted")
	}
}

func TestNoColourInFiles(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "report"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if wantColour(f) || wantColour(new(bytes.Buffer)) {
		t.Error("colour in a file")
	}
}
