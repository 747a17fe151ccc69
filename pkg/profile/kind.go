package profile

import (
	"path"
	"regexp"
	"strings"

	"github.com/google/pprof/profile"
)

// A Kind says what a frame is code of, as far as pprof data tell: by the file of
// the mapping, then of the function, then by the look of the name.
type Kind uint8

// Kinds of frames. Process is not found in a stack: renderers use it for the
// thread name that they put at its root.
const (
	KindNative Kind = iota // machine code of unknown language
	KindC
	KindCPP
	KindRust
	KindGo
	KindJIT
	KindInterpreter
	KindInlined // a call that the compiler replaced with the callee's body
	KindKernel
	KindVDSO
	KindMarker
	KindProcess
	NumKinds = iota
)

// String returns the lower-case name of k as legends show it.
func (k Kind) String() string {
	names := [NumKinds]string{
		"native", "C", "C++", "Rust", "Go", "JIT", "interpreter", "inlined", "kernel", "vDSO", "marker", "process",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// KindOf returns the kind of line i of l, where line 0 is the innermost. For a
// location without lines i is 0.
func KindOf(l *profile.Location, i int) Kind {
	var fn *profile.Function
	if i < len(l.Line) {
		fn = l.Line[i].Function
	}
	if k, ok := mappingKind(l); ok {
		return k
	}
	if fn == nil {
		return KindNative
	}
	if l.Mapping == nil && l.Address == 0 && bracketed(fn.Name) {
		return KindMarker
	}
	if i < len(l.Line)-1 {
		return KindInlined
	}
	if k, ok := fileKind(fn.Filename); ok {
		return k
	}
	return nameKind(fn)
}

func bracketed(s string) bool { return strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") }

var (
	jitFile    = regexp.MustCompile(`^(/tmp/)?perf-\d+\.map$|jitted-\d+|doublemapper|^//anon`)
	kernelFile = regexp.MustCompile(`^\[(guest\.)?kernel|/vmlinux|^vmlinux|\.ko(\.(xz|gz|zst))?$`)
)

// kernelHalf is the first address of the upper half on amd64 and arm64.
const kernelHalf = 1 << 63

func mappingKind(l *profile.Location) (Kind, bool) {
	file := ""
	if l.Mapping != nil {
		file = l.Mapping.File
	}
	switch {
	case kernelFile.MatchString(file):
		return KindKernel, true
	case strings.HasPrefix(file, "[vdso") || strings.HasPrefix(file, "[vsyscall") || strings.HasPrefix(file, "linux-vdso"):
		return KindVDSO, true
	case file == JITMapping || file == "[anon]" || jitFile.MatchString(file):
		return KindJIT, true
	case file == "[python]" || file == "[ruby]" || file == "[perl]" || file == "[php]" || file == "[interpreter]":
		return KindInterpreter, true
	case l.Address >= kernelHalf && (file == "" || bracketed(file)): // modules are [ext4] to perf
		return KindKernel, true
	}
	return 0, false
}

func fileKind(file string) (Kind, bool) {
	if goAssembly.MatchString(file) {
		return KindGo, true
	}
	switch path.Ext(file) {
	case ".go":
		return KindGo, true
	case ".rs":
		return KindRust, true
	case ".cc", ".cpp", ".cxx", ".c++", ".C", ".hh", ".hpp", ".hxx", ".tcc", ".cu":
		return KindCPP, true
	case ".c":
		return KindC, true
	case ".py", ".rb", ".pl", ".pm", ".php", ".lua", ".js", ".mjs", ".cjs", ".ts", ".R":
		return KindInterpreter, true
	case ".java", ".scala", ".kt", ".groovy", ".clj":
		return KindJIT, true
	}
	return 0, false
}

var (
	goAssembly = regexp.MustCompile(`(^|[/_])(asm|amd64|arm64)[0-9_a-z]*\.s$`)
	rustName   = regexp.MustCompile(`::h[0-9a-f]{16}$|^<.* as .*>::|^(core|alloc|tokio|hyper)::|\{\{closure\}\}|\{closure#\d+\}`)
	rustSym    = regexp.MustCompile(`^_R[A-Z]|^_ZN.*17h[0-9a-f]{16}E`)
	goName     = regexp.MustCompile(`^((runtime|main|syscall|sync|reflect|bufio|bytes|fmt|io|net|os|sort|strconv|strings|time)\.|type:\.)` +
		`|^[\w.~%-]+(/[\w.~%-]+)+\.[\w(*]|^[a-z]\w*\.\(\*\w+`)
)

func nameKind(fn *profile.Function) Kind {
	name, system := fn.Name, fn.SystemName
	switch {
	case rustSym.MatchString(system) || rustName.MatchString(name):
		return KindRust
	case strings.HasPrefix(system, "_Z") || strings.Contains(name, "::"):
		return KindCPP
	case goName.MatchString(name):
		return KindGo
	}
	switch path.Ext(fn.Filename) {
	case ".h", ".S", ".s":
		return KindC
	}
	return KindNative
}
