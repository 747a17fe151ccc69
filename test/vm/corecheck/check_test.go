package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

// kernelWith returns the types of a kernel that has nothing but these.
func kernelWith(t *testing.T, types ...btf.Type) *btf.Spec {
	t.Helper()
	b, err := btf.NewBuilder(types, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// TestCheckFindsEverything: against a kernel without types each relocation and target
// of our objects is a finding, named as in the source.
func TestCheckFindsEverything(t *testing.T) {
	paths, err := filepath.Glob("../../../pkg/loader/*_bpfel.o")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no objects in pkg/loader: %v", err)
	}
	function := &btf.Func{Name: "sched_process_fork", Type: &btf.FuncProto{Return: &btf.Void{}}}
	empty := kernelWith(t, &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}, function)
	for _, path := range paths {
		o, err := open(path)
		if err != nil {
			t.Fatal(err)
		}
		report, err := Check(o.spec, empty)
		if err != nil {
			t.Fatal(err)
		}
		if report.Programs == 0 || report.Relocations == 0 {
			t.Errorf("%s: %+v", o.name, report)
		}
		var all []string
		for _, f := range report.Findings {
			all = append(all, f.String())
			if strings.Contains(f.What, "CORERelocation") {
				t.Errorf("%s: %s is not described", o.name, f)
			}
		}
		text := strings.Join(all, "\n")
		for _, want := range []string{": tracepoint sched_process_fork", "task_struct.", "program type PerfEvent",
			"map type RingBuf", "helper FnProbeReadKernel"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no finding %q in\n%s", o.name, want, text)
			}
		}
	}
}

func TestPath(t *testing.T) {
	integer := &btf.Int{Name: "int", Size: 4}
	inner := &btf.Struct{Name: "inner", Members: []btf.Member{{Name: "x", Type: integer}}}
	outer := &btf.Struct{Name: "outer", Members: []btf.Member{
		{Name: "a", Type: integer},
		{Type: &btf.Union{Members: []btf.Member{{Name: "b", Type: &btf.Typedef{Name: "inner_t", Type: inner}}}}},
		{Name: "c", Type: &btf.Array{Type: inner, Nelems: 4}},
	}}
	enum := &btf.Enum{Name: "kind", Values: []btf.EnumValue{{Name: "ZERO"}, {Name: "ONE", Value: 1}}}
	for _, c := range []struct {
		t        btf.Type
		accessor string
		want     string
	}{
		{outer, "0", "outer"}, {outer, "0:0", "outer.a"}, {outer, "0:1:0:0", "outer.b.x"},
		{outer, "0:2:3:0", "outer.c[3].x"}, {outer, "0:3", ""}, {outer, "0:0:0", ""}, {outer, "0:x", ""},
		{enum, "1", "kind.ONE"}, {enum, "2", ""},
	} {
		if got, ok := path(c.t, c.accessor); got != c.want && ok {
			t.Errorf("%s %s: %q, want %q", c.t, c.accessor, got, c.want)
		} else if ok != (c.want != "") {
			t.Errorf("%s %s: ok = %v", c.t, c.accessor, ok)
		}
	}
}

func TestAllow(t *testing.T) {
	list := []allowance{{"5.10 6.1", "a.b", "why"}, {"", "c.d", "why"}}
	for _, c := range []struct {
		what, series string
		want         int
	}{
		{"a.b (byte_off)", "6.1", 0}, {"a.b (byte_off)", "6.12", -1}, {"a.b (byte_off)", "1", -1},
		{"a.bc (byte_off)", "6.1", -1}, {"c.d", "7", 1}, {"function f", "7", -1},
	} {
		if got := allow(list, Finding{What: c.what}, c.series); got != c.want {
			t.Errorf("%s on %s: %d, want %d", c.what, c.series, got, c.want)
		}
	}
	for _, a := range allowances() {
		if a.reason == "" || a.what == "" {
			t.Errorf("an allowance without a reason or a name: %+v", a)
		}
	}
}
