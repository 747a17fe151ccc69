package symbolize

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

const (
	maxKernelLines = 2 << 20
	maxKernelLine  = 4 << 10  // KSYM_NAME_LEN is 512
	maxKernelNames = 64 << 20 // bytes
	maxModules     = 1<<16 - 2
	// A symbol in kallsyms has no size: it ends at the next one. Where nothing
	// follows closely (the end of a module's text) it has no name past these. A BPF
	// program is one symbol of up to a million instructions.
	maxKernelFunction = 128 << 10
	maxBPFProgram     = 4 << 20
	bpfModule         = "bpf" // kernel/bpf/core.c bpf_get_kallsym and its like
	noKernelName      = 1<<32 - 1
)

// ErrKernelAddressesHidden reports that the kernel shows all addresses as zero to
// this process (kernel.kptr_restrict, or no CAP_SYSLOG).
var ErrKernelAddressesHidden = errors.New("kernel addresses are hidden (kernel.kptr_restrict, or CAP_SYSLOG is missing)")

// Kernel names addresses of the running kernel, its modules and BPF programs, as
// they were when it was read. It never changes: safe for concurrent use.
type Kernel struct {
	addrs   []uint64 // ascending, each once
	names   []uint32 // offset of the name in blob; noKernelName where text ends
	modules []uint16 // index in module, 0 for the kernel itself
	module  []string
	blob    []byte // names, each ended by NUL
}

// kernelSymbol is a line while the table is built.
type kernelSymbol struct {
	addr   uint64
	name   uint32
	module uint16
	local  bool
}

// ReadKernel reads /proc/kallsyms (kernel/kallsyms.c s_show: address, type, name
// and, for a module's, the module in brackets). It fails with
// ErrKernelAddressesHidden when all addresses are zero.
func ReadKernel(r io.Reader) (*Kernel, error) {
	k := &Kernel{module: []string{""}}
	var all []kernelSymbol
	moduleIndex := map[string]uint16{"": 0}
	in := bufio.NewReaderSize(r, 64<<10)
	lines, shown := 0, false
	for ; lines < maxKernelLines; lines++ {
		line, err := readLine(in)
		if len(line) > 0 {
			if s, name, module, ok := parseKernelLine(line); ok {
				shown = shown || s.addr != 0
				i, known := moduleIndex[string(module)]
				if !known && len(k.module) < maxModules {
					i = uint16(len(k.module))
					k.module = append(k.module, string(module))
					moduleIndex[string(module)] = i
				}
				s.module = i
				if name != nil && len(k.blob)+len(name) < maxKernelNames {
					s.name = uint32(len(k.blob))
					k.blob = append(append(k.blob, name...), 0)
				}
				all = append(all, s)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read kallsyms: %w", err)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read kallsyms: no symbols in %d lines", lines)
	}
	if !shown {
		return nil, fmt.Errorf("read kallsyms: %w", ErrKernelAddressesHidden)
	}
	k.build(all)
	return k, nil
}

// readLine returns the next line without its end; what is longer than
// maxKernelLine is cut.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line = bytes.Clone(line[:maxKernelLine])
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = in.ReadSlice('\n')
		}
	}
	line = bytes.TrimRight(line, "\r\n")
	return line[:min(len(line), maxKernelLine)], err
}

// parseKernelLine parses one line. name is nil for a symbol that only ends the
// text before it: data, and marks such as _etext. ok is false for a line that
// says nothing: padding in front of functions (__pfx_), arm64 mapping symbols.
func parseKernelLine(line []byte) (s kernelSymbol, name, module []byte, ok bool) {
	addr, rest, ok1 := bytes.Cut(line, []byte{' '})
	typ, rest, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok1 || !ok2 || len(typ) != 1 || len(addr) == 0 || len(addr) > 16 {
		return s, nil, nil, false
	}
	for _, c := range addr {
		switch {
		case c >= '0' && c <= '9':
			s.addr = s.addr<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			s.addr = s.addr<<4 | uint64(c-'a'+10)
		default:
			return s, nil, nil, false
		}
	}
	s.name = noKernelName
	if i := bytes.IndexByte(rest, '\t'); i >= 0 {
		module = bytes.Trim(bytes.TrimSpace(rest[i+1:]), "[]")
		rest = rest[:i]
	}
	name = bytes.TrimSpace(rest)
	if len(name) == 0 || name[0] == '$' || bytes.HasPrefix(name, []byte("__pfx_")) {
		return s, nil, nil, false
	}
	switch typ[0] {
	case 't':
		s.local = true
	case 'T', 'w', 'W':
	default:
		return s, nil, module, true
	}
	switch string(name) {
	case "_etext", "_einittext":
		return s, nil, module, true
	}
	return s, name, module, true
}

// build sorts the symbols and keeps the best name of each address.
func (k *Kernel) build(all []kernelSymbol) {
	slices.SortStableFunc(all, func(a, b kernelSymbol) int { return cmp.Compare(a.addr, b.addr) })
	kept := 0
	for i := 0; i < len(all); {
		best, j := all[i], i+1
		for ; j < len(all) && all[j].addr == best.addr; j++ {
			if k.better(all[j], best) {
				best = all[j]
			}
		}
		i = j
		// One nameless symbol ends the text; more after it add nothing.
		if best.name == noKernelName && (kept == 0 || all[kept-1].name == noKernelName) {
			continue
		}
		all[kept] = best
		kept++
	}
	all = all[:kept]
	k.addrs, k.names, k.modules = make([]uint64, kept), make([]uint32, kept), make([]uint16, kept)
	old := k.blob
	size := 0
	for _, s := range all {
		if s.name != noKernelName {
			size += bytes.IndexByte(old[s.name:], 0) + 1
		}
	}
	k.blob = make([]byte, 0, size)
	for i, s := range all {
		k.addrs[i], k.names[i], k.modules[i] = s.addr, noKernelName, s.module
		if s.name != noKernelName {
			k.names[i] = uint32(len(k.blob))
			k.blob = append(k.blob, old[s.name:int(s.name)+bytes.IndexByte(old[s.name:], 0)+1]...)
		}
	}
}

// better reports whether a's name is to be preferred to b's at the same address.
func (k *Kernel) better(a, b kernelSymbol) bool {
	if (a.name == noKernelName) != (b.name == noKernelName) {
		return b.name == noKernelName
	}
	if a.name == noKernelName {
		return false
	}
	if a.local != b.local {
		return b.local
	}
	return betterName(cname(k.blob[a.name:]), cname(k.blob[b.name:]))
}

func cname(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// find returns the index of the symbol that addr is in, or -1.
func (k *Kernel) find(addr uint64) int {
	i := sort.Search(len(k.addrs), func(i int) bool { return k.addrs[i] > addr }) - 1
	if i < 0 || k.names[i] == noKernelName {
		return -1
	}
	limit := uint64(maxKernelFunction)
	if k.module[k.modules[i]] == bpfModule {
		limit = maxBPFProgram
	}
	if addr-k.addrs[i] >= limit {
		return -1
	}
	return i
}

// Frames names a kernel address: one frame, or nil.
func (k *Kernel) Frames(addr uint64) []profile.Frame {
	i := k.find(addr)
	if i < 0 {
		return nil
	}
	return []profile.Frame{symbolFrame(cname(k.blob[k.names[i]:]))}
}

// Module returns the module that holds addr, "bpf" for a BPF program, and "" for
// the kernel itself and for unknown addresses.
func (k *Kernel) Module(addr uint64) string {
	i := k.find(addr)
	if i < 0 {
		return ""
	}
	return k.module[k.modules[i]]
}

// Symbols returns the number of addresses known.
func (k *Kernel) Symbols() int { return len(k.addrs) }

// MemoryBytes returns the bytes held.
func (k *Kernel) MemoryBytes() int64 {
	return int64(len(k.addrs))*(8+4+2) + int64(cap(k.blob))
}
