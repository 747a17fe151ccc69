package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// startBrowser runs a Chromium until the end of the test.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("needs chromium")
	}
	o := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.Flag("headless", "new"), chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		// Nothing but the loopback exists: what asks for more fails, and is told by the page's problems.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("enable-precise-memory-info", true), chromedp.Flag("force-color-profile", "srgb"))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), o...) // not the test's, which ends before what is cleaned up
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	return ctx
}

// A tab is one page in a browser without a past.
type tab struct {
	t      testing.TB
	ctx    context.Context
	origin string

	mu       sync.Mutex
	problems []string
	lenient  bool // failed requests are no problem: the daemon is away
}

// A window is what a tab looks like.
type window struct {
	width, height int64
	scale         float64 // device pixels for each of CSS
	phone         bool
	media         map[string]string // such as prefers-color-scheme
}

// open shows an address. At the end of the test the tab must have had no problem.
func open(t testing.TB, browser context.Context, address string, w window) *tab {
	t.Helper()
	b := &tab{t: t, origin: origin(address)}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	ctx, stop := context.WithTimeout(ctx, 8*time.Minute)
	b.ctx = ctx
	t.Cleanup(func() {
		b.finish()
		stop()
		cancel()
	})
	if w.width == 0 {
		w.width, w.height = 1280, 800
	}
	if w.scale == 0 {
		w.scale = 1
	}
	var media []*emulation.MediaFeature
	for name, value := range w.media {
		media = append(media, &emulation.MediaFeature{Name: name, Value: value})
	}
	call(b, network.Enable, network.EnableParams{})
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: w.width, Height: w.height, DeviceScaleFactor: w.scale, Mobile: w.phone,
	})
	call(b, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: w.phone})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: media})
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watch})
	b.run(chromedp.Navigate(address))
	return b
}

// call runs a command of the browser's protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	r, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatalf("%s: %v", command.Method, err)
	}
	return r
}

func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "file" {
		return "file://"
	}
	return u.Scheme + "://" + u.Host
}

// hear collects what must not be.
func (b *tab) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			var words []string
			for _, a := range e.Args {
				words = append(words, string(a.Value)+a.Description)
			}
			b.problem("console: %s", strings.Join(words, " "))
		}
	case *runtime.EventExceptionThrown:
		b.problem("exception: %v", e.ExceptionDetails)
	case *cdplog.EventEntryAdded:
		b.mu.Lock()
		lenient := b.lenient && e.Entry.Source == cdplog.EntrySourceNetwork
		b.mu.Unlock()
		if e.Entry.Level == cdplog.EntryLevelError && !lenient {
			b.problem("log: %s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		address := e.Request.URL
		for _, own := range []string{b.origin + "/", "data:", "blob:" + b.origin, "blob:null/", "about:blank"} {
			if strings.HasPrefix(address, own) {
				return
			}
		}
		b.problem("request to %s", address)
	case *page.EventJavascriptDialogOpening:
		b.problem("dialogue: %s", e.Message)
	}
}

func (b *tab) problem(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, fmt.Sprintf(format, args...))
}

// daemonMayBeAway says whether failing requests are expected.
func (b *tab) daemonMayBeAway(may bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lenient = may
}

func (b *tab) finish() {
	b.t.Helper()
	if b.t.Failed() {
		b.shot(filepath.Join(b.t.ArtifactDir(), "failed.png"))
	}
	violations, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`self.violations ?? []`))
	if err != nil {
		b.t.Errorf("the page cannot be asked any more: %v", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range violations {
		b.problems = append(b.problems, "policy: "+v)
	}
	for _, p := range b.problems {
		b.t.Errorf("in the browser: %s", p)
	}
}

// of makes a part of the test the one that fails.
func (b *tab) of(t *testing.T) *tab {
	whole := b.t
	b.t = t
	t.Cleanup(func() { b.t = whole })
	return b
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("the browser: %v", err)
	}
}

// eval returns the value of an expression.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// press sends keys to what has the focus. What a key would write is part of its going down, as with a real one, so that
// whoever takes the key for something else keeps it from being written.
func (b *tab) press(keys ...string) {
	b.t.Helper()
	for _, name := range keys {
		k, ok := kb.Keys[[]rune(name)[0]]
		if !ok {
			b.t.Fatalf("no key for %q", name)
		}
		down := input.DispatchKeyEventParams{
			Type: input.DispatchKeyEventTypeKeyDown, Key: k.Key, Code: k.Code, Text: k.Text, UnmodifiedText: k.Unmodified,
			WindowsVirtualKeyCode: k.Windows, NativeVirtualKeyCode: k.Native,
		}
		if k.Shift {
			down.Modifiers = 8
		}
		up := down
		up.Type, up.Text, up.UnmodifiedText = input.DispatchKeyEventTypeKeyUp, "", ""
		call(b, input.DispatchKeyEvent, down)
		call(b, input.DispatchKeyEvent, up)
	}
}

// write replaces the text of a field, as somebody does who selects it all and types.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector(%s); e.focus(); e.select(); return true; })()`, quote(selector)))
	call(b, input.InsertText, input.InsertTextParams{Text: text})
}

// choose takes a choice of a selection by its label.
func (b *tab) choose(label, choice string) {
	b.t.Helper()
	if !eval[bool](b, fmt.Sprintf(`(() => {
  const e = [...document.querySelectorAll('select')].find((s) => s.getAttribute('aria-label') === %s && s.getBoundingClientRect().width > 0);
  const o = e && [...e.options].find((o) => o.textContent === %s);
  if (!o) return false;
  e.focus();
  e.value = o.value;
  e.dispatchEvent(new Event('input', {bubbles: true}));
  e.dispatchEvent(new Event('change', {bubbles: true}));
  e.blur();
  return true;
})()`, quote(label), quote(choice))) {
		b.t.Fatalf("no choice %q for %q", choice, label)
	}
}

// click presses the first visible element of a selector whose text contains some, as soon as it is there, stays where it
// is and is covered by nothing.
func (b *tab) click(selector, text string) {
	b.t.Helper()
	b.clickAt(b.still(selector, text))
}

// still waits for an element and returns its middle.
func (b *tab) still(selector, text string) point {
	b.t.Helper()
	look := fmt.Sprintf(`(() => {
  if (underWay()) return [];
  for (const e of document.querySelectorAll(%s)) {
    if (!e.textContent.includes(%s)) continue;
    e.scrollIntoView({block: 'nearest', inline: 'nearest'});
    const r = e.getBoundingClientRect(), x = r.x + r.width / 2, y = r.y + r.height / 2, top = document.elementFromPoint(x, y);
    if (r.width > 0 && r.height > 0 && top && (e.contains(top) || top.contains(e))) return [x, y];
  }
  return [];
})()`, quote(selector), quote(text))
	var last []float64
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(glance) {
		at := eval[[]float64](b, look)
		if len(at) == 2 && slices.Equal(at, last) {
			return point{at[0], at[1]}
		}
		last = at
	}
	b.t.Fatalf("there is no %s with %q that stays where it is; under way: %q\n%s", selector, text, eval[string](b, `underWay()`), b.says())
	return point{}
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`document.querySelector(%s)?.textContent ?? ''`, quote(selector)))
}

// state returns what the address says.
func (b *tab) state() url.Values {
	b.t.Helper()
	v, err := url.ParseQuery(strings.TrimPrefix(eval[string](b, `location.hash`), "#"))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// shot writes a picture.
func (b *tab) shot(path string) {
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Errorf("screenshot: %v", err)
		return
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		b.t.Error(err)
	}
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings can always be written
	}
	return string(b)
}
