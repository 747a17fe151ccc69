package server

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxShown = 200  // bytes of a name on the page and in messages
	maxName  = 1024 // bytes of a name of code in JSON: a target must not make an answer grow by what it calls itself
)

// visible returns a name fit to be shown among others: nothing in it acts on a terminal or turns the direction of text.
func visible(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x20:
			return 0x2400 + r // the character's picture
		case r == 0x7f:
			return 0x2421
		case !unicode.IsGraphic(r):
			return utf8.RuneError
		}
		return r
	}, cut(name, maxShown))
}

// cut returns name as valid UTF-8 of at most n bytes, with a sign where something is missing.
func cut(name string, n int) string {
	if len(name) > n {
		n -= len("…")
		for n > 0 && !utf8.RuneStart(name[n]) {
			n--
		}
		name = name[:n] + "…"
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}

// fileName joins parts to a name that is safe in a header and on every file system.
func fileName(extension string, parts ...string) string {
	name := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_') {
			return r
		}
		return '_'
	}, strings.Join(parts, "-"))
	return "ebpfprof-" + name[:min(len(name), 80)] + extension
}
