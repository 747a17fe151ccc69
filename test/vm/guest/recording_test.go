package guest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// summary is what `record --summary` writes.
type summary struct {
	Start   float64 `json:"start_seconds"` // from exec to the first sample
	Seconds float64 `json:"duration_seconds"`
	CPUs    int     `json:"cpus"`
	Events  map[string]struct {
		Fired   int64            `json:"fired"`
		Samples int64            `json:"samples"`
		Lost    map[string]int64 `json:"lost"`
		Stacks  map[string]int64 `json:"stacks"`
		Frames  struct {
			Total      int64 `json:"total"`
			Symbolized int64 `json:"symbolized"`
		} `json:"frames"`
		OffCPU *offCPUSummary `json:"off_cpu"`
	} `json:"events"`
}

// A stack is one line of the folded format: frames root first.
type stack struct {
	frames []string
	count  int64
}

// A recording is what one run of `ebpfprof record` left behind.
type recording struct {
	exit    int
	stdout  string
	fired   int64
	samples int64
	from    time.Duration // on the monotonic clock: when sampling began,
	to      time.Duration // and when it ended
	stacks  []stack
	offCPU  offCPUSummary // of the event off-cpu
}

// record records CPU time at 99 Hz.
func record(t *testing.T, args ...string) recording {
	t.Helper()
	r := recordEvent(t, "cpu", append([]string{"-F", "99"}, args...)...)
	if n := r.count(func(stack) bool { return true }); n != r.samples {
		t.Errorf("the folded file has %d samples, the summary %d", n, r.samples)
	}
	return r
}

// recordEvent runs `ebpfprof record` and checks what holds of every recording: nothing
// is lost without being counted, and the parts of the summary agree with each other.
func recordEvent(t *testing.T, event string, args ...string) recording {
	t.Helper()
	return recordEventUntil(t, nil, event, args...)
}

// recordEventUntil is recordEvent, ended as by runUntil.
func recordEventUntil(t *testing.T, over <-chan struct{}, event string, args ...string) recording {
	t.Helper()
	dir := t.TempDir()
	folded, sum := filepath.Join(dir, "out.folded"), filepath.Join(dir, "summary.json")
	began := monotonic(t)
	exit, stdout, stderr := runUntil(t, over, append([]string{"record", "-o", folded, "--summary", sum}, args...)...)
	mayLack(t, exit, stderr)
	data, err := os.ReadFile(sum)
	if err != nil {
		t.Fatalf("exit %d, %v\n%s", exit, err, stderr)
	}
	var s summary
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatalf("summary: %v\n%s", err, data)
	}
	t.Logf("summary: %s", strings.Join(strings.Fields(string(data)), " "))
	e, ok := s.Events[event]
	if !ok {
		t.Fatalf("summary without the event %s: %s", event, data)
	}
	lost, stacks := total(e.Lost), total(e.Stacks)
	if e.Fired != e.Samples+lost || e.Samples != stacks || e.Samples == 0 {
		t.Errorf("fired %d, samples %d, lost %d, stacks %d", e.Fired, e.Samples, lost, stacks)
	}
	if lost != 0 {
		t.Errorf("lost %v", e.Lost)
	}
	if s.CPUs != 2 {
		t.Errorf("cpus = %d, the guest has 2", s.CPUs)
	}
	r := recording{exit: exit, stdout: stdout, fired: e.Fired, samples: e.Samples}
	if e.OffCPU != nil {
		r.offCPU = *e.OffCPU
	}
	r.from = began + time.Duration(s.Start*float64(time.Second))
	r.to = r.from + time.Duration(s.Seconds*float64(time.Second))
	if data, err = os.ReadFile(folded); err != nil {
		t.Fatal(err)
	}
	r.stacks = parseFolded(t, string(data))
	return r
}

func total(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

func parseFolded(t *testing.T, text string) (stacks []stack) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		space := strings.LastIndexByte(line, ' ')
		count, err := strconv.ParseInt(line[space+1:], 10, 64)
		if space < 0 || err != nil || count <= 0 {
			t.Fatalf("folded line %q", line)
		}
		stacks = append(stacks, stack{strings.Split(line[:space], ";"), count})
	}
	return stacks
}

// count adds up the samples of the stacks that want accepts.
func (r recording) count(want func(stack) bool) (n int64) {
	for _, s := range r.stacks {
		if want(s) {
			n += s.count
		}
	}
	return n
}

// in counts the samples with a frame of this function anywhere in the stack.
func (r recording) in(function string) int64 {
	return r.count(func(s stack) bool { return s.has(regexp.QuoteMeta(function)) })
}

// has tells whether a frame is a function whose name matches. An output may add a
// suffix in brackets, such as _[k].
func (s stack) has(pattern string) bool {
	name := regexp.MustCompile(`^(` + pattern + `)(_?\[.*\])?$`)
	for _, frame := range s.frames {
		if name.MatchString(frame) {
			return true
		}
	}
	return false
}

// cpuSeconds reads the line "cpu_seconds N" that a target prints about itself.
func cpuSeconds(t *testing.T, stdout string) float64 {
	t.Helper()
	_, after, found := strings.Cut(stdout, "cpu_seconds ")
	value, err := strconv.ParseFloat(strings.TrimSpace(after), 64)
	if !found || err != nil {
		t.Fatalf("the command's output did not come through: %q", stdout)
	}
	return value
}

// near fails when got is not within the given share of want.
func near(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if got < want*(1-share) || got > want*(1+share) {
		t.Errorf("%s: %.2f, want %.2f within %.0f %%", what, got, want, 100*share)
	} else {
		t.Logf("%s: %.2f, expected %.2f", what, got, want)
	}
}
