package probe

import (
	"context"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

func featureChecks() []check {
	plain := func(kind Kind, name, since string, run func() error) check {
		return check{kind, name, func(context.Context) (outcome, error) { return outcome{}, run() }, since}
	}
	mapType := func(name, since string, typ ebpf.MapType) check {
		return plain(Map, name, since, func() error { return tried("create map", features.HaveMapType(typ)) })
	}
	helper := func(name, since string, typ ebpf.ProgramType, fn asm.BuiltinFunc) check {
		return plain(Helper, name, since, func() error { return tried("load program", features.HaveProgramHelper(typ, fn)) })
	}
	return []check{
		{Map, "ringbuf", func(ctx context.Context) (outcome, error) { return outcome{}, pipeRingBuffer(ctx) }, "5.8"},
		mapType("task_storage", "5.11", ebpf.TaskStorage),
		mapType("sk_storage", "5.2", ebpf.SkStorage),
		mapType("array_of_maps", "4.12", ebpf.ArrayOfMaps),
		helper("bpf_loop", "5.17", ebpf.PerfEvent, asm.FnLoop),
		helper("bpf_find_vma", "5.17", ebpf.PerfEvent, asm.FnFindVma),
		helper("bpf_get_current_task_btf", "5.11", ebpf.PerfEvent, asm.FnGetCurrentTaskBtf),
		helper("bpf_probe_read_user", "5.5", ebpf.PerfEvent, asm.FnProbeReadUser),
		helper("bpf_perf_prog_read_value", "4.15", ebpf.PerfEvent, asm.FnPerfProgReadValue),
		helper("bpf_get_attach_cookie", "5.15", ebpf.Kprobe, asm.FnGetAttachCookie),
		{Feature, "tracefs", tracefsReadable, ""},
		plain(Feature, "run_time_stats", "5.8", enableStats),
	}
}

// btfCheck parses the types of the running kernel, which CO-RE needs.
func btfCheck() check {
	return check{Feature, "btf", func(context.Context) (outcome, error) { return outcome{}, haveBTF() }, ""}
}

func haveBTF() error {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return err
	}
	_, err = spec.AnyTypeByName("task_struct")
	return err
}

// enableStats switches on the kernel's own clock for BPF programs for an
// instant. It is how the cost of ours is measured (5.8+, CAP_SYS_ADMIN).
func enableStats() error {
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		return tried("enable run time statistics", err)
	}
	return stats.Close()
}
