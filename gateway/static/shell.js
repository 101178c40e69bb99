/** The frame of the page: the main navigation, the list of conversations, and the view for the current address. */

import { BellwireError } from "./client.js";
import { View, closeDialogs, createView, errorText, fill, h, icon, loadError, toast, toastErrors } from "./shared/dom.js";
import { guard, report } from "./shared/failures.js";
import { nameOf, titleOf } from "./shared/format.js";
import { load, prepareBy, provide } from "./shared/load.js";
import { outboxMessages } from "./shared/storage.js";
import { language, loadWords, t } from "./shared/words.js";
import { messageFiles } from "./shared/files.js";
import "./shared/icons.js";
import { summary } from "./chat/markup.js";
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
const MODULES = new Map([
  ["posts", "community/posts.js"],
  ["groups", "community/posts.js"],
  ["notifications", "account/notifications.js"],
  ["settings", "account/settings.js"],
  ["admin", "admin/admin.js"],
  ["setup", "account/setup.js"],
  ["invitation", "account/setup.js"],
]);
/** Sections whose addresses begin with another word. */
const SECTION_OF = new Map([
  ["groups", "posts"],
  ["people", "conversations"],
]);
/** What menus and dialogs need: requested once the chats are there, so that it is there when it is pressed, and without a connection. */
const LATER_MODULES = [
  ...["chat/message-actions", "chat/emoji", "chat/blocks", "chat/priority", "chat/level", "chat/completion"],
  ...["shared/dialog", "shared/popover", "shared/reporting", "shared/viewer", "shared/zoom"],
  ...["shared/attaching", "shared/attachments", "shared/file-store", "shared/tray", "upload"],
];
const SIGNED_OUT = new Set([401, 403]);
const MAX_ANNOUNCED = 5; // messages in the live region, which screen readers read
const START_ALERTS_AFTER_MS = 3000; // the first messages come first

export class Shell extends View {
  render() {
    this.store = new Store(this.bell, this.lifetime.signal);
    this.links = SECTIONS.map(([section, iconName]) => this.#link(section, t(`section.${section}`), iconName));
    this.list = createView("bw-conversations", { store: this.store });
    this.view = h("div.view", { tabindex: "-1" });
    fill(
      this,
      h("nav.rail", { "aria-label": t("shell.main") }, this.links),
      h("main", { id: "main" }, this.list, this.view),
    );
    this.trail = [location.hash]; // the addresses that Back returns to
    this.listen(window, "hashchange", () => this.#onAddress());
    this.listen(this, "click", (_, event) => this.#onClick(event));
    this.listen(document, "dragover drop", (_, event) => keepPage(event));
    this.listen(document, "keydown", (_, event) => this.#onKey(event));
    this.listen(this.store, "me conversations notifications", () => this.#showCounts());
    this.listen(this.store, "conversations", (id) => this.#onConversation(id));
    this.listen(this.store, "removed", (conversation) => this.#tellRemoval(conversation));
    this.listen(this.store, "begun", (begun) => this.#onBegun(begun));
    this.listen(this.store, "message", (message) => this.#announce(message));
    this.listen(this.bell, "signedout", () => this.lifetime.abort());
    this.listen(this.bell, "offline", () => this.store.me || this.#showOffline());
    this.listen(this.store, "me", () => this.#startAlerts());
    this.#followEvents();
  }

  #link(section, label, iconName) {
    const badge = h("span.badge", { hidden: true });
    const hidden = section === "admin"; // until the role is known
    const props = { href: `#/${section}`, "data-section": section, title: label, hidden };
    return h("a", props, icon(iconName), h("span.label", {}, label), badge);
  }

  /** Apply events to the store while the page is open. Nothing is shown before the first state has arrived. */
  async #followEvents() {
    const { signal } = this.lifetime;
    try {
      for await (const { state, events } of this.bell.batches({ shared: true, follow: "posts", signal })) {
        if (state) guard("state", () => this.store.reset(state));
        for (const event of events) guard("event", () => this.store.apply(event)); // the next ones are shown nevertheless
        if (state) this.navigate();
        if (state) preloadOnce();
      }
    } catch (error) {
      if (!signal.aborted) this.#endSession(error);
    }
  }

  /** Without a connection from the beginning there is nothing but what this browser keeps. */
  #showOffline() {
    this.dataset.pane = "view";
    const title = h("h1.plain", {}, t(navigator.onLine ? "error.no-server" : "error.offline"));
    const unsent = outboxMessages(this.bell.user.id);
    fill(this.view, h("div.empty", {}, title, h("p", {}, t("offline.chats")), this.#keptTexts(unsent)));
  }

  /** Keep the page for times without a connection, and show notifications of this device, once the page is there. */
  #startAlerts() {
    if (this.alertsTimer || !navigator.serviceWorker) return;
    const run = async () => {
      if (this.lifetime.signal.aborted) return;
      const { startAlerts } = await load("device/alerts.js");
      startAlerts(this.store);
    };
    this.alertsTimer = setTimeout(() => run().catch(() => {}), START_ALERTS_AFTER_MS); // without a connection, at the next visit
  }

  /** Show the sign-in if the server has ended the session; say what failed if anything else has. */
  #endSession(error) {
    if (SIGNED_OUT.has(error.status)) {
      this.leave(error.status === 401 ? "" : errorText(error));
      return;
    }
    if (!(error instanceof BellwireError)) report("events", error);
    fill(
      this,
      loadError(error, () => location.reload()),
    );
  }

  #onAddress() {
    closeDialogs(); // they were about the view before
    if (location.hash === this.trail.at(-2)) this.trail.pop();
    else this.trail.push(location.hash);
    this.navigate();
  }

  /**
   * A click on the link to the address that is shown changes no address: what failed there is tried again. The arrow
   * back to the list is the browser's Back, if that leads there.
   */
  #onClick(event) {
    const link = event.target.closest?.("a[href^='#/']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const address = link.getAttribute("href");
    if (address === location.hash) this.navigate();
    if (!link.classList.contains("back")) return;
    event.preventDefault();
    if (this.trail.at(-2) === address) history.back();
    else this.#replaceAddress(address);
  }

  #replaceAddress(address) {
    this.trail.pop();
    location.replace(address);
  }

  /** The keys are explained in shared/shortcuts.js, which is loaded at the first one. */
  #onKey(event) {
    const isShortcut =
      (event.key === "k" && (event.ctrlKey || event.metaKey) && !event.altKey) ||
      (event.altKey && !event.ctrlKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) ||
      ((event.key === "/" || event.key === "?") && !isWriting(event.target));
    if (!isShortcut || !this.store.me || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    toastErrors(async () => {
      const { runShortcut } = await load("shared/shortcuts.js");
      runShortcut(this, event);
    });
  }

  #onConversation(id) {
    if (id && id === this.list.selected) this.navigate();
  }

  #tellRemoval(conversation) {
    const title = titleOf(conversation, this.store.me);
    const unsent = this.store.unsent(conversation.id).length;
    toast(t(unsent ? "conversation.removed-unsent" : "conversation.removed", { title }));
  }

  /** The first message has made a chat a conversation: it has an address of its own now, and stays open as it is. */
  #onBegun({ before, id }) {
    if (this.list.selected !== before) return;
    const chat = this.view.firstChild;
    const address = `#/conversations/${id}`;
    if (chat?.conversation !== before) return this.#replaceAddress(address);
    history.replaceState(null, "", address); // without an event
    this.trail.splice(-1, 1, address);
    this.address = `conversations/${id}/true`;
    this.list.selected = id;
    chat.begin(id);
  }

  /** Show the view for the current address. A view that is already shown is not rendered again. */
  async navigate() {
    if (!this.store.me) return;
    const path = location.hash.match(/^#\/(.*)/)?.[1] ?? "";
    const [page = "conversations", ...rest] = path.split("/").filter(Boolean);
    const section = SECTION_OF.get(page) ?? page;
    this.dataset.section = section;
    this.dataset.pane = section === "conversations" && !rest.length ? "list" : "view";
    for (const link of this.links) {
      if (link.dataset.section === section) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const selected = section === "conversations" ? Number(rest[0]) || 0 : 0;
    this.list.selected = page === "people" ? -selected : selected;
    const isKnown = page === "conversations" ? this.store.conversations.has(Number(rest[0])) : "";
    const address = `${page}/${rest.join("/")}/${isKnown}`;
    if (address === this.address) return;
    this.address = address;
    try {
      if (MODULES.has(page)) await load(MODULES.get(page));
      if (page === "people") await this.#openPerson(Number(rest[0]));
      if (address === this.address) this.#show(page, rest);
    } catch (error) {
      if (address === this.address) this.#showFailure(address, error);
    }
  }

  /**
   * Say that a section could not be loaded. Trying again helps when the network was lost; when a part of it still fails
   * then, or is of another version than this page, the page has to be loaded anew.
   */
  #showFailure(address, error) {
    if (error.status === 404) {
      fill(this.view, h("p.empty", {}, t("people.unknown")));
      return;
    }
    this.address = "";
    const isRepeated = this.failedAddress === address;
    this.failedAddress = address;
    const isLost = error instanceof TypeError;
    if (!isLost && !(error instanceof BellwireError)) report("section", error);
    if (isLost && isRepeated && navigator.onLine && this.bell.online) location.reload();
    fill(
      this.view,
      loadError(error, () => (isLost ? this.navigate() : location.reload())),
    );
    this.dispatchEvent(new Event("load-failed", { bubbles: true }));
  }

  /** A conversation with a person is shown at its own address, one that has not begun at the person's. */
  async #openPerson(id) {
    const { store } = this;
    if (!store.users.get(id)?.username) store.putUser(await store.bell.call("GET", `/users/${id}`));
    const conversation = store.withPerson(id);
    if (conversation > 0) this.#replaceAddress(`#/conversations/${conversation}`);
  }

  #show(page, [id, detail, more]) {
    const { store } = this;
    this.failedAddress = "";
    if (page === "conversations" && id) fill(this.view, this.#chat(Number(id), Number(detail)));
    else if (page === "people" && store.conversations.has(-id)) fill(this.view, this.#chat(-id));
    else if (page === "people") return; // the address of the conversation comes next
    else if (MODULES.has(page))
      fill(this.view, createView(`bw-${page}`, { store, item: id, detail, more, leave: this.leave }));
    else fill(this.view, this.#welcome());
    this.#showCounts();
  }

  #chat(id, message) {
    const { store } = this;
    if (store.conversations.has(id)) return createView("bw-chat", { store, conversation: id, message });
    store.fetch(id);
    return h("div.empty", {}, h("h1.plain", {}, t("conversation.unknown")), this.#keptTexts(store.unsent(id), true));
  }

  /** Messages that were written and not sent, as long as there is no chat to show them in. `isLost`: there will be none. */
  #keptTexts(unsent, isLost = false) {
    if (!unsent.length) return null;
    const row = (message) => {
      const onclick = (event) => {
        this.store.discard(message);
        event.target.closest("li").remove();
      };
      const text = h("span.grow", { dir: "auto" }, message.body || summary(message, Infinity));
      return h("li", {}, text, isLost && h("button.link", { type: "button", onclick }, t("message.discard")));
    };
    return [h("p", {}, t(isLost ? "conversation.kept-texts" : "offline.kept-texts")), h("ul.sheet.rows.kept", {}, unsent.map(row))];
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
    const counts = { conversations: store.unread, notifications: store.unreadOthers };
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
  }

  /** Let screen readers read new messages of other users. */
  async #announce(message) {
    if (message.sender === this.store.me.id || this.store.isFolded(message)) return;
    const region = document.querySelector("#announcer");
    const name = nameOf(await this.store.loadedPerson(message.sender));
    region.append(h("p", {}, t("composer.original", { name, text: summary(message, Infinity) })));
    while (region.children.length > MAX_ANNOUNCED) region.firstChild.remove();
  }
}

provide("shared/files.js", { messageFiles });

let words = null; // the promise of all
let failures = 0; // browsers remember a module that could not be loaded

/** Load all words: the first ones are those that chats need. */
prepareBy(() => {
  words ??= loadWords(language(), `/static/words/${language()}.js${failures ? `?attempt=${failures}` : ""}`).catch((error) => {
    words = null;
    failures += 1;
    throw error;
  });
  return words;
});

function preloadOnce() {
  if (!LATER_MODULES.length) return;
  for (const name of [...LATER_MODULES.splice(0), `words/${language()}`])
    document.head.append(h("link", { rel: "modulepreload", href: `/static/${name}.js` }));
}

/** A file that is dropped where no files are attached would be opened in place of the page. */
function keepPage(event) {
  if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "none";
}

/** Whether keys typed at an element are text. */
const isWriting = (element) => Boolean(element.closest?.("input, textarea, select, [contenteditable]"));
