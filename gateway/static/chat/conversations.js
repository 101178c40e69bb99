/** The list of conversations, and the search for people and messages. */

import { View, avatar, fill, h, icon, iconButton, oncePerFrame, toastErrors } from "../shared/dom.js";
import { formatShort, nameOf, partnerOf, timeElement, titleOf } from "../shared/format.js";
import { messageDraft } from "../shared/storage.js";
import { t } from "../shared/words.js";

const PAGE_SIZE = 100;
const SEARCH_AFTER_MS = 200;
const REDRAW_EVERY_MS = 60_000; // for the times in the list
const MAX_FOUND_CONVERSATIONS = 5;

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
    this.draw = oncePerFrame(() => this.#draw());
    this.listen(this.store, "conversations presence typing thread people", this.draw);
    this.listen(this, "keydown", (_, event) => this.#onKey(event));
    const timer = setInterval(this.draw, REDRAW_EVERY_MS);
    this.lifetime.signal.addEventListener("abort", () => clearInterval(timer));
  }

  /** The id of the open conversation, or 0. */
  get selected() {
    return this.#selected;
  }

  set selected(id) {
    this.#selected = id;
    this.draw?.();
  }

  #draw() {
    const { store } = this;
    if (!store.me) return;
    const all = store.ordered();
    const focused = document.activeElement?.closest?.("[data-conversation]")?.dataset.conversation;
    const rows = all.slice(0, this.limit).map((conversation) => this.#row(conversation));
    fill(
      this.items,
      rows.length ? rows : this.#noConversations(),
      all.length > this.limit && this.#moreButton(),
    );
    if (focused) this.items.querySelector(`[data-conversation="${focused}"]`)?.focus();
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

  #row(conversation) {
    const { store } = this;
    const { id, unread, last_message: last } = conversation;
    const partner = partnerOf(conversation, store.me);
    const title = titleOf(conversation, store.me);
    const isOpen = id === this.#selected && "page";
    const unreadLabel = h("span.hidden", {}, ` ${t("badge.unread")}`);
    return h(
      `li${unread > 0 ? ".unread" : ""}`,
      {},
      h(
        "a",
        { href: `#/conversations/${id}`, "data-conversation": String(id), "aria-current": isOpen },
        avatar(title, partner?.id ?? id, partner ? Boolean(store.online.get(partner.id)) : null),
        h("span.title", {}, title),
        last && timeElement(last.created_at),
        h("span.preview", {}, this.#preview(conversation)),
        unread > 0 && h("span.badge", {}, unread > 99 ? "99+" : String(unread), unreadLabel),
      ),
    );
  }

  /** The line below the title: typing, an unsent message, a draft, or the last message. */
  #preview(conversation) {
    const { store } = this;
    const { id, last_message: last } = conversation;
    const typing = [...(store.typing.get(id)?.keys() ?? [])];
    const typist = typing.length && nameOf(store.person(typing[0]));
    if (typist) return h("em", {}, t("conversation.typing", { name: typist }));
    const unsent = [...store.outbox.values()].findLast((message) => message.conversation === id);
    if (unsent) return t(`conversation.${unsent.failed ? "not-sent" : "sending"}`, { text: unsent.body });
    const draft = id !== this.#selected && messageDraft(store.me.id, id).read();
    if (draft) return [h("em.draft", {}, t("conversation.draft"), " "), draft.slice(0, 100)];
    if (!last) return t("conversation.empty");
    if (last.deleted_at) return h("em", {}, t("conversation.deleted"));
    return this.#lastText(conversation);
  }

  #lastText({ kind, last_message: { sender, body } }) {
    const text = body.slice(0, 100);
    if (sender === this.store.me.id) return t("conversation.last-own", { text });
    if (kind !== "group") return text;
    return t("conversation.last", { name: nameOf(this.store.person(sender)), text });
  }

  async #start() {
    const { startConversation } = await import("./people.js");
    await toastErrors(() => startConversation(this.store));
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
    const next = links[links.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
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
    const { bell, conversations, me } = this.store;
    const options = { query: { q, limit: 20 } };
    const [people, messages] = await Promise.all([
      bell.call("GET", "/users", null, options),
      this.#findMessages(options),
    ]);
    if (this.searchField.value.trim() !== q) return;
    const matches = (conversation) => conversation.title?.toLowerCase().includes(q.toLowerCase());
    const titled = [...conversations.values()].filter(matches).slice(0, MAX_FOUND_CONVERSATIONS);
    const others = people.items.filter((user) => user.id !== me.id);
    const isEmpty = !titled.length && !people.items.length && !messages.items.length;
    fill(
      this.results,
      this.#section(
        t("search.conversations"),
        titled.map((conversation) => this.#foundConversation(conversation)),
      ),
      this.#section(
        t("search.people"),
        others.map((user) => this.#foundPerson(user)),
      ),
      this.#section(
        t("search.messages"),
        messages.items.map((message) => this.#foundMessage(message)),
      ),
      isEmpty && h("p.empty", {}, t("search.nothing", { text: q })),
    );
  }

  /** The first page that has messages: one that took the server long may have none, and say where to go on. */
  async #findMessages({ query }) {
    let found = await this.store.bell.call("GET", "/search/messages", null, { query });
    while (!found.items.length && found.next && this.searchField.value.trim() === query.q) {
      found = await this.store.bell.call("GET", "/search/messages", null, { query: { ...query, page: found.next } });
    }
    return found;
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

  #foundLink(href, title, text) {
    return h("a", { href }, h("span.title", {}, title), h("span.preview", {}, text));
  }

  #foundConversation(conversation) {
    const { id, members, members_count } = conversation;
    const memberCount = t("conversation.members", { n: members_count ?? members.length });
    return this.#foundLink(`#/conversations/${id}`, titleOf(conversation, this.store.me), memberCount);
  }

  #foundPerson(user) {
    const onclick = async () => {
      const { openDirectConversation } = await import("./people.js");
      await toastErrors(() => openDirectConversation(this.store, user.id));
    };
    return h(
      "button.hit",
      { onclick },
      avatar(nameOf(user), user.id),
      h("span.title", {}, nameOf(user)),
      h("span.preview", {}, `@${user.username}`),
    );
  }

  #foundMessage({ id, conversation: conversationId, sender, created_at, body }) {
    const { store } = this;
    const conversation = store.conversations.get(conversationId);
    const name = sender === store.me.id ? t("people.you") : nameOf(store.person(sender));
    const values = { name, time: formatShort(created_at) };
    if (conversation) values.conversation = titleOf(conversation, store.me);
    const place = !conversation ? "elsewhere" : conversation.kind === "direct" ? "direct" : "group";
    const title = t(`search.message.${place}`, values);
    return this.#foundLink(`#/conversations/${conversationId}/${id}`, title, body.slice(0, 140));
  }
}

customElements.define("bw-conversations", Conversations);
