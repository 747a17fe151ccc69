package main

import "github.com/ebpfprof/ebpfprof/pkg/loader"

// A verdict says how two stacks compare.
type verdict int

const (
	same     verdict = iota
	differ           // a frame's caller is another
	short            // ours ends where gdb's goes on, and says that something is missing
	ended            // ours ends at what it takes for the root, where gdb's goes on
	further          // ours goes on where gdb's ends
	noSample         // no sample of this stop: it says nothing of the walk
)

func (v verdict) String() string {
	return [...]string{"same", "another caller", "ours is incomplete", "ours ends, gdb's goes on", "gdb's ends, ours goes on",
		"no sample"}[v]
}

// calls are the addresses that the walker must find: those of calls, but for the leaf, for a signal's frame and
// for what it interrupted.
func calls(frames []frame) []uint64 {
	var out []uint64
	for i, f := range frames {
		if i == 0 || f.signal || frames[i-1].signal {
			out = append(out, f.pc)
		} else {
			out = append(out, f.pc-1)
		}
	}
	return out
}

// compare returns how many frames agree, from the leaf.
func compare(p pair) (v verdict, agreed int) {
	theirs, ours := calls(p.thread.Frames), p.walk.user
	if !p.found || len(ours) > 0 && len(theirs) > 0 && ours[0] != theirs[0] {
		return noSample, 0
	}
	if n := p.walk.skipped; n > 0 && len(theirs) == len(ours)+n {
		theirs = append(theirs[:loader.GapAt:loader.GapAt], theirs[loader.GapAt+n:]...)
	}
	for agreed < min(len(ours), len(theirs)) && ours[agreed] == theirs[agreed] {
		agreed++
	}
	switch {
	case agreed == len(ours) && agreed == len(theirs):
		return same, agreed
	case agreed == len(ours) && p.walk.end.Complete():
		return ended, agreed
	case agreed == len(ours):
		return short, agreed
	case agreed == len(theirs):
		return further, agreed
	}
	return differ, agreed
}
