package server

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A liveClient keeps what a page keeps of a stream, and checks that numbers come once and in order.
type liveClient struct {
	t       testing.TB
	strings []string
	frames  [][5]int64
	nodes   [][2]int64 // node 1 is nodes[0]
	threads [][5]int64
	sets    []string // of further labels; set 1 is sets[0]

	types  []string
	counts map[string][2]int64 // service|comm|tid|bucket|path -> count, value
	totals liveTotals
	hello  liveHello
	end    string
	resets int
}

type anyMessage struct {
	liveMessage
	Reason string `json:"reason"`
	Time   int64  `json:"time"`
}

func newLiveClient(t testing.TB) *liveClient {
	return &liveClient{t: t, counts: map[string][2]int64{}}
}

func (c *liveClient) line(b []byte) {
	m := decode[anyMessage](c.t, b)
	c.types = append(c.types, m.Type)
	c.totals = m.liveTotals
	switch m.Type {
	case "hello":
		c.hello = decode[liveHello](c.t, b)
	case "reset":
		c.strings, c.frames, c.nodes, c.threads, c.sets = nil, nil, nil, nil, nil
		c.resets++
	case "end":
		c.end = m.Reason
	case "batch":
		c.batch(m.liveMessage)
	}
}

func (c *liveClient) batch(m liveMessage) {
	c.strings = append(c.strings, m.Strings...)
	for i := 0; i < len(m.Frames); i += 5 {
		c.frames = append(c.frames, [5]int64(m.Frames[i:]))
	}
	for i := 0; i < len(m.Nodes); i += 2 {
		n := [2]int64(m.Nodes[i:])
		if int(n[0]) > len(c.nodes) || int(n[1]) >= len(c.frames) {
			c.t.Fatalf("node %v with %d nodes and %d frames", n, len(c.nodes), len(c.frames))
		}
		c.nodes = append(c.nodes, n)
	}
	for i := 0; i < len(m.Threads); i += 5 {
		c.threads = append(c.threads, [5]int64(m.Threads[i:]))
	}
	set := func(i int64) string {
		if i == 0 {
			return ""
		}
		return c.sets[i-1]
	}
	for i := 0; i < len(m.Labels); i += 3 {
		c.sets = append(c.sets, set(m.Labels[i])+"|"+c.strings[m.Labels[i+1]]+"="+c.strings[m.Labels[i+2]])
	}
	if m.SampleLabels != nil && len(m.SampleLabels)*5 != len(m.Samples) {
		c.t.Fatalf("%d sets of labels for %d numbers of samples", len(m.SampleLabels), len(m.Samples))
	}
	for i := 0; i < len(m.Samples); i += 5 {
		s := [5]int64(m.Samples[i:])
		th := c.threads[s[1]]
		at := time.UnixMilli(m.Base + s[2]*20).UTC().Format("05.000")
		key := fmt.Sprintf("%s|%s|%d|%s|%s", c.strings[th[0]], c.strings[th[1]], th[3], at, c.path(s[0]))
		if m.SampleLabels != nil {
			key += set(m.SampleLabels[i/5])
		}
		sum := c.counts[key]
		c.counts[key] = [2]int64{sum[0] + s[3], sum[1] + s[4]}
	}
}

func (c *liveClient) path(node int64) string {
	var names []string
	for ; node != 0; node = c.nodes[node-1][0] {
		names = append([]string{c.strings[c.frames[c.nodes[node-1][1]][0]]}, names...)
	}
	return strings.Join(names, ";")
}

func liveStackOf(names ...string) *profile.LiveStack {
	s := &profile.LiveStack{}
	for i := len(names) - 1; i >= 0; i-- {
		s.Locations = append(s.Locations, &profile.LiveLocation{
			Mapping: profile.Mapping{Start: 0x1000, Limit: 0x100000, File: "/usr/bin/x", BuildID: "aabb"},
			Addr:    address(names[i]), Frames: []profile.Frame{{Name: names[i], File: "x.c", Line: 3}},
		})
	}
	return s
}

func liveSampleOf(service string, at time.Duration, stack *profile.LiveStack, count int64) profile.LiveSample {
	return profile.LiveSample{
		Bucket: now.Add(at), Service: service, Comm: "t-" + service, PID: 7, TID: 8, Stack: stack, Count: count, Value: count * 10_000_000,
	}
}

func liveBatchOf(at time.Duration, fired, lost uint64, samples ...profile.LiveSample) *profile.LiveBatch {
	return &profile.LiveBatch{
		Kind: "cpu", Unit: "nanoseconds", Start: now.Add(at), End: now.Add(at + 250*time.Millisecond), Fired: fired, Lost: lost, Samples: samples,
	}
}

// serveTest starts f on a real connection, as streams need one.
func serveTest(t testing.TB, f *fixture) string {
	t.Helper()
	server := httptest.NewServer(f.Handler())
	t.Cleanup(func() { f.stop(); server.Close() })
	return server.URL
}

// openLive opens a stream and waits until the feed knows it. next reads a line.
func openLive(t testing.TB, f *fixture, url string, header ...string) (c *liveClient, next func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 {
		t.Fatalf("GET %s: %s", url, resp.Status)
	}
	var body io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		body = z
	}
	<-f.feed.joined
	c = newLiveClient(t)
	lines := bufio.NewReader(body)
	return c, func() bool {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return false
		}
		c.line(line)
		return true
	}
}

func TestLive(t *testing.T) {
	for _, encoding := range []string{"identity", "gzip"} {
		t.Run(encoding, func(t *testing.T) {
			f := newFixture(t)
			c, next := openLive(t, f, serveTest(t, f)+"/api/v1/live?kind=cpu", "Accept-Encoding", encoding)
			next()
			if c.hello.Kind != "cpu" || c.hello.Unit != "nanoseconds" || c.hello.BucketMillis != 20 || c.hello.Version != 1 {
				t.Errorf("hello: %+v", c.hello)
			}
			read, idle := liveStackOf("main", "serve", "read"), liveStackOf("main", "idle")
			f.feed.send(liveBatchOf(0, 10, 1, liveSampleOf("nginx", 0, read, 3), liveSampleOf("db", 20*time.Millisecond, idle, 2),
				liveSampleOf("nginx", 0, liveStackOf("main", "serve", "read"), 1), liveSampleOf("nginx", 40*time.Millisecond, nil, 3)))
			next()
			known := [4]int{len(c.strings), len(c.frames), len(c.nodes), len(c.threads)}
			if want := [4]int{12, 4, 4, 2}; known != want {
				t.Errorf("after the first batch: strings, frames, nodes, threads %v, want %v", known, want)
			}
			b := liveBatchOf(250*time.Millisecond, 5, 2, liveSampleOf("nginx", 260*time.Millisecond, read, 3))
			b.Missed = 4
			f.feed.send(b)
			next()
			if again := [4]int{len(c.strings), len(c.frames), len(c.nodes), len(c.threads)}; again != known {
				t.Errorf("what was known was said again: %v, then %v", known, again)
			}
			want := map[string][2]int64{
				"nginx|t-nginx|8|07.000|main;serve;read": {4, 40_000_000}, "db|t-db|8|07.020|main;idle": {2, 20_000_000},
				"nginx|t-nginx|8|07.040|": {3, 30_000_000}, "nginx|t-nginx|8|07.260|main;serve;read": {3, 30_000_000},
			}
			if fmt.Sprint(c.counts) != fmt.Sprint(want) {
				t.Errorf("counts %v, want %v", c.counts, want)
			}
			if c.totals != (liveTotals{Fired: 15, Lost: 3, Missed: 4}) {
				t.Errorf("totals %+v", c.totals)
			}
			f.feed.close()
			if !next() || c.end != "feed" || next() {
				t.Errorf("end %q", c.end)
			}
			for f.feed.count() > 0 {
				time.Sleep(time.Millisecond)
			}
		})
	}
}

func TestLiveService(t *testing.T) {
	f := newFixture(t)
	c, next := openLive(t, f, serveTest(t, f)+"/api/v1/live?service=db")
	next()
	f.feed.send(liveBatchOf(0, 10, 1, liveSampleOf("nginx", 0, liveStackOf("secret"), 3), liveSampleOf("db", 0, liveStackOf("main"), 2)))
	next()
	if len(c.counts) != 1 || strings.Contains(fmt.Sprint(c.strings), "secret") || c.totals.Fired != 10 {
		t.Errorf("counts %v, strings %q, %+v", c.counts, c.strings, c.totals)
	}
}

// TestLiveIsBounded: with a small dictionary the stream begins anew whenever it is full, and still says everything; a batch
// that is too large for one message comes in parts.
func TestLiveIsBounded(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Limits.Dictionary = 50 })
	c, next := openLive(t, f, serveTest(t, f)+"/api/v1/live")
	next()
	var samples []profile.LiveSample
	for i := range 300 {
		samples = append(samples, liveSampleOf("nginx", 0, liveStackOf("main", fmt.Sprintf("f%d", i), "leaf"), int64(i+1)))
	}
	f.feed.send(liveBatchOf(0, 300, 0, samples...))
	for more := true; more; {
		next()
		more = len(c.counts) < 300
		if len(c.strings) > 60 || len(c.nodes) > 60 {
			t.Fatalf("%d strings, %d nodes with a limit of 50", len(c.strings), len(c.nodes))
		}
	}
	sum := int64(0)
	for _, v := range c.counts {
		sum += v[0]
	}
	if sum != 300*301/2 || c.resets < 10 {
		t.Errorf("sum %d after %d resets", sum, c.resets)
	}
	if text := string(f.get(t, "/metrics")); !strings.Contains(text, fmt.Sprintf("ebpfprof_live_resets_total %d\n", c.resets)) {
		t.Errorf("%d resets are not counted", c.resets)
	}
}

func TestLiveParts(t *testing.T) {
	f := newFixture(t)
	c, next := openLive(t, f, serveTest(t, f)+"/api/v1/live")
	next()
	stack := liveStackOf("main")
	var samples []profile.LiveSample
	for i := range 2*maxMessageSamples + 5 {
		s := liveSampleOf("nginx", 0, stack, 1)
		s.TID = i
		samples = append(samples, s)
	}
	f.feed.send(liveBatchOf(0, 1, 0, samples...))
	for range 3 {
		next()
	}
	if len(c.counts) != len(samples) || fmt.Sprint(c.types) != "[hello batch batch batch]" {
		t.Errorf("%d counts of %d in %v", len(c.counts), len(samples), c.types)
	}
}

func TestLiveHeartbeat(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Limits.Heartbeat = time.Millisecond })
	c, next := openLive(t, f, serveTest(t, f)+"/api/v1/live")
	f.feed.send(liveBatchOf(0, 10, 1))
	for len(c.types) == 0 || c.types[len(c.types)-1] != "heartbeat" || c.totals.Fired == 0 {
		if !next() {
			t.Fatal("stream ended")
		}
	}
	if c.totals != (liveTotals{Fired: 10, Lost: 1}) {
		t.Errorf("heartbeat with %+v", c.totals)
	}
}

func TestLiveLimits(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Limits.Live = 2 })
	url := serveTest(t, f) + "/api/v1/live"
	openLive(t, f, url)
	openLive(t, f, url)
	w := f.request("GET", "/api/v1/live")
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("third stream: %d %s", w.Code, w.Body)
	}
	if text := string(f.get(t, "/metrics")); !strings.Contains(text, "ebpfprof_live_readers 2\n") || !strings.Contains(text, `refused_total{reason="busy"} 1`) {
		t.Errorf("metrics: %s", text)
	}
	if w := f.request("GET", "/api/v1/live?kind=off_cpu"); w.Code != 400 || !strings.Contains(w.Body.String(), "no such tracepoint") {
		t.Errorf("a kind that is not sampled: %d %s", w.Code, w.Body)
	}
	f.feed.err = fmt.Errorf("open /secret: no")
	f.o.Limits.Live = 2
	g := newFixture(t)
	g.feed.err = f.feed.err
	if w := g.request("GET", "/api/v1/live"); w.Code != 503 || strings.Contains(w.Body.String(), "secret") || len(g.live) != 0 {
		t.Errorf("a feed that fails: %d %s, %d places taken", w.Code, w.Body, len(g.live))
	}
}

// TestSlowClient: a client that does not read is cut, its place and its subscription are given back, and it is counted.
func TestSlowClient(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Limits.Write = 50 * time.Millisecond; o.Limits.Live = 1 })
	server := httptest.NewUnstartedServer(f.Handler())
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(4096)
		return ctx
	}
	server.Start()
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	fmt.Fprintf(conn, "GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-f.feed.joined
	for i := 0; f.feed.count() > 0; i++ {
		var samples []profile.LiveSample
		for j := range 1000 {
			samples = append(samples, liveSampleOf("nginx", 0, liveStackOf("main", fmt.Sprintf("function-%d-%d", i, j)), 1))
		}
		f.feed.send(liveBatchOf(0, 1000, 0, samples...))
		time.Sleep(time.Millisecond)
	}
	for len(f.live) > 0 {
		time.Sleep(time.Millisecond)
	}
	waitForMetric(t, f, `ebpfprof_live_ended_total{reason="slow"} 1`)
	waitForMetric(t, f, `ebpfprof_http_cut_total 1`)
}

// waitForMetric returns when a line is in /metrics, which for counters of what another goroutine does may take a moment.
func waitForMetric(t *testing.T, f *fixture, line string) {
	t.Helper()
	for range 2000 {
		if strings.Contains(string(f.get(t, "/metrics")), "\n"+line+"\n") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("metrics never have %s:\n%s", line, f.get(t, "/metrics"))
}

// TestLiveClientGoes: a client that hangs up gives its place back.
func TestLiveClientGoes(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", serveTest(t, f)+"/api/v1/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-f.feed.joined
	cancel()
	waitForMetric(t, f, `ebpfprof_live_ended_total{reason="client"} 1`)
	waitForMetric(t, f, `ebpfprof_live_readers 0`)
	if f.feed.count() != 0 {
		t.Error("the subscription is still there")
	}
}

// TestDictionaryPointers: stacks are known by pointer, and another pointer to the same stack is the same node.
func TestDictionaryPointers(t *testing.T) {
	d := newDictionary(100)
	a, b := liveStackOf("x", "y"), liveStackOf("x", "y")
	n := d.stack(a)
	if d.stack(b) != n || d.stack(a) != n || len(d.take().Nodes) != 4 || len(d.take().Nodes) != 0 {
		t.Error("the same stack has several nodes, or is told twice")
	}
	inlined := &profile.LiveStack{Locations: []*profile.LiveLocation{{Addr: 1, Frames: []profile.Frame{{Name: "inner"}, {Name: "outer"}}}, {Addr: 0xabc}}}
	leaf := d.stack(inlined)
	news := d.take()
	if fmt.Sprint(news.Nodes) != "[0 2 3 3 4 4]" || leaf != 5 || !strings.Contains(strings.Join(news.Strings, " "), "0xabc") {
		t.Errorf("inlined: leaf %d, nodes %v, strings %q", leaf, news.Nodes, news.Strings)
	}
	if _, err := json.Marshal(news); err != nil {
		t.Error(err)
	}
}

// TestLiveLabels: samples that differ in further labels only stay apart, and a message without labels has no list of them.
func TestLiveLabels(t *testing.T) {
	f := newFixture(t)
	stack := liveStackOf("main", "wait")
	labelled := func(labels ...profile.Label) profile.LiveSample {
		s := liveSampleOf("nginx", 0, stack, 1)
		s.Extra = profile.NewExtra(labels...)
		return s
	}
	io, idle := profile.Label{Key: "state", Value: "io"}, profile.Label{Key: "idle", Value: "true"}
	f.feed.past = []*profile.LiveBatch{
		liveBatchOf(0, 4, 0, labelled(io), labelled(), labelled(idle, io), labelled(io)),
		liveBatchOf(time.Second, 1, 0, labelled()),
	}
	c, next := openLive(t, f, serveTest(t, f)+"/api/v1/live?since=now-5m")
	for range 3 {
		next()
	}
	got := map[string]int64{}
	for key, n := range c.counts {
		got[key[strings.Index(key, "main;wait")+len("main;wait"):]] += n[0]
	}
	if want := (map[string]int64{"": 2, "|state=io": 2, "|idle=true|state=io": 1}); !maps.Equal(got, want) {
		t.Errorf("counts by labels %v, want %v", got, want)
	}
}
