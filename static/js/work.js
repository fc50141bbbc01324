// Proof of work: a decimal number n such that SHA-256(challenge + n) begins with so many zero bits. It is sought from the
// moment the page is open, in a worker that runs this same file; a form sent before it is found waits for it, in words.
"use strict";
if (typeof document === "undefined") {
  // SHA-256 (FIPS 180-4) by hand: crypto.subtle is absent where a page comes over plain http.
  const K = new Int32Array(64), H = new Int32Array(8), W = new Int32Array(64);
  for (let n = 2, i = 0; i < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    if (i < 8) H[i] = Math.sqrt(n) * 2 ** 32;
    K[i++] = Math.cbrt(n) * 2 ** 32;
  }
  const turn = (x, n) => (x >>> n) | (x << (32 - n));

  const compress = (state, view, at) => {
    for (let i = 0; i < 16; i++) W[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const x = W[i - 15], y = W[i - 2];
      W[i] = W[i - 16] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + W[i - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
    }
    let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (let i = 0; i < 64; i++) {
      const t = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
      const u = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g; g = f; f = e; e = (d + t) | 0; d = c; c = b; b = a; a = (t + u) | 0;
    }
    state[0] += a; state[1] += b; state[2] += c; state[3] += d; state[4] += e; state[5] += f; state[6] += g; state[7] += h;
  };

  onmessage = ({ data: { challenge, bits } }) => {
    const head = new TextEncoder().encode(challenge), start = H.slice(), state = H.slice();
    // Full blocks of the challenge are the same for every n.
    const whole = head.length - head.length % 64, rest = head.length - whole;
    for (let at = 0; at < whole; at += 64) compress(start, new DataView(head.buffer), at);
    const tail = new Uint8Array(128), view = new DataView(tail.buffer);
    tail.set(head.subarray(whole));
    for (let n = 0, width = 0, size = 0; ; n++) {
      const digits = String(n);
      if (digits.length > width) {
        width = digits.length;
        size = rest + width + 9 > 64 ? 128 : 64;
        tail.fill(0, rest);
        tail[rest + width] = 128;
        view.setUint32(size - 4, (head.length + width) * 8);
      }
      for (let i = 0; i < width; i++) tail[rest + i] = digits.charCodeAt(i);
      state.set(start);
      for (let at = 0; at < size; at += 64) compress(state, view, at);
      if (Math.clz32(state[0]) >= bits) return postMessage(digits);
    }
  };
} else {
  const here = document.currentScript.src;
  const fresh = 90 * 1000; // a challenge lives for two minutes
  const works = new Map(); // of forms: since when, found or not

  const seek = (task) => new Promise((found) => {
    const worker = new Worker(here);
    worker.onmessage = ({ data }) => { worker.terminate(); found(data); };
    worker.onerror = () => found("");
    worker.postMessage(task);
  }).catch(() => ""); // without the work the server's page says from when on the form may be sent

  const begin = (form) => {
    const { challenge, work } = form.elements, mine = { since: Date.now(), done: false };
    mine.found = seek({ challenge: challenge.value, bits: Number(work.dataset.bits) }).then((n) => {
      work.value = n;
      mine.done = true;
    });
    works.set(form, mine);
  };

  // Who typed slowly need not type again: the page as it is now brings a new challenge.
  const renew = async (form) => {
    const reply = await fetch(location.pathname + location.search, { credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    const same = [...page.forms].find((other) => other.getAttribute("action") === form.getAttribute("action"))?.elements;
    if (!same?.work) return;
    form.elements.challenge.value = same.challenge.value;
    form.elements.work.dataset.bits = same.work.dataset.bits;
    begin(form);
  };

  for (const form of document.forms) if (form.elements.work) begin(form);

  // Before the form's own listeners: they see a form that is held back.
  document.addEventListener("submit", async (event) => {
    const form = event.target, { submitter } = event, mine = works.get(form);
    if (!mine || event.defaultPrevented) return;
    const stale = Date.now() - mine.since > fresh;
    if (mine.done && !stale) return;
    event.preventDefault();
    if ("waits" in form.dataset) return;
    form.dataset.waits = "";
    const status = form.querySelector("[data-waiting]");
    status.textContent = status.dataset.waiting;
    if (stale) await renew(form).catch(() => {});
    await works.get(form).found;
    status.textContent = "";
    works.delete(form);
    delete form.dataset.waits;
    if (form.requestSubmit) form.requestSubmit(submitter);
    else form.submit();
  }, true);
}
