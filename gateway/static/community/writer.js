/** Where one writes a post or a comment: a line that grows, and a draft that stays until it was taken. */

import { fill, h } from "../shared/dom.js";
import { View } from "../shared/view.js";
import { wordsOf } from "../shared/format.js";

const MOST = 20_000;

/** Properties: `label`, `action` (the button), `key` (where the draft is kept), `send` (async, gets the text), and elements `above`
 *  and `beside` the button. */
class Writer extends View {
  show() {
    this.text = h("textarea", { rows: 1, "aria-label": this.label, placeholder: this.label, maxlength: String(MOST), oninput: () => this.#written(), onfocus: () => this.#open(), onkeydown: (event) => this.#keys(event) });
    this.problem = h("p.problem", { role: "alert", hidden: true });
    const foot = h("div.row.end", {}, this.beside, h("button.primary", {}, this.action));
    const form = h("form", { onsubmit: (event) => (event.preventDefault(), this.#send()) }, this.text, this.problem, foot);
    fill(this, this.above, form);
    this.text.value = localStorage.getItem(this.key) ?? "";
    this.#grow();
  }

  focus() {
    this.text.focus();
  }

  /** Enter begins a new line here, for posts are longer than messages. */
  #keys(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    event.preventDefault();
    this.#send();
  }

  #written() {
    if (this.text.value) localStorage.setItem(this.key, this.text.value);
    else localStorage.removeItem(this.key);
    this.#grow();
  }

  /** The button stays from then on: what is below must not move under the pointer that leaves. */
  #open() {
    this.setAttribute("data-open", "");
  }

  #grow() {
    if (this.text.value) this.#open();
    this.text.style.height = "auto";
    if (this.text.scrollHeight) this.text.style.height = `${this.text.scrollHeight + 2}px`;
  }

  async #send() {
    const written = this.text.value;
    if (!written.trim() || this.ariaBusy) return;
    this.ariaBusy = "true";
    this.problem.hidden = true;
    try {
      await this.send(written.trim());
      if (this.text.value === written) this.text.value = ""; // else more was written meanwhile
      this.#written();
    } catch (error) {
      this.problem.textContent = wordsOf(error);
      this.problem.hidden = false;
    } finally {
      this.ariaBusy = null;
    }
  }
}

customElements.define("bw-writer", Writer);
