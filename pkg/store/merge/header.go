package merge

import "slices"

// A ValueType is a sample type and its unit.
type ValueType struct{ Type, Unit string }

// A header is what a profile says of itself as a whole.
type header struct {
	sampleTypes          []ValueType
	periodType           ValueType
	period               int64
	time, duration       int64 // nanoseconds
	comments             []string
	defaultType          string
	docURL               string
	dropFrames, keptOnly string // regular expressions
}

func (h *header) clone() header {
	c := *h
	c.sampleTypes, c.comments = slices.Clone(h.sampleTypes), slices.Clone(h.comments)
	return c
}

// add folds the header of a compatible profile into h, comments apart.
func (h *header) add(o *header) {
	if h.time == 0 || o.time != 0 && o.time < h.time {
		h.time = o.time
	}
	h.duration = addSaturated(h.duration, o.duration)
	h.period = max(h.period, o.period)
	if h.defaultType == "" {
		h.defaultType = o.defaultType
	}
	if h.docURL == "" {
		h.docURL = o.docURL
	}
}
