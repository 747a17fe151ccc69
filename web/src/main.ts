// The one script: the page and, in a worker that the page starts with the same script, what computes. What both need is in
// it once.

import './main.css';
import { answer } from './engine/worker.ts';
import { begin } from './page.ts';

if (typeof document === 'undefined') answer();
else begin(document.currentScript as HTMLScriptElement);
