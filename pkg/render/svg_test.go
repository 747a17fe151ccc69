package render

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// elements parses an SVG strictly and counts its elements.
func elements(t *testing.T, svg []byte) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return counts
		}
		if err != nil {
			t.Fatalf("not well-formed XML: %v", err)
		}
		if s, ok := token.(xml.StartElement); ok {
			counts[s.Name.Local]++
		}
	}
}

func TestSVGIsWellFormed(t *testing.T) {
	svg := render(t, "a.svg", sample(), Options{Title: hostile})
	if n := elements(t, svg); n["script"] != 2 || n["svg"] != 1 || n["text"] < 15 {
		t.Errorf("elements %v; want two scripts, as names must not add one", n)
	}
	for _, external := range regexp.MustCompile(`(?i)(href|src|url|@import)\s*[=(]`).FindAllString(string(svg), -1) {
		t.Errorf("refers to something outside: %s", external)
	}
}

// TestSVGAddsUp checks the layout: children lie within their parents, and what was
// left out is shown as such.
func TestSVGAddsUp(t *testing.T) {
	tree := prof.NewTree(wide(100_000), prof.TreeOptions{})
	l := newLayout(tree)
	if l.elided == 0 || int(l.elided)+len(l.frames) < len(tree.Nodes) {
		t.Errorf("%d frames kept and %d left out of %d", len(l.frames), l.elided, len(tree.Nodes))
	}
	stands := 0
	for i, f := range l.frames {
		if l.kinds[f.fn] == kindElided {
			stands++
		}
		sum := f.self
		for j := i + 1; j <= i+int(f.descendants); {
			c := l.frames[j]
			if c.depth != f.depth+1 || c.start < f.start || c.start+c.total > f.start+f.total {
				t.Fatalf("frame %d (%+v) is not within frame %d (%+v)", j, c, i, f)
			}
			sum += c.total
			j += int(c.descendants) + 1
		}
		if rest := f.total - sum; l.kinds[f.fn] != kindElided && (rest < 0 || rest > tree.Nodes[0].Total/12000) {
			t.Fatalf("frame %d (%+v) has %d of %d accounted for", i, f, sum, f.total)
		}
	}
	if stands == 0 {
		t.Error("no frame stands for those left out")
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		name  string
		width float64
		want  string
	}{
		{"main", 100, "main"},
		{"main", 20, ""},
		{"github.com/acme/store.(*Engine).Get", 150, "store.(*Engine).Get"},
		{"github.com/acme/store.(*Engine).Get", 100, "store.(*Eng…"},
		{"operator/(a/b)", 60, "operat…"},
		{"λλλλλλλλ", 40, "λλλ…"},
	} {
		if got := fit(c.name, c.width); got != c.want {
			t.Errorf("fit(%q, %g) = %q; want %q", c.name, c.width, got, c.want)
		}
	}
}

func TestOKLCH(t *testing.T) {
	for want, c := range map[string][3]float64{ // from the definition's reference implementation
		"#ffffff": {1, 0, 0}, "#000000": {0, 0, 0}, "#ff0000": {0.62796, 0.25768, 29.234}, "#0000ff": {0.45201, 0.31321, 264.052},
	} {
		if got := oklch(c[0], c[1], c[2]); got != want {
			t.Errorf("oklch(%v) = %s; want %s", c, got, want)
		}
	}
}

// chromium runs a headless browser on a file and returns the resulting document.
func chromium(t *testing.T, file, address string, args ...string) string {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: apt-get install chromium")
	}
	flags := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--user-data-dir=" + t.TempDir(), "--window-size=1200,800", "--virtual-time-budget=3000",
	}
	if len(args) == 0 {
		args = []string{"--dump-dom"}
	}
	cmd := exec.Command(browser, append(append(flags, args...), "file://"+file+address)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, stderr.String())
	}
	return string(out)
}

// drive is appended to a graph: it acts as a user would and notes what is seen.
const drive = `<script><![CDATA[
(function () {
  var svg = document.documentElement, seen = [];
  function note(what) { seen.push(what + '=' + (svg.querySelector('.matched').textContent || '-') + '|' + location.hash + '|' + svg.querySelector('.bar').textContent); }
  function frame(label) { return [...svg.querySelectorAll('.frames rect[aria-label]')].find(r => r.getAttribute('aria-label').startsWith(label)); }
  function key(k) { window.dispatchEvent(new KeyboardEvent('keydown', { key: k })); }
  frame('main.(*Server).serve').dispatchEvent(new PointerEvent('pointerover', { bubbles: true })); note('hover');
  frame('main.(*Server).serve').dispatchEvent(new MouseEvent('click', { bubbles: true })); note('zoom');
  key('Backspace'); note('out');
  key('Escape'); note('reset');
  key('/'); seen.push('focus=' + document.activeElement.tagName);
  var box = svg.querySelector('input'); box.value = 'read|INDEX'; box.dispatchEvent(new Event('input'));
  setTimeout(function () {
    note('search'); seen.push('hits=' + svg.querySelectorAll('.frames rect.hit').length);
    key('Escape'); note('cleared');
    key('ArrowDown'); key('ArrowDown'); key('ArrowRight'); note('walk');
    key('Enter'); note('enter');
    key('i'); note('flame');
    box.value = '('; box.dispatchEvent(new Event('input'));
    setTimeout(function () { note('bad'); svg.querySelector('desc').textContent = seen.join('\n'); }, 300);
  }, 300);
})();
]]></script></svg>`

// TestSVGInBrowser uses the graph as a reader does.
func TestSVGInBrowser(t *testing.T) {
	svg := string(render(t, "a.svg", sample(), Options{}))
	file := filepath.Join(t.TempDir(), "a.svg")
	if err := os.WriteFile(file, []byte(strings.TrimSuffix(svg, "</svg>\n")+drive), 0o644); err != nil {
		t.Fatal(err)
	}
	dom := chromium(t, file, "")
	_, seen, _ := strings.Cut(dom, "<desc>")
	seen, _, _ = strings.Cut(seen, "</desc>")
	for _, want := range []string{
		"hover=-||main.(*Server).serve  server · Go · total 400 ms = 40.0% of all 1.00 s · self 0 ns = 0% of all",
		"zoom=-|#z=",
		"server › main.main › main.(*Server).serve  400 ms = 40.0% of all 1.00 s",
		"server › main.main  620 ms = 62.0% of all 1.00 s",
		"reset=-||Click a frame to zoom",
		"focus=input",
		"search=matched 830 ms = 83.0% of all|#s=read%7CINDEX|",
		"hits=6",
		"cleared=-||",
		"walk=-||worker;1",
		"all › worker;1  370 ms = 37.0% of all 1.00 s",
		"&amp;v=flame|",
		"bad=matched 550 ms = 55.0% of all, 37.8% of the zoomed",
	} {
		if !strings.Contains(seen, want) {
			t.Errorf("no %q in what was seen:\n%s", want, seen)
		}
	}
	if strings.Contains(dom, "<script>alert") {
		t.Error("a function's name became markup")
	}
}

// TestSVGAddress opens a shared link.
func TestSVGAddress(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.svg")
	if err := os.WriteFile(file, render(t, "a.svg", sample(), Options{}), 0o644); err != nil {
		t.Fatal(err)
	}
	dom := chromium(t, file, "#s=vfs&z=2&v=flame")
	for _, want := range []string{"matched 200 ms = 20.0% of all, 32.3% of the zoomed", "<b>main.main</b>", "▲ flame"} {
		if !strings.Contains(dom, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if strings.Contains(dom, ">worker;1</text>") {
		t.Error("a frame outside the zoom is drawn")
	}
	shot := filepath.Join(t.TempDir(), "a.png")
	chromium(t, file, "", "--screenshot="+shot)
	if info, err := os.Stat(shot); err != nil || info.Size() < 10_000 {
		t.Errorf("screenshot: %v, %v", info, err)
	}
}
