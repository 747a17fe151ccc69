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
	owed    float64 // of a sample, in [0, 1)
	events  uint64  // left out since the last that was kept
	weight  uint64
	objects float64
}

// take decides on a sample. If it is kept, it is worth what it returns: all since the last that was kept.
func (n *thinning) take(kind int, weight uint64, objects float64) (sum count, kept bool) {
	t := &n.kinds[kind]
	t.events++
	t.weight += weight
	t.objects += objects
	t.owed += n.fraction
	if t.owed < 1 {
		return count{}, false
	}
	t.owed--
	sum = count{samples: 1, events: t.events, weight: t.weight, objects: t.objects}
	t.events, t.weight, t.objects = 0, 0, 0
	return sum, true
}
