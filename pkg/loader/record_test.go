package loader

import (
	"encoding/binary"
	"slices"
	"testing"
	"unsafe"
)

// sampleRecord is a record as the kernel writes it: two kernel frames, one user frame, one mapping.
func sampleRecord() []byte {
	h := bpfProfSample{
		Type: uint32(bpfProfRecordTypePROF_RECORD_SAMPLE), Cpu: 1, TimeNs: 5, StartNs: 7, Weight: 3,
		Tgid: 10, Tid: 11, KernelFrames: 2, UserFrames: 1, Vmas: 1, End: uint8(EndNoUnwindInfo),
	}
	copy(h.Comm[:], "worker")
	raw := slices.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&h)), sampleBytes))
	for _, w := range []uint64{
		0xffffffff81000000, 0xffffffff82000000, 0x401234, // frames
		0x401000, 0x402000, 0x1000 | uint64(VMAFile)<<kindShift, 0xfe00000, 42, 1700000000,
	} {
		raw = binary.NativeEndian.AppendUint64(raw, w)
	}
	return raw
}

func TestDecodeSample(t *testing.T) {
	var s Sample
	if err := decodeSample(sampleRecord(), &s); err != nil {
		t.Fatal(err)
	}
	if string(s.Comm) != "worker" || s.PID != 10 || s.TID != 11 || s.Weight != 3 || s.End != EndNoUnwindInfo {
		t.Errorf("header: %+v", s)
	}
	if !slices.Equal(s.Kernel, []uint64{0xffffffff81000000, 0xffffffff82000000}) || !slices.Equal(s.User, []uint64{0x401234}) {
		t.Errorf("frames: kernel %#x, user %#x", s.Kernel, s.User)
	}
	want := VMA{Start: 0x401000, End: 0x402000, Offset: 0x1000, Kind: VMAFile, File: FileID{0xfe00000, 42, 1700000000}}
	if len(s.VMAs) != 1 || s.VMAs[0] != want {
		t.Errorf("mappings: %+v, want %+v", s.VMAs, want)
	}
}

func TestUnrollRoot(t *testing.T) {
	for _, depth := range []int{1024, 1025, 1500, 2048, 16384} {
		stored := make([]uint64, maxFrames)
		for n := range depth { // as the kernel writes
			at := n
			if n >= maxFrames {
				at = halfFrames + n%halfFrames
			}
			stored[at] = uint64(n)
		}
		skipped := unrollRoot(stored, depth)
		if skipped != depth-maxFrames {
			t.Errorf("depth %d: %d skipped", depth, skipped)
		}
		for i, n := range stored {
			want := i
			if i >= GapAt {
				want = i + skipped
			}
			if int(n) != want {
				t.Fatalf("depth %d: frame %d at %d, want %d", depth, n, i, want)
			}
		}
	}
}

func FuzzDecodeSample(f *testing.F) {
	raw := sampleRecord()
	f.Add(raw)
	f.Add(raw[:sampleBytes])
	f.Add(raw[:len(raw)-1])
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s Sample
		if err := decodeSample(raw, &s); err == nil && (len(s.Kernel)+len(s.User))*8 > len(raw) {
			t.Errorf("%d frames from %d bytes", len(s.Kernel)+len(s.User), len(raw))
		}
	})
}

func FuzzDecodeFile(f *testing.F) {
	h := bpfProfFile{Type: 2, PathLen: 9}
	for i, c := range []byte("cat\x00bin\x00") {
		h.Path[i] = c
	}
	f.Add(unsafe.Slice((*byte)(unsafe.Pointer(&h)), unsafe.Sizeof(h)))
	f.Fuzz(func(_ *testing.T, raw []byte) { decodeFile(raw) })
}

func TestJoinPath(t *testing.T) {
	for names, want := range map[string]string{
		"cat\x00bin\x00usr\x00":   "/usr/bin/cat",
		"":                        "",
		"memfd:x (deleted)\x00":   "/memfd:x (deleted)",
		"a\x00\x00b\x00":          "/b/a",
		"name without its end":    "/name without its end",
		"caf\xc3\xa9\x00home\x00": "/home/caf\xc3\xa9",
	} {
		if got := joinPath([]byte(names)); got != want {
			t.Errorf("joinPath(%q) = %q, want %q", names, got, want)
		}
	}
}

func TestParseCPUList(t *testing.T) {
	for s, want := range map[string][]int{"0": {0}, "0-3,5\n": {0, 1, 2, 3, 5}, "7,9-10": {7, 9, 10}} {
		if got, err := parseCPUList(s); err != nil || !slices.Equal(got, want) {
			t.Errorf("parseCPUList(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "x", "3-1", "-1", "0-", "0-99999999", "1,,2"} {
		if got, err := parseCPUList(s); err == nil {
			t.Errorf("parseCPUList(%q) = %v, want an error", s, got)
		}
	}
}

func FuzzParseCPUList(f *testing.F) {
	f.Add("0-3,5")
	f.Fuzz(func(_ *testing.T, s string) { parseCPUList(s) })
}
