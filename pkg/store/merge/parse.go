package merge

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// wire is what a document keeps while it is parsed. Strings come last in a file of google/pprof's, so nothing that refers
// to them can be checked before the end.
type wire struct {
	types, samples, mappings, locations, functions [][]byte

	periodType              []byte
	comments                []int64
	defaultType, docURL     int64
	dropFrames, keptOnly    int64
	mappingIDs, functionIDs ids
	locationIDs             ids
}

// parse reads an uncompressed profile. What google/pprof takes as a valid profile, it takes, within the limits of a
// document.
func (d *document) parse(b []byte) error {
	d.reset()
	w := &d.wire
	*w = wire{types: w.types[:0], samples: w.samples[:0], mappings: w.mappings[:0], locations: w.locations[:0],
		functions: w.functions[:0], comments: w.comments[:0],
		mappingIDs: w.mappingIDs.reset(), functionIDs: w.functionIDs.reset(), locationIDs: w.locationIDs.reset()}
	if err := d.top(b); err != nil {
		return err
	}
	if len(d.strings) == 0 || len(d.strings[0]) != 0 {
		return errors.New("the string table does not start with an empty string")
	}
	for _, step := range []func() error{d.parseHeader, d.parseMappings, d.parseFunctions, d.parseLocations, d.parseSamples, d.check} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// top sorts the fields of the message Profile.
func (d *document) top(b []byte) error {
	w, h := &d.wire, &d.header
	return fields(b, func(num protowire.Number, bytes []byte, v uint64) error {
		switch num {
		case 1:
			return push(&w.types, bytes, maxRecords)
		case 2:
			return push(&w.samples, bytes, maxRecords)
		case 3:
			return push(&w.mappings, bytes, maxRecords)
		case 4:
			return push(&w.locations, bytes, maxRecords)
		case 5:
			return push(&w.functions, bytes, maxRecords)
		case 6:
			return push(&d.strings, bytes, maxItems)
		case 7:
			w.dropFrames = int64(v)
		case 8:
			w.keptOnly = int64(v)
		case 9:
			if h.time != 0 {
				return errors.New("two profiles in one file")
			}
			h.time = int64(v)
		case 10:
			h.duration = int64(v)
		case 11:
			w.periodType = bytes
		case 12:
			h.period = int64(v)
		case 13:
			return packed(bytes, v, func(v uint64) error {
				w.comments = append(w.comments, int64(v))
				return nil
			})
		case 14:
			w.defaultType = int64(v)
		case 15:
			w.docURL = int64(v)
		}
		return nil
	})
}

func push(list *[][]byte, b []byte, limit int) error {
	if len(*list) >= limit {
		return errLarge
	}
	*list = append(*list, b)
	return nil
}

func (d *document) parseHeader() (err error) {
	w, h := &d.wire, &d.header
	for _, b := range w.types {
		t, err := d.valueType(b)
		if err != nil {
			return err
		}
		h.sampleTypes = append(h.sampleTypes, t)
	}
	if h.periodType, err = d.valueType(w.periodType); err != nil {
		return err
	}
	for _, s := range []struct {
		ref int64
		to  *string
	}{{w.defaultType, &h.defaultType}, {w.docURL, &h.docURL}, {w.dropFrames, &h.dropFrames}, {w.keptOnly, &h.keptOnly}} {
		i, err := d.ref(uint64(s.ref))
		if err != nil {
			return err
		}
		*s.to = d.text(i)
	}
	for n, c := range w.comments {
		i, err := d.ref(uint64(c))
		if err != nil {
			return err
		}
		if n < maxComments {
			h.comments = append(h.comments, d.text(i))
		}
	}
	return nil
}

func (d *document) valueType(b []byte) (t ValueType, err error) {
	var typ, unit uint64
	if err = fields(b, func(num protowire.Number, _ []byte, v uint64) error {
		switch num {
		case 1:
			typ = v
		case 2:
			unit = v
		}
		return nil
	}); err != nil {
		return t, err
	}
	i, err := d.ref(typ)
	if err != nil {
		return t, err
	}
	j, err := d.ref(unit)
	return ValueType{d.text(i), d.text(j)}, err
}

// ref checks a reference to a string.
func (d *document) ref(v uint64) (uint32, error) {
	if v >= uint64(len(d.strings)) {
		return 0, fmt.Errorf("string %d of %d", v, len(d.strings))
	}
	return uint32(v), nil
}

func (d *document) parseMappings() error {
	for _, b := range d.wire.mappings {
		var m mapping
		var id, file, build uint64
		if err := fields(b, func(num protowire.Number, _ []byte, v uint64) error {
			switch num {
			case 1:
				id = v
			case 2:
				m.start = v
			case 3:
				m.limit = v
			case 4:
				m.offset = v
			case 5:
				file = v
			case 6:
				build = v
			case 7, 8, 9, 10:
				m.has = m.has&^(1<<(num-7)) | flag(v != 0, 1<<(num-7))
			}
			return nil
		}); err != nil {
			return err
		}
		var err error
		if m.file, err = d.ref(file); err != nil {
			return err
		}
		if m.buildID, err = d.ref(build); err != nil {
			return err
		}
		if err := d.wire.mappingIDs.add("mapping", id, len(d.wire.mappings)); err != nil {
			return err
		}
		d.mappings = append(d.mappings, m)
	}
	return nil
}

func (d *document) parseFunctions() error {
	for _, b := range d.wire.functions {
		var refs [6]uint64
		if err := fields(b, func(num protowire.Number, _ []byte, v uint64) error {
			if num < 6 {
				refs[num] = v
			}
			return nil
		}); err != nil {
			return err
		}
		var f function
		for i, to := range []*uint32{&f.name, &f.systemName, &f.file} {
			var err error
			if *to, err = d.ref(refs[2+i]); err != nil {
				return err
			}
		}
		f.startLine = int64(refs[5])
		if err := d.wire.functionIDs.add("function", refs[1], len(d.wire.functions)); err != nil {
			return err
		}
		d.functions = append(d.functions, f)
	}
	return nil
}

// Comments returns the comments of an uncompressed profile and looks at nothing else.
func Comments(wire []byte) ([]string, error) {
	var d document
	if err := d.top(wire); err != nil {
		return nil, err
	}
	comments := make([]string, 0, min(len(d.wire.comments), maxComments))
	for _, c := range d.wire.comments[:cap(comments)] {
		i, err := d.ref(uint64(c))
		if err != nil {
			return nil, err
		}
		comments = append(comments, d.text(i))
	}
	return comments, nil
}
