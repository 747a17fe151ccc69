package unwind

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// gdbScript stops a process again and again and writes for each thread, one JSON
// object a line: registers, the addresses of gdb's backtrace, and the stack's memory.
const gdbScript = `
import gdb, json, time, random
gdb.execute("set pagination off"); gdb.execute("set confirm off")
gdb.execute("set backtrace past-main on"); gdb.execute("set backtrace past-entry on")
gdb.execute("set backtrace limit 3000"); gdb.execute("set debuginfod enabled off")
gdb.execute("set auto-load off"); gdb.execute("handle all nostop noprint pass")
names = "rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15".split()
out = open(OUT, "w")
for i in range(N):
    gdb.execute("attach %d" % PID)
    inf = gdb.selected_inferior()
    maps = []
    for line in open("/proc/%d/maps" % PID):
        f = line.split(None, 5)
        lo, hi = [int(x, 16) for x in f[0].split("-")]
        maps.append([lo, hi, int(f[2], 16), f[1], f[5].strip() if len(f) > 5 else ""])
    mem = open("/proc/%d/mem" % PID, "rb", 0)
    for th in inf.threads()[:8]:
        th.switch()
        f = gdb.newest_frame()
        regs = [int(f.read_register(n)) & (1 << 64) - 1 for n in names]
        pc, pcs = f.pc(), []
        try:
            while f is not None:
                if f.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME): # no frames of their own
                    pcs.append(f.pc())
                f = f.older()
        except gdb.error as e:
            pass
        # Goroutines have stacks in the heap: take what the thread's stack points to.
        starts = [regs[7]]
        anon = [(lo, hi) for lo, hi, _, perm, name in maps if "w" in perm and (name == "" or "Go" in name)]
        mem.seek(regs[7])
        top = mem.read(1 << 15)
        for v in [regs[6]] + [int.from_bytes(top[i:i + 8], "little") for i in range(0, len(top), 8)]:
            if any(lo <= v < hi for lo, hi in anon) and not any(s - 4096 <= v < s + (1 << 17) for s in starts):
                starts.append(v)
        chunks = {}
        for lo, hi, off, perm, name in maps:
            if "w" not in perm: continue
            areas = [(s, 1 << 20 if s == regs[7] else 1 << 18) for s in starts[:40] if lo <= s < hi]
            if name == "[stack]": areas.append((hi - (1 << 20), 1 << 20))
            for at, n in areas:
                at = max(lo, at - 16384)
                mem.seek(at)
                chunks["%d" % at] = mem.read(min(n, hi - at)).hex()
        out.write(json.dumps(dict(regs=regs, pc=pc, pcs=pcs, maps=maps, mem=chunks)) + "\n")
    gdb.execute("detach")
    time.sleep(random.random() * 0.05)
out.close()
`

type gdbStop struct {
	Regs [16]uint64
	PC   uint64
	PCs  []uint64
	Maps [][5]any
	Mem  map[string]string
}

// gdbStops stops a process n times.
func gdbStops(t *testing.T, pid, n int, yield func(*gdbStop)) {
	t.Helper()
	dir := t.TempDir()
	out, script := filepath.Join(dir, "out"), filepath.Join(dir, "s.py")
	head := fmt.Sprintf("PID, N, OUT = %d, %d, %q\n", pid, n, out)
	if err := os.WriteFile(script, []byte(head+gdbScript), 0o644); err != nil {
		t.Fatal(err)
	}
	msg, err := exec.Command("gdb", "-nx", "-batch", "-x", script).CombinedOutput()
	f, openErr := os.Open(out)
	if err != nil || openErr != nil {
		t.Fatalf("gdb: %v %v\n%s", err, openErr, msg)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 256<<20)
	count := 0
	for sc.Scan() {
		var s gdbStop
		d := json.NewDecoder(bytes.NewReader(sc.Bytes()))
		d.UseNumber()
		if err := d.Decode(&s); err != nil {
			t.Fatal(err)
		}
		yield(&s)
		count++
	}
	if count == 0 {
		t.Fatalf("gdb stopped nothing\n%s", msg)
	}
}

// object is one file of a stopped process with its table.
type object struct {
	file  *image
	table *Table
}

// stacks unwinds stopped processes with tables of their files.
type stacks struct {
	t      *testing.T
	tables map[string]*object
	pid    int
}

func num(v any) uint64 {
	var n uint64
	fmt.Sscan(v.(json.Number).String(), &n)
	return n
}

func (s *stacks) open(name string, lo, hi uint64) (*image, *Table) {
	if m, ok := s.tables[name]; ok {
		return m.file, m.table
	}
	m := &object{}
	s.tables[name] = m
	var data []byte
	var err error
	if name == "[vdso]" {
		data = make([]byte, hi-lo)
		var f *os.File
		if f, err = os.Open(fmt.Sprintf("/proc/%d/mem", s.pid)); err == nil {
			_, err = f.ReadAt(data, int64(lo))
			f.Close()
		}
	} else {
		data, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, nil
	}
	r := bytes.NewReader(data)
	if m.table, err = Compile(r, r.Size(), Options{}); err != nil {
		return nil, nil
	}
	m.file, _ = readImage(r, r.Size())
	return m.file, m.table
}

// rule finds the rule for an address of a process.
func (s *stacks) rule(stop *gdbStop, addr uint64) (Rule, bool) {
	for _, m := range stop.Maps {
		lo, hi, off, name := num(m[0]), num(m[1]), num(m[2]), m[4].(string)
		if addr < lo || addr >= hi || !strings.Contains(m[3].(string), "x") {
			continue
		}
		f, t := s.open(name, lo, hi)
		if t == nil {
			return Rule{}, true
		}
		at := addr - lo + off
		for _, l := range f.loads {
			if at >= l.off && at-l.off < l.filesz {
				return t.Find(l.vaddr + at - l.off), true
			}
		}
		return Rule{}, true
	}
	return Rule{}, false
}

func (stop *gdbStop) memory() Memory {
	type chunk struct {
		at   uint64
		data []byte
	}
	var chunks []chunk
	for k, v := range stop.Mem {
		var at uint64
		fmt.Sscan(k, &at)
		data, _ := hex.DecodeString(v)
		chunks = append(chunks, chunk{at, data})
	}
	return func(addr uint64) (uint64, bool) {
		for _, c := range chunks {
			if addr >= c.at && addr+8 <= c.at+uint64(len(c.data)) {
				return le.Uint64(c.data[addr-c.at:]), true
			}
		}
		return 0, false
	}
}

// unwind returns the addresses of a stack, why it ended, how many frames came
// from the frame pointer, and how many lie before the first change of stacks or
// address without a rule, where gdb goes astray; 0 if all.
func (s *stacks) unwind(stop *gdbStop) (pcs []uint64, end Reason, guessed, first int) {
	regs := Regs{PC: stop.PC, Known: 0xffff, Exact: true}
	copy(regs.R[:], stop.Regs[:])
	mem := stop.memory()
	for len(pcs) < 3000 {
		rule, mapped := s.rule(stop, regs.Lookup())
		if !mapped {
			return pcs, StepNoRule, guessed, first
		}
		pcs = append(pcs, regs.PC)
		if rule.Kind == KindSwitch && first == 0 {
			first = len(pcs)
		}
		next, why := rule.Step(AMD64, regs, mem)
		if why == StepNoRule {
			if guessed++; first == 0 {
				first = len(pcs)
			}
			next, why = StepFramePointer(AMD64, regs, mem)
		}
		if why != StepOK {
			return pcs, why, guessed, first
		}
		regs = next
	}
	return pcs, StepOK, guessed, first
}

const handlerSource = `
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static volatile long n;
__attribute__((noinline)) static void spin(long k) { for (long i = 0; i < k; i++) n += i ^ (n << 1); }
__attribute__((noinline)) static int deeper(int d) { volatile char a[40]; a[d % 40] = d; spin(1000); int r = d ? deeper(d - 1) + a[d % 40] : 0; return r + a[1]; }
static void handler(int s) { char buf[64]; memset(buf, s, 64); deeper(5); spin(4000000); n += buf[n & 63]; }
static int cmp(const void *a, const void *b) { spin(300); return *(int *)a - *(int *)b; }
int main(void) {
	struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
	stack_t st = {.ss_sp = malloc(65536), .ss_size = 65536};
	int v[512];
	if (fork()) for (pid_t p = getppid();; ) { pause(); }
	sigaltstack(&st, 0);
	sigaction(SIGUSR1, &sa, 0);
	sa.sa_flags = 0;
	sigaction(SIGUSR2, &sa, 0);
	for (;;) {
		for (int i = 0; i < 512; i++) v[i] = rand();
		qsort(v, 512, sizeof *v, cmp);
		if (rand() % 2) kill(getpid(), rand() % 2 ? SIGUSR1 : SIGUSR2);
		deeper(900);
	}
}
`

const goSource = `package main
import ("fmt"; "sort"; "strings"; "runtime"; "time"; "math/big")
type node struct{ l, r *node; s string }
//go:noinline
func tree(d int) *node { if d == 0 { return &node{s: fmt.Sprint(d, time.Now())} }; return &node{tree(d-1), tree(d-1), strings.Repeat("x", d)} }
func walk(n *node, f func(*node)) { if n != nil { f(n); walk(n.l, f); walk(n.r, f) } }
func work() { for { n := tree(10); var v []string; walk(n, func(n *node) { v = append(v, n.s) }); sort.Strings(v)
 x := new(big.Int).Exp(big.NewInt(3), big.NewInt(2000), nil); x.Mul(x, x); runtime.Gosched() } }
func main() { go work(); work() }
`

const cgoSource = `package main
/*
#include <stdlib.h>
extern int compareGo(void *, void *);
static volatile long sink;
static int compare(const void *a, const void *b) { for (int i = 0; i < 200; i++) sink += i; return compareGo((void *)a, (void *)b); }
static void sortC(int *v, int n) { qsort(v, n, sizeof *v, compare); }
*/
import "C"
import "unsafe"
//export compareGo
func compareGo(a, b unsafe.Pointer) C.int { s := 0; for i := range 500 { s += i }; return *(*C.int)(a) - *(*C.int)(b) + C.int(s-s) }
//go:noinline
func sortAll(d int, v []C.int) { if d > 0 { sortAll(d-1, v); return }; C.sortC(&v[0], C.int(len(v))) }
func main() { for { v := make([]C.int, 300); for i := range v { v[i] = C.int(i * 7919 % 300) }; sortAll(5, v) } }
`

func TestAgainstGDB(t *testing.T) {
	if _, err := exec.LookPath("gdb"); err != nil {
		t.Skip("needs gdb")
	}
	programs := map[string][]string{
		"c++":          {buildCPP(t)},
		"handler":      {build(t, "h.c", handlerSource, "gcc", "-O2", "-fomit-frame-pointer")},
		"openssl-rsa":  {"openssl", "speed", "-seconds", "60", "rsa2048"},
		"openssl-aes":  {"openssl", "speed", "-seconds", "60", "-evp", "aes-256-gcm"},
		"openssl-ecdh": {"openssl", "speed", "-seconds", "60", "ecdhp256"},
		"perl":         {"perl", "-e", `while(1){my %h; $h{$_ % 97} .= join ",", sort map { sprintf "%x", $_ } 1..50 for 1..200; (join "", values %h) =~ /(a+b*)+c/}`},
		"python":       {"/usr/bin/python3", "-c", "import re,json\nwhile True:\n  json.loads(json.dumps([{str(i):[i]*3} for i in range(200)])); re.sub('(a|b)+','x','abab'*50)"},
		"xz":           {"sh", "-c", "exec xz -9 -c -k /usr/bin/perl /usr/bin/gdb /usr/bin/gdb > /dev/null"},
		"redis":        {"redis-server", "--port", "16399", "--save", ""},
		"bash":         {"bash", "-c", "while :; do x=$(echo a | cat); done"},
		"node":         {"node", "--jitless", "-e", "for (;;) JSON.parse(JSON.stringify([...Array(1000).keys()].map(x => ({x, s: 'y'.repeat(x % 9)}))))"},
		"go-cgo":       {build(t, "c.go", cgoSource, "go", "build")},
		"go":           {build(t, "w.go", goSource, "go", "build")},
	}
	stops := 25
	if testing.Short() {
		stops = 5
	}
	for name, argv := range programs {
		t.Run(name, func(t *testing.T) { againstGDB(t, name, argv, stops) })
	}
}

func againstGDB(t *testing.T, name string, argv []string, stops int) {
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Skipf("needs %s: %v", argv[0], err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	pid := cmd.Process.Pid
	time.Sleep(time.Duration(200+rand.IntN(100)) * time.Millisecond)
	if name == "handler" {
		pid = child(t, pid)
		defer func() {
			p, _ := os.FindProcess(pid)
			p.Kill()
		}()
	}
	s := &stacks{t: t, tables: map[string]*object{}, pid: pid}
	same, total, complete, guesses, frames, partly := 0, 0, 0, 0, 0, 0
	gdbStops(t, pid, stops, func(stop *gdbStop) {
		pcs, end, guessed, first := s.unwind(stop)
		theirs := stop.PCs
		if end == StepComplete && strings.HasPrefix(name, "go") {
			theirs = theirs[:min(len(theirs), len(pcs))] // gdb does not know Go's roots
		}
		if first > 0 {
			partly++
			pcs, theirs = pcs[:first], theirs[:min(len(theirs), first)]
		}
		total++
		frames += len(pcs)
		guesses += guessed
		if end == StepComplete {
			complete++
		}
		if fmt.Sprintf("%x", pcs) == fmt.Sprintf("%x", theirs) {
			same++
		} else {
			t.Logf("end %v, guessed %d\nours %x\ngdb  %x", end, guessed, cut(pcs), cut(theirs))
		}
	})
	t.Logf("%d stops, %d same, %d complete, %d frames, %d by frame pointer, %d compared in part", total, same, complete, frames, guesses, partly)
	if same < total*97/100 || complete < total*97/100 {
		t.Errorf("%d of %d stacks as gdb has them, %d complete", same, total, complete)
	}
}

func cut(pcs []uint64) []uint64 { return pcs[:min(len(pcs), 12)] }

func child(t *testing.T, pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	var n int
	if err == nil {
		_, err = fmt.Sscan(string(b), &n)
	}
	if err != nil {
		t.Fatalf("find child of %d: %v", pid, err)
	}
	return n
}

// vdsoRange finds the vDSO in /proc/PID/maps.
func vdsoRange(maps io.Reader) (lo, hi uint64) {
	sc := bufio.NewScanner(maps)
	for sc.Scan() {
		if strings.HasSuffix(sc.Text(), "[vdso]") {
			fmt.Sscanf(sc.Text(), "%x-%x", &lo, &hi)
		}
	}
	return lo, hi
}
