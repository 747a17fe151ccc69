package page_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// A point is a place in the window, in pixels of CSS.
type point struct{ X, Y float64 }

// find looks for a frame by pointing at the rows of the chart that is in sight, once nothing moves, and reading what the
// page says of each place. ok is false if no frame's line begins with the name.
func (b *tab) find(name string) (at point, line string, ok bool) {
	b.t.Helper()
	type answer struct {
		X, Y float64
		Line string
		Busy bool
	}
	expression := fmt.Sprintf(`(() => {
  if (underWay()) return {Busy: true};
  const canvas = [...document.querySelectorAll('.canvasHost canvas')].find((c) => c.getBoundingClientRect().height > 0);
  if (!canvas) return {};
  const r = canvas.getBoundingClientRect(), point = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type, {clientX: x, clientY: y, pointerType: 'mouse'}));
  let best = {}, width = 0;
  // From the root outwards. Of rows that have it the first will do: all of them together would take seconds.
  const step = location.hash.includes('icicle=1') ? 12 : -12;
  for (let y = step > 0 ? r.top + 5 : r.bottom - 5; y > r.top && y < r.bottom && !(width > 0 && Math.abs(y - best.Y) > 12); y += step) {
    let run = 0, from = 0, line = '';
    for (let x = r.left + 1; x < r.right; x += 6) {
      point('pointermove', x, y);
      const text = document.querySelector('.hover').textContent;
      if (!text.startsWith(%s + '  ')) { run = 0; continue; }
      if (run === 0) from = x;
      run += 6;
      if (run > width) { width = run; best = {X: (from + x) / 2, Y: y, Line: text}; }
    }
  }
  point('pointerleave', 0, 0);
  return best;
})()`, quote(name))
	for {
		b.settle() // which gives up at some time
		if found := eval[answer](b, expression); !found.Busy {
			return point{found.X, found.Y}, found.Line, found.Line != ""
		}
	}
}

// mustFind waits until the chart has a frame.
func (b *tab) mustFind(name string) (point, string) {
	b.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if at, line, ok := b.find(name); ok {
			return at, line
		}
		time.Sleep(200 * time.Millisecond)
	}
	b.t.Fatalf("the chart has no frame %s\n%s", name, b.says())
	return point{}, ""
}

// place returns the middle of the first visible element of a selector.
func (b *tab) place(selector string) (middle point, w, h float64) {
	b.t.Helper()
	r := eval[[]float64](b, fmt.Sprintf(`(() => { const e = [...document.querySelectorAll(%s)].find((e) => e.getBoundingClientRect().width > 0), r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2, r.width, r.height]; })()`, quote(selector)))
	return point{r[0], r[1]}, r[2], r[3]
}

// drag moves the pressed pointer.
func (b *tab) drag(from, to point) {
	b.t.Helper()
	mouse := func(kind input.DispatchMouseEventType, p point) {
		b.t.Helper()
		call(b, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: kind, X: p.X, Y: p.Y, Button: input.MouseButtonLeft, Buttons: 1, ClickCount: 1})
	}
	mouse(input.DispatchMouseEventTypeMousePressed, from)
	mouse(input.DispatchMouseEventTypeMouseMoved, point{(from.X + to.X) / 2, (from.Y + to.Y) / 2})
	mouse(input.DispatchMouseEventTypeMouseMoved, to)
	mouse(input.DispatchMouseEventTypeMouseReleased, to)
}

// rest moves the pointer.
func (b *tab) rest(at point) {
	b.t.Helper()
	call(b, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseMoved, X: at.X, Y: at.Y})
}

// tap is a finger's.
func (b *tab) tap(at point) {
	b.t.Helper()
	b.run(chromedp.TapXY(at.X, at.Y))
}

// clickAt presses at a place.
func (b *tab) clickAt(at point) {
	b.t.Helper()
	b.run(chromedp.MouseClickXY(at.X, at.Y))
}

// fact returns what the header says under a label, and title what it says of that to who points at it.
func (b *tab) fact(label string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`[...document.querySelectorAll('.fact')].find((f) => !f.hidden && f.firstChild.data === %s)?.querySelector('b').textContent ?? ''`, quote(label)))
}

func (b *tab) title(label string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`[...document.querySelectorAll('.fact')].find((f) => !f.hidden && f.firstChild.data === %s)?.title ?? ''`, quote(label)))
}

// total returns the sum of what is shown, in the unit that the page says behind it.
func (b *tab) total() float64 {
	b.t.Helper()
	words := strings.Fields(b.title("total") + b.title("filtered")) // it is one or the other
	if len(words) < 2 {
		b.t.Fatalf("no total\n%s", b.says())
	}
	v, err := strconv.ParseFloat(words[len(words)-2], 64)
	if err != nil {
		b.t.Fatalf("no total in %q: %v", words, err)
	}
	return v
}
