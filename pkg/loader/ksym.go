package loader

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
)

// A KernelNamer asks the kernel for the functions of kernel addresses. It is not safe for concurrent use.
type KernelNamer struct {
	coll    *ebpf.Collection
	program *ebpf.Program
	table   *ebpf.Map
}

// OpenKernelNamer loads the program that asks. It needs 5.14 (programs of type syscall); an error means that
// /proc/kallsyms must serve.
func OpenKernelNamer() (*KernelNamer, error) {
	spec, err := loadBpf()
	if err != nil {
		return nil, fmt.Errorf("read embedded programs: %w", err)
	}
	for name := range spec.Programs {
		if name != bpfProgKsymNames {
			delete(spec.Programs, name)
		}
	}
	for name := range spec.Maps {
		if name != bpfMapKsyms && name != ".rodata" {
			delete(spec.Maps, name)
		}
	}
	spec.Variables = nil
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", bpfProgKsymNames, err)
	}
	return &KernelNamer{coll: coll, program: coll.Programs[bpfProgKsymNames], table: coll.Maps[bpfMapKsyms]}, nil
}

// Close releases the program.
func (k *KernelNamer) Close() error {
	k.coll.Close()
	return nil
}

// Names returns for each address its function, "" for what is none, and its module, "" for the kernel proper.
func (k *KernelNamer) Names(addrs []uint64) (names, modules []string, err error) {
	room := int(k.table.MaxEntries())
	for len(addrs) > 0 {
		n := min(len(addrs), room)
		if names, modules, err = appendNames(k.program, k.table, addrs[:n], names, modules); err != nil {
			return nil, nil, err
		}
		addrs = addrs[n:]
	}
	return names, modules, nil
}

// appendNames names as many addresses as the table has room for.
func appendNames(program *ebpf.Program, table *ebpf.Map, addrs []uint64, names, modules []string) ([]string, []string, error) {
	keys := make([]uint32, len(addrs))
	values := make([]bpfProfKsym, len(addrs))
	for i, addr := range addrs {
		keys[i], values[i].Addr = uint32(i), addr
	}
	if n := uint32(len(addrs)); n < table.MaxEntries() {
		keys, values = append(keys, n), append(values, bpfProfKsym{}) // the end
	}
	if _, err := table.BatchUpdate(keys, values, nil); err != nil {
		return nil, nil, fmt.Errorf("enter kernel addresses: %w", err)
	}
	if _, err := program.Run(&ebpf.RunOptions{}); err != nil {
		return nil, nil, fmt.Errorf("run %s: %w", bpfProgKsymNames, err)
	}
	for i := range addrs {
		var k bpfProfKsym
		if err := table.Lookup(uint32(i), &k); err != nil {
			return nil, nil, fmt.Errorf("read kernel names: %w", err)
		}
		name, module := parseKernelName(k.Name[:])
		names, modules = append(names, name), append(modules, module)
	}
	return names, modules, nil
}

// parseKernelName reads what %pS prints (Documentation/core-api/printk-formats.rst): "name+0x1c/0x90 [module]", or the
// bare address, "0xffffffff81000000", for what is no function.
func parseKernelName(b []byte) (name, module string) {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	name, module, _ = strings.Cut(string(b), " [")
	name, _, found := strings.Cut(name, "+0x")
	if !found || name == "" {
		return "", ""
	}
	module, _, _ = strings.Cut(module, " ") // [module build-id]
	return name, strings.TrimSuffix(module, "]")
}
