package profile

import (
	"slices"
	"strings"
	"unique"

	"github.com/google/pprof/profile"
)

// A Label is one more thing that is true of a sample, such as state=uninterruptible.
type Label struct{ Key, Value string }

// MaxExtra is how many further labels a sample may have.
const MaxExtra = 4

// Extra is a set of further labels of a sample: those that belong to its kind, such as "state" and "wait" of off-CPU
// time. Keys and values are small sets, never a name that a process chose. Equal sets are equal by ==, and the zero value
// is the empty one.
type Extra struct {
	set unique.Handle[[MaxExtra]Label]
}

// NewExtra returns the set of labels. Labels without a key or value are left out, of two with one key the first stays,
// and what is more than MaxExtra is left out in the order of keys.
func NewExtra(labels ...Label) Extra {
	sorted := slices.DeleteFunc(slices.Clone(labels), func(l Label) bool { return l.Key == "" || l.Value == "" })
	slices.SortStableFunc(sorted, func(a, b Label) int { return strings.Compare(a.Key, b.Key) })
	sorted = slices.CompactFunc(sorted, func(a, b Label) bool { return a.Key == b.Key })
	if len(sorted) == 0 {
		return Extra{}
	}
	var set [MaxExtra]Label
	copy(set[:], sorted)
	return Extra{unique.Make(set)}
}

// ExtraOf returns the further labels of a sample: those with a text that are none of Labels'.
func ExtraOf(s *profile.Sample) Extra {
	var labels []Label
	for key, values := range s.Label {
		switch key {
		case LabelComm, LabelService, LabelContainer, LabelStack:
		default:
			if len(values) > 0 {
				labels = append(labels, Label{key, values[0]})
			}
		}
	}
	return NewExtra(labels...)
}

// Labels returns the labels, sorted by key. The caller owns them.
func (e Extra) Labels() []Label {
	if e == (Extra{}) {
		return nil
	}
	set := e.set.Value()
	n := slices.Index(set[:], Label{})
	if n < 0 {
		n = len(set)
	}
	return slices.Clone(set[:n])
}
