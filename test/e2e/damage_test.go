package e2e

import (
	"debug/elf"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// TestFileGone: a program whose file is deleted or replaced while it runs keeps its
// names, and does not get those of the new file.
func TestFileGone(t *testing.T) {
	needRoot(t)
	t.Parallel()
	split, threads := target.C(t, "split"), target.C(t, "threads")
	for name, harm := range map[string]func(path string) error{
		"deleted": os.Remove,
		"replaced": func(path string) error {
			other := path + ".new"
			copyFile(t, threads, other)
			return os.Rename(other, path)
		},
	} {
		path := filepath.Join(t.TempDir(), "prog")
		copyFile(t, split, path)
		p := target.Start(t, path, "60")
		if err := harm(path); err != nil {
			t.Fatal(err)
		}
		r := recordWhile(t, useCPU(t, p.PID), "-F", "999", "-p", strconv.Itoa(p.PID))
		p.Kill()
		if got := r.count(inSplit); got == 0 || got < r.event.Samples*8/10 {
			t.Errorf("%s: %d of %d samples have a function of the program", name, got, r.event.Samples)
		}
		r.none(t, name+": a name of another file", in("spin_thread"))
	}
}

// TestPluginTruncated: a library that is cut while code of it runs kills its process,
// and harms nobody else.
func TestPluginTruncated(t *testing.T) {
	needRoot(t)
	t.Parallel()
	plugin := target.Shared(t, "plugin")
	p := target.Start(t, target.C(t, "host"), plugin, "60")
	b := startRecord(t, "-F", "999", "-p", strconv.Itoa(p.PID), "-d", "1h")
	b.sampling(t)
	useCPU(t, p.PID)()
	if err := os.Truncate(plugin, 100); err != nil {
		t.Fatal(err)
	}
	r := b.wait(t, 0)
	r.some(t, "the target", 150, pid(p.PID))
	found := false
	for _, m := range r.profile.Mapping {
		found = found || m.File == plugin
	}
	if !found {
		t.Errorf("no mapping of %s", plugin)
	}
}

// TestHeadersOverwritten: what nobody needs after a library was loaded, its headers and
// symbols, becomes noise while it runs. Its samples stay, with its file's name.
func TestHeadersOverwritten(t *testing.T) {
	needRoot(t)
	t.Parallel()
	for seed := range uint64(3) {
		plugin := target.Shared(t, "plugin")
		p := target.Start(t, target.C(t, "host"), plugin, "60")
		damage(t, plugin, seed, true)
		r := recordWhile(t, useCPU(t, p.PID), "-F", "999", "-p", strconv.Itoa(p.PID))
		p.Kill()
		r.some(t, "the target", 150, pid(p.PID))
		found := false
		for _, m := range r.profile.Mapping {
			found = found || m.File == plugin
		}
		if !found {
			t.Errorf("seed %d: no mapping of %s", seed, plugin)
		}
	}
}

// TestSectionsRandom: a program whose section headers and symbols are noise from the
// start, and right program headers.
func TestSectionsRandom(t *testing.T) {
	needRoot(t)
	t.Parallel()
	split := target.C(t, "split")
	for seed := range uint64(5) {
		path := filepath.Join(t.TempDir(), "prog")
		copyFile(t, split, path)
		damage(t, path, seed, false)
		r := record(t, "-F", "999", "--", path, "0.4")
		r.some(t, "the program", 200, comm("prog"))
	}
}

// damage overwrites everything behind the loaded segments of an object file with noise,
// the section headers as plausible numbers, and the headers in front, if so asked.
func damage(t *testing.T, path string, seed uint64, front bool) {
	t.Helper()
	object, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	var end uint64
	for _, p := range object.Progs {
		if p.Type == elf.PT_LOAD {
			end = max(end, p.Off+p.Filesz)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(seed, 1))
	for i := int(end); i < len(data); i++ {
		// Small numbers pass the first checks: half of the bytes are 0.
		data[i] = byte(random.Uint32()) & -byte(random.Uint32()&1)
	}
	if front {
		for i := 16; i < 64+56*len(object.Progs); i++ {
			data[i] = byte(random.Uint32())
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(data, 0); err != nil {
		t.Fatal(err)
	}
}

// TestNoObjectFile: code is mapped from files that only begin like object files, or not
// even that.
func TestNoObjectFile(t *testing.T) {
	needRoot(t)
	t.Parallel()
	mapped := target.C(t, "mapped")
	random := rand.New(rand.NewPCG(1, 2))
	for name, begin := range map[string]string{
		"noise":   "",
		"magic":   "\x7fELF\x02\x01\x01",
		"header":  "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x3e\x00\x01\x00\x00\x00",
		"32 bits": "\x7fELF\x01\x01\x01",
		"text":    "#!/bin/sh\n",
	} {
		data := make([]byte, 16384)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		copy(data, begin)
		path := filepath.Join(t.TempDir(), "data")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		r := record(t, "-F", "999", "--", mapped, path, "0.4")
		offsets := 0
		for _, l := range r.profile.Location {
			if l.Mapping == nil || l.Mapping.File != path {
				continue
			}
			if offsets++; len(l.Line) > 0 {
				t.Errorf("%s: a name in %s: %s", name, path, l.Line[0].Function.Name)
			}
			if l.Address < 4096 || l.Address >= 4096+16 {
				t.Errorf("%s: address %#x, want that in the file, 0x1000", name, l.Address)
			}
		}
		if offsets == 0 {
			t.Errorf("%s: no sample in %s", name, path)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
}
