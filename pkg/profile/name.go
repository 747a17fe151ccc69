package profile

import (
	"strconv"
	"strings"

	"github.com/google/pprof/profile"
)

// Name returns the name that outputs show for line i of l: the function's, or
// module+0xaddress where there is none.
func Name(l *profile.Location, i int) string {
	if i < len(l.Line) && l.Line[i].Function != nil {
		if f := l.Line[i].Function; f.Name != "" {
			return f.Name
		} else if f.SystemName != "" {
			return f.SystemName
		}
	}
	addr := "0x" + strconv.FormatUint(l.Address, 16)
	if m := Module(l); m != "" {
		return m + "+" + addr
	}
	return addr
}

// Module returns the last element of the path of l's mapping, "[kernel]" and the
// like as they are, or "" when there is none.
func Module(l *profile.Location) string {
	if l.Mapping == nil {
		return ""
	}
	return Basename(l.Mapping.File)
}

// Basename returns the last element of file, except that a pseudo file such as
// "[anon: a/b]" is kept whole.
func Basename(file string) string {
	if bracketed(file) {
		return file
	}
	file = strings.TrimSuffix(file, " (deleted)")
	return file[strings.LastIndexByte(file, '/')+1:]
}
