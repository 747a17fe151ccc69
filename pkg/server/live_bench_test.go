package server

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A busyMachine makes batches as a machine with many services has them: stacks of 10 to 60 frames with common callers, each
// thread mostly in a few of its stacks, now and then in a new one.
type busyMachine struct {
	r      *rand.Rand
	stacks [][]*profile.LiveStack // by service
}

func newBusyMachine(services, stacks int) *busyMachine {
	m := &busyMachine{r: rand.New(rand.NewPCG(1, 2))}
	for s := range services {
		var list []*profile.LiveStack
		for range stacks {
			var names []string
			for d := range 10 + m.r.IntN(50) {
				names = append(names, fmt.Sprintf("service%d::module%d::function_with_a_name_%d(int, std::string const&)", s, d, m.r.IntN(1+d/4)))
			}
			list = append(list, liveStackOf(names...))
		}
		m.stacks = append(m.stacks, list)
	}
	return m
}

// batch returns a quarter of a second at hz samples a second.
func (m *busyMachine) batch(at time.Duration, hz int) *profile.LiveBatch {
	var samples []profile.LiveSample
	for range hz / 4 {
		service := m.r.IntN(len(m.stacks))
		list := m.stacks[service]
		pick := int(float64(len(list)) * m.r.Float64() * m.r.Float64() * m.r.Float64()) // the first are the hottest
		s := liveSampleOf(fmt.Sprintf("service-%d", service), at+time.Duration(m.r.IntN(250))*time.Millisecond, list[pick], 1)
		s.Bucket = s.Bucket.Truncate(profile.LiveBucket)
		s.TID = service*10 + m.r.IntN(4)
		samples = append(samples, s)
	}
	return liveBatchOf(at, uint64(len(samples)), 0, samples...)
}

// whole returns the size of a batch as a profile of its own, which is what a reader without increments would be sent.
func whole(b testing.TB, batch *profile.LiveBatch) int {
	recordings := map[string]*recording{}
	for _, s := range batch.Samples {
		recordings[s.Service] = newRecording(s.Service, batch.Start, batch.End.Add(time.Second))
	}
	var all []*pprof.Profile
	for _, r := range recordings {
		r.add(batch)
		all = append(all, r.profile(KindStatus{Name: "cpu", Unit: "nanoseconds", Period: 10_000_000}))
	}
	merged, err := pprof.Merge(all)
	if err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	if err := merged.Write(&out); err != nil {
		b.Fatal(err)
	}
	return out.Len()
}

// BenchmarkLive measures bytes a second of the stream, plain and compressed, against a gzipped pprof profile for each batch:
// two CPUs at 99 Hz with 20 services, over 60 s.
func BenchmarkLive(b *testing.B) {
	const batches, hz = 240, 198
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run(encoding, func(b *testing.B) {
			f := newFixture(b)
			sent, profiles := 0, 0
			for range b.N {
				m := newBusyMachine(20, 200)
				r := httptest.NewRequest("GET", "/api/v1/live", nil)
				r.Header.Set("Accept-Encoding", encoding)
				w := &countingWriter{}
				out, err := f.newLiveWriter(w, r)
				if err != nil {
					b.Fatal(err)
				}
				st := &liveState{out: out, dictionary: newDictionary(200_000), counts: &f.counts}
				for i := range batches {
					batch := m.batch(time.Duration(i)*250*time.Millisecond, hz)
					if err := st.batch(batch, now); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					profiles += whole(b, batch)
					b.StartTimer()
				}
				sent += w.n
			}
			seconds := float64(b.N * batches / 4)
			b.ReportMetric(float64(sent)/seconds, "stream-B/s")
			b.ReportMetric(float64(profiles)/seconds, "pprof-B/s")
			b.ReportMetric(float64(profiles)/float64(sent), "pprof/stream")
		})
	}
}

type countingWriter struct {
	n      int
	header http.Header
}

func (w *countingWriter) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}
func (w *countingWriter) Write(b []byte) (int, error) { w.n += len(b); return len(b), nil }
func (w *countingWriter) WriteHeader(int)             {}
func (w *countingWriter) Flush()                      {}
