package symbolize

import "bytes"

// A GoFunction is where the code of one function of Go's table is: ELF virtual
// addresses, Hi excluded, padding included.
type GoFunction struct{ Lo, Hi uint64 }

// GoFunctions finds functions by their full names ("runtime.mProf_Flush") in
// Go's table, which strip leaves in place. Names that are not there, and all of
// them if there is no such table, are missing in the result. It reads the whole
// table once, some milliseconds for a large program: keep the result.
func (o *Object) GoFunctions(names ...string) map[string]GoFunction {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.loaded {
		o.load()
	}
	for _, r := range o.resolvers {
		if t, ok := r.(*goTable); ok {
			return t.search(names)
		}
	}
	return nil
}

// search looks the names up in the table of names, then their offsets there in
// the functions: names are compared once and not for each function.
func (t *goTable) search(names []string) map[string]GoFunction {
	offsets := t.nameOffsets(names)
	found := make(map[string]GoFunction, len(offsets))
	for i := uint64(0); i < t.funcs && len(found) < len(offsets); i++ {
		fn, ok := t.read(i)
		if !ok {
			continue
		}
		name, ok := offsets[fn.name]
		if !ok {
			continue
		}
		if hi, ok := t.entry(i + 1); ok && hi > fn.entry {
			if _, twice := found[name]; !twice {
				found[name] = GoFunction{t.text + fn.entry, t.text + hi}
			}
		}
	}
	return found
}

// nameOffsets returns the names by their offset in the table of names.
func (t *goTable) nameOffsets(names []string) map[uint32]string {
	const chunk = 64 << 10
	longest := 0
	want := make(map[string]bool, len(names))
	for _, n := range names {
		longest = max(longest, len(n))
		want[n] = true
	}
	found := make(map[uint32]string, len(names))
	size := int64(min(t.units, uint64(t.size))) - int64(t.names)
	buf := make([]byte, chunk+longest+2)
	for off := int64(0); off < size && len(found) < len(want); off += chunk {
		n, _ := t.pages.r.ReadAt(buf[:min(int64(len(buf)), size-off)], t.off+int64(t.names)+off)
		b := buf[:n]
		for at := 0; at < min(n, chunk); {
			// A name begins behind the end of another one.
			start := bytes.IndexByte(b[at:], 0)
			if start < 0 {
				break
			}
			at += start + 1
			end := bytes.IndexByte(b[at:], 0)
			if end > 0 && end <= longest && want[string(b[at:at+end])] {
				found[uint32(off+int64(at))] = string(b[at : at+end])
			}
		}
		if n == 0 {
			break
		}
	}
	return found
}
