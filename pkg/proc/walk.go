package proc

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxCgroups bounds a walk over a hierarchy. The kernel allows 65,535 memory
// cgroups, so this is a hierarchy that nobody can work with.
const maxCgroups = 1 << 17

var errTooManyCgroups = errors.New("more cgroups than can be searched")

// walkCgroups calls visit for dir and every cgroup below it, parents first, until
// visit returns fs.SkipAll. Cgroups that vanish meanwhile are skipped.
func walkCgroups(dir string, visit func(dir string) error) error {
	n := 0
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && path == dir:
			return err
		case err != nil && entry != nil && entry.IsDir():
			return fs.SkipDir
		case err != nil || !entry.IsDir():
			return nil
		}
		if n++; n > maxCgroups {
			return errTooManyCgroups
		}
		return visit(path)
	})
}

// populated tells whether a process is in the cgroup or below it. Version 2 knows,
// except for its root; version 1 must be searched.
func populated(dir string) bool {
	if b, err := readBounded(filepath.Join(dir, "cgroup.events"), maxProcFile); err == nil {
		if _, after, ok := bytes.Cut(b, []byte("populated ")); ok {
			return bytes.HasPrefix(after, []byte("1"))
		}
	}
	found := false
	_ = walkCgroups(dir, func(dir string) error {
		if found = hasMember(dir); found {
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// hasMember reads a byte of cgroup.procs, or of cgroup.threads where a threaded
// cgroup refuses the former.
func hasMember(dir string) bool {
	for _, name := range []string{"cgroup.procs", "cgroup.threads"} {
		file, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		n, err := file.Read(make([]byte, 1))
		file.Close()
		if n > 0 || !errors.Is(err, unix.EOPNOTSUPP) {
			return n > 0
		}
	}
	return false
}

// CgroupPIDs returns the processes that are in a cgroup or below it now, sorted.
// Processes of foreign PID namespaces have no number here and are left out.
func (f FS) CgroupPIDs(ref CgroupRef) ([]int, error) {
	pids := make(map[int]bool)
	err := walkCgroups(ref.Dir, func(dir string) error {
		b, err := readBounded(filepath.Join(dir, "cgroup.procs"), maxMountinfo)
		if err != nil {
			return nil // vanished, or threaded: then its root has the processes
		}
		for _, field := range bytes.Fields(b) {
			if pid, err := atoi31(field); err == nil && pid > 0 {
				pids[pid] = true
			}
		}
		return nil
	})
	return sortedKeys(pids), err
}

// nearest returns the few candidates that a user may have meant by want: those
// that contain it or differ by few edits, best first.
func nearest(want string, candidates []string) []string {
	const most, longest, maxCandidates = 5, 64, 4096
	type scored struct {
		name  string
		score int
	}
	var near []scored
	stem := strings.TrimSuffix(want, filepath.Ext(want))
	for _, c := range candidates[:min(len(candidates), maxCandidates)] {
		if len(c) > 4*longest {
			continue
		}
		switch d := editDistance(truncate(stem, longest), truncate(strings.TrimSuffix(c, filepath.Ext(c)), longest)); {
		case d <= 1+len(stem)/4:
			near = append(near, scored{c, d})
		case len(stem) >= 3 && strings.Contains(c, stem):
			near = append(near, scored{c, longest + len(c)})
		}
	}
	slices.SortFunc(near, func(a, b scored) int {
		if a.score != b.score {
			return a.score - b.score
		}
		return strings.Compare(a.name, b.name)
	})
	var names []string
	for _, n := range near {
		if len(names) < most && !slices.Contains(names, n.name) {
			names = append(names, n.name)
		}
	}
	return names
}

func truncate(s string, n int) string { return s[:min(len(s), n)] }

// editDistance is Levenshtein's, in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
