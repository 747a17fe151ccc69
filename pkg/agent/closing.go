package agent

import (
	"maps"
	"slices"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// nameWindows makes an interval of each kind of each window that is closed, and hands them to the sinks. It returns
// after the last.
func (c *Collector) nameWindows() {
	for w := range c.closed {
		for _, i := range c.intervals(w) {
			for _, s := range c.sinks {
				s.offer(i)
			}
		}
	}
	for _, s := range c.sinks {
		close(s.queue)
	}
	c.namer.mu.Lock()
	defer c.namer.mu.Unlock()
	c.namer.indexes.limit = 0 // live readers may need one more
	c.namer.indexes.close()
}

// A seriesBuild is the profile of one series in the making.
type seriesBuild struct {
	series
	builder *profile.Builder
	locator locator
	samples uint64
	value   int64
}

// A kindBuild is the interval of one kind in the making.
type kindBuild struct {
	kind   Kind
	series map[string]*seriesBuild
	stacks Stacks
	values []int64 // of one sample, reused
}

// comments say what the kind has to say of a series in a window.
func (k *kindBuild) comments(w *window, s series) []string {
	if k.kind.Comments == nil {
		return nil
	}
	return k.kind.Comments(profile.Series{Kind: k.kind.Name(), Service: s.service, Labels: s.labels}, w.wall, w.until)
}

// intervals names what a window counted, and builds the profile of each series of each kind.
func (c *Collector) intervals(w *window) []*profile.Interval {
	builds := make([]kindBuild, len(c.kinds))
	for i, k := range c.kinds {
		builds[i] = kindBuild{
			kind: k, series: map[string]*seriesBuild{}, stacks: Stacks{Guessed: w.guessed[i]},
			values: make([]int64, 1+len(k.types())),
		}
	}
	begin := time.Now()
	c.namer.mu.Lock()
	before := c.namer.stats
	for _, p := range w.parts {
		keys := p.view.sortedKeys(p.counts)
		c.namer.name(p.view, stacksOf(keys))
		for len(keys) > 0 { // by kind
			kind, n := keys[0].kind(), 1
			for n < len(keys) && keys[n].kind() == kind {
				n++
			}
			builds[kind].add(w, p, keys[:n])
			keys = keys[n:]
		}
	}
	naming := c.namer.stats
	places := c.namer.cache.len()
	c.namer.mu.Unlock()

	out := make([]*profile.Interval, len(builds))
	for i := range builds {
		out[i] = builds[i].interval(w, w.lost[i])
	}
	took := time.Since(begin)

	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.stats
	s.Windows++
	services := 0
	for i := range builds {
		k := &s.Kinds[i]
		k.Stacks.join(builds[i].stacks)
		for _, b := range builds[i].series {
			k.serve(b.service, b.guessed, b.samples, b.value)
		}
		services = max(services, len(k.Services))
	}
	s.Naming.Time, s.Naming.Places = naming.looked, naming.places
	s.Naming.Build += took - (naming.looked - before.looked)
	s.Sizes.Places, s.Sizes.Services, s.Sizes.Keyed = places, services, uint64(w.keys())
	return out
}

// interval is the profiles of all series, sorted.
func (k *kindBuild) interval(w *window, lost uint64) *profile.Interval {
	all := slices.SortedFunc(maps.Values(k.series), func(a, b *seriesBuild) int { return compareSeries(a.series, b.series) })
	out := &profile.Interval{Kind: k.kind.Name(), Start: w.wall, Duration: w.until.Sub(w.wall), Lost: lost}
	for _, b := range all {
		b.locator.done()
		out.Windows = append(out.Windows, &profile.Window{
			Series:  profile.Series{Kind: out.Kind, Service: b.service, Labels: b.labels},
			Profile: b.builder.Profile(),
		})
	}
	return out
}

// add enters one part of a window into the profiles of its series.
func (k *kindBuild) add(w *window, p *part, keys []sampleKey) {
	v := p.view
	bySeries := make([]*seriesBuild, len(v.series))
	var buf []*place
	for _, key := range keys {
		at := v.processes[key.process].series
		b := bySeries[at]
		if b == nil {
			if b = k.series[v.series[at].key]; b == nil {
				b = &seriesBuild{series: v.series[at]}
				b.builder = profile.NewBuilder(builderOptions([]Kind{k.kind}, w.wall, w.until.Sub(w.wall), k.comments(w, b.series)))
				b.locator.b = b.builder
				k.series[b.key] = b
			}
			bySeries[at] = b
		}
		count := p.counts[key]
		st := v.read(key.stack, v.gen.places, buf)
		buf = st.places
		k.stacks.add(st, count.samples)
		value := k.kind.value(count)
		k.stacks.Value += value
		k.values[0] = int64(count.events)
		k.kind.values(count, k.values[1:])
		b.locator.enter(v, key, k.kind, st, b.service, k.values...)
		b.samples += count.samples
		b.value += value
	}
}
