package agent

// A window is what was counted in one span. It is filled by the reading goroutine and, once closed, read by another.
type window struct {
	span
	parts   []*part
	lost    []uint64 // by kind: events that no sample tells of, learnt of when the window was closed
	guessed []uint64 // by kind
	hint    int      // keys to make room for
}

// A part is what a window counted in one generation; most windows have one part.
type part struct {
	gen    *generation
	counts map[sampleKey]count
	view   *view // set when the window, or the generation, is closed
}

// part returns the part of the present generation.
func (w *window) part(g *generation) *part {
	if n := len(w.parts); n > 0 && w.parts[n-1].gen == g {
		return w.parts[n-1]
	}
	p := &part{gen: g, counts: make(map[sampleKey]count, w.hint)}
	w.parts = append(w.parts, p)
	return p
}

// join adds what came in the span after w's.
func (w *window) join(next *window) {
	for _, p := range next.parts {
		to := w.part(p.gen)
		for k, c := range p.counts {
			to.counts[k] = to.counts[k].plus(c)
		}
	}
	for kind, n := range next.guessed {
		w.guessed[kind] += n
	}
}

// keys is the number of distinct samples.
func (w *window) keys() int {
	n := 0
	for _, p := range w.parts {
		n += len(p.counts)
	}
	return n
}

// maxKeys bounds the distinct samples of a part: beyond, they keep process and stack, and lose thread and name.
const maxKeys = 256 << 10

// add counts one sample.
func (p *part) add(key sampleKey, worth count) {
	c, known := p.counts[key]
	if !known && len(p.counts) >= maxKeys {
		key.tid = 0
		c = p.counts[key]
	}
	p.counts[key] = c.plus(worth)
}
