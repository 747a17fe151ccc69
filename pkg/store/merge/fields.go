package merge

import "google.golang.org/protobuf/encoding/protowire"

// fields calls f for each field of a message: with its bytes, or with its number when it is one. Fields that are neither
// are skipped. Tags and numbers of one byte, nearly all, take no call.
func fields(b []byte, f func(num protowire.Number, bytes []byte, v uint64) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.Number(b[0]>>3), protowire.Type(b[0]&7), 1
		if b[0] >= 0x80 || num == 0 {
			if num, typ, n = protowire.ConsumeTag(b); n < 0 {
				return protowire.ParseError(n)
			}
		}
		b = b[n:]
		var bytes []byte
		var v uint64
		switch typ {
		case protowire.VarintType:
			if len(b) > 0 && b[0] < 0x80 {
				v, n = uint64(b[0]), 1
			} else {
				v, n = protowire.ConsumeVarint(b)
			}
		case protowire.BytesType:
			if len(b) > 0 && int(b[0]) < min(len(b), 0x80) {
				n = 1 + int(b[0])
				bytes = b[1:n:n]
			} else if bytes, n = protowire.ConsumeBytes(b); bytes == nil {
				bytes = []byte{}
			}
		default:
			num, n = 0, protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := f(num, bytes, v); err != nil {
			return err
		}
	}
	return nil
}

// packed calls f for each number of a repeated field, which is one number or many in a row.
func packed(b []byte, v uint64, f func(uint64) error) error {
	if b == nil {
		return f(v)
	}
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}
