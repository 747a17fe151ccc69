package loader

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestParseKernelName(t *testing.T) {
	for s, want := range map[string][2]string{
		"do_syscall_64+0x5c/0x90":                    {"do_syscall_64", ""},
		"ext4_map_blocks+0x1/0x600 [ext4]":           {"ext4_map_blocks", "ext4"},
		"f+0x0/0x4 [mod 0123abcd]":                   {"f", "mod"},
		"bpf_prog_0123456789abcdef_x+0x3/0x9 [bpf]":  {"bpf_prog_0123456789abcdef_x", "bpf"},
		"0xffffffffc0000000":                         {"", ""},
		"":                                           {"", ""},
		"finish_task_switch.isra.0+0x90/0x2d0\x00xx": {"finish_task_switch.isra.0", ""},
	} {
		if name, module := parseKernelName([]byte(s)); name != want[0] || module != want[1] {
			t.Errorf("parseKernelName(%q) = %q, %q, want %q", s, name, module, want)
		}
	}
}

func FuzzParseKernelName(f *testing.F) {
	f.Add([]byte("do_syscall_64+0x5c/0x90 [m]\x00"))
	f.Fuzz(func(_ *testing.T, b []byte) { parseKernelName(b) })
}

// The names are those of /proc/kallsyms, at more addresses than the table has room for.
func TestKernelNames(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: loads a BPF program")
	}
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := map[uint64]map[string]bool{}
	var addrs []uint64
	for in := bufio.NewScanner(f); in.Scan() && len(addrs) < 20000; {
		fields := strings.Fields(in.Text())
		addr, err := strconv.ParseUint(fields[0], 16, 64)
		if err != nil || addr == 0 || !strings.Contains("tT", fields[1]) {
			continue
		}
		if at[addr] == nil {
			at[addr] = map[string]bool{}
			addrs = append(addrs, addr)
		}
		at[addr][fields[2]] = true
	}
	if len(addrs) < 1000 {
		t.Skipf("/proc/kallsyms shows %d addresses", len(addrs))
	}
	var some []uint64
	for i := 0; i < len(addrs); i += len(addrs) / 700 {
		some = append(some, addrs[i])
	}
	namer, err := OpenKernelNamer()
	if err != nil {
		t.Fatal(err)
	}
	defer namer.Close()
	names, modules, err := namer.Names(append(some, 0x1000))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != len(some)+1 || len(modules) != len(names) {
		t.Fatalf("%d names and %d modules of %d addresses", len(names), len(modules), len(some)+1)
	}
	if last := names[len(some)]; last != "" {
		t.Errorf("a user address is called %q", last)
	}
	for i, addr := range some {
		if !at[addr][names[i]] {
			t.Errorf("%#x is called %q, want one of %v", addr, names[i], at[addr])
		}
	}
}

func BenchmarkKernelNames(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("needs root: loads a BPF program")
	}
	addrs := make([]uint64, 1000)
	for i := range addrs {
		addrs[i] = 0xffffffff81000000 + uint64(i)*4096
	}
	namer, err := OpenKernelNamer()
	if err != nil {
		b.Fatal(err)
	}
	defer namer.Close()
	for b.Loop() {
		if _, _, err := namer.Names(addrs); err != nil {
			b.Fatal(err)
		}
	}
}
