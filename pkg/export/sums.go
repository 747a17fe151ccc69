package export

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// maxDepth is Pyroscope's validation.max-profile-stacktrace-depth. The server cuts what is deeper at the leaf, which
// is the end that matters.
const maxDepth = 1000

// A stackSum is what all samples of a stack with the same further labels come to, whoever's they are.
type stackSum struct {
	locations []*profile.Location // leaf first; shared with the profile
	labels    []prof.Label
	values    []int64
}

// sumStacks adds up the samples of p by stack and by the labels of their kind, such as the state of off-CPU time. All
// other labels go: a server makes a series of each value of a sample's label, so that 500 thread IDs would be 500
// series. The reason why a stack is not complete stays, as its root frame. Stacks whose values are all 0 are left out.
// The order is that of p.
func sumStacks(p *profile.Profile) ([]stackSum, error) {
	if err := p.CheckValid(); err != nil {
		return nil, fmt.Errorf("check profile: %w", err)
	}
	if len(p.SampleType) == 0 {
		return nil, fmt.Errorf("check profile: no sample types")
	}
	sums := make([]stackSum, 0, len(p.Sample))
	index := make(map[string]int, len(p.Sample))
	var key []byte
	number := map[prof.Extra]uint64{}
	for _, s := range p.Sample {
		if !slices.ContainsFunc(s.Value, func(v int64) bool { return v != 0 }) {
			continue
		}
		extra := prof.ExtraOf(s)
		if _, ok := number[extra]; !ok {
			number[extra] = uint64(len(number))
		}
		key = binary.AppendUvarint(key[:0], number[extra])
		for _, l := range s.Location {
			key = binary.AppendUvarint(key, l.ID)
		}
		i, ok := index[string(key)]
		if !ok {
			index[string(key)] = len(sums)
			sums = append(sums, stackSum{s.Location, extra.Labels(), slices.Clone(s.Value)})
			continue
		}
		for j, v := range s.Value {
			sums[i].values[j] += v
		}
	}
	return sums, nil
}

// shorten returns a stack of at most maxDepth locations: one that is deeper keeps its leaf half and its root half, with
// the location cut between them.
func shorten(stack []*profile.Location, cut *profile.Location) []*profile.Location {
	if len(stack) <= maxDepth {
		return stack
	}
	root := maxDepth / 2
	leaf := maxDepth - root - 1
	return slices.Concat(stack[:leaf], []*profile.Location{cut}, stack[len(stack)-root:])
}

// cutLocation returns the marker for what shorten leaves out.
func cutLocation() *profile.Location {
	return &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: "[truncated]"}}}}
}
