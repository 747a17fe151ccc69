package profile

import (
	"cmp"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// A TopRow is what one function cost: Self where it was the leaf, Total where it
// was anywhere in the stack, once per sample however often it recurs.
type TopRow struct {
	Func
	Self, Total int64
}

// A TopTable lists every function of a profile, the largest Self first.
type TopTable struct {
	Total int64 // of all samples
	Rows  []TopRow
}

// NewTopTable sums value (an index into the sample types) by function. Inlined
// and outlined copies of a function are one row.
func NewTopTable(p *profile.Profile, value int) *TopTable {
	t := &TopTable{}
	var funcs []Func
	in := newInterner(&funcs)
	type key struct{ name, module string }
	index := make(map[key]int)
	rowOf := []int{}    // by function number
	lastSeen := []int{} // by row, the sample that last counted into Total
	row := func(fn int32) int {
		for len(rowOf) < len(funcs) {
			f := funcs[len(rowOf)]
			i, ok := index[key{f.Name, f.Module}]
			if !ok {
				i = len(t.Rows)
				index[key{f.Name, f.Module}] = i
				t.Rows = append(t.Rows, TopRow{Func: f})
				lastSeen = append(lastSeen, -1)
			} else if t.Rows[i].Kind == KindInlined {
				t.Rows[i].Kind = f.Kind
			}
			rowOf = append(rowOf, i)
		}
		return rowOf[fn]
	}
	for n, s := range p.Sample {
		v := s.Value[value]
		if v == 0 {
			continue
		}
		t.Total = addSaturated(t.Total, v)
		for i, l := range s.Location {
			for j, fn := range in.location(l) {
				r := row(fn)
				if i == 0 && j == 0 {
					t.Rows[r].Self = addSaturated(t.Rows[r].Self, v)
				}
				if lastSeen[r] != n {
					lastSeen[r] = n
					t.Rows[r].Total = addSaturated(t.Rows[r].Total, v)
				}
			}
		}
	}
	slices.SortFunc(t.Rows, func(a, b TopRow) int {
		return cmp.Or(cmp.Compare(b.Self, a.Self), cmp.Compare(b.Total, a.Total),
			strings.Compare(a.Name, b.Name), strings.Compare(a.Module, b.Module))
	})
	return t
}
