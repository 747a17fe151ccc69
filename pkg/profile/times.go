package profile

import (
	"time"

	"github.com/google/pprof/profile"
)

// Times tell when the samples of a profile were taken, in buckets: what pprof has no place for.
type Times struct {
	Base   time.Time // start of bucket 0
	Bucket time.Duration
	Of     map[*profile.Sample][]TimeCount
	// Left counts events that are in the profile but have no time, as there was no room for more.
	Left int64
}

// A TimeCount is a part of a sample's default value.
type TimeCount struct {
	Bucket int32
	Value  int64
}
