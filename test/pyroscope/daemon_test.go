package pyroscope_test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/test/pyroscope"
)

// buildProgram builds ebpfprof, which needs root to profile.
func buildProgram(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: samples with BPF programs")
	}
	program := filepath.Join(t.TempDir(), "ebpfprof")
	cmd := exec.Command("go", "build", "-o", program, "./cmd/ebpfprof")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return program
}

// spin keeps a CPU busy under a name that nobody else has.
func spin(t *testing.T) (service string) {
	t.Helper()
	busy := filepath.Join(t.TempDir(), "spinner")
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(busy, shell, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(busy, "-c", "while :; do :; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return filepath.Base(busy)
}

// seconds sums the CPU time of a service that the server holds.
func seconds(t *testing.T, s *pyroscope.Server, service string) float64 {
	t.Helper()
	var sum int64
	for _, p := range s.Profiles() {
		if p.Labels["service_name"] != service || p.Labels["__name__"] != "process_cpu" {
			continue
		}
		parsed, err := profile.ParseData(p.Raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range parsed.Sample {
			sum += sample.Value[len(sample.Value)-1]
		}
	}
	return time.Duration(sum).Seconds()
}

// TestRecordPush: a recording arrives, service by service.
func TestRecordPush(t *testing.T) {
	program, service := buildProgram(t), spin(t)
	server, address := &pyroscope.Server{Rules: strict()}, freeAddress(t)
	listen(t, server, address)
	out, err := exec.Command(program, "record", "-a", "-d", "2s", "--push", "http://"+address).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("pushed ")) {
		t.Fatalf("record --push: %v\n%s", err, out)
	}
	if got := seconds(t, server, service); got < 0.2 {
		t.Errorf("%.2f s of %s arrived of a recording of 2 s\n%s", got, service, out)
	}
}

// TestDaemonPush: the daemon's windows arrive, those of an outage too, and the last one when it is told to stop.
func TestDaemonPush(t *testing.T) {
	program, service := buildProgram(t), spin(t)
	server, address, page := &pyroscope.Server{Rules: strict()}, freeAddress(t), freeAddress(t)
	stop := listen(t, server, address)
	cmd := exec.Command(program, "daemon", "--listen", page, "--store", t.TempDir(), "--window", "1s", "--unwind-cache", "",
		"--pyroscope", "http://"+address, "--pyroscope-spool", t.TempDir(), "--pyroscope-labels", "region=here")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	defer cmd.Process.Kill()
	wait := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				cmd.Process.Kill()
				<-done
				t.Fatalf("not %s\n%s", what, log.String())
			}
		}
	}
	wait("pushed", func() bool { return seconds(t, server, service) > 0.2 })
	stop()
	wait("spooled", func() bool { return strings.Contains(metricsOf(page), `ebpfprof_push_requests_total{outcome="retry"`) })
	listen(t, server, address)
	before := seconds(t, server, service)
	wait("pushed after the outage", func() bool { return seconds(t, server, service) > before+0.5 })
	cmd.Process.Signal(syscall.SIGTERM)
	if err := <-done; err != nil {
		t.Fatalf("the daemon ended with %v\n%s", err, log.String())
	}
	// Those whose reply was cut off by the outage may be there twice; TestTenMinutesDown has an outage without that.
	t.Logf("%d of %d profiles arrived twice", server.Duplicates(), len(server.Profiles()))
	for _, p := range server.Profiles() {
		if p.Labels["region"] != "here" || p.Labels["pid"] != "" || p.Labels["tid"] != "" {
			t.Fatalf("labels %v", p.Labels)
		}
	}
}

// metricsOf returns the daemon's /metrics, "" while it does not answer.
func metricsOf(address string) string {
	c := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: time.Second}).DialContext}}
	r, err := c.Get("http://" + address + "/metrics")
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil {
		return ""
	}
	return b.String()
}
