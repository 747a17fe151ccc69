package page_test

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// contrast fails for text that stands out less than WCAG 2.2 asks for in 1.4.3: 4.5 to 1 against what is behind it.
func contrast(t *testing.T, b *tab) {
	t.Helper()
	for _, line := range eval[[]string](b, `(() => {
  const rgb = (s) => { const m = s.match(/[0-9.]+/g).map(Number); return /^color\(srgb/.test(s) ? [m[0] * 255, m[1] * 255, m[2] * 255, m[3] ?? 1] : [m[0], m[1], m[2], m[3] ?? 1]; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const light = (c) => [0, 1, 2].map((i) => c[i] / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => { const layers = []; for (; e; e = e.parentElement) layers.push(rgb(getComputedStyle(e).backgroundColor)); return layers.reverse().reduce((under, c) => over(c, under), [255, 255, 255, 1]); };
  const out = [];
  for (const e of document.querySelectorAll('body *')) {
    const r = e.getBoundingClientRect();
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || r.width < 2 || r.height < 2 || e.matches(':disabled, option, .sr, .sr *')) continue;
    const s = getComputedStyle(e);
    if (s.visibility !== 'visible') continue;
    const g = ground(e), c = over(rgb(s.color), g), a = light(c), b = light(g), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) out.push(e.tagName + '.' + e.className + ' "' + e.textContent.slice(0, 30) + '" ' + ratio.toFixed(2) + ' in ' + document.documentElement.dataset.theme);
  }
  return out;
})()`) {
		t.Errorf("too little contrast: %s", line)
	}
}

// testNames: every control has a name (choices are none), every role what it needs, no id is there twice.
func testNames(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q())
	b.mustFind("serve")
	for _, view := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
		b.press(view)
		b.wait("view "+view, `document.querySelector('[role=tab][aria-selected=true]').title.endsWith('(`+view+`)')`)
		b.settle()
		for _, line := range eval[[]string](b, `(() => {
  const out = [], seen = new Set();
  const shown = (e) => e.getBoundingClientRect().width > 0;
  for (const e of document.querySelectorAll('[id]')) { if (seen.has(e.id)) out.push('twice: #' + e.id); seen.add(e.id); }
  for (const e of document.querySelectorAll('button, a[href], select, input, canvas[tabindex], [role=grid], [role=slider], [role=application]')) {
    if (shown(e) && !(e.getAttribute('aria-label') || (e.tagName !== 'SELECT' && e.textContent.trim()) || e.title || e.labels?.length)) out.push('no name: ' + e.outerHTML.slice(0, 100));
  }
  for (const e of document.querySelectorAll('[role=tab]')) if (!document.getElementById(e.getAttribute('aria-controls'))) out.push('controls nothing: ' + e.id);
  for (const e of document.querySelectorAll('[role=row]')) if (shown(e) && !e.closest('[role=grid], [role=table]')) out.push('a row in no grid');
  for (const e of document.querySelectorAll('[role=row] > *')) if (!/cell|columnheader/.test(e.getAttribute('role') ?? '')) out.push('no cell: ' + e.outerHTML.slice(0, 100));
  if (!document.documentElement.lang || !document.title || !document.querySelector('main')) out.push('no language, title or main');
  return out;
})()`) {
			t.Errorf("view %s: %s", view, line)
		}
		contrast(t, b)
	}
}

// testKeys: who has no pointer comes to everything, sees where the focus is, and can leave again.
func testKeys(t *testing.T, browser context.Context, w *world) {
	b := show(t, browser, w, window{}, q())
	b.mustFind("serve")
	eval[bool](b, `(document.activeElement.blur(), true)`)
	var stops []string
	for range 60 {
		b.press(kb.Tab)
		at := eval[[]string](b, `(() => { const e = document.activeElement, s = getComputedStyle(e); return [e.tagName + '#' + e.id + '.' + e.className + ' ' + (e.getAttribute('aria-label') ?? e.textContent).slice(0, 20), e === document.body || (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2) || s.boxShadow !== 'none' ? '' : 'unseen']; })()`)
		if strings.HasPrefix(at[0], "BODY") {
			break
		}
		if at[1] != "" {
			t.Errorf("the focus cannot be seen at %s", at[0])
		}
		stops = append(stops, at[0])
	}
	for _, want := range []string{"Kind of event", "Service", "Time", "Export", "Search", "Group by", "Flame graph"} {
		if !strings.Contains(strings.Join(stops, "\n"), want) {
			t.Errorf("Tab does not come to %s:\n%s", want, strings.Join(stops, "\n"))
		}
	}
	b.press("?")
	b.wait("help", `document.querySelector('dialog[open]').textContent.includes('from frame to frame')`)
	contrast(t, b)
	b.press(kb.Escape)
	b.wait("closed", `!document.querySelector('dialog')`)
	eval[bool](b, `(document.querySelector('.search input').blur(), document.querySelector('.canvasHost canvas').focus(), true)`)
	b.press("e")
	b.wait("a menu with the focus in it", `document.activeElement.closest('.menu')`)
	b.press(kb.Escape)
	b.wait("the focus is back", `document.activeElement.matches('.canvasHost canvas')`)
}
