package agent

import (
	"slices"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// nameWindows makes an interval of each window that is closed, and hands it to the sinks. It returns after the last.
func (c *Collector) nameWindows() {
	for w := range c.closed {
		i := c.interval(w)
		for _, s := range c.sinks {
			s.offer(i)
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

// interval names what a window counted, and builds the profile of each series.
func (c *Collector) interval(w *window) *profile.Interval {
	duration := w.until.Sub(w.wall)
	builds := map[string]*seriesBuild{}
	stacks := Stacks{Guessed: w.guessed}
	begin := time.Now()
	c.namer.mu.Lock()
	before := c.namer.stats
	for _, p := range w.parts {
		keys := p.view.sortedKeys(p.counts)
		c.namer.name(p.view, stacksOf(keys))
		c.build(w, p, keys, builds, &stacks)
	}
	naming := c.namer.stats
	places := c.namer.cache.len()
	c.namer.mu.Unlock()

	all := make([]*seriesBuild, 0, len(builds))
	for _, b := range builds {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b *seriesBuild) int { return compareSeries(a.series, b.series) })
	out := &profile.Interval{Kind: c.kind, Start: w.wall, Duration: duration, Lost: w.lost}
	for _, b := range all {
		b.locator.done()
		out.Windows = append(out.Windows, &profile.Window{
			Series:  profile.Series{Kind: c.kind, Service: b.service, Labels: b.labels},
			Profile: b.builder.Profile(),
		})
	}
	took := time.Since(begin)

	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.stats
	s.Windows++
	s.Stacks.join(stacks)
	for _, b := range all {
		s.serve(b.service, b.guessed, b.samples, b.value)
	}
	s.Naming.Time, s.Naming.Places = naming.looked, naming.places
	s.Naming.Build += took - (naming.looked - before.looked)
	s.Sizes.Places, s.Sizes.Services, s.Sizes.Keyed = places, len(s.Services), uint64(w.keys())
	return out
}

// build enters one part of a window into the profiles of its series.
func (c *Collector) build(w *window, p *part, keys []sampleKey, builds map[string]*seriesBuild, sum *Stacks) {
	v := p.view
	bySeries := make([]*seriesBuild, len(v.series))
	var buf []*place
	for _, key := range keys {
		at := v.processes[key.process].series
		b := bySeries[at]
		if b == nil {
			if b = builds[v.series[at].key]; b == nil {
				b = &seriesBuild{series: v.series[at]}
				b.builder = profile.NewBuilder(builderOptions(c.options.Event, w.wall, w.until.Sub(w.wall), nil))
				b.locator.b = b.builder
				builds[b.key] = b
			}
			bySeries[at] = b
		}
		count := p.counts[key]
		st := v.read(key.stack, v.gen.places, buf)
		buf = st.places
		sum.add(st, count.samples)
		b.locator.enter(v, key, count, st, c.options.Event, b.service)
		b.samples += count.samples
		b.value += count.value(c.options.Event)
	}
}
