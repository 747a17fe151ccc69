package unwind

import "slices"

const chunkRows = 1 << 15

// rows is a list of rows in chunks, so that growing never copies: a table of 5
// million rows takes 30 MB at its peak.
type rows struct {
	chunks []*chunk
	n      int
}

type chunk struct {
	pc   []uint32
	rule []uint16
}

func (r *rows) len() int {
	if r == nil {
		return 0
	}
	return r.n
}

func (r *rows) at(i int) Row {
	c := r.chunks[i/chunkRows]
	return Row{c.pc[i%chunkRows], c.rule[i%chunkRows]}
}

func (r *rows) append(row Row) {
	if r.n%chunkRows == 0 {
		c := &chunk{}
		if r.n > 0 { // small tables grow as slices do
			c.pc, c.rule = make([]uint32, 0, chunkRows), make([]uint16, 0, chunkRows)
		}
		r.chunks = append(r.chunks, c)
	}
	c := r.chunks[len(r.chunks)-1]
	c.pc, c.rule = append(c.pc, row.PC), append(c.rule, row.Rule)
	r.n++
}

func (r *rows) pop() {
	r.n--
	last := len(r.chunks) - 1
	c := r.chunks[last]
	c.pc, c.rule = c.pc[:len(c.pc)-1], c.rule[:len(c.rule)-1]
	if len(c.pc) == 0 {
		r.chunks = r.chunks[:last]
	}
}

func (r *rows) trim() {
	if n := len(r.chunks); n > 0 {
		c := r.chunks[n-1]
		c.pc, c.rule = slices.Clone(c.pc), slices.Clone(c.rule)
	}
}

// search returns the last row with PC <= pc, or -1.
func (r *rows) search(pc uint32) int {
	c, _ := slices.BinarySearchFunc(r.chunks, pc, func(c *chunk, pc uint32) int {
		if c.pc[0] <= pc {
			return -1
		}
		return 1
	})
	if c == 0 {
		return -1
	}
	c--
	i, found := slices.BinarySearch(r.chunks[c].pc, pc)
	if !found {
		i--
	}
	return c*chunkRows + i
}

// merge returns the rows of a, with b where a has rule 0, at most maxRows of them.
// It may return one of its arguments, and else uses a up.
func merge(a, b *rows, maxRows int) *rows {
	if a.len() == 0 {
		return b
	}
	if b.len() == 0 {
		return a
	}
	out := &rows{}
	var ruleA, ruleB, last uint16
	for i, j := 0, 0; i < a.n || j < b.n; {
		var pc uint32
		switch {
		case j == b.n || i < a.n && a.at(i).PC <= b.at(j).PC:
			pc = a.at(i).PC
		default:
			pc = b.at(j).PC
		}
		if i < a.n && a.at(i).PC == pc {
			ruleA = a.at(i).Rule
			if i++; i%chunkRows == 0 {
				a.chunks[i/chunkRows-1] = nil // no longer needed
			}
		}
		if j < b.n && b.at(j).PC == pc {
			ruleB = b.at(j).Rule
			j++
		}
		rule := ruleA
		if rule == 0 {
			rule = ruleB
		}
		if rule == last {
			continue
		}
		if out.n+1 >= maxRows {
			rule = 0
		}
		out.append(Row{pc, rule})
		last = rule
		if out.n >= maxRows {
			break
		}
	}
	return out
}
