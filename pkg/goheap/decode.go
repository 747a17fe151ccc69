package goheap

import (
	"debug/elf"
	"slices"

	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

// A decoder reads the code of the runtime's functions out of a program file.
type decoder struct {
	file      *elf.File
	functions map[string]symbolize.GoFunction
}

func newDecoder(f *elf.File, obj *symbolize.Object) *decoder {
	return &decoder{f, obj.GoFunctions(
		"runtime.mProf_FlushLocked", "runtime.mProf_Flush", "runtime.mProf_Malloc", "runtime.stkbucket",
		"runtime.schedinit", "runtime.blockevent", "runtime.semacquire1", "runtime.ticksPerSecond",
		"runtime.tickspersecond", // until Go 1.21
	)}
}

// refs returns the uses of variables in a function; none if it is not there.
func (d *decoder) refs(name string) []ref {
	fn, ok := d.functions[name]
	if !ok || fn.Hi-fn.Lo > maxCode {
		return nil
	}
	for _, p := range d.file.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && fn.Lo >= p.Vaddr && fn.Hi-p.Vaddr <= p.Filesz {
			code := make([]byte, fn.Hi-fn.Lo)
			if _, err := p.ReadAt(code, int64(fn.Lo-p.Vaddr)); err != nil {
				return nil
			}
			return refs(d.file.Machine, code, fn.Lo)
		}
	}
	return nil
}

// first returns the address of the first variable of size bytes that is read, and
// that is none of others; 0 if there is none.
func first(all []ref, size int, others ...uint64) uint64 {
next:
	for _, r := range all {
		if r.use != reads || r.size != size {
			continue
		}
		for _, o := range others {
			if r.addr == o {
				continue next
			}
		}
		return r.addr
	}
	return 0
}

// fromCode finds the variables by what the runtime does with them; the same in Go
// 1.20 to 1.26 on both machines (runtime/mprof.go, proc.go, sema.go, runtime.go).
func (l *Layout) fromCode(d *decoder) {
	a := &l.addrs
	// The head of the list is what mProf_FlushLocked loads before its loop. stkbucket
	// takes the address of one of the three heads, by the type of the bucket.
	head := first(d.refs("runtime.mProf_FlushLocked"), 8)
	a[mbuckets], a[xbuckets], a[bbuckets] = heads(d.refs("runtime.stkbucket"), head)
	// mProfCycle.setFlushed; mProf_Malloc reads it as well.
	cycle := first(d.refs("runtime.mProf_Flush"), 4)
	malloc := d.refs("runtime.mProf_Malloc")
	for _, r := range malloc {
		if r.addr == cycle && r.use == reads {
			a[mProfCycle] = cycle
		}
	}
	// The other int that mProf_Malloc reads, until Go 1.22 none.
	a[stackDepth] = first(malloc, 4, cycle)
	// if disableMemoryProfiling { MemProfileRate = 0 }
	// On arm64 the addresses may be taken in instructions of their own before.
	all := slices.DeleteFunc(d.refs("runtime.schedinit"), func(r ref) bool { return r.use == takes })
	for i := range max(len(all)-1, 0) {
		flag, rate := all[i], all[i+1]
		if flag.use == reads && flag.size == 1 && rate.use == clears && rate.size == 8 {
			a[disableMemoryProfiling], a[memProfileRate] = flag.addr, rate.addr
			break
		}
	}
	a[blockProfileRate] = first(d.refs("runtime.blockevent"), 8)
	// semacquire1 asks for the one, then for the other.
	if waits := d.refs("runtime.semacquire1"); a[blockProfileRate] != 0 && first(waits, 8) == a[blockProfileRate] {
		a[mutexProfileRate] = first(waits, 8, a[blockProfileRate])
	}
	for _, name := range []string{"runtime.ticksPerSecond", "runtime.tickspersecond"} {
		if addr := first(d.refs(name), 8); addr != 0 {
			a[ticksVal] = addr
		}
	}
}

// heads finds three addresses taken one after the other, of which the first is
// memory: then come those for mutexes and for blocking.
func heads(all []ref, memory uint64) (m, x, b uint64) {
	var taken []uint64
	for _, r := range all {
		if r.use == takes {
			taken = append(taken, r.addr)
		}
	}
	for i := range max(len(taken)-2, 0) {
		if taken[i] == memory && taken[i+1] != memory && taken[i+2] != memory && taken[i+1] != taken[i+2] {
			return memory, taken[i+1], taken[i+2]
		}
	}
	return 0, 0, 0
}
