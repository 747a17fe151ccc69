package agent

import "time"

// advance closes the windows that ended before t. Everything with a time before t that can be read has been.
func (c *Collector) advance(t time.Duration) {
	for t >= c.cur.end+grace {
		c.closeWindow(t)
	}
}

// nextWindow is the window after the current one, which stays open for grace.
func (c *Collector) nextWindow() *window {
	if c.next == nil {
		c.next = c.newWindow(c.schedule.after(c.cur.span), c.cur.keys())
	}
	return c.next
}

// closeWindow hands the current window to the goroutine that names. If that is still busy with those before, the window
// goes on for another length instead: nothing is lost, and nothing gathers.
func (c *Collector) closeWindow(t time.Duration) {
	if len(c.closed) == cap(c.closed) { // only this goroutine sends
		next := c.nextWindow()
		c.cur.join(next)
		c.cur.end, c.cur.until, c.next = next.end, next.until, nil
		c.counts.extended++
		return
	}
	w := c.cur
	switch behind := t - w.end; {
	case c.next != nil:
		c.cur, c.next = c.next, nil
	case behind > maxGap*c.schedule.length:
		c.cur = c.newWindow(c.schedule.at(t-grace), 0)
	default:
		c.cur = c.nextWindow()
		c.next = nil
	}
	c.closed <- c.seal(w)
	c.turn()
}

// seal ends a window: nothing is added to it any more.
func (c *Collector) seal(w *window) *window {
	w.lost = c.lost()
	for _, p := range w.parts {
		if p.view == nil {
			p.view = p.gen.view(c.objects)
		}
	}
	return w
}

// lost returns the events by kind that fired since the last call and of which no sample tells.
func (c *Collector) lost() []uint64 {
	out := make([]uint64, len(c.kinds))
	for kind := range c.kinds {
		counters, err := c.kernel.Counters(kind)
		if err != nil {
			c.log.Warn("counters of the kernel side cannot be read", "kind", c.kinds[kind].Name(), "error", err)
			continue
		}
		out[kind] = counters.LostTotal() - c.lostSeen[kind]
		c.lostSeen[kind] += out[kind]
		c.counts.kinds[kind].lost = counters.Lost
	}
	return out
}

// turn is what happens between two windows: what was not used for long is closed, and a generation that is worn, or
// whose processes are to be identified anew, gives way to another.
func (c *Collector) turn() {
	c.objects.window++
	c.objects.closeOlder(fileWindows)
	c.age++
	if c.age == 1 {
		c.baseNodes = len(c.gen.stacks.nodes)
	}
	asked := c.renew.Swap(false)
	if !asked && c.age < generationWindows && !c.gen.worn(c.objects, c.baseNodes) {
		return
	}
	for _, f := range c.live {
		f.flush()
	}
	for _, p := range c.cur.parts { // opened in the old generation
		p.view = p.gen.view(c.objects)
	}
	c.objects.renumber(fileWindows)
	c.counts.overflowed += c.gen.stacks.dropped
	old := c.gen.processes.series
	c.gen.seal()
	c.gen, c.age = c.newGeneration(), 0
	for key, t := range c.thinnings {
		if _, used := old.ids[key]; !used { // not in the whole of the last generation
			c.forgo(t)
			delete(c.thinnings, key)
		}
	}
	c.counts.generations++
}

// finish closes the last windows at the time of the end. Nothing is sampled or read any more.
func (c *Collector) finish() {
	now, _ := c.schedule.clock()
	c.advance(now)
	if c.next != nil {
		c.cur.join(c.next)
		c.next = nil
	}
	c.cur.end = now
	c.cur.until = c.cur.wall.Add(now - c.cur.start)
	for _, t := range c.thinnings {
		c.forgo(t)
	}
	c.closed <- c.seal(c.cur)
	close(c.closed)
	for _, f := range c.live {
		f.tick()
		f.end()
	}
	c.publish()
}

// forgo counts the samples of a service for which none will come to stand.
func (c *Collector) forgo(t *thinning) {
	for kind, n := range t.kinds {
		c.counts.kinds[kind].forgone += n.events
	}
}
