package guest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const daemonAddress = "127.0.0.1:9780"

// loopbackUp lets programs of the guest reach each other.
func loopbackUp(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err == nil {
		ifr.SetUint16(unix.IFF_UP)
		err = unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
	}
	if err != nil {
		t.Fatalf("set lo up: %v", err)
	}
}

// get returns a page of the daemon, "" while it does not answer.
func get(path string) string {
	r, err := http.Get("http://" + daemonAddress + path)
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

// neverMoves makes an event one that opens and stays at zero.
func neverMoves(t *testing.T, id int) {
	t.Helper()
	data, err := os.ReadFile(pmuParameters + "/rate")
	if err != nil {
		t.Fatal(err)
	}
	rates := strings.Split(strings.TrimSpace(string(data)), ",")
	rates[id] = "0"
	set(t, "rate", strings.Join(rates, ","))
}

// series are the values of a metric by service.
func series(t *testing.T, text, name string) map[string]float64 {
	t.Helper()
	values := map[string]float64{}
	line := regexp.MustCompile(`(?m)^` + name + `\{(?:.*,)?service="([^"]*)"(?:,.*)?\} (\S+)$`)
	for _, m := range line.FindAllStringSubmatch(text, -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			t.Fatalf("%s: %v", m[0], err)
		}
		values[m[1]] = v
	}
	return values
}

// await asks /metrics until something holds of it.
func await(t *testing.T, what string, holds func(text string) bool) string {
	t.Helper()
	text := ""
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if text = get("/metrics"); text != "" && holds(text) {
			return text
		}
	}
	t.Fatalf("%s: not within %v\n%s", what, limit, text)
	return ""
}

// TestPMUDaemon: the daemon's counters are what a program injected, its gauges the ratios
// of known counts, and of an event that never moves it says so and has nothing.
func TestPMUDaemon(t *testing.T) {
	needPMU(t)
	set(t, "ncounters", "12")
	set(t, "exact", "inject")
	neverMoves(t, idBranches)
	loopbackUp(t)
	counted := map[string]int{
		"cpu_cycles": idCycles, "instructions": idInstructions, "cache_references": idReferences, "cache_misses": idMisses,
		"l1d_loads": idL1DLoads, "l1d_load_misses": idL1DMisses, "llc_load_misses": idLLCMisses,
	}
	var log bytes.Buffer
	d := exec.Command(ebpfprof, "daemon", "--listen", daemonAddress, "--store-enabled=false", "--window", "1s",
		"--unwind-cache", t.TempDir(), "--counter-events", "cycles,instructions,cache-references,cache-misses,"+
			"L1-dcache-loads,L1-dcache-load-misses,LLC-load-misses,branches")
	d.Stderr = &log
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Process.Signal(unix.SIGTERM)
		d.Wait()
		if t.Failed() {
			t.Logf("the daemon: %s", log.String())
		}
	})
	await(t, "counts", func(text string) bool {
		return len(series(t, text, "ebpfprof_instructions_per_cycle")) > 0
	})

	i := everything(300, 200*time.Microsecond)
	w := i.start(t, "")
	time.Sleep(2500 * time.Millisecond) // to be asked whose it is
	// Until its exec it went by the name of this test, and time counted for it.
	before := get("/metrics")
	of := func(text, name string) float64 { return series(t, text, "ebpfprof_"+name+"_total")["inject"] }
	w.begin(t)
	w.wait(t)
	text := await(t, "what was injected", func(text string) bool {
		return of(text, "cache_misses")-of(before, "cache_misses") >= float64(i.sum(idMisses))
	})
	for name, id := range counted {
		if got := of(text, name) - of(before, name); got != float64(i.sum(id)) {
			t.Errorf("%s is %v, injected %d", name, got, i.sum(id))
		}
	}
	for event, want := range map[string]int{"cycles": 1, "cache-misses": 1, "LLC-load-misses": 1, "branches": 0} {
		line := fmt.Sprintf(`(?m)^ebpfprof_perf_event_supported\{event="%s"\} %d$`, event, want)
		if !regexp.MustCompile(line).MatchString(text) {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
	if strings.Contains(text, "ebpfprof_branches_total{") {
		t.Error("there is a total of branches, which cannot be counted")
	}
	checkGauges(t, text, i)
}

// checkGauges: of the one that injects the ratios of what it injected, but for a window
// that ends between its two functions, whose mixes differ by a little; of the daemon the
// ratios of the rates. Others may have run for microseconds in the window, in which there
// are few misses, and no fractions of them.
func checkGauges(t *testing.T, text string, i injector) {
	t.Helper()
	for _, g := range []struct {
		name   string
		want   float64
		a, b   int
		factor float64
	}{
		{"instructions_per_cycle", 2, idInstructions, idCycles, 1},
		{"cache_miss_ratio", 0.1, idMisses, idReferences, 1},
		{"cache_misses_per_kilo_instruction", 0.5, idMisses, idInstructions, 1000},
	} {
		values := series(t, text, "ebpfprof_"+g.name)
		near(t, g.name+" of inject", values["inject"], g.factor*float64(i.sum(g.a))/float64(i.sum(g.b)), 0.02)
		near(t, g.name+" of ebpfprof", values["ebpfprof"], g.want, 0.02)
	}
}
