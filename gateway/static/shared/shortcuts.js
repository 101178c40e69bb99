/**
 * Keyboard shortcuts: Ctrl+K goes to anything, Alt and an arrow to the next chat, "/" searches, "?" lists them. This
 * module is loaded at the first of them.
 */

import { canBegin } from "./contacts.js";
import { openDialog } from "./dialog.js";
import { avatar, errorText, fill, h } from "./dom.js";
import { formatShort, handleOf, nameOf, partnerOf, placeOf, titleOf } from "./format.js";
import { folded, marked } from "./matching.js";
import { t } from "./words.js";
import { summary } from "../chat/markup.js";

const MAX_SHOWN = 12;
const MAX_MESSAGES = 5;
const SEARCH_AFTER_MS = 150;
const IS_MAC = /Mac|iP(hone|ad)/.test(navigator.platform);
const MODIFIER = IS_MAC ? "⌘" : "key.ctrl";

/** The keys of each shortcut, some of which have words, and its own words. */
const SHORTCUTS = [
  [[MODIFIER, "K"], "shortcut.go-to"],
  [["key.alt", "↑"], "shortcut.previous-chat"],
  [["key.alt", "↓"], "shortcut.next-chat"],
  [["/"], "shortcut.search"],
  [["key.enter"], "shortcut.send"],
  [["key.shift", "key.enter"], "shortcut.new-line"],
  [["@"], "shortcut.mention"],
  [["↑"], "shortcut.edit-last"],
  [["key.esc"], "shortcut.cancel"],
  [["?"], "shortcut.list"],
];

/** Do what the keys of `event` mean, in the shell of the page. */
export function runShortcut(shell, event) {
  if (event.key === "k") openPalette(shell.store);
  else if (event.key === "/") shell.list.searchField.focus();
  else if (event.key === "?") listShortcuts();
  else goToNeighbour(shell, event.key === "ArrowDown" ? 1 : -1);
}

/** Go to the chat below or above the open one in the list. */
function goToNeighbour({ store, list }, step) {
  const ids = store.ordered().map(({ id }) => id);
  const index = ids.indexOf(list.selected);
  const next = ids[index < 0 ? 0 : index + step];
  if (next) location.hash = addressOf(next);
}

const addressOf = (id) => (id < 0 ? `#/people/${-id}` : `#/conversations/${id}`);

function listShortcuts() {
  const rows = SHORTCUTS.map(([keys, words]) => [
    h("dt", {}, keys.map((key) => h("kbd", {}, t(key)))),
    h("dd", {}, t(words)),
  ]);
  return openDialog(t("shortcut.title"), [h("dl.shortcuts", {}, rows)], t("shortcut.close"), () => true, {
    isNotice: true,
  });
}

/** Open a dialog that finds people, chats and messages, and goes to the one that is chosen. */
function openPalette(store) {
  new Palette(store).open();
}

class Palette {
  constructor(store) {
    this.store = store;
    this.people = new Map(); // id -> USER, found by the server
    this.messages = [];
    this.input = h("input", {
      role: "combobox",
      "aria-label": t("palette.label"),
      "aria-expanded": "true",
      "aria-controls": "palette-list",
      "aria-autocomplete": "list",
      placeholder: t("palette.label"),
      autocomplete: "off",
      oninput: () => this.#onInput(),
      onkeydown: (event) => this.#onKey(event),
    });
    this.list = h("ul", { id: "palette-list", role: "listbox", "aria-label": t("palette.results") });
    this.none = h("p.quiet", { role: "status" });
  }

  open() {
    const onclose = () => this.dialog.remove();
    const onclick = (event) => event.target === this.dialog && this.dialog.close();
    const props = { "aria-label": t("palette.label"), onclose, onclick };
    this.dialog = h("dialog.palette", props, this.input, this.list, this.none);
    document.body.append(this.dialog);
    this.#index();
    this.dialog.showModal();
    this.#draw();
  }

  /** Fold all names once: each key press only compares. */
  #index() {
    const { store } = this;
    const chats = store.ordered().map((conversation) => chatEntry(store, conversation));
    const partners = new Set(chats.map(({ partner }) => partner));
    const isOther = (user) => user.username && user.id !== store.me.id && !partners.has(user.id);
    const people = [...store.users.values()].filter(isOther).map(personEntry);
    this.entries = [...chats, ...people];
  }

  #onInput() {
    const q = this.input.value.trim();
    this.messages = [];
    this.status = q ? "" : null; // nothing is said until the server has answered
    this.#draw();
    clearTimeout(this.timer);
    if (q) this.timer = setTimeout(() => this.#search(q), SEARCH_AFTER_MS);
  }

  /** Add what only the server knows: people who share no chat, and messages. */
  async #search(q) {
    const { bell, me } = this.store;
    const find = (path, limit) => bell.call("GET", path, null, { query: { q, limit } });
    const answers = await Promise.allSettled([find("/users", MAX_SHOWN), find("/search/messages", MAX_MESSAGES)]);
    const canOpen = await canBegin(this.store);
    if (q !== this.input.value.trim()) return;
    const [people, messages] = answers.map(({ value }) => value?.items ?? []);
    const failure = answers.find(({ reason }) => reason)?.reason;
    this.status = failure ? errorText(failure) : null;
    const known = new Set(this.entries.map(({ partner }) => partner));
    const others = people.filter(({ id }) => canOpen && id !== me.id && !known.has(id));
    this.entries.push(...others.map(personEntry));
    this.messages = messages.map((message) => messageEntry(this.store, message));
    this.#draw();
  }

  #draw() {
    const q = this.input.value.trim();
    const words = wordsOf(q);
    const found = words.length ? this.entries.filter(({ text }) => isFound(text, words)) : this.entries;
    const shown = [...found.slice(0, MAX_SHOWN - this.messages.length), ...this.messages];
    const before = this.list.querySelector("[aria-selected='true']")?.dataset.href;
    fill(
      this.list,
      shown.map((entry, n) => this.#row(entry, n, q)),
    );
    this.none.textContent = this.status ?? (shown.length ? "" : t("search.nothing", { text: q }));
    this.#select([...this.list.children].find((row) => row.dataset.href === before) ?? this.list.firstChild);
  }

  #row({ title, time, about, hue, href }, n, q) {
    const props = {
      id: `palette-${n}`,
      role: "option",
      "data-href": href,
      onclick: () => this.#go(href),
      onpointermove: (event) => this.#select(event.currentTarget),
    };
    return h(
      "li.hit",
      props,
      avatar(title, hue),
      h("span.title", { dir: "auto" }, marked(title, q)),
      time && h("time", {}, time),
      h("span.preview", { dir: "auto" }, about),
    );
  }

  #select(row) {
    for (const other of this.list.children) other.setAttribute("aria-selected", String(other === row));
    this.input.setAttribute("aria-activedescendant", row?.id ?? "");
    row?.scrollIntoView({ block: "nearest" });
  }

  #onKey(event) {
    const rows = [...this.list.children];
    const index = rows.findIndex((row) => row.getAttribute("aria-selected") === "true");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!(step || event.key === "Enter")) return;
    event.preventDefault();
    if (step && rows.length) this.#select(rows[(index + step + rows.length) % rows.length]);
    if (!step && rows[index]) this.#go(rows[index].dataset.href);
  }

  #go(href) {
    this.dialog.close();
    location.hash = href;
  }
}

/** Whether each word begins a word of the text. Both are folded; the text begins with a space. */
function isFound(text, words) {
  return words.every((word) => text.includes(` ${word}`));
}

const wordsOf = (text) => folded(text).match(/[\p{L}\p{N}]+/gu) ?? [];
const searchable = (...names) => ` ${wordsOf(names.join(" ")).join(" ")}`;

function chatEntry(store, conversation) {
  const { id, members, members_count } = conversation;
  const partner = partnerOf(conversation, store.me);
  const title = titleOf(conversation, store.me);
  const about = partner ? handleOf(partner) : t("conversation.members", { n: members_count ?? members.length });
  const text = searchable(title, partner?.username ?? "");
  return { id, partner: partner?.id, title, about, text, hue: partner?.id ?? id, href: addressOf(id) };
}

function personEntry(user) {
  const [title, about] = [nameOf(user), handleOf(user)];
  const text = searchable(title, user.username);
  return { partner: user.id, title, about, text, hue: user.id, href: `#/people/${user.id}` };
}

function messageEntry(store, message) {
  const { id, conversation, sender, created_at } = message;
  const [title, time] = [placeOf(store, sender, conversation), formatShort(created_at)];
  return { title, time, about: summary(message, 100), hue: sender, href: `#/conversations/${conversation}/${id}` };
}
