package preload

import "debug/elf"

// Refuses tells why a program cannot be given the helper; "" if nothing speaks against it, or if the file cannot be read.
// The dynamic linker is not asked: what it does by itself, such as for a setuid program, is no reason here.
func Refuses(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		return "" // a script: its interpreter takes the helper
	}
	defer f.Close()
	static := true
	for _, p := range f.Progs {
		static = static && p.Type != elf.PT_INTERP
	}
	if static {
		return "is a static program: no library can be put in front of its own functions"
	}
	if f.Class != elf.ELFCLASS64 {
		return "is a program of 32 bits"
	}
	return ""
}
