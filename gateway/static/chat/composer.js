/** The field for a new message: drafts, replies, edits and the priority. */

import { View, fill, h, icon, iconButton, toastErrors } from "../shared/dom.js";
import { nameOf } from "../shared/format.js";
import { messageDraft } from "../shared/storage.js";
import { t } from "../shared/words.js";

const TYPING_EVERY_MS = 3000; // others show it for 6 s
const MAX_CHARACTERS = 20_000;
const EXCERPT_CHARACTERS = 140;
const PRIORITIES = ["normal", "important", "urgent"];
const coarsePointer = matchMedia("(pointer: coarse)");

/** Properties: `store`, `conversation` (an id). */
class Composer extends View {
  render() {
    this.draft = messageDraft(this.store.me.id, this.conversation);
    this.priority = "normal";
    this.context = h("div.context", { hidden: true });
    this.text = h("textarea", {
      rows: 1,
      placeholder: t("composer.placeholder"),
      "aria-label": t("composer.label"),
      maxlength: String(MAX_CHARACTERS),
      oninput: () => this.#onInput(),
      onkeydown: (event) => this.#onKey(event),
      onblur: () => this.#sendTyping(false),
    });
    this.priorityButton = iconButton("urgent", t("composer.priority.normal"), () => this.#nextPriority(), {
      "data-priority": "normal",
    });
    const onsubmit = (event) => {
      event.preventDefault();
      this.#send();
    };
    const sendLabel = { "aria-label": t("composer.send"), title: t("composer.send") };
    const send = h("button.icon-button.primary", sendLabel, icon("send"));
    fill(this, this.context, h("form", { onsubmit }, this.priorityButton, this.text, send));
    this.text.value = this.draft.read();
    this.#resize();
    this.lifetime.signal.addEventListener("abort", () => this.#sendTyping(false));
  }

  focus() {
    this.text.focus();
  }

  replyTo(message) {
    this.#endContext();
    this.original = message;
    const name = nameOf(this.store.person(message.sender));
    const text = t("composer.original", { name, text: excerpt(message) });
    this.#showContext(t("composer.replying-to"), text, t("composer.stop-replying"));
  }

  edit(message) {
    this.#endContext();
    this.edited = message;
    this.textBefore = this.text.value;
    this.text.value = message.body;
    this.#showContext(t("composer.editing"), excerpt(message), t("composer.stop-editing"));
    this.#resize();
  }

  #showContext(title, text, stopLabel) {
    this.context.hidden = false;
    const stop = iconButton("close", stopLabel, () => this.#endContext());
    fill(this.context, h("p", {}, h("strong", {}, title), " ", text), stop);
    this.focus();
  }

  /** Stop replying or editing. */
  #endContext() {
    if (this.edited) this.text.value = this.textBefore;
    this.original = this.edited = null;
    this.context.hidden = true;
    this.#resize();
  }

  #nextPriority() {
    this.#setPriority(PRIORITIES[(PRIORITIES.indexOf(this.priority) + 1) % PRIORITIES.length]);
  }

  #setPriority(priority) {
    const text = t(`composer.priority.${priority}`);
    this.priority = priority;
    this.priorityButton.dataset.priority = priority;
    this.priorityButton.title = text;
    this.priorityButton.setAttribute("aria-label", t("composer.priority", { priority: text }));
  }

  #onKey(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !coarsePointer.matches) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "Escape") this.#endContext();
    else if (event.key === "ArrowUp" && !this.text.value) {
      event.preventDefault();
      this.dispatchEvent(new CustomEvent("edit-last", { bubbles: true }));
    }
  }

  #onInput() {
    this.#resize();
    if (this.edited) return;
    this.draft.write(this.text.value);
    this.#sendTyping(Boolean(this.text.value.trim()));
  }

  #resize() {
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight + 2}px`;
  }

  /** Announce to the other members that the user types, again every few seconds, or no longer types. */
  #sendTyping(typing) {
    const now = Date.now();
    if (typing ? now - (this.typingSentAt ?? 0) < TYPING_EVERY_MS : !this.typingSentAt) return;
    this.typingSentAt = typing ? now : 0;
    this.store.bell.call("POST", `/conversations/${this.conversation}/typing`, { typing }).catch(() => {});
  }

  #send() {
    const body = this.text.value.trim();
    if (!body) return;
    if (this.edited) {
      this.#saveEdit(this.edited, body);
      return;
    }
    this.typingSentAt = 0; // the message itself ends the typing indicator of the others
    const priority = this.priority === "normal" ? undefined : this.priority;
    this.store.post(this.conversation, body, { reply_to: this.original?.id, priority });
    this.text.value = "";
    this.draft.remove();
    this.#endContext();
    this.#setPriority("normal");
    this.dispatchEvent(new CustomEvent("posted", { bubbles: true }));
  }

  async #saveEdit(message, body) {
    if (body === message.body) {
      this.#endContext();
      return;
    }
    const { bell, threads } = this.store;
    const changed = await toastErrors(() => bell.call("PATCH", `/messages/${message.id}`, { body }));
    if (!changed) return; // the edited text stays in the field
    threads.get(changed.conversation)?.replace(changed);
    this.#endContext();
  }
}

function excerpt(message) {
  return message.body.slice(0, EXCERPT_CHARACTERS);
}

customElements.define("bw-composer", Composer);
