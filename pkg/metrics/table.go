package metrics

import "github.com/prometheus/client_golang/prometheus"

// An ID is a row of the table.
type ID int

// Rows of the table.
const (
	BuildInfo ID = iota
	Ready

	SamplesTotal
	SamplesLostTotal
	SamplesFilteredTotal
	StacksTotal
	FramesTotal
	WindowsTotal
	SinkDroppedIntervalsTotal
	UnwindTablesTotal
	ProfileSamplesTotal
	ProfileSecondsTotal

	OverheadCPUSecondsTotal
	MemoryBytes

	StoreBytes
	StoreFiles
	StoreSeries
	StorePaused
	StoreWindowsTotal
	StoreDroppedWindowsTotal
	StoreCorruptFilesTotal

	PushRequestsTotal
	PushProfilesTotal
	PushDroppedProfilesTotal
	PushSpoolBytes
	PushSpoolFiles

	HTTPRequestsTotal
	HTTPRefusedTotal
	HTTPCutTotal
	LiveReaders
	LiveEndedTotal
	LiveMissedBatchesTotal
	LiveResetsTotal
	Recordings

	ConfigReloadSuccessful
	ConfigReloadTimestampSeconds

	count
)

// A Metric is one row: what Prometheus is told of it.
type Metric struct {
	Name   string
	Help   string
	Type   prometheus.ValueType
	Labels []string // names; their values are bounded sets, never pid, tid or function
}

// Table returns every metric.
func Table() []Metric { return table[:] }

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

var table = [count]Metric{
	BuildInfo: {"ebpfprof_build_info", "Version of this ebpfprof; the value is 1.", gauge, []string{"version"}},
	Ready:     {"ebpfprof_ready", "1 when the programs are attached, else 0.", gauge, nil},

	SamplesTotal: {"ebpfprof_samples_total", "Events that hit a target, by kind of event and result (delivered, lost).",
		counter, []string{"kind", "result"}},
	SamplesLostTotal: {"ebpfprof_samples_lost_total", "Events that hit a target and are in no profile, by reason.",
		counter, []string{"kind", "reason"}},
	SamplesFilteredTotal: {"ebpfprof_samples_filtered_total", "Events that rules left out: for some of them other samples stand (fraction), the others are of no target (rule).",
		counter, []string{"kind", "reason"}},
	StacksTotal: {"ebpfprof_stacks_total", "Delivered samples by how their user stack ended (complete, or why it is not).",
		counter, []string{"kind", "end"}},
	FramesTotal: {"ebpfprof_frames_total", "Addresses in delivered samples, by whether a function's name was found.",
		counter, []string{"kind", "symbolized"}},
	WindowsTotal: {"ebpfprof_windows_total", "Profiles of one series over one window of time that were built.",
		counter, []string{"kind"}},
	SinkDroppedIntervalsTotal: {"ebpfprof_sink_dropped_intervals_total", "Windows of all services that a part of the daemon (store, push) did not take, because it was slow or failed.",
		counter, []string{"sink"}},
	UnwindTablesTotal: {"ebpfprof_unwind_tables_total", "Unwind tables of object files, by what became of them (compiled, cached, failed, evicted, too_large).",
		counter, []string{"result"}},
	ProfileSamplesTotal: {"ebpfprof_profile_samples_total", "Samples in profiles; services beyond the first some hundred are service=\"other\".",
		counter, []string{"kind", "service"}},
	ProfileSecondsTotal: {"ebpfprof_profile_seconds_total", "Time in profiles of kinds that measure time, such as CPU time for cpu; service as in ebpfprof_profile_samples_total.",
		counter, []string{"kind", "service"}},

	OverheadCPUSecondsTotal: {"ebpfprof_overhead_cpu_seconds_total", "CPU time of the profiler itself: its BPF programs and system calls (kernel), and its process (user).",
		counter, []string{"part"}},
	MemoryBytes: {"ebpfprof_memory_bytes", "Memory of the profiler itself: highest resident set of its process, and its BPF maps.",
		gauge, []string{"part"}},

	StoreBytes:               {"ebpfprof_store_bytes", "Size of the history on disk.", gauge, nil},
	StoreFiles:               {"ebpfprof_store_files", "Files of the history.", gauge, nil},
	StoreSeries:              {"ebpfprof_store_series", "Series in the history.", gauge, nil},
	StorePaused:              {"ebpfprof_store_paused", "1 while nothing is written to the history, such as for lack of room, else 0.", gauge, nil},
	StoreWindowsTotal:        {"ebpfprof_store_windows_total", "Windows written to the history.", counter, nil},
	StoreDroppedWindowsTotal: {"ebpfprof_store_dropped_windows_total", "Windows that are not in the history, by reason.", counter, []string{"reason"}},
	StoreCorruptFilesTotal:   {"ebpfprof_store_corrupt_files_total", "Files of the history that could not be read and were skipped.", counter, nil},

	PushRequestsTotal:        {"ebpfprof_push_requests_total", "Requests to a target of pushes, by outcome.", counter, []string{"target", "outcome"}},
	PushProfilesTotal:        {"ebpfprof_push_profiles_total", "Profiles that a target of pushes took.", counter, []string{"target"}},
	PushDroppedProfilesTotal: {"ebpfprof_push_dropped_profiles_total", "Profiles that never reached a target of pushes, by reason.", counter, []string{"target", "reason"}},
	PushSpoolBytes:           {"ebpfprof_push_spool_bytes", "Size of what waits on disk to be pushed.", gauge, []string{"target"}},
	PushSpoolFiles:           {"ebpfprof_push_spool_files", "Files that wait on disk to be pushed.", gauge, []string{"target"}},

	HTTPRequestsTotal: {"ebpfprof_http_requests_total", "Requests to the daemon's own HTTP server.", counter, []string{"route", "code"}},
	HTTPRefusedTotal: {"ebpfprof_http_refused_total", "Requests refused before they were looked at, by reason (host, origin, body, busy).",
		counter, []string{"reason"}},
	HTTPCutTotal: {"ebpfprof_http_cut_total", "Answers that did not reach the client as a whole: it had gone, or took too long.",
		counter, nil},
	LiveReaders: {"ebpfprof_live_readers", "Live streams that are read now.", gauge, nil},
	LiveEndedTotal: {"ebpfprof_live_ended_total", "Live streams that ended, by reason (client, slow, feed, shutdown).",
		counter, []string{"reason"}},
	LiveMissedBatchesTotal: {"ebpfprof_live_missed_batches_total", "Batches of samples that live streams and recordings did not get in time.", counter, nil},
	LiveResetsTotal:        {"ebpfprof_live_resets_total", "Times that a live stream began its dictionary anew because it was full.", counter, nil},
	Recordings:             {"ebpfprof_recordings", "Recordings under /pprof/ that run now.", gauge, nil},

	ConfigReloadSuccessful: {"ebpfprof_config_last_reload_successful", "1 if the configuration was valid when it was last read, else 0.",
		gauge, nil},
	ConfigReloadTimestampSeconds: {"ebpfprof_config_last_reload_success_timestamp_seconds", "When a valid configuration was last read.",
		gauge, nil},
}
