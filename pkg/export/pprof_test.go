package export

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/pprof/profile"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/profiles/v1development"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// testProfile has stacks whose names are as long as asked for, each of two threads.
func testProfile(stacks, depth, nameLen int) *profile.Profile {
	b := prof.NewBuilder(prof.BuilderOptions{
		SampleTypes: []prof.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType:  prof.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 10,
	})
	m := prof.Mapping{Start: 0x1000, Limit: 1 << 40, File: "/bin/exe", BuildID: "ab"}
	for i := range stacks {
		var stack []*profile.Location
		for j := range depth {
			name := fmt.Sprintf("f%d.%d%s", i, j, strings.Repeat("n", nameLen))
			stack = append(stack, b.Location(m, uint64(0x2000+i*depth+j), []prof.Frame{{Name: name, File: "f.c", Line: int64(j)}}))
		}
		for tid := int64(1); tid < 3; tid++ {
			b.Sample(stack, prof.Labels{TID: tid, PID: 1, Comm: "c"}, 1, 10)
		}
	}
	return b.Profile()
}

func sumOf(p *profile.Profile) (sum int64) {
	for _, s := range p.Sample {
		sum += s.Value[len(s.Value)-1]
	}
	return sum
}

// TestPieces: whatever the limits, each piece keeps them and is valid, and the sums are those of the whole.
func TestPieces(t *testing.T) {
	for _, c := range []struct{ stacks, depth, nameLen, samples, bytes, least int }{
		{100, 3, 10, 16000, 1 << 20, 1},
		{100, 3, 10, 7, 1 << 20, 15},
		{100, 3, 10, 1, 1 << 20, 100},
		{300, 20, 200, 16000, 20000, 60},
		{5, 1, maxText * 2, 16000, 20000, 5},
		{10, 0, 0, 16000, 1 << 20, 1},
	} {
		p := testProfile(c.stacks, c.depth, c.nameLen)
		sums, err := sumStacks(p)
		if err != nil {
			t.Fatal(err)
		}
		pieces, sum := 0, int64(0)
		tooLarge := pprofPieces(p, sums, newPprofHeader(p, 1, 2), pprofLimit{c.samples, c.bytes}, func(raw []byte) {
			pieces++
			got, err := profile.ParseData(slices.Clone(raw))
			if err == nil {
				err = got.CheckValid()
			}
			if err != nil {
				t.Fatalf("%+v: piece %d: %v", c, pieces, err)
			}
			if len(raw) > c.bytes || len(got.Sample) > c.samples {
				t.Errorf("%+v: a piece of %d bytes and %d samples", c, len(raw), len(got.Sample))
			}
			sum += sumOf(got)
		})
		if tooLarge != 0 || pieces < c.least || sum != sumOf(p) {
			t.Errorf("%+v: %d pieces with %d of %d, %d too large", c, pieces, sum, sumOf(p), tooLarge)
		}
	}
}

func TestTooLarge(t *testing.T) {
	p := testProfile(3, 1, 10)
	p.Function[1].Name = strings.Repeat("x", 2000)
	sums, err := sumStacks(p)
	if err != nil {
		t.Fatal(err)
	}
	pieces := 0
	if n := pprofPieces(p, sums, newPprofHeader(p, 1, 2), pprofLimit{10, 1000}, func([]byte) { pieces++ }); n != 1 || pieces == 0 {
		t.Errorf("%d too large, %d pieces", n, pieces)
	}
}

// TestEncodersOnlyRead: others read the same profile at the same time. Run with -race.
func TestEncodersOnlyRead(t *testing.T) {
	p := testProfile(50, 5, 5)
	before := p.String()
	iv := &prof.Interval{Kind: "cpu", Start: time.Now(), Windows: []*prof.Window{{Series: prof.Series{Kind: "cpu", Service: "s"}, Profile: p}}}
	done := make(chan struct{})
	for _, e := range []protocol{&pushV1{profile: pprofLimit{10, 1 << 20}, request: 1000}, &otlp{request: 1000}} {
		go func() {
			e.encode(iv, iv.Start, func(batch) {})
			done <- struct{}{}
		}()
	}
	<-done
	<-done
	if p.String() != before {
		t.Error("the profile has changed")
	}
}

// FuzzEncode: whatever the names and numbers, what is sent is valid by pprof's reader and by protobuf's, with the
// values of the profile.
func FuzzEncode(f *testing.F) {
	f.Add("main", "/bin/exe", "service", "label", int64(1), uint64(4096), 3, 100)
	f.Add("a\xffb", "", "", "1-é", int64(-5), uint64(0), 40, 2000)
	f.Add(strings.Repeat("é", 9000), "\x00", "s\xfe", "__name__", int64(1<<62), uint64(1)<<63, 1200, 50)
	f.Fuzz(func(t *testing.T, name, file, service, key string, value int64, addr uint64, depth, limit int) {
		depth, limit = depth%1500, max(limit%100000, 1)
		b := prof.NewBuilder(prof.BuilderOptions{SampleTypes: []prof.ValueType{{Type: name, Unit: file}}})
		var stack []*profile.Location
		for i := range depth {
			stack = append(stack, b.Location(prof.Mapping{File: file, Limit: 1}, addr+uint64(i), []prof.Frame{{Name: name, File: file}}))
		}
		b.Sample(stack, prof.Labels{TID: 1}, value)
		b.Sample(stack, prof.Labels{TID: 2}, 0)
		p := b.Profile()
		if len(stack) > 0 {
			stack[0].Line[0].Function.Name = name // the builder makes it valid; a sink must not rely on it
		}
		window := &prof.Window{Series: prof.Series{Kind: name, Service: service, Labels: map[string]string{key: name}}, Profile: p}
		iv := &prof.Interval{Kind: name, Windows: []*prof.Window{window}}
		profiles := 0
		pushed := (&pushV1{profile: pprofLimit{16000, limit}, request: limit}).encode(iv, time.Unix(5, 0), func(b batch) {
			profiles += b.profiles
			checkPush(t, b, value)
		})
		if got := profiles + pushed.empty + pushed.dropped[DropInvalid] + pushed.dropped[DropTooLarge]; got != 1+pushed.pieces {
			t.Errorf("%d profiles of %d: %+v", got, 1+pushed.pieces, pushed)
		}
		(&otlp{request: limit}).encode(iv, time.Unix(5, 0), func(b batch) {
			message, err := unpack(b.body)
			if err == nil {
				err = proto.Unmarshal(message, &collector.ExportProfilesServiceRequest{})
			}
			if err != nil {
				t.Error(err)
			}
		})
	})
}

// checkPush reads a PushRequest with one profile of one sample.
func checkPush(t *testing.T, b batch, value int64) {
	t.Helper()
	message, err := unpack(b.body)
	if err != nil {
		t.Fatal(err)
	}
	err = fields(message, func(_ protowire.Number, series, _ []byte) error {
		return fields(series, func(field protowire.Number, part, _ []byte) error {
			return fields(part, func(inner protowire.Number, content, _ []byte) error {
				if field == seriesLabel && (!utf8.Valid(content) || len(content) > maxLabelValue) {
					t.Errorf("label %q", content)
				}
				if field != seriesSample || inner != rawProfile {
					return nil
				}
				p, err := profile.ParseData(slices.Clone(content))
				if err == nil && (sumOf(p) != value || !utf8.ValidString(p.String())) {
					err = fmt.Errorf("value %d, want %d", sumOf(p), value)
				}
				return err
			})
		})
	})
	if err != nil {
		t.Error(err)
	}
}
