package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

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

	PerfEventSupported
	PerfEventRunningRatio
	CacheMissRatio
	CacheMissesPerKiloInstruction
	InstructionsPerCycle
	CPUCyclesTotal
	InstructionsTotal
	BranchesTotal
	BranchMissesTotal
	CacheReferencesTotal
	CacheMissesTotal
	L1DLoadsTotal
	L1DLoadMissesTotal
	L1ILoadsTotal
	L1ILoadMissesTotal
	LLCLoadsTotal
	LLCLoadMissesTotal
	PageFaultsTotal
	ContextSwitchesTotal
	CPUMigrationsTotal
	CountsOtherTotal
	OffCPUSecondsTotal
	RunqueueLatencySeconds
	MemoryUsageBytes
	HeapSizeBytes
	HeapPeakBytes
	AllocBytesTotal
	AllocObjectsTotal
	AllocProbedSecondsTotal
	AllocHitsTotal
	AllocCostSecondsTotal
	AllocDutyRatio
	AllocHitSeconds
	AllocProcesses

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

// prefix is that of every name but those that applications' own exporters use as well. What we measured under such a name
// is told apart by the label source.
const prefix = "ebpfprof_"

func (m Metric) constant() prometheus.Labels {
	if strings.HasPrefix(m.Name, prefix) {
		return nil
	}
	return prometheus.Labels{"source": "ebpf"}
}

// Table returns every metric.
func Table() []Metric { return table[:] }

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
	// histogram is of rows for AddHistogram: to the client library they are of no such type.
	histogram prometheus.ValueType = -1
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

	PerfEventSupported: {"ebpfprof_perf_event_supported", "1 if this machine can count the event, else 0; what needs an event that is not supported is absent.",
		gauge, []string{"event"}},
	PerfEventRunningRatio: {"ebpfprof_perf_event_running_ratio", "Part of the time, in the last window, for which the event had a counter of the processor; below 1, counts are scaled to all of it.",
		gauge, []string{"event"}},
	CacheMissRatio: {"ebpfprof_cache_miss_ratio", "Cache misses by cache references in the last window. level is the cache that the processor's generic events are of: llc on Intel, l2 on AMD, l1d on Arm.",
		gauge, []string{"service", "level"}},
	CacheMissesPerKiloInstruction: {"ebpfprof_cache_misses_per_kilo_instruction", "Cache misses for each 1,000 instructions in the last window; level as in ebpfprof_cache_miss_ratio.",
		gauge, []string{"service", "level"}},
	InstructionsPerCycle: {"ebpfprof_instructions_per_cycle", "Instructions for each cycle of a processor in the last window.",
		gauge, []string{"service"}},
	CPUCyclesTotal:    {"ebpfprof_cpu_cycles_total", "Cycles of processors. Services of all counts as in ebpfprof_profile_samples_total.", counter, []string{"service"}},
	InstructionsTotal: {"ebpfprof_instructions_total", "Instructions.", counter, []string{"service"}},
	BranchesTotal:     {"ebpfprof_branches_total", "Branch instructions.", counter, []string{"service"}},
	BranchMissesTotal: {"ebpfprof_branch_misses_total", "Branches that were predicted wrongly.", counter, []string{"service"}},
	CacheReferencesTotal: {"ebpfprof_cache_references_total", "Accesses to the cache; level as in ebpfprof_cache_miss_ratio.",
		counter, []string{"service", "level"}},
	CacheMissesTotal: {"ebpfprof_cache_misses_total", "Accesses to the cache that missed it; level as in ebpfprof_cache_miss_ratio.",
		counter, []string{"service", "level"}},
	L1DLoadsTotal:        {"ebpfprof_l1d_loads_total", "Loads from the first-level data cache.", counter, []string{"service"}},
	L1DLoadMissesTotal:   {"ebpfprof_l1d_load_misses_total", "Loads that missed the first-level data cache.", counter, []string{"service"}},
	L1ILoadsTotal:        {"ebpfprof_l1i_loads_total", "Fetches from the first-level instruction cache.", counter, []string{"service"}},
	L1ILoadMissesTotal:   {"ebpfprof_l1i_load_misses_total", "Fetches that missed the first-level instruction cache.", counter, []string{"service"}},
	LLCLoadsTotal:        {"ebpfprof_llc_loads_total", "Loads from the last-level cache.", counter, []string{"service"}},
	LLCLoadMissesTotal:   {"ebpfprof_llc_load_misses_total", "Loads that missed the last-level cache.", counter, []string{"service"}},
	PageFaultsTotal:      {"ebpfprof_page_faults_total", "Page faults, by whether they waited for a disk (major) or not (minor).", counter, []string{"service", "kind"}},
	ContextSwitchesTotal: {"ebpfprof_context_switches_total", "Times that a thread left a CPU.", counter, []string{"service"}},
	CPUMigrationsTotal:   {"ebpfprof_cpu_migrations_total", "Times that a thread went to another CPU.", counter, []string{"service"}},
	CountsOtherTotal: {"ebpfprof_counts_other_total", "Slices of CPU time whose counts are service=\"other\", because more processes ran at once than the kernel has room for.",
		counter, nil},
	OffCPUSecondsTotal: {"ebpfprof_offcpu_seconds_total", "Exact time that threads of a service did not run, by what they waited in (interruptible, uninterruptible, io, stopped, runqueue); service as in ebpfprof_profile_samples_total.",
		counter, []string{"service", "state"}},
	RunqueueLatencySeconds: {"ebpfprof_runqueue_latency_seconds", "Waits of a service's threads for a CPU, after a wake-up or when another thread took it.",
		histogram, []string{"service"}},
	AllocBytesTotal: {"ebpfprof_alloc_bytes_total", "Bytes asked of allocators while probes were in place, estimated from samples; divide by ebpfprof_alloc_probed_seconds_total for a rate. Absent where nothing was probed; service as in ebpfprof_profile_samples_total.",
		counter, []string{"service"}},
	AllocObjectsTotal: {"ebpfprof_alloc_objects_total", "Allocations while probes were in place, estimated as ebpfprof_alloc_bytes_total is.",
		counter, []string{"service"}},
	AllocProbedSecondsTotal: {"ebpfprof_alloc_probed_seconds_total", "Time for which probes were in place on the allocators of a service.",
		counter, []string{"service"}},
	AllocHitsTotal: {"ebpfprof_alloc_hits_total", "Calls of allocators that ran into a probe.", counter, []string{"service"}},
	AllocCostSecondsTotal: {"ebpfprof_alloc_cost_seconds_total", "CPU time that probes have cost a service, by their hits and the calibrated cost of one.",
		counter, []string{"service"}},
	AllocDutyRatio: {"ebpfprof_alloc_duty_ratio", "Part of the last window for which probes were in place on the allocators of a service.",
		gauge, []string{"service"}},
	AllocHitSeconds: {"ebpfprof_alloc_hit_seconds", "Cost of one hit of a probe as calibrated at the start, by whether the kernel emulates the instruction under it.",
		gauge, []string{"class"}},
	AllocProcesses: {"ebpfprof_alloc_processes", "Targets by whether their allocations can be sampled: probed (while the budget allows), no_allocator (none is known in what they run), no_room (more than there is room for).",
		gauge, []string{"state"}},

	MemoryUsageBytes: {"memory_usage_bytes", "Resident memory of a service's processes (RSS), read once a window: pages that several processes share count for each; service as in ebpfprof_profile_samples_total.",
		gauge, []string{"service"}},
	HeapSizeBytes: {"heap_size_bytes", "Heap of a service's processes, read once a window: of Go programs the objects in use by the runtime's own sampled profile, as of its last but one collection; of Java what HotSpot's counters say, as of their last update; of all others anonymous memory in RAM (RssAnon), which is heap, stacks and written pages of private files.",
		gauge, []string{"service"}},
	HeapPeakBytes: {"ebpfprof_heap_peak_bytes", "Largest heap_size_bytes of a service at a reading since the daemon started; what came and went between two readings is not seen.",
		gauge, []string{"service"}},

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
