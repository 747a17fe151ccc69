package page_test

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// shareOf reads the first percentage of a text.
func shareOf(t testing.TB, text string) float64 {
	t.Helper()
	m := regexp.MustCompile(`([0-9.]+) %`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no percentage in %q", text)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// testSearch: what is found is a share of the whole, a regular expression is one, and a wrong one says so.
func testSearch(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q())
	b.press("/")
	b.press(strings.Split("compress", "")...)
	b.wait("a share", `location.hash.endsWith('search=compress') && parseFloat(document.querySelector('.search .result').textContent) > 5`)
	b.settle()
	found := shareOf(t, b.text(".search .result"))
	_, line := b.mustFind("compress_body")
	if got := shareOf(t, line); found < 5 || found > 95 || got != found {
		t.Errorf("found %v %%, the frame has %v %% (%s), want the same, between 5 and 95", found, got, line)
	}
	if b.state().Get("search") != "compress" {
		t.Errorf("the address has no search: %v", b.state())
	}
	b.click(".search button", ".*")
	b.write(".search input", "^(read_header|escape_text)$")
	b.wait("an expression's share", `document.querySelector('.search .result').textContent.includes('found') && document.location.hash.includes('escape_text')`)
	b.wait("less than before", `parseFloat(document.querySelector('.search .result').textContent) < `+strconv.FormatFloat(found, 'f', -1, 64))
	b.write(".search input", "((")
	b.wait("what is wrong", `document.querySelector('.search.wrong .wrongText').textContent.length > 5`)
}

// testZoom: by a press and by keys, and back by the browser's own way.
func testZoom(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q())
	at, _ := b.mustFind("render_page")
	b.clickAt(at)
	b.wait("zoomed", `location.hash.includes('zoom=')`)
	zoom := b.state()["zoom"]
	if last := zoom[len(zoom)-1]; !strings.HasPrefix(last, "render_page") {
		t.Fatalf("zoomed to %q", zoom)
	}
	b.wait("the way there", `[...document.querySelectorAll('.crumb')].some((c) => c.textContent === 'render_page')`)
	// The frame is as wide as the chart now, so what it calls is too.
	_, width, _ := b.place(".canvasHost canvas")
	b.poll("render_page is as wide as the chart", func() bool {
		now, _, ok := b.find("render_page")
		return ok && now.X > width*0.45 && now.X < width*0.55
	})
	b.press(kb.Backspace)
	b.wait("one step out", `new URLSearchParams(location.hash.slice(1)).getAll('zoom').length === `+strconv.Itoa(len(zoom)-1))
	b.run(chromedp.NavigateBack())
	b.wait("back", `new URLSearchParams(location.hash.slice(1)).getAll('zoom').length === `+strconv.Itoa(len(zoom)))
	b.run(chromedp.Reload())
	b.wait("the same after a reload", `[...document.querySelectorAll('.crumb')].some((c) => c.textContent === 'render_page')`)
	b.mustFind("render_page")

	// By keys alone: from the root along the widest frames, then Enter.
	b.press(kb.Home)
	b.wait("all", `!location.hash.includes('zoom=')`)
	b.settle()
	b.run(chromedp.Focus(".canvasHost canvas"))
	b.press(kb.ArrowUp)
	name := func() string { return b.text(".canvasHost [role=status]") }
	for range 30 {
		if strings.HasPrefix(name(), "serve,") {
			break
		}
		b.press(kb.ArrowUp)
	}
	if !strings.HasPrefix(name(), "serve,") {
		t.Fatalf("the keys came to %q", name())
	}
	b.press(kb.Enter)
	b.wait("zoomed by Enter", `new URLSearchParams(location.hash.slice(1)).getAll('zoom').at(-1).startsWith('serve')`)
	b.press(kb.Escape)
	b.wait("out by Escape", `!location.hash.includes('zoom=')`)
}
