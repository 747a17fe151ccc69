package profile

import "time"

// A LiveLocation is one address of a stack with its names, innermost first. The zero Mapping means that the module is
// unknown; a marker such as "[truncated]" has neither Mapping nor Addr.
type LiveLocation struct {
	Mapping Mapping
	Addr    uint64
	Frames  []Frame
}

// A LiveStack is a named stack, leaf first. It is never changed, nor are its locations, which stacks share: a location
// has ten times the size of a pointer, and a busy machine has tens of thousands of stacks. The same pointer means the same
// stack, or location; the same one may come with another pointer later, when memory was reclaimed.
type LiveStack struct {
	Locations []*LiveLocation
	Reason    string // why the stack is not complete; "" when it is
}

// A LiveSample counts a stack of a thread in one bucket of time.
type LiveSample struct {
	Bucket    time.Time // start of a bucket of LiveBucket
	Service   string
	Labels    map[string]string // of the series; shared, never changed
	Comm      string
	PID, TID  int
	Container string
	Extra     Extra // what the kind adds
	Stack     *LiveStack
	Count     int64 // events
	Value     int64 // in the kind's unit
}

// LiveBucket is the resolution in time of live samples: a heatmap of a second has 50 columns.
const LiveBucket = 20 * time.Millisecond

// A LiveBatch is what happened of one kind between two moments. Readers share it: nobody changes it.
type LiveBatch struct {
	Kind       string
	Unit       string // of Value: "nanoseconds", "count", ...
	Start, End time.Time
	Fired      uint64
	Lost       uint64 // of Fired, in no sample
	Samples    []LiveSample
	// Missed counts the batches before this one that this reader did not get because it was slow.
	Missed uint64
}
