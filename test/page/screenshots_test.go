package page_test

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestScreenshots takes the pictures of docs/page.md, by the steps that it tells, where EBPFPROF_SCREENSHOTS names a
// directory for them. scripts/screenshots.sh does.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("EBPFPROF_SCREENSHOTS")
	if dir == "" {
		t.Skip("EBPFPROF_SCREENSHOTS names no directory")
	}
	browser, w := startBrowser(t), beginAs(t, "shop")
	look := window{width: 1200, height: 660}
	dark := window{width: 1200, height: 660, media: map[string]string{"prefers-color-scheme": "dark"}}
	take := func(name string, look window, state url.Values, ready func(*tab)) {
		t.Run(name, func(t *testing.T) {
			b := show(t, browser, w, look, state)
			ready(b)
			time.Sleep(400 * time.Millisecond) // the end of an animation
			b.small(filepath.Join(dir, name+".png"))
		})
	}
	live := func(pairs ...string) url.Values { return q(append(pairs, "from", "", "to", "", "service", "")...) }
	drawn := func(name string) func(*tab) { return func(b *tab) { b.mustFind(name) } }
	take("page", look, live(), drawn("serve"))
	take("dark", dark, q("search", "render"), drawn("serve"))
	take("table", look, q("view", "table"), func(b *tab) { b.wait("rows", `document.querySelectorAll('.row').length > 3`) })
	take("sandwich", look, q("view", "sandwich", "sandwich", ""), drawn("serve"))
	take("timeline", look, q("view", "timeline"), func(b *tab) {
		b.wait("lanes", `document.querySelector('.lane small').textContent.startsWith('most ')`)
		b.mustFind("serve")
	})
	take("heatmap", look, q("view", "heatmap", "from", "", "to", "", "seconds", "15"), func(b *tab) {
		b.wait("live", `document.querySelector('.facts').textContent.includes('live')`)
		b.mustFind("serve")
	})
	take("diff", look, q("view", "diff", "baseFrom", unix(w.before[0]), "baseTo", unix(w.before[1])), drawn("compress_body"))
	take("services", look, live("view", "services"), func(b *tab) {
		b.wait("rows", `[...document.querySelectorAll('.row')].some((r) => /compress_body|render_template/.test(r.textContent))`)
	})
	take("phone", window{width: 360, height: 740, scale: 1.5, phone: true}, q(), drawn("serve"))
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
