package render

import (
	"cmp"
	"slices"
)

// otherName is what the node is called that stands for small ones.
const otherName = "(other)"

// fold keeps the limit heaviest nodes besides the root. What is below them goes to a node that says so, one for each kept
// node that loses a child.
func (b *stacksBuilder) fold(limit int) {
	if len(b.nodes)-1 <= limit {
		return
	}
	weights := b.weights()
	order := make([]int32, len(b.nodes)-1)
	for i := range order {
		order[i] = int32(i + 1)
	}
	// A parent weighs no less than its child and has the smaller number.
	slices.SortFunc(order, func(x, y int32) int { return cmp.Or(cmp.Compare(weights[y], weights[x]), cmp.Compare(x, y)) })
	kept := make([]bool, len(b.nodes))
	kept[0] = true
	for _, i := range order[:limit] {
		kept[i] = kept[b.nodes[i].parent]
	}
	b.renumber(kept)
}

// weights returns what each node is worth with all below it: the sum of its shares of the totals of all sample types, so
// that a stack which matters to one of them is kept.
func (b *stacksBuilder) weights() []float64 {
	totals := make([]float64, len(b.p.SampleType))
	for _, s := range b.samples {
		for t, v := range s.values {
			totals[t] += abs(v)
		}
	}
	weights := make([]float64, len(b.nodes))
	for _, s := range b.samples {
		for t, v := range s.values {
			if totals[t] > 0 {
				weights[s.node] += abs(v) / totals[t]
			}
		}
	}
	for i := len(b.nodes) - 1; i > 0; i-- {
		weights[b.nodes[i].parent] += weights[i]
	}
	return weights
}

// renumber drops the nodes that are not kept, and puts samples that are the same without them together.
func (b *stacksBuilder) renumber(kept []bool) {
	other := int32(len(b.frames))
	b.frames = append(b.frames, stacksFrame{name: otherName, kind: kindFolded})
	nodes, to := []stacksNode{{-1, -1}}, make([]int32, len(b.nodes))
	for i, n := range b.nodes[1:] {
		if kept[i+1] {
			to[i+1] = int32(len(nodes))
			nodes = append(nodes, stacksNode{to[n.parent], n.frame})
		}
	}
	others := map[int32]int32{} // kept node -> the one that stands for its small children
	for i, n := range b.nodes[1:] {
		if kept[i+1] {
			continue
		}
		b.foldedNodes++
		if !kept[n.parent] {
			to[i+1] = to[n.parent]
			continue
		}
		parent := to[n.parent]
		at, ok := others[parent]
		if !ok {
			at = int32(len(nodes))
			others[parent] = at
			nodes = append(nodes, stacksNode{parent, other})
		}
		to[i+1] = at
	}
	samples, index, moved := []stacksSample{}, map[stacksKey]int32{}, make([]int32, len(b.samples))
	for i, s := range b.samples {
		if !kept[s.node] {
			b.foldedValue = saturated(b.foldedValue, s.values[b.value])
		}
		s.node = to[s.node]
		key := stacksKey{s.node, s.thread, s.labels, s.reason}
		at, ok := index[key]
		if !ok {
			at = int32(len(samples))
			index[key] = at
			samples = append(samples, s)
		} else {
			addAll(samples[at].values, s.values)
		}
		moved[i] = at
	}
	for i, at := range b.sampleOf {
		if at >= 0 {
			b.sampleOf[i] = moved[at]
		}
	}
	b.nodes, b.samples = nodes, samples
}
