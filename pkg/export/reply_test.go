package export

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/profiles/v1development"
	"google.golang.org/protobuf/proto"
)

// testBatch has profiles with these IDs.
func testBatch(ids ...string) batch {
	var request []byte
	for _, id := range ids {
		request = appendSeries(request, []label{{nameLabel, "n"}}, []byte("profile"), id)
	}
	return batch{at: time.Unix(1, 0), profiles: len(ids), body: pack(request)}
}

// TestJudgePartial: the text is that of Pyroscope 2.1 for a request of three series.
func TestJudgePartial(t *testing.T) {
	a, b, c := newID(), newID(), newID()
	message := fmt.Sprintf("2 errors: push series with index 1 and id %s failed: resource_exhausted: push rate limit (4 MiB) exceeded; "+
		"push series with index 2 and id %s failed: invalid_argument: sample type contains -", b, c)
	body := []byte(fmt.Sprintf(`{"code":"invalid_argument","message":%q}`, message))
	v := (&pushV1{}).judge(reply{status: 400, body: body}, testBatch(a, b, c))
	if v.pushed != 1 || v.dropped[DropRefused] != 1 || v.again == nil || v.again.profiles != 1 || v.err == nil {
		t.Fatalf("verdict: %+v", v)
	}
	request, err := unpack(v.again.body)
	if err != nil {
		t.Fatal(err)
	}
	if err := seriesOf(request, func(id string, _ []byte) {
		if id != b {
			t.Errorf("%s is sent again, want %s", id, b)
		}
	}); err != nil {
		t.Error(err)
	}
	// A message about others says nothing about these.
	v = (&pushV1{}).judge(reply{status: 400, body: body}, testBatch(newID(), newID()))
	if v.pushed != 0 || v.dropped[DropRefused] != 2 || v.again != nil {
		t.Errorf("verdict about others: %+v", v)
	}
}

func TestJudgeOTLP(t *testing.T) {
	b := batch{profiles: 5}
	partial, err := proto.Marshal(&collector.ExportProfilesServiceResponse{
		PartialSuccess: &collector.ExportProfilesPartialSuccess{RejectedProfiles: 2, ErrorMessage: "no"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		r               reply
		pushed, dropped int
		again           bool
	}{
		"ok":       {reply{status: 200}, 5, 0, false},
		"json":     {reply{status: 200, body: []byte("{}")}, 5, 0, false},
		"partial":  {reply{status: 200, body: partial}, 3, 2, false},
		"busy":     {reply{status: 429}, 0, 0, true},
		"gateway":  {reply{status: 502}, 0, 0, true},
		"starting": {reply{status: 503}, 0, 0, true},
		"timeout":  {reply{status: 504}, 0, 0, true},
		"down":     {reply{err: http.ErrServerClosed}, 0, 0, true},
		"broken":   {reply{status: 500}, 0, 5, false}, // the specification: must not be retried
		"invalid":  {reply{status: 400, body: []byte("\x08\x03\x12\x02no")}, 0, 5, false},
		"who":      {reply{status: 401}, 0, 5, false},
	} {
		v := (&otlp{}).judge(c.r, b)
		if v.pushed != c.pushed || v.dropped[DropRefused]+v.dropped[DropUnauthorized] != c.dropped || (v.again != nil) != c.again ||
			(v.err == nil) != (c.pushed == 5) {
			t.Errorf("%s: %+v", name, v)
		}
		if name == "invalid" && !strings.HasSuffix(v.err.Error(), ": no") {
			t.Errorf("invalid: %v", v.err)
		}
	}
}

// FuzzJudge: whatever a server answers, every profile of the batch has one fate.
func FuzzJudge(f *testing.F) {
	ids := []string{newID(), newID(), newID()}
	b := testBatch(ids...)
	f.Add(400, []byte(`{"code":"invalid_argument","message":"push series with index 0 and id `+ids[0]+` failed: x"}`))
	f.Add(200, []byte("\x0a\x04\x08\xff\xff\x7f"))
	f.Add(429, []byte(`{"code":"resource_exhausted"`))
	f.Add(503, []byte{})
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		body = []byte(strings.ReplaceAll(string(body), "ID", ids[1]))
		for _, p := range []protocol{&pushV1{}, &otlp{}} {
			v := p.judge(reply{status: status, body: body}, b)
			n := v.pushed
			for _, d := range v.dropped {
				n += d
			}
			if v.again != nil {
				n += v.again.profiles
			}
			if n != b.profiles || (v.err == nil) != (v.pushed == b.profiles) {
				t.Errorf("verdict on %d profiles: %+v", b.profiles, v)
			}
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "x": 0, "-5": 0, "7": 7 * time.Second, "99999999999999": maxRetryAfter,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second, "Fri, 02 Jan 2026 03:00:00 GMT": 0,
		"Fri, 02 Jan 2036 03:00:00 GMT": maxRetryAfter,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{min: 500 * time.Millisecond, max: time.Minute}
	for i := range 100 {
		most := min(time.Minute, b.min<<min(i, 20))
		if d := b.next(0); d < most/2 || d > most {
			t.Errorf("pause %d is %v, want %v to %v", i, d, most/2, most)
		}
	}
	b.reset()
	if d := b.next(3 * time.Minute); d < 3*time.Minute || d > 3*time.Minute+b.min {
		t.Errorf("pause after Retry-After: %v", d)
	}
}
