/** Choosing people: for a new conversation, and for a group. */

import { ask, avatar, field, fill, h, iconButton, toast } from "../shared/dom.js";
import { nameOf, titleOf } from "../shared/format.js";

const SEARCH_AFTER_MS = 150;

/** Opens the direct conversation with somebody, which is made if need be. */
export async function openWith(store, user) {
  const conversation = await store.bell.call("POST", "/conversations", { members: [user] }, { again: true });
  store.keep(conversation);
  location.hash = `#/conversations/${conversation.id}`;
}

/** Asks whom to write to. One person: a direct conversation; several, or a title: a group. */
export async function beginConversation(store) {
  const picker = new Picker(store, []);
  const title = field("Title", "title", { maxlength: 200, placeholder: "For a group" });
  const made = await ask("New conversation", [picker.element, title], "Begin", ({ title: named }) => {
    if (!picker.chosen.size) throw new Error("Choose somebody first.");
    const body = { members: [...picker.chosen.keys()], ...(named.trim() && { title: named.trim() }) };
    return store.bell.call("POST", "/conversations", body);
  });
  if (!made) return;
  store.keep(made);
  location.hash = `#/conversations/${made.id}`;
}

/** A group's people: adding and removing them, its title, leaving. */
export async function aboutConversation(store, conversation) {
  const mine = conversation.members.find((one) => one.user.id === store.me.id);
  const owner = mine?.role === "owner";
  const picker = new Picker(store, conversation.members.map((one) => one.user.id));
  const path = `/conversations/${conversation.id}`;
  const remove = (user, row) => async () => {
    await store.bell.call("DELETE", `${path}/members/${user.id}`);
    row().remove();
  };
  const rows = conversation.members.map(({ user, role }) => {
    const out = owner && user.id !== store.me.id && iconButton("close", `Remove ${nameOf(user)}`, () => remove(user, () => row)().catch((error) => toast(error.message)));
    const row = h("li", {}, avatar(nameOf(user), user.id, Boolean(store.online.get(user.id))), h("span.title", {}, nameOf(user)), h("small", {}, role === "owner" ? "owner" : `@${user.username}`), out || null);
    return row;
  });
  const leave = async () => {
    await store.bell.call("DELETE", `${path}/members/${store.me.id}`);
    document.querySelector("dialog[open]")?.close();
    location.hash = "#/conversations";
  };
  const fields = [
    owner && field("Title", "title", { value: conversation.title ?? "", maxlength: 200 }),
    h("ul.people", { "aria-label": "Members" }, rows),
    owner && picker.element,
    h("button.link.dangerous", { type: "button", onclick: () => leave().catch((error) => toast(error.message)) }, "Leave this conversation"),
  ].filter(Boolean);
  await ask(titleOf(conversation, store.me), fields, owner ? "Save" : "Close", async ({ title }) => {
    if (!owner) return;
    if (title.trim() && title.trim() !== conversation.title) await store.bell.call("PATCH", path, { title: title.trim() });
    for (const id of picker.chosen.keys()) await store.bell.call("PUT", `${path}/members/${id}`);
  });
}

/** A field that finds people by the beginnings of their names, and those who were chosen. */
export class Picker {
  constructor(store, without) {
    this.store = store;
    this.without = new Set([...without, store.me.id]);
    this.chosen = new Map();
    this.search = h("input", { type: "search", "aria-label": "Add people", placeholder: "Add people by name", autocomplete: "off", oninput: () => this.#later(), onkeydown: (event) => this.#keys(event) });
    this.tags = h("ul.tags", { "aria-label": "Chosen people" });
    this.list = h("ul.people", { "aria-label": "People found" });
    this.element = h("div.picker", {}, this.tags, this.search, this.list);
    this.#find();
  }

  #later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#find(), SEARCH_AFTER_MS);
  }

  /** Enter takes the first one. */
  #keys(event) {
    if (event.key !== "Enter" || !this.search.value.trim()) return;
    event.preventDefault();
    this.list.querySelector("button")?.click();
  }

  async #find() {
    const q = this.search.value.trim();
    const found = await this.store.bell.call("GET", "/users", null, { query: { q, limit: 20 } }).catch(() => ({ items: [] }));
    const others = found.items.filter((user) => !this.without.has(user.id) && !this.chosen.has(user.id));
    const rows = others.slice(0, 8).map((user) => h("li", {}, h("button.hit", { type: "button", onclick: () => this.#add(user) }, avatar(nameOf(user), user.id), h("span.title", {}, nameOf(user)), h("small", {}, `@${user.username}`))));
    fill(this.list, rows.length ? rows : h("li.quiet", {}, q ? "Nobody is called so." : "Nobody else is here yet."));
  }

  #add(user) {
    this.chosen.set(user.id, user);
    this.search.value = "";
    this.search.focus();
    this.#draw();
  }

  #draw() {
    const drop = (user) => () => (this.chosen.delete(user.id), this.#draw());
    fill(this.tags, [...this.chosen.values()].map((user) => h("li", {}, nameOf(user), iconButton("close", `Without ${nameOf(user)}`, drop(user)))));
    this.#find();
  }
}
