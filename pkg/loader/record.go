package loader

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"
)

// End says why the user part of a stack ended where it did.
type End uint8

// Ends of stacks.
const (
	EndComplete     = End(bpfProfEndPROF_END_COMPLETE)
	EndNoUser       = End(bpfProfEndPROF_END_NO_USER)
	EndTruncated    = End(bpfProfEndPROF_END_TRUNCATED)
	EndNoUnwindInfo = End(bpfProfEndPROF_END_NO_UNWIND_INFO)
	EndUnreadable   = End(bpfProfEndPROF_END_UNREADABLE)
	EndNoMapping    = End(bpfProfEndPROF_END_NO_MAPPING)
	EndJIT          = End(bpfProfEndPROF_END_JIT)
	EndExited       = End(bpfProfEndPROF_END_EXITED)
	EndCompat       = End(bpfProfEndPROF_END_COMPAT)
	EndMappings     = End(bpfProfEndPROF_END_MAPPINGS)
	EndDeferred     = End(bpfProfEndPROF_END_DEFERRED)
	EndAsleep       = End(bpfProfEndPROF_END_ASLEEP)
)

// String is the reason's name in labels, summaries and metrics.
func (e End) String() string {
	switch e {
	case EndComplete, EndNoUser:
		return "complete"
	case EndTruncated:
		return "truncated"
	case EndNoUnwindInfo:
		return "no_unwind_info"
	case EndUnreadable:
		return "unreadable"
	case EndNoMapping:
		return "no_mapping"
	case EndJIT:
		return "jit"
	case EndExited:
		return "exited"
	case EndCompat:
		return "compat_32bit"
	case EndMappings:
		return "too_many_mappings"
	case EndDeferred:
		return "deferred"
	case EndAsleep:
		return "asleep"
	}
	return "unknown"
}

// Complete reports whether nothing is missing.
func (e End) Complete() bool { return e == EndComplete || e == EndNoUser }

// VMAKind says what a mapping maps.
type VMAKind uint8

// Kinds of mappings.
const (
	VMAFile = VMAKind(bpfProfVmaKindPROF_VMA_FILE)
	VMAAnon = VMAKind(bpfProfVmaKindPROF_VMA_ANON)
	VMAVDSO = VMAKind(bpfProfVmaKindPROF_VMA_VDSO)
)

// A FileID names a file as the kernel's inode does. Dev is the kernel's dev_t, major<<20 | minor.
type FileID struct {
	Dev, Ino uint64
	MtimeSec int64
}

// A VMA is an executable mapping that a stack touches.
type VMA struct {
	Start, End uint64
	Offset     uint64 // of Start in the file, bytes
	Kind       VMAKind
	File       FileID // zero unless Kind is VMAFile
}

// A Sample is one overflow of the event. It and what it points to are reused after the handler returns.
type Sample struct {
	Time             time.Duration // CLOCK_MONOTONIC
	CPU              int
	PID, TID         int     // in the profiler's PID namespace
	StartNs          uint64  // of the process, CLOCK_BOOTTIME: with PID it names a process for ever
	Weight           uint64  // events that the sample stands for: 1 for the clock, else the period, scaled if the PMU is shared
	Objects          float64 // of the event alloc: allocations that the sample stands for; Weight is their bytes
	Waited           uint64  // of the event off-cpu: ns of the wait itself, at most Weight
	End              End
	Comm             []byte
	Kernel           []uint64 // leaf first
	User             []uint64 // leaf first, addresses of calls and not of returns
	Skipped          int      // user frames left out of the middle of User, before User[Gap()]
	Certain          bool     // unwind information says that the last frame is the root
	Guessed          bool     // a frame without a rule was taken by its frame pointer
	VMAs             []VMA
	Event            int     // number of the event in Options.Events
	Tag              uint16  // what else the event says of the sample, of 12 bits; 0 for perf events
	Waker            *Sample // of the event off-cpu with OffCPU.Wakers: who ended the wait; nil: not known, or it goes on
	begun            bool    // of a wait that has only begun
	woken            bool    // enabled is the time of its waker's record
	waiting          bool    // of a wait that has not ended
	trimmed          int     // frames taken from the front of User
	undecided        bool
	enabled, running time.Duration // of the event on this CPU, both 0 if it shares its counter with none
	origin           [16]byte
	comm             [16]byte
}

// A File is told of the first time that a stack touches it.
type File struct {
	ID         FileID
	PID        int    // a process that maps it
	Start, End uint64 // where
	Size       int64
	Path       string // in its mount namespace, "" when not known
}

const (
	vmaWords      = int(unsafe.Sizeof(bpfProfVma{}) / 8)
	sampleBytes   = int(unsafe.Sizeof(bpfProfSample{}))
	filePathStart = int(unsafe.Offsetof(bpfProfFile{}.Path))
	kindShift     = 56
	// PROF_FLAG_*
	undecidedFlag = 1
	originFlag    = 2
	certainFlag   = 4
	guessedFlag   = 8
	wokenFlag     = 32
	waitingFlag   = 64

	// Of a stack of more than maxFrames, the first and the last half of that are kept.
	maxFrames  = 1024 // PROF_USER_FRAMES
	maxEvents  = 16   // PROF_EVENTS
	halfFrames = maxFrames / 2
)

// GapAt is Sample.Gap of a sample that was not trimmed.
const GapAt = halfFrames

// Gap is the place in User before which Skipped frames are missing.
func (s *Sample) Gap() int { return GapAt - s.trimmed }

// Trim takes the n innermost frames from User, of which there are as many.
func (s *Sample) Trim(n int) {
	s.User = s.User[:copy(s.User, s.User[n:])] // in place: the memory is used again
	s.trimmed += n
}

// decodeSample reads a record into s. The record is the kernel's, but a short one must not panic.
func decodeSample(raw []byte, s *Sample) error {
	if len(raw) < sampleBytes {
		return fmt.Errorf("decode sample: %d bytes, want at least %d", len(raw), sampleBytes)
	}
	h := (*bpfProfSample)(unsafe.Pointer(unsafe.SliceData(raw)))
	nk, nu, nv := int(h.KernelFrames), int(h.UserFrames), int(h.Vmas)
	words := raw[sampleBytes:]
	if want := (nk + nu + nv*vmaWords) * 8; len(words) < want {
		return fmt.Errorf("decode sample: %d bytes of frames, want %d", len(words), want)
	}
	s.Time, s.CPU = time.Duration(h.TimeNs), int(h.Cpu)
	s.PID, s.TID, s.StartNs = int(h.Tgid), int(h.Tid), h.StartNs
	if h.Event >= maxEvents {
		return fmt.Errorf("decode sample: event %d, want less than %d", h.Event, maxEvents)
	}
	s.Event, s.Weight, s.End = int(h.Event), h.Weight, End(h.End)
	s.Tag, s.trimmed = h.Tag, 0
	s.enabled, s.running = time.Duration(h.EnabledNs), time.Duration(h.RunningNs)
	s.comm, s.origin = h.Comm, h.Origin
	s.undecided = h.Flags&undecidedFlag != 0
	s.begun = h.Flags&begunFlag != 0
	s.woken, s.waiting = h.Flags&wokenFlag != 0, h.Flags&waitingFlag != 0
	s.Waker = nil
	if h.Flags&originFlag == 0 {
		s.origin = [16]byte{}
	}
	s.Comm = commBytes(s.comm[:])
	s.Kernel = appendWords(s.Kernel[:0], words[:nk*8])
	words = words[nk*8:]
	s.User = appendWords(s.User[:0], words[:nu*8])
	s.Skipped = unrollRoot(s.User, int(h.Depth))
	s.Certain, s.Guessed = h.Flags&certainFlag != 0, h.Flags&guessedFlag != 0
	words = words[nu*8:]
	s.VMAs = s.VMAs[:0]
	for i := range nv {
		s.VMAs = append(s.VMAs, decodeVMA(words[i*vmaWords*8:]))
	}
	return nil
}

// unrollRoot puts the root half of a deep stack in order, which the kernel wrote in turn, and returns how many frames
// are missing before it.
func unrollRoot(user []uint64, depth int) (skipped int) {
	if depth <= maxFrames || len(user) != maxFrames {
		return 0
	}
	root := user[halfFrames:]
	oldest := depth % halfFrames
	ordered := append(append(make([]uint64, 0, halfFrames), root[oldest:]...), root[:oldest]...)
	copy(root, ordered)
	return depth - maxFrames
}

func appendWords(to []uint64, raw []byte) []uint64 {
	for ; len(raw) >= 8; raw = raw[8:] {
		to = append(to, binary.NativeEndian.Uint64(raw))
	}
	return to
}

func decodeVMA(raw []byte) VMA {
	w := func(i int) uint64 { return binary.NativeEndian.Uint64(raw[i*8:]) }
	return VMA{
		Start: w(0), End: w(1),
		Offset: w(2) & (1<<kindShift - 1), Kind: VMAKind(w(2) >> kindShift),
		File: FileID{Dev: w(3), Ino: w(4), MtimeSec: int64(w(5))},
	}
}

func decodeFile(raw []byte) (File, error) {
	if len(raw) < filePathStart {
		return File{}, fmt.Errorf("decode file record: %d bytes, want at least %d", len(raw), filePathStart)
	}
	var h bpfProfFile
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&h)), unsafe.Sizeof(h)), raw)
	n := min(int(h.PathLen), len(raw)-filePathStart, len(h.Path))
	return File{
		ID:  FileID{Dev: h.Id.Dev, Ino: h.Id.Ino, MtimeSec: h.Id.Mtime},
		PID: int(h.Tgid), Start: h.Start, End: h.End, Size: h.Size,
		Path: joinPath(h.Path[:max(n, 0)]),
	}, nil
}

// joinPath turns names, leaf first and each with its NUL, into an absolute path.
func joinPath(names []byte) string {
	parts := bytes.Split(bytes.TrimSuffix(names, []byte{0}), []byte{0})
	var path []byte
	for i := len(parts) - 1; i >= 0; i-- {
		if len(parts[i]) > 0 {
			path = append(append(path, '/'), parts[i]...)
		}
	}
	return string(path)
}

func commBytes(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

func commString(b []byte) string { return string(commBytes(b)) }
