/** A search field for people, and the list of those who were chosen. */

import { contactsOf } from "./contacts.js";
import { avatar, errorText, fill, h, iconButton, toastErrors } from "./dom.js";
import { handleOf, nameOf } from "./format.js";
import { load } from "./load.js";
import { t } from "./words.js";

const SEARCH_AFTER_MS = 150;
const MAX_SHOWN = 8;

export class PeoplePicker {
  /**
   * `excluded` are ids of users who cannot be chosen. The user of this page can never be chosen. `exclude`, if any, gets
   * USERs and resolves to the ids of those among them who cannot be chosen either.
   */
  constructor(store, excluded, exclude = null) {
    this.store = store;
    this.excluded = new Set([...excluded, store.me.id]);
    this.exclude = exclude;
    this.chosen = new Map(); // id -> USER
    this.search = h("input", {
      type: "search",
      "aria-label": t("people.add"),
      placeholder: t("people.add-hint"),
      autocomplete: "off",
      oninput: () => this.#onInput(),
      onkeydown: (event) => this.#onKey(event),
    });
    this.tags = h("ul.tags", { "aria-label": t("people.chosen") });
    this.results = h("ul.people", { "aria-label": t("people.found") });
    this.element = h("div.picker", {}, this.tags, this.search, this.results);
    this.#find();
  }

  #onInput() {
    this.isChoosing = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#find(), SEARCH_AFTER_MS);
  }

  /** Enter chooses the first result, of what stands in the field now: if need be, when it is there. */
  #onKey(event) {
    if (event.key !== "Enter" || !this.query) return;
    event.preventDefault();
    if (this.shown === this.query) this.#chooseFirst();
    else this.isChoosing = true;
  }

  #chooseFirst() {
    this.isChoosing = false;
    this.results.querySelector("button.hit")?.click();
  }

  get query() {
    return this.search.value.trim();
  }

  /** Load who is found. Nothing is drawn when another text stands in the field meanwhile. */
  async #find() {
    const q = this.query;
    const rows = await this.#load(q).then((users) => this.#rows(users, q), failed);
    if (q !== this.query) return;
    if (this.results.matches(":active")) {
      onceReleased(() => this.#find()); // a row that moves while it is pressed would not be clicked
      return;
    }
    fill(this.results, rows);
    this.shown = q;
    if (this.isChoosing) this.#chooseFirst();
  }

  async #load(q) {
    const { bell } = this.store;
    const { items } = await bell.call("GET", "/users", null, { query: { q, limit: 20 } });
    this.contacts = await contactsOf(this.store);
    const excluded = this.exclude ? await this.exclude(items) : [];
    const canChoose = ({ id }) => !this.excluded.has(id) && !this.chosen.has(id) && !excluded.includes(id);
    return items.filter(canChoose);
  }

  #rows(users, q) {
    return users.length ? users.slice(0, MAX_SHOWN).map((user) => this.#row(user)) : this.#nobody(q);
  }

  /** Say that nobody was found. Where there is nobody else, admins can invite people. */
  #nobody(q) {
    const nobody = this.contacts === "everyone" ? "people.nobody-else" : "people.nobody-shared";
    const text = h("li.quiet", {}, t(q ? "people.none-found" : nobody));
    if (q || this.store.me.role !== "admin") return text;
    const onclick = () => toastErrors(async () => (await load("account/invite.js")).invitePeople(this.store));
    return [text, h("li", {}, h("button", { type: "button", onclick }, t("invite.people")))];
  }

  #row(user) {
    const name = h("span.title", { dir: "auto" }, nameOf(user));
    const username = h("small", {}, handleOf(user));
    const props = { type: "button", onclick: () => this.#add(user) };
    return h("li", {}, h("button.hit", props, avatar(nameOf(user), user.id), name, username));
  }

  #add(user) {
    this.chosen.set(user.id, user);
    this.search.value = "";
    this.search.focus();
    this.#draw();
  }

  #remove(user) {
    this.chosen.delete(user.id);
    this.#draw();
  }

  #draw() {
    const tag = (user) => {
      const label = t("people.remove", { name: nameOf(user) });
      const remove = iconButton("close", label, () => this.#remove(user));
      return h("li", {}, nameOf(user), remove);
    };
    fill(this.tags, [...this.chosen.values()].map(tag));
    this.#find();
  }
}

const failed = (error) => h("li", {}, h("p.problem", { role: "alert" }, errorText(error)));

/** Call `run` once the pointer that is pressed now is let go, or scrolls. */
function onceReleased(run) {
  const released = new AbortController();
  const onrelease = () => {
    released.abort();
    run();
  };
  for (const name of ["pointerup", "pointercancel"])
    window.addEventListener(name, onrelease, { signal: released.signal });
}
