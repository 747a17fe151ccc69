package server

import (
	"context"
	"iter"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A History holds the profiles of the past. Its methods are safe for concurrent use. An unknown service, or a time of
// which nothing is known, is no error but an empty answer.
type History interface {
	// Series returns the series of a kind with a window that overlaps [from, to).
	Series(ctx context.Context, kind string, from, to time.Time) ([]profile.Series, error)
	// Timeline returns what was measured in each of the query's buckets, oldest first.
	Timeline(ctx context.Context, q TimelineQuery) ([]TimelineBucket, error)
	// Profile merges every window of the query into a valid profile, which then belongs to the caller. Where there is
	// none, it is an empty profile or nil.
	Profile(ctx context.Context, q Query) (*pprof.Profile, Coverage, error)
}

// A Query selects windows of one kind.
type Query struct {
	Kind     string
	Service  string            // "": all
	Labels   map[string]string // of the series; each must be equal
	From, To time.Time
}

// A TimelineQuery divides [From, To) into Buckets parts of equal length.
type TimelineQuery struct {
	Kind     string
	Service  string // "": all
	From, To time.Time
	Buckets  int
}

// A TimelineBucket sums the windows of one part of a timeline.
type TimelineBucket struct {
	Value   int64  // in the kind's unit
	Lost    uint64 // events of all services that are in no profile
	Covered bool   // false: nothing is known of this time, which is not the same as zero
}

// Coverage says what a merged profile is of.
type Coverage struct {
	From, To time.Time     // of the windows that were merged, which may reach beyond the query; zero without any
	Covered  time.Duration // their length together, without gaps
	Windows  int
	Lost     uint64 // events of all services in that time that are in no profile
	Skipped  int    // windows that could not be read
}

// A Feed delivers what is sampled now.
type Feed interface {
	// Subscribe returns a channel of batches of a kind, some four a second, and what ends them. The channel is closed
	// when the feed ends. Who reads slowly misses batches, and is told so in the next one. It fails for a kind that is
	// not sampled.
	Subscribe(kind string) (<-chan *profile.LiveBatch, func(), error)
	// Past yields the batches of a kind that reach beyond a time, oldest first, as far as they are kept. A batch that was
	// yielded and one of Subscribe's may be the same.
	Past(kind string, since time.Time) iter.Seq[*profile.LiveBatch]
}

// A Status is what the daemon says of itself; as JSON it is the answer to /api/v1/status. Zero times are omitted.
type Status struct {
	Version  string          `json:"version"`
	Started  time.Time       `json:"started"`
	Ready    bool            `json:"ready"`
	Waiting  string          `json:"waiting,omitempty"` // for what, while not ready
	Kinds    []KindStatus    `json:"kinds"`
	Overhead OverheadStatus  `json:"overhead"`
	Counting *CountingStatus `json:"counting,omitempty"` // nil: not wanted
	Store    *StoreStatus    `json:"store,omitempty"`    // nil: there is no history
	Push     []PushStatus    `json:"push"`
	Config   ConfigStatus    `json:"config"`
}

// A KindStatus is one kind of event. Fired = Samples + sum(Lost).
type KindStatus struct {
	Name    string            `json:"name"` // "cpu", "off_cpu", ...
	Unit    string            `json:"unit"` // of values: "nanoseconds", "count", "bytes"
	Period  int64             `json:"period,omitempty"`
	Active  bool              `json:"active"`            // sampled now; else it is in the history only
	Problem string            `json:"problem,omitempty"` // why it is not sampled though asked for
	Fired   uint64            `json:"fired"`
	Samples uint64            `json:"samples"`
	Lost    map[string]uint64 `json:"lost"` // by reason

	MadeOf []string      `json:"-"` // kinds; of one that is not sampled itself
	Every  time.Duration `json:"-"` // between readings, of one that is read at the ends of windows and not live; 0: it is live
}

// An OverheadStatus is the daemon's own cost since it started.
type OverheadStatus struct {
	KernelSeconds float64 `json:"kernel_seconds"`
	UserSeconds   float64 `json:"user_seconds"`
	RSSBytes      uint64  `json:"rss_bytes"`
	KernelBytes   uint64  `json:"kernel_bytes"`   // BPF maps
	CPUs          int     `json:"cpus,omitempty"` // of the machine, online; 0: not known
}

// A CountingStatus is what perf events are counted by service, and what the machine cannot count.
type CountingStatus struct {
	Events []string          `json:"events"`
	Cannot []CountingProblem `json:"cannot"`
}

// A CountingProblem is one reason that some events are not counted.
type CountingProblem struct {
	Events  []string `json:"events"`
	Problem string   `json:"problem"`
}

// A StoreStatus is the state of the history on disk.
type StoreStatus struct {
	Bytes   int64             `json:"bytes"`
	Files   int               `json:"files"`
	Series  int               `json:"series"`
	Oldest  time.Time         `json:"oldest,omitzero"`
	Newest  time.Time         `json:"newest,omitzero"`
	Paused  string            `json:"paused,omitempty"` // why nothing is written now
	Written uint64            `json:"written"`          // windows
	Dropped map[string]uint64 `json:"dropped"`          // windows, by reason
	Corrupt uint64            `json:"corrupt"`          // files that could not be read
}

// A PushStatus is the state of one target of pushes.
type PushStatus struct {
	Target       string            `json:"target"`        // "pyroscope", "otlp": a bounded set
	URL          string            `json:"url,omitempty"` // without user and password
	Requests     map[string]uint64 `json:"requests"`      // by outcome
	Pushed       uint64            `json:"pushed"`        // profiles
	Dropped      map[string]uint64 `json:"dropped"`       // profiles, by reason
	SpooledBytes int64             `json:"spooled_bytes"`
	SpooledFiles int               `json:"spooled_files"`
	LastError    string            `json:"last_error,omitempty"`
	LastSuccess  time.Time         `json:"last_success,omitzero"`
}

// A ConfigStatus tells of the last reading of the configuration.
type ConfigStatus struct {
	Successful  bool      `json:"last_reload_successful"`
	Error       string    `json:"last_reload_error,omitempty"`
	LastSuccess time.Time `json:"last_reload_success,omitzero"`
}

// kind returns the kind called name, also one that is made of others.
func (s Status) kind(name string) (KindStatus, bool) { return find(s.withDerived(), name) }

// sampled returns the kind called name of those that the daemon named.
func (s Status) sampled(name string) (KindStatus, bool) { return find(s.Kinds, name) }

func find(kinds []KindStatus, name string) (KindStatus, bool) {
	for _, k := range kinds {
		if k.Name == name {
			return k, true
		}
	}
	return KindStatus{}, false
}
