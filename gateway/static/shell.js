/** The frame of the page: the main navigation, the list of conversations, and the view for the current address. */

import { View, createView, errorText, fill, h, icon, loadError } from "./shared/dom.js";
import { guard, report } from "./shared/failures.js";
import { titleOf } from "./shared/format.js";
import { t } from "./shared/words.js";
import { Store } from "./chat/store.js";
import "./chat/conversations.js";
import "./chat/chat.js";

/** Section and icon. */
const SECTIONS = [
  ["conversations", "chats"],
  ["posts", "posts"],
  ["notifications", "bell"],
  ["admin", "admin"],
  ["settings", "settings"],
];
/** Modules that are loaded when their section is opened for the first time. */
const LOADERS = {
  posts: () => import("./community/posts.js"),
  groups: () => import("./community/posts.js"),
  notifications: () => import("./account/notifications.js"),
  settings: () => import("./account/settings.js"),
  admin: () => import("./admin/admin.js"),
};
const MAX_ANNOUNCED = 5; // messages in the live region, which screen readers read

export class Shell extends View {
  render() {
    this.store = new Store(this.bell);
    this.links = SECTIONS.map(([section, iconName]) => this.#link(section, t(`section.${section}`), iconName));
    this.list = createView("bw-conversations", { store: this.store });
    this.view = h("div.view", { tabindex: "-1" });
    fill(
      this,
      h("nav.rail", { "aria-label": t("shell.main") }, this.links),
      h("main", { id: "main" }, this.list, this.view),
    );
    this.listen(document.querySelector(".skip"), "click", (_, event) => {
      event.preventDefault();
      this.view.focus();
    });
    this.listen(window, "hashchange", () => this.navigate());
    this.listen(this.store, "me conversations notifications", () => this.#showCounts());
    this.listen(this.store, "message", (message) => this.#announce(message));
    this.listen(this.bell, "signedout", () => this.lifetime.abort());
    this.#followEvents();
  }

  #link(section, label, iconName) {
    const badge = h("span.badge", { hidden: true });
    const props = { href: `#/${section}`, "data-section": section, title: label };
    return h("a", props, icon(iconName), h("span.label", {}, label), badge);
  }

  /** Apply events to the store while the page is open. Nothing is shown before the first state has arrived. */
  async #followEvents() {
    const { signal } = this.lifetime;
    try {
      for await (const { state, events } of this.bell.batches({ shared: true, follow: "posts", signal })) {
        if (state) this.store.reset(state);
        for (const event of events) guard("event", () => this.store.apply(event)); // the next ones are shown nevertheless
        if (state) this.navigate();
      }
    } catch (error) {
      if (!signal.aborted) this.leave(error.status === 401 ? "" : errorText(error));
    }
  }

  /** Show the view for the current address. A view that is already shown is not rendered again. */
  async navigate() {
    if (!this.store.me) return;
    const path = location.hash.match(/^#\/(.*)/)?.[1] ?? "";
    const [page = "conversations", ...rest] = path.split("/").filter(Boolean);
    const section = page === "groups" ? "posts" : page;
    this.dataset.section = section;
    this.dataset.pane = section === "conversations" && !rest.length ? "list" : "view";
    for (const link of this.links) {
      if (link.dataset.section === section) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.list.selected = section === "conversations" ? Number(rest[0]) : 0;
    const isKnown = page === "conversations" ? this.store.conversations.has(Number(rest[0])) : "";
    const address = `${page}/${rest.join("/")}/${isKnown}`;
    if (address === this.address) return;
    this.address = address;
    try {
      await LOADERS[page]?.();
      if (address === this.address) this.#show(page, rest);
    } catch (error) {
      this.#showFailure(address, error);
    }
  }

  /** Say that a section could not be loaded. Browsers remember that of a module, so trying again loads the page anew. */
  #showFailure(address, error) {
    if (address !== this.address) return;
    this.address = "";
    report("section", error);
    fill(this.view, loadError(error, () => location.reload()));
  }

  #show(page, [id, detail]) {
    const { store } = this;
    if (page === "conversations" && id) fill(this.view, this.#chat(Number(id), Number(detail)));
    else if (LOADERS[page])
      fill(this.view, createView(`bw-${page}`, { store, item: id, detail, leave: this.leave }));
    else fill(this.view, this.#welcome());
    this.#showCounts();
  }

  #chat(id, message) {
    const { store } = this;
    if (store.conversations.has(id)) return createView("bw-chat", { store, conversation: id, message });
    store.fetch(id).then(() => store.conversations.has(id) && this.navigate());
    return h("p.empty", {}, t("conversation.unknown"));
  }

  #welcome() {
    const greeting = h("h1", {}, t("welcome.hello", { name: this.store.me.display_name }));
    return h(
      "div.empty.welcome",
      {},
      icon("chats"),
      greeting,
      h("p", {}, t("welcome.choose")),
    );
  }

  #showCounts() {
    const { store } = this;
    const counts = { conversations: store.unread, notifications: store.unreadNotifications };
    for (const link of this.links) {
      const badge = link.querySelector(".badge");
      const count = counts[link.dataset.section] ?? 0;
      badge.hidden = !count;
      fill(badge, count > 99 ? "99+" : String(count), h("span.hidden", {}, ` ${t("badge.unread")}`));
      if (link.dataset.section === "admin") link.hidden = store.me?.role !== "admin";
    }
    const conversation = store.conversations.get(this.list.selected);
    const unread = counts.conversations + counts.notifications;
    const title = conversation ? `${titleOf(conversation, store.me)} – ` : "";
    document.title = `${unread ? `(${unread}) ` : ""}${title}Bellwire`;
    if (this.list.selected && !conversation && this.view.querySelector("bw-chat")) this.navigate();
  }

  /** Let screen readers read new messages of other users. */
  #announce(message) {
    if (message.sender === this.store.me.id) return;
    const region = document.querySelector("#announcer");
    region.append(h("p", {}, `${this.store.person(message.sender).display_name}: ${message.body}`));
    while (region.children.length > MAX_ANNOUNCED) region.firstChild.remove();
  }
}
