/**
 * Download a whole list as lines of JSON (NDJSON), of any length: the browser stores the answer on disk while it
 * arrives.
 */

import { BellwireError } from "../client.js";
import { errorText, h } from "../shared/dom.js";
import { formatBytes } from "../shared/sizes.js";
import { t } from "../shared/words.js";

const NDJSON = "application/x-ndjson";
const REVOKE_AFTER_MS = 60_000; // the browser has started to save the file by then

export class Download {
  /** `query` is an async function that returns the filters of the list. */
  constructor(view, path, name, query) {
    Object.assign(this, { view, path, name, query, controller: null });
    const onclick = () => (this.controller ? this.controller.abort() : this.#run());
    this.button = h("button", { type: "button", onclick }, t("export.start"));
    this.status = h("small", { role: "status" });
    this.element = h("span.row", {}, this.button, this.status);
  }

  async #run() {
    this.controller = new AbortController();
    this.button.textContent = t("export.cancel");
    this.status.textContent = t("export.starting");
    this.status.className = "";
    try {
      const bytes = this.#save(await this.#fetch());
      this.status.textContent = t("export.saved", { size: formatBytes(bytes) });
    } catch (error) {
      const { aborted } = this.controller.signal;
      this.status.className = aborted ? "" : "problem";
      this.status.textContent = aborted ? t("export.cancelled") : errorText(error);
    }
    this.controller = null;
    this.button.textContent = t("export.start");
  }

  /** Return the answer as a Blob. Rejects when the answer ends early, so an incomplete file is never saved. */
  async #fetch() {
    const filters = Object.entries(await this.query()).filter(([, value]) => value != null && value !== "");
    const signal = AbortSignal.any([this.controller.signal, this.view.lifetime.signal]);
    const options = { headers: { Accept: NDJSON }, signal, cache: "no-store" };
    const answer = await fetch(`/api/v1${this.path}?${new URLSearchParams(filters)}`, options);
    if (!answer.ok) throw new BellwireError(answer.status, await answer.json().catch(() => ({})), 0);
    let bytes = 0;
    const transform = (chunk, output) => {
      bytes += chunk.byteLength;
      this.status.textContent = t("export.so-far", { size: formatBytes(bytes) });
      output.enqueue(chunk);
    };
    const counted = answer.body.pipeThrough(new TransformStream({ transform }));
    return new Response(counted, { headers: { "Content-Type": NDJSON } }).blob();
  }

  #save(blob) {
    const href = URL.createObjectURL(blob);
    const date = new Date().toISOString().slice(0, 10);
    h("a", { href, download: `${this.name}-${date}.ndjson` }).click();
    setTimeout(() => URL.revokeObjectURL(href), REVOKE_AFTER_MS);
    return blob.size;
  }
}
