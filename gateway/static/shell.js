/** The frame: where one can go, the list of conversations beside, and what the address asks for. */

import { fill, h, icon } from "./shared/dom.js";
import { Store } from "./chat/store.js";
import { View, part } from "./shared/view.js";
import { titleOf } from "./shared/format.js";
import "./chat/conversations.js";
import "./chat/chat.js";

const SECTIONS = [
  ["conversations", "Chats", "chats"],
  ["posts", "Posts", "posts"],
  ["notifications", "Notifications", "bell"],
  ["admin", "Admin", "admin"],
  ["settings", "Settings", "settings"],
];
/** What is loaded when somebody goes there. */
const PARTS = {
  posts: () => import("./community/posts.js"),
  groups: () => import("./community/posts.js"),
  notifications: () => import("./account/notifications.js"),
  settings: () => import("./account/settings.js"),
  admin: () => import("./admin/admin.js"),
};

export class Shell extends View {
  show() {
    this.store = new Store(this.bell);
    this.links = SECTIONS.map(([where, label, name]) => this.#link(where, label, name));
    this.list = part("bw-conversations", { store: this.store });
    this.view = h("div.view", { tabindex: "-1" });
    fill(this, h("nav.rail", { "aria-label": "Main" }, this.links), h("main", { id: "main" }, this.list, this.view));
    this.on(document.querySelector(".skip"), "click", (_, event) => (event.preventDefault(), this.view.focus()));
    this.on(window, "hashchange", () => this.go());
    this.on(this.store, "me conversations notifications", () => this.#count());
    this.on(this.store, "heard", (message) => this.#announce(message));
    this.on(this.bell, "signedout", () => this.ended.abort());
    this.#listen();
  }

  #link(where, label, name) {
    return h("a", { href: `#/${where}`, "data-where": where, title: label }, icon(name), h("span.label", {}, label), h("span.badge", { hidden: true }));
  }

  /** Applies the events for as long as the page is open. Until the first state is here there is nothing to show. */
  async #listen() {
    try {
      for await (const { state, events } of this.bell.batches({ shared: true, follow: "posts", signal: this.ended.signal })) {
        if (state) this.store.begin(state);
        for (const event of events) this.store.apply(event);
        if (state) this.go();
      }
    } catch (error) {
      if (!this.ended.signal.aborted) this.leave(error.status === 401 ? "" : error.message);
    }
  }

  /** Shows what the address asks for, which stays as it is when it is shown already. */
  async go() {
    if (!this.store.me) return;
    const [where = "conversations", ...rest] = (location.hash.match(/^#\/(.*)/)?.[1] ?? "").split("/").filter(Boolean);
    const section = where === "groups" ? "posts" : where;
    this.dataset.section = section;
    this.dataset.pane = section === "conversations" && !rest.length ? "list" : "view";
    for (const link of this.links) link.toggleAttribute("aria-current", link.dataset.where === section);
    this.list.chosen = section === "conversations" ? Number(rest[0]) : 0;
    const address = `${where}/${rest.join("/")}/${where === "conversations" ? this.store.conversations.has(Number(rest[0])) : ""}`;
    if (address === this.address) return;
    this.address = address;
    await PARTS[where]?.();
    if (address === this.address) this.#show(where, rest);
  }

  #show(where, [id, more]) {
    const { store } = this;
    if (where === "conversations" && id) fill(this.view, this.#chat(Number(id), Number(more)));
    else if (PARTS[where]) fill(this.view, part(`bw-${where}`, { store, item: id, more, leave: this.leave }));
    else fill(this.view, h("div.empty.welcome", {}, icon("chats"), h("h1", {}, `Hello, ${store.me.display_name}`), h("p", {}, "Choose a conversation, or begin one.")));
    this.#count();
  }

  #chat(id, message) {
    const { store } = this;
    if (store.conversations.has(id)) return part("bw-chat", { store, conversation: id, message });
    store.fetch(id).then(() => store.conversations.has(id) && this.go());
    return h("p.empty", {}, "There is no such conversation, or you are not in it.");
  }

  #count() {
    const { store } = this;
    const counts = { conversations: store.unread, notifications: store.unreadNotifications };
    for (const link of this.links) {
      const badge = link.querySelector(".badge");
      const count = counts[link.dataset.where] ?? 0;
      badge.hidden = !count;
      fill(badge, count > 99 ? "99+" : String(count), h("span.hidden", {}, " unread"));
      if (link.dataset.where === "admin") link.hidden = store.me?.role !== "admin";
    }
    const open = store.conversations.get(this.list.chosen);
    const unread = counts.conversations + counts.notifications;
    document.title = `${unread ? `(${unread}) ` : ""}${open ? `${titleOf(open, store.me)} – ` : ""}Bellwire`;
    if (this.list.chosen && !open && this.view.querySelector("bw-chat")) this.go();
  }

  /** Reads out what others write. */
  #announce(message) {
    if (message.sender === this.store.me.id) return;
    const place = document.querySelector("#heard");
    place.append(h("p", {}, `${this.store.person(message.sender).display_name}: ${message.body}`));
    while (place.children.length > 5) place.firstChild.remove();
  }
}
