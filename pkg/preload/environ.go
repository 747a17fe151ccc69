package preload

import "strings"

// Environ returns an environment with the helper in front of what LD_PRELOAD is there. AddressSanitizer ends a program in
// which its runtime is not the first library, unless it is told not to look.
func (f *File) Environ(environ []string) []string {
	out := make([]string, 0, len(environ)+2)
	preload, asan := f.Path, "verify_asan_link_order=0"
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case name == "LD_PRELOAD" && value != "":
			preload = f.Path + ":" + value
		case name == "ASAN_OPTIONS" && value != "":
			asan = value + ":verify_asan_link_order=0"
		}
		if name != "LD_PRELOAD" && name != "ASAN_OPTIONS" {
			out = append(out, entry)
		}
	}
	return append(out, "LD_PRELOAD="+preload, "ASAN_OPTIONS="+asan)
}
