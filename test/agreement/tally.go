package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A tally counts verdicts. What is not compared has a count as well.
//
// A backtrace of gdb's that goes on in memory that is not executable is wrong whatever is right: it is counted as astray,
// is not in the percentage, and is listed like any other disagreement. It is doubtful when ours is no better by another
// measure.
type tally struct {
	name     string
	exclude  *regexp.Regexp // names of threads; nil: none
	names    *names
	compared int // stacks
	same     int
	astray   int // of those that differ: gdb takes something that is no code for a caller
	doubtful int // of those again: not all of our callers are after calls either
	frames   int
	guessed  int
	distinct map[string]bool
	again    int // the thread had not moved since its last stop
	excluded int
	jit      int // it has frames without a file
	unpaired int
	cases    map[string]*disagreement
}

type disagreement struct {
	count   int
	example string
}

func newTally(name string, exclude *regexp.Regexp, n *names) *tally {
	return &tally{name: name, exclude: exclude, names: n, distinct: map[string]bool{}, cases: map[string]*disagreement{}}
}

func (t *tally) add(p pair) {
	switch {
	case t.exclude != nil && t.exclude.MatchString(p.thread.Name):
		t.excluded++
		return
	case p.again:
		t.again++
		return
	case p.walk.jit:
		t.jit++
		return
	}
	v, agreed := compare(p)
	if v == noSample {
		t.unpaired++
		return
	}
	t.compared++
	t.frames += len(p.walk.user)
	if p.walk.guessed {
		t.guessed++
	}
	t.distinct[fmt.Sprint(p.walk.user)] = true
	if v == same {
		t.same++
		return
	}
	key := fmt.Sprintf("%s after %s", v, t.at(p.walk.user, agreed-1))
	if how := t.astrayAt(p, v, agreed); how != "" {
		t.astray++
		key += ", " + how
		if !t.called(p.walk.user, agreed) {
			t.doubtful++
			key += ", ours not all after calls"
		}
	}
	if v == short {
		key += ", " + p.walk.end.String()
	}
	if p.walk.guessed {
		key += ", guessed"
	}
	c := t.cases[key]
	if c == nil {
		c = &disagreement{example: t.example(p, agreed)}
		t.cases[key] = c
	}
	c.count++
}

// astrayAt says how gdb is wrong, "" if it may be right: the first of its frames that ours does not have is no code; or
// ours ends where the table says that a thread's root is, as at Go's mstart, and gdb gets to what is no code later.
func (t *tally) astrayAt(p pair, v verdict, agreed int) string {
	noCode := func(addr uint64) bool { return !t.names.code(addr) }
	rest := calls(p.thread.Frames)[min(agreed, len(p.thread.Frames)):]
	switch {
	case len(rest) > 0 && noCode(rest[0]):
		return "gdb astray"
	case v == ended && p.walk.certain && slices.ContainsFunc(rest, noCode):
		return "a root by its rule, gdb astray later"
	}
	return ""
}

// called reports whether each frame from the first one that gdb does not have lies in a call. Go's root does not: a
// goroutine begins as if goexit had called it (runtime/proc.go, newproc1).
func (t *tally) called(addrs []uint64, first int) bool {
	for _, addr := range addrs[max(first, 1):] {
		if !afterCall(t.names.pid, addr) && !strings.HasPrefix(t.names.name(addr), "runtime.goexit ") {
			return false
		}
	}
	return true
}

func (t *tally) at(addrs []uint64, i int) string {
	if i < 0 || i >= len(addrs) {
		return "-"
	}
	return t.names.name(addrs[i])
}

// example shows both stacks around the place where they part.
func (t *tally) example(p pair, agreed int) string {
	var b strings.Builder
	theirs := calls(p.thread.Frames)
	for _, side := range []struct {
		name  string
		addrs []uint64
	}{{"ours", p.walk.user}, {"gdb", theirs}} {
		fmt.Fprintf(&b, "      %-4s %d frames:", side.name, len(side.addrs))
		for i := max(0, agreed-2); i < min(len(side.addrs), agreed+3); i++ {
			fmt.Fprintf(&b, " > %#x %s", side.addrs[i], t.at(side.addrs, i))
		}
		b.WriteByte('\n')
	}
	if p.thread.Broken != "" {
		fmt.Fprintf(&b, "      gdb gave up: %s\n", p.thread.Broken)
	}
	return b.String()
}

// write prints one line, which agreement.sh adds up, and each kind of disagreement below it.
func (t *tally) write(w io.Writer) {
	fmt.Fprintf(w, "%-9s %6d stacks %6d same %5d astray %4d doubtful %8.3f %%  %5d distinct %5.1f frames %4d guessed; not compared: "+
		"%d unmoved %d excluded %d jit %d without a sample\n", t.name, t.compared, t.same, t.astray, t.doubtful,
		100*float64(t.same)/float64(max(1, t.compared-t.astray)), len(t.distinct), float64(t.frames)/float64(max(1, t.compared)),
		t.guessed, t.again, t.excluded, t.jit, t.unpaired)
	keys := slices.SortedFunc(maps.Keys(t.cases), func(a, b string) int { return cmp.Compare(t.cases[b].count, t.cases[a].count) })
	for _, k := range keys {
		fmt.Fprintf(w, "   %5d %s\n%s", t.cases[k].count, k, t.cases[k].example)
	}
}
