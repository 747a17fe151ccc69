package store

import (
	"encoding/json"
	"fmt"
	"strings"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// An identity tells series apart. Profiles with other sample types cannot be added up, so they are other series on disk.
// Its JSON is in each file of the series, as a comment.
type identity struct {
	Service string            `json:"service"`
	Labels  map[string]string `json:"labels,omitempty"`
	Types   []string          `json:"types"` // type/unit, those of the samples, then that of the period
}

const (
	identityComment = "ebpfprof series: "
	maxIdentity     = 256 << 10 // bytes of JSON; a service's name of 64 KiB fits, escaped
)

// A series is an identity as the index knows it. There is one for each identity; it is never changed.
type series struct {
	profile.Series
	key   string // the identity's JSON
	types string // to compare
	file  string
}

// newIdentity returns the JSON of a window's identity. Bytes that are not UTF-8 become U+FFFD.
func newIdentity(w *profile.Window) (string, error) {
	id := identity{Service: valid(w.Service), Labels: map[string]string{}}
	for k, v := range w.Labels {
		id.Labels[valid(k)] = valid(v)
	}
	for _, t := range append(w.Profile.SampleType[:len(w.Profile.SampleType):len(w.Profile.SampleType)], w.Profile.PeriodType) {
		if t == nil {
			t = &pprof.ValueType{}
		}
		id.Types = append(id.Types, valid(t.Type)+"/"+valid(t.Unit))
	}
	b, err := json.Marshal(id)
	if err == nil && len(b) > maxIdentity {
		err = fmt.Errorf("name and labels of a series take %d bytes, more than %d", len(b), maxIdentity)
	}
	return string(b), err
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// series returns the one series with an identity. The caller holds s.mu.
func (s *Store) series(kind, key string) (*series, error) {
	full := kind + "\x00" + key
	if known := s.known[full]; known != nil {
		return known, nil
	}
	var id identity
	if len(key) > maxIdentity {
		return nil, fmt.Errorf("identity of %d bytes", len(key))
	}
	if err := json.Unmarshal([]byte(key), &id); err != nil {
		return nil, fmt.Errorf("read identity of series: %w", err)
	}
	n := &series{
		Series: profile.Series{Kind: kind, Service: id.Service, Labels: id.Labels},
		key:    key, types: strings.Join(id.Types, ","), file: seriesFile(id.Service, key),
	}
	s.known[full] = n
	return n, nil
}
