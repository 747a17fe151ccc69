import assert from 'node:assert/strict';
import { test } from 'node:test';
import { change } from '../src/engine/palette.ts';
import { Palette, shadeOf } from '../src/flame/colours.ts';
import { drawable, Labels } from '../src/flame/labels.ts';
import { Window } from '../src/flame/window.ts';

const frame = (name: string, module: string, kind = 'native') => ({ key: '', name, module, file: '', line: 0, kind, inlined: false });

test('hostile names are cut and cannot turn the text around', () => {
  assert.equal(drawable('x'.repeat(65_536)).length, 401);
  assert.equal(drawable('a\u202eb\u0000c\nd'), 'a\ufffdb\ufffdc\ufffdd');
  assert.equal(drawable('<b>'), '<b>');
  assert.equal(drawable(''), '[unknown]');
});

test('labels fit their width, and right-to-left names are isolated', () => {
  const labels = new Labels();
  labels.measure({ measureText: () => ({ width: 10 }) } as unknown as CanvasRenderingContext2D);
  assert.equal(labels.fit('abcdef', 60), 'abcdef');
  assert.equal(labels.fit('abcdefgh', 70), 'abcd\u2026');
  assert.equal(labels.fit('abcdefgh', 50), '', 'two characters say nothing');
  assert.equal(labels.fit('\u05d0\u05d1', 60), '\u2068\u05d0\u05d1\u2069');
  assert.equal(labels.fit('abc\u{1f600}efgh', 70), 'abc\u2026', 'a pair of surrogates stays whole');
});

test('a window zooms around a place, stays inside, and ends where it goes', () => {
  const w = new Window();
  w.zoom(0.5, 0.25);
  assert.deepEqual(w.at(0), { from: 0.125, to: 0.625 });
  w.pan(10);
  assert.deepEqual(w.at(0), { from: 0, to: 0.5 });
  w.go(0.4, 0.6, 1000);
  assert.deepEqual(w.at(1000), { from: 0, to: 0.5 });
  assert.ok(w.at(1090).from > 0.2 && w.at(1090).from < 0.4);
  assert.deepEqual(w.at(2000), { from: 0.4, to: 0.6 });
  w.scroll(500, 300);
  assert.equal(w.top, 300);
});

test('colours depend on names only, and a Go package is a module', () => {
  assert.equal(shadeOf(frame('a', 'm')), shadeOf(frame('a', 'm')));
  const hue = (f: ReturnType<typeof frame>) => Math.floor(shadeOf(f) / 3);
  assert.equal(hue(frame('net/http.a', 'x', 'Go')), hue(frame('net/http.(*T).b', 'y', 'Go')));
  const p = new Palette('light');
  assert.notEqual(p.diff(1, 0), p.diff(-1, 0));
  assert.notEqual(p.kind(0, 0, 0), p.kind(0, 0, 1));
  assert.deepEqual([change(2, 0), change(0, 2), change(2, 2), change(2, 1), change(0, 0)], [1, -1, 0, 0.5, 0]);
});
