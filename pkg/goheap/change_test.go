package goheap

import (
	"reflect"
	"testing"
)

// heapOfRecords is a heap in which every allocation was sampled.
func heapOfRecords(records ...HeapRecord) *Heap { return &Heap{Rate: 1, Depth: 128, Records: records} }

func record(pc uint64, allocs, frees, size int64) HeapRecord {
	return HeapRecord{Stack: []uint64{pc, 1}, AllocObjects: allocs, FreeObjects: frees, AllocBytes: allocs * size, FreeBytes: frees * size}
}

// Sizes of one stack are summed up, a new stack counts as a whole, what is freed makes the heap smaller.
func TestChanges(t *testing.T) {
	before := heapOfRecords(record(7, 10, 2, 16), record(7, 1, 0, 1000), record(8, 5, 0, 8), record(9, 4, 0, 4))
	after := heapOfRecords(record(6, 3, 1, 100), record(7, 12, 9, 16), record(7, 4, 1, 1000), record(8, 5, 5, 8), record(9, 4, 0, 4))
	var got [][]int64
	for _, c := range after.changes(before) {
		got = append(got, append([]int64{int64(c.stack[0])}, c.values[:]...))
	}
	want := [][]int64{
		{6, 3, 300, 2, 200},
		{7, 2 + 3, 32 + 3000, -5 + 2, -80 + 2000},
		{8, 0, 0, -5, -40},
		{9, 0, 0, 0, 0},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("changes\n%v, want\n%v", got, want)
	}
}

// What was sampled at one rate is scaled by it: 100 of 512 bytes at 512 KiB stand for 102,450.
func TestChangesAreScaled(t *testing.T) {
	before, after := heapOfRecords(record(7, 100, 0, 512)), heapOfRecords(record(7, 200, 100, 512))
	before.Rate, after.Rate = 512<<10, 512<<10
	c := after.changes(before)
	if len(c) != 1 || c[0].values[0] != 102_450 || c[0].values[2] != 0 {
		t.Errorf("%+v, want 100 / (1 - exp(-512/524288)) allocations and the same in use", c)
	}
}

// A torn record that has lost allocations is no allocation less than none.
func TestChangesOfTornRecord(t *testing.T) {
	c := heapOfRecords(record(7, 3, 0, 10)).changes(heapOfRecords(record(7, 5, 0, 10)))
	if c[0].values != [4]int64{0, 0, -2, -20} {
		t.Errorf("%v", c[0].values)
	}
}
