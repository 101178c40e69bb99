/** The field for a new message: drafts, replies, edits, files, emoji and the priority. */

import { View, fill, h, icon, iconButton, toastErrors } from "../shared/dom.js";
import { nameOf } from "../shared/format.js";
import { LIMITS } from "../shared/limits.js";
import { load } from "../shared/load.js";
import { fileDrafts, messageDraft, messageReply } from "../shared/storage.js";
import { fileField, transferOf } from "../shared/transfer.js";
import { t } from "../shared/words.js";
import { summary } from "./markup.js";

const TYPING_EVERY_MS = 3000; // others show it for 6 s
const EXCERPT_CHARACTERS = 140;
const COUNTED_FROM = 500; // characters before the limit: from here on it is shown how many are left
const SCREEN_KEYBOARD_PX = 150; // what covers more of the window than this is a keyboard
const coarsePointer = matchMedia("(pointer: coarse)");

/** Properties: `store`, `conversation` (an id). With files it has `tray`, which shows them. */
class Composer extends View {
  render() {
    this.priority = "normal";
    this.context = h("div.context", { hidden: true });
    this.counter = h("p.counter", { role: "status", hidden: true });
    this.text = this.#createField();
    const priority = ({ currentTarget }) => toastErrors(() => this.#choosePriority(currentTarget));
    this.priorityButton = iconButton("urgent", "", priority, { "aria-haspopup": "menu" });
    const emoji = iconButton("smile", t("composer.emoji"), ({ currentTarget }) =>
      toastErrors(() => this.#chooseEmoji(currentTarget)),
    );
    const files = fileField((chosen) => toastErrors(() => this.#attach("add", chosen)));
    const attachButton = iconButton("attach", t("composer.attach"), () => files.click());
    const onsubmit = (event) => {
      event.preventDefault();
      this.#send();
    };
    const sendLabel = { "aria-label": t("composer.send"), title: t("composer.send"), part: "send" };
    const send = h("button.icon-button.primary", sendLabel, icon("send"));
    this.growing = h("div.growing", {}, this.text);
    const form = h("form", { onsubmit }, this.priorityButton, files, attachButton, this.growing, emoji, send);
    fill(this, this.context, this.counter, form);
    this.#setPriority("normal");
    this.#setText(this.draft.read());
    this.#restoreReply();
    if (fileDrafts(this.store.me.id).read()?.[this.place]) this.#attach("restore").catch(() => {});
    this.lifetime.signal.addEventListener("abort", () => this.#sendTyping(false));
  }

  get draft() {
    return messageDraft(this.store.me.id, this.conversation);
  }

  get reply() {
    return messageReply(this.store.me.id, this.conversation);
  }

  /** Of its files, among drafts. */
  get place() {
    return String(this.conversation);
  }

  #createField() {
    return h("textarea", {
      rows: 1,
      part: "field",
      dir: "auto",
      placeholder: t("composer.placeholder"),
      "aria-label": t("composer.label"),
      oninput: () => this.#onInput(),
      onkeydown: (event) => this.#onKey(event),
      onblur: () => this.#sendTyping(false),
      onpaste: (event) => this.onFiles(event),
    });
  }

  focus() {
    this.text.focus();
  }

  // What the text answers or changes

  replyTo(message) {
    if (this.edited) this.#endContext();
    this.original = message;
    this.reply.write(String(message.id));
    this.#showOriginal();
    this.focus();
  }

  #showOriginal() {
    const name = nameOf(this.store.person(this.original.sender));
    const text = t("composer.original", { name, text: summary(this.original, EXCERPT_CHARACTERS) });
    this.#showContext(t("composer.replying-to"), text, t("composer.stop-replying"));
  }

  /** A draft keeps what it answers. */
  async #restoreReply() {
    const id = Number(this.reply.read());
    if (!id) return;
    const { bell, threads } = this.store;
    const load = () => bell.call("GET", `/messages/${id}`).catch(() => null);
    const message = threads.get(this.conversation)?.find(id) ?? (await load());
    if (!this.isConnected || !message || message.deleted_at || this.original || this.edited) return;
    this.original = message;
    this.#showOriginal();
  }

  edit(message) {
    if (!this.edited) this.textBefore = this.text.value;
    this.edited = message;
    this.#setText(message.body);
    const text = summary(message, EXCERPT_CHARACTERS);
    this.#showContext(t("composer.editing"), text, t("composer.stop-editing"));
    this.focus();
  }

  #showContext(title, text, stopLabel) {
    this.context.hidden = false;
    const stop = iconButton("close", stopLabel, () => this.#endContext());
    fill(this.context, h("p", { dir: "auto" }, h("strong", {}, title), " ", text), stop);
  }

  /** Stop editing, which goes back to what was written before, or else replying. */
  #endContext() {
    const wasEditing = Boolean(this.edited);
    this.edited = null;
    if (wasEditing) this.#setText(this.textBefore);
    if (wasEditing && this.original) return this.#showOriginal();
    this.original = null;
    this.reply.remove();
    this.context.hidden = true;
  }

  // Files

  /** Files are pasted, or dragged over the conversation. */
  onFiles(event) {
    const transfer = transferOf(event);
    if (transfer) toastErrors(() => this.#attach(event.type, transfer));
  }

  /** Run a function of attaching.js. */
  #attach(name, transfer) {
    return (this.attaching = load("shared/attaching.js").then((module) => module[name](this, transfer)));
  }

  // The priority

  async #choosePriority(button) {
    const { choosePriority } = await load("chat/priority.js");
    choosePriority(button, this.priority, (priority) => {
      this.#setPriority(priority);
      this.focus();
    });
  }

  #setPriority(priority) {
    const label = t("composer.priority", { priority: t(`composer.priority.${priority}`) });
    this.priority = priority;
    this.priorityButton.dataset.priority = priority;
    this.priorityButton.title = label;
    this.priorityButton.setAttribute("aria-label", label);
  }

  async #confirm(priority) {
    const { confirmPriority } = await load("chat/priority.js");
    return confirmPriority(this.store, this.conversation, priority);
  }

  // Writing

  /** On a device without a keyboard, Enter begins a new line. */
  #onKey(event) {
    const isSending = event.ctrlKey || event.metaKey || (!event.shiftKey && isOfKeyboard(event));
    if (event.key === "Enter" && isSending) {
      event.preventDefault();
      this.#send();
    } else if (event.key === "Escape") this.#endContext();
    else if (event.key === "ArrowUp" && !this.text.value) {
      event.preventDefault();
      this.dispatchEvent(new CustomEvent("edit-last", { bubbles: true }));
    }
  }

  #onInput() {
    this.#drawText();
    if (this.text.value.includes("@")) this.completion ??= this.#complete();
    if (this.edited) return;
    this.draft.write(this.text.value);
    this.#sendTyping(Boolean(this.text.value.trim()));
  }

  /** Offer the members of the conversation, from the first `@` on. Without a connection there is no list. */
  async #complete() {
    const module = await load("chat/completion.js").catch(() => null);
    if (!module) this.completion = null;
    else new module.Completion(this.store, this.text, this, () => this.store.conversations.get(this.conversation));
  }

  #setText(text) {
    this.text.value = text;
    this.#drawText();
  }

  /** The field is as high as a copy of its text. */
  #drawText() {
    const { value } = this.text;
    this.growing.dataset.text = value;
    if (value.length > this.#limit - COUNTED_FROM || !this.counter.hidden) this.#count();
  }

  /** Say how many characters are left, near the limit. */
  #count() {
    const draw = ({ drawCounter }) => drawCounter(this.counter, this.text, this.#limit, COUNTED_FROM);
    load("chat/counter.js").then(draw, () => {}); // without it, what is too long is not sent
  }

  /** In characters (code points), as the API counts them. */
  get #limit() {
    return LIMITS[this.edited ? "MessageEdit" : "NewMessage"].body.max;
  }

  async #chooseEmoji(button) {
    const { openEmojiPicker } = await load("chat/emoji.js");
    const choose = (emoji) => {
      const { selectionStart, selectionEnd } = this.text;
      this.text.setRangeText(emoji, selectionStart, selectionEnd, "end");
      this.#onInput();
      this.focus();
    };
    const closed = () => this.focus();
    openEmojiPicker(button, { user: this.store.me.id, label: "emoji.insert", choose, closed });
  }

  /** Announce to the other members that the user types, again every few seconds, or no longer types. */
  #sendTyping(typing) {
    if (this.conversation < 0) return; // it begins with its first message
    const now = Date.now();
    if (typing ? now - (this.typingSentAt ?? 0) < TYPING_EVERY_MS : !this.typingSentAt) return;
    this.typingSentAt = typing ? now : 0;
    this.store.bell.call("POST", `/conversations/${this.conversation}/typing`, { typing }).catch(() => {});
  }

  // Sending

  async #send() {
    await this.attaching?.catch(() => {}); // else what was chosen a moment ago would be left out
    if (!this.edited && this.tray && !(await this.tray.prepare())) return;
    const body = bodyOf(this.text.value);
    if (!body && !(this.edited ? this.edited.files?.length : this.tray?.facts)) return;
    if ([...body].length > this.#limit) {
      this.focus(); // the counter says by how much it is too long
      return;
    }
    if (this.edited) {
      this.#saveEdit(this.edited, body);
      return;
    }
    const priority = this.priority === "normal" ? undefined : this.priority;
    if (priority && !(await toastErrors(() => this.#confirm(priority)))) return;
    const { facts: files } = this.tray ?? {};
    this.typingSentAt = 0; // the message itself ends the typing indicator of the others
    this.store.post(this.conversation, body, { reply_to: this.original?.id, priority, files });
    this.tray?.clear();
    this.#setText("");
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
    // The answer may come after events of later changes, and after one that says that a picture is ready.
    const isOlder = (message) => message.deleted_at || message.edited_at > changed.edited_at;
    const change = (message) => (isOlder(message) ? message : { ...changed, reactions: message.reactions, files: message.files });
    threads.get(changed.conversation)?.change(changed.id, change);
    const isSaved = this.edited?.id === message.id && bodyOf(this.text.value) === body; // nothing else was begun
    if (isSaved) this.#endContext();
  }
}

/** A text as it is sent: without empty lines before it. Spaces before its first word may be those of code. */
function bodyOf(text) {
  return text.trimEnd().replace(/^(?:[^\S\n]*\n)+/, "");
}

/** Whether a key is one of a real keyboard: those on a screen have no `code`, or cover a part of the window. */
function isOfKeyboard(event) {
  if (!coarsePointer.matches) return true;
  const covered = innerHeight - visualViewport.height * visualViewport.scale;
  return Boolean(event.code) && covered < SCREEN_KEYBOARD_PX;
}

customElements.define("bw-composer", Composer);
