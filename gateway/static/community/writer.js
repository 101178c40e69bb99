/** The field for a post or a comment. It grows with its text; the draft is kept until the server has accepted it. */

import { View, errorText, fill, h, iconButton, toastErrors } from "../shared/dom.js";
import { load } from "../shared/load.js";
import { fileDrafts } from "../shared/storage.js";
import { fileField, transferOf } from "../shared/transfer.js";
import { t } from "../shared/words.js";

/**
 * Properties: `label`, `action` (the button's text), `draft` (an entry of storage.js), `max` (code points of the text),
 * `send` (async, gets the text, and ids of files), and elements `above` the field and `beside` the button. With a `store`
 * and a `place` of its files among drafts it takes files; `tray` shows them.
 */
class Writer extends View {
  render() {
    this.text = h("textarea", {
      rows: 1,
      "aria-label": this.label,
      placeholder: this.label,
      dir: "auto",
      oninput: () => this.#onInput(),
      onfocus: () => this.#open(),
      onkeydown: (event) => this.#onKey(event),
    });
    this.problem = h("p.problem", { role: "alert", hidden: true });
    const onsubmit = (event) => {
      event.preventDefault();
      this.#send();
    };
    const foot = h("div.row.end", {}, this.place && this.#attachButtons(), this.beside, h("button.primary", {}, this.action));
    fill(this, this.above, h("form", { onsubmit }, this.text, this.problem, foot));
    this.text.value = this.draft.read();
    this.#resize();
    if (this.place) this.#watchFiles();
  }

  #attachButtons() {
    const files = fileField((chosen) => toastErrors(() => this.#attach("add", chosen)));
    return [files, iconButton("attach", t("composer.attach"), () => files.click())];
  }

  /** Files may be pasted and dropped; those of a draft are shown again. */
  #watchFiles() {
    const onFiles = (_, event) => {
      const transfer = transferOf(event);
      if (transfer) toastErrors(() => this.#attach(event.type, transfer));
    };
    this.listen(this, "paste dragover drop", onFiles);
    if (fileDrafts(this.store.me.id).read()?.[this.place]) this.#attach("restore").catch(() => {});
  }

  /** Run a function of attaching.js. */
  #attach(name, transfer) {
    this.#open();
    this.attaching = load("shared/attaching.js").then((module) => module[name](this, transfer));
    return this.attaching;
  }

  focus() {
    this.text.focus();
  }

  /** Ctrl+Enter sends. Enter starts a new line, because posts are longer than messages. */
  #onKey(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.#send();
  }

  #onInput() {
    this.draft.write(this.text.value);
    this.#showExcess();
    this.#resize();
  }

  /** Say how much is too much. Nothing is cut. Returns whether there is too much. */
  #showExcess() {
    const { value } = this.text;
    const excess = value.length > this.max ? [...value.trim()].length - this.max : 0;
    this.problem.hidden = excess <= 0;
    if (excess > 0) this.problem.textContent = t("writer.too-long", { n: excess });
    return excess > 0;
  }

  /**
   * Show the button from now on. Hiding it again would move the content below while the pointer is on its way there.
   */
  #open() {
    this.setAttribute("data-open", "");
  }

  #resize() {
    if (this.text.value) this.#open();
    this.text.style.height = "auto";
    if (this.text.scrollHeight) this.text.style.height = `${this.text.scrollHeight + 2}px`;
  }

  async #send() {
    if (this.attaching) await this.attaching.catch(() => {}); // else what was chosen a moment ago would be left out
    const text = this.text.value;
    const files = this.tray?.facts;
    if (!(text.trim() || files) || this.ariaBusy || this.#showExcess()) return;
    this.ariaBusy = "true";
    try {
      if (files) await this.tray.send((ids) => this.send(text.trim(), ids));
      else await this.send(text.trim());
      if (this.text.value === text) this.text.value = ""; // otherwise the user went on writing
      this.#onInput();
    } catch (error) {
      this.problem.textContent = errorText(error);
      this.problem.hidden = false;
    } finally {
      this.ariaBusy = null;
    }
  }
}

customElements.define("bw-writer", Writer);
