package loader

import "github.com/cilium/ebpf/btf"

// keepsAlone reports whether a program may keep the scheduler off while it calls global functions, as our walker is one:
// bpf_preempt_disable came with 6.10, but until e2d8f560d177 (6.15) the verifier refused such calls. That commit made it
// note of each function whether it may sleep.
func keepsAlone(spec *btf.Spec) bool {
	var f *btf.Func
	var info *btf.Struct
	if spec.TypeByName("bpf_preempt_disable", &f) != nil || spec.TypeByName("bpf_subprog_info", &info) != nil {
		return false
	}
	for _, m := range info.Members {
		if m.Name == "might_sleep" {
			return true
		}
	}
	return false
}
