package page_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
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
	at, _ := b.mustFind("serve")
	b.clickAt(at)
	b.wait("zoomed", `location.hash.includes('zoom=')`)
	if n := eval[int](b, `document.getAnimations().length`); n > 0 {
		t.Errorf("%d animations run", n)
	}
	_, width, _ := b.place(".canvasHost canvas")
	if now, _, ok := b.find("serve"); !ok || now.X < width*0.45 || now.X > width*0.55 {
		t.Errorf("after a press serve is at %v of %v at once, %v", now, width, ok)
	}
}

// testFirst: how soon something is seen. It is told, not judged: the machine may be busy.
func testFirst(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q())
	paint := eval[float64](b, `performance.getEntriesByName('first-contentful-paint')[0].startTime`)
	bytes := eval[float64](b, `performance.getEntries().filter((e) => e.encodedBodySize && (e.entryType === 'navigation' || /assets/.test(e.name))).reduce((n, e) => n + e.encodedBodySize, 0)`)
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
	at := eval[[]float64](b, fmt.Sprintf(`(() => { const e = document.querySelector(%s); e.scrollIntoView({block: 'nearest', inline: 'center'}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`, quote(selector)))
	b.run(chromedp.TapXY(at[0], at[1]))
}
