package agent

// A thinning keeps a fraction of a service's samples, evenly: the error of each decision is carried to the next. A sample
// that is kept stands for itself and for those left out since the one before, so the totals hold but for the few that
// wait for the next. Each kind is thinned by itself: a sample
// stands for none of another kind.
type thinning struct {
	fraction float64
	kinds    []thinned
}

// thinned is what waits for the next sample of a kind.
type thinned struct {
	owed   float64 // of a sample, in [0, 1)
	events uint64  // left out since the last that was kept
	weight uint64
}

// take decides on a sample of some weight. If it is kept, it stands for that many events of that weight together.
func (n *thinning) take(kind int, weight uint64) (events, total uint64, kept bool) {
	t := &n.kinds[kind]
	t.events++
	t.weight += weight
	t.owed += n.fraction
	if t.owed < 1 {
		return 0, 0, false
	}
	t.owed--
	events, total = t.events, t.weight
	t.events, t.weight = 0, 0
	return events, total, true
}
