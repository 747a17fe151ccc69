package server

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// recordWith answers a request for a recording while the feed sends the batches.
func recordWith(t *testing.T, f *fixture, path string, batches ...*profile.LiveBatch) *pprof.Profile {
	t.Helper()
	go func() {
		<-f.feed.joined
		for _, b := range batches {
			f.feed.send(b)
		}
	}()
	w := f.request("GET", path)
	if w.Code != 200 {
		t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	p, err := pprof.ParseData(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRecord(t *testing.T) {
	f := newFixture(t)
	read := liveStackOf("main", "serve", "read")
	broken := liveStackOf("deep")
	broken.Reason = "truncated"
	before, after := liveSampleOf("nginx", -20*time.Millisecond, read, 1000), liveSampleOf("nginx", 2*time.Second, read, 1000)
	p := recordWith(t, f, "/pprof/nginx/profile?seconds=2",
		liveBatchOf(-100*time.Millisecond, 5, 1, before, liveSampleOf("nginx", 0, read, 3), liveSampleOf("db", 0, read, 500)),
		liveBatchOf(1900*time.Millisecond, 5, 2, liveSampleOf("nginx", 1980*time.Millisecond, read, 4), liveSampleOf("nginx", 1980*time.Millisecond, broken, 2), after),
		liveBatchOf(2500*time.Millisecond, 5, 100, after))
	total := int64(0)
	for _, s := range p.Sample {
		total += s.Value[0]
		if s.Value[1] != s.Value[0]*10_000_000 || s.Label["service"][0] != "nginx" || s.Label["comm"][0] != "t-nginx" || s.NumLabel["pid"][0] != 7 || s.NumLabel["tid"][0] != 8 {
			t.Errorf("sample %v %v %v", s.Value, s.Label, s.NumLabel)
		}
		if s.Location[0].Line[0].Function.Name == "deep" && s.Label["stack"][0] != "truncated" {
			t.Errorf("incomplete stack: %v", s.Label)
		}
	}
	sum := profile.Summarize(p, 1)
	if total != 9 || len(p.Sample) != 2 || sum.Lost != 3 || sum.Duration != 2*time.Second || !sum.Start.Equal(now) || p.Period != 10_000_000 {
		t.Errorf("%d samples in %d, %+v", total, len(p.Sample), sum)
	}
	if len(p.Mapping) != 1 || p.Mapping[0].BuildID != "aabb" || p.SampleType[0].Type != "samples" || p.SampleType[1].Unit != "nanoseconds" || p.PeriodType.Type != "cpu" {
		t.Errorf("mappings %v, types %v", p.Mapping, p.SampleType)
	}
	if len(f.recordings) != 0 || f.feed.count() != 0 {
		t.Error("the recording's place or subscription is still taken")
	}
}

func TestRecordNothing(t *testing.T) {
	f := newFixture(t)
	p := recordWith(t, f, "/pprof/idle/profile?seconds=1", liveBatchOf(900*time.Millisecond, 1, 0, liveSampleOf("nginx", 0, liveStackOf("x"), 1)))
	if len(p.Sample) != 0 || len(p.SampleType) != 2 || p.DurationNanos != int64(time.Second) {
		t.Errorf("%v", p)
	}
}

// TestRecordEnds: a recording ends early, and well, when the feed ends, the daemon stops or the client goes.
func TestRecordEnds(t *testing.T) {
	f := newFixture(t)
	go endSoon(f)
	if w := f.request("GET", "/pprof/nginx/profile?seconds=600"); w.Code != 200 {
		t.Errorf("feed ended: %d", w.Code)
	}
	f = newFixture(t)
	go func() { <-f.feed.joined; f.stop() }()
	w := f.request("GET", "/pprof/nginx/profile?seconds=600")
	if _, err := pprof.ParseData(w.Body.Bytes()); w.Code != 200 || err != nil {
		t.Errorf("stopped: %d, %v", w.Code, err)
	}
	if w := f.request("GET", "/pprof/nginx/profile"); w.Code != 503 {
		t.Errorf("after the stop: %d", w.Code)
	}
	f = newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", serveTest(t, f)+"/pprof/nginx/profile?seconds=600", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-f.feed.joined; cancel() }()
	if _, err := http.DefaultClient.Do(r); err == nil {
		t.Error("an answer came without samples")
	}
	waitForMetric(t, f, "ebpfprof_recordings 0")
	if f.feed.count() != 0 {
		t.Error("the subscription is still there")
	}
}

func TestRecordLimits(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Limits.Recordings = 1 })
	done := make(chan int)
	go func() { done <- f.request("GET", "/pprof/a/profile?seconds=5").Code }()
	<-f.feed.joined
	if w := f.request("GET", "/pprof/b/profile"); w.Code != 503 {
		t.Errorf("second recording: %d", w.Code)
	}
	f.feed.close()
	if code := <-done; code != 200 {
		t.Errorf("first recording: %d", code)
	}
	rec := newRecording("s", now, now.Add(time.Second))
	rec.limit = 50
	for i := range 60 {
		s := liveSampleOf("s", 0, nil, 1)
		s.TID = i
		rec.add(&profile.LiveBatch{Samples: []profile.LiveSample{s}})
	}
	if len(rec.counts) != 50 || rec.others.count != 10 {
		t.Errorf("%d samples are kept, %d in the marker", len(rec.counts), rec.others.count)
	}
	p := rec.profile(KindStatus{Name: "cpu", Unit: "nanoseconds"})
	if sum := profile.Summarize(p, 0); sum.Total != 60 {
		t.Errorf("%d samples", sum.Total)
	}
}

// TestGoToolPprof: the real reader takes a recording, of a service with a slash in its name.
func TestGoToolPprof(t *testing.T) {
	f := newFixture(t)
	url := serveTest(t, f)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-f.feed.joined:
				f.feed.send(liveBatchOf(0, 3, 0, liveSampleOf("web/nginx", 0, liveStackOf("main", "serve"), 3)))
				f.feed.send(liveBatchOf(time.Second, 0, 0))
			}
		}
	}()
	home := t.TempDir()
	cmd := exec.Command("go", "tool", "pprof", "-top", "-symbolize=none", url+"/pprof/web%2Fnginx/profile?seconds=1")
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+filepath.Join(home, "pprof"))
	var errText bytes.Buffer
	cmd.Stderr = &errText
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go tool pprof: %v\n%s", err, &errText)
	}
	for _, want := range []string{"Type: cpu", "30ms", "serve"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("go tool pprof does not say %q:\n%s", want, out)
		}
	}
}
