/** A search field for people, and the list of those who were chosen. */

import { avatar, fill, h, iconButton } from "./dom.js";
import { nameOf } from "./format.js";
import { t } from "./words.js";

const SEARCH_AFTER_MS = 150;
const MAX_SHOWN = 8;

export class PeoplePicker {
  /** `excluded` are ids of users who cannot be chosen. The user of this page can never be chosen. */
  constructor(store, excluded) {
    this.store = store;
    this.excluded = new Set([...excluded, store.me.id]);
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
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#find(), SEARCH_AFTER_MS);
  }

  /** Enter chooses the first result. */
  #onKey(event) {
    if (event.key !== "Enter" || !this.search.value.trim()) return;
    event.preventDefault();
    this.results.querySelector("button")?.click();
  }

  async #find() {
    const q = this.search.value.trim();
    const { bell } = this.store;
    const page = await bell
      .call("GET", "/users", null, { query: { q, limit: 20 } })
      .catch(() => ({ items: [] }));
    if (this.results.matches(":active")) {
      onceReleased(() => this.#find()); // a row that moves while it is pressed would not be clicked
      return;
    }
    const canChoose = ({ id }) => !this.excluded.has(id) && !this.chosen.has(id);
    const rows = page.items
      .filter(canChoose)
      .slice(0, MAX_SHOWN)
      .map((user) => this.#row(user));
    const nobody = () => h("li.quiet", {}, t(q ? "people.none-found" : "people.nobody-else"));
    fill(this.results, rows.length ? rows : nobody());
  }

  #row(user) {
    const name = h("span.title", {}, nameOf(user));
    const username = h("small", {}, `@${user.username}`);
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
