/** The list of conversations, and the search over people and messages. */

import { avatar, fill, h, icon, iconButton, soon, trying } from "../shared/dom.js";
import { View } from "../shared/view.js";
import { exactly, nameOf, partnerOf, plural, shortly, titleOf } from "../shared/format.js";

const SHOWN = 100;
const SEARCH_AFTER_MS = 200;

class Conversations extends View {
  #chosen = 0;

  show() {
    this.setAttribute("role", "region");
    this.setAttribute("aria-label", "Conversations");
    this.shown = SHOWN;
    const search = h("input", { type: "search", placeholder: "Search people and messages", "aria-label": "Search people and messages", oninput: () => this.#search(search.value) });
    const fresh = iconButton("new", "New conversation", () => this.#begin());
    this.items = h("ul.conversations");
    this.found = h("div.found", { role: "region", "aria-label": "Search results", "aria-live": "polite", hidden: true });
    fill(this, h("h1.hidden", {}, "Chats"), h("header.bar", {}, h("label.search", {}, icon("search"), search), fresh), this.found, h("div.scroll", { tabindex: "-1" }, this.items));
    this.searchField = search;
    this.draw = soon(() => this.#draw());
    this.on(this.store, "conversations presence typing thread people", this.draw);
    this.on(this, "keydown", (_, event) => this.#keys(event));
    this.timer = setInterval(this.draw, 60_000); // times of day
    this.ended.signal.addEventListener("abort", () => clearInterval(this.timer));
  }

  set chosen(id) {
    this.#chosen = id;
    this.draw?.();
  }

  get chosen() {
    return this.#chosen;
  }

  #draw() {
    const { store } = this;
    if (!store.me) return;
    const all = store.ordered();
    const focused = document.activeElement?.closest?.("[data-conversation]")?.dataset.conversation;
    const rows = all.slice(0, this.shown).map((one) => this.#row(one));
    const more = all.length > this.shown && h("li", {}, h("button.link", { onclick: () => ((this.shown += SHOWN), this.draw()) }, "Show more"));
    const none = h("li.empty", {}, h("p", {}, "Nobody yet."), h("button.primary", { onclick: () => this.#begin() }, "Write to somebody"));
    fill(this.items, rows.length ? rows : none, more);
    if (focused) this.items.querySelector(`[data-conversation="${focused}"]`)?.focus();
  }

  #row(one) {
    const { store } = this;
    const partner = partnerOf(one, store.me);
    const title = titleOf(one, store.me);
    const unread = one.unread > 0;
    return h(
      `li${unread ? ".unread" : ""}`,
      {},
      h(
        "a",
        { href: `#/conversations/${one.id}`, "data-conversation": String(one.id), "aria-current": one.id === this.#chosen && "page" },
        avatar(title, partner?.id ?? one.id, partner ? Boolean(store.online.get(partner.id)) : null),
        h("span.title", {}, title),
        one.last_message && h("time", { datetime: one.last_message.created_at, title: exactly(one.last_message.created_at) }, shortly(one.last_message.created_at)),
        h("span.preview", {}, this.#preview(one)),
        unread && h("span.badge", {}, one.unread > 99 ? "99+" : String(one.unread), h("span.hidden", {}, " unread")),
      ),
    );
  }

  #preview(one) {
    const { store } = this;
    const typing = [...(store.typing.get(one.id)?.keys() ?? [])];
    if (typing.length) return h("em", {}, `${nameOf(store.person(typing[0]))} is typing…`);
    const out = [...store.outbox.values()].findLast((each) => each.conversation === one.id);
    if (out) return `${out.failed ? "Not sent" : "Sending"}: ${out.body}`;
    const draft = one.id !== this.#chosen && localStorage.getItem(`bellwire:draft:${store.me.id}:${one.id}`);
    if (draft) return [h("em.draft", {}, "Draft: "), draft.slice(0, 100)];
    const last = one.last_message;
    if (!last) return "No messages yet";
    if (last.deleted_at) return h("em", {}, "Message deleted");
    const who = last.sender === store.me.id ? "You: " : one.kind === "group" ? `${nameOf(store.person(last.sender))}: ` : "";
    return who + last.body.slice(0, 100);
  }

  async #begin() {
    const { beginConversation } = await import("./people.js");
    await trying(() => beginConversation(this.store));
  }

  /** Arrow keys go through the list; Escape leaves the search. */
  #keys(event) {
    if (event.key === "Escape" && this.searchField.value) {
      this.searchField.value = "";
      this.#search("");
    }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const links = [...this.querySelectorAll(this.found.hidden ? ".conversations a" : ".found a, .found button")];
    const next = links[links.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
    event.preventDefault();
    (next ?? this.searchField).focus();
  }

  #search(text) {
    clearTimeout(this.searching);
    this.found.hidden = !text.trim();
    this.items.parentElement.hidden = !this.found.hidden;
    if (!this.found.hidden) this.searching = setTimeout(() => trying(() => this.#find(text.trim())), SEARCH_AFTER_MS);
  }

  async #find(q) {
    const { bell, conversations, me } = this.store;
    const options = { query: { q, limit: 20 } };
    const [people, messages] = await Promise.all([bell.call("GET", "/users", null, options), bell.call("GET", "/search/messages", null, options)]);
    if (this.searchField.value.trim() !== q) return;
    const named = [...conversations.values()].filter((one) => one.title?.toLowerCase().includes(q.toLowerCase())).slice(0, 5);
    fill(
      this.found,
      this.#section("Conversations", named.map((one) => this.#hit(`#/conversations/${one.id}`, titleOf(one, me), plural(one.members_count ?? one.members.length, "member")))),
      this.#section("People", people.items.filter((user) => user.id !== me.id).map((user) => this.#person(user))),
      this.#section("Messages", messages.items.map((one) => this.#message(one))),
      !named.length && !people.items.length && !messages.items.length && h("p.empty", {}, `Nothing found for “${q}”.`),
    );
  }

  #section(title, rows) {
    return rows.length ? [h("h2", {}, title), h("ul", {}, rows.map((row) => h("li", {}, row)))] : null;
  }

  #hit(href, title, text) {
    return h("a", { href }, h("span.title", {}, title), h("span.preview", {}, text));
  }

  #person(user) {
    const open = async () => {
      const { openWith } = await import("./people.js");
      await trying(() => openWith(this.store, user.id));
    };
    return h("button.hit", { onclick: open }, avatar(nameOf(user), user.id), h("span.title", {}, nameOf(user)), h("span.preview", {}, `@${user.username}`));
  }

  #message(one) {
    const { store } = this;
    const conversation = store.conversations.get(one.conversation);
    const place = conversation ? (conversation.kind === "direct" ? " with " : " in ") + titleOf(conversation, store.me) : "";
    const who = one.sender === store.me.id ? "You" : nameOf(store.person(one.sender));
    return this.#hit(`#/conversations/${one.conversation}/${one.id}`, `${who}${place} · ${shortly(one.created_at)}`, one.body.slice(0, 140));
  }
}

customElements.define("bw-conversations", Conversations);
