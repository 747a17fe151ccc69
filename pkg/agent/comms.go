package agent

// otherName stands for what a bounded table had no room for.
const otherName = "[other]"

// comms numbers thread names.
type comms struct {
	ids   map[string]uint16
	list  []string
	limit int
}

func newComms() *comms { return &comms{ids: map[string]uint16{}, limit: hardComms} }

// add returns the number of b, which is copied once for each name.
func (t *comms) add(b []byte) uint16 {
	if id, ok := t.ids[string(b)]; ok {
		return id
	}
	s := string(b)
	if len(t.list) >= t.limit {
		s = otherName
		if id, ok := t.ids[s]; ok {
			return id
		}
	}
	id := uint16(len(t.list))
	t.list = append(t.list, s)
	t.ids[s] = id
	return id
}
