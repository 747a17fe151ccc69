package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// A daemon is a running `ebpfprof daemon`.
type daemon struct {
	t     *testing.T
	cmd   *exec.Cmd
	url   string
	store string
	log   bytes.Buffer
	done  chan error
}

// startDaemon starts the daemon with windows of a second and waits until it is ready.
func startDaemon(t *testing.T, args ...string) *daemon {
	t.Helper()
	needRoot(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	d := &daemon{t: t, url: "http://" + address, store: filepath.Join(t.TempDir(), "store"), done: make(chan error, 1)}
	d.cmd = exec.Command(program(), append([]string{
		"daemon", "--listen", address, "--store", d.store, "--window", "1s", "--unwind-cache", t.TempDir(),
	}, args...)...)
	d.cmd.Stderr = &d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.done <- d.cmd.Wait() }()
	t.Cleanup(func() { d.cmd.Process.Kill() })
	d.wait("ready", 10*time.Second, func() bool {
		r, err := http.Get(d.url + "/ready")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	return d
}

// wait asks until something holds.
func (d *daemon) wait(what string, limit time.Duration, holds func() bool) {
	d.t.Helper()
	for end := time.Now().Add(limit); !holds(); time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-d.done:
			d.t.Fatalf("the daemon ended before it was %s: %v\n%s", what, err, d.log.String())
		default:
		}
		if time.Now().After(end) {
			d.kill()
			d.t.Fatalf("not %s within %s\n%s", what, limit, d.log.String())
		}
	}
}

// get asks for a path of the API and returns status and body.
func (d *daemon) get(path string) (int, []byte) {
	d.t.Helper()
	r, err := http.Get(d.url + path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Fatalf("GET %s: %v", path, err)
	}
	return r.StatusCode, body
}

// stop ends the daemon as systemd does, and wants it to succeed.
func (d *daemon) stop() {
	d.t.Helper()
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-d.done:
		if err != nil {
			d.t.Errorf("the daemon ended with %v\n%s", err, d.log.String())
		}
	case <-time.After(10 * time.Second):
		d.kill()
		d.t.Fatalf("the daemon did not end\n%s", d.log.String())
	}
	if strings.Contains(d.log.String(), "goroutine ") {
		d.t.Errorf("the daemon panicked\n%s", d.log.String())
	}
}

func (d *daemon) kill() {
	d.cmd.Process.Kill()
	<-d.done
}

// busy starts a program whose service is its name.
func busy(t *testing.T) (service string) {
	t.Helper()
	program := target.C(t, "recursion", "-O2", "-fomit-frame-pointer")
	target.Start(t, program, "20", "120")
	return filepath.Base(program)
}

// profile asks for the profile of a service since the start.
func (d *daemon) profile(service string) *pprof.Profile {
	d.t.Helper()
	code, body := d.get("/api/v1/profile?kind=cpu&from=now-10m&to=now&format=pprof&service=" + url.QueryEscape(service))
	if code != http.StatusOK {
		d.t.Fatalf("profile of %s: %d %s", service, code, body)
	}
	p, err := pprof.ParseData(body)
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

func samplesOf(p *pprof.Profile) (n int64) {
	for _, s := range p.Sample {
		n += s.Value[0]
	}
	return n
}

// TestDaemon: what it is for, as a user sees it, from its start to after its end.
func TestDaemon(t *testing.T) {
	service := busy(t)
	d := startDaemon(t)
	d.wait("in the history", 30*time.Second, func() bool { return samplesOf(d.profile(service)) > 50 })

	for path, want := range map[string]string{
		"/": "assets/main-", "/healthz": "", "/api/v1/kinds": "cpu", "/api/v1/services?kind=cpu": service,
		"/api/v1/timeline?kind=cpu&from=now-1m&to=now":                                      "bucket_seconds",
		"/api/v1/profile?kind=cpu&from=now-1m&to=now&format=folded&service=" + service:      ";descend;descend;",
		"/api/v1/profile?kind=cpu&from=now-1m&to=now&format=svg&service=" + service:         "<svg",
		"/api/v1/profile?kind=cpu&from=now-1m&to=now&format=speedscope&service=" + service:  "descend",
		"/api/v1/profile?kind=cpu&from=now-1m&to=now&format=json&service=" + service:        "descend",
		"/api/v1/diff?kind=cpu&from=now-1m&to=now&base_from=now-2m&base_to=now&format=json": "",
		"/api/v1/status":       `"ready":true`,
		"/api/v1/openapi.json": "openapi",
		"/metrics":             `ebpfprof_profile_seconds_total{kind="cpu",service="` + service + `"}`,
	} {
		if code, body := d.get(path); code != http.StatusOK || !bytes.Contains(body, []byte(want)) {
			t.Errorf("GET %s: %d, want 200 and %q in it:\n%.300s", path, code, want, body)
		}
	}
	d.checkDocumented(service)
	if code, body := d.get("/api/v1/profile?kind=cpu&from=yesterday"); code != http.StatusBadRequest || !bytes.Contains(body, []byte("from")) {
		t.Errorf("a wrong parameter: %d %s, want 400 and its name", code, body)
	}
	d.checkConservation()
	d.checkGoToolPprof(service)

	before := time.Now()
	d.stop()
	t.Logf("stopped in %s", time.Since(before))
	d.checkLastWindow(before)
}

// checkDocumented makes every call that the daemon's own document names.
func (d *daemon) checkDocumented(service string) {
	d.t.Helper()
	_, body := d.get("/api/v1/openapi.json")
	var document struct {
		Paths map[string]map[string]struct {
			Responses map[string]any
		}
	}
	if err := json.Unmarshal(body, &document); err != nil || len(document.Paths) < 10 {
		d.t.Fatalf("openapi.json names %d paths: %v", len(document.Paths), err)
	}
	_, page := d.get("/")
	asset := regexp.MustCompile(`assets/([\w.-]+)`).FindSubmatch(page)
	if asset == nil {
		d.t.Fatalf("the page names no asset:\n%.300s", page)
	}
	fill := strings.NewReplacer("{service}", service, "{name}", string(asset[1]))
	for path, methods := range document.Paths {
		for method, call := range methods {
			d.checkCall(strings.ToUpper(method), fill.Replace(path), call.Responses)
		}
	}
}

// checkCall makes one call, and wants the first of its documented answers: 200 where there is one.
func (d *daemon) checkCall(method, path string, documented map[string]any) {
	d.t.Helper()
	want := http.StatusOK
	if _, ok := documented["200"]; !ok {
		want = http.StatusNotFound // what is not built yet
	}
	if _, ok := documented["501"]; ok && strings.HasPrefix(path, "/pprof/") {
		want = http.StatusNotImplemented // the service is not Go's
	}
	if strings.HasSuffix(path, "/profile") && strings.HasPrefix(path, "/pprof/") {
		path += "?seconds=1"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, d.url+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Errorf("%s %s: %v", method, path, err)
		return
	}
	defer answer.Body.Close()
	begin := make([]byte, 16) // of a stream there is no end
	n, _ := io.ReadFull(answer.Body, begin)
	if answer.StatusCode != want || n == 0 && path != "/healthz" {
		d.t.Errorf("%s %s: %d and %d bytes, want %d and some", method, path, answer.StatusCode, n, want)
	}
}

// checkConservation: what fired is delivered or lost.
func (d *daemon) checkConservation() {
	_, body := d.get("/api/v1/status")
	var status struct {
		Kinds []struct {
			Fired, Samples uint64
			Lost           map[string]uint64
		}
	}
	if err := json.Unmarshal(body, &status); err != nil || len(status.Kinds) == 0 {
		d.t.Fatalf("status: %v\n%s", err, body)
	}
	k := status.Kinds[0]
	for _, n := range k.Lost {
		k.Samples += n
	}
	if k.Fired != k.Samples || k.Fired == 0 {
		d.t.Errorf("fired %d, delivered and lost %d", k.Fired, k.Samples)
	}
}

// checkGoToolPprof: any process answers as if it had Go's own endpoint.
func (d *daemon) checkGoToolPprof(service string) {
	cmd := exec.Command("go", "tool", "pprof", "-top", "-symbolize=none", d.url+"/pprof/"+service+"/profile?seconds=2")
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+d.t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("descend")) || !bytes.Contains(out, []byte("Type: cpu")) {
		d.t.Errorf("%v: %v\n%s", cmd, err, out)
	}
}

// checkLastWindow: the window that was open when the daemon was told to stop is in its history.
func (d *daemon) checkLastWindow(told time.Time) {
	var last time.Time
	err := filepath.WalkDir(d.store, func(path string, e os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".pb.gz") {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		p, err := pprof.Parse(f)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if end := time.Unix(0, p.TimeNanos+p.DurationNanos); end.After(last) {
			last = end
		}
		return nil
	})
	if err != nil {
		d.t.Error(err)
	}
	if last.Before(told.Add(-200 * time.Millisecond)) {
		d.t.Errorf("the history ends at %s, %s before the daemon was told to stop", last, told.Sub(last))
	}
}

// TestDaemonReload: a valid file takes effect, a wrong one changes nothing and is told.
func TestDaemonReload(t *testing.T) {
	service := busy(t)
	file := filepath.Join(t.TempDir(), "ebpfprof.yaml")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log: {level: info}\n")
	d := startDaemon(t, "--config", file)
	reload := func(want int) string {
		r, err := http.Post(d.url+"/-/reload", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		if r.StatusCode != want {
			t.Errorf("reload: %d %s, want %d\n%s", r.StatusCode, body, want, d.log.String())
		}
		return string(body)
	}
	write("services:\n  - match: {executable: '/" + service + "$'}\n    name: renamed\n")
	reload(http.StatusOK)
	d.wait("renamed", 20*time.Second, func() bool { return samplesOf(d.profile("renamed")) > 10 })
	write("services:\n  - macht: {}\n")
	if said := reload(http.StatusInternalServerError); !strings.Contains(said, "macht") {
		t.Errorf("a wrong key is not named: %s", said)
	}
	if _, body := d.get("/metrics"); !bytes.Contains(body, []byte("ebpfprof_config_last_reload_successful 0")) {
		t.Error("/metrics does not tell of the failed reload")
	}
	had := samplesOf(d.profile("renamed"))
	d.wait("still renamed", 20*time.Second, func() bool { return samplesOf(d.profile("renamed")) > had })
	write("services:\n  - match: {executable: '/" + service + "$'}\n    sample: off\n")
	d.cmd.Process.Signal(syscall.SIGHUP)
	d.wait("reloaded", 10*time.Second, func() bool {
		_, body := d.get("/metrics")
		return bytes.Contains(body, []byte("ebpfprof_config_last_reload_successful 1"))
	})
	d.wait("without the service", 20*time.Second, func() bool {
		before := samplesOf(d.profile("renamed"))
		time.Sleep(2500 * time.Millisecond)
		return samplesOf(d.profile("renamed")) == before
	})
	d.stop()
}

// TestDaemonKilled: SIGKILL costs no closed window, and the next start needs no repair.
func TestDaemonKilled(t *testing.T) {
	service := busy(t)
	d := startDaemon(t)
	d.wait("in the history", 30*time.Second, func() bool { return samplesOf(d.profile(service)) > 50 })
	had := samplesOf(d.profile(service))
	d.kill()
	again := startDaemon(t, "--store", d.store)
	if now := samplesOf(again.profile(service)); now < had {
		t.Errorf("%d samples after the kill, %d before it", now, had)
	}
	if _, body := again.get("/metrics"); !bytes.Contains(body, []byte("ebpfprof_store_corrupt_files_total 0")) {
		t.Error("the history has corrupt files")
	}
	again.stop()
}

// TestDaemonTwice: a second daemon on the same store or address says so and leaves the first alone.
func TestDaemonTwice(t *testing.T) {
	d := startDaemon(t)
	o := run(t, "daemon", "--listen", "127.0.0.1:0", "--store", d.store)
	if o.exit != 1 || !strings.Contains(o.stderr, d.store) {
		t.Errorf("second on the same store: exit %d: %s", o.exit, o.stderr)
	}
	o = run(t, "daemon", "--listen", strings.TrimPrefix(d.url, "http://"), "--store", t.TempDir())
	if o.exit != 1 || !strings.Contains(o.stderr, "address already in use") {
		t.Errorf("second on the same address: exit %d: %s", o.exit, o.stderr)
	}
	d.stop()
}
