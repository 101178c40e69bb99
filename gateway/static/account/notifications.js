/** Notifications: what one was told, each a way to its place, and what one wants to hear of. */

import { fill, h, soon } from "../shared/dom.js";
import { View, part } from "../shared/view.js";
import { exactly, shortly, wordsOf } from "../shared/format.js";
import "./preferences.js";

const TABS = [["", "All"], ["unread", "Unread"], ["preferences", "Preferences"]];

/** Where a notification leads, if anywhere: announcements carry what an admin wrote there. */
function placeOf({ conversation, message, post, group }) {
  const given = (id) => Number.isSafeInteger(id);
  if (given(conversation)) return `#/conversations/${conversation}${given(message) ? `/${message}` : ""}`;
  if (given(post)) return `#/posts/${post}`;
  return given(group) ? `#/groups/${group}` : null;
}

class Notifications extends View {
  show() {
    const { store, item = "" } = this;
    const tabs = TABS.map(([where, text]) => h("a", { href: `#/notifications${where && `/${where}`}`, "aria-current": where === item && "page" }, text));
    const head = h("header.bar", {}, h("h1.hidden", {}, "Notifications"), h("nav.places", { "aria-label": "Notifications" }, tabs));
    if (item === "preferences") fill(this, head, h("div.column", {}, part("bw-preferences", { store })));
    else this.#list(head);
  }

  #list(head) {
    this.known = new Map(); // id -> NOTIFICATION
    this.unreadOnly = this.item === "unread";
    this.all = h("button.link", { type: "button", onclick: () => this.#readAll() }, "Mark all as read");
    this.list = h("ul.sheet.notices", { "aria-label": "Notifications" });
    this.problem = h("p.problem", { role: "alert", hidden: true });
    this.more = h("button.link", { type: "button", hidden: true, onclick: () => this.#load() }, "Show more");
    this.said = h("p.hidden", { role: "status" });
    fill(this, head, h("div.column", {}, h("div.row.end", {}, this.all), this.problem, this.list, h("p.center", {}, this.more), this.said));
    this.draw = soon(() => this.#draw());
    this.on(this.store, "notification", (told) => this.#heard(told));
    this.on(this.store, "notifications", () => this.#count());
    this.on(this.store, "me", () => this.#load(null)); // after a time without events
    this.#count();
    this.#load();
  }

  async #load(page = this.next) {
    const query = { unread: this.unreadOnly || null, page };
    const found = await this.#try(() => this.store.bell.call("GET", "/notifications", null, { query }));
    this.more.textContent = found ? "Show more" : "Try again";
    if (!found) this.more.hidden = false;
    if (!found || !this.isConnected) return;
    for (const one of found.items) this.known.set(one.id, one);
    if (page !== null) this.next = found.next;
    this.more.hidden = !this.next;
    this.#draw();
  }

  /** A NOTIFICATION that is new or grew; or which ones were read. */
  #heard(told) {
    if (told.id) {
      this.known.set(told.id, told);
      this.said.textContent = told.title;
    } else for (const one of this.known.values()) if (told.all || told.ids.includes(one.id)) one.read_at ??= new Date().toISOString();
    this.draw();
  }

  #count() {
    this.all.disabled = !this.store.unreadNotifications;
  }

  #draw() {
    const focused = document.activeElement?.closest?.("[data-notification]")?.dataset.notification;
    const shown = [...this.known.values()].filter((one) => !this.unreadOnly || !one.read_at).sort((a, b) => b.id - a.id);
    const none = h("li.empty", {}, this.unreadOnly ? "You have read everything." : "Nothing has happened yet.");
    fill(this.list, shown.length ? shown.map((one) => h(`li${one.read_at ? "" : ".unread"}`, {}, this.#row(one))) : none);
    if (focused) (this.list.querySelector(`[data-notification="${focused}"]`) ?? this.list.querySelector("[data-notification]"))?.focus();
  }

  #row(one) {
    const href = placeOf(one.data);
    const props = { "data-notification": String(one.id), onclick: () => this.#read(one) };
    return h(
      href ? "a.notice" : "button.notice",
      href ? { ...props, href } : { ...props, type: "button", title: one.read_at ? "Read" : "Mark as read" },
      h("span.title", {}, !one.read_at && h("span.hidden", {}, "Unread: "), one.title),
      one.count > 1 && h("span.badge", {}, one.count > 99 ? "99+" : String(one.count), h("span.hidden", {}, " times")),
      h("time.quiet", { datetime: one.created_at, title: exactly(one.created_at) }, shortly(one.created_at)),
      one.body && h("span.text", {}, one.body),
    );
  }

  #read(one) {
    if (!one.read_at) return this.#mark({ ids: [one.id] });
    return null;
  }

  #readAll() {
    return this.#mark({ all: true });
  }

  async #mark(which) {
    const answer = await this.#try(() => this.store.bell.call("POST", "/notifications/read", which, { again: true }));
    if (!answer) return;
    this.#heard(which);
    this.store.countNotifications(answer.unread);
  }

  async #try(run) {
    this.problem.hidden = true;
    try {
      return await run();
    } catch (error) {
      this.problem.textContent = wordsOf(error);
      this.problem.hidden = false;
      return null;
    }
  }
}

customElements.define("bw-notifications", Notifications);
