package server

import (
	"cmp"
	"errors"
	"iter"
	"net/http"
	"os"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/metrics"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// liveStream sends increments of what is sampled now, as docs/api.md describes, until the client goes, takes a message too
// slowly, or the feed or the server ends. What it holds for a client is bounded: one message, the dictionary, and the
// batches in the feed's channel.
func (s *Server) liveStream(w http.ResponseWriter, r *http.Request, p params) error {
	status := s.o.Status()
	if !status.Ready { // which kinds there are to be is not known yet either
		return busy("not ready: %s", visible(cmp.Or(status.Waiting, "starting")))
	}
	kind, err := p.kind(status)
	if err != nil {
		return err
	}
	since, err := p.time("since", time.Time{})
	if err != nil {
		return err
	}
	batches, cancel, release, err := s.subscribe(s.live, kind, "live streams")
	if err != nil {
		return err
	}
	defer release()
	defer cancel()
	out, err := s.newLiveWriter(w, r)
	if err != nil {
		return err
	}
	st := &liveState{out: out, service: p.Get("service"), dictionary: newDictionary(s.o.Limits.Dictionary), counts: &s.counts}
	if !since.IsZero() {
		st.past = s.o.Feed.Past(kind.Name, since)
	}
	reason, err := st.run(r, batches, kind, s)
	s.counts.add(metrics.LiveEndedTotal, reason)
	return err
}

// subscribe takes one of a number of places and subscribes to a kind. The caller must call cancel, then release.
func (s *Server) subscribe(places chan struct{}, kind KindStatus, what string) (batches <-chan *profile.LiveBatch, cancel, release func(), err error) {
	if !kind.Active {
		why := kind.Problem
		if why == "" {
			why = "it is in the history only"
		}
		return nil, nil, nil, badParam("kind", "%s is not sampled now: %s", kind.Name, why)
	}
	if kind.Every > 0 {
		return nil, nil, nil, badParam("kind", "%s is not live: it is read once in %s; ask for /api/v1/profile", kind.Name, kind.Every)
	}
	if release, err = s.take(places, what); err != nil {
		return nil, nil, nil, err
	}
	batches, cancel, err = s.o.Feed.Subscribe(kind.Name)
	if err != nil {
		release()
		s.o.Logger.Warn("no samples to be had", "kind", kind.Name, "err", err)
		return nil, nil, nil, busy("%s cannot be sampled now; the log says why", kind.Name)
	}
	return batches, cancel, release, nil
}

// take takes one of a number of places, or refuses at once.
func (s *Server) take(places chan struct{}, what string) (release func(), err error) {
	if s.stopped() {
		return nil, busy("the daemon is stopping")
	}
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	default:
		s.counts.add(metrics.HTTPRefusedTotal, "busy")
		return nil, busy("%d %s are open, which is the limit", cap(places), what)
	}
}

// A liveState is one stream.
type liveState struct {
	out        *liveWriter
	service    string // "": all
	dictionary *dictionary
	counts     *counts
	totals     liveTotals
	past       iter.Seq[*profile.LiveBatch] // to be told first; nil: nothing
	told       time.Time                    // the end of it
}

// liveTotals are sums over all services since the stream began.
type liveTotals struct {
	Fired  uint64 `json:"fired"`
	Lost   uint64 `json:"lost"`
	Missed uint64 `json:"missed"` // batches that came too fast for this reader
}

type liveHello struct {
	Type         string `json:"type"` // "hello"
	Version      int    `json:"version"`
	Kind         string `json:"kind"`
	Unit         string `json:"unit"`
	Service      string `json:"service"`
	BucketMillis int64  `json:"bucket_ms"`
	Time         int64  `json:"time"`            // Unix milliseconds
	Since        int64  `json:"since,omitempty"` // likewise, of the first batch of the past that follows
}

// A liveNote is a message without samples: "heartbeat", "reset" or "end".
type liveNote struct {
	Type   string `json:"type"`
	Reason string `json:"reason,omitempty"`
	Time   int64  `json:"time"`
	liveTotals
}

type liveMessage struct {
	Type  string `json:"type"` // "batch"
	Start int64  `json:"start"`
	End   int64  `json:"end"`  // Unix milliseconds
	Base  int64  `json:"base"` // bucket 0 starts here
	increments
	Samples      []int64 `json:"samples,omitempty"`       // node, thread, bucket, count, value
	SampleLabels []int64 `json:"sample_labels,omitempty"` // set of each; absent when all are 0
	More         bool    `json:"more,omitempty"`          // the rest of this batch follows
	liveTotals
}

// run returns why the stream ended, and an error if the connection has to be cut.
func (l *liveState) run(r *http.Request, batches <-chan *profile.LiveBatch, k KindStatus, s *Server) (string, error) {
	hello := liveHello{
		Type: "hello", Version: 1, Kind: k.Name, Unit: k.Unit, Service: l.service,
		BucketMillis: profile.LiveBucket.Milliseconds(), Time: s.o.Now().UnixMilli(),
	}
	if err := l.begin(hello, s); err != nil {
		return endReason(err), err
	}
	silence := time.NewTimer(s.o.Limits.Heartbeat)
	defer silence.Stop()
	end := func(reason string) (string, error) {
		err := l.out.send(liveNote{Type: "end", Reason: reason, Time: s.o.Now().UnixMilli(), liveTotals: l.totals})
		return reason, errors.Join(err, l.out.close())
	}
	for {
		var err error
		select {
		case <-r.Context().Done():
			return "client", nil
		case <-s.stopping:
			return end("shutdown")
		case b, ok := <-batches:
			if !ok {
				return end("feed")
			}
			err = l.next(b, s.o.Now())
		case <-silence.C:
			err = l.heartbeat(s)
		}
		if err != nil {
			return endReason(err), err
		}
		silence.Reset(s.o.Limits.Heartbeat)
	}
}

func (l *liveState) heartbeat(s *Server) error {
	return l.out.send(liveNote{Type: "heartbeat", Time: s.o.Now().UnixMilli(), liveTotals: l.totals})
}

// begin says hello, and tells the past.
func (l *liveState) begin(hello liveHello, s *Server) error {
	if l.past == nil {
		return l.out.send(hello)
	}
	if err := l.tell(l.past, &hello, s); err != nil {
		return err
	}
	if l.told.IsZero() {
		return nil
	}
	return l.tell(s.o.Feed.Past(hello.Kind, l.told), nil, s) // that may have taken longer than batches wait for a reader
}

// tell sends batches of the past, after hello if it was not said. The names of a batch may be long in coming, as on a busy
// machine that names its first window: the reader then hears hello at once, without since, and after that heartbeats, so
// that it can tell waiting from a dead connection.
func (l *liveState) tell(past iter.Seq[*profile.LiveBatch], hello *liveHello, s *Server) error {
	next, stop := iter.Pull(past)
	defer stop()
	greet := func(since int64) error {
		if hello == nil {
			return nil
		}
		said := *hello
		said.Since, hello = since, nil
		return l.out.send(said)
	}
	for {
		b, ok, err := patient(next, s.o.Limits.Heartbeat, func() error {
			if hello != nil {
				return greet(0)
			}
			return l.heartbeat(s)
		})
		switch {
		case err != nil:
			return err
		case !ok:
			return greet(0)
		}
		if err := greet(b.Start.UnixMilli()); err != nil {
			return err
		}
		if err := l.batch(b, s.o.Now()); err != nil {
			return err
		}
		l.told = b.End
	}
}

// patient returns what next returns, and calls idle as often as that takes longer than limit. It waits for next even after
// an error of idle, which it returns.
func patient(next func() (*profile.LiveBatch, bool), limit time.Duration, idle func() error) (b *profile.LiveBatch, ok bool, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		b, ok = next()
	}()
	silence := time.NewTicker(limit)
	defer silence.Stop()
	for {
		select {
		case <-done:
			return b, ok, err
		case <-silence.C:
			if err == nil {
				err = idle()
			}
		}
	}
}

// next sends a batch of the feed, unless it was told with the past.
func (l *liveState) next(b *profile.LiveBatch, now time.Time) error {
	if !b.End.After(l.told) {
		return nil
	}
	if b.Missed > 0 && !b.Start.After(l.told) { // those that it missed while the past was told were part of that
		once := *b
		once.Missed = 0
		b = &once
	}
	l.told = time.Time{}
	return l.batch(b, now)
}

func endReason(err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "slow"
	}
	return "client"
}

// Bounds of one message; a batch beyond them is sent in parts.
const (
	maxMessageSamples = 10_000
	maxMessageStrings = 512 << 10 // bytes
)

type liveKey struct{ node, thread, bucket, labels int64 }

// batch sends what b has of the stream's service. Samples of a thread with the same bucket, stack and labels become one.
func (l *liveState) batch(b *profile.LiveBatch, now time.Time) error {
	l.totals.Fired += b.Fired
	l.totals.Lost += b.Lost
	l.totals.Missed += b.Missed
	if b.Missed > 0 {
		l.counts.addN(metrics.LiveMissedBatchesTotal, b.Missed)
	}
	base := b.Start.Truncate(profile.LiveBucket).UnixMilli()
	m := liveMessage{Type: "batch", Start: b.Start.UnixMilli(), End: b.End.UnixMilli(), Base: base}
	index := make(map[liveKey]int)
	var labels []int64
	labelled := false
	send := func(more bool) error {
		m.increments, m.More, m.liveTotals, m.SampleLabels = l.dictionary.take(), more, l.totals, nil
		if labelled {
			m.SampleLabels = labels
		}
		err := l.out.send(m)
		m.Samples, labels, labelled = m.Samples[:0], labels[:0], false
		clear(index)
		return err
	}
	for i := range b.Samples {
		s := &b.Samples[i]
		if l.service != "" && s.Service != l.service {
			continue
		}
		if len(index) >= maxMessageSamples || l.dictionary.news.bytes >= maxMessageStrings {
			if err := send(true); err != nil {
				return err
			}
		}
		if l.dictionary.full() {
			if err := l.startAnew(send, now); err != nil {
				return err
			}
		}
		key := liveKey{
			l.dictionary.stack(s.Stack), l.dictionary.thread(s),
			(s.Bucket.UnixMilli() - base) / profile.LiveBucket.Milliseconds(), l.dictionary.extra(s.Extra),
		}
		at, ok := index[key]
		if !ok {
			at = len(m.Samples)
			index[key] = at
			m.Samples = append(m.Samples, key.node, key.thread, key.bucket, 0, 0)
			labels = append(labels, key.labels)
			labelled = labelled || key.labels != 0
		}
		m.Samples[at+3] += s.Count
		m.Samples[at+4] += s.Value
	}
	return send(false)
}

// startAnew tells the reader to forget all numbers, once it has what was said with them.
func (l *liveState) startAnew(send func(more bool) error, now time.Time) error {
	if err := send(true); err != nil {
		return err
	}
	l.dictionary.reset()
	l.counts.add(metrics.LiveResetsTotal)
	return l.out.send(liveNote{Type: "reset", Time: now.UnixMilli(), liveTotals: l.totals})
}
