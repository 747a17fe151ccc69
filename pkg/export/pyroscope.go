package export

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Fields of push/v1/push.proto and types/v1/types.proto (github.com/grafana/pyroscope, api/, Apache-2.0). They are
// encoded by hand: the generated module would add 8 MB to the program (docs/adr/007-push.md).
const (
	requestSeries             = 1
	seriesLabel, seriesSample = 1, 2
	labelPairName             = 1
	labelPairValue            = 2
	rawProfile, rawID         = 1, 2
	pushPath                  = "/push.v1.PusherService/Push"
)

// pushV1 speaks push.v1 over Connect's unary HTTP.
type pushV1 struct {
	profile pprofLimit
	request int // bytes
	extra   map[string]string
}

func (p *pushV1) encode(iv *prof.Interval, at time.Time, emit func(batch)) tally {
	var t tally
	var request []byte
	profiles := 0
	flush := func() {
		if profiles > 0 {
			emit(batch{at: at, profiles: profiles, body: pack(request)})
		}
		request, profiles = request[:0], 0
	}
	for _, window := range iv.Windows {
		sums, err := sumStacks(window.Profile)
		if err != nil {
			t.drop(DropInvalid, 1, fmt.Errorf("encode profile of %q: %w", window.Service, err))
			continue
		}
		if len(sums) == 0 {
			t.empty++
			continue
		}
		names, noRoom := p.labels(window)
		t.labels += noRoom
		dropTaken(sums, names)
		h := newPprofHeader(window.Profile, at.UnixNano(), int64(iv.Duration))
		pieces := 0
		tooLarge := pprofPieces(window.Profile, sums, h, p.profile, func(profile []byte) {
			pieces++
			series := appendSeries(nil, names, profile, newID())
			if len(request)+len(series) > p.request {
				flush()
			}
			request = append(request, series...)
			profiles++
		})
		if tooLarge > 0 {
			t.drop(DropTooLarge, tooLarge, fmt.Errorf("encode profile of %q: a stack is larger than %d bytes", window.Service, p.profile.bytes))
		}
		t.pieces += pieces + tooLarge - 1
	}
	flush()
	return t
}

// dropTaken takes labels from stacks that the series has itself, or has no room for: the server makes series labels of
// them, and refuses the profile for one too many.
func dropTaken(sums []stackSum, names []label) {
	for i := range sums {
		s := &sums[i]
		s.labels = slices.DeleteFunc(s.labels, func(l prof.Label) bool {
			name := labelName(l.Key)
			return slices.ContainsFunc(names, func(have label) bool { return have.name == name })
		})
		if len(names)+prof.MaxExtra > maxLabels {
			s.labels = nil
		}
	}
}

// labels returns those of the series of a window.
func (p *pushV1) labels(w *prof.Window) ([]label, int) {
	service := limit(w.Service, maxLabelValue)
	if service == "" {
		service = "unknown" // the server would call it unknown_service, with everybody else's
	}
	own := []label{{nameLabel, limit(metricName(w.Kind), maxLabelValue)}, {serviceLabel, service}}
	if own[0].value == "memory" {
		own = append(own, label{deltaLabel, "false"})
	}
	return seriesLabels(own, w.Labels, p.extra)
}

// newID returns a random UUID, by which a reply names the profiles that it is about.
func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	h := hex.EncodeToString(id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// appendSeries appends one series with one profile to a PushRequest.
func appendSeries(b []byte, names []label, profile []byte, id string) []byte {
	var series []byte
	for _, l := range names {
		var pair []byte
		pair = protowire.AppendTag(pair, labelPairName, protowire.BytesType)
		pair = protowire.AppendString(pair, l.name)
		pair = protowire.AppendTag(pair, labelPairValue, protowire.BytesType)
		pair = protowire.AppendString(pair, l.value)
		series = protowire.AppendTag(series, seriesLabel, protowire.BytesType)
		series = protowire.AppendBytes(series, pair)
	}
	var sample []byte
	sample = protowire.AppendTag(sample, rawProfile, protowire.BytesType)
	sample = protowire.AppendBytes(sample, profile)
	sample = protowire.AppendTag(sample, rawID, protowire.BytesType)
	sample = protowire.AppendString(sample, id)
	series = protowire.AppendTag(series, seriesSample, protowire.BytesType)
	series = protowire.AppendBytes(series, sample)
	b = protowire.AppendTag(b, requestSeries, protowire.BytesType)
	return protowire.AppendBytes(b, series)
}
