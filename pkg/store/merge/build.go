package merge

import "github.com/google/pprof/profile"

// Profile returns the sum as google/pprof's model. Samples with equal labels share their maps, so nobody should change
// them. More can be added to the Merger afterwards.
func (m *Merger) Profile() *profile.Profile {
	m.settle()
	h := &m.header
	p := &profile.Profile{
		PeriodType: &profile.ValueType{Type: h.periodType.Type, Unit: h.periodType.Unit}, Period: h.period,
		TimeNanos: h.time, DurationNanos: h.duration, DefaultSampleType: h.defaultType, DocURL: h.docURL,
		DropFrames: h.dropFrames, KeepFrames: h.keptOnly, Comments: m.comments(),
	}
	for _, t := range h.sampleTypes {
		p.SampleType = append(p.SampleType, &profile.ValueType{Type: t.Type, Unit: t.Unit})
	}
	p.Mapping = m.buildMappings()
	p.Function = make([]*profile.Function, len(m.functions)-1)
	functions := make([]profile.Function, len(m.functions)-1)
	for i, f := range m.functions[1:] {
		functions[i] = profile.Function{
			ID: uint64(i + 1), Name: m.strings[f.name], SystemName: m.strings[f.systemName],
			Filename: m.strings[f.file], StartLine: f.startLine,
		}
		p.Function[i] = &functions[i]
	}
	p.Location = m.buildLocations(p)
	p.Sample = m.buildSamples(p)
	return p
}

func (m *Merger) buildMappings() []*profile.Mapping {
	mappings := make([]*profile.Mapping, len(m.mappings)-1)
	for i, d := range m.mappings[1:] {
		mappings[i] = &profile.Mapping{
			ID: uint64(i + 1), Start: d.start, Limit: d.limit, Offset: d.offset,
			File: m.strings[d.file], BuildID: m.strings[d.buildID],
			HasFunctions: d.has&hasFunctions != 0, HasFilenames: d.has&hasFilenames != 0,
			HasLineNumbers: d.has&hasLineNumbers != 0, HasInlineFrames: d.has&hasInlineFrames != 0,
		}
	}
	return mappings
}

func (m *Merger) buildLocations(p *profile.Profile) []*profile.Location {
	locations := make([]profile.Location, len(m.locations)-1)
	list := make([]*profile.Location, len(locations))
	lines := make([]profile.Line, len(m.lines))
	for i, n := range m.lines {
		lines[i] = profile.Line{Function: p.Function[n.function-1], Line: n.line, Column: n.column}
	}
	for i := range locations {
		d := &m.locations[i+1]
		l := &locations[i]
		l.ID, l.Address, l.IsFolded = uint64(i+1), d.address, d.folded
		if d.mapping != 0 {
			l.Mapping = p.Mapping[d.mapping-1]
		}
		if d.lines.to > d.lines.from {
			l.Line = lines[d.lines.from:d.lines.to:d.lines.to]
		}
		list[i] = l
	}
	return list
}

func (m *Merger) buildSamples(p *profile.Profile) []*profile.Sample {
	stacks := make([]*profile.Location, len(m.stacks))
	for i, l := range m.stacks {
		stacks[i] = p.Location[l-1]
	}
	sets := make([]profile.Sample, len(m.labelSets)) // only the labels of each
	for i, set := range m.labelSets {
		sets[i] = m.buildLabels(m.labels[set.from:set.to])
	}
	types := len(m.header.sampleTypes)
	values := append([]int64(nil), m.values...)
	samples := make([]profile.Sample, len(m.samples))
	list := make([]*profile.Sample, len(samples))
	for i := range samples {
		d, set := &m.samples[i], &sets[m.samples[i].labels]
		s := &samples[i]
		s.Location = stacks[d.stack.from:d.stack.to:d.stack.to]
		s.Value = values[i*types : (i+1)*types : (i+1)*types]
		s.Label, s.NumLabel, s.NumUnit = set.Label, set.NumLabel, set.NumUnit
		list[i] = s
	}
	return list
}

func (m *Merger) buildLabels(labels []label) (s profile.Sample) {
	for _, l := range labels {
		key := m.strings[l.key]
		if !l.numeric {
			if s.Label == nil {
				s.Label = map[string][]string{}
			}
			s.Label[key] = append(s.Label[key], m.strings[l.str])
			continue
		}
		if s.NumLabel == nil {
			s.NumLabel = map[string][]int64{}
		}
		s.NumLabel[key] = append(s.NumLabel[key], l.num)
		if l.str != 0 {
			if s.NumUnit == nil {
				s.NumUnit = map[string][]string{}
			}
			for len(s.NumUnit[key]) < len(s.NumLabel[key])-1 {
				s.NumUnit[key] = append(s.NumUnit[key], "")
			}
			s.NumUnit[key] = append(s.NumUnit[key], m.strings[l.str])
		}
	}
	for key, units := range s.NumUnit {
		for len(units) < len(s.NumLabel[key]) {
			units = append(units, "")
		}
		s.NumUnit[key] = units
	}
	return s
}
