package page_test

import (
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// TestScreenshots takes the pictures of docs/page.md, by the steps that it tells, where EBPFPROF_SCREENSHOTS names a
// directory for them. scripts/screenshots.sh does. They are of the tests' programs alone, whatever else runs.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("EBPFPROF_SCREENSHOTS")
	if dir == "" {
		t.Skip("EBPFPROF_SCREENSHOTS names no directory")
	}
	browser, w := startBrowser(t), beginAs(t, "shop", "--events", "cpu,page-faults:100,off-cpu", "--comm", "^(shop|worker|inlined|python3)$")
	target.Start(t, compile(t, "waits", "worker"), lifetime)
	uneven(t, w.turns)
	// Two minutes that differ, so that nothing of what is shown is empty.
	w.turn(t)
	w.before = w.minute(t)
	w.turn(t)
	w.during = w.minute(t)

	look := window{width: 1200, height: 660}
	dark := window{width: 1200, height: 660, media: map[string]string{"prefers-color-scheme": "dark"}}
	take := func(name string, look window, state url.Values, ready func(*tab)) {
		t.Run(name, func(t *testing.T) {
			b := show(t, browser, w, look, state)
			ready(b)
			b.settle()
			b.small(filepath.Join(dir, name+".png"))
		})
	}
	live := func(pairs ...string) url.Values { return q(append(pairs, "from", "", "to", "", "service", "")...) }
	drawn := func(name string) func(*tab) { return func(b *tab) { b.mustFind(name) } }
	take("page", look, live(), drawn("serve"))
	take("dark", dark, q("search", "render"), drawn("serve"))
	take("table", look, q("view", "table", "service", ""), func(b *tab) { b.wait("rows", `document.querySelectorAll('.row').length > 3`) })
	take("sandwich", look, q("view", "sandwich", "sandwich", ""), drawn("serve"))
	take("timeline", look, q("view", "timeline"), func(b *tab) {
		b.wait("lanes", `document.querySelector('.lane small').textContent.startsWith('most ')`)
		b.mustFind("serve")
	})
	take("heatmap", look, q("view", "heatmap", "from", "", "to", ""), func(b *tab) {
		b.wait("live", `document.querySelector('.facts').textContent.includes('live')`)
		b.mustFind("serve")
	})
	take("waits", look, q("kind", "off_cpu", "service", "worker", "noIdle", "1"), drawn("wait_for_answer"))
	take("diff", look, q("view", "diff", "baseFrom", unix(w.before[0]), "baseTo", unix(w.before[1])), drawn("compress_body"))
	take("services", look, live("view", "services"), func(b *tab) {
		b.wait("rows", `[...document.querySelectorAll('.row')].some((r) => /compress_body|render_template/.test(r.textContent))`)
	})
	take("phone", window{width: 360, height: 740, scale: 1.5, phone: true}, q(), drawn("serve"))
}

// minute lets a minute pass, and waits until the history has it.
func (w *world) minute(t testing.TB) [2]time.Time {
	t.Helper()
	from := time.Now().Add(time.Second).Truncate(time.Second)
	time.Sleep(time.Until(from.Add(63 * time.Second)))
	return [2]time.Time{from, from.Add(time.Minute)}
}

// uneven makes the program work in bursts until the end of the test: more of each second and then less, in turns of
// twelve seconds.
func uneven(t testing.TB, p *target.Process) {
	end := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for second := 0; ; second++ {
			busy := time.Duration(150+60*(second%12)) * time.Millisecond
			for _, half := range []struct {
				signal syscall.Signal
				long   time.Duration
			}{{syscall.SIGCONT, busy}, {syscall.SIGSTOP, time.Second - busy}} {
				syscall.Kill(p.PID, half.signal) // it may have ended
				select {
				case <-end:
					syscall.Kill(p.PID, syscall.SIGCONT)
					return
				case <-time.After(half.long):
				}
			}
		}
	}()
	t.Cleanup(func() { close(end); <-done })
}

// small writes a picture, which must be small enough for a documentation.
func (b *tab) small(path string) {
	b.t.Helper()
	b.shot(path)
	info, err := os.Stat(path)
	if err != nil {
		b.t.Fatal(err)
	}
	if info.Size() > 200_000 {
		b.t.Errorf("%s has %d bytes, want at most 200,000", path, info.Size())
	}
}
