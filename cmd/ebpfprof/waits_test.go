package main

import (
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// Each of the kernel's buckets is in the one whose bounds are around it.
func TestQueued(t *testing.T) {
	for i := range loader.RunqueueBuckets {
		times := loader.Times{}
		times.Runqueue[i] = 3
		times.In[loader.Runqueue] = 2 * time.Second
		h := queued(&times)
		at := -1
		for bucket, n := range h.Counts {
			if n == 3 {
				at = bucket
			}
		}
		begin := loader.RunqueueBucket(i).Seconds()
		if at < 0 || at < len(h.Bounds) && begin >= h.Bounds[at] || at > 0 && begin < h.Bounds[at-1] {
			t.Errorf("what begins at %g s is in bucket %d of %v", begin, at, h.Bounds)
		}
		if h.Sum != 2 {
			t.Errorf("sum %g", h.Sum)
		}
	}
}
