/** One conversation: its header, its messages, and the composer. */

import { View, avatar, createView, fill, fillKeyed, h, icon, iconButton, toastErrors } from "../shared/dom.js";
import { formatUntil, handleOf, nameOf, partnerOf, titleOf } from "../shared/format.js";
import { load } from "../shared/load.js";
import { listed, number, t } from "../shared/words.js";
import "./messages.js";
import { PAGE_SIZE } from "./thread.js";
import "./composer.js";

const READ_AFTER_MS = 300; // marks are sent together while one scrolls

/**
 * Properties: `store`, `conversation` (an id), `message` (the id of a message to go to, if any) and `isEmbedded`: it is
 * part of another page, and takes no focus by itself.
 */
class Chat extends View {
  render() {
    const { store } = this;
    this.header = h("header.bar.chat-head", { part: "header" });
    this.typing = h("p.typing", { role: "status" });
    this.messages = this.#openThread();
    this.composer = createView("bw-composer", { store, conversation: this.conversation, part: "composer" });
    fill(this, this.header, this.messages, this.typing, this.composer);
    const isOwn = (id) => id === this.conversation;
    this.listen(store, "conversations presence people", () => this.#drawHeader());
    this.listen(store, "typing", (id) => isOwn(id) && this.#drawTyping());
    this.listen(this, "reply", (message) => this.composer.replyTo(message));
    this.listen(this, "edit", (message) => this.composer.edit(message));
    this.listen(this, "edit-last", () => this.#editLast());
    this.listen(this, "seen", (id) => this.#markRead(id));
    this.listen(this, "mark-unread", (message) => this.#markUnread(message));
    this.listen(store, "unread", ({ conversation, message }) => isOwn(conversation) && this.#showUnread(message));
    this.listen(this, "dragover drop", (_, event) => this.composer.onFiles(event));
    this.lifetime.signal.addEventListener("abort", () => this.#sendReadMark());
    this.listen(this, "posted", () => this.messages.toEnd());
    this.#drawHeader();
    this.#drawTyping();
    if (!this.isEmbedded && matchMedia("(pointer: fine)").matches) this.composer.focus();
  }

  #openThread() {
    const { store } = this;
    this.readUpTo = store.readMark(this.details);
    const isFar = this.details.unread > PAGE_SIZE; // the first unread message is not among the newest
    this.thread = store.thread(this.conversation, this.message || (isFar ? Math.max(this.readUpTo, 1) : null));
    return createView("bw-messages", {
      store,
      thread: this.thread,
      target: this.message,
      unreadFrom: this.details.unread ? this.readUpTo : null,
    });
  }

  /** The chat with a person has become a conversation: what is being written stays. */
  begin(id) {
    this.conversation = this.composer.conversation = id;
    this.composer.tray?.keep();
    const messages = this.#openThread();
    this.messages.replaceWith(messages);
    this.messages = messages;
    this.#drawHeader();
  }

  get details() {
    return this.store.conversations.get(this.conversation);
  }

  #drawHeader() {
    const { details, store } = this;
    if (!details) return;
    const partner = partnerOf(details, store.me);
    const title = titleOf(details, store.me);
    // Who has no conversation with somebody is not told whether they are online.
    const known = partner && (details.id > 0 || store.online.has(partner.id));
    const online = known ? Boolean(store.online.get(partner.id)) : null;
    const openPeople = () => toastErrors(async () => openAbout(await load("chat/people.js")));
    const openAbout = ({ openMembersDialog, openPersonCard }) =>
      partner ? openPersonCard(store, partner, { canWrite: false }) : openMembersDialog(store, this.details);
    const label = partner ? t("chat.about", { name: title }) : t("chat.members-and-title");
    const presence = known ? t(online ? "chat.online" : "chat.offline") : partner && handleOf(partner);
    const subtitle = (store.blocked.has(partner?.id) ? t("chat.blocked") : presence) || this.#membersText();
    const isMuted = store.levelOf(details) === "none";
    const until = isMuted && details.level_until;
    const levelLabel = until ? t("chat.muted-until", { time: formatUntil(until) }) : t(isMuted ? "chat.muted" : "chat.notices");
    const choose = ({ currentTarget: button }) =>
      toastErrors(async () => (await load("chat/level.js")).chooseLevel(store, this.details, button));
    const levelButton = () => iconButton(isMuted ? "muted" : "bell", levelLabel, choose, { "aria-haspopup": "menu" });
    const back = { href: "#/conversations", "aria-label": t("chat.back") };
    const text = () => h("div.grow", {}, h("h1", { dir: "auto" }, title), h("p.quiet", {}, subtitle));
    const parts = [
      ["back", "", () => h("a.icon-button.back", back, icon("back"))],
      ["avatar", `${title} ${online}`, () => avatar(title, partner?.id ?? details.id, online)],
      ["text", `${title}\n${subtitle}`, text],
      details.id > 0 && ["level", levelLabel, levelButton],
      (partner || details.kind === "group") && ["people", label, () => iconButton("people", label, openPeople)],
    ];
    const keyed = { key: ([key]) => key, version: ([, version]) => version, draw: ([, , draw]) => draw() };
    fillKeyed(this.header, parts.filter(Boolean), keyed); // its buttons keep the focus
  }

  #membersText() {
    const { members, members_count } = this.details;
    const { me, online } = this.store;
    // Whether the members of a large group are online is not told, but for those of other conversations.
    if (members_count > members.length) return t("conversation.members", { n: members_count });
    const present = members.filter(({ user }) => user.id === me.id || online.get(user.id)).length;
    return t("chat.members", { n: members_count ?? members.length, online: number(present) });
  }

  #drawTyping() {
    const users = [...(this.store.typing.get(this.conversation)?.keys() ?? [])];
    const names = users.map((id) => nameOf(this.store.person(id)));
    const key = names.length > 2 ? "chat.many-typing" : "chat.typing";
    this.typing.textContent = names.length ? t(key, { n: names.length, names: listed(names) }) : "";
  }

  /** Move the read mark to a message that was seen. */
  #markRead(message) {
    this.seen = message;
    this.readTimer ??= setTimeout(() => this.#sendReadMark(), READ_AFTER_MS);
  }

  async #markUnread(message) {
    this.#sendReadMark();
    const { readUpTo } = this;
    this.#skipRead();
    const isMarked = await toastErrors(() => this.store.markUnread(this.details, message.id));
    if (!isMarked) this.readUpTo = readUpTo;
  }

  /** The messages after one were marked as unread, here or on another device. */
  #showUnread(message) {
    this.#skipRead();
    this.messages.markFrom(message);
  }

  /** What is there now is read again on the next visit; what comes later, when it is seen. */
  #skipRead() {
    this.readUpTo = this.details.last_message?.id ?? 0;
  }

  #sendReadMark() {
    clearTimeout(this.readTimer);
    this.readTimer = null;
    if (!this.details || !(this.seen > this.readUpTo)) return;
    this.readUpTo = this.seen;
    this.store.markRead(this.details, this.seen);
  }

  #editLast() {
    const isEditable = (message) => message.sender === this.store.me.id && !message.deleted_at;
    const last = this.thread.pages.flat().findLast(isEditable);
    if (last) this.composer.edit(last);
  }
}

customElements.define("bw-chat", Chat);
