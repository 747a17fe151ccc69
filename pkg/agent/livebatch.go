package agent

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// liveBatch names a batch and puts equal samples of a bucket together.
func (c *Collector) liveBatch(kind Kind, raw *rawBatch) *profile.LiveBatch {
	out := &profile.LiveBatch{
		Kind: kind.Name(), Unit: kind.Type.Unit, Start: raw.start, End: raw.end,
		Lost: raw.lost + raw.overflowed,
	}
	out.Fired = out.Lost
	v := raw.view
	stacks := c.liveStacks(v, raw.samples)
	samples := slices.Clone(raw.samples) // the past has them, too
	bucket := func(s rawSample) time.Time { return raw.base.Add(s.at).Truncate(profile.LiveBucket) }
	slices.SortStableFunc(samples, func(a, b rawSample) int {
		return cmp.Or(bucket(a).Compare(bucket(b)), cmp.Compare(a.process, b.process), cmp.Compare(a.tid, b.tid),
			cmp.Compare(a.stack, b.stack), cmp.Compare(a.comm, b.comm), cmp.Compare(a.kindTag, b.kindTag))
	})
	for i := 0; i < len(samples); {
		first := samples[i]
		var sum count
		at := bucket(first)
		for ; i < len(samples) && samples[i].sampleKey == first.sampleKey && bucket(samples[i]).Equal(at); i++ {
			sum.events += samples[i].events
			sum.weight += samples[i].weight
		}
		p := v.processes[first.process]
		s := v.series[p.series]
		out.Fired += sum.events
		var extra profile.Extra
		if kind.Labels != nil {
			extra = kind.Labels(first.tag(), functionsOf(stacks[first.stack]))
		}
		out.Samples = append(out.Samples, profile.LiveSample{
			Bucket: at, Service: s.service, Labels: s.labels, Comm: v.comms[first.comm],
			PID: p.pid, TID: int(first.tid), Container: p.container,
			Extra: extra,
			Stack: stacks[first.stack], Count: int64(sum.events), Value: kind.value(sum),
		})
	}
	return out
}

// maxLiveStacks bounds the stacks that a generation keeps for live readers: some 400 bytes each.
const maxLiveStacks = 16 << 10

// liveStacks returns the stacks of some samples by number. A generation makes each once, unless there are many.
func (c *Collector) liveStacks(v *view, samples []rawSample) map[uint32]*profile.LiveStack {
	out := make(map[uint32]*profile.LiveStack, len(samples))
	c.namer.mu.Lock()
	defer c.namer.mu.Unlock()
	g := v.gen
	if more := len(v.stacks) - len(g.live); more > 0 {
		g.live = append(g.live, make([]*profile.LiveStack, more)...)
	}
	var missing []uint32
	for _, s := range samples {
		if _, known := out[s.stack]; known {
			continue
		}
		if out[s.stack] = g.live[s.stack]; out[s.stack] == nil {
			missing = append(missing, s.stack)
		}
	}
	c.namer.name(v, missing)
	if g.lives += len(missing); g.lives > maxLiveStacks {
		clear(g.live)
		g.lives = len(missing)
	}
	var buf []*place
	for _, id := range missing {
		st := v.read(id, g.places, buf)
		buf = st.places
		live := g.newLiveStack(st)
		out[id] = live
		if !st.unread() {
			g.live[id] = live // else it may have better names later
		}
	}
	return out
}

// newLiveStack refers to the places of the stack, and makes markers once.
func (g *generation) newLiveStack(st namedStack) *profile.LiveStack {
	out := &profile.LiveStack{Reason: st.reason(), Locations: make([]*profile.LiveLocation, 0, len(st.places)+1)}
	for _, p := range st.places {
		out.Locations = append(out.Locations, &p.LiveLocation)
	}
	if st.marker == "" {
		return out
	}
	m := g.markers[st.marker]
	if m == nil {
		if g.markers == nil {
			g.markers = map[string]*profile.LiveLocation{}
		}
		l := markerLocation(st.marker)
		m = &l
		g.markers[st.marker] = m
	}
	out.Locations = append(out.Locations, m)
	return out
}

func markerLocation(name string) profile.LiveLocation {
	return profile.LiveLocation{Frames: []profile.Frame{{Name: name}}}
}

// functionsOf yields the names of a stack's functions, leaf first.
func functionsOf(s *profile.LiveStack) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, l := range s.Locations {
			for i := range l.Frames {
				if !yield(l.Frames[i].Name) {
					return
				}
			}
		}
	}
}

// unread reports whether a frame has no name because its object could not be opened so far.
func (st namedStack) unread() bool {
	return slices.ContainsFunc(st.places, func(p *place) bool { return p.unread })
}
