package page_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/google/pprof/profile"
)

// export takes an entry of the menu and returns the file.
func (b *tab) export(label string) string {
	b.t.Helper()
	dir := b.t.TempDir()
	c := chromedp.FromContext(b.ctx)
	if _, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: c.BrowserContextID, DownloadPath: dir,
	}); err != nil {
		b.t.Fatal(err)
	}
	b.press("e")
	b.wait("the menu", `document.querySelector('.menu')`)
	b.click(".menu button", label)
	var file string
	poll(b.t, "the file "+label, func() bool {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 || strings.HasSuffix(entries[0].Name(), ".crdownload") {
			return false
		}
		info, err := entries[0].Info()
		file = filepath.Join(dir, entries[0].Name())
		return err == nil && info.Size() > 0
	})
	return file
}

// near says whether two values differ by less than samples are worth.
func near(a, b float64) bool { return math.Abs(a-b) <= 0.001*math.Max(a, b) }

// testExport: each format is read by a reader of its own, and has what the page shows.
func testExport(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q())
	b.mustFind("compress_body")
	total := b.total()
	t.Run("pprof", func(t *testing.T) {
		data, err := os.ReadFile(b.export("pprof"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := profile.ParseData(data)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, s := range p.Sample {
			sum += float64(s.Value[len(s.Value)-1])
		}
		if !near(sum, total) || !slices.ContainsFunc(p.Function, func(f *profile.Function) bool { return f.Name == "compress_body" }) {
			t.Errorf("%v of %v ns, %d functions", sum, total, len(p.Function))
		}
	})
	t.Run("speedscope", func(t *testing.T) {
		data, err := os.ReadFile(b.export("speedscope"))
		if err != nil {
			t.Fatal(err)
		}
		var s struct {
			Schema string `json:"$schema"`
			Shared struct {
				Frames []struct{ Name string }
			}
			Profiles []struct {
				Type, Unit           string
				StartValue, EndValue float64
				Samples              [][]int
				Weights              []float64
			}
		}
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		if s.Schema != "https://www.speedscope.app/file-format-schema.json" {
			t.Errorf("schema %q", s.Schema)
		}
		for _, p := range s.Profiles {
			sum := 0.0
			for i, stack := range p.Samples {
				sum += p.Weights[i]
				for _, f := range stack {
					if f < 0 || f >= len(s.Shared.Frames) {
						t.Fatalf("frame %d of %d", f, len(s.Shared.Frames))
					}
				}
			}
			if p.Type != "sampled" || len(p.Samples) != len(p.Weights) || p.Unit == "nanoseconds" && !near(sum, total) {
				t.Errorf("%s in %s: %d samples, %d weights, %v of %v", p.Type, p.Unit, len(p.Samples), len(p.Weights), sum, total)
			}
		}
	})
	t.Run("folded", func(t *testing.T) {
		data, err := os.ReadFile(b.export("folded"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for line := range strings.Lines(string(data)) {
			stack, count, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			for ok && strings.Contains(count, " ") { // names have spaces, the count is behind the last
				var more string
				more, count, ok = strings.Cut(count, " ")
				stack += " " + more
			}
			if _, err := strconv.ParseFloat(count, 64); err != nil {
				t.Fatalf("line %q: %v", line, err)
			}
			found = found || strings.Contains(stack, ";serve;compress_body")
		}
		if !found {
			t.Errorf("no stack of compress_body in\n%s", data)
		}
	})
	t.Run("SVG", func(t *testing.T) {
		f, err := os.Open(b.export("SVG"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		d, elements, found := xml.NewDecoder(f), 0, false
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			switch e := token.(type) {
			case xml.StartElement:
				elements++
				if e.Name.Local == "script" {
					t.Error("a picture with a script")
				}
			case xml.CharData:
				found = found || strings.Contains(string(e), "compress_body")
			}
		}
		if elements < 10 || !found {
			t.Errorf("%d elements, compress_body: %v", elements, found)
		}
	})
	t.Run("HTML", func(t *testing.T) {
		again := open(t, browser, "file://"+b.export("HTML"), window{})
		again.mustFind("compress_body")
		if got := again.fact("total"); got != b.fact("total") {
			t.Errorf("total %s in the file, %s in the page", got, b.fact("total"))
		}
		again.press("4")
		again.wait("why there is no timeline", `document.querySelector('.note').textContent.includes('no timeline')`)
		// The page as a file makes files too.
		third := open(t, browser, "file://"+again.export("HTML"), window{})
		third.mustFind("compress_body")
	})
}
