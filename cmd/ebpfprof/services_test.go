package main

import (
	"os"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// This process, without rules, with a rule, and left out.
func TestServiceIdentifier(t *testing.T) {
	fs, pid := proc.FS{}, os.Getpid()
	p, err := fs.Process(pid)
	if err != nil {
		t.Fatal(err)
	}
	rules := func(text string) *serviceIdentifier {
		t.Helper()
		c, err := config.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r, err := serviceRules(c)
		if err != nil {
			t.Fatal(err)
		}
		return newServiceIdentifier(fs, r)
	}
	i := rules("")
	own, _ := fs.Service(pid)
	if id := i.identity(pid, p.StartTicks); !id.OK || id.Service != own || id.Service == "" || id.Fraction != 1 {
		t.Errorf("without rules: %+v, want %q", id, own)
	}
	if id := i.identity(pid, p.StartTicks+1); id.OK {
		t.Errorf("another process of the same number: %+v", id)
	}
	i.rules.Store(rules("services:\n- match: {executable: '(ebpfprof)[.]test$'}\n  name: 'our-$1'\n  sample: 0.5\n").rules.Load())
	if id := i.identity(pid, p.StartTicks); !id.OK || id.Service != "our-ebpfprof" || id.Fraction != 0.5 {
		t.Errorf("with a rule: %+v, %t", id, id.OK)
	}
	i.rules.Store(rules("relabel_configs:\n- {action: drop, source_labels: [__meta_process_comm], regex: 'ebpfprof.*'}\n").rules.Load())
	if id := i.identity(pid, p.StartTicks); !id.OK || !id.Drop {
		t.Errorf("dropped: %+v, %t", id, id.OK)
	}
}
