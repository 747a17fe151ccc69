package page_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// testSandwich: who calls a function and what it calls, from the flame graph by its key, and on to another by a press.
func testSandwich(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q())
	at, _ := b.mustFind("render_page")
	b.rest(at)
	b.press("s")
	b.wait("the sandwich", `document.querySelector('.split h3').textContent.startsWith('Who calls render_page')`)
	at, line := b.mustFind("serve") // the first chart in sight has the callers
	if got, want := shareOf(t, line), 100.0; got != want {
		t.Errorf("serve has %v %% of the calls, want all: %s", got, line)
	}
	b.clickAt(at)
	b.wait("serve in the middle", `document.querySelector('.split h3').textContent.startsWith('Who calls serve')`)
	if key := b.state().Get("sandwich"); !strings.HasPrefix(key, "serve") {
		t.Errorf("the address says %q", key)
	}
}

// testTimeline: a span that is dragged over in a lane becomes what is shown.
func testTimeline(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q("view", "timeline"))
	b.wait("a lane with a note", `document.querySelector('.lane small').textContent.startsWith('most ')`)
	middle, width, _ := b.place(".lane canvas")
	old := b.state()
	b.drag(point{middle.X - width/4, middle.Y}, point{middle.X + width/2 - 4, middle.Y})
	b.wait("another span", `new URLSearchParams(location.hash.slice(1)).get('from') !== `+quote(old.Get("from")))
	b.mustFind("serve")
	// By keys: a span of three steps, then taken.
	dragged := b.state()
	eval[bool](b, `(document.querySelector('.lane canvas').focus(), true)`)
	b.press(kb.ArrowLeft, kb.ArrowLeft, kb.ArrowLeft, kb.Enter)
	b.wait("the span of the keys", `new URLSearchParams(location.hash.slice(1)).get('from') !== `+quote(dragged.Get("from")))
}

// testHeatmap: what is chosen in the map of the last minutes is what the flame graph shows.
func testHeatmap(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q("view", "heatmap", "from", "", "to", ""))
	b.wait("the map", `document.querySelector('.heat canvas').width > 300 && document.querySelector('.facts').textContent.includes('live')`)
	at, _ := b.mustFind("serve")
	b.rest(at)
	b.wait("the map stands still", `document.querySelector('.facts').textContent.includes('frozen by the pointer')`)
	b.settle()
	whole := b.total()
	middle, width, _ := b.place(".heat canvas")
	// The right end has the present.
	b.drag(point{middle.X + width*0.3, middle.Y}, point{middle.X + width/2 - 4, middle.Y})
	b.wait("the choice", `[...document.querySelectorAll('.chip')].some((c) => c.textContent.startsWith('time'))`)
	b.mustFind("serve")
	if part := b.total(); part <= 0 || part > whole*0.9 {
		t.Errorf("a fifth of the time has %v of %v ns", part, whole)
	}
	b.wait("it stands still", `document.querySelector('.facts').textContent.includes('frozen by the selection')`)
	b.click(".heat button", "All of the time")
	b.wait("all again", `document.querySelectorAll('.chip').length === 0`)
}

// testDiff: what was not there before is new, and with the sides swapped it is gone and still drawn.
func testDiff(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q("view", "diff", "baseFrom", unix(w.before[0]), "baseTo", unix(w.before[1])))
	_, line := b.mustFind("compress_body")
	if !strings.HasSuffix(line, "new") {
		t.Errorf("the frame says %q, want new", line)
	}
	b.click(".sides button", "Table")
	b.wait("the change of it in the table", `[...document.querySelectorAll('.row')].some((r) => r.textContent.startsWith('compress_body') && r.textContent.endsWith('new') && r.querySelector('.more'))`)
	b.press("x")
	b.wait("gone", `[...document.querySelectorAll('.row')].some((r) => r.textContent.startsWith('compress_body') && r.textContent.endsWith('gone') && r.querySelector('.less'))`)
	b.click(".sides button", "Flame graph")
	b.poll("the frame is gone, and drawn", func() bool { _, line, _ := b.find("compress_body"); return strings.HasSuffix(line, "gone") })
	b.click(".sides button", "Elided")
	b.poll("not drawn any more", func() bool { _, _, ok := b.find("compress_body"); return !ok })
	b.press("d")
	b.wait("this minute and the one before", `(() => { const p = new URLSearchParams(location.hash.slice(1)); return p.get('to') - p.get('from') === 60 && p.get('baseTo') === p.get('from'); })()`)
	b.wait("it is there", `document.querySelector('.sides b.more, .sides b.less, .sides b').textContent !== '' && !document.querySelector('.facts').textContent.includes('loading')`)
}
