/** Where one writes: drafts that stay, answers, corrections, how urgent it is. */

import { fill, h, icon, iconButton, trying } from "../shared/dom.js";
import { View } from "../shared/view.js";
import { nameOf } from "../shared/format.js";

const TYPING_EVERY_MS = 3000;
const MOST = 20_000;
const PRIORITIES = { normal: "Normal", important: "Important: mailed after 5 minutes unseen", urgent: "Urgent: mailed at once" };
const coarse = matchMedia("(pointer: coarse)");

class Composer extends View {
  show() {
    this.key = `bellwire:draft:${this.store.me.id}:${this.conversation}`;
    this.priority = "normal";
    this.context = h("div.context", { hidden: true });
    this.text = h("textarea", { rows: 1, placeholder: "Write a message", "aria-label": "Message", maxlength: String(MOST), oninput: () => this.#written(), onkeydown: (event) => this.#keys(event), onblur: () => this.#typing(false) });
    this.urgent = iconButton("urgent", PRIORITIES.normal, () => this.#nextPriority(), { "data-priority": "normal" });
    this.form = h("form", { onsubmit: (event) => (event.preventDefault(), this.#send()) }, this.urgent, this.text, h("button.icon-button.primary", { "aria-label": "Send", title: "Send" }, icon("send")));
    fill(this, this.context, this.form);
    this.text.value = localStorage.getItem(this.key) ?? "";
    this.#grow();
    this.ended.signal.addEventListener("abort", () => this.#typing(false));
  }

  focus() {
    this.text.focus();
  }

  replyTo(message) {
    this.#leave();
    this.answered = message;
    this.#about("Answering", `${nameOf(this.store.person(message.sender))}: ${message.body.slice(0, 140)}`);
  }

  edit(message) {
    this.#leave();
    this.edited = message;
    this.kept = this.text.value;
    this.text.value = message.body;
    this.#about("Editing", message.body.slice(0, 140));
    this.#grow();
  }

  #about(what, words) {
    this.context.hidden = false;
    fill(this.context, h("p", {}, h("strong", {}, what), " ", words), iconButton("close", `Stop ${what.toLowerCase()}`, () => this.#leave()));
    this.focus();
  }

  #leave() {
    if (this.edited) this.text.value = this.kept;
    this.answered = this.edited = null;
    this.context.hidden = true;
    this.#grow();
  }

  #nextPriority(to) {
    const names = Object.keys(PRIORITIES);
    this.priority = to ?? names[(names.indexOf(this.priority) + 1) % names.length];
    this.urgent.dataset.priority = this.priority;
    this.urgent.title = PRIORITIES[this.priority];
    this.urgent.setAttribute("aria-label", `Priority: ${PRIORITIES[this.priority]}`);
  }

  #keys(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !coarse.matches) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "Escape") this.#leave();
    else if (event.key === "ArrowUp" && !this.text.value) {
      event.preventDefault();
      this.dispatchEvent(new CustomEvent("edit-last", { bubbles: true }));
    }
  }

  #written() {
    this.#grow();
    if (this.edited) return;
    this.#keep();
    this.#typing(Boolean(this.text.value.trim()));
  }

  #keep() {
    if (this.text.value) localStorage.setItem(this.key, this.text.value);
    else localStorage.removeItem(this.key);
  }

  #grow() {
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight + 2}px`;
  }

  /** Others see it for some seconds; so it is said again while one goes on. */
  #typing(typing) {
    const now = Date.now();
    if (typing ? now - (this.told ?? 0) < TYPING_EVERY_MS : !this.told) return;
    this.told = typing ? now : 0;
    this.store.bell.call("POST", `/conversations/${this.conversation}/typing`, { typing }).catch(() => {});
  }

  #send() {
    const body = this.text.value.trim();
    if (!body) return;
    if (this.edited) {
      this.#change(this.edited, body);
      return;
    }
    this.told = 0; // the message itself says that one no longer types
    this.store.post(this.conversation, body, { reply_to: this.answered?.id, priority: this.priority === "normal" ? undefined : this.priority });
    this.text.value = "";
    this.#keep();
    this.#leave();
    this.#nextPriority("normal");
    this.dispatchEvent(new CustomEvent("posted", { bubbles: true }));
  }

  async #change(message, body) {
    if (body === message.body) {
      this.#leave();
      return;
    }
    const changed = await trying(() => this.store.bell.call("PATCH", `/messages/${message.id}`, { body }, { again: true }));
    if (!changed) return; // what was written is still there
    this.store.threads.get(changed.conversation)?.replace(changed);
    this.#leave();
  }
}

customElements.define("bw-composer", Composer);
