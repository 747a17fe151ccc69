package page_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/pprof/profile"
)

// view runs `ebpfprof view` on a file until the end of the test, and returns its address.
func view(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(mustProgram(t), append([]string{"view", "--no-open"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if at := strings.Index(lines.Text(), "http://"); at >= 0 {
			return strings.Fields(lines.Text()[at:])[0]
		}
	}
	t.Fatalf("%v tells no address", cmd)
	return ""
}

// hostile returns names that a process may choose to harm who looks at it.
func hostile() []string {
	return []string{
		`<script>self.harmed = 1</script>`, `<img src=x onerror="self.harmed = 1">`, `</script><script>self.harmed = 1//`,
		`"><svg onload=self.harmed=1>`, `javascript:self.harmed=1`, `{{constructor.constructor('self.harmed=1')()}}`, `__proto__`,
		strings.Repeat("W", 64<<10), strings.Repeat("\u0301", 64<<10), "line\nbreak\ttab\rreturn\x1b[31m\x00nul", "\u202egnp.exe\u2066", "שלום עולם", "مرحبا\u200f",
		"\ufeff\u200b", "", " ", "%s%n", "a;b;c", strings.Repeat("\U0001f525", 3000),
	}
}

// hostileProfile has each of the names as function, file, module, thread and service.
func hostileProfile(t *testing.T) string {
	t.Helper()
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 1e7,
	}
	for i, name := range hostile() {
		id := uint64(i + 1)
		m := &profile.Mapping{ID: id, File: "/" + name, Start: id << 20, Limit: (id + 1) << 20, HasFunctions: true}
		f := &profile.Function{ID: id, Name: name, SystemName: name, Filename: name}
		l := &profile.Location{ID: id, Mapping: m, Address: m.Start, Line: []profile.Line{{Function: f, Line: int64(i)}}}
		p.Mapping, p.Function, p.Location = append(p.Mapping, m), append(p.Function, f), append(p.Location, l)
		p.Sample = append(p.Sample, &profile.Sample{
			Location: []*profile.Location{l, p.Location[0]}, Value: []int64{1, 1e7},
			Label:    map[string][]string{"comm": {name}, "service": {name}, "container": {name}, "k" + name: {name}},
			NumLabel: map[string][]int64{"pid": {int64(i + 1)}, "tid": {int64(i + 1)}},
		})
	}
	path := filepath.Join(t.TempDir(), "<b>hostile.pb.gz")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := p.Write(out); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHostile: names are text wherever they stand, and no view is wider or a row higher than with others.
func TestHostile(t *testing.T) {
	browser, path := startBrowser(t), hostileProfile(t)
	html := filepath.Join(t.TempDir(), "hostile.html")
	if out, err := exec.Command(mustProgram(t), "convert", path, html).CombinedOutput(); err != nil {
		t.Fatalf("convert: %v\n%s", err, out)
	}
	for name, address := range map[string]string{"View": view(t, path), "File": "file://" + html} {
		t.Run(name, func(t *testing.T) {
			b := open(t, browser, address, window{})
			b.wait("a total", `document.querySelector('.facts').textContent.includes('total')`)
			for v := range 8 {
				b.press(fmt.Sprint(v + 1))
				b.wait("the view", fmt.Sprintf(`document.querySelector('[role=tab][aria-selected=true]').title.endsWith('(%d)')`, v+1))
				if v == 1 || v == 6 || v == 7 {
					b.wait("rows", `document.querySelectorAll('.row').length > 5`)
				}
				b.calm()
			}
			b.press("7")
			for _, list := range []string{"Threads", "Processes", "Modules", "Labels"} {
				b.click("[aria-label=List] button", list)
				b.wait(list, `document.querySelectorAll('.row').length > 5`)
				b.calm()
			}
			b.press("2")
			b.wait("rows", `document.querySelectorAll('.row').length > 5`)
			for i := range 8 {
				eval[bool](b, fmt.Sprintf(`(document.querySelectorAll('.row .fn')[%d].click(), true)`, i))
				b.wait("details", `document.querySelector('.details').getBoundingClientRect().width > 0`)
				b.calm()
			}
		})
	}
}

// calm fails if a name did something, became an element, or broke the layout.
func (b *tab) calm() {
	b.t.Helper()
	b.settle()
	b.fits()
	for _, line := range eval[[]string](b, `(() => {
  const out = [];
  if (self.harmed) out.push('a name ran as a script');
  for (const e of document.querySelectorAll('img, iframe, object, embed, #app script, #app svg')) out.push('an element: ' + e.outerHTML.slice(0, 80));
  const heights = new Set([...document.querySelectorAll('.row')].map((e) => e.getBoundingClientRect().height));
  if (heights.size > 1) out.push('rows of heights ' + [...heights]);
  for (const e of document.querySelectorAll('.top .bar, .work .bar, .facts, .foot')) if (e.getBoundingClientRect().height > 120) out.push(e.className + ' is ' + e.getBoundingClientRect().height + ' high');
  for (const e of document.querySelectorAll('.row > *')) if (e.scrollHeight > e.parentElement.clientHeight + 40) out.push('a cell of ' + e.scrollHeight);
  return out;
})()`) {
		b.t.Errorf("%s: %s", b.text("[role=tab][aria-selected=true]"), line)
	}
}
