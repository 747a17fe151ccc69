package agent

import (
	"reflect"
	"slices"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// A waker's frames are on top of the stack that waited, leaf first, in the objects of its own process.
func TestWakerOnTop(t *testing.T) {
	st := newStacks()
	o := newObjects(proc.FS{})
	s := sampleOf(loader.EndComplete, []uint64{0x1100, 0x2200}, loader.VMA{Start: 0x1000, End: 0x9000, File: loader.FileID{Ino: 1}})
	s.Kernel = []uint64{0xffffffff81000010}
	alone := st.add(s, o)
	// The same addresses are of another file in the waker's process.
	s.Waker = sampleOf(loader.EndNoUnwindInfo, []uint64{0x1300, 0x2200}, loader.VMA{Start: 0x1000, End: 0x9000, File: loader.FileID{Ino: 2}})
	s.Waker.Kernel = []uint64{0xffffffff81000040, 0xffffffff81000050}
	woken := st.addWoken(s, 7, o)
	if woken == alone || st.addWoken(s, 7, o) != woken || st.addWoken(s, 8, o) == woken {
		t.Errorf("stacks %d alone and %d woken", alone, woken)
	}
	var got []frame // root first
	for at := st.list[woken].leaf; at != 0; at = st.nodes[at].parent {
		got = append(got, st.nodes[at].frame)
	}
	slices.Reverse(got)
	marker := newFrame(wakerIndex, uint64(loader.EndNoUnwindInfo)<<wakerEndShift|7)
	want := []frame{
		newFrame(firstFile, 0x1200), newFrame(firstFile, 0x100), frame(0xffffffff81000010), marker,
		frame(0xffffffff81000040), frame(0xffffffff8100004f), newFrame(firstFile+1, 0x300), newFrame(firstFile+1, 0x1200),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("frames %#x, want %#x", got, want)
	}
	if st.list[woken].end != loader.EndComplete {
		t.Errorf("the stack ended %s: that is its waker's", st.list[woken].end)
	}
}

// What a waker does says nothing of why the other waits.
func TestWakerIsNotIdle(t *testing.T) {
	frames := func(names ...string) (all []*place) {
		for _, n := range names {
			all = append(all, &place{LiveLocation: markerLocation(n)})
		}
		return all
	}
	comms := []string{"", "worker"}
	marker := wakerPlaces(comms, []frame{newFrame(wakerIndex, 1), newFrame(wakerIndex, uint64(loader.EndUnreadable)<<wakerEndShift|1)})
	if a, b := marker[0].Frames[0].Name, marker[1].Frames[0].Name; a != "[waker: worker]" || b != "[waker: worker, unreadable]" {
		t.Errorf("%s and %s", a, b)
	}
	st := namedStack{places: slices.Concat(frames("runtime.findRunnable", "try_to_wake_up"), marker[:1], frames("futex_wait", "main.work"))}
	if got := slices.Collect(st.functions); !slices.Equal(got, []string{"futex_wait", "main.work"}) {
		t.Errorf("functions %v", got)
	}
	if parked(st.functions) {
		t.Error("the wait counts as idle for what its waker did")
	}
}
