// Package preload holds the helper of record --preload, a library that samples allocations within a process, and writes it
// where the dynamic linker finds it. Its source is preload/, from which scripts/generate.sh makes helper_*.so.
package preload

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// Options are what the helper is told.
type Options struct {
	Mean  uint64 // bytes for which one sample is taken, on average; at least 1
	Frees bool   // frees of sampled memory pass the probe otel_memory:free
}

// settingsSymbol names struct settings of preload/settings.h: two words.
const settingsSymbol = "ebpfprof_settings"

// Image returns the helper for this machine, with the settings in it.
func Image(o Options) ([]byte, error) { return image(helper, o) }

func image(object string, o Options) ([]byte, error) {
	if o.Mean == 0 {
		return nil, errors.New("make helper: a sample for each 0 bytes")
	}
	out := []byte(object)
	f, err := elf.NewFile(bytes.NewReader(out))
	if err != nil {
		return nil, fmt.Errorf("read helper: %w", err)
	}
	at, err := settingsOffset(f)
	if err != nil {
		return nil, fmt.Errorf("read helper: %w", err)
	}
	binary.LittleEndian.PutUint64(out[at:], o.Mean)
	frees := uint64(0)
	if o.Frees {
		frees = 1
	}
	binary.LittleEndian.PutUint64(out[at+8:], frees)
	return out, nil
}

// settingsOffset tells where in the file the settings are.
func settingsOffset(f *elf.File) (uint64, error) {
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return 0, err
	}
	for _, s := range symbols {
		if s.Name != settingsSymbol {
			continue
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_LOAD && s.Value >= p.Vaddr && s.Value+16 <= p.Vaddr+p.Filesz {
				return s.Value - p.Vaddr + p.Off, nil
			}
		}
	}
	return 0, errors.New("no " + settingsSymbol)
}
