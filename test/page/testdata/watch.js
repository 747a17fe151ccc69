// Runs in each page before the page's own scripts, and keeps count of what they have under way: requests, questions to the
// worker, frames of the screen, short timers. The page knows nothing of it.
(() => {
  const { setTimeout: later, clearTimeout: dismiss, requestAnimationFrame: frame, cancelAnimationFrame: cancel, fetch: get } = self;
  const counted = { requests: 0, questions: 0, frames: new Set(), timers: new Set() };
  // What follows is under way before what it follows from is over.
  const over = (what) => later(() => { counted[what]--; });
  const during = (what, promise) => {
    counted[what]++;
    promise.then(() => over(what), () => over(what));
    return promise;
  };

  // The live stream has no end, and neither does a look at the state have a beginning that a test could wait for.
  const endless = /api\/v1\/(live|status|kinds)/;
  self.fetch = (...args) => (endless.test(String(args[0])) ? get(...args) : during('requests', get(...args)));
  for (const read of ['arrayBuffer', 'json', 'text']) {
    const own = Response.prototype[read];
    Response.prototype[read] = function () { return endless.test(this.url) ? own.call(this) : during('requests', own.call(this)); };
  }

  // A question is a message with a number, an answer one with the same. Lines of the stream are handed over for ever.
  self.Worker = class extends Worker {
    #open = new Set();

    constructor(...args) {
      super(...args);
      this.addEventListener('message', (e) => { if (this.#open.delete(e.data?.id)) over('questions'); });
      this.addEventListener('error', () => { this.#open.forEach(() => over('questions')); this.#open.clear(); });
    }

    postMessage(message, ...more) {
      super.postMessage(message, ...more);
      if (!message?.id || message.op === 'append') return;
      this.#open.add(message.id);
      counted.questions++;
    }
  };

  self.requestAnimationFrame = (f) => {
    const id = frame((t) => { later(() => counted.frames.delete(id)); f(t); });
    counted.frames.add(id);
    return id;
  };
  self.cancelAnimationFrame = (id) => { counted.frames.delete(id); cancel(id); };
  self.setTimeout = (f, ms = 0, ...args) => {
    const id = later((...a) => { later(() => counted.timers.delete(id)); f(...a); }, ms, ...args);
    if (ms <= 300) counted.timers.add(id);
    return id;
  };
  self.clearTimeout = (id) => { counted.timers.delete(id); dismiss(id); };

  /** What is under way, or nothing if the page shows all that it was asked for. */
  self.underWay = () => (document.readyState !== 'complete' ? 'loading' : Object.entries(counted).filter(([, n]) => (n.size ?? n) > 0).map(([what, n]) => `${n.size ?? n} ${what}`).join(', '));

  self.violations = [];
  addEventListener('securitypolicyviolation', (e) => violations.push(`${e.violatedDirective} ${e.blockedURI}`));
})();
