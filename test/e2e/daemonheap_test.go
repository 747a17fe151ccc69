package e2e

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"
)

// fetch asks for a profile.
func (d *daemon) fetch(path string) *pprof.Profile {
	d.t.Helper()
	code, body := d.get(path)
	if code != http.StatusOK {
		d.t.Fatalf("GET %s: %d %s\n%s", path, code, body, d.log.String())
	}
	p, err := pprof.ParseData(body)
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

// The daemon answers for a Go program as the program itself does, and says of others why it does not.
func TestDaemonHeap(t *testing.T) {
	needRoot(t)
	other := busy(t)
	path := buildGoHeap(t)
	_, address := startGoHeap(t, path)
	d := startDaemon(t)
	const service = "goheap"
	ours, own := d.fetch("/pprof/"+service+"/heap?gc=1"), ownHeap(t, "http://"+address+"/debug/pprof/heap")
	for _, function := range []string{"main.keep", "main.lose"} {
		if a, b := heapOf(ours, function), heapOf(own, function); a != b || a[1] == 0 {
			t.Errorf("%s: read from outside %v, by the program itself %v", function, a, b)
		}
	}
	if ours.DefaultSampleType != "inuse_space" {
		t.Errorf("heap shows %s first", ours.DefaultSampleType)
	}
	if p := d.fetch("/pprof/" + service + "/allocs"); p.DefaultSampleType != "alloc_space" {
		t.Errorf("allocs shows %s first", p.DefaultSampleType)
	}

	// A difference has what was allocated meanwhile and nothing else.
	go func() {
		time.Sleep(300 * time.Millisecond)
		if r, err := http.Get("http://" + address + "/more"); err == nil {
			r.Body.Close()
		}
	}()
	change := d.fetch("/pprof/" + service + "/heap?seconds=2")
	after := heapOf(ownHeap(t, "http://"+address+"/debug/pprof/heap"), "main.more")
	if got := heapOf(change, "main.more"); got != after || got[3] < 16<<20 {
		t.Errorf("main.more: the difference has %v, the program itself %v", got, after)
	}
	if got := heapOf(change, "main.keep"); got != [4]int64{} {
		t.Errorf("main.keep, which did nothing, has a difference of %v", got)
	}
	if got := time.Duration(change.DurationNanos); got < 2*time.Second || got > 4*time.Second {
		t.Errorf("a difference over %s", got)
	}

	for path, want := range map[string]int{
		"/pprof/" + url.PathEscape(other) + "/heap": http.StatusNotImplemented, "/pprof/nobody/heap": http.StatusNotFound,
	} {
		if code, body := d.get(path); code != want || !bytes.Contains(body, []byte("error")) {
			t.Errorf("GET %s: %d %s, want %d", path, code, body, want)
		}
	}
	cmd := exec.Command("go", "tool", "pprof", "-top", "-symbolize=none", d.url+"/pprof/"+service+"/heap")
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("main.keep")) || !bytes.Contains(out, []byte("Type: inuse_space")) {
		t.Errorf("%v: %v\n%s", cmd, err, out)
	}
	d.stop()
}

// sumOf adds up the values of one type.
func sumOf(p *pprof.Profile, name string, function string) (sum int64) {
	at := slices.IndexFunc(p.SampleType, func(t *pprof.ValueType) bool { return t.Type == name })
	for _, s := range p.Sample {
		for _, l := range s.Location {
			if at >= 0 && slices.ContainsFunc(l.Line, func(line pprof.Line) bool { return line.Function.Name == function }) {
				sum += s.Value[at]
				break
			}
		}
	}
	return sum
}

// The history of a Go program: what it allocates is in one window and adds up, what it has in use is in every window and
// does not; services that are not Go's have neither; memory of all is in /metrics.
func TestDaemonHeapHistory(t *testing.T) {
	needRoot(t)
	other := busy(t)
	path := buildGoHeap(t)
	_, address := startGoHeap(t, path)
	d := startDaemon(t)
	const span = "&service=goheap&from=now-10m&to=now"
	profileOf := func(kind string) *pprof.Profile { return d.fetch("/api/v1/profile?kind=" + kind + span) }
	own := func() *pprof.Profile { return ownHeap(t, "http://"+address+"/debug/pprof/heap") }
	kept := heapOf(own(), "main.keep")
	d.wait("a few windows with what is in use", 30*time.Second, func() bool {
		_, body := d.get("/api/v1/timeline?kind=inuse_space&buckets=1" + span)
		return len(profileOf("inuse_space").Sample) > 0 && !bytes.Contains(body, []byte("null"))
	})
	time.Sleep(2 * time.Second) // two more windows
	if r, err := http.Get("http://" + address + "/more"); err != nil {
		t.Fatal(err)
	} else {
		r.Body.Close()
	}
	more := heapOf(own(), "main.more")
	d.wait("what was allocated", 20*time.Second, func() bool { return sumOf(profileOf("alloc_space"), "alloc_space", "main.more") > 0 })
	time.Sleep(2 * time.Second)
	p := profileOf("alloc_space")
	for _, name := range []string{"alloc_objects", "alloc_space"} {
		want := map[string]int64{"alloc_objects": more[0], "alloc_space": more[1]}[name]
		if got := sumOf(p, name, "main.more"); got != want {
			t.Errorf("%s of main.more is %d, the program itself says %d", name, got, want)
		}
	}
	if got := sumOf(p, "alloc_space", "main.lose"); got != 0 {
		t.Errorf("main.lose, which was over when the daemon started, allocated %d bytes", got)
	}
	if got := sumOf(profileOf("inuse_space"), "inuse_space", "main.keep"); got != kept[3] {
		t.Errorf("main.keep has %d bytes in use on average, and always had %d", got, kept[3])
	}
	if got := sumOf(profileOf("inuse_space"), "inuse_space", "main.more"); got <= 0 || got >= more[3] {
		t.Errorf("main.more has %d bytes in use on average, of %d in some windows", got, more[3])
	}
	_, services := d.get("/api/v1/services?kind=inuse_space")
	if !bytes.Contains(services, []byte(`"goheap"`)) || bytes.Contains(services, []byte(other)) {
		t.Errorf("services with memory in use: %s, want goheap and not %s", services, other)
	}
	d.wait("memory in /metrics", 10*time.Second, func() bool {
		_, body := d.get("/metrics")
		for _, want := range []string{
			`memory_usage_bytes{service="goheap",source="ebpf"}`, `heap_size_bytes{service="goheap",source="ebpf"}`,
			`memory_usage_bytes{service="` + other + `",source="ebpf"}`, `ebpfprof_heap_peak_bytes{service="goheap"}`,
		} {
			if !bytes.Contains(body, []byte(want)) {
				return false
			}
		}
		return true
	})
	d.checkConservation()
	d.stop()
}
