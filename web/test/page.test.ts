import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instant, seconds } from '../src/api.ts';
import { middle, visible } from '../src/dom.ts';
import { decode, encode, initial, type State } from '../src/state.ts';
import { bytes, change, count, duration, percent, value } from '../src/units.ts';

test('a state survives its address', () => {
  const s: State = {
    ...initial, view: 'diff', service: 'a/b&c=d#', zoom: ['x\u001fmod', '<b>', 'دالة'], hide: ['=k'], regexp: true, elided: false, selectFrom: 1772600767000,
    selectTo: 1772600768000, baseTo: 'now-1m', order: 'name',
  };
  assert.deepEqual(decode('#' + encode(s)), s);
  assert.equal(encode(initial), '');
});

test('an address that is not ours becomes the initial state', () => {
  assert.deepEqual(decode('#view=x&selectFrom=-1&seconds=nothing&group=evil&other=1'), initial);
  assert.equal(decode('#seconds=99999').seconds, 240);
});

test('an address is not longer than browsers and proxies bear', () => {
  const address = encode({ ...initial, zoom: Array<string>(500).fill('y'.repeat(160)), search: 'kept' });
  assert.ok(address.length < 8001);
  assert.equal(decode(address).search, 'kept');
});

test('times of the API', () => {
  const now = 1772600767250;
  assert.equal(instant('now', now), now);
  assert.equal(instant('now-1h30m', now), now - 5400_000);
  assert.equal(instant('1772600767.25', 0), now);
  assert.equal(instant('2026-03-04T05:06:07.25Z', 0), now);
  assert.ok(Number.isNaN(instant('yesterday', now)));
  assert.equal(seconds(now), '1772600767.25');
  assert.equal(seconds(1772600760000), '1772600760');
});

test('values say their unit', () => {
  assert.equal(value(12_345_678, 'nanoseconds'), '12.3 ms');
  assert.equal(value(-1536, 'bytes'), '−1.5 KiB');
  assert.equal(value(300 * 2 ** 20, 'bytes'), '300 MiB');
  assert.equal(value(12_345, 'objects'), '12.3 k objects');
  assert.equal(value(7, 'requests'), '7 requests');
  assert.equal(bytes(1023.9 * 1024), '1 MiB');
  assert.equal(count(12_345), '12.3 k');
  assert.equal(duration(0), '0 s');
});

test('a share of nothing is none, and a small one is not zero', () => {
  assert.equal(percent(1, 0), '–');
  assert.equal(percent(1, 1e6), '<0.01 %');
  assert.equal(percent(0, 5), '0 %');
  assert.equal(change(5, 0), 'new');
  assert.equal(change(0, 5), 'gone');
  assert.equal(change(1, 1000), '−99.9 %');
  assert.equal(change(150, 100), '+50 %');
});

test('names are shortened in the middle and keep whole characters', () => {
  assert.equal(middle('x'.repeat(70_000)).length, 119);
  assert.ok(!/[\ud800-\udfff]/.test(middle('😀'.repeat(100), 21).replace(/[\ud800-\udbff][\udc00-\udfff]/g, '')));
  assert.equal(visible('a\nb\u0000\u007f\u0085'), 'a␊b␀␡\ufffd');
});
