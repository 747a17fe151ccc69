package export

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// fields calls each with the length-delimited fields of a message; raw is the field with its tag. Other fields are
// passed over.
func fields(message []byte, each func(field protowire.Number, value, raw []byte) error) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		m := protowire.ConsumeFieldValue(field, kind, message[n:])
		if m < 0 {
			return protowire.ParseError(m)
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message[n:])
			if err := each(field, value, message[:n+m]); err != nil {
				return err
			}
		}
		message = message[n+m:]
	}
	return nil
}

// seriesID returns the ID of the profile in a series as appendSeries writes it.
func seriesID(series []byte) (string, error) {
	id := ""
	err := fields(series, func(field protowire.Number, sample, _ []byte) error {
		if field != seriesSample {
			return nil
		}
		return fields(sample, func(field protowire.Number, value, _ []byte) error {
			if field == rawID {
				id = string(value)
			}
			return nil
		})
	})
	return id, err
}

// seriesOf calls each with every series of a PushRequest and the ID of its profile.
func seriesOf(request []byte, each func(id string, raw []byte)) error {
	err := fields(request, func(field protowire.Number, series, raw []byte) error {
		if field != requestSeries {
			return nil
		}
		id, err := seriesID(series)
		if err == nil {
			each(id, raw)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	return nil
}
