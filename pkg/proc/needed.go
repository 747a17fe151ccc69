package proc

import (
	"bufio"
	"debug/elf"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxNeeded bounds the libraries of one program; LibreOffice has some 200.
const maxNeeded = 256

// Needed returns the libraries that the loader will map for the program of a process that has just been executed, as far as
// they are found: its own rules (LD_LIBRARY_PATH, its cache) are not repeated. It opens files of the process's own root.
func (f FS) Needed(pid int) []Executable {
	s := librarySearch{root: f.procPath(pidName(pid), "root"), pid: pid, seen: map[string]bool{}}
	exe := f.procPath(pidName(pid), "exe")
	own, err := f.Executables(pid)
	if err != nil || len(own) == 0 {
		return nil
	}
	var st unix.Stat_t
	if unix.Stat(exe, &st) != nil {
		return nil
	}
	s.statDev, s.kernelDev = st.Dev, own[0].ID.Dev
	target, _ := os.Readlink(exe)
	s.add(exe, path.Dir(target))
	for len(s.queue) > 0 && len(s.found) < maxNeeded {
		next := s.queue[0]
		s.queue = s.queue[1:]
		s.add(next.file, next.dir)
	}
	return s.found
}

// A librarySearch goes from a program to what it needs, and what that needs.
type librarySearch struct {
	root  string // in front of every path
	pid   int
	seen  map[string]bool // names of libraries
	queue []library
	found []Executable
	// A file's device as stat tells it is not always the kernel's own (overlayfs, btrfs): of the program both are known.
	statDev, kernelDev uint64
	standard           []string
}

type library struct{ file, dir string }

// add enters what one object needs. dir is where it lies, for $ORIGIN.
func (s *librarySearch) add(file, dir string) {
	object, err := os.Open(file)
	if err != nil {
		return
	}
	defer object.Close()
	image, err := elf.NewFile(object)
	if err != nil {
		return
	}
	names, _ := image.ImportedLibraries()
	dirs := runPath(image, dir)
	for _, name := range names {
		if len(s.seen) >= maxNeeded || s.seen[name] {
			continue
		}
		s.seen[name] = true
		s.find(name, append(dirs, s.standardDirs()...))
	}
}

// runPath is where an object itself says to look.
func runPath(image *elf.File, dir string) []string {
	var dirs []string
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		lists, _ := image.DynString(tag)
		for _, list := range lists {
			for d := range strings.SplitSeq(list, ":") {
				dirs = append(dirs, strings.NewReplacer("$ORIGIN", dir, "${ORIGIN}", dir).Replace(d))
			}
		}
	}
	return dirs[:min(len(dirs), maxNeeded)]
}

// standardDirs are those of the distribution, ld.so(8) and ldconfig's files.
func (s *librarySearch) standardDirs() []string {
	if s.standard != nil {
		return s.standard
	}
	s.standard = []string{}
	files, _ := filepath.Glob(filepath.Join(s.root, "etc/ld.so.conf.d/*.conf"))
	for _, file := range files[:min(len(files), maxNeeded)] {
		s.standard = append(s.standard, confDirs(file)...)
	}
	s.standard = append(s.standard, "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")
	return s.standard
}

const maxConf = 64 << 10

func confDirs(file string) (dirs []string) {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	for in := bufio.NewScanner(io.LimitReader(f, maxConf)); in.Scan(); {
		if line := strings.TrimSpace(in.Text()); strings.HasPrefix(line, "/") {
			dirs = append(dirs, line)
		}
	}
	return dirs
}

// find enters the first library of this name.
func (s *librarySearch) find(name string, dirs []string) {
	if strings.Contains(name, "/") {
		name, dirs = path.Base(name), []string{path.Dir(name)}
	}
	for _, dir := range dirs {
		inside := resolveBelow(s.root, path.Join(dir, name))
		file := s.root + inside
		var st unix.Stat_t
		if unix.Lstat(file, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		id := FileID{Dev: s.kernelDev, Ino: st.Ino, MtimeSec: st.Mtim.Sec}
		if st.Dev != s.statDev {
			id.Dev = uint64(unix.Major(st.Dev))<<20 | uint64(unix.Minor(st.Dev))
		}
		s.found = append(s.found, Executable{id, FileHint{PID: s.pid, Path: inside, Size: st.Size}})
		s.queue = append(s.queue, library{file, path.Dir(inside)})
		return
	}
}

// maxLinks is the kernel's own limit (MAXSYMLINKS).
const maxLinks = 40

// resolveBelow follows the symbolic links of a path as a process with this root would, and returns where it leads.
func resolveBelow(root, name string) string {
	done, rest := "/", name
	for links := 0; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(strings.TrimLeft(rest, "/"), "/")
		next := path.Join(done, part) // never above the root
		target, err := os.Readlink(root + next)
		if err != nil {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return next
		}
		if path.IsAbs(target) {
			done = "/"
		}
		rest = target + "/" + rest
	}
	return done
}
