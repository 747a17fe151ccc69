package page_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// TestKinds looks at what is no CPU time: waits, with and without those for work; both together; page faults; and at all
// of them side by side.
func TestKinds(t *testing.T) {
	browser, d := startBrowser(t), startDaemon(t, "--events", "cpu,page-faults:100,off-cpu:100000000")
	w := &world{daemon: d, service: fmt.Sprintf("waits%d", os.Getpid())}
	target.Start(t, compile(t, "waits", w.service), lifetime) // not polite: it computes little, and should not wait for a CPU
	from := time.Now().Add(time.Second).Truncate(time.Second)
	poll(t, "some of each kind", func() bool {
		return time.Since(from) > 2*time.Second && d.total(t, "off_cpu", w.service, from) > 8e9 && d.total(t, "page_faults", w.service, from) > 5e3 && d.seconds(t, w.service, from) > 0.1
	})
	w.during = [2]time.Time{from, time.Now().Truncate(time.Second)}

	t.Run("Waits", func(t *testing.T) { testWaits(t, show(t, browser, w, window{}, q("kind", "off_cpu"))) })
	t.Run("Wall", func(t *testing.T) {
		testWall(t, show(t, browser, w, window{}, q("kind", "off_cpu", "from", "", "to", "")))
	})
	t.Run("PageFaults", func(t *testing.T) { testPageFaults(t, show(t, browser, w, window{}, q("kind", "page_faults"))) })
	t.Run("Lanes", func(t *testing.T) { testLanes(t, show(t, browser, w, window{}, q("view", "timeline"))) })
	t.Run("Burst", func(t *testing.T) {
		testBurst(t, show(t, browser, w, window{}, q("kind", "off_cpu", "view", "heatmap", "from", "", "to", "")))
	})
}

// testWaits: waits for work can be left out, which the page says; those for an answer stay. Labels tell them apart.
func testWaits(t *testing.T, b *tab) {
	b.mustFind("wait_for_answer")
	_, line := b.mustFind("wait_for_work")
	work := shareOf(t, line)
	if got := b.fact("of"); got != "waiting time" {
		t.Errorf("the page shows %q, want waiting time", got)
	}
	whole := b.total()
	b.click(".options button", "Hide idle waits")
	b.wait("it is told", `document.querySelector('.facts').textContent.includes('filtered')`)
	b.mustFind("wait_for_answer")
	// Of four threads the one that waits for an answer does nothing else; two and most of a third have nothing to do.
	part := b.total()
	if part < 0.1*whole || part > 0.6*whole {
		t.Errorf("without waits for work %v of %v ns are left, want about a quarter", part, whole)
	}
	// To wait for a CPU after the wait for work is not idle, and stays.
	if _, line, ok := b.find("wait_for_work"); ok && shareOf(t, line)*part > 0.5*work*whole {
		t.Errorf("of waits for work, which were %v %%, %s is left", work, line)
	}
	if b.state().Get("noIdle") != "1" {
		t.Errorf("the address says nothing of it: %v", b.state())
	}
	b.click(".options button", "Hide idle waits")
	b.mustFind("wait_for_work")
	b.press("7")
	b.click("[aria-label=List] button", "Labels")
	for _, label := range []string{"idle", "wait", "state"} {
		b.wait("the label "+label, fmt.Sprintf(`[...document.querySelectorAll('.row')].some((r) => r.textContent.includes(%s))`, quote(label)))
	}
}

// testWall: what is made of two kinds has no stream: who comes to it from what is live is shown the newest past.
func testWall(t *testing.T, b *tab) {
	b.wait("live", `document.querySelector('.facts').textContent.includes('live · ')`)
	b.choose("Kind of event", "wall clock")
	b.wait("wall-clock time", `document.querySelector('.facts').textContent.includes('wall-clock time')`)
	b.mustFind("wait_for_answer")
	if _, line := b.mustFind("touch_pages"); shareOf(t, line) > 50 {
		t.Errorf("one of four threads has most of the time: %s", line)
	}
	if lines := b.text(".lines"); strings.Contains(lines, "Not live") {
		t.Errorf("the page says %q", lines)
	}
	b.choose("Kind of event", "CPU")
	b.wait("CPU time", `document.querySelector('.facts').textContent.includes('CPU time')`)
	if _, line := b.mustFind("touch_pages"); shareOf(t, line) < 50 {
		t.Errorf("of CPU time %s, want most", line)
	}
	b.wait("nothing to hide", `[...document.querySelectorAll('.options button')].find((e) => e.textContent === 'Hide idle waits').hidden`)
}

// testPageFaults: they are counted, and are where memory is touched.
func testPageFaults(t *testing.T, b *tab) {
	_, line := b.mustFind("touch_pages")
	if share := shareOf(t, line); share < 90 || !strings.Contains(line, "page faults of") {
		t.Errorf("touch_pages says %q, want more than 90 %% of page faults", line)
	}
	if got := b.title("total"); !strings.HasSuffix(got, " count") {
		t.Errorf("the total is %q, want a count", got)
	}
}

// testLanes: a lane for each kind, one scale of time; dragging in one shows its kind.
func testLanes(t *testing.T, b *tab) {
	b.wait("four lanes", `document.querySelectorAll('.lane:not([hidden]) small').length === 4 && [...document.querySelectorAll('.lane:not([hidden]) small')].every((e) => e.textContent.startsWith('most '))`)
	names := eval[[]string](b, `[...document.querySelectorAll('.lane:not([hidden]) .label')].map((e) => e.firstChild.textContent)`)
	if want := []string{"CPU", "page faults", "off-CPU", "wall clock"}; !slices.Equal(names, want) {
		t.Errorf("lanes %q, want %q", names, want)
	}
	b.settle()
	// The daemon has just begun: what it does not know does not take most of the width.
	if known := eval[float64](b, `(() => {
  const c = document.querySelector('.lane canvas'), row = c.getContext('2d').getImageData(0, c.height - 3, c.width, 1).data;
  let solid = 0;
  for (let i = 3; i < row.length; i += 4) solid += row[i] === 255;
  return solid / c.width;
})()`); known < 0.1 {
		t.Errorf("%.0f %% of the lane's width is known", 100*known)
	}
	r := eval[[]float64](b, `(() => { const r = document.querySelectorAll('.lane canvas')[2].getBoundingClientRect(); return [r.x, r.y + r.height / 2, r.width]; })()`)
	b.drag(point{r[0] + r[2]/2, r[1]}, point{r[0] + r[2] - 4, r[1]})
	b.wait("the lane's kind", `location.hash.includes('kind=off_cpu') && document.querySelector('.facts').textContent.includes('waiting time')`)
	b.mustFind("wait_for_work")
}

// testBurst: a part of the heat map of waits is the flame graph's, and all is again.
func testBurst(t *testing.T, b *tab) {
	at, _ := b.mustFind("wait_for_work")
	b.rest(at)
	b.wait("the map stands still", `document.querySelector('.facts').textContent.includes('frozen by the pointer')`)
	b.settle()
	whole := b.total()
	middle, width, _ := b.place(".heat canvas")
	b.drag(point{middle.X + width*0.4, middle.Y}, point{middle.X + width/2 - 4, middle.Y})
	b.wait("the choice", `[...document.querySelectorAll('.chip')].some((c) => c.textContent.startsWith('time'))`)
	b.mustFind("wait_for_work")
	if part := b.total(); part <= 0 || part > whole*0.9 {
		t.Errorf("a tenth of the map has %v of %v ns", part, whole)
	}
	b.press(kb.Escape)
	b.wait("all again", `document.querySelectorAll('.chip').length === 0`)
}

// TestHeapFile: the heap of a Go program, in a file: in use and allocated, bytes and objects.
func TestHeapFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: reads the memory of another process")
	}
	holds := filepath.Join(t.TempDir(), "holds")
	if out, err := exec.Command("go", "build", "-o", holds, "testdata/holds/main.go").CombinedOutput(); err != nil {
		t.Fatalf("build holds: %v\n%s", err, out)
	}
	p, html := polite(t, holds, lifetime), filepath.Join(t.TempDir(), "heap.html")
	if out, err := exec.Command(mustProgram(t), "record", "-e", "heap", "-p", fmt.Sprint(p.PID), "-d", "1s", "-o", html).CombinedOutput(); err != nil {
		t.Fatalf("record: %v\n%s", err, out)
	}
	b := open(t, startBrowser(t), "file://"+html, window{})
	_, line := b.mustFind("main.fillCache")
	if share := shareOf(t, line); share < 80 || !strings.Contains(line, "live heap bytes") || !strings.Contains(line, " MiB") {
		t.Errorf("main.fillCache says %q, want most of the live heap's bytes, in MiB", line)
	}
	if total := b.total(); total < 50<<20 || total > 90<<20 {
		t.Errorf("%v bytes are in use, want about 64 MiB, by 128 samples", total)
	}
	b.choose("Value", "inuse objects")
	b.wait("objects in use", `document.querySelector('.facts').textContent.includes('live heap objects')`)
	b.choose("Value", "alloc space")
	b.wait("bytes that were allocated", `document.querySelector('.facts').textContent.includes('allocated bytes')`)
	b.mustFind("main.makeGarbage")
	b.press("2")
	b.wait("the table of it", `[...document.querySelectorAll('.row')].some((r) => r.textContent.startsWith('main.makeGarbage') && / [MG]iB/.test(r.textContent))`)
}
