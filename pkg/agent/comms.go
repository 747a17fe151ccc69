package agent

// otherName stands for what a bounded table had no room for.
const otherName = "[other]"

// comms numbers thread names.
type comms struct {
	ids   map[string]uint32
	list  []string
	limit int // 0: none
}

func newComms() *comms { return &comms{ids: map[string]uint32{}} }

// add returns the number of b, which is copied once for each name.
func (t *comms) add(b []byte) uint32 {
	if id, ok := t.ids[string(b)]; ok {
		return id
	}
	s := string(b)
	if t.limit > 0 && len(t.list) >= t.limit {
		s = otherName
		if id, ok := t.ids[s]; ok {
			return id
		}
	}
	id := uint32(len(t.list))
	t.list = append(t.list, s)
	t.ids[s] = id
	return id
}
