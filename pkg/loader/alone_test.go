package loader

import (
	"testing"

	"github.com/cilium/ebpf/btf"
)

// What this kernel says it does, it does: the programs load with the branch that it is said to take.
func TestKeepsAlone(t *testing.T) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Skipf("needs the kernel's types: %v", err)
	}
	t.Logf("keeps the scheduler off: %t", keepsAlone(spec))
	open(t, Options{Events: []Event{AllocEvent(0)}, Filter: Filter{Kind: FilterProcess}})
	var f *btf.Func
	if spec.TypeByName("bpf_preempt_disable", &f) != nil && keepsAlone(spec) {
		t.Error("a kernel without bpf_preempt_disable is said to keep it off")
	}
}
