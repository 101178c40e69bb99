/** One conversation: its head, its messages, and where one writes. */

import { avatar, fill, h, icon, iconButton, trying } from "../shared/dom.js";
import { View, part } from "../shared/view.js";
import { nameOf, partnerOf, plural, titleOf } from "../shared/format.js";
import "./messages.js";
import "./composer.js";

const READ_AFTER_MS = 250;

class Chat extends View {
  show() {
    const { store } = this;
    this.thread = store.thread(this.conversation);
    this.head = h("header.bar.chat-head");
    this.typing = h("p.typing", { role: "status" });
    this.messages = part("bw-messages", { store, thread: this.thread, target: this.message, unreadFrom: this.#unreadFrom() });
    this.composer = part("bw-composer", { store, conversation: this.conversation });
    fill(this, this.head, this.messages, this.typing, this.composer);
    this.on(store, "conversations presence people", () => this.#drawHead());
    this.on(store, "typing", (id) => id === this.conversation && this.#drawTyping());
    this.on(store, "conversations thread", (id) => id === this.conversation && this.#read());
    this.on(window, "focus", () => this.#read());
    this.on(this, "reply", (message) => this.composer.replyTo(message));
    this.on(this, "edit", (message) => this.composer.edit(message));
    this.on(this, "edit-last", () => this.#editLast());
    this.on(this, "atend", () => this.#read());
    this.on(this, "posted", () => this.messages.toEnd());
    this.#drawHead();
    this.#drawTyping();
    if (matchMedia("(pointer: fine)").matches) this.composer.focus();
  }

  get about() {
    return this.store.conversations.get(this.conversation);
  }

  /** The read mark when it was opened, if there is something new: where the marker stands. */
  #unreadFrom() {
    const mine = this.about.members.find((member) => member.user.id === this.store.me.id);
    return this.about.unread ? (mine?.read ?? 0) : null;
  }

  #drawHead() {
    const { about, store } = this;
    if (!about) return;
    const partner = partnerOf(about, store.me);
    const title = titleOf(about, store.me);
    const online = partner ? Boolean(store.online.get(partner.id)) : null;
    const here = about.members.filter(({ user }) => user.id === store.me.id || store.online.get(user.id)).length;
    const members = plural(about.members_count ?? about.members.length, "member");
    const more = async () => {
      const { aboutConversation } = await import("./people.js");
      await trying(() => aboutConversation(store, about));
    };
    fill(
      this.head,
      h("a.icon-button.back", { href: "#/conversations", "aria-label": "Back to the list" }, icon("back")),
      avatar(title, partner?.id ?? about.id, online),
      h("div.grow", {}, h("h1", {}, title), h("p.quiet", {}, partner ? (online ? "Online" : "Offline") : `${members}, ${here} online`)),
      about.kind === "group" && iconButton("people", "Members and title", more),
    );
  }

  #drawTyping() {
    const names = [...(this.store.typing.get(this.conversation)?.keys() ?? [])].map((id) => nameOf(this.store.person(id)));
    const who = names.length > 2 ? `${names.length} people` : names.join(" and ");
    this.typing.textContent = names.length ? `${who} ${names.length > 1 ? "are" : "is"} typing…` : "";
  }

  /** What one has seen is read: soon, once, and only if somebody looks. */
  #read() {
    clearTimeout(this.reading);
    this.reading = setTimeout(() => {
      const last = this.about?.last_message;
      if (!last || !document.hasFocus() || document.hidden || !this.messages.atEnd) return;
      this.store.read(this.about, Math.max(last.id, this.thread.last?.id ?? 0));
    }, READ_AFTER_MS);
  }

  #editLast() {
    const last = this.thread.pages.flat().findLast((message) => message.sender === this.store.me.id && !message.deleted_at);
    if (last) this.composer.edit(last);
  }
}

customElements.define("bw-chat", Chat);
