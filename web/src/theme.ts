// Light, dark, or as the system is. The choice is this browser's, not part of the address.

import { announce } from './dom.ts';

const choices = ['auto', 'light', 'dark'] as const;
type Choice = typeof choices[number];

export class Theme {
  private choice: Choice = 'auto';
  private system = matchMedia('(prefers-color-scheme: dark)');

  constructor(private changed: () => void) {
    try {
      const stored = localStorage.getItem('ebpfprof-theme');
      if (choices.includes(stored as Choice)) this.choice = stored as Choice;
    } catch {
      // A file from disk may have no storage: then the system decides each time.
    }
    this.system.addEventListener('change', () => this.apply());
    this.apply();
  }

  get dark(): boolean { return this.choice === 'auto' ? this.system.matches : this.choice === 'dark'; }

  next(): void {
    this.choice = choices[(choices.indexOf(this.choice) + 1) % choices.length]!;
    try {
      localStorage.setItem('ebpfprof-theme', this.choice);
    } catch {
      // See above.
    }
    announce('Theme: ' + (this.choice === 'auto' ? 'as the system' : this.choice));
    this.apply();
  }

  private apply(): void {
    document.documentElement.dataset.theme = this.dark ? 'dark' : 'light';
    this.changed();
  }
}
