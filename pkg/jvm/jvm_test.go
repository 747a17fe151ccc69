package jvm

import (
	"bufio"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// record builds performance data.
type record struct {
	name  string
	typ   byte
	value uint64
}

func perfData(order binary.ByteOrder, records ...record) []byte {
	b := make([]byte, headerBytes)
	binary.BigEndian.PutUint32(b, magic)
	b[atMajor], b[atAccessible] = 2, 1
	if order == binary.LittleEndian {
		b[atOrder] = 1
	}
	order.PutUint32(b[atFirst:], headerBytes)
	order.PutUint32(b[atCount:], uint32(len(records)))
	for _, r := range records {
		e := make([]byte, entryBytes, 128)
		e = append(e, r.name...)
		e = append(e, make([]byte, 8-len(e)%8)...)
		order.PutUint32(e[atName:], entryBytes)
		order.PutUint32(e[atData:], uint32(len(e)))
		e[atType] = r.typ
		e = append(e, make([]byte, 8)...)
		order.PutUint64(e[len(e)-8:], r.value)
		order.PutUint32(e[atLength:], uint32(len(e)))
		b = append(b, e...)
	}
	return b
}

func heapRecords() []record {
	return []record{
		{"sun.gc.generation.0.space.0.used", 'J', 1}, {"sun.gc.generation.0.space.1.used", 'J', 2},
		{"sun.gc.generation.1.space.0.used", 'J', 4}, {"sun.gc.generation.1.space.0.capacity", 'J', 100},
		{"sun.gc.generation.0.space.0.capacity", 'J', 10}, {"sun.gc.generation.0.capacity", 'J', 1000},
		{"sun.gc.metaspace.used", 'J', 7000}, {"sun.gc.generation.0.space.x.used", 'J', 9000},
		{"sun.gc.generation.0.space.0.used", 'B', 5000}, {"sun.gc.generation.0.space.0.initUsed", 'J', 3},
		{"sun.gc.collector.0.invocations", 'J', 20}, {"sun.gc.collector.1.invocations", 'J', 3},
	}
}

func TestParse(t *testing.T) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		got, err := parse(perfData(order, heapRecords()...))
		if want := (Heap{Used: 7, Capacity: 110, Collections: 23}); got != want || err != nil {
			t.Errorf("%v: %+v, %v; want %+v", order, got, err, want)
		}
	}
	if _, err := parse(perfData(binary.LittleEndian, record{"java.threads.live", 'J', 1})); !errors.Is(err, ErrNoHeap) {
		t.Errorf("without a heap: %v", err)
	}
	starting := perfData(binary.LittleEndian, heapRecords()...)
	starting[atAccessible] = 0
	if _, err := parse(starting); !errors.Is(err, ErrNoHeap) {
		t.Errorf("of a JVM that starts: %v", err)
	}
	whole := perfData(binary.LittleEndian, heapRecords()...)
	for n := range whole {
		if got, err := parse(whole[:n]); err == nil {
			t.Fatalf("cut to %d of %d bytes: %+v", n, len(whole), got)
		}
	}
}

func TestFind(t *testing.T) {
	const maps = `7f9000000000-7f9000021000 rw-p 00000000 00:00 0
7f95e6600000-7f95e6608000 rw-s 00000000 fe:00 12                         /srv/hsperfdata_x
7f95e6643000-7f95e664b000 rw-s 00000000 fe:00 9986050                    /tmp/hsperfdata_root/3933
`
	start, size, err := find(strings.NewReader(maps))
	if start != 0x7f95e6643000 || size != 0x8000 || err != nil {
		t.Errorf("%#x, %#x, %v", start, size, err)
	}
	if _, err := Open("", os.Getpid()); !errors.Is(err, ErrNoJVM) {
		t.Errorf("of this process: %v", err)
	}
	if _, err := Open("", 1<<22+1); err == nil || errors.Is(err, ErrNoJVM) {
		t.Errorf("of none: %v", err)
	}
}

// TestCollectors: with each collector, the heap of a program that holds 20 MiB is that and little more.
func TestCollectors(t *testing.T) {
	javac, err := exec.LookPath("javac")
	if err != nil {
		t.Skip("SKIP: no javac; scripts/install-deps.sh test installs it")
	}
	const mib = 20
	dir := t.TempDir()
	if out, err := exec.Command(javac, "-d", dir, "testdata/Held.java").CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	for _, collector := range []string{"Serial", "Parallel", "G1", "Z", "Shenandoah"} {
		t.Run(collector, func(t *testing.T) {
			cmd := exec.Command("java", "-XX:+Use"+collector+"GC", "-Xmx128m", "-cp", dir, "Held", "20")
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { in.Close(); _ = cmd.Wait() }()
			if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
				t.Skipf("SKIP: this Java has no %s collector: %v", collector, err)
			}
			p, err := Open("", cmd.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			h, err := p.Heap()
			t.Logf("%+v", h)
			// Z counts whole pages; G1's capacity is a few bytes more than its heap.
			if err != nil || h.Used < mib<<20 || h.Used > (mib+16)<<20 || h.Capacity < h.Used || h.Capacity > 129<<20 || h.Collections == 0 {
				t.Errorf("%+v, %v", h, err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(perfData(binary.LittleEndian, heapRecords()...))
	f.Add(perfData(binary.BigEndian, heapRecords()[:2]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := parse(b); err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
	})
}
