package vm_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/test/vm"
)

func TestVerdict(t *testing.T) {
	ok := fmt.Sprintf(vm.ResultFormat, "guest", 0, 1.5)
	for _, c := range []struct {
		name, log, want string
	}{
		{"good", "booting\r\n" + ok + vm.DoneLine + "\r\n", ""},
		{"boot messages", "kmsg: Spectre V2 : WARNING: Unprivileged eBPF is enabled\n" + ok + vm.DoneLine, ""},
		{"no end", ok, "did not reach its end"},
		{"empty", "", "did not reach its end"},
		{"end within a line", "say " + vm.DoneLine, "did not reach its end"},
		{"exit", fmt.Sprintf(vm.ResultFormat, "guest", 2, 0.0) + vm.DoneLine, "guest exited with 2"},
		{"signal", fmt.Sprintf(vm.ResultFormat, "guest", -1, 0.0) + vm.DoneLine, "guest exited with -1"},
		{"oops", "[    3.1] Oops: int3: 0000 [#1] SMP\n" + ok + vm.DoneLine, "Oops"},
		{"bug", "BUG: kernel NULL pointer dereference\n" + ok + vm.DoneLine, "BUG:"},
		{"panic", "[  4.0] Kernel panic - not syncing: Attempted to kill init!\n", "Kernel panic"},
		{"warning", "kmsg: WARNING: CPU: 1 PID: 77 at kernel/events/core.c:1\n" + ok + vm.DoneLine, "WARNING"},
		{"warning of 7", "kmsg: WARNING: kernel/events/core.c:12 at f+0x1/0x2, CPU#0\n" + ok + vm.DoneLine, "WARNING"},
		{"arm64", "Unable to handle kernel paging request at virtual address\n" + ok + vm.DoneLine, "Unable to handle"},
	} {
		_, err := vm.Verdict(c.log)
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestVerdictResults(t *testing.T) {
	log := fmt.Sprintf(vm.ResultFormat+vm.ResultFormat, "a", 0, 1.0, "b", 3, 2.0) + vm.DoneLine
	got, err := vm.Verdict(log)
	if want := []vm.CommandResult{{Name: "a"}, {Name: "b", Exit: 3}}; !reflect.DeepEqual(got, want) || err == nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestFailedTests(t *testing.T) {
	log := "=== RUN   TestA\n    a_test.go:1: --- FAIL: no\n--- FAIL: TestA (1.20s)\n    --- FAIL: TestA/sub (0.00s)\n" +
		"--- PASS: TestB (0.00s)\n--- FAIL: TestC (0.00s)\n--- FAIL: TestA (0.10s)\nFAIL\n"
	if got := vm.FailedTests(log); !slices.Equal(got, []string{"TestA", "TestC"}) {
		t.Errorf("got %q", got)
	}
	if got := vm.FailedTests(log + "panic: test timed out after 2m\n"); got != nil {
		t.Errorf("after a panic: %q", got)
	}
}

func TestPayload(t *testing.T) {
	want := vm.Payload{Env: []string{"A=b c"}, Commands: []vm.Command{{Name: "x", Argv: []string{"/bin/x", "-y z"}}}}
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := vm.DecodePayload(data); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "[]", `{"commands":[{"name":"x"}]}`} {
		if _, err := vm.DecodePayload([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a payload", bad)
		}
	}
}
