package page_test

import (
	_ "embed"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// patience is far more than anything takes that a test waits for, on a machine that does much else too.
const patience = 60 * time.Second

// glance is between two looks at the page.
const glance = 20 * time.Millisecond

// watch counts in each page what it has under way, see there.
//
//go:embed testdata/watch.js
var watch string

// settle waits until the page has nothing under way: then it shows all that was asked of it, nothing moves, and what is
// seen at a place is still there when the place is pressed. A page that is live settles between two seconds.
func (b *tab) settle() {
	b.t.Helper()
	last := ""
	for end := time.Now().Add(patience); ; time.Sleep(glance) {
		if last = eval[string](b, `underWay()`); last == "" {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("not in %s: the page at rest; under way are %s\n%s", patience, last, b.says())
		}
	}
}

// wait waits until an expression is true. It may throw until then.
func (b *tab) wait(what, expression string) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(glance) {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`(() => { try { return !!(`+expression+`); } catch { return false; } })()`))
		if err != nil {
			b.t.Fatalf("%s: %v", what, err)
		}
		if ok {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("not in %s: %s\n%s", patience, what, b.says())
		}
	}
}

// poll waits until something is so.
func poll(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(glance) {
		if time.Now().After(end) {
			t.Fatalf("not in %s: %s", patience, what)
		}
	}
}

// poll is the other poll, and tells what the page says if it fails.
func (b *tab) poll(what string, ok func() bool) {
	b.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(glance) {
		if time.Now().After(end) {
			b.t.Fatalf("not in %s: %s\n%s", patience, what, b.says())
		}
	}
}

// says returns what a failure tells of the page.
func (b *tab) says() string {
	b.t.Helper()
	return fmt.Sprintf("the page says: %s\n%s", eval[string](b, `document.body.innerText.slice(0, 1500)`), eval[string](b, `location.href`))
}

// pause stops the live page, so that what is found stays where it is.
func (b *tab) pause() {
	b.t.Helper()
	b.press(" ")
	b.wait("paused", `document.querySelector('.facts').textContent.includes('paused, ')`)
	b.settle()
}
