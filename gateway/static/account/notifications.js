/** Notifications: a list of them, each linking to its subject, and the preferences. */

import { View, createView, errorText, fill, fillKeyed, focusWithin, h, iconButton, oncePerFrame } from "../shared/dom.js";
import { formatShort, timeElement } from "../shared/format.js";
import "../shared/icons.js";
import { t } from "../shared/words.js";
import { inWords, loadNotices, noticeAddress } from "./notices.js";
import "./preferences.js";
import { explainNotification } from "./why.js";

/** Address and key of the text. */
const TABS = [
  ["", "notification.all"],
  ["unread", "notification.unread"],
  ["preferences", "notification.preferences"],
];

/** Properties: `store`, `item` (from the address: nothing, "unread" or "preferences"). */
class Notifications extends View {
  render() {
    const { store, item = "" } = this;
    const tabs = TABS.map(([name, key]) => {
      return h(
        "a",
        { href: `#/notifications${name && `/${name}`}`, "aria-current": name === item && "page" },
        t(key),
      );
    });
    const title = t("section.notifications");
    const tabBar = h("nav.places", { "aria-label": title }, tabs);
    const header = h("header.bar", {}, h("h1.hidden", {}, title), tabBar);
    if (item === "preferences")
      fill(this, header, h("div.column", {}, createView("bw-preferences", { store })));
    else this.#renderList(header);
  }

  #renderList(header) {
    this.notifications = new Map(); // id -> NOTIFICATION
    this.unreadOnly = this.item === "unread";
    const button = (onclick) => ({ type: "button", onclick });
    this.markAll = h(
      "button.link",
      button(() => this.#markRead({ all: true })),
      t("notification.mark-all-read"),
    );
    this.list = h("ul.sheet.notices", { "aria-label": t("section.notifications") });
    this.problem = h("p.problem", { role: "alert", hidden: true });
    this.more = h("button.link", { ...button(() => this.#load()), hidden: true }, t("notification.more"));
    this.announcer = h("p.hidden", { role: "status" });
    const top = h("div.row.end", {}, this.markAll);
    const bottom = h("p.center", {}, this.more);
    fill(this, header, h("div.column", {}, top, this.problem, this.list, bottom, this.announcer));
    this.draw = oncePerFrame(() => this.#draw());
    this.listen(this.store, "notification", (data) => this.#onEvent(data));
    this.listen(this.store, "notifications", () => this.#updateMarkAll());
    this.listen(this.store, "me", () => this.#load(null)); // there was a time without events
    this.#updateMarkAll();
    this.#load();
  }

  async #load(page = this.next) {
    const options = { query: { unread: this.unreadOnly || null, page } };
    const answer = await this.#showErrors(async () => {
      await loadNotices();
      return this.store.bell.call("GET", "/notifications", null, options);
    });
    this.more.textContent = t(answer ? "notification.more" : "error.try-again");
    if (!answer) this.more.hidden = false;
    if (!answer || !this.isConnected) return;
    for (const notification of answer.items) this.notifications.set(notification.id, inWords(notification));
    if (page !== null) this.next = answer.next;
    this.more.hidden = !this.next;
    this.#draw();
  }

  /** `data` is a new or changed NOTIFICATION, or {ids} or {all} of those that were read. */
  #onEvent(data) {
    if (data.id) {
      const notification = inWords(data);
      this.notifications.set(data.id, notification);
      this.announcer.textContent = notification.title;
    } else {
      for (const notification of this.notifications.values()) {
        if (data.all || data.ids.includes(notification.id)) notification.read_at ??= new Date().toISOString();
      }
    }
    this.draw();
  }

  #updateMarkAll() {
    this.markAll.disabled = !this.store.unreadNotifications;
  }

  #draw() {
    const isShown = (notification) => !this.unreadOnly || !notification.read_at;
    const shown = [...this.notifications.values()].filter(isShown).sort((a, b) => b.id - a.id);
    const hadFocus = focusWithin(this.list);
    fillKeyed(this.list, shown.length ? shown : [null], {
      key: (notification) => notification?.id,
      version: (notification) => notification && `${JSON.stringify(notification)} ${formatShort(notification.created_at)}`,
      draw: (notification) => this.#item(notification),
    });
    if (hadFocus && !focusWithin(this.list)) this.list.querySelector("[data-notification]")?.focus();
  }

  #item(notification) {
    if (!notification) return h("li.empty", {}, t(this.unreadOnly ? "notification.none-unread" : "notification.none"));
    const unread = notification.read_at ? "" : ".unread";
    return h(`li${unread}`, {}, this.#row(notification), this.#why(notification));
  }

  #row(notification) {
    const { id, read_at, title, count, created_at, body } = notification;
    const href = noticeAddress(notification);
    const onclick = () => !read_at && this.#markRead({ ids: [id] });
    const props = { "data-notification": String(id), onclick };
    const hint = t(read_at ? "notification.read" : "notification.mark-read");
    const unread = !read_at && h("span.hidden", {}, `${t("notification.unread-mark")} `);
    const times = h("span.hidden", {}, ` ${t("notification.times", { n: count })}`);
    return h(
      href ? "a.notice" : "button.notice",
      href ? { ...props, href } : { ...props, type: "button", title: hint },
      h("span.title", {}, unread, title),
      count > 1 && h("span.badge", {}, count > 99 ? "99+" : String(count), times),
      timeElement(created_at, "time.quiet"),
      body && h("span.text", {}, body),
    );
  }

  #why(notification) {
    const label = t("notification.why", { title: notification.title });
    const title = t("notification.why-hint");
    return iconButton("help", label, () => explainNotification(this.store.bell, notification), { title });
  }

  /** `which` is {ids} or {all: true}. */
  async #markRead(which) {
    const { bell } = this.store;
    const answer = await this.#showErrors(() =>
      bell.call("POST", "/notifications/read", which, { retry: true }),
    );
    if (!answer) return;
    this.#onEvent(which);
    this.store.setUnreadNotifications(answer.unread);
  }

  /** Return the result of `run`; on an error, show it and return null. */
  async #showErrors(run) {
    this.problem.hidden = true;
    try {
      return await run();
    } catch (error) {
      this.problem.textContent = errorText(error);
      this.problem.hidden = false;
      return null;
    }
  }
}

customElements.define("bw-notifications", Notifications);
