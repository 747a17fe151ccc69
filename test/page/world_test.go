package page_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// program builds ebpfprof, once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ebpfprof-page")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ebpfprof")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/ebpfprof")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func mustProgram(t testing.TB) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A daemon is a running `ebpfprof daemon`.
type daemon struct {
	address string // host:port
	store   string
	args    []string // besides its own
	cmd     *exec.Cmd
	log     *bytes.Buffer
	ended   chan error
}

// startDaemon runs one with a history of its own, in windows of a second.
func startDaemon(t testing.TB, args ...string) *daemon {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: samples with BPF programs")
	}
	d := &daemon{address: freeAddress(t), store: t.TempDir(), args: args}
	d.start(t)
	t.Cleanup(func() { d.stop(t) })
	return d
}

func (d *daemon) url() string { return "http://" + d.address + "/" }

func (d *daemon) start(t testing.TB) {
	t.Helper()
	d.cmd = exec.Command(mustProgram(t), append([]string{"daemon", "--listen", d.address, "--store", d.store, "--window", "1s", "--unwind-cache", ""}, d.args...)...)
	d.log = new(bytes.Buffer)
	d.cmd.Stderr = d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	d.ended = ended
	cmd := d.cmd
	go func() { ended <- cmd.Wait() }()
	poll(t, "ready", func() bool {
		r, err := http.Get(d.url() + "ready")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// stop ends the daemon as an administrator would.
func (d *daemon) stop(t testing.TB) {
	t.Helper()
	if d.cmd == nil {
		return
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-d.ended:
		if err != nil {
			t.Errorf("the daemon ended with %v\n%s", err, d.log)
		}
	case <-time.After(patience):
		d.cmd.Process.Kill()
		<-d.ended
		t.Errorf("the daemon does not stop\n%s", d.log)
	}
	d.cmd = nil
}

// get reads an answer of the API.
func (d *daemon) get(t testing.TB, path string, into any) {
	t.Helper()
	r, err := http.Get(d.url() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, r.Status)
	}
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// seconds asks how much CPU time of a service the history has since a time, in seconds.
func (d *daemon) seconds(t testing.TB, service string, from time.Time) float64 {
	t.Helper()
	return d.total(t, "cpu", service, from) / 1e9
}

// total asks how much of a kind the history has of a service since a time, in the unit of the kind.
func (d *daemon) total(t testing.TB, kind, service string, from time.Time) float64 {
	t.Helper()
	var p struct{ Total float64 }
	d.get(t, "api/v1/profile?format=json&kind="+kind+"&service="+service+"&from="+unix(from), &p)
	return p.Total
}

func unix(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1e3, 'f', 3, 64) }

// freeAddress returns an address on which nobody listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A world is a daemon with programs to look at, and with two spans of the past that differ.
type world struct {
	*daemon
	turns          *target.Process
	service        string       // of turns; no other run's program has the same
	before, during [2]time.Time // without and with compress_body in turns
}

// lifetime is how long programs run at most, in seconds.
const lifetime = "1500"

// begin starts everything and waits until there is a past. Programs are nice to the browser, which shares their CPUs.
func begin(t *testing.T) *world {
	t.Helper()
	return beginAs(t, fmt.Sprintf("turns%d", os.Getpid()))
}

// beginAs is begin with a name for the service and arguments for the daemon.
func beginAs(t *testing.T, service string, args ...string) *world {
	t.Helper()
	w := &world{daemon: startDaemon(t, args...), service: service}
	w.turns = polite(t, compile(t, "turns", service), lifetime)
	polite(t, target.Go(t, "inlined"), lifetime)
	if python, err := exec.LookPath("python3"); err == nil {
		polite(t, python, "testdata/words.py", lifetime)
	}
	w.before = w.span(t)
	w.turn(t)
	w.during = w.span(t)
	return w
}

// turn makes compress_body begin or end.
func (w *world) turn(t testing.TB) {
	t.Helper()
	if err := syscall.Kill(w.turns.PID, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
}

// span waits until the history has enough of the service since now, in whole windows.
func (w *world) span(t testing.TB) [2]time.Time {
	t.Helper()
	from := time.Now().Add(time.Second).Truncate(time.Second)
	poll(t, "a span with "+w.service, func() bool {
		return time.Since(from) > 3*time.Second && w.seconds(t, w.service, from) > 0.7
	})
	return [2]time.Time{from, time.Now().Truncate(time.Second)}
}

// at returns the page's address with a state, in which "during" is the time.
func (w *world) at(state url.Values) string {
	if !state.Has("from") {
		state.Set("from", unix(w.during[0]))
		state.Set("to", unix(w.during[1]))
	}
	return w.url() + "#" + state.Encode()
}

// compile builds a program of testdata under a name of its own.
func compile(t testing.TB, name, as string) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("needs gcc")
	}
	out := filepath.Join(t.TempDir(), as)
	cmd := exec.Command("gcc", "-O1", "-fno-omit-frame-pointer", "-o", out, filepath.Join("testdata", name+".c"), "-pthread")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, text)
	}
	return out
}

// polite starts a program that gives way to others, and ends with the test however that ends.
func polite(t testing.TB, path string, args ...string) *target.Process {
	t.Helper()
	cmd := exec.Command("nice", append([]string{"-n", "5", path}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return target.StartCommand(t, cmd)
}
