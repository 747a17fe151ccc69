package page_test

import (
	"context"
	"fmt"
	"testing"
)

// phone is a narrow window for fingers.
func phone() window { return window{width: 360, height: 740, scale: 3, phone: true} }

// testDark: the theme of the system and the key for the other; and the letters have contrast in both.
func testDark(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{media: map[string]string{"prefers-color-scheme": "dark"}}, q())
	b.mustFind("serve")
	brightness := `(() => { const c = getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).map(Number); return (c[0] + c[1] + c[2]) / 3; })()`
	if v := eval[float64](b, brightness); v > 60 {
		t.Errorf("the ground has brightness %v, want dark", v)
	}
	contrast(t, b)
	b.press("t")
	b.wait("light", `document.documentElement.dataset.theme === 'light'`)
	if v := eval[float64](b, brightness); v < 200 {
		t.Errorf("the ground has brightness %v, want light", v)
	}
	contrast(t, b)
}

// testPhone: nothing is wider than the window, everything can be reached by a finger.
func testPhone(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, phone(), q())
	b.fits()
	at := eval[[]float64](b, `(() => { const r = document.querySelector('.canvasHost canvas').getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()`)
	if at[2] < 340 || at[3] < 200 {
		t.Errorf("the chart is %v x %v on a phone", at[2], at[3])
	}
	place, _ := b.mustFind("render_page")
	b.tap(place)
	b.wait("zoomed by a tap", `location.hash.includes('zoom=')`)
	for _, view := range []string{"table", "sandwich", "timeline", "heatmap", "diff", "lists", "services"} {
		b.tapOn("#tab-" + view)
		b.wait(view, `new URLSearchParams(location.hash.slice(1)).get('view') === `+quote(view))
		b.settle()
		b.fits()
	}
	b.tapOn("#tab-table")
	b.wait("rows", `document.querySelector('.row .name')`)
	b.tapOn(".row .name")
	b.wait("details", `document.querySelector('.details h2').getBoundingClientRect().width > 100`)
	b.fits()
}

// testMagnified: with 200 % zoom, which is half the window in CSS pixels, the page scrolls but hides nothing.
func testMagnified(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{width: 640, height: 400, scale: 2}, q())
	b.fits()
	if ratio := eval[float64](b, `(() => { const c = document.querySelector('.canvasHost canvas'); return c.width / c.clientWidth; })()`); ratio < 1.9 {
		t.Errorf("the canvas has %v pixels for each of the page, want 2", ratio)
	}
	eval[bool](b, `(document.querySelector('.canvasHost').scrollIntoView(), true)`)
	b.mustFind("serve")
}

// testStill: who wants no motion gets none.
func testStill(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{media: map[string]string{"prefers-reduced-motion": "reduce"}}, q("from", "", "to", ""))
	b.wait("live", `document.querySelector('.facts').textContent.includes('live · ')`)
	b.mustFind("parse_request")
	b.pause()
	at, _ := b.mustFind("parse_request")
	// In one go, so that no time passes between the press and the looks.
	ends := eval[[]string](b, fmt.Sprintf(`(() => {
  const canvas = document.querySelector('.canvasHost canvas'), r = canvas.getBoundingClientRect();
  // The way to what is zoomed to appears above the canvas, which moves: the row is at the same place of the canvas.
  const point = (type, x) => canvas.dispatchEvent(new PointerEvent(type, {clientX: x, clientY: %v - r.top + canvas.getBoundingClientRect().top, pointerId: 1, pointerType: 'mouse'}));
  const ends = () => [0.02, 0.98].map((part) => { point('pointermove', r.left + part * r.width); return document.querySelector('.hover').textContent.split('  ')[0]; });
  const before = ends();
  point('pointerdown', %v);
  point('pointerup', %v);
  return [...before, ...ends(), String(document.getAnimations().length)];
})()`, at.Y, at.X, at.X))
	if ends[0] == "parse_request" && ends[1] == "parse_request" {
		t.Fatal("parse_request is as wide as the chart before it is pressed")
	}
	if ends[2] != "parse_request" || ends[3] != "parse_request" || ends[4] != "0" {
		t.Errorf("right after a press the ends of the row are %q and %q, want parse_request; %s animations", ends[2], ends[3], ends[4])
	}
}

// testFirst: how soon something is seen. It is told, not judged: the machine may be busy.
func testFirst(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q())
	paint := eval[float64](b, `performance.getEntriesByName('first-contentful-paint')[0].startTime`)
	// The worker asks for the page's own script again, and gets it from the cache.
	bytes := eval[float64](b, `[...new Map(performance.getEntries().filter((e) => e.encodedBodySize && (e.entryType === 'navigation' || /assets/.test(e.name)))
  .map((e) => [e.name, e.encodedBodySize])).values()].reduce((n, size) => n + size, 0)`)
	t.Logf("first paint after %.0f ms, %.1f KB of page, style and scripts", paint, bytes/1000)
	if bytes > 60<<10 || bytes < 10_000 {
		t.Errorf("the page is %v bytes, want at most 60 KiB", bytes)
	}
}

// fits fails if something makes the page wider than its window.
func (b *tab) fits() {
	b.t.Helper()
	wide := eval[[]string](b, `(() => {
  if (document.scrollingElement.scrollWidth <= innerWidth) return [];
  return [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 8)
    .map((e) => e.tagName + '.' + e.className + ' ' + Math.round(e.getBoundingClientRect().right));
})()`)
	if len(wide) > 0 {
		b.t.Errorf("wider than the window of %v: %v", eval[float64](b, `innerWidth`), wide)
	}
}

// tapOn presses the middle of an element with a finger.
func (b *tab) tapOn(selector string) {
	b.t.Helper()
	b.tap(b.still(selector, ""))
}
