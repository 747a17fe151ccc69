package proc

import (
	"path/filepath"
	"strings"
)

// maxPreloads bounds the files of one LD_PRELOAD.
const maxPreloads = 64

// Preloads returns paths to the files that the dynamic linker is told to map before a process's own libraries (LD_PRELOAD,
// ld.so(8)), by the environment that it was executed with. Names without a slash, which the linker looks up, are left out.
func (f FS) Preloads(pid int) []string {
	environ, err := readBounded(f.procPath(pidName(pid), "environ"), maxProcFile)
	if err != nil {
		return nil
	}
	var paths []string
	for _, name := range preloads(string(environ)) {
		paths = append(paths, filepath.Join(f.procPath(pidName(pid), "root"), name))
	}
	return paths
}

func preloads(environ string) (names []string) {
	for entry := range strings.SplitSeq(environ, "\x00") {
		list, ok := strings.CutPrefix(entry, "LD_PRELOAD=")
		if !ok {
			continue
		}
		for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ':' || r == ' ' }) {
			if strings.HasPrefix(name, "/") && len(names) < maxPreloads {
				names = append(names, filepath.Clean(name))
			}
		}
	}
	return names
}
