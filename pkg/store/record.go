package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/store/merge"
)

// The file interval.pb.gz of an interval is a profile of its own, in which the services are the functions and "[lost]" is
// what nobody got. Two comments hold, as JSON, what the index needs of the interval and what timelines need.

// A record is what the index knows of an interval beside its name.
type record struct {
	Parts   []string       `json:"parts,omitempty"`
	Windows int            `json:"windows"`
	Covered int64          `json:"covered"` // nanoseconds
	Lost    uint64         `json:"lost"`
	Unit    string         `json:"unit"`
	All     bool           `json:"all,omitempty"` // there is an all.pb.gz
	Series  []seriesRecord `json:"series"`
}

type seriesRecord struct {
	File    string `json:"file"`
	Key     string `json:"identity"`
	Samples int64  `json:"samples"`
	Value   int64  `json:"value"` // in Unit
}

// A row is a short stretch of an interval: in level window a row is a window.
type row struct {
	Start   int64      `json:"t"` // nanoseconds since 1970
	Covered int64      `json:"d"` // nanoseconds
	Windows int        `json:"w"`
	Lost    uint64     `json:"l,omitempty"`
	Series  [][3]int64 `json:"s,omitempty"` // position in the record, samples, value
}

const (
	recordComment = "ebpfprof interval: "
	rowsComment   = "ebpfprof rows: "
	lostName      = "[lost]"
)

// recordProfile returns the uncompressed profile of interval.pb.gz.
func recordProfile(kind string, start time.Time, d time.Duration, rec *record, rows []row, services []string) ([]byte, error) {
	head, err := json.Marshal(rec)
	if err != nil {
		return nil, err
	}
	tail, err := json.Marshal(rows)
	if err != nil {
		return nil, err
	}
	b := profile.NewBuilder(profile.BuilderOptions{
		SampleTypes: []profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "lost", Unit: "count"}, {Type: kind, Unit: rec.Unit}},
		Start:       start, Duration: d,
	})
	for i, s := range rec.Series {
		b.Sample([]*pprof.Location{b.Marker(services[i])}, profile.Labels{}, s.Samples, 0, s.Value)
	}
	b.Sample([]*pprof.Location{b.Marker(lostName)}, profile.Labels{}, 0, int64(min(rec.Lost, 1<<63-1)), 0)
	m := merge.New(0)
	if err := m.AddProfile(b.Profile()); err != nil {
		return nil, err
	}
	return m.AppendWire(nil, recordComment+string(head), rowsComment+string(tail)), nil
}

// parseRecord reads a comment of an uncompressed interval.pb.gz into v.
func parseRecord(wire []byte, prefix string, v any) error {
	comments, err := merge.Comments(wire)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(comments, func(c string) bool { return strings.HasPrefix(c, prefix) })
	if i < 0 {
		return fmt.Errorf("no comment %q", prefix)
	}
	return json.Unmarshal([]byte(comments[i][len(prefix):]), v)
}

// check says whether numbers that came from a file make sense.
func (rec *record) check() error {
	if rec.Windows < 0 || rec.Covered < 0 || len(rec.Series) > maxSeries || len(rec.Parts) > maxParts {
		return errors.New("numbers out of range")
	}
	return nil
}

// Limits of one interval.
const (
	maxSeries = 20000
	maxParts  = 100000
)

// coarsen joins rows that lie in the same stretch of the clock. The values of a level become the mean of the windows.
func coarsen(rows []row, resolution time.Duration, isLevel bool) []row {
	slices.SortStableFunc(rows, func(a, b row) int { return int(min(max(a.Start-b.Start, -1), 1)) })
	var out []row
	for _, r := range rows {
		r.Series = slices.Clone(r.Series)
		for i := 0; isLevel && i < len(r.Series); i++ {
			n := int64(max(r.Windows, 1))
			r.Series[i][1], r.Series[i][2] = n*r.Series[i][1], n*r.Series[i][2]
		}
		last := len(out) - 1
		if last < 0 || out[last].Start/int64(resolution) != r.Start/int64(resolution) {
			out = append(out, r)
			continue
		}
		o := &out[last]
		o.Covered, o.Windows, o.Lost = o.Covered+r.Covered, o.Windows+r.Windows, o.Lost+r.Lost
		o.Series = append(o.Series, r.Series...)
	}
	for i := range out {
		o := &out[i]
		o.Series = sumSeries(o.Series)
		for j := 0; isLevel && j < len(o.Series); j++ {
			n := int64(max(o.Windows, 1))
			o.Series[j][1], o.Series[j][2] = o.Series[j][1]/n, o.Series[j][2]/n
		}
	}
	return out
}

// sumSeries adds up the numbers of each series.
func sumSeries(list [][3]int64) [][3]int64 {
	slices.SortFunc(list, func(a, b [3]int64) int { return int(a[0] - b[0]) })
	var out [][3]int64
	for _, s := range list {
		if last := len(out) - 1; last >= 0 && out[last][0] == s[0] {
			out[last][1] += s[1]
			out[last][2] += s[2]
		} else {
			out = append(out, s)
		}
	}
	return out
}
