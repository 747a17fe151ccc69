package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ebpfprof/ebpfprof/pkg/doctor"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/loader/probe"
)

// recordableEvents are the events that `record -e` takes in this version.
func recordableEvents() []string { return loader.EventNames() }

// newDoctorCmd returns `ebpfprof doctor`.
//
// With --json the report is one JSON object; fields are only ever added while
// "schema" stays 1:
//
//	schema         1
//	cpu_profiling  bool: record -e cpu works, possibly limited; the exit code is 0, else 4
//	summary        string: the verdict in a sentence
//	kernel         {release, version, arch, cpus}; version "6.1.192" is the upstream one, or "unknown"
//	btf            {present, bytes, modules}
//	privileges     {uid, initial_user_namespace, capabilities: [{name, held, covered, grantable, need, since, purpose}]};
//	               need is required, recommended, optional or none; covered: held, or implied by one
//	               that is; grantable: in the bounding set
//	security       {lockdown, perf_event_paranoid, perf_event_max_sample_rate, unprivileged_bpf_disabled,
//	               kptr_restrict, bpf_jit_enable, kernel_symbols, seccomp_filter, memlock_matters,
//	               memlock_limit_bytes}; numbers are null and strings "" where unknown; kernel_symbols is
//	               shown, hidden or absent; memlock_limit_bytes is -1 for unlimited
//	pmu            {devices: [name], virtual_machine}
//	cgroup         {version, v2_mount}; version is v1, v2, hybrid or none
//	environment    {initial_pid_namespace, container, init, systemd}
//	probes         [{kind, name, status, count_only, detail, error}]; kind is hook, map, helper, event or
//	               feature; status is ok, missing, denied or unknown
//	commands       [{name, status, problems: [{what, fix}]}]; status is works, limited or fails
//	events         as commands, with planned: true for events that this version does not record
//	warnings       [string]
func newDoctorCmd() *cobra.Command {
	var asJSON bool
	var unwindTarget string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this kernel and these privileges allow, and what to do about what is missing",
		Long: `Doctor tries what the profiler needs of the kernel: it loads and attaches small programs,
opens counters, and reads the settings that matter. Then it says for each command and event
whether it works here, and what to do if it does not.

It exits with 0 if CPU profiling works and with 4 if it does not.`,
		Example: "  sudo ebpfprof doctor\n  sudo ebpfprof doctor --unwind 1234\n  ebpfprof doctor --json | jq '.events[] | select(.status == \"fails\")'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if unwindTarget != "" {
				return doctorUnwind(cmd.OutOrStdout(), unwindTarget, asJSON)
			}
			facts := doctor.Gather("/") // before probes raise the memlock limit
			var probes []doctor.Probe
			for _, r := range probe.Run(cmd.Context(), probe.Options{}) {
				probes = append(probes, doctorProbe(r))
			}
			exe, err := os.Executable()
			if err != nil {
				exe = "" // the report then shows a placeholder
			}
			report := doctor.Diagnose(facts, probes, doctor.Options{Executable: exe, Recordable: recordableEvents()})
			return writeReport(cmd.OutOrStdout(), report, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.Flags().StringVar(&unwindTarget, "unwind", "", "say how well the code of `BINARY|PID` can be unwound, and why not")
	return cmd
}

// doctorProbe converts what the kernel half found out for the doctor.
func doctorProbe(r probe.Result) doctor.Probe {
	p := doctor.Probe{
		Kind: string(r.Kind), Name: r.Name, Status: string(r.Status), CountOnly: r.CountOnly, Detail: r.Detail,
	}
	if r.Err != nil {
		p.Error = r.Err.Error()
	}
	return p
}

// writeReport prints the report and turns its verdict into the exit code.
func writeReport(w io.Writer, report doctor.Report, asJSON bool) error {
	var err error
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = report.WriteText(w, wantColour(w))
	}
	if err != nil {
		return &exitError{code: exitFailed, err: fmt.Errorf("write report: %w", err)}
	}
	if !report.CPUProfiling {
		return &exitError{code: exitUnsupported} // the report has said it
	}
	return nil
}

// wantColour is true for a terminal that shows colours, if the user did not
// ask for none (no-color.org).
func wantColour(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}
