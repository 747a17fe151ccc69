package merge

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

func (d *document) parseLocations() error {
	for _, b := range d.wire.locations {
		var l location
		var id, mapping uint64
		l.lines.from = uint32(len(d.lines))
		if err := fields(b, func(num protowire.Number, bytes []byte, v uint64) error {
			switch num {
			case 1:
				id = v
			case 2:
				mapping = v
			case 3:
				l.address = v
			case 4:
				return d.parseLine(bytes)
			case 5:
				l.folded = v != 0
			}
			return nil
		}); err != nil {
			return err
		}
		l.lines.to = uint32(len(d.lines))
		if i, ok := d.wire.mappingIDs.find(mapping); ok {
			l.mapping = i + 1
		}
		if err := d.wire.locationIDs.add("location", id, len(d.wire.locations)); err != nil {
			return err
		}
		d.locations = append(d.locations, l)
	}
	return nil
}

func (d *document) parseLine(b []byte) error {
	if len(d.lines) >= maxRecords {
		return errLarge
	}
	var v4 [4]uint64
	if err := fields(b, func(num protowire.Number, _ []byte, v uint64) error {
		if num < 4 {
			v4[num] = v
		}
		return nil
	}); err != nil {
		return err
	}
	fn, ok := d.wire.functionIDs.find(v4[1])
	if !ok {
		return fmt.Errorf("a line has function %d, which is not there", v4[1])
	}
	d.lines = append(d.lines, line{fn, int64(v4[2]), int64(v4[3])})
	return nil
}

func (d *document) parseSamples() error {
	types := len(d.header.sampleTypes)
	if types == 0 && len(d.wire.samples) > 0 {
		return errors.New("samples without sample types")
	}
	for _, b := range d.wire.samples {
		var s docSample
		s.stack.from, s.values.from, s.labels.from =
			uint32(len(d.stacks)), uint32(len(d.values)), uint32(len(d.labels))
		if err := fields(b, func(num protowire.Number, bytes []byte, v uint64) error {
			switch num {
			case 1:
				return d.parseStack(bytes, v)
			case 2:
				return packed(bytes, v, d.parseValue)
			case 3:
				return d.parseLabel(bytes)
			}
			return nil
		}); err != nil {
			return err
		}
		s.stack.to, s.values.to, s.labels.to = uint32(len(d.stacks)), uint32(len(d.values)), uint32(len(d.labels))
		if n := int(s.values.to - s.values.from); n != types {
			return fmt.Errorf("a sample has %d values of %d", n, types)
		}
		d.samples = append(d.samples, s)
	}
	return nil
}

// parseStack is where most of the time goes.
func (d *document) parseStack(b []byte, v uint64) error {
	if b == nil {
		return d.step(v)
	}
	if len(d.stacks)+len(b) > maxItems {
		return errLarge
	}
	dense := d.wire.locationIDs.dense
	for len(b) > 0 {
		v, n := uint64(b[0]), 1
		switch {
		case v < 0x80:
		case len(b) > 1 && b[1] < 0x80:
			v, n = v&0x7f|uint64(b[1])<<7, 2
		default:
			if v, n = protowire.ConsumeVarint(b); n < 0 {
				return protowire.ParseError(n)
			}
		}
		b = b[n:]
		if v < uint64(len(dense)) && dense[v] != 0 {
			d.stacks = append(d.stacks, dense[v]-1)
		} else if err := d.step(v); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) step(v uint64) error {
	i, ok := d.wire.locationIDs.find(v)
	if !ok {
		return fmt.Errorf("a sample has location %d, which is not there", v)
	}
	if len(d.stacks) >= maxItems {
		return errLarge
	}
	d.stacks = append(d.stacks, i)
	return nil
}

func (d *document) parseValue(v uint64) error {
	if len(d.values) >= maxItems {
		return errLarge
	}
	d.values = append(d.values, int64(v))
	return nil
}

func (d *document) parseLabel(b []byte) error {
	if len(d.labels) >= maxItems {
		return errLarge
	}
	var v5 [5]uint64
	if err := fields(b, func(num protowire.Number, _ []byte, v uint64) error {
		if num < 5 {
			v5[num] = v
		}
		return nil
	}); err != nil {
		return err
	}
	var l label
	var err error
	if l.key, err = d.ref(v5[1]); err != nil {
		return err
	}
	switch {
	case v5[2] != 0:
		l.str, err = d.ref(v5[2])
	case v5[3] != 0 || v5[4] != 0:
		l.numeric, l.num = true, int64(v5[3])
		l.str, err = d.ref(v5[4])
	default:
		return nil
	}
	d.labels = append(d.labels, l)
	return err
}

// ids finds the position of a record by its ID. IDs count from 1 nearly always.
type ids struct {
	dense  []uint32 // position plus one
	sparse map[uint64]uint32
	n      uint32
}

func (x ids) reset() ids { return ids{dense: x.dense[:0]} }

// add enters the next record, one of total.
func (x *ids) add(what string, id uint64, total int) error {
	if _, dup := x.find(id); dup || id == 0 {
		return fmt.Errorf("%s ID %d is not its own", what, id)
	}
	if x.n == 0 {
		x.dense = slices.Grow(x.dense[:0], total+1)[:total+1]
		clear(x.dense)
	}
	x.n++
	if id <= uint64(total) {
		x.dense[id] = x.n
		return nil
	}
	if x.sparse == nil {
		x.sparse = map[uint64]uint32{}
	}
	x.sparse[id] = x.n
	return nil
}

func (x *ids) find(id uint64) (uint32, bool) {
	if id < uint64(len(x.dense)) {
		return x.dense[id] - 1, x.dense[id] != 0
	}
	i, ok := x.sparse[id]
	return i - 1, ok
}
