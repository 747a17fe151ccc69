package e2e

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"os/exec"
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
