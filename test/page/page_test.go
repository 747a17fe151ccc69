package page_test

import (
	"context"
	"net/url"
	"testing"
)

// TestPage looks at everything that the daemon's page shows of the past and the present.
func TestPage(t *testing.T) {
	browser, w := startBrowser(t), begin(t)
	for _, sub := range []struct {
		name string
		test func(*testing.T, context.Context, *world)
	}{
		{"Search", testSearch}, {"Zoom", testZoom}, {"Table", testTable}, {"Sandwich", testSandwich}, {"Timeline", testTimeline},
		{"Heatmap", testHeatmap}, {"Diff", testDiff}, {"Lists", testLists}, {"Filters", testFilters}, {"Export", testExport},
		{"Dark", testDark}, {"Phone", testPhone}, {"Magnified", testMagnified}, {"Still", testStill}, {"First", testFirst}, {"Names", testNames}, {"Keys", testKeys},
	} {
		t.Run(sub.name, func(t *testing.T) { sub.test(t, browser, w) })
	}
}

// q makes the query of a state.
func q(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

// show opens the page with a state of the past of turns, and waits until it is drawn.
func show(t *testing.T, browser context.Context, w *world, look window, state url.Values) *tab {
	t.Helper()
	if !state.Has("service") {
		state.Set("service", w.service)
	}
	b := open(t, browser, w.at(state), look)
	b.wait("a total", `/total|filtered/.test(document.querySelector(".facts").textContent)`)
	b.settle()
	return b
}
