package page_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// cells returns the text of a column of the rows in sight.
func (b *tab) cells(column int) []string {
	b.t.Helper()
	return eval[[]string](b, fmt.Sprintf(`[...document.querySelectorAll('.row')].filter((r) => r.getBoundingClientRect().height).map((r) => r.children[%d].textContent)`, column))
}

// testTable: all that the graph shows, as text; sorted as asked; with the details of a row.
func testTable(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q("view", "table"))
	b.wait("rows", `document.querySelectorAll('.row').length > 3`)
	b.settle()
	if top := b.cells(0)[0]; !strings.HasPrefix(top, "compress_body") {
		t.Errorf("the first row is %q, want the function that uses most", top)
	}
	for _, sorted := range []struct {
		column string
		index  int
	}{{"Self", 3}, {"Total", 5}} {
		column, index := sorted.column, sorted.index
		b.click(".thead button", column)
		b.wait("sorted by "+column, fmt.Sprintf(`document.querySelector('[aria-sort=descending]').textContent.startsWith(%s)`, quote(column)))
		b.settle()
		last := 101.0
		for _, c := range b.cells(index) {
			v := shareOf(t, c) // of "<0.01 %", which is less than can be told, the number
			if v > last {
				t.Errorf("by %s %v %% follows %v %%", column, v, last)
			}
			last = v
		}
	}
	if first := shareOf(t, b.cells(5)[0]); first != 100 {
		t.Errorf("the first by total has %v %%", first)
	}
	b.click(".thead button", "Function")
	b.wait("sorted by name", `document.querySelector('[aria-sort=ascending]').textContent.startsWith('Function')`)
	b.settle()
	if names := eval[[]string](b, `[...document.querySelectorAll('.row .fn > bdi.name')].map((e) => e.textContent)`); len(names) < 5 || !slices.IsSorted(names) {
		t.Errorf("by name: %q", names)
	}
	b.click(".row .name", "compress_body")
	b.wait("details", `document.querySelector('.details h2').textContent.includes('compress_body')`)
	b.press(kb.Escape)
	b.wait("closed", `!document.querySelector('.details').getBoundingClientRect().width`)
	b.press("/")
	b.press(strings.Split("render", "")...)
	b.wait("found alone", `document.querySelector('.foot').textContent.startsWith('2 of')`)
}

// testLists: threads, processes and modules narrow the view down; so does a service of all.
func testLists(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q("view", "lists", "service", ""))
	for _, list := range []string{"Processes", "Modules", "Threads"} {
		b.click("[aria-label=List] button", list)
		b.wait(list+" with turns", `[...document.querySelectorAll('.row')].some((r) => r.textContent.includes(`+quote(w.service)+`))`)
	}
	b.click(".row .name", w.service)
	b.wait("it alone", `document.querySelector('.chip').textContent.startsWith('thread') && location.hash.includes('threads=')`)
	b.mustFind("serve")
	if _, _, ok := b.find("main.outer"); ok {
		t.Error("another thread's function is drawn")
	}
	b.press("8")
	b.click(".chip button", "×")
	b.wait("services", `[...document.querySelectorAll('.row')].some((r) => r.textContent.startsWith(`+quote(w.service)+`) && /compress_body|render_template/.test(r.textContent))`)
	b.click(".row .name", w.service)
	b.wait("one service", `new URLSearchParams(location.hash.slice(1)).get('service') === `+quote(w.service)+` && location.hash.includes('view') === false`)
}

// testFilters: only with, without, modules as one, recursion as one, a kind of frames left out; each can be taken away.
func testFilters(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q())
	at, _ := b.mustFind("render_page")
	b.rest(at)
	b.press("f")
	b.wait("only with", `document.querySelector('.chip').textContent.startsWith('only with')`)
	b.poll("compress_body is not drawn", func() bool { _, _, ok := b.find("compress_body"); return !ok })
	b.click(".chip button", "×")
	at, _ = b.mustFind("serve")
	b.rest(at)
	b.press("h")
	b.wait("without", `document.querySelector('.chip').textContent.startsWith('without')`)
	b.poll("serve is not drawn, and what it calls is", func() bool {
		_, _, gone := b.find("serve")
		_, _, there := b.find("render_page")
		return !gone && there
	})
	b.click(".chip button", "×")
	b.mustFind("serve")
	b.click(".options button", "Fold modules")
	b.poll("the module is one frame", func() bool { _, _, ok := b.find("render_page"); return !ok })
	b.click(".options button", "Fold modules")
	b.click(".options button", "Collapse recursion")
	b.click(".options button", "Inverted")
	b.poll("the leaves stand on the root, their callers above", func() bool {
		leaf, _, a := b.find("compress_body")
		caller, _, c := b.find("serve")
		return a && c && caller.Y < leaf.Y
	})
	b.press("i")
	b.poll("the icicle has the caller below", func() bool {
		leaf, _, a := b.find("compress_body")
		above, _, c := b.find("serve")
		return a && c && above.Y > leaf.Y
	})
}
