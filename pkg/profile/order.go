package profile

import (
	"cmp"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// Profile returns the finished profile and ends the Builder's life. It passes
// CheckValid; its order depends on what was added, not on when. The first mapping
// is the executable with the most of the default value, which is what
// `go tool pprof` calls the main binary. Samples with equal labels share their
// label maps.
func (b *Builder) Profile() *profile.Profile {
	p := b.p
	for _, s := range b.samples {
		p.Sample = append(p.Sample, s.sample)
	}
	b.orderMappings()
	slices.SortFunc(p.Function, func(x, y *profile.Function) int {
		return cmp.Or(
			strings.Compare(x.Name, y.Name), strings.Compare(x.SystemName, y.SystemName),
			strings.Compare(x.Filename, y.Filename), cmp.Compare(x.StartLine, y.StartLine))
	})
	for i, f := range p.Function {
		f.ID = uint64(i + 1)
	}
	slices.SortFunc(p.Location, compareLocations)
	for i, l := range p.Location {
		l.ID = uint64(i + 1)
	}
	slices.SortFunc(p.Sample, compareSamples)
	setHas(p)
	*b = Builder{}
	return p
}

func (b *Builder) orderMappings() {
	p := b.p
	last := len(p.SampleType) - 1
	weight := make(map[*profile.Mapping]int64, len(p.Mapping))
	seen := make(map[*profile.Mapping]int, len(p.Mapping)) // by the number of the sample
	for i, s := range p.Sample {
		for _, l := range s.Location {
			if l.Mapping != nil && last >= 0 && seen[l.Mapping] != i+1 {
				seen[l.Mapping] = i + 1
				weight[l.Mapping] += s.Value[last]
			}
		}
	}
	slices.SortFunc(p.Mapping, func(x, y *profile.Mapping) int {
		return cmp.Or(
			cmp.Compare(mappingClass(x), mappingClass(y)), cmp.Compare(weight[y], weight[x]),
			strings.Compare(x.File, y.File), strings.Compare(x.BuildID, y.BuildID),
			cmp.Compare(x.Start, y.Start), cmp.Compare(x.Limit, y.Limit), cmp.Compare(x.Offset, y.Offset))
	})
	for i, m := range p.Mapping {
		m.ID = uint64(i + 1)
	}
}

func mappingClass(m *profile.Mapping) int {
	switch base := Basename(m.File); {
	case m.File == "" || m.File[0] == '[':
		return 2
	case strings.HasSuffix(base, ".so") || strings.Contains(base, ".so."):
		return 1
	}
	return 0
}

// compareLocations relies on the final IDs of mappings and functions.
func compareLocations(x, y *profile.Location) int {
	return cmp.Or(
		cmp.Compare(mappingID(x), mappingID(y)), cmp.Compare(x.Address, y.Address),
		slices.CompareFunc(x.Line, y.Line, func(a, b profile.Line) int {
			return cmp.Or(cmp.Compare(a.Function.ID, b.Function.ID), cmp.Compare(a.Line, b.Line))
		}))
}

func mappingID(l *profile.Location) uint64 {
	if l.Mapping == nil {
		return 0
	}
	return l.Mapping.ID
}

// compareSamples puts samples with common callers side by side, which also makes
// the file compress well.
func compareSamples(x, y *profile.Sample) int {
	n, m := len(x.Location), len(y.Location)
	for i := 1; i <= min(n, m); i++ {
		if c := cmp.Compare(x.Location[n-i].ID, y.Location[m-i].ID); c != 0 {
			return c
		}
	}
	if n != m {
		return cmp.Compare(n, m)
	}
	for _, key := range []string{LabelService, LabelContainer, LabelComm, LabelStack} {
		if c := slices.Compare(x.Label[key], y.Label[key]); c != 0 {
			return c
		}
	}
	for _, key := range []string{LabelPID, LabelTID} {
		if c := slices.Compare(x.NumLabel[key], y.NumLabel[key]); c != 0 {
			return c
		}
	}
	return 0
}

// setHas marks the mappings of which we have names, so that `go tool pprof` leaves
// them alone: for one address without a name it would name all of the mapping's
// anew, with the files and tools of the machine that it runs on.
func setHas(p *profile.Profile) {
	for _, l := range p.Location {
		m := l.Mapping
		if m == nil || len(l.Line) == 0 {
			continue
		}
		m.HasFunctions = true
		for _, line := range l.Line {
			m.HasFilenames = m.HasFilenames || line.Function.Filename != ""
			m.HasLineNumbers = m.HasLineNumbers || line.Line > 0
		}
		m.HasInlineFrames = m.HasInlineFrames || len(l.Line) > 1 || m.HasLineNumbers
	}
}
