package symbolize

import (
	"strings"
	"unicode/utf8"

	"github.com/ianlancetaylor/demangle"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

const (
	// maxMangled bounds what is given to the demangler: it recurses with the depth
	// of the name, and substitutions make its work grow faster than its input.
	maxMangled = 4 << 10
	// maxDemangledPow bounds its output, as a power of two.
	maxDemangledPow = 13
)

// Demangle returns the readable form of a C++ or Rust (legacy and v0) symbol, with
// template arguments but without function parameters, and any other name
// unchanged. The result is valid UTF-8 without control characters and at most
// 8 KiB long.
func Demangle(name string) string {
	if len(name) > maxName {
		name = name[:maxName]
	}
	if !mangled(name) || len(name) > maxMangled {
		return sanitize(name)
	}
	// Clone suffixes (".cold", ".part.0") tell apart code that is apart; NoParams
	// drops them, so they are put back.
	base, suffix := name, ""
	if i := strings.IndexByte(name, '.'); i > 0 && !strings.HasPrefix(name[i:], ".llvm.") {
		base, suffix = name[:i], name[i:]
	}
	if s, err := demangle.ToString(base, demangle.NoParams, demangle.MaxLength(maxDemangledPow)); err == nil && s != "" {
		return sanitize(s + suffix)
	}
	if s, err := demangle.ToString(name, demangle.NoParams, demangle.MaxLength(maxDemangledPow)); err == nil && s != "" {
		return sanitize(s)
	}
	return sanitize(name)
}

func mangled(name string) bool {
	return strings.HasPrefix(name, "_Z") || strings.HasPrefix(name, "_R") ||
		strings.HasPrefix(name, "___Z") || strings.HasPrefix(name, "_GLOBAL_")
}

// sanitize makes a name from an untrusted file fit for a terminal and a text
// format: invalid UTF-8 and control characters become U+FFFD.
func sanitize(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || (r >= 0x7f && r < 0xa0) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

// symbolFrame makes the frame of a symbol without line information.
func symbolFrame(symbol string) profile.Frame {
	f := profile.Frame{Name: Demangle(symbol)}
	if s := sanitize(symbol); s != f.Name {
		f.SystemName = s
	}
	return f
}
