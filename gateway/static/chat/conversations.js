/** The list of conversations, and the search for people and messages. */

import {
  View,
  avatar,
  fill,
  fillKeyed,
  h,
  icon,
  iconButton,
  oncePerFrame,
  setPresence,
  toastErrors,
} from "../shared/dom.js";
import { excerptAround, formatDateTime, formatShort, handleOf, nameOf, partnerOf, placeOf, titleOf } from "../shared/format.js";
import "../shared/icons.js";
import { load } from "../shared/load.js";
import { firstMark, folded, marked } from "../shared/matching.js";
import { messageDraft } from "../shared/storage.js";
import { listed, t } from "../shared/words.js";
import { beginning, namesOf, stripped, summary } from "./markup.js";

const PAGE_SIZE = 100;
const PREVIEW_CHARACTERS = 100;
const HIT_CHARACTERS = 140;
const CLICK_WITHIN_MS = 100; // of the end of a press
const SEARCH_AFTER_MS = 200;
const REDRAW_EVERY_MS = 60_000; // for the times in the list
const MAX_FOUND_CONVERSATIONS = 5;
const MESSAGES_PER_SEARCH = 20;

class Conversations extends View {
  #selected = 0;

  render() {
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", t("conversation.list"));
    this.limit = PAGE_SIZE;
    this.searchField = h("input", {
      type: "search",
      placeholder: t("search.label"),
      "aria-label": t("search.label"),
      oninput: () => this.#onSearch(),
    });
    this.items = h("ul.conversations");
    const label = t("search.results");
    const results = { role: "region", "aria-label": label, "aria-live": "polite", hidden: true };
    this.results = h("div.found", results);
    const search = h("label.search", {}, icon("search"), this.searchField);
    const start = iconButton("new", t("conversation.new"), () => this.#start());
    fill(
      this,
      h("h1.hidden", {}, t("section.conversations")),
      h("header.bar", {}, search, start),
      this.results,
      h("div.scroll", { tabindex: "-1" }, this.items),
    );
    this.described = new Map(); // conversation -> item of fillKeyed, until something of it changes
    this.drawSoon = oncePerFrame(() => this.isPressed || this.#draw());
    this.#waitForPresses();
    this.listen(this.store, "conversations typing thread", (id) => this.draw(id));
    this.listen(this.store, "people", () => this.draw());
    this.listen(this.store, "presence", (user) => this.#drawPresence(user));
    this.listen(this, "keydown", (_, event) => this.#onKey(event));
    const timer = setInterval(() => this.store.emit("conversations"), REDRAW_EVERY_MS); // also for levels that end
    this.lifetime.signal.addEventListener("abort", () => clearInterval(timer));
    this.draw(); // the store may have its state already
  }

  /** The id of the open conversation, or 0. */
  get selected() {
    return this.#selected;
  }

  set selected(id) {
    if (id === this.#selected) return;
    for (const changed of [this.#selected, (this.#selected = id)]) this.draw(changed);
  }

  /** Draw what has changed of one conversation, or of all, before the next frame. */
  draw(id = undefined) {
    if (id === undefined) this.described?.clear();
    else this.described?.delete(id);
    this.drawSoon?.();
  }

  /** A row that moves, or is drawn again, while it is pressed would not be clicked: drawing waits for the click. */
  #waitForPresses() {
    const end = () => {
      if (!this.isPressed) return;
      this.isPressed = false;
      this.drawSoon();
    };
    this.listen(this.items, "pointerdown", (_, event) => (this.isPressed = event.button === 0));
    this.listen(this.items, "click", end);
    this.listen(window, "pointerup pointercancel blur", () => setTimeout(end, CLICK_WITHIN_MS));
  }

  #draw() {
    const { store } = this;
    if (!store.me) return;
    const all = store.ordered();
    const rows = all.slice(0, this.limit).map((conversation) => this.#item(conversation));
    const lost = store.lost.map((id) => this.#lostItem(id));
    const items = [...lost, ...rows];
    if (!items.length) items.push({ key: "none", version: "", draw: () => this.#noConversations() });
    if (all.length > this.limit) items.push({ key: "more", version: "", draw: () => this.#moreButton() });
    fillKeyed(this.items, items, {
      key: (item) => item.key,
      version: (item) => item.version,
      draw: (item) => item.draw(),
    });
  }

  /** Change the presence dots of one user, or of all, in place. */
  #drawPresence(user) {
    const which = user ? `[data-partner="${user}"]` : "[data-partner]";
    for (const row of this.items.querySelectorAll(which)) {
      setPresence(row.querySelector(".dot"), Boolean(this.store.online.get(Number(row.dataset.partner))));
    }
  }

  #noConversations() {
    const start = h("button.primary", { onclick: () => this.#start() }, t("conversation.write"));
    return h("li.empty", {}, h("p", {}, t("conversation.none")), start);
  }

  #moreButton() {
    const onclick = () => {
      this.limit += PAGE_SIZE;
      this.draw();
    };
    return h("li", {}, h("button.link", { onclick }, t("conversation.show-more")));
  }

  /** The row of a conversation that the user is no longer in, and has unsent messages for. */
  #lostItem(id) {
    const text = summary(this.store.unsent(id).at(-1), PREVIEW_CHARACTERS);
    const title = t("conversation.left");
    const shown = { title, at: null, unread: 0, preview: { text: t("conversation.not-sent", { text }) } };
    return this.#itemOf(id, { ...shown, isOpen: id === this.#selected });
  }

  #item(conversation) {
    const known = this.described.get(conversation.id);
    if (known) return known;
    const item = this.#itemOf(conversation.id, this.#describe(conversation));
    this.described.set(conversation.id, item);
    return item;
  }

  #describe(conversation) {
    const { store } = this;
    const { id, unread, last_message: last } = conversation;
    return {
      title: titleOf(conversation, store.me),
      partner: partnerOf(conversation, store.me)?.id,
      at: last && last.created_at,
      time: last && formatShort(last.created_at),
      unread,
      mentions: conversation.mentions_unread,
      isMuted: store.levelOf(conversation) === "none",
      isOpen: id === this.#selected,
      preview: this.#preview(conversation),
    };
  }

  /** `shown` is all that is drawn of a conversation. */
  #itemOf(id, shown) {
    return { key: id, version: JSON.stringify(shown), draw: () => this.#row(id, shown) };
  }

  #row(id, { title, partner, at, time, isOpen, preview, ...counts }) {
    const props = {
      href: id < 0 ? `#/people/${-id}` : `#/conversations/${id}`,
      "data-conversation": String(id),
      "data-partner": partner && String(partner),
      "aria-current": isOpen && "page",
    };
    const online = partner ? Boolean(this.store.online.get(partner)) : null;
    return h(
      `li${counts.unread > 0 ? ".unread" : ""}`,
      {},
      h(
        "a",
        props,
        avatar(title, partner ?? id, online),
        h("span.title", { dir: "auto" }, title),
        at && h("time", { datetime: at, title: formatDateTime(at) }, time),
        h("span.preview", { dir: "auto" }, previewElements(preview)),
        badges(counts),
      ),
    );
  }

  /**
   * The line below the title, {text, notice, draft}: who types, an unsent message, a draft, or the last message.
   */
  #preview(conversation) {
    const { store } = this;
    const { id, last_message: last } = conversation;
    const typing = [...(store.typing.get(id)?.keys() ?? [])];
    const typist = typing.length && nameOf(store.person(typing[0]));
    if (typist) return { notice: t("conversation.typing", { name: typist }) };
    const unsent = store.unsent(id).at(-1);
    if (unsent) {
      const text = summary(unsent, PREVIEW_CHARACTERS);
      return { text: t(`conversation.${unsent.failed ? "not-sent" : "sending"}`, { text }) };
    }
    const draft = id !== this.#selected && messageDraft(store.me.id, id).read();
    if (draft) return { draft: t("conversation.draft"), text: beginning(draft, PREVIEW_CHARACTERS) };
    if (!last) return { text: t("conversation.empty") };
    if (last.deleted_at) return { notice: t("conversation.deleted") };
    if (store.isFolded(last)) return { notice: t("message.blocked") };
    return { text: this.#lastText(conversation) };
  }

  #lastText({ kind, last_message: last }) {
    const { sender } = last;
    const text = summary(last, PREVIEW_CHARACTERS);
    if (sender === this.store.me.id) return t("conversation.last-own", { text });
    if (kind !== "group") return text;
    return t("conversation.last", { name: nameOf(this.store.person(sender)), text });
  }

  async #start() {
    await toastErrors(async () => {
      const { startConversation } = await load("chat/people.js");
      await startConversation(this.store);
    });
  }

  /** Arrow keys move through the list or the results; Escape clears the search. */
  #onKey(event) {
    if (event.key === "Escape" && this.searchField.value) {
      this.searchField.value = "";
      this.#onSearch();
    }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const selector = this.results.hidden ? ".conversations a" : ".found a, .found button";
    const links = [...this.querySelectorAll(selector)];
    const next = links[links.indexOf(this.getRootNode().activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
    event.preventDefault();
    (next ?? this.searchField).focus();
  }

  #onSearch() {
    clearTimeout(this.searchTimer);
    const text = this.searchField.value.trim();
    this.results.hidden = !text;
    this.items.parentElement.hidden = Boolean(text);
    if (text) this.searchTimer = setTimeout(() => toastErrors(() => this.#search(text)), SEARCH_AFTER_MS);
  }

  async #search(q) {
    const { bell, me } = this.store;
    const [people, messages] = await Promise.all([
      bell.call("GET", "/users", null, { query: { q, limit: 20 } }),
      this.#findMessages(q),
    ]);
    const { canBegin } = await load("shared/contacts.js");
    const canOpen = (await canBegin(this.store)) ? () => true : (user) => this.store.chatWith(user.id);
    if (this.searchField.value.trim() !== q) return;
    const titled = this.#titledLike(q);
    const others = people.items.filter((user) => user.id !== me.id && canOpen(user));
    const isEmpty = !titled.length && !others.length && !messages.items.length;
    fill(
      this.results,
      this.#section(
        t("search.conversations"),
        titled.map((conversation) => this.#foundConversation(conversation, q)),
      ),
      this.#section(
        t("search.people"),
        others.map((user) => this.#foundPerson(user, q)),
      ),
      this.#section(
        t("search.messages"),
        messages.items.map((message) => this.#foundMessage(message, q)),
      ),
      messages.next && this.#moreMessages(q, messages.next),
      isEmpty && h("p.empty", {}, t("search.nothing", { text: q })),
      h("p.quiet.center", {}, t("search.filters", { filters: listed(["from:ana", "in:crew", "before:2026-11"]) })),
    );
  }

  /** Conversations by their titles, or by the names of their members where they have none. */
  #titledLike(q) {
    const { me } = this.store;
    const text = folded(q);
    const isTitled = (conversation) => folded(titleOf(conversation, me)).includes(text);
    const groups = this.store.ordered().filter(({ kind }) => kind === "group"); // the others are found as people
    return groups.filter(isTitled).slice(0, MAX_FOUND_CONVERSATIONS);
  }

  /** A page of messages. One that took the server long may have none, and say where to go on. */
  async #findMessages(q, page = null) {
    const query = { q, limit: MESSAGES_PER_SEARCH, page };
    let found;
    do {
      found = await this.store.bell.call("GET", "/search/messages", null, { query });
      query.page = found.next;
    } while (!found.items.length && found.next && this.searchField.value.trim() === q);
    return found;
  }

  /** A button that adds the next page of messages above itself. */
  #moreMessages(q, page) {
    const onclick = () =>
      toastErrors(async () => {
        const found = await this.#findMessages(q, page);
        if (!button.isConnected) return;
        const rows = found.items.map((message) => h("li", {}, this.#foundMessage(message, q)));
        button.replaceWith(h("ul", {}, rows), ...(found.next ? [this.#moreMessages(q, found.next)] : []));
        rows[0]?.firstChild.focus();
      });
    const button = h("button.link.more", { onclick }, t("search.more"));
    return button;
  }

  #section(title, rows) {
    if (!rows.length) return null;
    return [
      h("h2", {}, title),
      h(
        "ul",
        {},
        rows.map((row) => h("li", {}, row)),
      ),
    ];
  }

  #foundLink(href, title, text, time = null) {
    const parts = [h("span.title", { dir: "auto" }, title), time && h("time", {}, time)];
    return h("a", { href }, parts, h("span.preview", { dir: "auto" }, text));
  }

  #foundConversation(conversation, q) {
    const { id, members, members_count } = conversation;
    const memberCount = t("conversation.members", { n: members_count ?? members.length });
    const title = marked(titleOf(conversation, this.store.me), q);
    return this.#foundLink(`#/conversations/${id}`, title, memberCount);
  }

  #foundPerson(user, q) {
    return h(
      "a.hit",
      { href: `#/people/${user.id}` },
      avatar(nameOf(user), user.id),
      h("span.title", { dir: "auto" }, marked(nameOf(user), q)),
      h("span.preview", {}, marked(handleOf(user), q)),
    );
  }

  #foundMessage({ id, conversation: conversationId, sender, created_at, body, marks, files }, q) {
    const { store } = this;
    const text = [files?.length > 0 && "📎 ", body ? hitElements(body, marks, q) : namesOf(files ?? [])];
    const title = placeOf(store, sender, conversationId);
    return this.#foundLink(`#/conversations/${conversationId}/${id}`, title, text, formatShort(created_at));
  }
}

/** The part of a message around the first word that was found. `marks` are the places of the words, for one that has filters. */
function hitElements(body, marks, q) {
  const letters = [...body];
  const words = marks?.map(([start, length]) => stripped(letters.slice(start, start + length).join("")));
  const found = words?.length ? [...new Set(words)].join(" ") : q;
  const text = stripped(body);
  return marked(excerptAround(text, firstMark(text, found), HIT_CHARACTERS), found);
}

/** A bell for a muted conversation, `@` where the user is mentioned, and the number of unread messages. */
function badges({ unread, mentions, isMuted }) {
  if (!unread && !isMuted) return null;
  const hidden = (key) => h("span.hidden", {}, ` ${t(key)}`);
  return h(
    "span.badges",
    {},
    isMuted && [icon("muted"), hidden("badge.muted")],
    mentions > 0 && h("span.at", { title: t("badge.mention") }, "@", hidden("badge.mention")),
    unread > 0 && h(`span.badge${isMuted ? ".grey" : ""}`, {}, unread > 99 ? "99+" : String(unread), hidden("badge.unread")),
  );
}

function previewElements({ notice, draft, text }) {
  return [notice && h("em", {}, notice), draft && [h("em.draft", {}, draft), " "], text];
}

customElements.define("bw-conversations", Conversations);
