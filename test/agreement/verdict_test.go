package main

import (
	"slices"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

func TestCallsOfASignal(t *testing.T) {
	frames := []frame{{pc: 100}, {pc: 200}, {pc: 300, signal: true}, {pc: 400}, {pc: 500}}
	if got, want := calls(frames), []uint64{100, 199, 300, 400, 499}; !slices.Equal(got, want) {
		t.Errorf("calls %d, want %d", got, want)
	}
}

func TestCompare(t *testing.T) {
	gdb := thread{Frames: []frame{{pc: 100}, {pc: 200}, {pc: 300}}}
	for _, c := range []struct {
		user   []uint64
		end    loader.End
		want   verdict
		agreed int
	}{
		{[]uint64{100, 199, 299}, loader.EndComplete, same, 3},
		{[]uint64{100, 199, 299}, loader.EndNoUnwindInfo, same, 3},
		{[]uint64{100, 299}, loader.EndComplete, differ, 1},
		{[]uint64{100, 199}, loader.EndComplete, ended, 2},
		{[]uint64{100, 199}, loader.EndNoUnwindInfo, short, 2},
		{[]uint64{100, 199, 299, 399}, loader.EndComplete, further, 3},
		{[]uint64{101, 199, 299}, loader.EndComplete, noSample, 0},
		{nil, loader.EndNoMapping, short, 0},
	} {
		p := pair{thread: gdb, walk: walk{user: c.user, end: c.end}, found: true}
		if v, agreed := compare(p); v != c.want || agreed != c.agreed {
			t.Errorf("%d, %s: %s after %d, want %s after %d", c.user, c.end, v, agreed, c.want, c.agreed)
		}
	}
}

// A deep stack keeps its leaf and its root: the frames between are not compared.
func TestCompareWithGap(t *testing.T) {
	var gdb thread
	var user []uint64
	for i := range uint64(2 * loader.GapAt) {
		gdb.Frames = append(gdb.Frames, frame{pc: i + 1})
		if i == 0 || i < loader.GapAt || i >= loader.GapAt+100 {
			user = append(user, max(i, 1))
		}
	}
	user[0] = 1
	p := pair{thread: gdb, walk: walk{user: user, skipped: 100}, found: true}
	if v, _ := compare(p); v != same {
		t.Errorf("%s, want the same", v)
	}
}
