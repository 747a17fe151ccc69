// Package allocator finds the functions of an object file that allocate and free memory, what their arguments mean, and
// where a probe on each goes.
package allocator

import "strings"

// A Size says how a function's arguments make the bytes that are asked for.
type Size uint8

// Sizes. NoSize: the function frees.
const (
	NoSize Size = iota
	Arg0
	Arg1
	Arg2
	Arg0Arg1 // their product
	Arg1Arg2
)

// args is how many integer arguments a size is made of, counted from the first one.
func (s Size) args() int {
	switch s {
	case Arg1, Arg0Arg1:
		return 2
	case Arg2, Arg1Arg2:
		return 3
	}
	return 1
}

// A Role is what a function does, as far as its arguments tell.
type Role struct {
	Size  Size
	Frees bool // what its first argument points to, unless that is 0: free and realloc
	// New: a C++ operator. Where the file's allocator is only malloc's family, it calls malloc.
	New bool
}

// roles are the names of C (C23 7.24.3, and what C libraries add), of jemalloc's and mimalloc's own interfaces, without
// their prefixes.
func roles() map[string]Role {
	return map[string]Role{
		"malloc": {Size: Arg0}, "calloc": {Size: Arg0Arg1}, "realloc": {Size: Arg1, Frees: true},
		"reallocarray": {Size: Arg1Arg2, Frees: true}, "reallocf": {Size: Arg1, Frees: true},
		"posix_memalign": {Size: Arg2}, "aligned_alloc": {Size: Arg1}, "memalign": {Size: Arg1},
		"valloc": {Size: Arg0}, "pvalloc": {Size: Arg0},
		"free": {Frees: true}, "cfree": {Frees: true}, "free_sized": {Frees: true}, "free_aligned_sized": {Frees: true},
		// jemalloc(3)
		"mallocx": {Size: Arg0}, "rallocx": {Size: Arg1, Frees: true}, "dallocx": {Frees: true}, "sdallocx": {Frees: true},
		// mimalloc.h
		"zalloc": {Size: Arg0}, "mallocn": {Size: Arg0Arg1}, "malloc_small": {Size: Arg0}, "zalloc_small": {Size: Arg0},
		"malloc_aligned": {Size: Arg0}, "zalloc_aligned": {Size: Arg0}, "calloc_aligned": {Size: Arg0Arg1},
		"realloc_aligned": {Size: Arg1, Frees: true}, "reallocn": {Size: Arg1Arg2, Frees: true},
		"new": {Size: Arg0}, "new_nothrow": {Size: Arg0}, "new_aligned": {Size: Arg0}, "new_aligned_nothrow": {Size: Arg0},
		"free_size": {Frees: true}, "free_size_aligned": {Frees: true}, "free_aligned": {Frees: true},
		// gperftools' tcmalloc.h
		"newarray": {Size: Arg0}, "newarray_nothrow": {Size: Arg0}, "delete": {Frees: true}, "deletearray": {Frees: true},
	}
}

// own are the names of roles that mean an allocator only behind a prefix: a program may well have a function "new".
func own(name string) bool {
	switch name {
	case "zalloc", "mallocn", "malloc_small", "zalloc_small", "malloc_aligned", "zalloc_aligned", "calloc_aligned",
		"realloc_aligned", "reallocn", "new", "new_nothrow", "new_aligned", "new_aligned_nothrow", "free_size", "free_size_aligned", "free_aligned",
		"newarray", "newarray_nothrow", "delete", "deletearray":
		return true
	}
	return false
}

// A prefix is how a build of an allocator names its functions.
type prefix struct {
	text   string
	family string
}

func prefixes() []prefix {
	return []prefix{
		{"_rjem_", "jemalloc"}, {"je_", "jemalloc"}, {"tc_", "tcmalloc"}, {"mi_", "mimalloc"}, {"__libc_", ""}, {"", ""},
	}
}

// lookup tells what a symbol's name means; family is "" where the name alone does not tell whose it is.
func lookup(table map[string]Role, symbol string) (role Role, family string, ok bool) {
	if role, ok := operator(symbol); ok {
		return role, "", true
	}
	for _, p := range prefixes() {
		bare, has := strings.CutPrefix(symbol, p.text)
		if !has {
			continue
		}
		if role, ok := table[bare]; ok && (p.family != "" || !own(bare)) {
			return role, p.family, true
		}
	}
	return Role{}, "", false
}

// operator knows C++'s operators new and delete in all forms (Itanium C++ ABI 5.1.5: nw, na, dl, da). On 32-bit
// machines the size is j; those have no 64-bit processes.
func operator(symbol string) (Role, bool) {
	rest, ok := strings.CutPrefix(symbol, "_Z")
	switch {
	case !ok:
		return Role{}, false
	case strings.HasPrefix(rest, "nwm"), strings.HasPrefix(rest, "nam"):
		if tail := rest[3:]; tail == "" || tail == "RKSt9nothrow_t" || tail == "St11align_val_t" || tail == "St11align_val_tRKSt9nothrow_t" {
			return Role{Size: Arg0, New: true}, true
		}
	case strings.HasPrefix(rest, "dlPv"), strings.HasPrefix(rest, "daPv"):
		return Role{Frees: true, New: true}, true
	}
	return Role{}, false
}
