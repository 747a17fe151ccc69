// Corecheck resolves what BPF objects want of a kernel against the types of every
// kernel of the matrix, booting none of them: CO-RE relocations, attach targets, kernel
// functions, helpers, types of programs and maps.
//
//	corecheck             the objects of pkg/loader, from the repository's root
//	corecheck OBJECT...   these
//
// An object is for the architecture that its name has, as bpf2go gives it: _x86_ or
// _arm64_. A kernel that cannot be fetched is named in a line that begins with SKIP.
// The exit status is 0 if there is no finding but the allowed ones, those on a kernel
// that may lack features aside.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/ebpfprof/ebpfprof/test/vm/kernel"
)

func main() {
	objects, whole := os.Args[1:], len(os.Args) == 1
	if whole {
		objects, _ = filepath.Glob("pkg/loader/*_bpfel.o")
	}
	if err := run(context.Background(), objects, whole); err != nil {
		fmt.Fprintln(os.Stderr, "corecheck:", err)
		os.Exit(1)
	}
}

// run checks objects; whole says that they are all there are, so that an allowance
// that none of them needs is stale.
func run(ctx context.Context, paths []string, whole bool) error {
	if len(paths) == 0 {
		return errors.New("no objects in pkg/loader: run it from the repository's root, or name some")
	}
	objects := make(map[string][]*object) // by architecture
	for _, path := range paths {
		o, err := open(path)
		if err != nil {
			return err
		}
		objects[o.arch] = append(objects[o.arch], o)
	}
	images, skipped, err := images(ctx)
	if err != nil {
		return err
	}
	c := checker{allowed: allowances()}
	c.used = make([]bool, len(c.allowed))
	for _, image := range images {
		types, err := btf.LoadSpec(image.BTFPath)
		if err != nil {
			return fmt.Errorf("load the types of %s: %w", image.Package, err)
		}
		for _, o := range objects[image.Release.Arch] {
			if err := c.check(image, types, o); err != nil {
				return err
			}
		}
	}
	if skipped == 0 && whole {
		c.reportStale()
	}
	if c.bad > 0 {
		return fmt.Errorf("%d findings; guard them with bpf_core_field_exists and the like, then list them in test/vm/corecheck/allow.go", c.bad)
	}
	return nil
}

// A checker prints what it finds and keeps count.
type checker struct {
	allowed []allowance
	used    []bool // by place in allowed
	bad     int
}

func (c *checker) check(image kernel.Image, types *btf.Spec, o *object) error {
	report, err := Check(o.spec, types)
	if err != nil {
		return fmt.Errorf("check %s on %s: %w", o.name, image.Package, err)
	}
	unexpected := 0
	verdict := "MISSING"
	if image.Release.MayLack {
		verdict = "LACKING"
	}
	for _, f := range report.Findings {
		if i := allow(c.allowed, f, image.Release.Series); i >= 0 {
			c.used[i] = true
			continue
		}
		unexpected++
		fmt.Printf("%s on %s: %s: %v\n", verdict, image.Release.Name, o.name, f)
	}
	if !image.Release.MayLack {
		c.bad += unexpected
	}
	fmt.Printf("%-10s %s, %s: %d programs, %d relocations, %d allowed findings, %d others\n", image.Release.Name,
		image.Package, o.name, report.Programs, report.Relocations, len(report.Findings)-unexpected, unexpected)
	return nil
}

func (c *checker) reportStale() {
	for i, a := range c.allowed {
		if !c.used[i] {
			c.bad++
			fmt.Printf("STALE: no kernel needs the allowance for %s: %s\n", a.what, a.reason)
		}
	}
}

// An object is a BPF object file.
type object struct {
	name string
	arch string
	spec *ebpf.CollectionSpec
}

func open(path string) (*object, error) {
	o := &object{name: filepath.Base(path)}
	switch {
	case strings.Contains(o.name, "x86"), strings.Contains(o.name, "amd64"):
		o.arch = "amd64"
	case strings.Contains(o.name, "arm64"):
		o.arch = "arm64"
	default:
		return nil, fmt.Errorf("%s has no architecture in its name", path)
	}
	spec, err := ebpf.LoadCollectionSpec(path)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	if len(spec.Programs) == 0 {
		return nil, fmt.Errorf("load %s: no programs in it", path)
	}
	o.spec = spec
	return o, nil
}

// images fetches the kernels of the matrix and says how many are missing.
func images(ctx context.Context) (images []kernel.Image, skipped int, err error) {
	store, err := kernel.OpenStore(ctx, kernel.Options{
		Dir:    os.Getenv("EBPFPROF_VM_CACHE"),
		Mirror: os.Getenv("EBPFPROF_DEBIAN_MIRROR"),
	})
	if err != nil {
		return nil, 0, err
	}
	defer store.Close()
	for _, release := range kernel.Releases() {
		image, err := store.Image(ctx, release)
		switch {
		case err == nil:
			images = append(images, image)
		case errors.Is(err, kernel.ErrNotObtainable) && !release.Required:
			fmt.Println("SKIP:", err)
			skipped++
		default:
			return nil, 0, err
		}
	}
	return images, skipped, nil
}
