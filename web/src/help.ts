// The overlay that lists the keys, and how the numbers are meant.

import { h } from './dom.ts';
import { dialogue } from './popup.ts';

const groups: [string, [string, string][]][] = [
  ['Everywhere', [
    ['1 … 8', 'the views'], ['/', 'search'], ['?', 'this help'], ['Space', 'pause, go on'], ['t', 'light, dark, as the system'],
    ['e', 'export'], ['Esc', 'close, clear, zoom out'], ['Alt ←', 'back'],
  ]],
  ['Flame graph', [
    ['← → ↑ ↓', 'go from frame to frame'], ['Enter', 'zoom to the frame'], ['Backspace', 'zoom out a step'], ['Home', 'zoom out to all'],
    ['o', 'details of the frame'], ['m', 'what can be done with it'], ['s', 'its callers and callees'], ['f', 'only stacks with it'],
    ['h', 'hide it'], ['c', 'copy its name'], ['i', 'icicle, flame'], ['r', 'inverted: from the leaf'],
  ]],
  ['Time and comparing', [
    ['l', 'live'], ['[ and ]', 'earlier and later by half the span'], ['d', 'what changed: this minute, the minute before'], ['x', 'swap both sides'],
  ]],
];

export function help(): void {
  const el = h('dialog', { 'aria-labelledby': 'help-title' },
    h('h2', { id: 'help-title' }, 'Keys'),
    ...groups.flatMap(([title, keys]) => [
      h('h3', {}, title),
      h('div', { class: 'keys' }, ...keys.map(([key, what]) => h('div', {}, h('span', {}, what), h('kbd', {}, key)))),
    ]),
    h('h3', {}, 'Reading it'),
    h('p', {}, 'A frame is as wide as the share of the stacks that contain it. Self is what was measured in the function itself, ' +
      'total is with everything that it called; a function that calls itself is counted once. What stands above is called by what is below; ' +
      'in the icicle it is the other way round. Left and right mean nothing: while live, frames are in the order of their names, so that they stay where they are.'),
    h('p', {}, 'Incomplete stacks could not be walked to their end; they begin in a frame that says why. Lost events were counted but are in no stack. ' +
      'In a timeline, hatched is time of which nothing is known, which is not zero.'),
    h('menu', {}, h('button', { type: 'button', class: 'primary', autofocus: true, onclick: () => el.close() }, 'Close')));
  dialogue(el);
}
