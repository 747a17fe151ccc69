package server

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/metrics"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/render"
)

const (
	defaultSeconds = 30 // as Go's own endpoint
	maxSeconds     = 600
	// recordGrace is how long after the recording's end its last batch may come.
	recordGrace = 2 * time.Second
	// maxRecorded bounds the distinct samples of a recording; what comes beyond them is in one marker.
	maxRecorded  = 200_000
	otherStacks  = "[other stacks]"
	recordedKind = "cpu"
)

// record samples a service from now on for some seconds, as Go's /debug/pprof/profile does. It needs no agreement of the
// process, which may be in any language.
func (s *Server) record(w http.ResponseWriter, r *http.Request, p params) error {
	seconds, err := p.integer("seconds", defaultSeconds, 1, maxSeconds)
	if err != nil {
		return err
	}
	kind, ok := s.o.Status().kind(recordedKind)
	if !ok || !kind.Active {
		return busy("CPU time is not sampled now")
	}
	batches, cancel, release, err := s.subscribe(s.recordings, kind, "recordings")
	if err != nil {
		return err
	}
	defer release()
	defer cancel()
	start := s.o.Now()
	rec := newRecording(r.PathValue("service"), start, start.Add(time.Duration(seconds)*time.Second))
	timeout := time.NewTimer(time.Duration(seconds)*time.Second + recordGrace)
	defer timeout.Stop()
	for over := false; !over; {
		select {
		case <-r.Context().Done():
			return nil // the client has gone
		case <-s.stopping:
			over = true // it gets what there is
		case <-timeout.C:
			over = true
		case b, open := <-batches:
			if !open {
				over = true
				break
			}
			s.counts.addN(metrics.LiveMissedBatchesTotal, b.Missed)
			over = rec.add(b)
		}
	}
	return s.sendRecorded(w, r, rec.profile(kind), Query{Kind: kind.Name, Service: rec.service, To: rec.end})
}

// sendRecorded sends a profile for `go tool pprof`, on a route that has no deadline yet.
func (s *Server) sendRecorded(w http.ResponseWriter, r *http.Request, p *pprof.Profile, q Query) error {
	out := output{name: "pprof", contentType: "application/octet-stream", extension: ".pb.gz"}
	out.head(w, q)
	err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime * s.o.Limits.Write))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("send recording: %w", err)
	}
	return send(w, r, out, p, render.Options{})
}

// A recording counts the samples of a service between two moments.
type recording struct {
	service    string
	start, end time.Time
	last       time.Time // of the latest batch
	lost       uint64    // of all services
	missed     uint64    // batches
	counts     map[recordKey]recordCount
	limit      int // of counts
	others     recordCount
}

type recordKey struct {
	stack           *profile.LiveStack // nil: none
	comm, container string
	pid, tid        int
}

type recordCount struct{ count, value int64 }

func newRecording(service string, start, end time.Time) *recording {
	return &recording{service: service, start: start, end: end, last: start, counts: make(map[recordKey]recordCount), limit: maxRecorded}
}

// add enters a batch and tells whether it was the last. A sample belongs to the recording if its bucket begins in it; the
// bucket that start lies in does, too.
func (r *recording) add(b *profile.LiveBatch) (over bool) {
	first := r.start.Truncate(profile.LiveBucket)
	for i := range b.Samples {
		s := &b.Samples[i]
		if s.Service != r.service || s.Bucket.Before(first) || !s.Bucket.Before(r.end) {
			continue
		}
		key := recordKey{s.Stack, s.Comm, s.Container, s.PID, s.TID}
		c, known := r.counts[key]
		if !known && len(r.counts) >= r.limit {
			r.others = recordCount{r.others.count + s.Count, r.others.value + s.Value}
			continue
		}
		r.counts[key] = recordCount{c.count + s.Count, c.value + s.Value}
	}
	if b.End.After(r.start) && b.Start.Before(r.end) {
		r.lost += b.Lost
		r.missed += b.Missed
	}
	if b.End.After(r.last) {
		r.last = b.End
	}
	return !b.End.Before(r.end)
}

// profile returns what was recorded, which may be nothing.
func (r *recording) profile(k KindStatus) *pprof.Profile {
	end := r.end
	if r.last.Before(end) {
		end = r.last
	}
	comments := []string{profile.LostComment(int64(r.lost))}
	if r.missed > 0 {
		comments = append(comments, fmt.Sprintf("missed batches of samples: %d", r.missed))
	}
	b := profile.NewBuilder(builderOptions(k, r.start, end.Sub(r.start), comments...))
	stacks := make(map[*profile.LiveStack][]*pprof.Location)
	for key, c := range r.counts {
		locations, ok := stacks[key.stack]
		if !ok && key.stack != nil {
			for _, l := range key.stack.Locations {
				locations = append(locations, b.Location(l.Mapping, l.Addr, l.Frames))
			}
			stacks[key.stack] = locations
		}
		labels := profile.Labels{Comm: key.comm, PID: int64(key.pid), TID: int64(key.tid), Service: r.service, Container: key.container}
		if key.stack != nil {
			labels.Stack = key.stack.Reason
		}
		b.Sample(locations, labels, c.count, c.value)
	}
	if r.others.count > 0 {
		b.Sample([]*pprof.Location{b.Marker(otherStacks)}, profile.Labels{Service: r.service}, r.others.count, r.others.value)
	}
	return b.Profile()
}
