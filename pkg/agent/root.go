package agent

import (
	"strings"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// entryBytes is more than the code of any _start: crt1.o's is 38 bytes on amd64, 56 on arm64.
const entryBytes = 96

// atEntry reports whether addr is in the few instructions at an object's entry point.
func atEntry(entry, addr uint64) bool {
	return entry != 0 && addr >= entry && addr-entry < entryBytes
}

// roots are the functions where threads start: of the C libraries (glibc, musl), the loader and Go's runtime.
var roots = map[string]bool{
	"_start": true, "_dl_start_user": true, "__start": true,
	"clone": true, "__clone": true, "clone3": true, "__clone3": true, "__clone_internal": true,
	"start_thread": true, "thread_start": true,
	"runtime.goexit": true, "runtime.goexit.abi0": true, "runtime.goexit0": true, "runtime.goexit1": true,
	"runtime.mstart": true, "runtime.mstart.abi0": true, "runtime.mstart0": true, "runtime.mstart1": true,
	"runtime.rt0_go": true, "runtime.rt0_go.abi0": true, "runtime.clone": true, "runtime.clone.abi0": true,
	"runtime.mcall": true, "runtime.mcall.abi0": true, "runtime.morestack": true, "runtime.morestack.abi0": true,
	"runtime.sigreturn__sigaction": true, "runtime.sigreturn__sigaction.abi0": true,
}

// isRoot reports whether a thread may start in the outermost function of frames. Go's runtime.mcall, morestack and its
// signal trampoline are roots too: what runs on a thread's own stack after them has no caller there.
func isRoot(frames []profile.Frame) bool {
	if len(frames) == 0 {
		return false
	}
	name := frames[len(frames)-1].Name
	return roots[name] || strings.HasPrefix(name, "_rt0_")
}
