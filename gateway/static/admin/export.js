/** Saving all of a list as lines of JSON (NDJSON), however many there are: the browser keeps them on disk while they come. */

import { BellwireError } from "../client.js";
import { h } from "../shared/dom.js";
import { wordsOf } from "../shared/format.js";

const NDJSON = "application/x-ndjson";
const KEPT_MS = 60_000; // the address of what is saved, until the browser has taken it

export class Download {
  /** `query()` resolves to what the list is filtered by. */
  constructor(view, path, name, query) {
    Object.assign(this, { view, path, name, query, stop: null });
    this.button = h("button", { type: "button", onclick: () => (this.stop ? this.stop.abort() : this.#run()) }, "Download all (NDJSON)");
    this.word = h("small", { role: "status" });
    this.element = h("span.row", {}, this.button, this.word);
  }

  async #run() {
    this.stop = new AbortController();
    this.button.textContent = "Cancel the download";
    this.word.textContent = "Begins…";
    this.word.className = "";
    try {
      const bytes = this.#save(await this.#fetch());
      this.word.textContent = `${inUnits(bytes)} saved`;
    } catch (error) {
      this.word.className = this.stop.signal.aborted ? "" : "problem";
      this.word.textContent = this.stop.signal.aborted ? "Cancelled" : wordsOf(error);
    }
    this.stop = null;
    this.button.textContent = "Download all (NDJSON)";
  }

  /** Rejects when the answer breaks off, so that a part is never taken for the whole. */
  async #fetch() {
    const given = Object.entries(await this.query()).filter(([, value]) => value != null && value !== "");
    const signal = AbortSignal.any([this.stop.signal, this.view.ended.signal]);
    const answer = await fetch(`/api/v1${this.path}?${new URLSearchParams(given)}`, { headers: { Accept: NDJSON }, signal, cache: "no-store" });
    if (!answer.ok) throw new BellwireError(answer.status, await answer.json().catch(() => ({})), 0);
    let bytes = 0;
    const count = (chunk, out) => {
      bytes += chunk.byteLength;
      this.word.textContent = `${inUnits(bytes)} so far`;
      out.enqueue(chunk);
    };
    const counted = answer.body.pipeThrough(new TransformStream({ transform: count }));
    return new Response(counted, { headers: { "Content-Type": NDJSON } }).blob();
  }

  #save(blob) {
    const href = URL.createObjectURL(blob);
    h("a", { href, download: `${this.name}-${new Date().toISOString().slice(0, 10)}.ndjson` }).click();
    setTimeout(() => URL.revokeObjectURL(href), KEPT_MS);
    return blob.size;
  }
}

function inUnits(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
