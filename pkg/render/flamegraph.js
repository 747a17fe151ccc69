(function () {
'use strict';
var script = document.currentScript, svg = script && script.closest('svg');
if (!svg) return;
var data = JSON.parse(svg.querySelector('script.data').textContent);
var SVG = 'http://www.w3.org/2000/svg', HTML = 'http://www.w3.org/1999/xhtml';
var alone = document.documentElement === svg;
var layer = svg.querySelector('.frames'), head = svg.querySelector('.head'), foot = svg.querySelector('.foot');
var MIN = 0.6; // pixels; narrower frames are drawn only when zoomed into

// Frames in preorder, as columns.
var count = data.frames.length / 4;
var fn = new Int32Array(count), total = new Float64Array(count), self = new Float64Array(count);
var below = new Int32Array(count), start = new Float64Array(count);
var parent = new Int32Array(count), depth = new Int32Array(count);
(function () {
  var open = [], next = [];
  for (var n = 0; n < count; n++) {
    fn[n] = data.frames[4 * n];
    total[n] = data.frames[4 * n + 1];
    self[n] = data.frames[4 * n + 2];
    below[n] = data.frames[4 * n + 3];
    while (open.length && n > open[open.length - 1] + below[open[open.length - 1]]) { open.pop(); next.pop(); }
    depth[n] = open.length;
    parent[n] = open.length ? open[open.length - 1] : -1;
    start[n] = open.length ? next[next.length - 1] : 0;
    if (open.length) next[next.length - 1] += total[n];
    open.push(n);
    next.push(start[n]);
  }
  data.frames = null;
})();

var state = { zoom: 0, query: '', flame: false };
var hits = null;        // per function, whether the search matches it
var drawn = [];         // rect elements by frame, of those on screen
var picked = -1;        // frame under the pointer or chosen by key
var tooNarrow = 0;
var width = 0, charWidth = 7.23;

function el(ns, name, parent, attributes) {
  var e = document.createElementNS(ns, name);
  for (var k in attributes) e.setAttribute(k, attributes[k]);
  if (parent) parent.appendChild(e);
  return e;
}

// Numbers, as the Go side writes them.
function significant(x) {
  var a = Math.abs(x);
  return a >= 99.95 ? x.toFixed(0) : a >= 9.995 ? x.toFixed(1) : x.toFixed(2);
}
function quantity(v) {
  var scales = { nanoseconds: [['s', 1e9], ['ms', 1e6], ['µs', 1e3], ['ns', 1]],
    bytes: [['TiB', 1099511627776], ['GiB', 1073741824], ['MiB', 1048576], ['KiB', 1024], ['B', 1]] }[data.unit];
  if (!scales) return v.toLocaleString('en-US') + (data.unit === 'count' || !data.unit ? '' : ' ' + data.unit);
  for (var i = 0; i < scales.length - 1 && Math.abs(v) < scales[i][1]; i++);
  return (scales[i][1] === 1 ? v.toLocaleString('en-US') : significant(v / scales[i][1])) + ' ' + scales[i][0];
}
function percent(part, whole) {
  var x = whole ? 100 * part / whole : 0;
  return !x ? '0%' : Math.abs(x) < 0.01 ? '<0.01%' : (Math.abs(x) < 9.995 ? x.toFixed(2) : x.toFixed(1)) + '%';
}

function fit(name, w) {
  var n = Math.floor((w - 2 * data.padding) / charWidth);
  if (n < 3) return '';
  if (name.length <= n) return name;
  var i = name.search(/[([<]/), headEnd = i < 0 ? name.length : i;
  i = name.lastIndexOf('/', headEnd - 1);
  if (i > 0 && i < headEnd - 1) name = name.slice(i + 1);
  if (name.length <= n) return name;
  var chars = Array.from(name);
  return chars.length <= n ? name : chars.slice(0, n - 1).join('') + '…';
}

// The header's HTML parts.
var tools = el(HTML, 'div', el(SVG, 'foreignObject', head, { y: 10, height: 34 }), { 'class': 'ui' });
var bar = el(HTML, 'div', el(SVG, 'foreignObject', head, { x: data.margin, y: 76, height: 18 }), { 'class': 'bar', role: 'status', 'aria-live': 'polite' });
var matched = el(HTML, 'span', tools, { 'class': 'matched', role: 'status' });
var reset = el(HTML, 'button', tools, { type: 'button', title: 'Show everything (Esc)' });
reset.textContent = 'Reset zoom';
var turn = el(HTML, 'button', tools, { type: 'button', title: 'Put the root at the top or the bottom (i)' });
var box = el(HTML, 'input', tools, { type: 'search', placeholder: 'Search, regexp ( / )', spellcheck: 'false', autocomplete: 'off', 'aria-label': 'Search function names by regular expression' });

function draw() {
  var z = state.zoom, inner = width - 2 * data.margin, bottom = 0, n;
  for (n = z; n <= z + below[z];) {
    if (total[n] / total[z] * inner < MIN) { n += below[n] + 1; continue; }
    if (depth[n] > bottom) bottom = depth[n];
    n++;
  }
  var fragment = document.createDocumentFragment(), texts = document.createDocumentFragment();
  drawn = [];
  tooNarrow = 0;
  function place(n, x, w, up) {
    var y = data.header + (state.flame ? bottom - depth[n] : depth[n]) * data.row, f = fn[n];
    var hit = hits && hits[f] ? ' hit' : '';
    var r = el(SVG, 'rect', fragment, {
      'class': (changed(n) ? changed(n)[0] : 'k' + data.kind[f] + ' s' + data.shade[f]) + hit + (up ? ' up' : ''),
      x: x.toFixed(2), y: y, width: Math.max(w - 0.6, 0.3).toFixed(2), height: data.row - 1, rx: w > 6 ? 2 : 0 });
    r.frame = n;
    drawn[n] = r;
    var label = fit(data.names[f], w);
    if (!label) return;
    r.setAttribute('role', 'treeitem');
    r.setAttribute('aria-level', depth[n] + 1);
    r.setAttribute('aria-label', describe(n));
    el(SVG, 'text', texts, { x: (x + data.padding).toFixed(2), y: y + 12.5, 'class': hit + (up ? ' up' : '') }).textContent = label;
  }
  for (n = parent[z]; n >= 0; n = parent[n]) place(n, data.margin, inner, true);
  for (n = z; total[z] > 0 && n <= z + below[z];) {
    var w = total[n] / total[z] * inner;
    if (w < MIN) { tooNarrow += below[n] + 1; n += below[n] + 1; continue; }
    place(n, data.margin + (start[n] - start[z]) / total[z] * inner, w, false);
    n++;
  }
  layer.textContent = '';
  layer.appendChild(fragment);
  layer.appendChild(texts);
  layer.setAttribute('class', 'frames' + (hits ? ' searching' : ''));
  var height = data.header + (bottom + 1) * data.row;
  foot.setAttribute('transform', 'translate(0 ' + height + ')');
  svg.setAttribute('height', Math.max(height + data.footer, alone ? window.innerHeight : 0));
  reset.hidden = !z;
  turn.textContent = state.flame ? '▲ flame' : '▼ icicle';
  turn.setAttribute('aria-pressed', state.flame);
  pick(-1);
  stick();
}

// Of a difference: class, total before and now, self before and now.
function changed(n) { return data.changes && data.changes[n]; }
function change(before, now) {
  var by = now - before;
  return quantity(before) + ' before, ' + quantity(now) + ' now: ' + (by > 0 ? '+' : '') + quantity(by) + ', ' +
    (!by ? '0%' : !before ? 'new' : !now ? 'gone' : (by > 0 ? '+' : '') + percent(by, before));
}

function describe(n) {
  var f = fn[n], module = data.modules[data.module[f]], c = changed(n);
  if (c) return data.names[f] + (module ? ', ' + module : '') + ', total ' + change(c[1], c[2]);
  return data.names[f] + (module ? ', ' + module : '') + ', total ' + quantity(total[n]) + ', ' + percent(total[n], total[0]) + ' of ' + quantity(total[0]);
}

// The bar tells of the frame under the pointer, or else the way to the zoom.
function tell(n) {
  bar.textContent = '';
  function say(text, tag) {
    var e = tag ? el(HTML, tag, bar) : bar.appendChild(document.createTextNode(''));
    e.textContent = text;
    return e;
  }
  if (n >= 0) {
    var f = fn[n], module = data.modules[data.module[f]], z = state.zoom, all = quantity(total[0]);
    say(data.names[f].length > 160 ? data.names[f].slice(0, 159) + '…' : data.names[f], 'b');
    say('  ' + (module ? module + ' · ' : '') + data.kinds[data.kind[f]] + ' · total ');
    if (changed(n)) {
      say(change(changed(n)[1], changed(n)[2]), 'b');
      say(' · self ');
      say(change(changed(n)[3], changed(n)[4]), 'b');
      return;
    }
    say(quantity(total[n]), 'b');
    say(' = ' + percent(total[n], total[0]) + ' of all ' + all);
    if (z && n >= z && n <= z + below[z]) say(', ' + percent(total[n], total[z]) + ' of the zoomed ' + quantity(total[z]));
    say(' · self ');
    say(quantity(self[n]), 'b');
    say(' = ' + percent(self[n], total[0]) + ' of all');
    return;
  }
  if (!state.zoom) {
    say('Click a frame to zoom, / to search, arrows and Enter to walk' +
      (tooNarrow ? ' · ' + tooNarrow.toLocaleString('en-US') + ' frames are too narrow to draw here' : ''));
    return;
  }
  var path = [];
  for (n = state.zoom; n >= 0; n = parent[n]) path.unshift(n);
  var shown = path.length > 7 ? path.slice(0, 2).concat(-1, path.slice(-4)) : path;
  shown.forEach(function (n, i) {
    if (i) say(' › ');
    if (n < 0) { say('… ' + (path.length - 6) + ' more'); return; }
    var name = fit(data.names[fn[n]], i === shown.length - 1 ? 500 : 170);
    if (i === shown.length - 1) { say(name, 'b'); return; }
    var a = say(name, 'a');
    a.title = data.names[fn[n]];
    a.onclick = function () { go({ zoom: n }); };
  });
  n = state.zoom;
  say('  ' + quantity(total[n]) + ' = ' + percent(total[n], total[0]) + ' of all ' + quantity(total[0]) +
    (tooNarrow ? ' · ' + tooNarrow.toLocaleString('en-US') + ' too narrow to draw' : ''));
}

function pick(n) {
  if (picked >= 0 && drawn[picked]) drawn[picked].classList.remove('on');
  picked = n;
  if (n >= 0 && drawn[n]) drawn[n].classList.add('on');
  tell(n);
}

// Sums the outermost matches, so that recursion counts once.
function sumHits(from) {
  var sum = 0;
  for (var n = from; n <= from + below[from];) {
    if (hits[fn[n]]) { sum += total[n]; n += below[n] + 1; } else n++;
  }
  return sum;
}

function search() {
  var re = null;
  hits = null;
  box.classList.remove('bad');
  matched.textContent = '';
  if (!state.query) return;
  try {
    re = new RegExp(state.query, 'i');
  } catch (e) {
    box.classList.add('bad');
    re = new RegExp(state.query.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i');
  }
  hits = data.names.map(function (name, i) { return i > 0 && re.test(name); });
  var sum = sumHits(0);
  matched.textContent = 'matched ' + quantity(sum) + ' = ' + percent(sum, total[0]) + ' of all';
  if (state.zoom) matched.textContent += ', ' + percent(sumHits(state.zoom), total[state.zoom]) + ' of the zoomed';
}

// go changes the state, draws it and keeps it in the address.
function go(change) {
  for (var k in change) state[k] = change[k];
  if (!(state.zoom >= 0 && state.zoom < count && total[state.zoom] > 0)) state.zoom = 0;
  search();
  draw();
  if (!alone) return;
  var parts = [];
  if (state.query) parts.push('s=' + encodeURIComponent(state.query));
  if (state.zoom) parts.push('z=' + state.zoom);
  if (state.flame) parts.push('v=flame');
  try {
    history.replaceState(null, '', '#' + parts.join('&'));
  } catch (e) { /* an opaque origin has no address to change */ }
}

function fromAddress() {
  var found = { zoom: 0, query: '', flame: false };
  if (alone) location.hash.slice(1).split('&').forEach(function (part) {
    var value = part.slice(2);
    try { value = decodeURIComponent(value); } catch (e) { /* as it is */ }
    if (part.indexOf('s=') === 0) found.query = value;
    if (part.indexOf('z=') === 0) found.zoom = parseInt(value, 10) || 0;
    if (part.indexOf('v=') === 0) found.flame = value === 'flame';
  });
  box.value = found.query;
  go(found);
}

function resize() {
  var w = alone ? document.documentElement.clientWidth || window.innerWidth : svg.parentNode.clientWidth || 1200;
  w = Math.max(480, w);
  width = w;
  svg.removeAttribute('viewBox');
  svg.setAttribute('width', width);
  tools.parentNode.setAttribute('x', Math.min(300, width / 3));
  tools.parentNode.setAttribute('width', width - Math.min(300, width / 3) - data.margin);
  bar.parentNode.setAttribute('width', width - 2 * data.margin);
}

// The header stays in sight while a deep graph scrolls.
function stick() {
  if (alone) head.setAttribute('transform', 'translate(0 ' + (window.scrollY || 0) + ')');
}

function walk(key) {
  var n = picked < 0 ? state.zoom : picked, m;
  if (state.flame && key === 'ArrowUp') key = 'ArrowDown';
  else if (state.flame && key === 'ArrowDown') key = 'ArrowUp';
  if (picked < 0) m = n;
  else if (key === 'ArrowUp') m = parent[n];
  else if (key === 'ArrowDown') m = below[n] ? n + 1 : n;
  else if (key === 'ArrowRight') { m = n + below[n] + 1; if (m >= count || parent[m] !== parent[n]) m = n; }
  else for (m = n - 1; m >= 0 && parent[m] !== parent[n];) { // the sibling before n: climb from the frame before it
    if (m === parent[n]) { m = n; break; }
    m = parent[m];
  }
  if (m >= 0 && drawn[m]) {
    pick(m);
    drawn[m].scrollIntoView({ block: 'nearest' });
  }
}

layer.addEventListener('pointerover', function (e) { if (e.target.frame >= 0) pick(e.target.frame); });
layer.addEventListener('pointerleave', function () { pick(-1); });
layer.addEventListener('click', function (e) {
  var n = e.target.frame;
  if (n >= 0) go({ zoom: data.kind[fn[n]] === data.kinds.length - 1 ? parent[n] : n });
});
reset.onclick = function () { go({ zoom: 0 }); };
turn.onclick = function () { go({ flame: !state.flame }); };
var pause = 0;
box.oninput = function () {
  clearTimeout(pause);
  pause = setTimeout(function () { go({ query: box.value }); }, 120);
};
if (alone) {
  window.addEventListener('keydown', function (e) {
    if (e.key === 'Escape') {
      if (state.query || box.value) { box.value = ''; go({ query: '' }); } else go({ zoom: 0 });
      box.blur();
    } else if (e.ctrlKey || e.metaKey || e.altKey || e.target === box) return;
    else if (e.key === '/') { box.focus(); box.select(); e.preventDefault(); }
    else if (e.key === 'i') go({ flame: !state.flame });
    else if (e.key === 'Backspace') go({ zoom: Math.max(0, parent[state.zoom]) });
    else if (e.key === 'Enter' && picked >= 0) go({ zoom: picked });
    else if (e.key.indexOf('Arrow') === 0) { walk(e.key); e.preventDefault(); }
  });
  window.addEventListener('scroll', stick);
  window.addEventListener('hashchange', fromAddress);
}
window.addEventListener('resize', function () { resize(); draw(); });

var probe = el(SVG, 'text', layer);
probe.textContent = 'mmmmmmmmmmmmmmmmmmmm';
try { charWidth = probe.getComputedTextLength() / 20 || charWidth; } catch (e) { /* not laid out */ }
svg.classList.add('live');
resize();
fromAddress();
})();
